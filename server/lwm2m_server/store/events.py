"""Events: what happened to devices, numbered in the order of the commits, for those who follow it.

All of a transaction's events go into one row of the table ``event``, whose key is the number of the last
of them; so an event costs a line of text in a row that is written anyway. The oldest rows are deleted a
few at a time.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Final

import attrs

VERSION_7: Final = """
CREATE TABLE event (last INTEGER PRIMARY KEY, at REAL NOT NULL, records BLOB NOT NULL);
"""

ROUND: Final = 64
"""Transactions with events between two looks at what is too old."""
MOST: Final = 2 * ROUND
"""Rows deleted then: more than came meanwhile."""

_LAST = "SELECT ifnull(max(last), 0) FROM event"
_FIRST = "SELECT last, records FROM event ORDER BY last LIMIT 1"
_AFTER = "SELECT last, records FROM event WHERE last > ? ORDER BY last LIMIT ?"
_OLDEST = "SELECT last, at FROM event ORDER BY last LIMIT ?"


@attrs.frozen
class Keep:
    """What is kept: the last so many events, and none for longer than so many seconds."""

    events: int = 100_000
    seconds: float = 86_400.0


USUAL: Final = Keep()


class Events:
    """The journal as its one writer has it."""

    def __init__(
        self, connection: sqlite3.Connection, keep: Keep, clock: Callable[[], float] = time.time
    ) -> None:
        self._keep, self._clock = keep, clock
        self._last = int(connection.execute(_LAST).fetchone()[0])
        self._rows = 0
        self._pending: list[str] = []

    def add(self, record: str) -> None:
        """One line of text."""
        self._pending.append(record)

    def mark(self) -> int:
        """For ``back_to``."""
        return len(self._pending)

    def back_to(self, mark: int) -> None:
        """What came after ``mark`` was undone."""
        del self._pending[mark:]

    def write(self, connection: sqlite3.Connection) -> None:
        """Among the last writes of a transaction: its events, and now and then an end of old ones."""
        pending = self._pending
        if not pending:
            return
        now, last = self._clock(), self._last + len(pending)
        connection.execute("INSERT INTO event VALUES (?, ?, ?)", (last, now, "\n".join(pending).encode()))
        if self._rows % ROUND == 0:
            self._trim(connection, last - self._keep.events, now - self._keep.seconds)

    def _trim(self, connection: sqlite3.Connection, through: int, before: float) -> None:
        """The row just written stays, so that numbers never begin anew."""
        rows = connection.execute(_OLDEST, (MOST,)).fetchall()
        old = [last for last, at in rows if last <= through or at < before]
        if old:
            connection.execute("DELETE FROM event WHERE last <= ?", (old[-1],))

    def committed(self) -> None:
        if self._pending:
            self._last += len(self._pending)
            self._rows += 1
        self.rolled_back()

    def rolled_back(self) -> None:
        self._pending = []


class EventReader:
    """The part of a ``Reader`` that is about events."""

    _execute: Callable[..., sqlite3.Cursor]

    def events(self, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """Numbers and records behind ``after``, at most so many."""
        found: list[tuple[int, bytes]] = []
        for last, blob in self._execute(_AFTER, (after, limit)):
            records = blob.split(b"\n")
            first = last - len(records) + 1
            found += enumerate(records[max(after + 1 - first, 0) :], max(first, after + 1))
            if len(found) >= limit:
                break
        return found[:limit]

    def event_numbers(self) -> tuple[int, int]:
        """Those of the first and the last event that are kept; the first is one more if there are none."""
        row = self._execute(_FIRST).fetchone()
        if row is None:
            return 1, 0
        return row[0] - row[1].count(b"\n"), int(self._execute(_LAST).fetchone()[0])
