"""Rows of enrolment: what bootstrap gives to devices, and keys of devices that are not there yet; sealed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, Final

from lwm2m_server.store.errors import Conflict
from lwm2m_server.store.records import BatchKey

VERSION_8: Final = """
CREATE TABLE bootstrap_material (node INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
CREATE TABLE batch_key (
    identity TEXT PRIMARY KEY, endpoint TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, rule TEXT NOT NULL,
    sealed BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX batch_key_rule ON batch_key (tenant, rule);
"""

_KEY = "SELECT identity, endpoint, tenant, rule, sealed FROM batch_key WHERE"
_TAKEN = f"{_KEY} identity = ? OR endpoint = ? LIMIT 1"
_REMOVE = """DELETE FROM batch_key WHERE identity IN
    (SELECT identity FROM batch_key WHERE tenant = ? AND rule = ? LIMIT ?)"""


class EnrolmentReader:
    """The part of a ``Reader`` that is about enrolment."""

    _execute: Callable[..., sqlite3.Cursor]

    def material(self, node: int) -> bytes | None:
        row = self._execute("SELECT sealed FROM bootstrap_material WHERE node = ?", (node,)).fetchone()
        return row[0] if row else None

    def batch_key(self, identity: str) -> BatchKey | None:
        return _key(self._execute(f"{_KEY} identity = ?", (identity,)).fetchone())

    def batch_key_for(self, endpoint: str) -> BatchKey | None:
        return _key(self._execute(f"{_KEY} endpoint = ?", (endpoint,)).fetchone())

    def count_batch_keys(self, tenant: str, rule: str) -> int:
        query = "SELECT count(*) FROM batch_key WHERE tenant = ? AND rule = ?"
        count: int = self._execute(query, (tenant, rule)).fetchone()[0]
        return count


class EnrolmentWriter(EnrolmentReader):
    """The part of a ``Transaction`` that is about enrolment."""

    def put_material(self, node: int, sealed: bytes) -> None:
        self._execute("INSERT OR REPLACE INTO bootstrap_material VALUES (?, ?)", (node, sealed))

    def remove_material(self, node: int) -> None:
        self._execute("DELETE FROM bootstrap_material WHERE node = ?", (node,))

    def put_batch_keys(self, keys: Iterable[BatchKey]) -> None:
        for key in keys:
            other = _key(self._execute(_TAKEN, (key.identity, key.endpoint)).fetchone())
            if other is not None and (other.identity, other.tenant, other.rule) != (
                key.identity,
                key.tenant,
                key.rule,
            ):
                what = "identity" if other.identity == key.identity else "endpoint name"
                raise Conflict(f"the {what} of {key.identity[:80]!r} is taken")
            values = (key.identity, key.endpoint, key.tenant, key.rule, key.sealed)
            self._execute("INSERT OR REPLACE INTO batch_key VALUES (?, ?, ?, ?, ?)", values)

    def remove_batch_key(self, identity: str) -> None:
        self._execute("DELETE FROM batch_key WHERE identity = ?", (identity,))

    def forget_batch_keys(self, tenant: str) -> None:
        self._execute("DELETE FROM batch_key WHERE tenant = ?", (tenant,))

    def remove_batch_keys(self, tenant: str, rule: str, limit: int) -> int:
        return self._execute(_REMOVE, (tenant, rule, limit)).rowcount


def _key(row: tuple[Any, ...] | None) -> BatchKey | None:
    return None if row is None else BatchKey(*row)
