"""The journal of events: numbers, what a failure undoes, a restart, and what is thrown away."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from lwm2m_server.store import schema
from lwm2m_server.store.events import MOST, ROUND, Events, Keep
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.transaction import Transaction


def _note(*records: str):
    def operation(transaction: Transaction) -> None:
        for record in records:
            transaction.note_event(record)

    return operation


@pytest.mark.parametrize("power_safe", [False, True])
def test_numbers_follow_the_order_of_commits_and_go_on_after_a_restart(tmp_path: Path, power_safe: bool):
    file = tmp_path / "ledger.db"
    ledger = SqliteLedger(file, power_safe=power_safe)
    assert ledger.reader.event_numbers() == (1, 0)
    ledger.run(_note("a", "b"))
    ledger.run(_note("c"))
    ledger.close()
    ledger = SqliteLedger(file, power_safe=power_safe)
    ledger.run(_note("d"))
    assert ledger.reader.events(0, 10) == [(1, b"a"), (2, b"b"), (3, b"c"), (4, b"d")]
    assert ledger.reader.events(1, 2) == [(2, b"b"), (3, b"c")]
    assert ledger.reader.events(4, 10) == []
    assert ledger.reader.event_numbers() == (1, 4)
    ledger.close()


async def test_an_operation_that_fails_leaves_no_event_and_no_gap(tmp_path: Path):
    ledger = SqliteLedger(tmp_path / "ledger.db")

    def fail(transaction: Transaction) -> None:
        transaction.note_event("never")
        raise ValueError("on purpose")

    first, second, third = (ledger.commit(one) for one in (_note("a"), fail, _note("b")))
    await first
    with pytest.raises(ValueError, match="on purpose"):
        await second
    await third
    assert ledger.reader.events(0, 10) == [(1, b"a"), (2, b"b")]
    ledger.close()


def _journal(tmp_path: Path, keep: Keep) -> tuple[sqlite3.Connection, Events, list[float]]:
    schema.prepare(tmp_path / "ledger.db")
    connection, clock = schema.connect(tmp_path / "ledger.db"), [1000.0]
    return connection, Events(connection, keep, lambda: clock[0]), clock


def _fill(connection: sqlite3.Connection, events: Events, rows: int) -> None:
    connection.execute("BEGIN")
    for _ in range(rows):
        events.add("x")
        events.write(connection)
        events.committed()
    connection.execute("COMMIT")


def _rows(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM event").fetchone()[0])


def test_no_more_are_kept_than_wanted(tmp_path: Path):
    connection, events, _ = _journal(tmp_path, Keep(events=100))
    _fill(connection, events, 2000)
    assert 100 <= _rows(connection) < 100 + 2 * ROUND
    assert connection.execute("SELECT max(last) FROM event").fetchone() == (2000,)
    connection.close()


def test_what_is_too_old_goes_a_few_at_a_time_and_the_newest_stays(tmp_path: Path):
    connection, events, clock = _journal(tmp_path, Keep(seconds=60.0))
    _fill(connection, events, 1000)
    clock[0] += 61.0
    _fill(connection, events, ROUND)
    assert _rows(connection) == 1000 + ROUND - MOST
    _fill(connection, events, 10 * ROUND)
    assert _rows(connection) == 11 * ROUND
    clock[0] += 61.0
    connection.close()
    again = schema.connect(tmp_path / "ledger.db")
    late = Events(again, Keep(seconds=60.0), lambda: clock[0])
    _fill(again, late, 1000)
    assert again.execute("SELECT max(last) FROM event").fetchone() == (1000 + 11 * ROUND + 1000,)
    again.close()
