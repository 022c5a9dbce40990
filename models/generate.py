"""Writes what the library knows of ``models/xml`` without reading it: ``python models/generate.py``.

They are the names of the typed classes, and the stub that type checkers read instead of ``objects.py``.
A test compares both with what this would write.
"""

from __future__ import annotations

from pathlib import Path

from lwm2m_engine.model.sources import Sources
from lwm2m_engine.model.stubs import write_index, write_stub

ROOT = Path(__file__).parents[1]
COMMAND = "python models/generate.py"
TITLE = "Typed classes of the bundled OMA registry."


def files() -> dict[str, str]:
    """The files below the root of the checkout, and what is to be in them."""
    specs = Sources([ROOT / "models/xml"]).read().objects
    return {
        "lwm2m_engine/model/bundled.py": write_index(specs, COMMAND),
        "lwm2m_engine/objects.pyi": write_stub(specs, TITLE, COMMAND),
    }


if __name__ == "__main__":
    for name, text in files().items():
        (ROOT / name).write_text(text, encoding="utf-8")
