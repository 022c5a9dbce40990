"""Devices by what somebody looks for, in any order: for lists that people page through.

A list of 100,000 devices comes from SQLite as one text: a row each would take three times as long, and the
interpreter's lock each time. Conditions are sets of nodes that an index has, or stand in the index
that the list is read from: rows of devices are long, and an Update touches nothing of all this.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, Literal, Protocol, TypeAlias

import attrs
import orjson

from lwm2m_server.store.documents import dumps

VERSION_8: Final = "CREATE INDEX device_names ON device (tenant, name, endpoint, ni);"
VERSION_9: Final = """
CREATE INDEX device_absent ON device (tenant, registration) WHERE registration IS NULL;
"""

Sort: TypeAlias = Literal["created", "name", "endpoint"]
Condition: TypeAlias = tuple[str, Sequence[object]]
"""SQL and its values."""

AT_ONCE: Final = 200_000
"""Characters of a list of nodes that are read in one go: a millisecond."""
_ORDERS: Final[Mapping[Sort, tuple[str, str]]] = {
    "created": ("node {0}", "device_tenant"),
    "name": ("name {0}", "device_names"),
    "endpoint": ("endpoint {0}, node {0}", "device_names"),
}
"""And the index that has them in this order, or at least all that is needed."""
# Most go by one name: to look at it once is enough.
_TEXT: Final = r"""(name LIKE ? ESCAPE '\' OR (endpoint IS NOT name AND endpoint LIKE ? ESCAPE '\')
    OR (ni IS NOT name AND ni LIKE ? ESCAPE '\'))"""
_ABSENT: Final = """node {} (SELECT node FROM device INDEXED BY device_absent
    WHERE tenant = ? AND registration IS NULL)"""
_ASSIGNED: Final = """node IN (SELECT node FROM device INDEXED BY device_profile
    WHERE tenant = ? AND profile IN (SELECT value FROM json_each(?)))"""
_MEMBER: Final = "(name IN (SELECT value FROM json_each(?)) OR node IN (SELECT value FROM json_each(?)))"
_FITS: Final = "coalesce(endpoint, name) GLOB ?"
_COUNT_ABSENT: Final = """SELECT count(*) FROM device INDEXED BY device_absent
    WHERE tenant = ? AND registration IS NULL"""
# There is no NUL in a name. The limit keeps the set of the absent from being made twice.
_SPLIT: Final = f"""SELECT group_concat(iif(absent, NULL, endpoint), char(0)),
        group_concat(iif(absent, node, NULL))
    FROM (SELECT node, endpoint, {_ABSENT.format("IN")} AS absent FROM device INDEXED BY device_names
        WHERE {{}} LIMIT -1)"""  # noqa: S608 - made of constants
_COUNT: Final = "SELECT count(*) FROM device INDEXED BY device_tenant WHERE tenant = ?"


@attrs.frozen(slots=True)
class Members:
    """Devices that are named, or meant by their node."""

    names: Collection[str]
    nodes: Collection[int]


@attrs.frozen(slots=True)
class Case:
    """Whether devices of a kind are wanted: those that a profile of some names was assigned to, members of a
    group, or those whose endpoint name fits a pattern (that of SQLite's GLOB)."""

    wanted: bool
    assigned: Collection[str] | None = None
    members: Members | None = None
    pattern: str | None = None


@attrs.frozen(slots=True)
class Cases:
    """The first that is true of a device counts, else ``otherwise``."""

    cases: Sequence[Case]
    otherwise: bool


@attrs.frozen(slots=True)
class Wanted:
    """Which devices, and in which order."""

    tenant: str
    text: str | None = None
    """In a name, an endpoint name or a node id; ASCII letters in any case."""
    registered: bool | None = None
    members: Members | None = None
    """Only these."""
    cases: Cases | None = None
    sort: Sort = "created"
    descending: bool = False

    @property
    def is_narrow(self) -> bool:
        """Whether it takes a look at every device to say which these are."""
        return bool(self.text) or self.members is not None or self.cases is not None

    @property
    def is_all_absent(self) -> bool:
        """Whether these are those that are not registered, as their index has them."""
        return self.registered is False and self.sort == "created" and not self.is_narrow


class DeviceFinding(Protocol):
    """The part of the ``Reader`` that is about looking for devices."""

    def find_devices(self, wanted: Wanted, *, limit: int | None = None, offset: int = 0) -> Sequence[int]:
        """Nodes. May touch every device: to be read apart."""
        ...

    def find_endpoints(self, wanted: Wanted) -> tuple[Sequence[str], Sequence[int]]:
        """Endpoint names of those that are registered, and nodes of those that are not, in no order. May
        touch every device: to be read apart."""
        ...

    def count_devices(self, wanted: Wanted) -> int:
        """May touch every device: to be read apart."""
        ...


class FindingReader:
    """``DeviceFinding`` on a connection."""

    _execute: Callable[..., sqlite3.Cursor]

    def find_devices(self, wanted: Wanted, *, limit: int | None = None, offset: int = 0) -> Sequence[int]:
        query, values = _query(wanted)
        if limit is None:
            listed = f"SELECT group_concat(node) FROM ({query})"  # noqa: S608 - made of constants
            return _numbers(self._execute(listed, values).fetchone()[0] or "")
        rows = self._execute(f"{query} LIMIT ? OFFSET ?", (*values, limit, offset)).fetchall()
        return [node for (node,) in rows]

    def find_endpoints(self, wanted: Wanted) -> tuple[Sequence[str], Sequence[int]]:
        where, values = _where(wanted)
        row = self._execute(_SPLIT.format(where), (wanted.tenant, *values)).fetchone()
        names: list[str] = []
        for part in _parts(row[0] or "", "\0"):
            names += part.split("\0")
        return names, _numbers(row[1] or "")

    def count_devices(self, wanted: Wanted) -> int:
        if wanted.is_narrow:
            query, values = _query(wanted)
            return self._counted(f"SELECT count(*) FROM ({query})", *values)  # noqa: S608 - made of constants
        absent = self._counted(_COUNT_ABSENT, wanted.tenant) if wanted.registered is not None else 0
        if wanted.registered is False:
            return absent
        return self._counted(_COUNT, wanted.tenant) - absent

    def _counted(self, query: str, *values: object) -> int:
        return int(self._execute(query, values).fetchone()[0])


def _query(wanted: Wanted) -> tuple[str, list[object]]:
    order, index = _ORDERS[wanted.sort]
    if wanted.is_narrow:
        index = "device_names"
    elif wanted.is_all_absent:
        index = "device_absent"
    where, values = _where(wanted)
    way = order.format("DESC" if wanted.descending else "ASC")
    found = f"SELECT node FROM device INDEXED BY {index} WHERE {where}"  # noqa: S608 - made of constants
    return f"{found} ORDER BY {way}", values


def _where(wanted: Wanted) -> tuple[str, list[object]]:
    found = ["tenant = ?"]
    values: list[object] = [wanted.tenant]
    for condition, more in _conditions(wanted):
        found.append(condition)
        values += more
    return " AND ".join(found), values


def _conditions(wanted: Wanted) -> list[Condition]:
    found: list[Condition] = []
    if wanted.members is not None:
        found.append(_member(wanted.members))
    if wanted.is_all_absent:
        found.append(("registration IS NULL", ()))
    elif wanted.registered is not None:
        found.append((_ABSENT.format("NOT IN" if wanted.registered else "IN"), (wanted.tenant,)))
    if wanted.text:
        escaped = wanted.text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
        found.append((_TEXT, [f"%{escaped}%"] * 3))
    if wanted.cases is not None:
        found.append(_first(wanted.tenant, wanted.cases))
    return found


def _first(tenant: str, cases: Cases) -> Condition:
    found: list[str] = []
    values: list[object] = []
    for case in cases.cases:
        condition, more = _case(tenant, case)
        found.append(f"WHEN {condition} THEN {int(case.wanted)}")
        values += more
    otherwise = int(cases.otherwise)
    return f"CASE {' '.join(found)} ELSE {otherwise} END" if found else f"{otherwise}", values


def _case(tenant: str, case: Case) -> Condition:
    if case.assigned is not None:
        return _ASSIGNED, (tenant, dumps(list(case.assigned)))
    if case.members is not None:
        return _member(case.members)
    return _FITS, (case.pattern,)


def _member(members: Members) -> Condition:
    return _MEMBER, (dumps(list(members.names)), dumps(list(members.nodes)))


def _numbers(text: str) -> list[int]:
    found: list[int] = []
    for part in _parts(text, ","):
        found += orjson.loads(f"[{part}]")
    return found


def _parts(text: str, separator: str) -> Iterator[str]:
    """Not all at once: others wait for the interpreter meanwhile."""
    start = 0
    while start < len(text):
        end = text.find(separator, start + AT_ONCE)
        end = len(text) if end < 0 else end
        yield text[start:end]
        start = end + 1
