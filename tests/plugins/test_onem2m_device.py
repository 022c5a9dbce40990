"""deviceInfo: the attributes people know from Device to Cloud, and no others."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine import Catalog, Entry, Path, PluginManager
from lwm2m_engine.mapping.table import MappingProblem, MappingTable
from lwm2m_engine.values import Value
from lwm2m_plugins.onem2m_device import decimal, geo, milliseconds

DEVICE: dict[str, Value] = {
    "/3/0/0": "My Demo Device",
    "/3/0/1": "Model 500",
    "/3/0/2": "LT-500-000-0001",
    "/3/0/3": "1.0.0",
    "/3/0/9": 72,
    "/3/0/11/0": 0,
    "/3/0/13": 1752761133,
    "/3/0/14": "+02",
    "/3/0/17": "Demo",
    "/3/0/18": "1.0.1",
    "/3/0/19": "1.0.2",
    "/6/0/0": 52.5,
    "/6/0/1": 13.4,
}
INFO = {
    "deviceLabel": "device001",
    "deviceName": "My Demo Device",
    "fwVersion": "1.0.0",
    "systemTime": "1752761133000",
    "location": "geo:52.5,13.4",
}
MORE = {
    "manufacturer": "My Demo Device",
    "model": "Model 500",
    "deviceType": "Demo",
    "hwVersion": "1.0.1",
    "swVersion": "1.0.2",
}


def managed(table: MappingTable, values: dict[str, Value]) -> dict[str, dict[str, Value]]:
    inputs: dict[Path, Value] = {}
    result: dict[str, dict[str, Value]] = {}
    problems: list[MappingProblem] = []
    table.begin("device001", inputs, result, problems)
    table.apply("device001", inputs, result, [Entry(Path(p), v) for p, v in values.items()], problems)
    assert problems == []
    return result


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.bundled()


def test_a_device_becomes_exactly_the_device_info_of_the_table(catalog: Catalog) -> None:
    table = PluginManager.default().table(catalog)
    assert managed(table, DEVICE) == {"device-info": INFO}


def test_objects_3_and_6_are_read_at_register(catalog: Catalog) -> None:
    assert PluginManager.default().table(catalog).reads == (3, 6)


def test_the_other_attributes_come_only_when_asked_for(catalog: Catalog) -> None:
    table = PluginManager.default(enabled=["onem2m_device_more"]).table(catalog)
    assert managed(table, DEVICE) == {"device-info": INFO | MORE}
    assert table.reads == (3, 6)


def test_without_object_6_there_is_no_location(catalog: Catalog) -> None:
    values = {path: value for path, value in DEVICE.items() if not path.startswith("/6")}
    result = managed(PluginManager.default().table(catalog), values)
    assert result["device-info"].keys() == INFO.keys() - {"location"}


@pytest.mark.parametrize(
    ("degrees", "text"),
    [
        (52.5, "52.5"),
        (49.0, "49"),
        (-0.1278, "-0.1278"),
        (0.0, "0"),
        (-0.0, "0"),
        (1e-7, "0.0000001"),
        (-1e-7, "-0.0000001"),
        (13.404953999999975, "13.404953999999975"),
        (1e-30, "0"),
    ],
)
def test_degrees_are_plain_decimals(degrees: float, text: str) -> None:
    assert decimal(degrees) == text


@pytest.mark.parametrize("place", [(91.0, 0.0), (0.0, -180.5), (math.nan, 0.0), (0.0, math.inf)])
def test_what_is_no_place_on_earth_is_no_location(place: tuple[float, float]) -> None:
    assert geo(*place) is None


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_a_location_reads_back_as_the_same_place(latitude: float, longitude: float) -> None:
    uri = geo(latitude, longitude)
    assert uri is not None
    assert "e" not in uri.removeprefix("geo:")
    back = [float(part) for part in uri.removeprefix("geo:").split(",")]
    # A nanometre; below 1e-4 degrees Python writes exponents, which a geo URI does not know.
    assert back == pytest.approx([latitude, longitude], abs=1e-14, rel=0)


@pytest.mark.parametrize(
    ("seconds", "text"), [(1752761133, "1752761133000"), (0, "0"), (1.001, "1001"), (-1, "-1000")]
)
def test_time_is_milliseconds_as_a_text(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text
