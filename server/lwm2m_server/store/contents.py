"""Reads of containers: their lists, and the messages that are not in them yet."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from lwm2m_server.store import arrivals
from lwm2m_server.store.arrivals import RECORD
from lwm2m_server.store.documents import loads
from lwm2m_server.store.expiration import Clock
from lwm2m_server.store.ids import SECOND, id_of_name
from lwm2m_server.store.records import Counters, Message

CONTAINER = 3
"""``ty``"""

MAX_INSTANCES, MAX_BYTES = 100, 1_000_000
"""Limits of a container whose attributes have no ``mni`` or ``mbs``."""

_MESSAGE = """SELECT m.id, m.container, m.name, m.creator, m.st, m.content, m.cnf, m.cs, m.lbl, m.et,
    m.deadline, m.in_flight FROM"""
_BY_ID = f"{_MESSAGE} message m WHERE m.id = ?"
# CROSS JOIN: the list of the container first, whatever the planner thinks.
_LISTED = f"""{_MESSAGE} entry e CROSS JOIN message m ON m.id = e.id WHERE e.container = ?
    AND (m.et IS NULL OR m.deadline IS NOT NULL OR m.et > ?)"""
_OVER = f"""{_MESSAGE} message m WHERE m.et IS NOT NULL AND m.deadline IS NULL AND m.et <= ?
    ORDER BY m.et LIMIT ?"""
_IS_LISTED = "SELECT 1 FROM entry WHERE container = ? AND id = ?"
_COUNTERS = """SELECT max(c.st, ifnull(e.st, 0)), iif(e.st > c.st, e.cni, c.cni),
    iif(e.st > c.st, e.cbs, c.cbs), ifnull(e.id, 0), c.mni, c.mbs, c.evict
    FROM container c LEFT JOIN entry e ON e.container = c.id
    AND e.id = (SELECT max(id) FROM entry WHERE container = c.id) WHERE c.id = ?"""
"""Of a container that has a row."""
_NEWEST = "SELECT st, cni, cbs, id FROM entry WHERE container = ? ORDER BY id DESC LIMIT 1"
_OLDEST = "SELECT id, cs FROM entry WHERE container = ? AND id > ? ORDER BY id LIMIT ?"


@attrs.define(slots=True)
class Contents:
    """What is in a container."""

    id: int
    state_tag: int
    instances: int
    bytes: int
    newest: int
    """The highest id of its messages, or 0."""
    max_instances: int
    max_bytes: int
    evict: bool
    arrived: Sequence[tuple[Any, ...]] = ()
    """Id, size and ``st`` of messages that are not in its list yet."""
    evicted: tuple[int, ...] = ()
    """The first of its list, which must go."""

    @property
    def evicted_through(self) -> int:
        return self.evicted[-1] if self.evicted else 0

    @property
    def overflows(self) -> bool:
        return self.instances > self.max_instances or self.bytes > self.max_bytes

    def count(self, instances: int, size: int) -> None:
        self.instances += instances
        self.bytes += size


class ContainerReader:
    """The part of a ``Reader`` that is about containers and their messages."""

    _execute: Callable[..., sqlite3.Cursor]
    _waiting: Mapping[int, bytes]

    _clock: Clock

    def _now(self) -> int:
        """Microseconds."""
        return int(self._clock() * SECOND)

    def _is_over(self, moment: int | None) -> bool:
        """Of something that ends then; what has no end is never over."""
        return moment is not None and moment <= self._now()

    def expired_messages(self, limit: int) -> Sequence[Message]:
        return [_message(row) for row in self._execute(_OVER, (self._now(), limit)).fetchall()]

    def _without_row(self, id: int) -> tuple[int, int, bool] | None:
        """Limits of a container that has no row, and whether it evicts; ``None`` if there is none."""
        raise NotImplementedError

    def counters(self, container: int) -> Counters:
        """All zero for what is no container."""
        found = self._contents(container)
        return Counters() if found is None else Counters(found.state_tag, found.instances, found.bytes)

    def is_full(self, container: int) -> bool:
        found = self._contents(container)
        return found is not None and found.instances >= found.max_instances

    def message(self, id: int) -> Message | None:
        row = self._execute(_BY_ID, (id,)).fetchone()
        if row is None or (row[10] is None and self._is_over(row[9])):
            return None
        return _message(row) if self._is_in(row[1], id) else None

    def message_named(self, container: int, name: str) -> Message | None:
        """By primary key for a generated name; a client's own name is looked for in its container."""
        id = id_of_name(name)
        found = None if id is None else self.message(id)
        if found is not None and found.container == container and found.name == name:
            return found
        row = self._execute(f"{_LISTED} AND m.name = ?", (container, self._now(), name)).fetchone()
        return _message(row) if row and self._is_in(container, row[0]) else None

    def latest(self, container: int) -> Message | None:
        arrived = self._arrived(container)
        if arrived:
            row = self._execute(_BY_ID, (arrivals.newest(arrived),)).fetchone()
        else:
            query = f"{_LISTED} ORDER BY e.id DESC LIMIT 1"
            row = self._execute(query, (container, self._now())).fetchone()
        return _message(row) if row else None

    def oldest(self, container: int) -> Message | None:
        found = self.messages(container, limit=1)
        return found[0] if found else None

    def messages(
        self, container: int, *, limit: int | None = None, offset: int = 0, after: int = 0
    ) -> Sequence[Message]:
        contents = self._contents(container) if self._arrived(container) else None
        if contents is not None:
            after = max(after, contents.evicted_through)
        rows = self._execute(
            f"{_LISTED} AND e.id > ? ORDER BY e.id LIMIT ? OFFSET ?",
            (container, self._now(), after, row_limit(limit), offset),
        ).fetchall()
        if contents is not None and (limit is None or len(rows) < limit):
            ids = [id for id, *_ in contents.arrived if id > after]
            if offset and not rows:
                listed = "SELECT count(*) FROM entry WHERE container = ? AND id > ?"
                ids = ids[offset - self._execute(listed, (container, after)).fetchone()[0] :]
            for id in ids if limit is None else ids[: limit - len(rows)]:
                rows += self._execute(_BY_ID, (id,)).fetchall()
        return [_message(row) for row in rows]

    def _contents(self, container: int) -> Contents | None:
        """What waits for the list is taken in, and evicts as it will when it is put there."""
        # First what waits: another thread may put it in the list meanwhile.
        arrived = self._arrived(container)
        row = self._execute(_COUNTERS, (container,)).fetchone()
        if row is None:
            rest = self._without_row(container)
            if rest is None:
                return None
            row = *(self._execute(_NEWEST, (container,)).fetchone() or (0, 0, 0, 0)), *rest
        contents = Contents(container, *row)
        if arrived:
            self._take_in(contents, [one for one in RECORD.iter_unpack(arrived) if one[0] > contents.newest])
        return contents

    def _take_in(self, contents: Contents, new: list[tuple[Any, ...]]) -> None:
        if not new:
            return
        contents.newest, _, contents.state_tag = new[-1]
        contents.count(len(new), sum(size for _, size, _ in new))
        self._evict_listed(contents)
        gone = 0
        while contents.overflows:
            contents.count(-1, -new[gone][1])
            gone += 1
        contents.arrived = new[gone:]

    def _evict_listed(self, contents: Contents) -> None:
        """As many of those in the list as are too many."""
        while contents.overflows:
            count = max(contents.instances - contents.max_instances, 1)
            rows = self._execute(_OLDEST, (contents.id, contents.evicted_through, count)).fetchall()
            if not rows:
                return
            for id, size in rows:
                contents.evicted += (id,)
                contents.count(-1, -size)

    def _is_in(self, container: int, id: int) -> bool:
        """Whether a message that is stored is in its container still, and was not evicted."""
        contents = self._contents(container) if self._arrived(container) else None
        if contents is not None:
            if id <= contents.evicted_through:
                return False
            if any(id == arrived for arrived, *_ in contents.arrived):
                return True
        return self._execute(_IS_LISTED, (container, id)).fetchone() is not None

    def _arrived(self, container: int) -> bytes:
        return self._waiting.get(container, b"")


def limits(attributes: Mapping[str, Any]) -> tuple[int, int]:
    """``mni`` and ``mbs``."""
    return attributes.get("mni", MAX_INSTANCES), attributes.get("mbs", MAX_BYTES)


def row_limit(limit: int | None) -> int:
    """As SQLite has it."""
    return -1 if limit is None else limit


def _message(row: tuple[Any, ...]) -> Message:
    id, container, name, creator, state_tag, content, content_info, size, labels, expires, *waiting = row
    return Message(
        id=id,
        container=container,
        own_name=name,
        creator=creator,
        state_tag=state_tag,
        content=content,
        content_info=content_info,
        size=size,
        labels=None if labels is None else tuple(loads(labels)),
        expires=expires,
        deadline=waiting[0],
        in_flight=bool(waiting[1]),
    )
