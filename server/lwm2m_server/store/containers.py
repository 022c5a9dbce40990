"""Writes to containers: messages come, go and move; limits hold; counters are always right."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import attrs

from lwm2m_server.store.documents import dumps
from lwm2m_server.store.evicted import Evicted
from lwm2m_server.store.protocols import Born, Conflict, ContainerFull, Gone, Message, Resource
from lwm2m_server.store.reading import COUNTERS, LedgerReader

CONTAINER = 3
"""``ty``"""

MAX_INSTANCES, MAX_BYTES = 100, 1_000_000
"""Limits of a container whose attributes have no ``mni`` or ``mbs``."""

_MOVE = """UPDATE message SET id = ?, container = ?, name = NULL, st = ?, deadline = NULL, in_flight = 0
    WHERE id = ?"""
_DELETE = "DELETE FROM message WHERE id = ?"
_COUNT = "UPDATE container SET st = ?, cni = ?, cbs = ? WHERE id = ?"
_UNLIST = "DELETE FROM entry WHERE container = ? AND id = ? RETURNING cs"

KNOWN = 20_000
"""Containers whose counters are kept in memory."""


@attrs.define(slots=True)
class _Container:
    id: int
    state_tag: int
    instances: int
    bytes: int
    max_instances: int
    max_bytes: int
    evict: int
    newest: int
    """The highest id of its messages, or 0."""

    def takes(self, instances: int, size: int) -> bool:
        return self.instances + instances <= self.max_instances and self.bytes + size <= self.max_bytes

    def count(self, instances: int, size: int) -> None:
        self.instances += instances
        self.bytes += size


class ContainerWriter(LedgerReader):
    """The part of a ``Transaction`` that is about messages."""

    def __init__(self, connection: sqlite3.Connection, latest: Mapping[int, bytes], evicted: Evicted) -> None:
        super().__init__(connection, latest)
        self._connection, self._evicted = connection, evicted
        self._known: dict[int, _Container] = {}
        self._newborn: dict[int, _Container] = {}
        """Containers that came to be in this transaction."""

    def add_message(self, message: Message, *, started: bool = False) -> int:
        size, name = message.size, message.own_name
        if name is not None and self.message_named(message.container, name) is not None:
            raise Conflict(f"the name {name!r} is taken")
        container = self._room(message.container, size)
        self._execute(
            "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                message.id,
                message.container,
                name,
                message.creator,
                container.state_tag + 1,
                message.content,
                message.content_info,
                size,
                None if message.labels is None else dumps(message.labels),
                message.expires,
                message.deadline,
                message.in_flight or started,
            ),
        )
        return self._list(container, message.id, size)

    def remove_message(self, id: int) -> None:
        row = self._execute("SELECT container FROM message WHERE id = ?", (id,)).fetchone()
        if row is not None and self._unlist(row[0], id) is not None:
            self._execute(_DELETE, (id,))

    def move_message(self, id: int, container: int, target: int, new_id: int) -> bool:
        size = self._unlist(container, id)
        if size is None:
            return False
        try:
            taker = self._room(target, size)
        except ContainerFull:
            self._execute(_DELETE, (id,))
            raise
        self._execute(_MOVE, (new_id, target, taker.state_tag + 1, id))
        self._list(taker, new_id, size)
        return True

    # --- a container's list of messages --------------------------------------------------------------

    def _room(self, id: int, size: int) -> _Container:
        """The container, with room for one message more."""
        container = self._known.get(id) or self._container(id)
        self._make_room(container, size)
        return container

    def _list(self, container: _Container, id: int, size: int) -> int:
        """Enter a message; returns the container's new ``state_tag``."""
        container.count(1, size)
        container.state_tag += 1
        self._execute(
            "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)",
            (container.id, id, size, container.state_tag, container.instances, container.bytes),
        )
        if id > container.newest and (container.evict or container.state_tag > 1):
            container.newest = id
        else:
            # Its entry does not tell the counters, since it is not the last one; or it is the first of a
            # queue, which must have a row to be found.
            self._save(container)
        return container.state_tag

    def _unlist(self, container: int, id: int) -> int | None:
        """Strike a message off; returns its size, ``None`` if it is not there."""
        try:
            listed = self._known.get(container) or self._container(container)
        except Gone:
            return None
        row = self._execute(_UNLIST, (container, id)).fetchone()
        if row is None:
            return None
        listed.count(-1, -row[0])
        self._count(listed)
        return int(row[0])

    def mark_in_flight(self, id: int, in_flight: bool) -> None:
        self._execute("UPDATE message SET in_flight = ? WHERE id = ?", (in_flight, id))

    # --- the container's own row ---------------------------------------------------------------------

    def _put_queue(self, container: Resource) -> None:
        """A container that never evicts needs a row to say so; others only to tell what differs."""
        self._save(_Container(container.id, 0, 0, 0, *_limits(container.attributes), False, 0))

    def _change_container(self, id: int, attributes: Mapping[str, Any]) -> None:
        container = self._container(id)
        container.max_instances, container.max_bytes = _limits(attributes)
        if container.evict:
            self._evict(container, 0, 0)
        self._save(container)

    def _remove_container(self, id: int) -> None:
        self._known.pop(id, None)
        self._newborn.pop(id, None)
        self._execute("DELETE FROM container WHERE id = ?", (id,))
        self._execute("DELETE FROM message WHERE id IN (SELECT id FROM entry WHERE container = ?)", (id,))
        self._execute("DELETE FROM entry WHERE container = ?", (id,))

    def _container(self, id: int) -> _Container:
        """As it is stored, and from now on known."""
        container = self._newborn.pop(id, None)
        if container is None:
            row = self._execute(COUNTERS, (id,)).fetchone()
            container = _Container(id, *row) if row is not None else self._without_row(id)
        if len(self._known) >= KNOWN:
            self._known.clear()
        self._known[id] = container
        return container

    def _without_row(self, id: int) -> _Container:
        """All is as it was when it came to be, but for the messages."""
        found, birth = self.resource(id), self._birth(id)
        if found is None or found.type != CONTAINER:
            raise Gone("the container was removed")
        state_tag, instances, bytes, newest = self._newest(id)
        evict = birth is None or birth[1].evict
        return _Container(id, state_tag, instances, bytes, *_limits(found.attributes), evict, newest)

    def _bear(self, id: int, container: Born) -> None:
        limits = _limits(container.attributes)
        self._newborn[id] = _Container(id, 0, 0, 0, *limits, container.evict, 0)

    def forget(self) -> None:
        """What is known of containers, because writes were undone."""
        self._known.clear()
        self._newborn.clear()

    def _count(self, container: _Container) -> None:
        """Save what has become of the counters; a container that has no row gets one."""
        counters = container.state_tag, container.instances, container.bytes, container.id
        if self._execute(_COUNT, counters).rowcount == 0:
            self._save(container)

    def _save(self, container: _Container) -> None:
        self._execute(
            "INSERT OR REPLACE INTO container VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                container.id,
                container.state_tag,
                container.instances,
                container.bytes,
                container.max_instances,
                container.max_bytes,
                container.evict,
            ),
        )

    def _make_room(self, container: _Container, size: int) -> None:
        """For one message more."""
        if container.max_instances < 1 or size > container.max_bytes:
            raise ContainerFull(
                f"{size} bytes; the container takes {container.max_instances} messages"
                f" of {container.max_bytes} bytes in all"
            )
        if not container.evict and not container.takes(1, size):
            raise ContainerFull(
                f"{container.instances} messages of {container.bytes} bytes are there already"
            )
        self._evict(container, 1, size)

    def _evict(self, container: _Container, instances: int, size: int) -> None:
        """Drop the oldest until so much more fits."""
        while container.instances and not container.takes(instances, size):
            id, bytes = self._execute(
                """DELETE FROM entry WHERE container = ?1
                AND id = (SELECT min(id) FROM entry WHERE container = ?1) RETURNING id, cs""",
                (container.id,),
            ).fetchone()
            self._evicted.add(id)
            container.count(-1, -bytes)


def _limits(attributes: Mapping[str, Any]) -> tuple[int, int]:
    return attributes.get("mni", MAX_INSTANCES), attributes.get("mbs", MAX_BYTES)
