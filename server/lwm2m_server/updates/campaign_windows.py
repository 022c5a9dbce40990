"""Maintenance windows: when something may be done to devices, in local time."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import attrs

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
COVERS: Final = ("install", "all")


@attrs.frozen(slots=True)
class Window:
    """From ``begin`` on each of ``days`` until ``end``, which is of the next day if it is no later."""

    begin: time
    end: time
    zone: ZoneInfo
    days: tuple[int, ...] = tuple(range(7))
    """0 is Monday; the day on which it begins."""
    covers: str = "install"
    """``install``: packages get to devices at any time; ``all``: that waits for the window, too."""

    def is_open(self, now: float) -> bool:
        return self._closes(now) is not None

    def turns(self, now: float) -> float:
        """When it opens or closes next. Times are seconds since 1970-01-01 UTC."""
        closes = self._closes(now)
        if closes is not None:
            return closes
        today = datetime.fromtimestamp(now, self.zone).date()
        spans = (self._span(today + timedelta(days=ahead)) for ahead in range(9))
        return min(span[0] for span in spans if span is not None and span[0] > now)

    def _closes(self, now: float) -> float | None:
        today = datetime.fromtimestamp(now, self.zone).date()
        spans = (self._span(today - timedelta(days=back)) for back in (0, 1))
        return max((end for begin, end in filter(None, spans) if begin <= now < end), default=None)

    def _span(self, day: date) -> tuple[float, float] | None:
        if day.weekday() not in self.days:
            return None
        begin = datetime.combine(day, self.begin, self.zone)
        end = datetime.combine(day, self.end, self.zone)
        if self.end <= self.begin:
            end += timedelta(days=1)
        return begin.timestamp(), end.timestamp()
