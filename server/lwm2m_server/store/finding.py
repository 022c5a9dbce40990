"""Devices by what somebody looks for, in any order: for lists that people page through."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from heapq import nlargest, nsmallest
from typing import Final, Literal, Protocol, TypeAlias

import attrs

from lwm2m_server.store.contacts import contact
from lwm2m_server.store.documents import dumps

VERSION_8: Final = "CREATE INDEX device_names ON device (tenant, name, endpoint, ni);"

Sort: TypeAlias = Literal["created", "name", "endpoint", "registeredAt", "lastSeen"]

_COLUMNS: Final[Mapping[Sort, str]] = {
    "created": "d.node",
    "name": "d.name",
    "endpoint": "d.endpoint",
    "registeredAt": "d.registered_at",
}
_MEMBER: Final = "(d.name IN (SELECT value FROM json_each(?)) OR d.node IN (SELECT value FROM json_each(?)))"
# All that is looked at stands in the index: rows of devices are long.
_TEXT: Final = r"""d.node IN (SELECT node FROM device INDEXED BY device_names WHERE tenant = ?
    AND (name LIKE ? ESCAPE '\' OR endpoint LIKE ? ESCAPE '\' OR ni LIKE ? ESCAPE '\'))"""
_SEEN: Final = "SELECT node, seen_at, journal FROM liveness"


@attrs.frozen(slots=True)
class Wanted:
    """Which devices, and in which order."""

    tenant: str
    text: str | None = None
    """In a name, an endpoint name or a node id; ASCII letters in any case."""
    registered: bool | None = None
    may_sleep: bool = False
    """Only those in queue mode, or for which it was set when they listen."""
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
            found = self._execute(f"SELECT d.node FROM device d WHERE {where}", values)  # noqa: S608
            return self._by_sight([node for (node,) in found.fetchall()], wanted, limit, offset)
        way = "DESC" if wanted.descending else "ASC"
        order = f"{_COLUMNS[wanted.sort]} {way}"
        query = f"SELECT d.node FROM device d WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608
        rows = self._execute(query, (*values, -1 if limit is None else limit, offset)).fetchall()
        return [node for (node,) in rows]

    def count_devices(self, wanted: Wanted) -> int:
        where, values = _condition(wanted)
        query = f"SELECT count(*) FROM device d WHERE {where}"  # noqa: S608 - made of constants
        return int(self._execute(query, values).fetchone()[0])

    def _by_sight(
        self, nodes: Sequence[int], wanted: Wanted, limit: int | None, offset: int
    ) -> Sequence[int]:
        """Never is before all else. The journal may know better than a row."""
        rows, known = self._execute(_SEEN).fetchall(), self._latest
        seen: dict[int, float] = {node: at for node, at, _ in rows}
        for node, _, journal in rows:
            latest = contact(known, node, journal) if node in known else None
            if latest is not None:
                seen[node] = latest[0]
        most = len(nodes) if limit is None else offset + limit
        some = nlargest if wanted.descending else nsmallest
        return [node for _, node in some(most, [(seen.get(node, 0.0), node) for node in nodes])][offset:]


def _condition(wanted: Wanted) -> tuple[str, tuple[str, ...]]:
    parts, values = ["d.tenant = ?"], [wanted.tenant]
    if wanted.text:
        escaped = wanted.text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
        parts.append(_TEXT)
        values += [wanted.tenant, *[f"%{escaped}%"] * 3]
    if wanted.registered is not None:
        parts.append(f"d.registration IS {'NOT ' if wanted.registered else ''}NULL")
    if wanted.may_sleep:
        parts.append("(json_extract(d.registration, '$.queue_mode') OR d.power IS NOT NULL)")
    if wanted.nodes is not None:
        parts.append(_MEMBER)
        values += [dumps(list(wanted.names)), dumps(list(wanted.nodes))]
    return " AND ".join(parts), tuple(values)
