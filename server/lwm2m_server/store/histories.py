"""Histories: what devices told, wherever it is by now.

The newest of it waits in memory (``values``), what is older is in rows of ``report``, and older still, sorted
by series and time, in rows of ``chunk``; no two chunks of a series overlap. From one to the next a value is
in two places for a moment, never in none: who reads looks in this order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

from lwm2m_server.store.reports import (
    Reported,
    Told,
    latest_from_json,
    latest_to_json,
    reported,
    samples_of,
    update,
)
from lwm2m_server.store.series import Point, pack, unpack
from lwm2m_server.store.telemetry import Batch, Change, Span

EVER: Final = (-(2**62), 2**62)
"""From and until when, microseconds."""

_LATEST = "SELECT document FROM latest WHERE node = ?"
_REPORTS = "SELECT lines FROM report WHERE node = ? ORDER BY number"
_BATCHES = "SELECT number, length(lines), lines FROM report WHERE node = ? ORDER BY number"
_RIPE = "SELECT node FROM report WHERE size >= 65536 ORDER BY number LIMIT ?"
_AGED = "SELECT node, at FROM report ORDER BY number LIMIT ?"
_OF = "node = ? AND place = ?"
_WITHIN = f"{_OF} AND until >= ? AND since < ? ORDER BY since"
_SPANS = f"SELECT id, since, until, count FROM chunk WHERE {_WITHIN}"  # noqa: S608
_BEFORE = f"SELECT id, since, until, count FROM chunk WHERE {_OF} AND since < ? ORDER BY since DESC LIMIT 1"  # noqa: S608
_CHUNKS = f"SELECT since, until, data FROM chunk WHERE {_WITHIN}"  # noqa: S608
_ADD = "INSERT INTO chunk (node, place, since, until, count, data) VALUES (?, ?, ?, ?, ?, ?)"
_SETTLE = "INSERT OR REPLACE INTO latest SELECT node, ? FROM device WHERE node = ?"
_LEFT = """UPDATE report SET size = size - ifnull((SELECT size FROM report WHERE number = ?1), 0)
    WHERE node = ?2 AND number > ?1"""
_PLACES = "SELECT DISTINCT place FROM chunk WHERE node = ?"
_OVER = "SELECT EXISTS (SELECT 1 FROM chunk WHERE until < ?) OR EXISTS (SELECT 1 FROM forsaken)"
_PRUNE = "DELETE FROM chunk WHERE id IN (SELECT id FROM chunk WHERE until < ? ORDER BY until LIMIT ?)"
_CLEAR = "DELETE FROM chunk WHERE id IN (SELECT id FROM chunk WHERE node = ? LIMIT ?)"
_FIGURES = """SELECT (SELECT count(*) FROM chunk INDEXED BY chunk_until),
    (SELECT ifnull(sum(count), 0) FROM chunk INDEXED BY chunk_series),
    (SELECT count(*) FROM undecoded)"""


class ValueReader:
    """The part of a ``Reader`` that is about values."""

    _execute: Callable[..., sqlite3.Cursor]
    _told: Mapping[int, Sequence[bytes]]
    """``waiting`` of ``Values``."""

    def latest_values(self, node: int) -> dict[str, Told]:
        lines = self._lines(node)
        latest = self.settled_values(node)
        update(latest, lines)
        return latest

    def settled_values(self, node: int) -> dict[str, Told]:
        row = self._execute(_LATEST, (node,)).fetchone()
        return latest_from_json(row[0]) if row is not None else {}

    def points(
        self, node: int, place: str, *, since: int = EVER[0], until: int = EVER[1], newest_first: bool = False
    ) -> Iterator[list[Point]]:
        recent = self._recent(node, place, since, until)
        times = sorted(recent, reverse=newest_first)
        taken = 0
        within = f"{_CHUNKS} DESC" if newest_first else _CHUNKS
        # As long as rows come from one statement, nothing changes under it.
        for first, last, data in self._execute(within, (node, place, since, until)):
            begun = taken
            while taken < len(times) and (times[taken] >= first if newest_first else times[taken] <= last):
                taken += 1
            found = {at: value for at, value in unpack(data) if since <= at < until}
            found |= {at: recent[at] for at in times[begun:taken]}
            if found:
                yield sorted(found.items(), key=_time, reverse=newest_first)
        if taken < len(times):
            yield [(at, recent[at]) for at in times[taken:]]

    def _lines(self, node: int) -> list[bytes]:
        """What is not history yet; now and then twice."""
        waiting = list(self._told.get(node, ()))
        rows = self._execute(_REPORTS, (node,)).fetchall()
        return [line for (lines,) in rows for line in lines.split(b"\n")] + waiting

    def _recent(self, node: int, place: str, since: int, until: int) -> dict[int, Reported]:
        needle = b'"%b"' % place.encode()
        return {
            at: reported(value)
            for line in self._lines(node)
            if needle in line
            for where, at, value in samples_of(line)
            if where == place and since <= at < until
        }

    # --- what is to become history -------------------------------------------------------------------

    def batches(self, node: int, size: int) -> Sequence[Batch]:
        found: list[Batch] = []
        for row in self._execute(_BATCHES, (node,)):
            found.append(Batch(*row))
            size -= row[1]
            if size <= 0:
                break
        return found

    def ripe_nodes(self, *, before: float, limit: int) -> set[int]:
        ripe = {node for (node,) in self._execute(_RIPE, (limit,)).fetchall()}
        aged = {node for node, at in self._execute(_AGED, (limit,)).fetchall() if at < before}
        return ripe | aged

    def spans(self, node: int, place: str, *, since: int = EVER[0], until: int = EVER[1]) -> Sequence[Span]:
        return [Span(*row) for row in self._execute(_SPANS, (node, place, since, until)).fetchall()]

    def span_before(self, node: int, place: str, at: int) -> Span | None:
        row = self._execute(_BEFORE, (node, place, at)).fetchone()
        return None if row is None else Span(*row)

    def places(self, node: int) -> set[str]:
        recent = {place for line in self._lines(node) for place, _, _ in samples_of(line)}
        known = {place for (place,) in self._execute(_PLACES, (node,)).fetchall()}
        return known | recent | self.settled_values(node).keys()

    def has_old_chunks(self, until: int) -> bool:
        return bool(self._execute(_OVER, (until,)).fetchone()[0])

    def chunk(self, id: int) -> list[Point]:
        row = self._execute("SELECT data FROM chunk WHERE id = ?", (id,)).fetchone()
        return [] if row is None else unpack(row[0])

    def telemetry_figures(self) -> Mapping[str, int]:
        row = self._execute(_FIGURES).fetchone()
        return dict(zip(("chunks", "values", "undecoded"), row, strict=True))


class HistoryWriter:
    """The part of a ``Transaction`` that is about what became history."""

    _connection: sqlite3.Connection
    _execute: Callable[..., sqlite3.Cursor]

    def change_chunks(self, node: int, changes: Collection[Change]) -> None:
        if self._execute("SELECT 1 FROM device WHERE node = ?", (node,)).fetchone() is None:
            return
        gone = [(id,) for change in changes for id in change.remove]
        self._connection.executemany("DELETE FROM chunk WHERE id = ?", gone)
        rows = [
            (node, change.place, points[0][0], points[-1][0], len(points), pack(points))
            for change in changes
            for points in change.add
        ]
        self._connection.executemany(_ADD, rows)

    def settle_values(self, node: int, latest: Mapping[str, Told], through: int) -> None:
        self._execute(_SETTLE, (latest_to_json(latest), node))
        self._execute(_LEFT, (through, node))
        self._execute("DELETE FROM report WHERE node = ? AND number <= ?", (node, through))

    def prune_chunks(self, *, until: int, limit: int) -> int:
        return self._execute(_PRUNE, (until, limit)).rowcount

    def clear_forsaken(self, limit: int) -> bool:
        row = self._execute("SELECT node FROM forsaken LIMIT 1").fetchone()
        if row is None:
            return False
        if self._execute(_CLEAR, (row[0], limit)).rowcount < limit:
            self._execute("DELETE FROM forsaken WHERE node = ?", row)
        return True


def _time(point: Point) -> int:
    return point[0]
