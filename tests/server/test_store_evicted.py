"""Evicted messages are out of sight at once, and out of the file by and by."""

import sqlite3

import pytest

from lwm2m_server.store import arrivals, evicted, schema
from lwm2m_server.store.errors import Conflict
from lwm2m_server.store.ids import uuid_name
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Counters, Message, Resource

BOX = 50


def box(id=BOX, mni=3):
    return Resource(id, "main", 1, f"box{id}", 3, "m2m:cnt", {"mni": mni}, 1)


def message(id, container=BOX):
    return Message(id, container, None, "C", 0, "hello", None, 5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


def rows(path, table="message"):
    with sqlite3.connect(path) as connection:
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    connection.close()
    return count


def fill(ledger, ids):
    for id in ids:
        ledger.run(lambda tx, id=id: tx.add_message(message(id)))


def test_an_evicted_message_is_found_by_no_way(path):
    ledger = SqliteLedger(path)
    ledger.run(lambda tx: tx.put(box()))
    fill(ledger, range(100, 105))
    read = ledger.reader
    assert [kept.id for kept in read.messages(BOX)] == [102, 103, 104]
    assert read.message(101) is None
    assert read.message_named(BOX, uuid_name(101)) is None
    assert read.oldest(BOX).id == 102
    assert read.counters(BOX) == Counters(5, 3, 15)
    ledger.run(lambda tx: tx.remove_message(101))
    assert read.counters(BOX) == Counters(5, 3, 15)
    ledger.close()


def test_what_was_evicted_is_deleted_before_long(path, monkeypatch):
    monkeypatch.setattr(evicted, "LONG", 20)
    monkeypatch.setattr(arrivals, "LONG", 4)
    ledger = SqliteLedger(path)
    ledger.run(lambda tx: tx.put(box()))
    most = 0
    for start in range(1000, 1400, 20):
        fill(ledger, range(start, start + 20))
        most = max(most, rows(path))
    assert most < 60, "of 400"
    assert rows(path, "evicted") < 60
    assert [kept.id for kept in ledger.reader.messages(BOX)] == [1397, 1398, 1399]
    ledger.close()


def test_a_restart_goes_on_with_what_is_to_be_deleted(path, monkeypatch):
    monkeypatch.setattr(evicted, "LONG", 20)
    monkeypatch.setattr(arrivals, "LONG", 4)
    ledger = SqliteLedger(path)
    ledger.run(lambda tx: tx.put(box()))
    fill(ledger, range(100, 118))
    ledger.close()
    assert rows(path) == 18
    again = SqliteLedger(path)
    fill(again, range(200, 220))
    assert [kept.id for kept in again.reader.messages(BOX)] == [217, 218, 219]
    again.close()
    assert rows(path) < 25


def test_an_eviction_that_was_undone_deletes_nothing(path, monkeypatch):
    monkeypatch.setattr(evicted, "LONG", 1)
    monkeypatch.setattr(arrivals, "LONG", 1)
    ledger = SqliteLedger(path)
    ledger.run(lambda tx: tx.put(box()))
    fill(ledger, range(100, 103))

    def refuse(tx):
        tx.add_message(message(103))
        raise Conflict("no")

    for _ in range(3):
        with pytest.raises(Conflict):
            ledger.run(refuse)
    assert [kept.id for kept in ledger.reader.messages(BOX)] == [100, 101, 102]
    assert ledger.reader.counters(BOX) == Counters(3, 3, 15)
    fill(ledger, range(110, 120))
    assert [kept.id for kept in ledger.reader.messages(BOX)] == [117, 118, 119]
    ledger.close()


def test_messages_of_an_older_ledger_are_in_their_containers(path):
    schema.prepare(path, steps=schema.STEPS[:1])
    with sqlite3.connect(path) as old:
        old.execute("INSERT INTO container VALUES (50, 9, 2, 10, 3, 1000, 1)")
        old.executemany(
            "INSERT INTO message VALUES (?, 50, NULL, 'C', ?, 'hello', NULL, 5, NULL, NULL, NULL, 0)",
            [(100, 8), (101, 9)],
        )
    old.close()
    ledger = SqliteLedger(path)
    assert [kept.id for kept in ledger.reader.messages(BOX)] == [100, 101]
    assert ledger.reader.counters(BOX) == Counters(9, 2, 10)
    fill(ledger, range(200, 203))
    assert [kept.id for kept in ledger.reader.messages(BOX)] == [200, 201, 202]
    assert ledger.reader.counters(BOX) == Counters(12, 3, 15)
    ledger.close()
