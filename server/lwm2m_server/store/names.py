"""Names that lead to devices: whether a name is anybody's, without asking the database.

A fleet that registers for the first time goes by names that nobody has, and to look for one in the database
begins with pages that the last commit made void. Hashes are enough: a name that has the same as another is
looked up for nothing.
"""

from __future__ import annotations

import sqlite3

_ALL = """SELECT name, ni_key, endpoint FROM device
    UNION ALL SELECT endpoint, NULL, NULL FROM credential WHERE endpoint IS NOT NULL"""


class Names:
    """Hashes of all names there are, and of some that were: about 70 bytes each."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._hashes: set[int] = set()
        for names in connection.execute(_ALL):
            self.add(*names)

    def add(self, *names: str | None) -> None:
        """Names that a transaction is about to give; nobody minds if it fails."""
        for name in names:
            if name is not None:
                self._hashes.add(hash(name))

    def __contains__(self, name: str) -> bool:
        return hash(name) in self._hashes
