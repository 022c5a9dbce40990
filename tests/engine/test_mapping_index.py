"""Rules of each Object Instance and of whole multiple-instance Resources."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine import Action, Catalog, Entry, Mapping, Path, Rule
from lwm2m_engine.mapping import index
from lwm2m_engine.mapping.managed import ManagedChange, Outcome
from lwm2m_engine.mapping.table import MappingTable
from lwm2m_engine.values import Value

SOFTWARE = Mapping(
    "m2m:software",
    name="software-{instance}",
    rules=[
        Rule("/9/*/pkg_name", "softwareName"),
        Rule(("/9/*/7", "/9/*/9"), "progress", convert=lambda state, result: f"{state}/{result}"),
        Rule("/9/*/17/*", "parts", convert=lambda links: {str(id): str(link) for id, link in links.items()}),
    ],
    actions=[
        Action("/9/*/install", "install", status="how", tell=lambda outcome: outcome.value),
        Action("/9/*/activate", "activate", shows=True),
    ],
)
NETWORK = Mapping(
    "dcfg:mnwk",
    name="mobile-network",
    rules=[Rule("/4/0/4/*", "ipAddresses"), Rule("/4/0/4/0", "first"), Rule("/4/0/2", "signal")],
)


class Subject:
    """A device, and what the table made of it."""

    def __init__(self, table: MappingTable) -> None:
        self.table = table
        self.inputs: dict[Path, Value] = {}
        self.managed: dict[str, dict[str, Any]] = {}
        self.problems: list[Any] = []

    def apply(self, values: dict[str, Any], *, complete: bool = False) -> list[ManagedChange]:
        entries = [Entry(Path(path), value) for path, value in values.items()]
        changes = self.table.apply(
            "dev1", self.inputs, self.managed, entries, self.problems, complete=complete
        )
        assert self.problems == []
        return changes


@pytest.fixture(scope="module")
def table(catalog: Catalog) -> MappingTable:
    return MappingTable.compile([("software", SOFTWARE), ("network", NETWORK)], catalog)


@pytest.fixture
def subject(table: MappingTable) -> Subject:
    return Subject(table)


def test_each_instance_has_a_managed_resource_of_its_own(subject: Subject) -> None:
    changes = subject.apply({"/9/0/0": "player", "/9/7/0": "radio", "/9/7/7": 3})
    assert [(change.kind, change.name) for change in changes] == [
        ("m2m:software", "software-0"),
        ("m2m:software", "software-7"),
    ]
    assert changes[1].attributes == {"install": False, "activate": True, "softwareName": "radio"}
    assert changes[1].places == (("urn:oma:lwm2m:oma:9", Path("/9/7")),)
    (change,) = subject.apply({"/9/7/9": 0})
    assert (change.name, change.changed) == ("software-7", {"progress": "3/0"})
    assert subject.table.sources("software-7", "progress") == (Path("/9/7/7"), Path("/9/7/9"))


def test_what_executes_is_there_when_the_device_has_the_instance(subject: Subject) -> None:
    instances = [Path("/9/2"), Path("/3/0")]
    changes = subject.table.begin("dev1", {}, subject.managed, [], instances)
    assert [(change.name, change.changed) for change in changes] == [
        ("software-2", {"install": False, "activate": True})
    ]
    assert subject.table.begin("dev1", {}, subject.managed, [], instances) == []


def test_an_outcome_is_told_in_the_words_of_the_action(subject: Subject) -> None:
    (change,) = subject.table.conclude(Path("/9/4/4"), Outcome.PENDING, subject.managed, [])
    assert (change.name, change.changed["how"]) == ("software-4", "pending")
    (change,) = subject.table.conclude(Path("/9/4/4"), Outcome.FAILED, subject.managed, [])
    assert change.changed == {"how": "failed"}
    for path in ("/9/4/10", "/9/4/6", "/3/0/4", "/9", "/9/4", "/4/0/4/1"):
        assert subject.table.conclude(Path(path), Outcome.DONE, subject.managed, []) == []


def test_all_instances_of_a_resource_are_taken_together(subject: Subject) -> None:
    (change,) = subject.apply({"/4/0/4/1": "b", "/4/0/4/0": "a"})
    assert change.attributes == {"ipAddresses": ["a", "b"], "first": "a"}
    (change,) = subject.apply({"/4/0/4/7": "c"})
    assert change.changed == {"ipAddresses": ["a", "b", "c"]}
    (change,) = subject.apply({"/9/1/17/0": "3:0", "/9/1/17/5": "3:1"})
    assert change.changed["parts"] == {"0": "3:0", "5": "3:1"}


def test_those_that_are_gone_are_forgotten_when_the_others_are_all_there_are(subject: Subject) -> None:
    subject.apply({"/4/0/4/0": "a", "/4/0/4/1": "b", "/4/0/2": -90})
    (change,) = subject.apply({"/4/0/4/1": "b"}, complete=True)
    assert change.changed == {"ipAddresses": ["b"]}
    assert subject.inputs == {Path("/4/0/4/1"): "b", Path("/4/0/2"): -90}


@pytest.mark.parametrize("path", ["/9/1/0", "/4/0/4/0", "/4/0/4/65535", "/9/65534/17/2", "/4/0/2"])
def test_paths_that_are_mapped(subject: Subject, path: str) -> None:
    assert subject.table.is_mapped(Path(path))
    assert subject.table.mapped([Entry(Path(path), 1)]) == [Entry(Path(path), 1)]


@pytest.mark.parametrize("path", ["/", "/9", "/9/1", "/9/1/2", "/4/1/4/0", "/4/0/5/0", "/9/1/0/1", "/3/0/9"])
def test_paths_that_are_not(subject: Subject, path: str) -> None:
    assert not subject.table.is_mapped(Path(path))
    assert subject.table.mapped([Entry(Path(path), 1)]) == []


def test_devices_cannot_fill_the_memory(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MAX_LEARNT", 10)
    for instance in range(100):
        (change,) = subject.apply({f"/9/{instance}/0": "x", f"/4/0/4/{instance}": "y"})[:1]
        assert change.name == f"software-{instance}"
        assert len(subject.table._by_path) < 60
    (change,) = subject.apply({"/9/3/0": "again"})
    assert change.changed == {"softwareName": "again"}
    assert len(subject.managed["mobile-network"]["ipAddresses"]) == 100


PATHS = [
    Path(path)
    for path in ("/9/0/0", "/9/0/7", "/9/0/9", "/9/5/7", "/9/5/9", "/4/0/4/0", "/4/0/4/3", "/4/0/2", "/3/0/9")
]


@given(st.lists(st.dictionaries(st.sampled_from(PATHS), st.integers(0, 3), min_size=1), max_size=12))
def test_the_way_values_arrive_makes_no_difference(
    table: MappingTable, payloads: list[dict[Path, int]]
) -> None:
    """Piece by piece, with a table that forgets all the time, or the last of each at once."""
    piecewise, at_once = Subject(table), Subject(table)
    last: dict[str, int] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "MAX_LEARNT", 1)
        for payload in payloads:
            values = {str(path): value for path, value in payload.items()}
            for change in piecewise.apply(values):
                assert change.attributes == piecewise.managed[change.name]
                assert change.changed.items() <= change.attributes.items()
            last |= values
    at_once.apply(last)
    assert piecewise.managed == at_once.managed
    assert piecewise.inputs == at_once.inputs
