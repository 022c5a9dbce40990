"""Devices by what somebody looks for, in any order: for lists that people page through."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Literal, Protocol, TypeAlias

import attrs

from lwm2m_server.store.contacts import contact
from lwm2m_server.store.documents import dumps

Sort: TypeAlias = Literal["created", "name", "endpoint", "registeredAt", "lastSeen"]

_COLUMNS: Final[Mapping[Sort, str]] = {
    "created": "d.node",
    "name": "d.name",
    "endpoint": "d.endpoint",
    "registeredAt": "d.registered_at",
}
_MEMBER: Final = "(d.name IN (SELECT value FROM json_each(?)) OR d.node IN (SELECT value FROM json_each(?)))"
_TEXT: Final = r"(d.name LIKE ? ESCAPE '\' OR d.endpoint LIKE ? ESCAPE '\' OR d.ni LIKE ? ESCAPE '\')"
_SEEN: Final = "SELECT d.node, l.seen_at, l.journal FROM device d LEFT JOIN liveness l ON l.node = d.node"


@attrs.frozen(slots=True)
class Wanted:
    """Which devices, and in which order."""

    tenant: str
    text: str | None = None
    """In a name, an endpoint name or a node id; ASCII letters in any case."""
    registered: bool | None = None
    nodes: Collection[int] | None = None
    """Only these, and those that are named; ``None`` for any."""
    names: Collection[str] = ()
    sort: Sort = "created"
    descending: bool = False


class DeviceFinding(Protocol):
    """The part of the ``Reader`` that is about looking for devices."""

    def find_devices(self, wanted: Wanted, *, limit: int | None = None, offset: int = 0) -> Sequence[int]:
        """Nodes. May touch every device: to be read apart."""
        ...

    def count_devices(self, wanted: Wanted) -> int:
        """The same."""
        ...


class FindingReader:
    """``DeviceFinding`` on a connection."""

    _execute: Callable[..., sqlite3.Cursor]
    _latest: Mapping[int, bytes]

    def find_devices(self, wanted: Wanted, *, limit: int | None = None, offset: int = 0) -> Sequence[int]:
        where, values = _condition(wanted)
        if wanted.sort == "lastSeen":
            rows = self._execute(f"{_SEEN} WHERE {where}", values).fetchall()
            seen = [(self._seen(node, at, journal), node) for node, at, journal in rows]
            seen.sort(reverse=wanted.descending)
            return [node for _, node in seen][offset:][:limit]
        way = "DESC" if wanted.descending else "ASC"
        order = ", ".join(f"{column} {way}" for column in dict.fromkeys((_COLUMNS[wanted.sort], "d.node")))
        query = f"SELECT d.node FROM device d WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608
        rows = self._execute(query, (*values, -1 if limit is None else limit, offset)).fetchall()
        return [node for (node,) in rows]

    def count_devices(self, wanted: Wanted) -> int:
        where, values = _condition(wanted)
        query = f"SELECT count(*) FROM device d WHERE {where}"  # noqa: S608 - made of constants
        return int(self._execute(query, values).fetchone()[0])

    def _seen(self, node: int, at: float | None, journal: int | None) -> float:
        """The journal may know better than the row. Never is before all else."""
        latest = None if journal is None else contact(self._latest, node, journal)
        return (at or 0.0) if latest is None else latest[0]


def _condition(wanted: Wanted) -> tuple[str, tuple[str, ...]]:
    parts, values = ["d.tenant = ?"], [wanted.tenant]
    if wanted.text:
        escaped = wanted.text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
        parts.append(_TEXT)
        values += [f"%{escaped}%"] * 3
    if wanted.registered is not None:
        parts.append(f"d.registration IS {'NOT ' if wanted.registered else ''}NULL")
    if wanted.nodes is not None:
        parts.append(_MEMBER)
        values += [dumps(list(wanted.names)), dumps(list(wanted.nodes))]
    return " AND ".join(parts), tuple(values)
