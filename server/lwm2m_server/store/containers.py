"""Writes to containers: messages come, go and move; limits hold; counters are always right."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from lwm2m_server.store.documents import dumps
from lwm2m_server.store.ids import uuid_name
from lwm2m_server.store.protocols import Conflict, ContainerFull, Gone, Message, Resource
from lwm2m_server.store.reading import LedgerReader

MAX_INSTANCES, MAX_BYTES = 100, 1_000_000
"""Limits of a container whose attributes have no ``mni`` or ``mbs``."""


@attrs.define(slots=True)
class _Container:
    id: int
    state_tag: int
    instances: int
    bytes: int
    max_instances: int
    max_bytes: int
    evict: int

    def takes(self, instances: int, size: int) -> bool:
        return self.instances + instances <= self.max_instances and self.bytes + size <= self.max_bytes

    def count(self, instances: int, size: int) -> None:
        self.instances += instances
        self.bytes += size


class ContainerWriter(LedgerReader):
    """The part of a ``Transaction`` that is about messages."""

    def __init__(self, connection: sqlite3.Connection, latest: Mapping[int, bytes]) -> None:
        super().__init__(connection, latest)
        self._connection = connection

    def add_message(self, message: Message) -> Message:
        name = None if message.name == uuid_name(message.id) else message.name
        if name is not None and self.message_named(message.container, name) is not None:
            raise Conflict(f"the name {name!r} is taken")
        container = self._container(message.container)
        self._make_room(container, message.size)
        container.count(1, message.size)
        container.state_tag += 1
        self._execute(
            "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                message.id,
                message.container,
                name,
                message.creator,
                container.state_tag,
                message.content,
                message.content_info,
                message.size,
                None if message.labels is None else dumps(message.labels),
                message.expires,
                message.deadline,
                message.in_flight,
            ),
        )
        self._save(container)
        return message.tagged(container.state_tag)

    def remove_message(self, id: int) -> None:
        row = self._execute("SELECT container, cs FROM message WHERE id = ?", (id,)).fetchone()
        if row is not None:
            container = self._container(row[0])
            self._drop(container, id, row[1])
            self._save(container)

    def move_message(self, id: int, container: int, new_id: int, name: str) -> Message | None:
        message = self.message(id)
        if message is None:
            return None
        moved = attrs.evolve(
            message, id=new_id, container=container, name=name, deadline=None, in_flight=False
        )
        moved = self.add_message(moved)
        self.remove_message(id)
        return moved

    def mark_in_flight(self, id: int, in_flight: bool) -> None:
        self._execute("UPDATE message SET in_flight = ? WHERE id = ?", (in_flight, id))

    # --- the container's own row ---------------------------------------------------------------------

    def _put_containers(self, containers: Iterable[tuple[Resource, bool]]) -> None:
        """Each with whether it evicts."""
        self._connection.executemany(
            "INSERT INTO container (id, mni, mbs, evict) VALUES (?, ?, ?, ?)",
            [(one.id, *_limits(one.attributes), evict) for one, evict in containers],
        )

    def _change_container(self, id: int, attributes: Mapping[str, Any]) -> None:
        container = self._container(id)
        container.max_instances, container.max_bytes = _limits(attributes)
        if container.evict:
            self._evict(container, 0, 0)
        self._save(container)

    def _remove_container(self, id: int) -> None:
        self._execute("DELETE FROM container WHERE id = ?", (id,))
        self._execute("DELETE FROM message WHERE container = ?", (id,))

    def _container(self, id: int) -> _Container:
        row = self._execute(
            "SELECT id, st, cni, cbs, mni, mbs, evict FROM container WHERE id = ?", (id,)
        ).fetchone()
        if row is None:
            raise Gone("the container was removed")
        return _Container(*row)

    def _save(self, container: _Container) -> None:
        self._execute(
            "UPDATE container SET st = ?, cni = ?, cbs = ?, mni = ?, mbs = ? WHERE id = ?",
            (
                container.state_tag,
                container.instances,
                container.bytes,
                container.max_instances,
                container.max_bytes,
                container.id,
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
            oldest = self._execute(
                "SELECT id, cs FROM message WHERE container = ? ORDER BY id LIMIT 1", (container.id,)
            ).fetchone()
            self._drop(container, *oldest)

    def _drop(self, container: _Container, id: int, size: int) -> None:
        self._execute("DELETE FROM message WHERE id = ?", (id,))
        container.count(-1, -size)


def _limits(attributes: Mapping[str, Any]) -> tuple[int, int]:
    return attributes.get("mni", MAX_INSTANCES), attributes.get("mbs", MAX_BYTES)
