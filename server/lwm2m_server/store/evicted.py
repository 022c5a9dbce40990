"""Messages that left their containers and still lie in the table, for a while.

The oldest message of a container is on a page with messages of others, that many transactions ago came
at the same time: to delete it by itself writes the whole page. So it only leaves the list of its
container (the table ``entry``, which every read goes through), and is deleted together with its
neighbours later. What is still to be deleted stands in the table ``evicted``.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Sequence

LONG = 16_384
"""Messages beyond which they are deleted."""
SHARE = 4
"""Messages deleted for each that is evicted meanwhile."""
MOST = 512
"""Messages deleted in one transaction."""


class Evicted:
    """What is to be deleted, as the one writer has it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._waiting, self._round = array("q"), array("q")
        self._number = self._through = self._share = 0
        for number, ids in connection.execute("SELECT number, ids FROM evicted ORDER BY number"):
            self._waiting.frombytes(ids)
            self._number = number
        self._pending = array("q")

    @property
    def waiting(self) -> Sequence[int]:
        """What still lies in the table."""
        return self._waiting

    def add(self, id: int) -> None:
        self._pending.append(id)

    def mark(self) -> int:
        """For ``back_to``."""
        return len(self._pending)

    def back_to(self, mark: int) -> None:
        """What came after ``mark`` was undone."""
        del self._pending[mark:]

    def write(self, connection: sqlite3.Connection) -> None:
        """Among the last writes of a transaction: what it evicted, and a share of the deleting."""
        if not self._pending:
            return
        connection.execute("INSERT INTO evicted VALUES (?, ?)", (self._number + 1, self._pending.tobytes()))
        if not self._round and len(self._waiting) >= LONG:
            self._round, self._waiting = array("q", sorted(self._waiting, reverse=True)), array("q")
            self._through = self._number
        if self._round:
            self._share = min(SHARE * len(self._pending), MOST, len(self._round))
            connection.executemany(
                "DELETE FROM message WHERE id = ?", [(id,) for id in self._round[-self._share :]]
            )
            if self._share == len(self._round):
                connection.execute("DELETE FROM evicted WHERE number <= ?", (self._through,))

    def committed(self) -> None:
        if self._pending:
            self._number += 1
            self._waiting += self._pending
        if self._share:
            del self._round[-self._share :]
        self.rolled_back()

    def rolled_back(self) -> None:
        self._pending = array("q")
        self._share = 0
