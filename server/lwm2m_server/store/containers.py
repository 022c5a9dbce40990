"""Writes to containers: messages come, go and move; limits hold; counters are always right."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from lwm2m_server.store.arrivals import RECORD, Arrivals
from lwm2m_server.store.contents import Contents, limits
from lwm2m_server.store.documents import dumps
from lwm2m_server.store.errors import Conflict, ContainerFull, Gone
from lwm2m_server.store.evicted import Evicted
from lwm2m_server.store.expiration import Clock
from lwm2m_server.store.names import Names
from lwm2m_server.store.reading import LedgerReader
from lwm2m_server.store.records import Born, Message, Resource

_MOVE = """UPDATE message SET id = ?, container = ?, name = NULL, st = ?, et = NULL, deadline = NULL,
    in_flight = 0 WHERE id = ?"""
_DELETE = "DELETE FROM message WHERE id = ?"
_COUNT = "UPDATE container SET st = ?, cni = ?, cbs = ? WHERE id = ?"
_ENTER = "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)"
_DROP = "DELETE FROM entry WHERE container = ? AND id <= ?"
_FIRST = "SELECT id FROM entry WHERE container = ? ORDER BY id LIMIT ?"
_UNLIST = "DELETE FROM entry WHERE container = ? AND id = ? RETURNING cs"

KNOWN = 20_000
"""Containers whose counters are kept in memory."""


class ContainerWriter(LedgerReader):
    """The part of a ``Transaction`` that is about messages."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        latest: Mapping[int, bytes],
        names: Names,
        arrivals: Arrivals,
        told: Mapping[int, Sequence[bytes]],
        evicted: Evicted,
        clock: Clock,
    ) -> None:
        super().__init__(connection, latest, names, arrivals.waiting, told, clock)
        self._connection, self._arrivals, self._evicted = connection, arrivals, evicted
        self._known: dict[int, Contents] = {}
        self._newborn: dict[int, Born] = {}
        """Containers that came to be in this transaction and have had no message."""

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
        at_once = name is not None or message.expires is not None
        return self._list(container, message.id, size, at_once=at_once)

    def remove_message(self, id: int) -> None:
        row = self._execute("SELECT container FROM message WHERE id = ?", (id,)).fetchone()
        if row is not None and self._unlist(row[0], id) is not None:
            self._execute(_DELETE, (id,))

    def expire_message(self, message: Message) -> bool:
        is_there = self._unlist(message.container, message.id) is not None
        # Evicted before, it would lie there until its neighbours go.
        self._execute(_DELETE, (message.id,))
        return is_there

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

    def mark_in_flight(self, id: int, in_flight: bool) -> None:
        self._execute("UPDATE message SET in_flight = ? WHERE id = ?", (in_flight, id))

    # --- a container's list of messages --------------------------------------------------------------

    def _room(self, id: int, size: int) -> Contents:
        """The container, with room for one message more unless it makes that later."""
        container = self._known.get(id) or self._container(id)
        if container.max_instances < 1 or size > container.max_bytes:
            raise ContainerFull(
                f"{size} bytes; the container takes {container.max_instances} messages"
                f" of {container.max_bytes} bytes in all"
            )
        if container.evict:
            return container
        container.count(1, size)
        overflows = container.overflows
        container.count(-1, -size)
        if overflows:
            raise ContainerFull(
                f"{container.instances} messages of {container.bytes} bytes are there already"
            )
        return container

    def _list(self, container: Contents, id: int, size: int, *, at_once: bool = False) -> int:
        """Enter a message, at once or later; returns the container's new ``state_tag``."""
        # By its own name a message is looked for in the list, and so is one that is not over.
        if (
            container.evict
            and not at_once
            and id > container.newest
            and self._arrivals.add(container.id, id, size, container.state_tag + 1)
        ):
            container.newest = id
            container.state_tag += 1
            return container.state_tag
        return self._enter(self._listed(container.id), id, size)

    def _enter(self, container: Contents, id: int, size: int) -> int:
        """Into the list at once."""
        container.state_tag += 1
        container.count(1, size)
        if container.evict:
            self._evict(container)
        counters = container.state_tag, container.instances, container.bytes
        self._execute(_ENTER, (container.id, id, size, *counters))
        is_last = id > container.newest
        container.newest = max(container.newest, id)
        if not is_last or (not container.evict and container.state_tag == 1):
            # Its entry does not tell the counters, since it is not the last one; or it is the first of a
            # queue, which must have a row to be found.
            self._save(container)
        return container.state_tag

    def _unlist(self, container: int, id: int) -> int | None:
        """Strike a message off; returns its size, ``None`` if it is not there."""
        try:
            listed = self._listed(container)
        except Gone:
            return None
        row = self._execute(_UNLIST, (container, id)).fetchone()
        if row is None:
            return None
        listed.count(-1, -row[0])
        self._count(listed)
        return int(row[0])

    def _listed(self, id: int) -> Contents:
        """A container with all its messages in its list."""
        self._enlist(id)
        return self._known.get(id) or self._container(id)

    def _enlist(self, id: int) -> None:
        """Put what came for a container into its list."""
        came = self._arrived(id)
        if not came:
            return
        # Whoever only adds messages does not count them.
        self._known.pop(id, None)
        if self._contents(id) is None:
            # The container was removed: they are in its list to be deleted with it.
            self._connection.executemany(_ENTER, [(id, *one, 0, 0) for one in RECORD.iter_unpack(came)])
            self._arrivals.enlisted(id)
            return
        container = self._container(id)
        self._arrivals.enlisted(id)
        arrived, container.arrived = container.arrived, ()
        gone = len(came) // RECORD.size - len(arrived)
        container.evicted = (*container.evicted, *[one[0] for one in RECORD.iter_unpack(came)][:gone])
        self._drop(container)
        # Only the counters in the last one are ever looked at.
        counters = container.instances, container.bytes
        self._connection.executemany(_ENTER, [(id, *one, *counters) for one in arrived])

    # --- the container's own row ---------------------------------------------------------------------

    def _put_queue(self, container: Resource) -> None:
        """A container that never evicts needs a row to say so; others only to tell what differs."""
        self._save(Contents(container.id, 0, 0, 0, 0, *limits(container.attributes), False))

    def _change_container(self, id: int, attributes: Mapping[str, Any]) -> None:
        container = self._listed(id)
        container.state_tag += 1
        container.max_instances, container.max_bytes = limits(attributes)
        if container.evict:
            self._evict(container)
        self._save(container)

    def _remove_container(self, id: int) -> None:
        """What it is; its messages go in ``_clear_messages``."""
        self._known.pop(id, None)
        self._newborn.pop(id, None)
        self._execute("DELETE FROM container WHERE id = ?", (id,))

    def _clear_messages(self, container: int, budget: int) -> int:
        """Delete up to so many messages of a container that is gone; returns what is left of the budget."""
        came = self._arrived(container)
        if came:
            end = budget * RECORD.size
            self._connection.executemany(_DELETE, [(id,) for id, *_ in RECORD.iter_unpack(came[:end])])
            self._arrivals.keep(container, came[end:])
            budget -= len(came[:end]) // RECORD.size
        ids = self._execute(_FIRST, (container, budget)).fetchall() if budget else ()
        if ids:
            self._connection.executemany(_DELETE, ids)
            self._execute(_DROP, (container, ids[-1][0]))
        return budget - len(ids)

    def _container(self, id: int) -> Contents:
        """As it is stored, and from now on known."""
        newborn = self._newborn.pop(id, None)
        container = self._contents(id) if newborn is None else _empty(id, newborn)
        if container is None:
            raise Gone("the container was removed")
        if len(self._known) >= KNOWN:
            self._known.clear()
        self._known[id] = container
        return container

    def _arrived(self, container: int) -> bytes:
        return self._arrivals.of(container)

    def forget(self) -> None:
        """What is known of containers, because writes were undone."""
        self._known.clear()
        self._newborn.clear()

    def _count(self, container: Contents) -> None:
        """Save what has become of the counters; a container that has no row gets one."""
        counters = container.state_tag, container.instances, container.bytes, container.id
        if self._execute(_COUNT, counters).rowcount == 0:
            self._save(container)

    def _save(self, container: Contents) -> None:
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

    def _evict(self, container: Contents) -> None:
        """The oldest, while there is too much."""
        self._evict_listed(container)
        self._drop(container)

    def _drop(self, container: Contents) -> None:
        """What was evicted leaves the list."""
        if container.evicted:
            self._execute(_DROP, (container.id, container.evicted_through))
            for id in container.evicted:
                self._evicted.add(id)
            container.evicted = ()


def _empty(id: int, container: Born) -> Contents:
    """As it was born."""
    return Contents(id, 0, 0, 0, 0, *limits(container.attributes), container.evict)
