"""Which values of what a device said have no model."""

from __future__ import annotations

import pytest

from lwm2m_engine import Catalog
from lwm2m_engine.engine.events import Received
from lwm2m_engine.entries import Entry
from lwm2m_engine.paths import Path
from lwm2m_server.telemetry.recording import unknown

MODELS = Catalog.bundled()


@pytest.mark.parametrize(
    ("kind", "paths", "values", "found"),
    [
        ("response", "", "/3/0/0 /3/0/999", "/3/0/999"),
        ("send", "", "/3/0/0 /33333/0/1", "/33333/0/1"),
        ("notification", "", "/3/0/0", ""),
        ("notification", "", "/33333/0/1 /33333/0/2", "/33333/0/1 /33333/0/2"),
        # Of one path, an answer told the others before.
        ("notification", "", "/3/0/0 /3/0/999", ""),
        ("notification", "/3/0 /33333/0", "/3/0/0 /33333/0/2", "/33333/0/2"),
        ("notification", "", "", ""),
    ],
)
def test_values_without_a_model(kind: str, paths: str, values: str, found: str) -> None:
    entries = tuple(Entry(Path(path), 1) for path in values.split())
    asked = tuple(map(Path, paths.split()))
    event = Received(
        "urn:1", 5.0, kind, entries[0].path if entries else Path("/3"), 0x45, entries, paths=asked
    )
    assert list(unknown(event, MODELS)) == [Path(path) for path in found.split()]
