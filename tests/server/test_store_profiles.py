"""Which devices a profile was assigned to by name: found by the profile, moved a few at a time."""

import pytest

from lwm2m_engine.paths import Path
from lwm2m_server.store.errors import Gone
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Resource, Subject


def node(id, tenant="main"):
    return Resource(id, tenant, 1, f"n{id}", 14, "m2m:nod", {"ni": f"n{id}"}, id)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path):
    opened = SqliteLedger(path)

    def fill(tx):
        for id in (10, 20, 30, 40):
            tx.put(node(id))
        tx.put(node(50, "other"))
        for id in (10, 20, 40, 50):
            tx.set_profile(id, "meter")

    opened.run(fill)
    yield opened
    opened.close()


def test_an_assignment_outlives_a_restart(ledger, path):
    ledger.close()
    again = SqliteLedger(path)
    assert [again.reader.device(id).profile for id in (10, 30, 50)] == ["meter", None, "meter"]
    again.close()


def test_devices_are_found_by_their_profile(ledger):
    read = ledger.reader
    assert read.assigned("main", "meter", limit=2) == [10, 20]
    assert read.assigned("main", "meter", after=20, limit=2) == [40]
    assert read.assigned("other", "meter", limit=2) == [50]
    assert read.assigned("main", "nothing", limit=2) == []


def test_they_are_moved_a_few_at_a_time(ledger):
    moves = [ledger.run(lambda tx: tx.move_assigned("main", "meter", "counter", 2)) for _ in range(3)]
    assert moves == [2, 1, 0]
    assert ledger.reader.assigned("main", "counter", limit=9) == [10, 20, 40]
    assert ledger.reader.assigned("other", "meter", limit=9) == [50]
    ledger.run(lambda tx: tx.move_assigned("main", "counter", None, 9))
    assert ledger.reader.device(10).profile is None


def test_what_is_gone_has_no_profile(ledger):
    ledger.run(lambda tx: tx.remove(20))
    assert ledger.reader.assigned("main", "meter", limit=9) == [10, 40]
    with pytest.raises(Gone):
        ledger.run(lambda tx: tx.set_profile(20, "meter"))


def test_what_a_device_says_it_is(ledger):
    ledger.run(lambda tx: tx.set_inputs(10, {Path("/3/0/0"): "ACME", Path("/3/0/9"): 50}))
    assert ledger.reader.described(10) == ("ACME", None)
    assert ledger.reader.described(20) == (None, None)


def test_candidates_for_a_profile(ledger):
    found = ledger.reader.subjects("main", after=10, limit=2)
    assert found == [Subject(20, "main", "n20", None, "meter"), Subject(30, "main", "n30", None, None)]
    assert ledger.reader.subject(20) == found[0]
    assert ledger.reader.subject(99) is None
