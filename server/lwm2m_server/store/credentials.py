"""Rows of credentials: what devices prove themselves with, public parts readable, secrets sealed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from lwm2m_server.store.documents import dumps, loads
from lwm2m_server.store.errors import Conflict, Gone
from lwm2m_server.store.records import SealedCredential

VERSION_6: Final = """
CREATE TABLE credential (
    node INTEGER NOT NULL, side TEXT NOT NULL, mode TEXT NOT NULL, endpoint TEXT,
    identity BLOB, public TEXT NOT NULL, sealed BLOB, PRIMARY KEY (node, side)
) WITHOUT ROWID;
CREATE UNIQUE INDEX credential_endpoint ON credential (side, endpoint);
CREATE UNIQUE INDEX credential_identity ON credential (side, mode, identity);
CREATE TABLE oscore_number (node INTEGER PRIMARY KEY, next INTEGER NOT NULL);
CREATE TABLE oscore_request (
    token BLOB PRIMARY KEY, endpoint TEXT NOT NULL, number BLOB NOT NULL, code INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE unsealed (node INTEGER PRIMARY KEY, secret TEXT NOT NULL);
PRAGMA secure_delete = ON;
INSERT INTO unsealed SELECT parent, json_extract(attributes, '$.crse') FROM resource
    WHERE key = 'm2m:crds' AND json_extract(attributes, '$.crse') IS NOT NULL;
INSERT INTO credential SELECT d.node, 'management', 'psk',
    CASE WHEN d.endpoint IS NOT NULL THEN d.endpoint
        WHEN EXISTS (SELECT 1 FROM device o WHERE o.node <> d.node
            AND (o.endpoint = d.name OR o.name = d.name AND o.node < d.node)) THEN d.ni ELSE d.name END,
    CAST(d.identity AS BLOB), json_object('identity', d.identity), NULL
    FROM device d WHERE d.identity IS NOT NULL OR d.node IN (SELECT node FROM unsealed);
INSERT INTO credential SELECT d.node, 'management', 'none', NULL, NULL, '{}', NULL
    FROM device d WHERE NOT EXISTS
    (SELECT 1 FROM resource r WHERE r.parent = d.node AND r.key = 'm2m:crds');
UPDATE resource SET attributes = json_remove(attributes, '$.crid', '$.crse') WHERE key = 'm2m:crds';
CREATE TABLE newer (
    node INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, ni TEXT, ni_key TEXT UNIQUE,
    endpoint TEXT UNIQUE, registration TEXT, registered_at REAL, deregistered_at REAL, expired_at REAL,
    announcement BLOB, power TEXT
);
INSERT INTO newer SELECT node, tenant, name, ni, ni_key, endpoint, registration, registered_at,
    deregistered_at, expired_at, announcement, power FROM device;
DROP TABLE device;
ALTER TABLE newer RENAME TO device;
CREATE UNIQUE INDEX device_name ON device (name, tenant);
CREATE INDEX device_tenant ON device (tenant);
"""
"""A table of their own; until then ``device.identity`` and the attributes of ``credentials`` had them, the
secrets in clear. Those wait in ``unsealed`` for who has the key."""

VERSION_7: Final = "ALTER TABLE credential ADD COLUMN id_context BLOB;"
"""Of an OSCORE context that was derived since; it goes when the credentials are others."""

_COLUMNS = "SELECT node, side, mode, endpoint, identity, public, sealed FROM credential"
_TAKEN = """SELECT ifnull(endpoint = ?3, 0) FROM credential
    WHERE side = ?1 AND node <> ?2 AND (endpoint = ?3 OR mode = ?4 AND identity = ?5) LIMIT 1"""
_PUT = """INSERT OR REPLACE INTO credential (node, side, mode, endpoint, identity, public, sealed)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
_CHUNK = 1000


class CredentialReader:
    """The part of a ``Reader`` that is about credentials."""

    _execute: Callable[..., sqlite3.Cursor]

    def credential(self, node: int, side: str) -> SealedCredential | None:
        row = self._execute(f"{_COLUMNS} WHERE node = ? AND side = ?", (node, side)).fetchone()
        return _credential(row) if row else None

    def credentials_of(self, node: int) -> Sequence[SealedCredential]:
        rows = self._execute(f"{_COLUMNS} WHERE node = ?", (node,)).fetchall()
        return [_credential(row) for row in rows]

    def credentials(self, *, after: int = -1) -> Iterator[SealedCredential]:
        last: tuple[int, str] = (after + 1, "")
        while True:
            query = f"{_COLUMNS} WHERE (node, side) > (?, ?) ORDER BY node, side LIMIT {_CHUNK}"
            rows = self._execute(query, last).fetchall()
            yield from map(_credential, rows)
            if len(rows) < _CHUNK:
                return
            last = rows[-1][:2]

    def oscore_id_context(self, node: int, side: str) -> bytes | None:
        query = "SELECT id_context FROM credential WHERE node = ? AND side = ?"
        row = self._execute(query, (node, side)).fetchone()
        return row[0] if row else None

    def oscore_request(self, token: bytes) -> tuple[str, bytes, int] | None:
        query = "SELECT endpoint, number, code FROM oscore_request WHERE token = ?"
        row: tuple[str, bytes, int] | None = self._execute(query, (token,)).fetchone()
        return row


class CredentialWriter(CredentialReader):
    """The part of a ``Transaction`` that is about credentials."""

    def put_credential(self, row: SealedCredential) -> None:
        if not self._execute("SELECT 1 FROM device WHERE node = ?", (row.node,)).fetchone():
            raise Gone("the node was removed")
        query = "SELECT 1 FROM device WHERE endpoint = ? AND node <> ?"
        if self._execute(query, (row.endpoint, row.node)).fetchone():
            raise Conflict("the endpoint name is taken")
        taken = self._execute(_TAKEN, (row.side, row.node, row.endpoint, row.mode, row.identity)).fetchone()
        if taken:
            raise Conflict(f"the {'endpoint name' if taken[0] else 'security identity'} is taken")
        self._execute(
            _PUT,
            (row.node, row.side, row.mode, row.endpoint, row.identity, dumps(dict(row.public)), row.sealed),
        )

    def remove_credential(self, node: int, side: str) -> None:
        self._execute("DELETE FROM credential WHERE node = ? AND side = ?", (node, side))

    def take_oscore_numbers(self, node: int, count: int, at_least: int) -> int:
        row = self._execute("SELECT next FROM oscore_number WHERE node = ?", (node,)).fetchone()
        first = max(at_least, row[0]) if row else at_least
        self._execute("INSERT OR REPLACE INTO oscore_number VALUES (?, ?)", (node, first + count))
        return first

    def put_oscore_id_context(self, node: int, side: str, id_context: bytes) -> None:
        query = "UPDATE credential SET id_context = ? WHERE node = ? AND side = ?"
        self._execute(query, (id_context, node, side))

    def put_oscore_request(self, token: bytes, endpoint: str, number: bytes, code: int) -> None:
        self._execute(
            "INSERT OR REPLACE INTO oscore_request VALUES (?, ?, ?, ?)", (token, endpoint, number, code)
        )

    def tidy_oscore_requests(self) -> None:
        self._execute("DELETE FROM oscore_request WHERE token NOT IN (SELECT token FROM observation)")

    def take_unsealed(self) -> Sequence[tuple[int, str]]:
        found = self._execute("SELECT node, secret FROM unsealed").fetchall()
        if found:
            # Not only forgotten: overwritten.
            self._execute("PRAGMA secure_delete = ON")
            self._execute("DELETE FROM unsealed")
            self._execute("PRAGMA secure_delete = OFF")
        return found


def _credential(row: tuple[Any, ...]) -> SealedCredential:
    node, side, mode, endpoint, identity, public, sealed = row
    return SealedCredential(node, side, mode, endpoint, identity, loads(public), sealed)
