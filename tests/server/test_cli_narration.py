from __future__ import annotations

import re

import pytest

from lwm2m_engine.coap import Code, Peer
from lwm2m_engine.engine.events import Asleep, Event, Failed, ManagedChanged, Queued, Received, Registered
from lwm2m_engine.engine.records import Liveness, Registration, Waiting
from lwm2m_engine.entries import Entry
from lwm2m_engine.mapping.managed import ManagedChange
from lwm2m_engine.messages.requests import Read
from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.paths import Path
from lwm2m_engine.values import Value
from lwm2m_server.cli.narration import Narrator
from lwm2m_server.cli.values import literal, quantity

SOURCES = {
    ("device-info", "deviceName"): (Path("/3/0/0"),),
    ("device-info", "location"): (Path("/6/0/0"), Path("/6/0/1")),
}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.bundled()


def told(catalog: Catalog, *events: Event, quiet: frozenset[str] = frozenset()) -> list[str]:
    """What is written, without the clock."""
    lines: list[str] = []
    narrator = Narrator(
        catalog=lambda: catalog,
        sources=lambda name, attribute: SOURCES.get((name, attribute), ()),
        write=lines.append,
        quiet=quiet,
    )
    for event in events:
        narrator("demo", event)
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines)
    return [line[9:] for line in lines]


def registered(endpoint: str = "device001") -> Registered:
    registration = Registration(
        id="1",
        endpoint=endpoint,
        version="1.0",
        lifetime=300,
        binding="U",
        queue_mode=False,
        root="/",
        objects={6: "1.0", 1: "1.0", 3: "1.0"},
        instances=(),
        links=(),
        formats=(),
        sms=None,
        attributes={},
        registered_at=0.0,
    )
    return Registered(endpoint, 0.0, registration, Liveness(Peer("::1", 1), 0.0, 300.0))


def read(*values: tuple[str, Value], error: str | None = None, code: int = Code.CONTENT) -> Received:
    entries = tuple(Entry(Path(path), value) for path, value in values)
    return Received("device001", 0.0, "response", Path("/3"), code, entries, "read", error=error)


def test_a_registration_names_version_lifetime_and_objects(catalog: Catalog) -> None:
    assert told(catalog, registered()) == ["device001 registered   LwM2M 1.0, lifetime 300 s, objects 1 3 6"]


def test_an_answer_tells_names_and_units_of_the_first_values(catalog: Catalog) -> None:
    answer = read(
        ("/3/0/0", "My Demo Device"),
        ("/3/0/1", "Model 500"),
        ("/3/0/9", 72),
        ("/3/0/10", 75108),
        ("/3/0/16", "U"),
    )
    assert told(catalog, registered(), answer)[1:] == [
        'device001 GET /3 -> 2.05  5 values: Manufacturer "My Demo Device", '
        "Battery Level 72 %, Memory Free 75108 KB, …"
    ]


def test_what_has_no_model_is_told_by_its_path(catalog: Catalog) -> None:
    assert told(catalog, read(("/33333/0/1", b"\x01"))) == [
        "device001 GET /3 -> 2.05  1 value: /33333/0/1 0x01"
    ]


def test_failures_are_told_with_their_reason(catalog: Catalog) -> None:
    assert told(
        catalog,
        read(code=Code.NOT_FOUND),
        read(error="byte 3: truncated"),
        Failed("device001", 0.0, 7, "execute", Path("/3/0/4"), "timeout"),
    ) == [
        "device001 GET /3 -> 4.04",
        "device001 GET /3 -> 2.05  not decoded: byte 3: truncated",
        "device001 POST /3/0/4 failed: timeout",
    ]


def test_a_managed_resource_shows_where_each_attribute_comes_from(catalog: Catalog) -> None:
    attributes: dict[str, Value] = {
        "deviceName": "My Demo Device",
        "location": "geo:52.5,13.4",
        "deviceLabel": "d",
    }
    change = ManagedChange("m2m:deviceInfo", "device-info", attributes, attributes)
    assert told(catalog, ManagedChanged("device001", 0.0, change)) == [
        'device001 deviceInfo   deviceName "My Demo Device" <- /3/0/0 · '
        'location geo:52.5,13.4 <- /6/0/0 /6/0/1 · deviceLabel "d"'
    ]


def test_sleep_and_messages(catalog: Catalog) -> None:
    waiting = Waiting(1, Read(Path("/3/0/9")), 0.0, None)
    assert told(catalog, Asleep("device002", 0.0), Queued("device002", 0.0, waiting)) == [
        "device002 asleep (queue mode); messages to it wait for its next Update",
        "device002 message accepted: GET /3/0/9",
    ]


def test_quiet_devices_are_not_narrated(catalog: Catalog) -> None:
    assert told(catalog, registered("device900"), quiet=frozenset({"device900"})) == []


def test_values_are_shown_as_one_would_type_them() -> None:
    assert [literal(value) for value in ('a"b', True, 2.5, b"x" * 17, None, 2**63)] == [
        '"a\\"b"',
        "true",
        "2.5",
        "17 bytes",
        "nothing",
        "9223372036854775808",
    ]
    assert quantity(72, "/100") == "72 %"
    assert quantity("x", "") == '"x"'
