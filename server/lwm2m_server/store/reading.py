"""Reads of the ledger: each a look-up by primary key or by one index."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from itertools import takewhile
from typing import Any, TypeAlias

from lwm2m_engine.coap import Peer
from lwm2m_engine.engine.records import Liveness, Observation
from lwm2m_server.store.announcements import AnnouncementReader
from lwm2m_server.store.audit import AuditReader
from lwm2m_server.store.broods import REACH, born, brood_from_json, children, named
from lwm2m_server.store.campaigns import CampaignReader
from lwm2m_server.store.contacts import Contact, contact
from lwm2m_server.store.contents import CONTAINER, ContainerReader, limits, row_limit
from lwm2m_server.store.credentials import CredentialReader
from lwm2m_server.store.desired import DesiredReader
from lwm2m_server.store.documents import (
    Announcement,
    announcement_from_json,
    inputs_from_json,
    loads,
    observation_from_json,
    power_from_json,
    registration_from_json,
)
from lwm2m_server.store.enrolment import EnrolmentReader
from lwm2m_server.store.events import EventReader
from lwm2m_server.store.expiration import NOT_OVER, Clock
from lwm2m_server.store.finding import FindingReader
from lwm2m_server.store.histories import ValueReader
from lwm2m_server.store.names import Names
from lwm2m_server.store.onboarding import OnboardingReader
from lwm2m_server.store.outbox import OutboxReader
from lwm2m_server.store.profiles import ProfileReader
from lwm2m_server.store.records import Born, Brood, Device, Moments, Resource, Unanswered
from lwm2m_server.store.rpc import RpcReader
from lwm2m_server.store.undecoded import UndecodedReader
from lwm2m_server.store.updates import UpdateReader

Row: TypeAlias = tuple[Any, ...]

CHUNK = 500
"""Devices read at once."""
ANNOUNCEMENTS = 4096
"""Announcements kept in memory, beyond those that somebody uses."""
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
_QUEUES = """SELECT id FROM container WHERE evict = 0
    AND EXISTS (SELECT 1 FROM entry WHERE container = container.id)"""
_WAITING = """SELECT count(*) FROM container c CROSS JOIN entry e ON e.container = c.id
    WHERE c.evict = 0"""
_DEVICE = """SELECT d.node, d.tenant, d.name, d.ni, d.endpoint, d.registration,
    d.registered_at, l.updated_at, d.deregistered_at, d.expired_at, i.document,
    l.host, l.port, l.listener, l.identity, l.seen_at, l.expires_at, l.journal, d.announcement, d.power,
    d.profile
    FROM device d LEFT JOIN liveness l ON l.node = d.node LEFT JOIN inputs i ON i.node = d.node"""
_MOMENTS = """SELECT l.journal, l.updated_at, d.registered_at, d.deregistered_at, d.expired_at
    FROM device d LEFT JOIN liveness l ON l.node = d.node WHERE d.node = ?"""
_OF_ENDPOINT = """d.node = coalesce(
    (SELECT node FROM device WHERE endpoint = ?1),
    (SELECT c.node FROM credential c JOIN device o ON o.node = c.node
        WHERE c.side = 'management' AND c.endpoint = ?1),
    (SELECT min(node) FROM device WHERE name = ?1),
    (SELECT node FROM device WHERE ni_key = ?2))"""


class LedgerReader(
    ContainerReader,
    CredentialReader,
    EnrolmentReader,
    OnboardingReader,
    AuditReader,
    EventReader,
    OutboxReader,
    CampaignReader,
    DesiredReader,
    ProfileReader,
    UpdateReader,
    ValueReader,
    UndecodedReader,
    AnnouncementReader,
    RpcReader,
    FindingReader,
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

    # --- devices -------------------------------------------------------------------------------------

    def device(self, node: int) -> Device | None:
        return self._device("d.node = ?", node)

    def moments(self, node: int) -> Moments | None:
        row = self._execute(_MOMENTS, (node,)).fetchone()
        if row is None:
            return None
        journal, *moments = row
        contact = None if journal is None else self._contact(node, journal)
        if contact is not None:
            moments[0] = contact[0]
        return Moments(*moments)

    def device_named(self, tenant: str, name: str) -> Device | None:
        return self._device("d.name = ? AND d.tenant = ?", name, tenant)

    def device_of_endpoint(self, endpoint: str) -> Device | None:
        """A name that nodes of several tenants have belongs to the oldest of them."""
        key = node_id_key(endpoint)
        if endpoint not in self._names and key not in self._names:
            return None
        return self._device(_OF_ENDPOINT, endpoint, key)

    def devices(self, tenant: str | None = None, *, after: int = -1, chunk: int = CHUNK) -> Iterator[Device]:
        among, arguments = ("", ()) if tenant is None else ("d.tenant = ? AND ", (tenant,))
        while True:
            rows = self._execute(
                f"{_DEVICE} WHERE {among}d.node > ? ORDER BY d.node LIMIT ?", (*arguments, after, chunk)
            ).fetchall()
            yield from map(self._as_device, rows)
            if len(rows) < chunk:
                return
            after = rows[-1][0]

    def node_at(self, tenant: str, place: int) -> int | None:
        query = "SELECT node FROM device WHERE tenant = ? ORDER BY node LIMIT 1 OFFSET ?"
        row = self._execute(query, (tenant, place)).fetchone()
        return None if row is None else int(row[0])

    def observations(self, node: int) -> Sequence[Observation]:
        rows = self._execute("SELECT token, document FROM observation WHERE node = ?", (node,)).fetchall()
        return [observation_from_json(token, document) for token, document in rows]

    def everything(self) -> Iterator[tuple[Device, Sequence[Observation]]]:
        last = -1
        while True:
            rows = self._execute(
                f"{_DEVICE} WHERE d.node > ? ORDER BY d.node LIMIT {CHUNK}", (last,)
            ).fetchall()
            if not rows:
                return
            first, last = rows[0][0], rows[-1][0]
            observations: dict[int, list[Observation]] = {}
            among = "SELECT node, token, document FROM observation WHERE node BETWEEN ? AND ?"
            for node, token, document in self._execute(among, (first, last)).fetchall():
                observations.setdefault(node, []).append(observation_from_json(token, document))
            for row in rows:
                yield self._as_device(row), observations.get(row[0], ())

    def count_waiting(self) -> int:
        return int(self._execute(_WAITING).fetchone()[0])

    def queues(self) -> set[int]:
        rows = self._execute(_QUEUES)
        return {id for (id,) in rows.fetchall()}

    def unanswered(self, node: int) -> Sequence[Unanswered]:
        rows = self._execute(
            "SELECT message, content, cnf, deadline FROM unanswered WHERE node = ? ORDER BY message", (node,)
        )
        return [Unanswered(*row) for row in rows.fetchall()]

    def awaiting(self) -> set[int]:
        return {node for (node,) in self._execute("SELECT node FROM unanswered").fetchall()}

    def _device(self, condition: str, *arguments: object) -> Device | None:
        row = self._execute(f"{_DEVICE} WHERE {condition}", arguments).fetchone()
        return self._as_device(row) if row else None

    def _as_device(self, row: Row) -> Device:
        journal, hash = row[17:19]
        contact = None if journal is None else self._contact(row[0], journal)
        return _device(row, contact, None if hash is None else self._announcement(hash))

    def _announcement(self, hash: bytes) -> Announcement:
        """The same objects for all devices that announce the same."""
        found = self._announcements.get(hash)
        if found is None:
            row = self._execute("SELECT document FROM announcement WHERE hash = ?", (hash,)).fetchone()
            if len(self._announcements) >= ANNOUNCEMENTS:
                self._announcements.clear()
            found = self._announcements[hash] = announcement_from_json(row[0])
        return found

    def _contact(self, node: int, journal: int) -> Contact | None:
        return contact(self._latest, node, journal)


def node_id_key(text: str) -> str:
    """``urn:imei:`` and ``urn:gsma:imei:`` (RFC 7254) are two spellings of one name."""
    return text.replace("urn:gsma:imei:", "urn:imei:", 1) if text.startswith("urn:gsma:imei:") else text


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


def _device(row: Row, contact: Contact | None, announcement: Announcement | None) -> Device:
    node, tenant, name, node_id, endpoint, registration, *moments, inputs = row[:11]
    registered_at, updated_at, deregistered_at, expired_at = moments
    host, port, listener, proven, seen_at, expires_at = row[11:17]
    power, profile = row[19:21]
    if contact is not None:
        seen_at, expires_at = contact
        updated_at = seen_at
    return Device(
        node=node,
        tenant=tenant,
        name=name,
        node_id=node_id,
        endpoint=endpoint,
        registration=registration_from_json(registration, announcement) if registration else None,
        liveness=Liveness(Peer(host, port, sys.intern(listener), proven), seen_at, expires_at)
        if registration
        else None,
        registered_at=registered_at,
        updated_at=updated_at,
        deregistered_at=deregistered_at,
        expired_at=expired_at,
        inputs=inputs_from_json(inputs) if inputs else {},
        power=power_from_json(power) if power else None,
        profile=profile,
    )
