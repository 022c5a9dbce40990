"""``Definition``: what a campaign is to do, as an operator wrote it down."""

from __future__ import annotations

from typing import Final

import attrs

from lwm2m_server.updates.campaign_windows import Window

APPROVALS: Final = ("none", "campaign", "wave")
ACTIONS: Final = ("pause", "abort")
DAY: Final = 86_400.0
LONGEST: Final = 30 * DAY
"""Seconds that a campaign goes on, if nothing is said."""


@attrs.frozen(slots=True)
class Target:
    """Which devices: all that are named, in the group, of the profile, or fit all patterns."""

    devices: tuple[str, ...] = ()
    group: str | None = None
    profile: str | None = None
    endpoint: str | None = None
    """A pattern, like those below: ``*`` is any text."""
    manufacturer: str | None = None
    model: str | None = None
    version: str | None = None
    """That runs now."""


@attrs.frozen(slots=True)
class Wave:
    """``count`` devices, or ``percent`` of all; with neither, those that are left."""

    count: int | None = None
    percent: float | None = None
    completed: float = 100.0
    """Per cent of it that must have ended before the next one begins."""


@attrs.frozen(slots=True)
class Threshold:
    """How many may fail: ``count``, or ``percent`` of those that succeeded or failed."""

    count: int | None = None
    percent: float | None = None
    at_least: int = 10
    """So many must have ended before ``percent`` is looked at, but for the end of a wave."""
    action: str = "pause"


@attrs.frozen(slots=True)
class Definition:
    """Times are seconds, points in time seconds since 1970-01-01 UTC."""

    package: str
    target: Target
    waves: tuple[Wave, ...] = (Wave(),)
    """The last one is of those that are left."""
    max_in_progress: int = 100
    threshold: Threshold | None = None
    approval: str = "none"
    """Before anything is installed: of the ``campaign``, or of each ``wave``."""
    window: Window | None = None
    device_timeout: float = DAY
    """Of the update of a device, without the time it waits for an approval or for the window."""
    attempts: int = 3
    method: str = "auto"
    comparison: str = "exact"
    source: str = "auto"
    is_forced: bool = False
    component: str | None = None
    instance: int | None = None
    start_at: float | None = None
    expires_at: float | None = None
    description: str = ""

    def sizes(self, total: int) -> tuple[int, ...]:
        """How many of ``total`` devices are in each wave. One that is not empty by what it says has at
        least one, as long as there are some left."""
        sizes, left = [], total
        for wave in self.waves:
            if wave.count is not None:
                wanted = wave.count
            elif wave.percent is not None:
                wanted = max(1, -int(-total * wave.percent // 100))
            else:
                wanted = left
            sizes.append(min(wanted, left))
            left -= sizes[-1]
        return tuple(sizes)
