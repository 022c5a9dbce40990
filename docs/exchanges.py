"""Plays what servers and devices say, writes it down, draws it: ``python docs/exchanges.py [FOLDER]``.

A test compares the files with what this would write.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pictures
import plays
from sequences import diagram, text

EXPLANATION = Path(__file__).parent / "explanation"
PLAYS = {
    "bootstrap": (plays.bootstrap, (plays.DEVICE, plays.BOOTSTRAP, plays.SERVER)),
    "registration": (plays.registration, (plays.DEVICE, plays.SERVER, plays.APPLICATION)),
    "access-control": (
        plays.access_control,
        (plays.BOOTSTRAP, plays.DEVICE, plays.OWNING, plays.VISITING, plays.APPLICATION),
    ),
}
PICTURES = {
    "lwm2m-architecture": pictures.architecture,
    "object-model": pictures.object_model,
    "access-control-relations": pictures.access_control,
    "updates": pictures.updates,
}


def main(folder: Path) -> None:
    for name, (play, lanes) in PLAYS.items():
        messages = list(play())
        (folder / f"{name}-exchange.md").write_text(text(messages), encoding="utf-8")
        (folder / f"{name}.svg").write_text(diagram(messages, lanes), encoding="utf-8")
    for name, picture in PICTURES.items():
        (folder / f"{name}.svg").write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else EXPLANATION)
