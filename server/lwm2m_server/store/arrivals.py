"""Arrivals: messages that are stored, and not yet in the lists of their containers.

The list of a container (its rows in ``entry``) lies on pages that nothing else of a transaction is on: to
write them costs several times what the message itself costs, which is written next to all that came at
the same time. So messages of containers that evict wait in memory, and later all that came for a container
are put in its list at once. Until then every read takes them in.

After a restart they are found again: they are the messages above a mark that no list has.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Collection
from typing import TypeAlias

Mark: TypeAlias = dict[int, bytes]

LONG = 65_536
"""Messages beyond which they are put in the lists."""
MOST = 64
"""Containers for which that is done in one transaction; never more than messages came in it."""

RECORD = struct.Struct("<qqq")
"""Id, size and ``st`` of a message."""

_UNLISTED = """SELECT m.id, m.cs, m.st, m.container FROM message m
    LEFT JOIN entry e ON e.container = m.container AND e.id = m.id
    WHERE m.id > (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'listed') AND e.id IS NULL
    ORDER BY m.id"""


def newest(records: bytes) -> int:
    """The id of the last of them."""
    return int(RECORD.unpack_from(records, len(records) - RECORD.size)[0])


class Arrivals:
    """As the one writer has them. ``waiting`` is what readers may see: what is committed, by container."""

    def __init__(self, connection: sqlite3.Connection, evicted: Collection[int]) -> None:
        self.waiting: dict[int, bytes] = {}
        row = connection.execute("SELECT value FROM meta WHERE key = 'listed'").fetchone()
        self._through = self._highest = int(row[0])
        """Up to the first no message begins to wait; the second is the highest of those that do."""
        self._length = 0
        for id, size, state_tag, container in connection.execute(_UNLISTED).fetchall():
            if id not in evicted:
                self.waiting[container] = self.waiting.get(container, b"") + RECORD.pack(id, size, state_tag)
                self._length += 1
                self._highest = id
        self._own: Mark = {}
        """Of the containers this transaction is about."""
        self._came = self._share = 0
        self._round: list[int] = []

    # --- during a transaction ------------------------------------------------------------------------

    def of(self, container: int) -> bytes:
        """Records, oldest first."""
        found = self._own.get(container)
        return self.waiting.get(container, b"") if found is None else found

    def add(self, container: int, id: int, size: int, state_tag: int) -> bool:
        """False for a message that must go into the list at once, for it would not be found again."""
        if id <= self._through:
            return False
        self._highest = max(self._highest, id)
        self._own[container] = self.of(container) + RECORD.pack(id, size, state_tag)
        self._came += 1
        return True

    def enlisted(self, container: int) -> None:
        """They are in the list now."""
        self.keep(container, b"")

    def keep(self, container: int, records: bytes) -> None:
        """The others wait no more."""
        self._own[container] = records

    def mark(self) -> Mark:
        """For ``back_to``."""
        return dict(self._own)

    def back_to(self, mark: Mark) -> None:
        """What came after ``mark`` was undone."""
        self._own = mark

    def write(self, connection: sqlite3.Connection, enlist: Callable[[int], object]) -> None:
        """Among the last writes of a transaction: a share of the lists."""
        if not self._round and self._length >= LONG:
            # In the order of the lists, and with what came in this transaction.
            self._round = sorted({*self.waiting, *self._own}, reverse=True)
            self._through = self._highest
        if self._round and self._came:
            self._share = min(self._came, MOST, len(self._round))
            for container in self._round[-self._share :]:
                enlist(container)
            if self._share == len(self._round):
                connection.execute("UPDATE meta SET value = ? WHERE key = 'listed'", (str(self._through),))

    # --- after it ------------------------------------------------------------------------------------

    def committed(self) -> None:
        for container, records in self._own.items():
            self._length += (len(records) - len(self.waiting.get(container, b""))) // RECORD.size
            if records:
                self.waiting[container] = records
            else:
                self.waiting.pop(container, None)
        if self._share:
            del self._round[-self._share :]
        self.rolled_back()

    def rolled_back(self) -> None:
        self._own = {}
        self._came = self._share = 0
