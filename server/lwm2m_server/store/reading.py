"""Reads of the ledger: each a look-up by primary key or by one index."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from itertools import takewhile
from typing import Any, TypeAlias

from lwm2m_server.store.announcements import AnnouncementReader
from lwm2m_server.store.audit import AuditReader
from lwm2m_server.store.broods import REACH, born, brood_from_json, children, named
from lwm2m_server.store.campaigns import CampaignReader
from lwm2m_server.store.contents import CONTAINER, ContainerReader, limits, row_limit
from lwm2m_server.store.credentials import CredentialReader
from lwm2m_server.store.desired import DesiredReader
from lwm2m_server.store.devices import DeviceReader
from lwm2m_server.store.documents import (
    Announcement,
    loads,
)
from lwm2m_server.store.enrolment import EnrolmentReader
from lwm2m_server.store.events import EventReader
from lwm2m_server.store.expiration import NOT_OVER, Clock
from lwm2m_server.store.finding import FindingReader
from lwm2m_server.store.histories import ValueReader
from lwm2m_server.store.names import Names
from lwm2m_server.store.onboarding import OnboardingReader
from lwm2m_server.store.outbox import OutboxReader
from lwm2m_server.store.problems import ProblemReader
from lwm2m_server.store.profiles import ProfileReader
from lwm2m_server.store.records import Born, Brood, Resource
from lwm2m_server.store.rpc import RpcReader
from lwm2m_server.store.subscribers import SubscriptionReader
from lwm2m_server.store.undecoded import UndecodedReader
from lwm2m_server.store.updates import UpdateReader

Row: TypeAlias = tuple[Any, ...]

GENERATIONS = 4
"""Names looked up at once on the way down."""

_COLUMNS = ("id", "tenant", "parent", "name", "ty", "key", "attributes", "modified", "expires", "brood")
_RESOURCE = f"SELECT {', '.join(_COLUMNS)} FROM resource"  # noqa: S608
_CHILD = f"""{_RESOURCE} WHERE parent = ?1 AND name = ?2
    UNION ALL {_RESOURCE} WHERE id = ?1 AND brood IS NOT NULL LIMIT 1"""
"""Or else the parent, if it has children without rows."""
_NEXT_RESOURCE = "SELECT expires FROM resource WHERE expires IS NOT NULL ORDER BY expires LIMIT 1"
_NEXT_MESSAGE = "SELECT et FROM message WHERE et IS NOT NULL AND deadline IS NULL ORDER BY et LIMIT 1"
_OVER = "SELECT count(*) FROM resource INDEXED BY resource_expires WHERE expires <= ?"


class LedgerReader(
    ContainerReader,
    DeviceReader,
    CredentialReader,
    EnrolmentReader,
    OnboardingReader,
    AuditReader,
    EventReader,
    OutboxReader,
    CampaignReader,
    DesiredReader,
    ProblemReader,
    ProfileReader,
    UpdateReader,
    ValueReader,
    UndecodedReader,
    AnnouncementReader,
    RpcReader,
    FindingReader,
    SubscriptionReader,
):
    """The ``Reader`` of ``protocols`` on one SQLite connection. Not for two threads at once."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        latest: Mapping[int, bytes],
        names: Names,
        waiting: Mapping[int, bytes],
        told: Mapping[int, Sequence[bytes]],
        clock: Clock,
    ) -> None:
        """``latest`` is that of ``Contacts``; ``waiting`` those of ``Arrivals`` and of ``Values``."""
        self._execute, self._clock, self._told = connection.execute, clock, told
        self._latest, self._names, self._waiting = latest, names, waiting
        self._announcements: dict[bytes, Announcement] = {}
        self._broods: dict[int, Brood] = {}

    # --- oneM2M resources ----------------------------------------------------------------------------

    def resource(self, id: int) -> Resource | None:
        row = self._execute(f"{_RESOURCE} WHERE id = ?", (id,)).fetchone()
        if row is not None:
            return None if self._is_over(row[-2]) else _resource(row)
        birth = self._birth(id)
        return None if birth is None else born(birth[1], birth[0])

    def child(self, parent: int, name: str) -> Resource | None:
        row = self._execute(_CHILD, (parent, name)).fetchone()
        if row is None or row[2] == parent:
            return None if row is None or self._is_over(row[-2]) else _resource(row)
        return named(name, _resource(row), self._brood(row[-1]))

    def below(self, parent: int, names: Sequence[str]) -> Sequence[Resource]:
        found: list[Resource] = []
        while len(found) < len(names):
            generations = names[len(found) : len(found) + GENERATIONS]
            start = found[-1].id if found else parent
            row = self._execute(
                _descent(len(generations)), (*generations[1:], start, generations[0])
            ).fetchone()
            width = len(_COLUMNS)
            cells = () if row is None else (row[at : at + width] for at in range(0, len(row), width))
            more = [
                _resource(one) for one in takewhile(lambda one: one[0] and not self._is_over(one[-2]), cells)
            ]
            found += more
            if len(more) < len(generations):
                child = self._born_child(found[-1].id if found else parent, names[len(found)])
                if child is None:
                    break
                found.append(child)
        return found

    def children(
        self,
        parent: int,
        *,
        types: Collection[int] = (),
        limit: int | None = None,
        offset: int = 0,
        after: Resource | None = None,
    ) -> Sequence[Resource]:
        family = self._family(parent)
        if family is not None:
            return self._siblings(*family, types, after)[offset:][:limit]
        rows: list[Row] = []
        if after is not None:
            # SQLite finds a place by (type, id) only if the type is one value.
            query = f"{_RESOURCE} WHERE parent = ? AND ty = ? AND id > ? AND {NOT_OVER} ORDER BY id LIMIT ?"
            arguments = parent, after.type, after.id, self._now(), row_limit(limit)
            rows = self._execute(query, arguments).fetchall()
        if limit is None or len(rows) < limit:
            behind = "" if after is None else f" AND ty > {after.type}"
            among = f"parent = ?{behind}{_among(types)} AND {NOT_OVER}"
            rest = row_limit(limit) if limit is None else limit - len(rows)
            rows += self._execute(
                f"{_RESOURCE} WHERE {among} ORDER BY ty, id LIMIT ? OFFSET ?",
                (parent, *types, self._now(), rest, offset),
            ).fetchall()
        return [_resource(row) for row in rows]

    def count_children(self, parent: int, types: Collection[int] = ()) -> int:
        among = f"parent = ?{_among(types)}"
        query = f"SELECT count(*) FROM resource WHERE {among}"  # noqa: S608
        count = int(self._execute(query, (parent, *types)).fetchone()[0])
        count -= int(self._execute(f"{_OVER} AND {among}", (self._now(), parent, *types)).fetchone()[0])
        family = self._family(parent)
        if family is not None:
            count += sum(not types or child.type in types for child in family[1].children)
        return count

    # --- what is over, or about to be ----------------------------------------------------------------

    def next_expiry(self) -> int | None:
        resource = self._execute(_NEXT_RESOURCE).fetchone()
        message = self._execute(_NEXT_MESSAGE).fetchone()
        return min((row[0] for row in (resource, message) if row is not None), default=None)

    def expired(self, limit: int) -> Sequence[Resource]:
        query = f"{_RESOURCE} WHERE expires <= ? ORDER BY expires LIMIT ?"
        return [_resource(row) for row in self._execute(query, (self._now(), limit)).fetchall()]

    def doomed(self, limit: int) -> Sequence[int]:
        rows = self._execute("SELECT id FROM doomed ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
        return [id for (id,) in rows]

    # --- those without rows --------------------------------------------------------------------------

    def _family(self, parent: int) -> tuple[Resource, Brood] | None:
        """A resource and the children that it has and that have no rows."""
        query = f"{_RESOURCE} WHERE id = ? AND brood IS NOT NULL"
        row = self._execute(query, (parent,)).fetchone()
        return None if row is None else (_resource(row), self._brood(row[-1]))

    def _birth(self, id: int) -> tuple[Resource, Born] | None:
        """Of a resource without a row its parent, and what it is born as."""
        query = f"{_RESOURCE} WHERE id BETWEEN ? AND ? AND brood IS NOT NULL"
        for row in self._execute(query, (id - REACH, id - 1)).fetchall():
            for child in self._brood(row[-1]).children:
                if row[0] + child.offset == id:
                    return _resource(row), child
        return None

    def _born_child(self, parent: int, name: str) -> Resource | None:
        family = self._family(parent)
        return None if family is None else named(name, *family)

    def _siblings(
        self, parent: Resource, brood: Brood, types: Collection[int], after: Resource | None
    ) -> list[Resource]:
        """All children of a parent that has only few of them."""
        query = f"{_RESOURCE} WHERE parent = ? AND {NOT_OVER}"
        rows = self._execute(query, (parent.id, self._now())).fetchall()
        found = [*map(_resource, rows), *children(brood, parent)]
        if types:
            found = [one for one in found if one.type in types]
        if after is not None:
            found = [one for one in found if (one.type, one.id) > (after.type, after.id)]
        return sorted(found, key=lambda one: (one.type, one.id))

    def _brood(self, number: int) -> Brood:
        """The same object for all parents that have the same."""
        found = self._broods.get(number)
        if found is None:
            row = self._execute("SELECT document FROM brood WHERE number = ?", (number,)).fetchone()
            found = self._broods[number] = brood_from_json(row[0])
        return found

    # --- containers ----------------------------------------------------------------------------------

    def _without_row(self, id: int) -> tuple[int, int, bool] | None:
        """All is as it was when it came to be, but for the messages."""
        birth = self._birth(id)
        found = self.resource(id) if birth is None else birth[1]
        if found is None or found.type != CONTAINER:
            return None
        return *limits(found.attributes), birth is None or birth[1].evict


@cache
def _descent(generations: int) -> str:
    """One look-up for several names: half of what a short query costs is beginning and ending it."""
    steps = range(generations)
    columns = ", ".join(f"r{n}.{column}" for n in steps for column in _COLUMNS)
    joins = (f"LEFT JOIN resource r{n} ON r{n}.parent = r{n - 1}.id AND r{n}.name = ?" for n in steps[1:])
    return f"SELECT {columns} FROM resource r0 {' '.join(joins)} WHERE r0.parent = ? AND r0.name = ?"  # noqa: S608


def _among(types: Collection[int]) -> str:
    return f" AND ty IN ({','.join('?' * len(types))})" if types else ""


def _resource(row: Row) -> Resource:
    id, tenant, parent, name, type, key, attributes, modified, *_ = row
    return Resource(id, tenant, parent, name, type, key, loads(attributes), modified)
