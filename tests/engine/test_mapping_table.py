"""Values in, changes of managed resources out."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine import ENDPOINT, Catalog, Entry, Mapping, Path, Rule
from lwm2m_engine.mapping.managed import ManagedChange
from lwm2m_engine.mapping.table import MappingProblem, MappingTable
from lwm2m_engine.values import Value


@attrs.define
class Subject:
    """One device and what a table made of it."""

    table: MappingTable
    endpoint: str = "dev1"
    inputs: dict[Path, Value] = attrs.field(factory=dict)
    managed: dict[str, dict[str, Value]] = attrs.field(factory=dict)
    problems: list[MappingProblem] = attrs.field(factory=list)

    def begin(self) -> list[ManagedChange]:
        return self.table.begin(self.endpoint, self.inputs, self.managed, self.problems)

    def apply(self, *entries: Entry, **values: Any) -> list[ManagedChange]:
        return self.table.apply(self.endpoint, self.inputs, self.managed, entries, self.problems)

    def say(self, path: str, value: Value | None, time: float | None = None) -> dict[str, Value]:
        """The changed attributes of the only change, if any."""
        changes = self.apply(Entry(Path(path), value, time))
        assert len(changes) <= 1
        return dict(changes[0].changed) if changes else {}


def geo(latitude: float, longitude: float) -> str:
    return f"geo:{latitude},{longitude}"


def half(level: int) -> int | None:
    if level > 100:
        raise ValueError(f"{level} is more than all")
    return level // 2 if level else None


INFO = Mapping(
    "m2m:deviceInfo",
    name="device-info",
    read_at_register=True,
    rules=[
        Rule(ENDPOINT, "deviceLabel"),
        Rule("/3/0/0", "deviceName"),
        Rule((ENDPOINT, "/3/0/2"), "serial", convert=lambda name, serial: f"{name}#{serial}"),
        Rule(("/6/0/0", "/6/0/1"), "location", convert=geo),
        Rule("/3/0/6/0", "source"),
    ],
)
BATTERY = Mapping(
    "m2m:battery",
    name="battery",
    rules=[Rule("/3/0/9", "batteryLevel"), Rule("/3/0/9", "half", convert=half)],
)


@pytest.fixture(scope="session")
def table(catalog: Catalog) -> MappingTable:
    return MappingTable.compile([("info", INFO), ("battery", BATTERY)], catalog)


@pytest.fixture
def subject(table: MappingTable) -> Subject:
    return Subject(table)


def test_begin_makes_what_needs_only_the_endpoint_once(subject: Subject) -> None:
    (change,) = subject.begin()
    assert change == ManagedChange(
        "m2m:deviceInfo",
        "device-info",
        {"deviceLabel": "dev1"},
        {"deviceLabel": "dev1"},
        (("urn:oma:lwm2m:oma:3", Path("/3/0")), ("urn:oma:lwm2m:oma:6", Path("/6/0"))),
    )
    assert subject.begin() == []


def test_the_first_entry_brings_the_endpoint_along(subject: Subject) -> None:
    assert subject.say("/3/0/0", "ACME") == {"deviceLabel": "dev1", "deviceName": "ACME"}
    assert subject.begin() == []


def test_only_changed_attributes_are_told_with_all_there_are(subject: Subject) -> None:
    subject.begin()
    (change,) = subject.apply(Entry(Path("/3/0/0"), "ACME"))
    assert change.changed == {"deviceName": "ACME"}
    assert change.attributes == {"deviceLabel": "dev1", "deviceName": "ACME"}
    assert subject.say("/3/0/0", "ACME") == {}


def test_a_change_does_not_change_afterwards(subject: Subject) -> None:
    (first,) = subject.apply(Entry(Path("/3/0/9"), 80))
    subject.say("/3/0/9", 70)
    assert first.attributes == {"batteryLevel": 80, "half": 40}


def test_several_sources_wait_for_each_other(subject: Subject) -> None:
    subject.begin()
    assert subject.say("/6/0/0", 52.5) == {}
    assert subject.say("/6/0/1", 13.4) == {"location": "geo:52.5,13.4"}
    assert subject.say("/6/0/0", 52.6) == {"location": "geo:52.6,13.4"}
    assert subject.say("/3/0/2", "S1") == {"serial": "dev1#S1"}


def test_one_payload_runs_a_rule_once(catalog: Catalog) -> None:
    calls: list[tuple[float, float]] = []

    def count(latitude: float, longitude: float) -> str:
        calls.append((latitude, longitude))
        return geo(latitude, longitude)

    rule = Rule(("/6/0/0", "/6/0/1"), "location", convert=count)
    table = MappingTable.compile([("p", Mapping("m2m:deviceInfo", name="i", rules=[rule]))], catalog)
    Subject(table).apply(Entry(Path("/6/0/0"), 1.0), Entry(Path("/6/0/1"), 2.0))
    assert calls == [(1.0, 2.0)]


def test_one_payload_changes_several_resources(subject: Subject) -> None:
    changes = subject.apply(Entry(Path("/3/0/0"), "ACME"), Entry(Path("/3/0/9"), 80))
    assert {change.name: change.kind for change in changes} == {
        "device-info": "m2m:deviceInfo",
        "battery": "m2m:battery",
    }


def test_a_resource_instance_is_a_source_of_its_own(subject: Subject) -> None:
    subject.begin()
    assert subject.say("/3/0/6/0", 1) == {"source": 1}
    assert subject.say("/3/0/6/1", 5) == {}
    assert subject.table.is_mapped(Path("/3/0/6/0"))
    assert not subject.table.is_mapped(Path("/3/0/6"))


def test_what_nothing_reads_leaves_no_trace(subject: Subject) -> None:
    assert subject.apply(Entry(Path("/3303/0/5700"), 21.5), Entry(Path("/3/0"), 1)) == []
    assert subject.inputs == {}
    assert subject.managed == {}


def test_the_newest_of_several_samples_counts(subject: Subject) -> None:
    path = Path("/3/0/9")
    subject.apply(Entry(path, 70, 300.0), Entry(path, 90, 100.0), Entry(path, 80, 200.0))
    assert subject.inputs[path] == 70
    subject.apply(Entry(path, 10), Entry(path, 20, 9e9))
    assert subject.inputs[path] == 10


def test_a_value_that_goes_is_forgotten_and_its_attribute_stays(subject: Subject) -> None:
    subject.say("/6/0/0", 52.5)
    subject.say("/6/0/1", 13.4)
    assert subject.say("/6/0/0", None) == {}
    assert Path("/6/0/0") not in subject.inputs
    assert subject.managed["device-info"]["location"] == "geo:52.5,13.4"
    assert subject.say("/6/0/1", 14.0) == {}


@pytest.mark.parametrize(("former", "later"), [(1, True), (1, 1.0), (True, 1)])
def test_a_value_of_another_type_is_another_value(subject: Subject, former: Value, later: Value) -> None:
    subject.say("/3/0/6/0", former)
    changed = subject.say("/3/0/6/0", later)
    assert repr(changed) == repr({"source": later})


def test_convert_may_leave_the_attribute_alone(subject: Subject) -> None:
    subject.say("/3/0/9", 80)
    assert subject.say("/3/0/9", 0) == {"batteryLevel": 0}
    assert subject.managed["battery"]["half"] == 40
    assert subject.problems == []


def test_a_failing_convert_is_a_problem_and_stops_nothing(subject: Subject) -> None:
    assert subject.say("/3/0/9", 101) == {"batteryLevel": 101}
    (problem,) = subject.problems
    assert str(problem) == (
        "plugin battery: battery: rule half <- /3/0/9: convert(101) raised ValueError: 101 is more than all"
    )


def test_a_result_that_is_no_value_is_a_problem(catalog: Catalog) -> None:
    rule = Rule("/3/0/9", "set", convert=lambda level: {level})  # type: ignore[arg-type,return-value]
    table = MappingTable.compile([("p", Mapping("m2m:battery", name="b", rules=[rule]))], catalog)
    subject = Subject(table)
    assert subject.say("/3/0/9", 1) == {}
    assert "convert returned set, which is no value" in str(subject.problems[0])
    assert subject.managed == {}


def test_sources_say_where_an_attribute_comes_from(table: MappingTable) -> None:
    assert table.sources("device-info", "location") == (Path("/6/0/0"), Path("/6/0/1"))
    assert table.sources("device-info", "deviceLabel") == ()
    assert table.sources("device-info", "unheard of") == ()


def test_the_empty_table_maps_nothing() -> None:
    subject = Subject(MappingTable())
    assert subject.begin() == []
    assert subject.say("/3/0/9", 1) == {}


# --- properties ------------------------------------------------------------------------------------

VALUES: dict[str, st.SearchStrategy[Value]] = {
    "/3/0/0": st.text(max_size=3),
    "/3/0/2": st.text(max_size=3),
    "/3/0/6/0": st.integers(0, 7),
    "/3/0/9": st.integers(1, 100),
    "/6/0/0": st.floats(-90, 90),
    "/6/0/1": st.floats(-180, 180),
    "/3303/0/5700": st.floats(-40, 85),
}
ENTRIES = st.lists(
    st.sampled_from(sorted(VALUES)).flatmap(
        lambda path: VALUES[path].map(lambda value: Entry(Path(path), value))
    )
)


@given(ENTRIES, st.lists(st.integers(0, 20)))
def test_how_values_are_spread_over_payloads_does_not_matter(
    table: MappingTable, entries: list[Entry], cuts: list[int]
) -> None:
    at_once, bit_by_bit = Subject(table), Subject(table)
    at_once.apply(*entries)
    bounds = [0, *sorted(min(cut, len(entries)) for cut in cuts), len(entries)]
    for start, end in pairwise(bounds):
        bit_by_bit.apply(*entries[start:end])
    assert at_once.managed == bit_by_bit.managed
    assert at_once.inputs == bit_by_bit.inputs


@given(st.lists(ENTRIES))
def test_changes_played_back_give_the_state(table: MappingTable, payloads: list[list[Entry]]) -> None:
    subject = Subject(table)
    copy: dict[str, dict[str, Value]] = {}
    for change in subject.begin() + [change for payload in payloads for change in subject.apply(*payload)]:
        assert change.changed
        copy.setdefault(change.name, {}).update(change.changed)
        assert copy[change.name] == change.attributes
    assert copy == subject.managed
    assert subject.problems == []


@given(ENTRIES)
def test_nothing_changes_when_the_same_is_said_again(table: MappingTable, entries: list[Entry]) -> None:
    subject = Subject(table)
    subject.apply(*entries)
    assert subject.apply(*entries) == []
