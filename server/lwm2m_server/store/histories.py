"""Histories: what devices told, read from wherever it is by now.

The newest of it waits in memory (``values``), what is older is in rows of ``report``, and older still, sorted
by series and time, in rows of ``chunk``; no two chunks of a series overlap.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from lwm2m_server.store.reports import Reported, Told, latest_from_json, reported, samples_of, update
from lwm2m_server.store.series import Point, unpack

EVER: Final = (-(2**62), 2**62)
"""From and until when, microseconds."""

_LATEST = "SELECT document FROM latest WHERE node = ?"
_REPORTS = "SELECT lines FROM report WHERE node = ? ORDER BY number"
_WITHIN = """SELECT since, until, data FROM chunk
    WHERE node = ? AND place = ? AND until >= ? AND since < ? ORDER BY since"""


class ValueReader:
    """The part of a ``Reader`` that is about values; it sees what is committed."""

    _execute: Callable[..., sqlite3.Cursor]
    _told: Mapping[int, Sequence[bytes]]
    """``waiting`` of ``Values``."""

    def latest_values(self, node: int) -> dict[str, Told]:
        # What is being folded is in two places for a moment, in this order never in none.
        lines = self._lines(node)
        row = self._execute(_LATEST, (node,)).fetchone()
        latest = latest_from_json(row[0]) if row is not None else {}
        update(latest, lines)
        return latest

    def points(
        self, node: int, place: str, *, since: int = EVER[0], until: int = EVER[1], newest_first: bool = False
    ) -> Iterator[list[Point]]:
        """Of one place from ``since`` to before ``until``, a chunk at a time, in order of time."""
        recent = self._recent(node, place, since, until)
        times = sorted(recent, reverse=newest_first)
        taken = 0
        within = f"{_WITHIN} DESC" if newest_first else _WITHIN
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


def _time(point: Point) -> int:
    return point[0]
