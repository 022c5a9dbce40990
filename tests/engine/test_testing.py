"""The fixtures plugin authors get; this file is how their tests look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lwm2m_engine import Entry, Mapping, Rule
from lwm2m_engine import Path as LwPath
from lwm2m_engine.errors import MappingError
from lwm2m_engine.mapping.table import MappingTable

PLUGIN = """
from lwm2m_engine import Mapping, Rule, hookimpl

@hookimpl
def lwm2m_mappings(catalog):
    yield Mapping(
        "m2m:battery", name="battery", rules=[Rule("/3/0/9", "batteryLevel")],
        examples=[({"/3/0/9": 72}, {"batteryLevel": 72})],
    )
"""


def test_a_good_plugin_passes(check_plugin: Callable[..., None], tmp_path: Path) -> None:
    file = tmp_path / "battery.py"
    file.write_text(PLUGIN)
    check_plugin(file)
    check_plugin(str(file))


def test_a_bad_plugin_fails_with_file_and_reason(check_plugin: Callable[..., None], tmp_path: Path) -> None:
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text(PLUGIN)
    bad.write_text(
        PLUGIN.replace('"batteryLevel": 72', '"batteryLevel": 71')
        .replace("m2m:battery", "x:battery")
        .replace('name="battery"', 'name="other"')
    )
    with pytest.raises(pytest.fail.Exception) as failure:
        check_plugin(good, bad)
    assert str(failure.value) == f"{bad}: bad: other: example 1: batteryLevel is 72, expected 71"


def test_mappings_compile_to_a_table(mapping_table: Callable[..., MappingTable]) -> None:
    table = mapping_table(Mapping("m2m:battery", name="battery", rules=[Rule("/3/0/9", "batteryLevel")]))
    (change,) = table.apply("dev1", {}, {}, [Entry(LwPath("/3/0/9"), 72)], [])
    assert change.changed == {"batteryLevel": 72}
    with pytest.raises(MappingError, match="plugin under test: battery: rule"):
        mapping_table(Mapping("m2m:battery", name="battery", rules=[Rule("/3/0/99", "batteryLevel")]))
