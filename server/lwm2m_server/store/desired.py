"""Rows of desired state: what Resources of devices shall be, and how far that has come."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Literal, Protocol, TypeAlias

import attrs

VERSION_8: Final = """
CREATE TABLE desired (
    node INTEGER NOT NULL, path TEXT NOT NULL, value TEXT NOT NULL, version INTEGER NOT NULL,
    since REAL NOT NULL, state TEXT NOT NULL, settled_at REAL, reason TEXT, attempts INTEGER NOT NULL,
    PRIMARY KEY (node, path)
) WITHOUT ROWID;
"""

_ROW = "SELECT path, value, version, since, state, settled_at, reason, attempts FROM desired"
_PUT = "INSERT OR REPLACE INTO desired VALUES (?, ?, ?, ?, ?, 'pending', NULL, NULL, 0)"
_SETTLE = """UPDATE desired SET state = ?, settled_at = ?, reason = ?, attempts = ?
    WHERE node = ? AND path = ? AND version = ?"""

State: TypeAlias = Literal["pending", "confirmed", "failed"]


@attrs.frozen(slots=True)
class DesiredValue:
    """What a Resource shall be."""

    path: str
    value: str
    """JSON text, in the form that ``telemetry.values`` gives the Resource's type."""
    version: int
    """Another each time somebody sets it."""
    since: float
    """Seconds since 1970-01-01 UTC, as below."""
    state: State
    settled_at: float | None
    """When the device accepted or refused it."""
    reason: str | None
    """Why it is not confirmed."""
    attempts: int
    """Writes that did not succeed."""


class DesiredReads(Protocol):
    """The part of ``Reader`` that is about desired state."""

    def desired(self, node: int) -> Sequence[DesiredValue]:
        """What Resources of a device shall be, in the order of their paths as text."""
        ...

    def nodes_with_desired(self) -> Collection[int]:
        """Nodes of which something is desired."""
        ...


class DesiredWrites(Protocol):
    """The part of ``Transaction`` that is about it."""

    def put_desired(self, node: int, values: Mapping[str, str | None], version: int, at: float) -> None:
        """What Resources shall be from now on, as JSON text by path; ``None`` for nothing in particular."""
        ...

    def settle_desired(
        self, node: int, value: DesiredValue, state: State, at: float, reason: str | None, attempts: int
    ) -> bool:
        """How far it has come; false if something else is desired meanwhile."""
        ...


class DesiredReader:
    """``DesiredReads`` on a connection."""

    _execute: Callable[..., sqlite3.Cursor]

    def desired(self, node: int) -> Sequence[DesiredValue]:
        rows = self._execute(f"{_ROW} WHERE node = ? ORDER BY path", (node,)).fetchall()
        return [DesiredValue(*row) for row in rows]

    def nodes_with_desired(self) -> Collection[int]:
        return [node for (node,) in self._execute("SELECT DISTINCT node FROM desired").fetchall()]


class DesiredWriter(DesiredReader):
    """``DesiredWrites`` on a connection."""

    def put_desired(self, node: int, values: Mapping[str, str | None], version: int, at: float) -> None:
        for path, value in values.items():
            if value is None:
                self._execute("DELETE FROM desired WHERE node = ? AND path = ?", (node, path))
            else:
                self._execute(_PUT, (node, path, value, version, at))

    def settle_desired(
        self, node: int, value: DesiredValue, state: State, at: float, reason: str | None, attempts: int
    ) -> bool:
        key = node, value.path, value.version
        settled_at = None if state == "pending" else at
        return self._execute(_SETTLE, (state, settled_at, reason, attempts, *key)).rowcount > 0
