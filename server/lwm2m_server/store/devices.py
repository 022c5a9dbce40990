"""Rows of devices: what the ledger knows of their LwM2M side."""

from __future__ import annotations

import logging
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar

from lwm2m_engine.coap import Peer
from lwm2m_engine.engine.records import Liveness, Observation
from lwm2m_engine.errors import LwM2MError
from lwm2m_server.store.contacts import Contact, contact
from lwm2m_server.store.documents import (
    Announcement,
    announcement_from_json,
    inputs_from_json,
    observation_from_json,
    power_from_json,
    registration_from_json,
)
from lwm2m_server.store.names import Names
from lwm2m_server.store.records import Device, Moments, Unanswered

P = ParamSpec("P")
T = TypeVar("T")
Row: TypeAlias = tuple[Any, ...]

CHUNK: Final = 500
"""Devices read at once."""
ANNOUNCEMENTS: Final = 4096
"""Announcements kept in memory, beyond those that somebody uses."""

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


_log = logging.getLogger(__name__)


class DeviceReader:
    """The part of a ``Reader`` that is about devices.

    A document that cannot be read is left out, and the server's log says so once: what is wrong with one
    device is no reason to be without all others. It registers anew and is as before.
    """

    _execute: Callable[..., sqlite3.Cursor]
    _latest: Mapping[int, bytes]
    _names: Names
    _announcements: dict[bytes, Announcement]

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

    def observations(self, node: int) -> Sequence[Observation]:
        rows = self._execute("SELECT token, document FROM observation WHERE node = ?", (node,)).fetchall()
        found = (legible(node, observation_from_json, *row) for row in rows)
        return [observation for observation in found if observation is not None]

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
                observation = legible(node, observation_from_json, token, document)
                if observation is not None:
                    observations.setdefault(node, []).append(observation)
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
        announcement = None if hash is None else legible(row[0], self._announcement, hash)
        return _device(row, contact, announcement)

    def _announcement(self, hash: bytes) -> Announcement:
        """The same objects for all devices that announce the same."""
        found = self._announcements.get(hash)
        if found is None:
            row = self._execute("SELECT document FROM announcement WHERE hash = ?", (hash,)).fetchone()
            if len(self._announcements) >= ANNOUNCEMENTS:
                self._announcements.clear()
            found = announcement_from_json(row[0])
            self._announcements[hash] = found
        return found

    def _contact(self, node: int, journal: int) -> Contact | None:
        return contact(self._latest, node, journal)


def node_id_key(text: str) -> str:
    """``urn:imei:`` and ``urn:gsma:imei:`` (RFC 7254) are two spellings of one name."""
    return text.replace("urn:gsma:imei:", "urn:imei:", 1) if text.startswith("urn:gsma:imei:") else text


def _device(row: Row, contact: Contact | None, announcement: Announcement | None) -> Device:
    node, tenant, name, node_id, endpoint, registration, *moments, inputs = row[:11]
    registered_at, updated_at, deregistered_at, expired_at = moments
    host, port, listener, proven, seen_at, expires_at = row[11:17]
    power, profile = row[19:21]
    if contact is not None:
        seen_at, expires_at = contact
        updated_at = seen_at
    known = (
        None if registration is None else legible(node, registration_from_json, registration, announcement)
    )
    peer = Peer(host, port, sys.intern(listener), proven) if known is not None else None
    return Device(
        node=node,
        tenant=tenant,
        name=name,
        node_id=node_id,
        endpoint=endpoint,
        registration=known,
        liveness=None if peer is None else Liveness(peer, seen_at, expires_at),
        registered_at=registered_at,
        updated_at=updated_at,
        deregistered_at=deregistered_at,
        expired_at=expired_at,
        inputs=(legible(node, inputs_from_json, inputs) or {}) if inputs else {},
        power=legible(node, power_from_json, power) if power else None,
        profile=profile,
    )


def legible(node: int, read: Callable[P, T], *arguments: P.args, **more: P.kwargs) -> T | None:
    """What ``read`` makes of a document of a node; ``None`` if that cannot be read."""
    try:
        return read(*arguments, **more)
    except (ValueError, LookupError, TypeError, AttributeError, LwM2MError) as error:
        _complain(node, read.__name__.strip("_").removesuffix("_from_json"), repr(error))
        return None


@lru_cache(maxsize=1024)
def _complain(node: int, what: str, reason: str) -> None:
    """Once."""
    _log.error("ledger: the %s of node %d cannot be read: %s", what, node, reason)
