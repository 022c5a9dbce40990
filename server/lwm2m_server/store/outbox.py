"""The outbox: notices on their way to targets, each with a copy of its own of what it tells.

Notices stand in *lanes*, one behind the other: one for each target of a tenant, and one for each
subscription that has ideas of its own about when. A notice is stored in the transaction of the change it
tells of, and leaves when it is delivered; or it becomes a *dead letter* for somebody to look into.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs

from lwm2m_server.store.ids import SECOND
from lwm2m_server.store.records import DeadLetter, Lane, Load, Notice

VERSION_7: Final = """
CREATE TABLE lane (
    number INTEGER PRIMARY KEY, tenant TEXT NOT NULL, target TEXT NOT NULL, own INTEGER NOT NULL,
    notices INTEGER NOT NULL, bytes INTEGER NOT NULL
);
CREATE TABLE notice (
    id INTEGER PRIMARY KEY, lane INTEGER NOT NULL, subscription INTEGER NOT NULL, size INTEGER NOT NULL,
    device TEXT, body TEXT NOT NULL
);
CREATE INDEX notice_lane ON notice (lane);
CREATE TABLE dead_letter (
    id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, target TEXT NOT NULL, own INTEGER NOT NULL,
    subscription INTEGER NOT NULL, size INTEGER NOT NULL, device TEXT, body TEXT NOT NULL,
    reason TEXT NOT NULL, died_at REAL NOT NULL
);
CREATE INDEX dead_letter_size ON dead_letter (size);
"""

FULL: Final = "too much waits for this target already"
"""Why a notice is dead from the beginning."""

_LANES = "SELECT tenant, target, own, number, notices, bytes FROM lane"
_TIDY = "DELETE FROM lane WHERE notices = 0"
_PUT_LANE = "INSERT OR REPLACE INTO lane VALUES (?, ?, ?, ?, ?, ?)"
_RECOUNT = "SELECT count(*), ifnull(sum(size), 0) FROM notice WHERE lane = ?"
_ADD = "INSERT INTO notice VALUES (?, ?, ?, ?, ?, ?)"
_REMOVE = "DELETE FROM notice WHERE id = ?"
_BURY = "INSERT INTO dead_letter VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_COUNT_DEAD = "SELECT count(*), ifnull(sum(size), 0) FROM dead_letter"
_UNBURY = "DELETE FROM dead_letter WHERE id = ? RETURNING size"
_OLDEST_DEAD = "SELECT id, size FROM dead_letter ORDER BY id LIMIT ?"
_NOTICES = """SELECT id, subscription, device, body FROM notice WHERE lane = ? AND id > ?
    ORDER BY id LIMIT ?"""
_OF_ONE = """SELECT id, subscription, device, body FROM notice WHERE lane = ? AND id > ? AND id <= ?
    AND subscription = ? ORDER BY id LIMIT ?"""
_DEAD = """SELECT tenant, target, own, id, subscription, device, body, reason, died_at FROM dead_letter
    WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?"""
_DEAD_ONE = """SELECT tenant, target, own, id, subscription, device, body, reason, died_at FROM dead_letter
    WHERE id = ?"""

log = logging.getLogger(__name__)


@attrs.frozen
class Bounds:
    """What the outbox may hold. ``bytes`` are those of notices' contents."""

    notices: int = 1_000_000
    """That wait in one lane."""
    bytes: int = 2_000_000_000
    """Of all that waits."""
    dead_letters: int = 100_000
    dead_bytes: int = 500_000_000


BOUNDS: Final = Bounds()
Mark: TypeAlias = tuple[int, ...]


class Outbox:
    """As the one writer has it. ``lanes`` is what is committed."""

    def __init__(
        self, connection: sqlite3.Connection, bounds: Bounds, clock: Callable[[], float] = time.time
    ) -> None:
        self._bounds, self._clock = bounds, clock
        self.on_new: Callable[[Sequence[Notice]], object] = lambda notices: None
        """Called when these are durable; on the writer's thread, if it has one."""
        self.on_full: Callable[[Mapping[Lane, int]], object] = lambda lanes: None
        """So is this: how many notices of each lane found no room, and are dead letters."""
        self.on_dropped: Callable[[int], object] = lambda count: None
        """And this: how many dead letters are gone, for there were too many."""
        self.dropped = 0
        """Dead letters there was no room for, since the start."""
        connection.execute(_TIDY)
        self.lanes: dict[Lane, Load] = {
            Lane(*row[:3]): Load(*row[3:]) for row in connection.execute(_LANES).fetchall()
        }
        self.dead = Load(0, *connection.execute(_COUNT_DEAD).fetchone())
        self._bytes = sum(load.bytes for load in self.lanes.values())
        self._number = max((load.number for load in self.lanes.values()), default=0)
        self._last = 0
        self._clear()

    def _clear(self) -> None:
        self._added: list[Notice] = []
        self._removed: list[Notice] = []
        self._buried: list[DeadLetter] = []
        self._unburied: list[int] = []
        self._forgotten: list[str] = []
        self._loads: dict[Lane, Load] = {}
        self._dead = self.dead
        self._lost = 0

    # --- during a transaction ------------------------------------------------------------------------

    def add(self, lane: Lane, subscription: int, device: str | None, body: str) -> None:
        """Store a notice, or a dead letter if there is no room."""
        # Ids grow over restarts, too: whoever is told twice knows it by them.
        self._last = max(self._last + 1, int(self._clock() * SECOND))
        notice = Notice(self._last, lane, subscription, device, body)
        load = self.lanes.get(lane)
        if self._bytes >= self._bounds.bytes or (load and load.notices >= self._bounds.notices):
            self._buried.append(DeadLetter(notice, FULL, self._clock()))
        else:
            self._added.append(notice)

    def remove(self, notices: Iterable[Notice]) -> None:
        self._removed += notices

    def bury(self, notices: Iterable[Notice], reason: str) -> None:
        """They are no longer tried."""
        now = self._clock()
        for notice in notices:
            self._removed.append(notice)
            self._buried.append(DeadLetter(notice, reason, now))

    def unbury(self, ids: Iterable[int]) -> None:
        """Strike dead letters off."""
        self._unburied += ids

    def forget(self, tenant: str) -> None:
        """All that a tenant has, however much it is."""
        self._forgotten.append(tenant)

    def mark(self) -> Mark:
        """For ``back_to``."""
        return tuple(map(len, self._lists))

    def back_to(self, mark: Mark) -> None:
        """What came after ``mark`` was undone."""
        for pending, length in zip(self._lists, mark, strict=True):
            del pending[length:]

    @property
    def _lists(self) -> tuple[list[Any], ...]:
        return self._added, self._removed, self._buried, self._unburied, self._forgotten

    def write(self, connection: sqlite3.Connection) -> None:
        """Among the last writes of a transaction."""
        for tenant in self._forgotten:
            self._forget(connection, tenant)
        if self._added or self._removed or self._loads:
            self._write_notices(connection)
        if self._buried or self._unburied:
            self._write_dead(connection)

    def _forget(self, connection: sqlite3.Connection, tenant: str) -> None:
        for lane, load in self.lanes.items():
            if lane.tenant == tenant:
                connection.execute("DELETE FROM notice WHERE lane = ?", (load.number,))
                self._loads[lane] = Load(load.number, 0, 0)
        connection.execute("DELETE FROM dead_letter WHERE tenant = ?", (tenant,))
        self._dead = Load(0, *connection.execute(_COUNT_DEAD).fetchone())

    def _write_notices(self, connection: sqlite3.Connection) -> None:
        loads = self._loads
        for notice in self._added:
            load = loads.get(notice.lane) or self._load(notice.lane)
            loads[notice.lane] = Load(load.number, load.notices + 1, load.bytes + notice.size)
        rows = [
            (one.id, loads[one.lane].number, one.subscription, one.size, one.device, one.body)
            for one in self._added
        ]
        connection.executemany(_ADD, rows)
        for notice in self._removed:
            load = loads.get(notice.lane) or self._load(notice.lane)
            loads[notice.lane] = Load(load.number, load.notices - 1, load.bytes - notice.size)
        gone = connection.executemany(_REMOVE, [(one.id,) for one in self._removed]).rowcount
        if self._removed and gone != len(self._removed):
            # Somebody else was quicker with some of them.
            for lane in {one.lane for one in self._removed}:
                number = loads[lane].number
                loads[lane] = Load(number, *connection.execute(_RECOUNT, (number,)).fetchone())
        connection.executemany(
            _PUT_LANE,
            [
                (one.number, lane.tenant, lane.target, lane.own, one.notices, one.bytes)
                for lane, one in loads.items()
            ],
        )

    def _load(self, lane: Lane) -> Load:
        known = self.lanes.get(lane)
        if known is None:
            self._number += 1
            known = Load(self._number, 0, 0)
        return known

    def _write_dead(self, connection: sqlite3.Connection) -> None:
        count, size = self._dead.notices, self._dead.bytes
        for letter in self._buried:
            connection.execute(_BURY, _dead_row(letter))
            count, size = count + 1, size + letter.notice.size
        for id in self._unburied:
            for (freed,) in connection.execute(_UNBURY, (id,)).fetchall():
                count, size = count - 1, size - freed
        while count > self._bounds.dead_letters or size > self._bounds.dead_bytes:
            for id, freed in connection.execute(_OLDEST_DEAD, (max(count - self._bounds.dead_letters, 1),)):
                self._lost += 1
                count, size = count - 1, size - freed
                connection.execute("DELETE FROM dead_letter WHERE id = ?", (id,))
        self._dead = Load(0, count, size)

    # --- after it ------------------------------------------------------------------------------------

    def committed(self) -> None:
        if not any(self._lists):
            return
        for lane, load in self._loads.items():
            before = self.lanes.get(lane)
            self._bytes += load.bytes - (before.bytes if before is not None else 0)
            self.lanes[lane] = load
        self.dead = self._dead
        if self._lost:
            self.dropped += self._lost
            log.warning("outbox: %d dead letters dropped, for there were too many", self._lost)
        new, buried, lost = self._added, self._buried, self._lost
        self._clear()
        if new:
            self.on_new(new)
        if buried and (full := Counter(one.notice.lane for one in buried if one.reason is FULL)):
            self.on_full(full)
        if lost:
            self.on_dropped(lost)

    def rolled_back(self) -> None:
        self._clear()


class OutboxReader:
    """The part of a ``Reader`` that is about notices."""

    _execute: Callable[..., sqlite3.Cursor]

    def notices(self, lane: Lane, number: int, *, after: int, limit: int, size: int) -> Sequence[Notice]:
        return self._up_to(size, lane, self._execute(_NOTICES, (number, after, limit)))

    def notices_of(
        self, subscription: int, lane: Lane, number: int, *, after: int, through: int, limit: int, size: int
    ) -> Sequence[Notice]:
        rows = self._execute(_OF_ONE, (number, after, through, subscription, limit))
        return self._up_to(size, lane, rows)

    def _up_to(self, size: int, lane: Lane, rows: Iterable[tuple[Any, ...]]) -> list[Notice]:
        found: list[Notice] = []
        for id, *rest in rows:
            found.append(Notice(id, lane, *rest))
            size -= found[-1].size
            if size < 0:
                break
        return found

    def dead_letters(self, tenant: str, *, after: int = 0, limit: int) -> Sequence[DeadLetter]:
        return [_dead_letter(row) for row in self._execute(_DEAD, (tenant, after, limit))]

    def dead_letter(self, id: int) -> DeadLetter | None:
        row = self._execute(_DEAD_ONE, (id,)).fetchone()
        return None if row is None else _dead_letter(row)


def _dead_row(letter: DeadLetter) -> tuple[object, ...]:
    one, lane = letter.notice, letter.notice.lane
    return (
        one.id,
        lane.tenant,
        lane.target,
        lane.own,
        one.subscription,
        one.size,
        one.device,
        one.body,
        letter.reason,
        letter.died_at,
    )


def _dead_letter(row: tuple[Any, ...]) -> DeadLetter:
    tenant, target, own, id, subscription, device, body, reason, died_at = row
    notice = Notice(id, Lane(tenant, target, own), subscription, device, body)
    return DeadLetter(notice, reason, died_at)
