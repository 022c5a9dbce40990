"""Problems: what could not be decoded, mapped or done; a bounded number of them, equal ones as one row.

A row tells how often, when first and when last. Whatever strangers or broken devices cause, a tenant keeps
its newest: of one device so many, of those nobody knows so many of each kind, and so many altogether.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import attrs
import orjson

VERSION_9: Final = """
CREATE TABLE problem (
    id INTEGER PRIMARY KEY, place INTEGER NOT NULL, tenant TEXT NOT NULL, node INTEGER NOT NULL,
    kind TEXT NOT NULL, same TEXT NOT NULL, device TEXT NOT NULL, first INTEGER NOT NULL,
    last INTEGER NOT NULL, count INTEGER NOT NULL, text TEXT NOT NULL, facts TEXT NOT NULL
);
CREATE UNIQUE INDEX problem_same ON problem (node, tenant, kind, same);
CREATE INDEX problem_place ON problem (place);
CREATE INDEX problem_tenant ON problem (tenant, place, last, kind);
"""

KEPT: Final = 10_000
"""Rows of one tenant; a few more until it is looked at."""
ROUND: Final = 100
"""Problems put between two looks at how many a tenant has, which takes as long as there are rows."""
KEPT_OF_DEVICE: Final = 100
KEPT_OF_NOBODY: Final = 1_000
"""Rows of one kind that are no device's."""

_ROW = "SELECT id, place, tenant, node, kind, same, device, first, last, count, text, facts FROM problem"
_LAST = "SELECT ifnull(max(place), 0) FROM problem"
_PUT = """INSERT INTO problem VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (node, tenant, kind, same) DO UPDATE SET place = excluded.place, device = excluded.device,
    last = max(last, excluded.last), count = count + excluded.count, text = excluded.text,
    facts = excluded.facts"""
# The other index has the order, and would lead through all rows of the tenant.
_TRIM_DEVICE = """DELETE FROM problem WHERE id IN (
    SELECT id FROM problem INDEXED BY problem_same WHERE node = ? AND tenant = ?
    ORDER BY place DESC LIMIT -1 OFFSET ?)"""
_TRIM_NOBODY = """DELETE FROM problem WHERE id IN (
    SELECT id FROM problem INDEXED BY problem_same WHERE node = 0 AND tenant = ? AND kind = ?
    ORDER BY place DESC LIMIT -1 OFFSET ?)"""
_TRIM = """DELETE FROM problem WHERE id IN (
    SELECT id FROM problem WHERE tenant = ? ORDER BY place DESC LIMIT -1 OFFSET ?)"""


@attrs.frozen(slots=True)
class Problem:
    """Times are milliseconds since 1970-01-01 UTC."""

    kind: str
    text: str
    """One sentence."""
    last: int
    tenant: str = ""
    """Empty for what belongs to none."""
    same: str = ""
    """What makes it the same as another one of its kind and device."""
    node: int = 0
    """Of the device it is about; 0 if it is about none that is known."""
    device: str = ""
    """Its name, or the endpoint name somebody gave."""
    facts: Mapping[str, Any] = attrs.field(factory=dict)
    first: int = attrs.field(default=attrs.Factory(lambda one: one.last, takes_self=True))
    count: int = 1

    @property
    def key(self) -> tuple[int, str, str, str]:
        """Equal for what is one row."""
        return self.node, self.tenant, self.kind, self.same

    def once_more(self, newer: Problem) -> Problem:
        """Both as one."""
        return attrs.evolve(newer, first=min(self.first, newer.first), count=self.count + newer.count)


@attrs.frozen(slots=True)
class KeptProblem:
    """A row."""

    id: int
    place: int
    """Higher for what happened later."""
    problem: Problem


@attrs.frozen(slots=True)
class ProblemFilter:
    """Which problems somebody wants; what is empty admits all."""

    tenants: Collection[str] = ()
    kinds: Collection[str] = ()
    device: str = ""
    """Its name, or an endpoint name."""
    since: int = 0
    """Happened then or later; milliseconds."""
    text: str = ""
    """Occurs in the sentence, the device or the facts, in any case of its letters."""


class ProblemReads(Protocol):
    """The part of ``Reader`` that is about problems."""

    def problems(self, wanted: ProblemFilter, *, limit: int, after: int = 0) -> Sequence[KeptProblem]:
        """The newest first, behind the one at this place. May touch every row."""
        ...

    def problem(self, id: int) -> KeptProblem | None: ...
    def count_problems(self, wanted: ProblemFilter) -> Mapping[str, tuple[int, int]]:
        """By kind: rows, and when the newest of them happened last (milliseconds)."""
        ...


class ProblemWrites(Protocol):
    """The part of ``Transaction`` that is about them."""

    def put_problems(self, problems: Iterable[Problem]) -> None:
        """Equal ones become one row, that of the newest; the oldest go where there are too many."""
        ...

    def settle_problems(self, tenant: str, kind: str, *, but: Collection[str] = ()) -> Collection[str]:
        """Those of a kind that are no device's are mended, except where ``same`` is one of these; returns
        which of these are known."""
        ...

    def mend_problems(self, node: int, kind: str, paths: Collection[str]) -> None:
        """Those of a device about one of these paths are mended."""
        ...

    def remove_problem(self, id: int) -> None: ...
    def forget_problems(self, tenant: str) -> None:
        """All of a tenant."""
        ...


class ProblemReader:
    """``ProblemReads`` on a connection."""

    _execute: Callable[..., sqlite3.Cursor]

    def problems(self, wanted: ProblemFilter, *, limit: int, after: int = 0) -> Sequence[KeptProblem]:
        where, values = _where(wanted)
        if after:
            where.append("place < ?")
            values.append(after)
        query = f"{_ROW}{_joined(where)} ORDER BY place DESC LIMIT ?"
        return [_kept(row) for row in self._execute(query, (*values, limit)).fetchall()]

    def problem(self, id: int) -> KeptProblem | None:
        row = self._execute(f"{_ROW} WHERE id = ?", (id,)).fetchone()
        return None if row is None else _kept(row)

    def count_problems(self, wanted: ProblemFilter) -> Mapping[str, tuple[int, int]]:
        where, values = _where(wanted)
        query = f"SELECT kind, count(*), max(last) FROM problem{_joined(where)} GROUP BY kind"  # noqa: S608
        return {kind: (count, newest) for kind, count, newest in self._execute(query, values).fetchall()}


class ProblemWriter(ProblemReader):
    """``ProblemWrites`` on a connection."""

    def put_problems(self, problems: Iterable[Problem]) -> None:
        touched: dict[tuple[str, int, str], None] = {}
        (before,) = self._execute(_LAST).fetchone()
        for one in problems:
            (last,) = self._execute(_LAST).fetchone()
            facts = orjson.dumps(dict(one.facts)).decode()
            where = (last + 1, one.tenant, one.node, one.kind, one.same, one.device)
            self._execute(_PUT, (*where, one.first, one.last, one.count, one.text, facts))
            touched[one.tenant, one.node, "" if one.node else one.kind] = None
        for tenant, node, kind in touched:
            if node:
                self._execute(_TRIM_DEVICE, (node, tenant, KEPT_OF_DEVICE))
            else:
                self._execute(_TRIM_NOBODY, (tenant, kind, KEPT_OF_NOBODY))
        (after,) = self._execute(_LAST).fetchone()
        if after // ROUND != before // ROUND:
            for tenant in {tenant for tenant, _, _ in touched}:
                self._execute(_TRIM, (tenant, KEPT))

    def settle_problems(self, tenant: str, kind: str, *, but: Collection[str] = ()) -> Collection[str]:
        query = "SELECT id, same FROM problem WHERE node = 0 AND tenant = ? AND kind = ?"
        known = set()
        for id, same in self._execute(query, (tenant, kind)).fetchall():
            if same in but:
                known.add(same)
            else:
                self.remove_problem(id)
        return known

    def mend_problems(self, node: int, kind: str, paths: Collection[str]) -> None:
        query = """DELETE FROM problem WHERE node = ? AND kind = ? AND json_extract(facts, '$.path') = ?"""
        for path in paths:
            self._execute(query, (node, kind, path))

    def remove_problem(self, id: int) -> None:
        self._execute("DELETE FROM problem WHERE id = ?", (id,))

    def forget_problems(self, tenant: str) -> None:
        self._execute("DELETE FROM problem WHERE tenant = ?", (tenant,))


def _where(wanted: ProblemFilter) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    values: list[Any] = []
    for column, choices in (("tenant", wanted.tenants), ("kind", wanted.kinds)):
        if choices:
            where.append(f"{column} IN ({', '.join('?' * len(choices))})")
            values += choices
    if wanted.device:
        where.append("(device = ? OR json_extract(facts, '$.endpoint') = ?)")
        values += (wanted.device, wanted.device)
    if wanted.since:
        where.append("last >= ?")
        values.append(wanted.since)
    if wanted.text:
        # Not LIKE, in which some characters mean others.
        where.append("instr(lower(text || ' ' || device || ' ' || facts), lower(?)) > 0")
        values.append(wanted.text)
    return where, values


def _joined(where: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(where)}" if where else ""


def _kept(row: tuple[Any, ...]) -> KeptProblem:
    id, place, tenant, node, kind, same, device, first, last, count, text, facts = row
    problem = Problem(kind, text, last, tenant, same, node, device, orjson.loads(facts), first, count)
    return KeptProblem(id, place, problem)
