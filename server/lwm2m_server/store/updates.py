"""Rows of updates: which device gets which package, and how far it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import attrs

from lwm2m_server.store.documents import dumps, loads
from lwm2m_server.store.errors import Gone

KEPT: Final = 50
"""Updates of one device that are over."""

VERSION_8: Final = """
CREATE TABLE device_update (
    id INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, node INTEGER NOT NULL,
    package TEXT NOT NULL, campaign TEXT, state TEXT NOT NULL, is_open INTEGER NOT NULL,
    document TEXT NOT NULL
);
CREATE INDEX device_update_node ON device_update (node);
CREATE INDEX device_update_open ON device_update (is_open, id) WHERE is_open = 1;
CREATE INDEX device_update_package ON device_update (tenant, package) WHERE is_open = 1;
CREATE INDEX device_update_campaign ON device_update (tenant, campaign, state)
    WHERE campaign IS NOT NULL;
"""

_COLUMNS = "id, tenant, node, package, campaign, state, is_open, document"
_ROW = f"SELECT {_COLUMNS} FROM device_update"  # noqa: S608
_ADD = "INSERT INTO device_update SELECT NULL, ?, node, ?, ?, ?, ?, ? FROM device WHERE node = ?"
_PRUNE = """DELETE FROM device_update WHERE node = ?1 AND is_open = 0 AND id <= (SELECT id
    FROM device_update WHERE node = ?1 AND is_open = 0 ORDER BY id DESC LIMIT 1 OFFSET ?2)"""


@attrs.frozen(slots=True)
class UpdateRow:
    """``document`` is whatever else is to be kept."""

    tenant: str
    node: int
    package: str
    campaign: str | None
    state: str
    is_open: bool
    document: Mapping[str, Any]
    id: int = 0
    """Given by the store."""


class UpdateReads(Protocol):
    """The part of a ``Reader`` that is about updates."""

    def update(self, id: int) -> UpdateRow | None: ...
    def updates_of(self, node: int) -> Sequence[UpdateRow]:
        """The newest first."""
        ...

    def open_updates(self, *, after: int = 0, limit: int) -> Sequence[UpdateRow]:
        """Those that are not over, of all tenants, oldest first."""
        ...

    def updates_in(
        self,
        tenant: str,
        *,
        campaign: str | None,
        state: str | None,
        is_open: bool = False,
        after: int = 0,
        limit: int,
    ) -> Sequence[UpdateRow]:
        """Of a tenant, oldest first; of one campaign, in one state; only those that are not over."""
        ...

    def uses_package(self, tenant: str, package: str) -> bool:
        """Whether an update that is not over does."""
        ...


class UpdateWrites(UpdateReads, Protocol):
    """The part of a ``Transaction`` that is about updates."""

    def add_update(self, row: UpdateRow) -> int:
        """Its id. Of those of the device that are over, the oldest go. Raises ``Gone``."""
        ...

    def put_update(self, row: UpdateRow) -> None:
        """Nothing, if the device was removed meanwhile."""
        ...


class UpdateReader:
    """``UpdateReads`` in the ledger."""

    _execute: Callable[..., sqlite3.Cursor]

    def update(self, id: int) -> UpdateRow | None:
        row = self._execute(f"{_ROW} WHERE id = ?", (id,)).fetchone()
        return _update(row) if row else None

    def updates_of(self, node: int) -> Sequence[UpdateRow]:
        rows = self._execute(f"{_ROW} WHERE node = ? ORDER BY id DESC", (node,)).fetchall()
        return [_update(row) for row in rows]

    def open_updates(self, *, after: int = 0, limit: int) -> Sequence[UpdateRow]:
        query = f"{_ROW} WHERE is_open = 1 AND id > ? ORDER BY id LIMIT ?"
        return [_update(row) for row in self._execute(query, (after, limit)).fetchall()]

    def updates_in(
        self,
        tenant: str,
        *,
        campaign: str | None,
        state: str | None,
        is_open: bool = False,
        after: int = 0,
        limit: int,
    ) -> Sequence[UpdateRow]:
        wanted = {"tenant": tenant, "campaign": campaign, "state": state, "is_open": is_open or None}
        found = {column: value for column, value in wanted.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in found)
        query = f"{_ROW} WHERE {where} AND id > ? ORDER BY id LIMIT ?"
        rows = self._execute(query, (*found.values(), after, limit)).fetchall()
        return [_update(row) for row in rows]

    def uses_package(self, tenant: str, package: str) -> bool:
        query = "SELECT 1 FROM device_update WHERE tenant = ? AND package = ? AND is_open = 1 LIMIT 1"
        return self._execute(query, (tenant, package)).fetchone() is not None


class UpdateWriter(UpdateReader):
    """``UpdateWrites`` in the ledger."""

    def add_update(self, row: UpdateRow) -> int:
        values = row.tenant, row.package, row.campaign, row.state, row.is_open, dumps(dict(row.document))
        added = self._execute(_ADD, (*values, row.node))
        if added.rowcount == 0:
            raise Gone("the node was removed")
        self._execute(_PRUNE, (row.node, KEPT))
        return int(added.lastrowid or 0)

    def put_update(self, row: UpdateRow) -> None:
        self._execute(
            "UPDATE device_update SET state = ?, is_open = ?, document = ? WHERE id = ?",
            (row.state, row.is_open, dumps(dict(row.document)), row.id),
        )


def _update(row: tuple[Any, ...]) -> UpdateRow:
    id, tenant, node, package, campaign, state, is_open, document = row
    return UpdateRow(tenant, node, package, campaign, state, bool(is_open), loads(document), id)
