"""Contacts: when devices were last heard, as a journal beside the rows of ``liveness``.

An Update from the address known changes nothing but this, and it is what devices send most. All of a
transaction's go into one row of the table ``contact``, so an Update costs the same in any fleet; what
they say is in memory until it is folded into ``liveness``, some devices with each transaction.

A row of ``liveness`` has in ``journal`` the number of the last row of ``contact`` it knows better than.
"""

from __future__ import annotations

import math
import sqlite3
import struct
from collections.abc import Mapping
from typing import TypeAlias

Contact: TypeAlias = tuple[float, float | None]
"""Seen at, expires at."""
Mark: TypeAlias = dict[int, Contact]

LONG = 65_536
"""Contacts in the journal beyond which they are folded."""
SHARE = 8
"""Devices folded for each contact that is written meanwhile."""
MOST = 512
"""Devices folded in one transaction: some milliseconds."""

_RECORD = struct.Struct("<qdd")  # in the table: node, seen at, expires at (infinity for never)
_LATEST = struct.Struct("<qdd")  # in memory, by node: number of the row, seen at, expires at
_FOLD = """UPDATE liveness SET seen_at = ?2, updated_at = ?2, expires_at = ?3, journal = ?1
    WHERE node = ?4 AND journal < ?1"""


def contact(latest: Mapping[int, bytes], node: int, journal: int) -> Contact | None:
    """What the journal knows better than a row of ``liveness`` with this ``journal``."""
    packed = latest.get(node)
    if packed is None:
        return None
    number, seen_at, expires_at = _LATEST.unpack(packed)
    return (seen_at, _or_never(expires_at)) if number > journal else None


class Contacts:
    """The journal as its one writer has it. ``latest`` is what readers may see: what is committed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.latest: dict[int, bytes] = {}
        highest = "SELECT ifnull(max(journal), 0) FROM liveness"
        self._number = int(connection.execute(highest).fetchone()[0])
        self._length = 0
        for number, records in connection.execute("SELECT number, records FROM contact ORDER BY number"):
            for node, seen_at, expires_at in _RECORD.iter_unpack(records):
                self.latest[node] = _LATEST.pack(number, seen_at, expires_at)
                self._length += 1
            self._number = max(self._number, number)
        self._pending: Mark = {}
        self._written: set[int] = set()
        self._round: list[int] = []
        self._share = self._round_through = self._round_length = 0

    # --- during a transaction ------------------------------------------------------------------------

    def renew(self, node: int, seen_at: float, expires_at: float | None) -> bool:
        """False if the row was written in this transaction: then it is to be written again."""
        if node in self._written:
            return False
        self._pending[node] = seen_at, expires_at
        return True

    def overrule(self, node: int) -> int:
        """The row of ``liveness`` is about to be written: what to write there as ``journal``."""
        self._pending.pop(node, None)
        self._written.add(node)
        return self._number + 1

    def pending(self, node: int) -> Contact | None:
        return self._pending.get(node)

    def knows(self, node: int) -> bool:
        return node in self._pending or node in self.latest

    def mark(self) -> Mark:
        """For ``back_to``."""
        return dict(self._pending)

    def back_to(self, mark: Mark) -> None:
        """What came after ``mark`` was undone. Rows taken for written may stay so: they can be again."""
        self._pending = mark

    def write(self, connection: sqlite3.Connection) -> None:
        """The last write of a transaction: the row of the journal, and a share of the folding."""
        if not self._pending:
            return
        records = [
            _RECORD.pack(node, seen_at, math.inf if expires_at is None else expires_at)
            for node, (seen_at, expires_at) in self._pending.items()
        ]
        connection.execute("INSERT INTO contact VALUES (?, ?)", (self._number + 1, b"".join(records)))
        if not self._round and self._length >= LONG:
            # By node, since that is the order of the rows: a page is written once.
            self._round = sorted(self.latest, reverse=True)
            self._round_through, self._round_length = self._number, self._length
        if self._round:
            self._share = min(SHARE * len(records), MOST, len(self._round))
            self._fold(connection, self._round[-self._share :])

    def _fold(self, connection: sqlite3.Connection, nodes: list[int]) -> None:
        known = [(*_LATEST.unpack(self.latest[node]), node) for node in nodes]
        rows = [(number, seen_at, _or_never(expires), node) for number, seen_at, expires, node in known]
        connection.executemany(_FOLD, rows)
        if len(nodes) == len(self._round):
            connection.execute("DELETE FROM contact WHERE number <= ?", (self._round_through,))

    # --- after it ------------------------------------------------------------------------------------

    def committed(self) -> None:
        if self._pending or self._written:
            self._number += 1
        if self._share:
            for node in self._round[-self._share :]:
                del self.latest[node]
            del self._round[-self._share :]
            if not self._round:
                self._length -= self._round_length
        for node, (seen_at, expires_at) in self._pending.items():
            packed = _LATEST.pack(self._number, seen_at, math.inf if expires_at is None else expires_at)
            self.latest[node] = packed
        self._length += len(self._pending)
        self.rolled_back()

    def rolled_back(self) -> None:
        self._pending = {}
        self._written.clear()
        self._share = 0


def _or_never(expires_at: float) -> float | None:
    return None if expires_at == math.inf else expires_at
