"""Reads of the ledger that need more than one table row to go by."""

import pytest

from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.reading import GENERATIONS
from lwm2m_server.store.records import Resource

DEPTH = 2 * GENERATIONS + 1
NAMES = [f"level-{level}" for level in range(DEPTH)]


@pytest.fixture
def reader(tmp_path):
    def fill(transaction):
        for level, name in enumerate(NAMES):
            transaction.put(Resource(101 + level, "main", 100 + level, name, 14, "m2m:nod", {"n": level}, 1))
        transaction.put(Resource(900, "main", 101, "aunt", 14, "m2m:nod", {}, 1))

    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger.run(fill)
    yield ledger.reader
    ledger.close()


@pytest.mark.parametrize("count", range(DEPTH + 1))
def test_names_lead_down_generation_by_generation(reader, count):
    found = reader.below(100, NAMES[:count])
    assert [(one.id, one.name, one.attributes) for one in found] == [
        (101 + level, NAMES[level], {"n": level}) for level in range(count)
    ]


@pytest.mark.parametrize("wrong", range(DEPTH))
def test_they_lead_as_far_as_they_are_right(reader, wrong):
    names = [*NAMES[:wrong], "nobody", *NAMES[wrong + 1 :]]
    assert [one.name for one in reader.below(100, names)] == NAMES[:wrong]


def test_a_name_counts_below_its_parent_only(reader):
    assert [one.name for one in reader.below(100, ["level-0", "aunt", "level-2"])] == ["level-0", "aunt"]
    assert reader.below(100, ["aunt"]) == []
