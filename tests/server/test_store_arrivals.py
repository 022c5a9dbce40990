"""Messages that are not in the lists of their containers yet: nobody can tell."""

import sqlite3

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lwm2m_server.store import arrivals, evicted
from lwm2m_server.store.errors import Conflict, ContainerFull, Gone
from lwm2m_server.store.ids import uuid_name
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Counters, Message, Resource

BOXES = (50, 51, 52)
"""The last one never evicts."""


def box(id, mni=3, mbs=30):
    return Resource(id, "main", 1, f"box{id}", 3, "m2m:cnt", {"mni": mni, "mbs": mbs}, 1)


def message(id, container=50, size=5, name=None):
    return Message(id, container, name, "C", 0, "x" * size, None, size)


def filled(path):
    ledger = SqliteLedger(path)
    for id in BOXES:
        if ledger.reader.resource(id) is None:
            ledger.run(lambda tx, id=id: tx.put(box(id), evict=id != BOXES[-1]))
    return ledger


def looks(reader):
    """All that can be asked about containers."""
    found = []
    for id in BOXES:
        found += [reader.counters(id), reader.is_full(id), reader.latest(id), reader.oldest(id)]
        found += [
            reader.messages(id),
            reader.messages(id, limit=2, offset=1),
            reader.messages(id, limit=1, after=1005),
        ]
        found += [reader.messages(id, offset=2), reader.message_named(id, "mine")]
    ids = [*range(500, 530), *range(1000, 1030)]
    found += [reader.message(id) for id in ids]
    return found + [reader.message_named(50, uuid_name(id)) for id in ids]


def entries(path):
    with sqlite3.connect(path) as connection:
        (count,) = connection.execute("SELECT count(*) FROM entry").fetchone()
    connection.close()
    return count


class Refusal(Exception):
    pass


sizes = st.sampled_from([5, 5, 5, 9, 20, 31])
boxes = st.sampled_from(BOXES)
older = st.integers(-500, -480) | st.integers(0, 20)
operations = st.one_of(
    st.tuples(st.just("add"), boxes, sizes, st.sampled_from([None, None, None, None, "mine"])),
    st.tuples(st.just("add"), st.just(50), sizes, st.none()),
    st.tuples(st.just("late"), boxes),
    st.tuples(st.just("remove"), older),
    st.tuples(st.just("move"), older, boxes, boxes),
    st.tuples(st.just("limit"), boxes, st.integers(0, 4), st.sampled_from([10, 30, 1000])),
    st.tuples(st.just("clear"), boxes),
    st.tuples(st.just("look")),
)
turns = st.lists(
    st.tuples(st.lists(operations, min_size=1, max_size=6), st.sampled_from([False, False, True])),
    max_size=12,
)


def run(ledger, work, first, fails):
    """One transaction; ids of what comes count on from ``first``."""

    def write(tx):
        seen, id = [], first
        for name, *rest in work:
            id += 1
            try:
                if name == "add":
                    seen.append(tx.add_message(message(id, *rest)))
                elif name == "late":
                    seen.append(tx.add_message(message(id - 500, rest[0])))
                elif name == "remove":
                    tx.remove_message(1000 + rest[0])
                elif name == "move":
                    seen.append(tx.move_message(1000 + rest[0], rest[1], rest[2], id))
                elif name == "limit":
                    tx.change(rest[0], {"mni": rest[1], "mbs": rest[2]}, id)
                elif name == "clear":
                    tx.remove(rest[0])
                    tx.put(box(rest[0]), evict=rest[0] != BOXES[-1])
                else:
                    seen += looks(tx)
            except ContainerFull as error:
                seen.append(str(error))
        if fails:
            raise Refusal
        return seen

    try:
        return ledger.run(write)
    except (Refusal, Gone, Conflict, sqlite3.IntegrityError) as error:
        return type(error), str(error)


@settings(deadline=None, max_examples=30)
@given(work=turns, restarts=st.sets(st.integers(0, 12)), long=st.sampled_from([1, 4, 100]))
@example(
    work=[
        ([("add", 50, 5, None)], False),
        ([("add", 52, 5, None), ("late", 52)], False),
        ([("add", 52, 5, None)], False),
    ],
    restarts={1},
    long=1,
)
def test_nobody_can_tell(tmp_path_factory, work, restarts, long):
    """Beside a ledger that puts every message in its list at once."""
    place = tmp_path_factory.mktemp("ledgers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrivals, "LONG", long)
        patch.setattr(arrivals, "MOST", 2)
        patch.setattr(evicted, "LONG", 5)
        waiting, at_once = filled(place / "waiting.db"), filled(place / "at_once.db")
        at_once._transactions._arrivals._through = 2**60
        id = 1000
        for number, (operations, fails) in enumerate(work):
            assert run(waiting, operations, id, fails) == run(at_once, operations, id, fails)
            id += len(operations)
            if number in restarts:
                waiting.close()
                waiting = filled(place / "waiting.db")
            assert looks(waiting.reader) == looks(at_once.reader)
        waiting.close()
        at_once.close()


def test_lists_are_written_when_many_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(arrivals, "LONG", 20)
    path = tmp_path / "ledger.db"
    ledger = filled(path)
    for id in range(1000, 1019):
        ledger.run(lambda tx, id=id: tx.add_message(message(id, 50 + id % 2)))
    assert entries(path) == 0
    for id in range(1019, 1024):
        ledger.run(lambda tx, id=id: tx.add_message(message(id, 50 + id % 2)))
    assert entries(path) == 6
    assert [one.id for one in ledger.reader.messages(50)] == [1018, 1020, 1022]
    assert ledger.reader.counters(50) == Counters(12, 3, 15)
    ledger.close()


def test_after_a_crash_they_are_found_again(tmp_path):
    """What was committed and not put in a list; the mark keeps those that were from being looked at."""
    path = tmp_path / "ledger.db"
    ledger = filled(path)
    for id in range(1000, 1005):
        ledger.run(lambda tx, id=id: tx.add_message(message(id)))
    again = SqliteLedger(path)
    assert [one.id for one in again.reader.messages(50)] == [1002, 1003, 1004]
    assert again.reader.counters(50) == Counters(5, 3, 15)
    again.run(lambda tx: tx.add_message(message(1005)))
    assert again.reader.latest(50).state_tag == 6
    again.close()
    ledger.close()


def test_into_a_container_that_was_removed(tmp_path):
    ledger = filled(tmp_path / "ledger.db")
    ledger.run(lambda tx: tx.add_message(message(1000)))
    ledger.run(lambda tx: tx.remove(50))
    with pytest.raises(Gone):
        ledger.run(lambda tx: tx.add_message(message(1001)))
    assert ledger.reader.message(1000) is None
    assert ledger.reader.counters(50) == Counters()
    ledger.close()
