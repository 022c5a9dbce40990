"""Values: what devices told, as a journal that is folded into rows by device.

The values of all messages of a transaction go into one row of the table ``told``, so that a message costs
a line of text in a row that is written anyway. The lines wait in memory, too, by device, until they are
enough; then all that came of a device goes into one row of ``report``, some devices with each transaction,
and the journal begins anew. So a device costs a row for a while of telling, not for each message.

What ``report`` has of a device in turn becomes history, by series (``histories``).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

VERSION_8: Final = """
CREATE TABLE told (number INTEGER PRIMARY KEY, lines BLOB NOT NULL);
CREATE TABLE report (
    number INTEGER PRIMARY KEY, node INTEGER NOT NULL, at REAL NOT NULL, size INTEGER NOT NULL,
    lines BLOB NOT NULL
);
CREATE INDEX report_node ON report (node);
CREATE INDEX report_ripe ON report (number) WHERE size >= 65536;
CREATE TABLE latest (node INTEGER PRIMARY KEY, document BLOB NOT NULL);
CREATE TABLE chunk (
    id INTEGER PRIMARY KEY, node INTEGER NOT NULL, place TEXT NOT NULL, since INTEGER NOT NULL,
    until INTEGER NOT NULL, count INTEGER NOT NULL, data BLOB NOT NULL
);
CREATE INDEX chunk_series ON chunk (node, place, since, until, count);
CREATE INDEX chunk_until ON chunk (until);
CREATE TABLE undecoded (
    node INTEGER NOT NULL, number INTEGER NOT NULL, document BLOB NOT NULL, PRIMARY KEY (node, number)
);
CREATE TABLE forsaken (node INTEGER PRIMARY KEY);
"""
"""``size`` is that of all rows of the device up to this one."""

Lines: TypeAlias = list[bytes]
"""Of one device, as they came. Grows while others read it."""

LONG: Final = 8_000_000
"""Bytes of lines that wait, beyond which they are folded."""
SHARE: Final = 4
"""Devices folded for each line that comes meanwhile."""
MOST: Final = 96
SIZE: Final = 131_072
"""Devices folded in one transaction, and bytes: about a millisecond. More bytes only if more come."""
ROWS: Final = 48
"""Rows of the journal that end in one transaction."""
RIPE: Final = 65_536
"""Bytes of a device in ``report`` that are worth becoming history; the schema has it, too."""

_NEWEST = "SELECT ifnull(max(number), 0) FROM told"
_FOLD = """INSERT INTO report (node, at, size, lines)
    SELECT ?1, ?2, ?3 + ifnull((SELECT size FROM report WHERE node = ?1 ORDER BY number DESC LIMIT 1), 0), ?4
    WHERE EXISTS (SELECT 1 FROM device WHERE node = ?1)"""
_TRIM = "DELETE FROM told WHERE number IN (SELECT number FROM told WHERE number <= ? ORDER BY number LIMIT ?)"


class Values:
    """The journal as its one writer has it. ``waiting`` is what readers may see: what is committed, by
    device; who reads looks there first and in the tables then, and may find lines twice."""

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.waiting: dict[int, Lines] = {}
        self.length = self._number = 0
        """Bytes of lines that wait, and the last row."""
        for number, rows in connection.execute("SELECT number, lines FROM told ORDER BY number"):
            self._number = number
            for row in rows.split(b"\n"):
                node, _, line = row.partition(b" ")
                self._await(int(node), line)
        self._first = self._ended = 0
        """Up to these numbers the journal is folded, and is gone."""
        self._pending: list[tuple[int, bytes]] = []
        self._round: list[int] = []
        self._round_through = 0
        self._hurry = self._share = 0
        self._is_through = False
        self._folded: dict[int, int] = {}

    def _await(self, node: int, line: bytes) -> None:
        lines = self.waiting.get(node)
        if lines is None:
            self.waiting[node] = [line]
        else:
            lines.append(line)
        self.length += len(line)

    # --- during a transaction ------------------------------------------------------------------------

    def add(self, node: int, line: bytes) -> None:
        """A line of ``reports``."""
        self._pending.append((node, line))

    def fold(self, devices: int) -> tuple[int, int]:
        """Fold so many devices in this transaction, and more if it has to be. Returns up to which row the
        journal has ended before, and the last one: when the first has reached the second of an earlier call,
        all that waited then is in ``report``, and nowhere else."""
        self._hurry = max(self._hurry, devices)
        return self._ended, self._number + bool(self._pending)

    def mark(self) -> int:
        """For ``back_to``."""
        return len(self._pending)

    def back_to(self, mark: int) -> None:
        """What came after ``mark`` was undone."""
        del self._pending[mark:]

    def write(self, connection: sqlite3.Connection) -> None:
        """Among the last writes of a transaction: the row of the journal, and a share of the folding."""
        pending, hurry = self._pending, self._hurry
        if pending:
            lines = b"\n".join([b"%d %b" % one for one in pending])
            connection.execute("INSERT INTO told VALUES (?, ?)", (self._number + 1, lines))
        elif not hurry:
            return
        if not self._round and (self.length >= LONG or hurry) and self._first < self._number:
            # By node, since that is the order of the index.
            self._round, self._round_through = sorted(self.waiting, reverse=True), self._number
        if self._round:
            most = min(max(SHARE * len(pending), hurry), MOST, len(self._round))
            self._fold(connection, self._round[: -most - 1 : -1], sum(len(line) for _, line in pending))
        if self._ended < self._first:
            self._is_through = connection.execute(_TRIM, (self._first, ROWS)).rowcount < ROWS

    def _fold(self, connection: sqlite3.Connection, nodes: list[int], came: int) -> None:
        """As many of the nodes as may be; ``came`` are bytes."""
        now, rows, left = self._clock(), [], max(SIZE, 2 * came)
        for node in nodes:
            lines = self.waiting.get(node, [])
            count = _fitting(lines, left)
            self._folded[node] = count
            for part in _parts(lines[:count]):
                rows.append((node, now, len(part), part))
                left -= len(part)
            # Of one who tells very much, the rest comes next.
            self._share += count == len(lines)
            if left <= 0:
                break
        connection.executemany(_FOLD, rows)

    # --- after it ------------------------------------------------------------------------------------

    def committed(self) -> None:
        waiting = self.waiting
        for node, count in self._folded.items():
            lines = waiting.pop(node, [])
            self.length -= sum(map(len, lines[:count]))
            if len(lines) > count:
                waiting[node] = lines[count:]
        if self._is_through:
            self._ended = self._first
        if self._share:
            del self._round[-self._share :]
            if not self._round:
                self._first = self._round_through
        if not waiting:
            self._first = self._number
        if self._pending:
            self._number += 1
            for node, line in self._pending:
                self._await(node, line)
        self.rolled_back()

    def rolled_back(self) -> None:
        self._pending = []
        self._folded = {}
        self._hurry = self._share = 0
        self._is_through = False


def _fitting(lines: Lines, size: int) -> int:
    """How many lines have about so many bytes, at least one."""
    if sum(map(len, lines)) <= size:
        return len(lines)
    for count, line in enumerate(lines, 1):
        size -= len(line)
        if size <= 0:
            return count
    return len(lines)


def _parts(lines: Lines) -> Iterator[bytes]:
    """Rows of about ``RIPE`` bytes, so that none takes long."""
    if sum(map(len, lines)) <= RIPE:
        if lines:
            yield b"\n".join(lines)
        return
    part: list[bytes] = []
    size = 0
    for line in lines:
        part.append(line)
        size += len(line)
        if size >= RIPE:
            yield b"\n".join(part)
            part, size = [], 0
    if part:
        yield b"\n".join(part)
