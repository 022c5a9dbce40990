"""What an import costs. Who may import whom is a set of import-linter contracts in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys

import pytest


def modules_after(statement: str) -> set[str]:
    script = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "heavy", ["lxml", "cbor2", "pluggy", "asyncio", "socket", "lwm2m_server", "lwm2m_plugins"]
)
def test_importing_the_library_loads_nothing_heavy(heavy: str) -> None:
    assert heavy not in {name.partition(".")[0] for name in modules_after("import lwm2m_engine")}


def test_codecs_without_models_need_no_xml_parser() -> None:
    loaded = modules_after("from lwm2m_engine import decode; decode(b'72', 0, at='/3/0/9')")
    assert "lxml" not in loaded
    assert not {name for name in loaded if name.startswith("lwm2m_engine.model.")}


def test_the_engine_needs_no_event_loop() -> None:
    loaded = modules_after("from lwm2m_engine import Catalog, Engine; Engine(Catalog.load())")
    assert not loaded & {"asyncio", "socket", "selectors", "aiocoap", "starlette"}
