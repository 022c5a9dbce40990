"""Wishes become requests: the inverse of rules, actions, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwm2m_engine import Action, Catalog, Entry, Mapping, Path, PluginManager, Rule, When
from lwm2m_engine.coap import Code
from lwm2m_engine.errors import MappingConflict, MappingError, RequestError
from lwm2m_engine.mapping.commands import Order, orders
from lwm2m_engine.mapping.managed import ManagedCommand
from lwm2m_engine.mapping.rules import Source
from lwm2m_engine.mapping.table import MappingTable
from lwm2m_engine.messages import Execute, Observe, Write
from lwm2m_engine.values import Value


def half(level: int) -> float:
    return level / 2


def twice(level: Any) -> int:
    if level > 50:
        raise ValueError("it is too much")
    return round(level * 2)


VALVE = Mapping(
    "acme:valve",
    name="valve-{instance}",
    rules=[
        Rule("/3311/*/dimmer", "opening", convert=half, write=twice),
        Rule("/3311/*/colour", "paint", write=True),
        Rule("/3311/*/on_off", "open"),
        Rule(
            ("/3311/*/5852", "/3311/*/5851"),
            "both",
            convert=lambda first, second: f"{first},{second}",
            write=lambda text: tuple(float(part) for part in text.split(",")),
        ),
    ],
)
DEVICE = Mapping(
    "acme:device",
    name="device",
    actions=[
        Action("/3/0/reboot", "reboot"),
        Action(
            "/3/0/factory_reset",
            "reset",
            arguments="0='now'",
            when=When(("/3/0/battery_level", "/3/0/memory_free"), lambda level, free: level and level > 20),
        ),
    ],
)


@pytest.fixture(scope="module")
def table(catalog: Catalog) -> MappingTable:
    return MappingTable.compile([("valves", VALVE), ("devices", DEVICE)], catalog)


def made(table: MappingTable, catalog: Catalog, name: str, **changes: Any) -> tuple[Order, ...]:
    return orders(table, ManagedCommand("dev1", table.kind(name), name, changes), catalog)


def test_one_value_is_written_to_its_resource(table: MappingTable, catalog: Catalog) -> None:
    dimmer = Path("/3311/7/5851")
    assert made(table, catalog, "valve-7", opening=20) == (Order(Write(dimmer, (Entry(dimmer, 40),))),)


def test_several_values_of_an_instance_are_a_partial_update(table: MappingTable, catalog: Catalog) -> None:
    (order,) = made(table, catalog, "valve-7", paint="red", both="3,40")
    entries = (
        Entry(Path("/3311/7/5706"), "red"),
        Entry(Path("/3311/7/5852"), 3),
        Entry(Path("/3311/7/5851"), 40),
    )
    assert order == Order(Write(Path("/3311/7"), entries, replace=False))


def test_an_action_executes_and_one_that_waits_is_deferred(table: MappingTable, catalog: Catalog) -> None:
    assert made(table, catalog, "device", reboot=True) == (Order(Execute(Path("/3/0/4"))),)
    assert made(table, catalog, "device", reboot=False, reset=True) == (
        Order(Observe(Path("/3/0/9"))),
        Order(Observe(Path("/3/0/10"))),
        Order(Execute(Path("/3/0/5"), "0='now'"), deferred=True),
    )
    assert made(table, catalog, "device", reboot=False) == ()


@pytest.mark.parametrize(
    ("name", "changes", "code", "reason"),
    [
        ("valve-7", {"open": True}, Code.METHOD_NOT_ALLOWED, "it is what the device tells in /3311/7/5850"),
        ("valve-7", {"lock": True}, Code.METHOD_NOT_ALLOWED, "lock of valve-7 cannot be written"),
        ("valve-x", {"paint": "red"}, Code.METHOD_NOT_ALLOWED, "paint of valve-x cannot be written"),
        ("valve-07", {"paint": "red"}, Code.METHOD_NOT_ALLOWED, "paint of valve-07 cannot be written"),
        ("valve-7", {"opening": 51}, Code.BAD_REQUEST, "opening: 51 cannot be written: it is too much"),
        ("valve-7", {"opening": None}, Code.BAD_REQUEST, "opening: None cannot be written: "),
        ("valve-7", {"opening": {}}, Code.BAD_REQUEST, "opening: {} cannot be written: "),
        ("valve-7", {"paint": 5}, Code.BAD_REQUEST, "paint: 5 is not a String"),
        ("valve-7", {"both": 1}, Code.INTERNAL_SERVER_ERROR, "write raised AttributeError"),
        ("valve-7", {"both": "1"}, Code.BAD_REQUEST, "both: '1' cannot be written: "),
        ("device", {"reboot": 1}, Code.BAD_REQUEST, "reboot must be true or false, not 1"),
        ("device", {"reboot": True, "reset": True}, Code.BAD_REQUEST, "only one of reboot and reset"),
    ],
)
def test_what_cannot_be_done_is_refused(
    table: MappingTable, catalog: Catalog, name: str, changes: dict[str, Any], code: int, reason: str
) -> None:
    with pytest.raises(RequestError) as refusal:
        made(table, catalog, name, **changes)
    assert refusal.value.code == code
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (Rule("/3/0/9", "level", write=True), "/3/0/9 (Battery Level) cannot be written"),
        (Rule("/3/0/14", "offset", convert=str.upper, write=True), "write must be the function that undoes"),
        (Rule("/3/0/14", "offset", write=lambda: "x"), "write cannot be called with 1 argument(s)"),
        (Rule("/3/0/11/*", "codes", write=True), "only Resources and Resource Instances can be written"),
        (Action("/3/0/9", "level"), "/3/0/9 (Battery Level) cannot be executed"),
        (Action("/3/0/rebot", "reboot"), "did you mean 'reboot'"),
        (Action("/3/0", "reboot"), "'/3/0' is no Resource"),
        (Action("/3/*/4", "reboot"), "needs {instance} in the name"),
        (Action("/3/0/4", ""), "the target must be the name of an attribute"),
        (Action("/3/0/4", "reboot", status="how"), "status and tell belong together"),
        (Action("/3/0/4", "reboot", when=When("/3/0/9", lambda: True)), "test cannot be called with 1"),
    ],
)
def test_what_cannot_work_does_not_compile(catalog: Catalog, made: Rule | Action, reason: str) -> None:
    given: dict[str, Any] = {"rules": [made]} if isinstance(made, Rule) else {"actions": [made]}
    with pytest.raises(MappingError) as refusal:
        MappingTable.compile([("p", Mapping("acme:one", name="one", **given))], catalog)
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "sources"),
    [
        ("one-{instance}", ["/9/0/0"]),
        ("one-{instance}", ["/9/*/0", "/15/*/0"]),
        ("one-{instance}", ["/9/*/0", "/9/3/1"]),
        ("one", ["/9/*/0"]),
    ],
)
def test_each_instance_is_of_one_object(catalog: Catalog, name: str, sources: list[Source]) -> None:
    rule = Rule(tuple(sources), "x", convert=lambda *values: str(values))
    with pytest.raises(MappingError, match="instance"):
        MappingTable.compile([("p", Mapping("acme:one", name=name, rules=[rule]))], catalog)


def test_a_rule_and_an_action_for_one_attribute_are_a_conflict(catalog: Catalog) -> None:
    both = Mapping("acme:one", name="one", rules=[Rule("/3/0/9", "x")], actions=[Action("/3/0/4", "x")])
    with pytest.raises(MappingConflict, match="x of 'one' is written by"):
        MappingTable.compile([("p", both)], catalog)
    winner = Mapping("acme:one", name="one", actions=[Action("/3/0/5", "x")], replaces="p")
    loser = Mapping("acme:one", name="one", actions=[Action("/3/0/4", "x")])
    table = MappingTable.compile([("p", loser), ("q", winner)], catalog)
    assert made(table, catalog, "one", x=True) == (Order(Execute(Path("/3/0/5"))),)


# --- back and forth ----------------------------------------------------------------------------------

NUMBERS = st.integers(-(2**63), 2**63 - 1)
WRITABLE: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "systemTime": ("device-info", st.integers(0, 10**9).map(lambda seconds: str(seconds * 1000))),
    "URL": ("firmware", st.text(max_size=60)),
    "collectionPeriod": ("connectivity-statistics", NUMBERS),
    "logTypeId": ("event-log-3", st.integers(1, 5)),
    "applicationType": ("temperature-65534", st.text(max_size=20)),
    "currentPosition": ("positioner-1", st.floats(allow_nan=False)),
    "onOff": ("light-control-2", st.booleans()),
    "clip": ("audio-clip-0", st.just("AQID")),
    "currentTime": ("time-0", st.integers(0, 10**9).map(lambda seconds: seconds * 1000)),
}


@pytest.fixture(scope="module")
def everything(catalog: Catalog) -> MappingTable:
    return PluginManager.default(enabled=["ipso_sensors"]).table(catalog)


@pytest.mark.parametrize("attribute", WRITABLE)
@given(data=st.data())
@settings(max_examples=25)
def test_what_is_written_is_what_shows_when_the_device_has_accepted_it(
    everything: MappingTable, catalog: Catalog, attribute: str, data: st.DataObject
) -> None:
    name, values = WRITABLE[attribute]
    value = data.draw(values)
    command = ManagedCommand("dev1", "", name, {attribute: value})
    (order,) = orders(everything, command, catalog)
    assert isinstance(order.request, Write)
    managed: dict[str, dict[str, Any]] = {}
    inputs: dict[Path, Value] = {}
    problems: list[Any] = []
    everything.apply("dev1", inputs, managed, order.request.entries, problems)
    assert problems == []
    shown = managed[name][attribute]
    assert shown == (b"\x01\x02\x03" if attribute == "clip" else value)
