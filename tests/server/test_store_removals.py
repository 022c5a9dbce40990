"""Removals and expiration in the ledger: gone at once, deleted a share at a time, found after a restart."""

import sqlite3
import time

import attrs
import pytest

from lwm2m_server.store import removals
from lwm2m_server.store.errors import Conflict, Gone
from lwm2m_server.store.ids import SECOND, timestamp
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Message, Resource

TABLES = ("resource", "message", "entry", "container", "doomed")
HOUR = 3600


class Clock:
    def __init__(self):
        self.now = time.time()

    def __call__(self):
        return self.now

    def moment(self, seconds):
        return int((self.now + seconds) * SECOND)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(file, clock):
    ledger = SqliteLedger(file, clock=clock)
    yield ledger
    ledger.close()


def box(id, parent=1, **attributes):
    return Resource(id, "main", parent, f"box{id}", 3, "m2m:cnt", attributes, id)


def message(id, container, **more):
    return Message(id, container, None, "C", 0, "x", None, 1, **more)


def counts(file):
    with sqlite3.connect(file) as connection:
        return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}


def test_what_lies_below_goes_later_and_leaves_nothing(ledger, file, monkeypatch):
    monkeypatch.setattr(removals, "AT_ONCE", 5)

    def fill(write):
        for id in range(2, 40):
            write.put(box(id, id // 2))
            for number in range(3):
                write.add_message(message(id * 100 + number, id))

    ledger.run(fill)
    ledger.run(lambda write: write.remove(2))
    assert ledger.reader.resource(2) is None
    assert ledger.reader.child(1, "box2") is None
    shares = 0
    while ids := ledger.reader.doomed(10):
        ledger.run(lambda write, ids=ids: write.clear(ids, 5))
        shares += 1
    assert shares > 10
    # Nothing but the other half of the tree is there still.
    left = {id for id in range(2, 40) if ledger.reader.resource(id) is not None}
    assert left == {id for id in range(3, 40) if f"{id:b}".startswith("11")}
    ledger.run(lambda write: write.remove(3))
    while ids := ledger.reader.doomed(10):
        ledger.run(lambda write, ids=ids: write.clear(ids, 5))
    ledger.close()
    assert counts(file) == dict.fromkeys(TABLES, 0)


def test_a_removal_is_finished_after_a_restart(ledger, file, clock, monkeypatch):
    monkeypatch.setattr(removals, "AT_ONCE", 1)
    ledger.run(lambda write: [write.put(box(2)), *(write.put(box(id, 2)) for id in range(3, 9))])
    ledger.run(lambda write: write.remove(2))
    ledger.close()
    again = SqliteLedger(file, clock=clock)
    while ids := again.reader.doomed(1):
        again.run(lambda write, ids=ids: write.clear(ids, 2))
    again.close()
    assert counts(file) == dict.fromkeys(TABLES, 0)


def test_messages_of_a_large_container_go_a_few_at_a_time(ledger, file, monkeypatch):
    monkeypatch.setattr(removals, "AT_ONCE", 10)
    ledger.run(lambda write: write.put(box(2, mni=100)))
    # The named one is in the list of the container, and so are those before it; the rest has arrived only.
    ledger.run(lambda write: [write.add_message(message(id, 2)) for id in range(100, 130)])
    ledger.run(lambda write: write.add_message(Message(130, 2, "named", "C", 0, "x", None, 1)))
    ledger.run(lambda write: [write.add_message(message(id, 2)) for id in range(131, 160)])
    ledger.run(lambda write: write.remove(2))
    assert counts(file)["message"] == 50
    assert ledger.reader.message(131) is None or ledger.reader.resource(2) is None
    with pytest.raises(Gone):
        ledger.run(lambda write: write.add_message(message(999, 2)))
    while ids := ledger.reader.doomed(1):
        ledger.run(lambda write, ids=ids: write.clear(ids, 10))
    ledger.close()
    assert counts(file) == dict.fromkeys(TABLES, 0)


def test_what_is_doomed_in_the_other_store_can_be_spared(ledger):
    ledger.run(lambda write: write.put(box(2, parent=77)))
    ledger.run(lambda write: write.doom(77))
    assert ledger.run(lambda write: write.is_doomed(77))
    assert ledger.reader.doomed(5) == [77]
    ledger.run(lambda write: write.spare(77))
    assert ledger.reader.doomed(5) == []
    assert ledger.reader.resource(2) is not None


def test_a_resource_is_there_until_it_is_over(ledger, clock):
    end = clock.moment(HOUR)
    ledger.run(lambda write: write.put(box(2)))
    ledger.run(lambda write: write.put(box(3, 2, et=timestamp(end))))
    ledger.run(lambda write: write.put(box(4, 3)))
    reader = ledger.reader
    assert reader.next_expiry() == end
    assert reader.below(1, ["box2", "box3", "box4"])[-1].id == 4
    clock.now += HOUR
    assert reader.resource(3) is None
    assert reader.child(2, "box3") is None
    assert [one.id for one in reader.below(1, ["box2", "box3", "box4"])] == [2]
    assert reader.children(2) == []
    assert reader.count_children(2) == 0
    with pytest.raises(Gone):
        ledger.run(lambda write: write.add_message(message(9, 3)))
    assert ledger.run(lambda write: write.change(3, {}, 1)) is None
    assert [one.id for one in reader.expired(5)] == [3]
    ledger.run(lambda write: write.remove(3))
    assert reader.next_expiry() is None


def test_the_name_of_what_is_over_is_free(ledger, clock):
    ledger.run(lambda write: write.put(box(2)))
    ledger.run(lambda write: write.put(box(3, 2, et=timestamp(clock.moment(HOUR)))))
    ledger.run(lambda write: write.put(box(4, 3)))
    again = attrs.evolve(box(5, 2), name="box3")
    with pytest.raises(Conflict):
        ledger.run(lambda write: write.put(again))
    clock.now += HOUR
    ledger.run(lambda write: write.put(again))
    assert ledger.reader.child(2, "box3") == again
    assert ledger.reader.resource(4) is None


def test_an_update_changes_when_it_is_over(ledger, clock):
    ledger.run(lambda write: write.put(box(2, et=timestamp(clock.moment(HOUR)))))
    ledger.run(lambda write: write.change(2, {"et": timestamp(clock.moment(2 * HOUR))}, 3))
    clock.now += HOUR
    assert ledger.reader.resource(2) is not None
    ledger.run(lambda write: write.change(2, {}, 3))
    clock.now += HOUR
    assert ledger.reader.resource(2) is not None
    assert ledger.reader.next_expiry() is None


def test_messages_are_there_until_they_are_over(ledger, clock):
    ledger.run(lambda write: write.put(box(2)))
    ledger.run(lambda write: [write.add_message(message(id, 2)) for id in (10, 11)])
    ledger.run(lambda write: write.add_message(message(12, 2, expires=clock.moment(HOUR))))
    ledger.run(lambda write: write.add_message(message(13, 2, expires=clock.moment(2 * HOUR))))
    reader = ledger.reader
    assert reader.latest(2).id == 13
    clock.now += HOUR
    assert [one.id for one in reader.messages(2)] == [10, 11, 13]
    assert reader.message(12) is None
    clock.now += HOUR
    assert reader.latest(2).id == 11
    assert reader.counters(2).instances == 4
    over = reader.expired_messages(9)
    assert [one.id for one in over] == [12, 13]
    assert ledger.run(lambda write: [write.expire_message(one) for one in over]) == [True, True]
    counters = reader.counters(2)
    assert (counters.instances, counters.bytes, counters.state_tag) == (2, 2, 4)
    assert reader.next_expiry() is None


def test_a_message_that_was_evicted_is_over_once(ledger, file, clock):
    ledger.run(lambda write: write.put(box(2, mni=1)))
    ledger.run(lambda write: write.add_message(message(10, 2, expires=clock.moment(1))))
    ledger.run(lambda write: write.add_message(message(11, 2)))
    clock.now += 2
    (over,) = ledger.reader.expired_messages(9)
    assert ledger.run(lambda write: write.expire_message(over)) is False
    assert ledger.reader.next_expiry() is None
    assert ledger.reader.counters(2).instances == 1
    ledger.close()
    assert counts(file)["message"] == 1


def test_a_message_that_waits_is_not_over_by_its_expiration_time(ledger, clock):
    ledger.run(lambda write: write.put(box(2), evict=False))
    ledger.run(lambda write: write.put(box(3)))
    ledger.run(lambda write: write.add_message(message(10, 2, expires=clock.moment(1), deadline=9.0)))
    clock.now += 2
    assert ledger.reader.message(10).expires is not None
    assert ledger.reader.next_expiry() is None
    ledger.run(lambda write: write.move_message(10, 2, 3, 11))
    assert ledger.reader.message(11).expires is None
    assert [one.id for one in ledger.reader.messages(3)] == [11]
