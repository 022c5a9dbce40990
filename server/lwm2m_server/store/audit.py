"""Rows of the audit log: who changed what, when, and what came of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from lwm2m_server.store.documents import dumps, loads
from lwm2m_server.store.records import AuditEntry

VERSION_7: Final = """
CREATE TABLE audit (
    number INTEGER PRIMARY KEY, at INTEGER NOT NULL, tenant TEXT, client TEXT NOT NULL, origin TEXT,
    action TEXT NOT NULL, target TEXT NOT NULL, result INTEGER NOT NULL, facts TEXT
);
"""
_ROW = "SELECT number, at, tenant, client, origin, action, target, result, facts FROM audit"
_ADD = "INSERT INTO audit VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)"


class AuditReader:
    """The part of a ``Reader`` that is about the audit log."""

    _execute: Callable[..., sqlite3.Cursor]

    def audit(
        self,
        tenants: Sequence[str | None] | None,
        *,
        limit: int,
        before: int | None = None,
        client: str | None = None,
        action: str | None = None,
        text: str | None = None,
        refused: bool = False,
    ) -> Sequence[AuditEntry]:
        where: list[str] = []
        values: list[str | int | None] = []
        if tenants is not None:
            where.append(f"({' OR '.join('tenant IS ?' for _ in tenants)})")
            values += tenants
        if before is not None:
            where.append("number < ?")
            values.append(before)
        for column, wanted in (("client", client), ("action", action)):
            if wanted is not None:
                where.append(f"{column} = ?")
                values.append(wanted)
        if text is not None:
            where.append("instr(lower(target), lower(?))")
            values.append(text)
        if refused:
            where.append("result >= 400")
        condition = f"WHERE {' AND '.join(where)}" if where else ""
        query = f"{_ROW} {condition} ORDER BY number DESC LIMIT ?"
        return [_entry(row) for row in self._execute(query, (*values, limit))]


class AuditWriter(AuditReader):
    """The part of a ``Transaction`` that is about the audit log."""

    _connection: sqlite3.Connection

    def add_audit(self, entries: Iterable[AuditEntry]) -> None:
        # All but the number, which the store gives.
        rows = ((*one[:-2], dumps(dict(one.facts)) if one.facts else None) for one in entries)
        self._connection.executemany(_ADD, rows)

    def prune_audit(self, *, keep: int, since: int) -> None:
        (newest,) = self._execute("SELECT ifnull(max(number), 0) FROM audit").fetchone()
        self._execute("DELETE FROM audit WHERE number <= ?", (newest - keep,))
        # Those of before lie at the beginning: the clock goes forwards.
        query = "SELECT number FROM audit WHERE at >= ? ORDER BY number LIMIT 1"
        first = self._execute(query, (since,)).fetchone()
        self._execute("DELETE FROM audit WHERE number < ?", (first[0] if first else newest + 1,))


def _entry(row: tuple[Any, ...]) -> AuditEntry:
    number, at, tenant, client, origin, action, target, result, facts = row
    shown = loads(facts) if facts is not None else {}
    return AuditEntry(at, tenant, client, origin, action, target, result, shown, number)
