"""``Update``: one package on its way to one device; and what may be said of how it gets there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
import cattrs

from lwm2m_engine.errors import LwM2MError
from lwm2m_engine.paths import Path
from lwm2m_server.store.updates import UpdateRow
from lwm2m_server.updates.course import Course, Plan, State

METHODS: Final = ("auto", "push", "pull")
SOURCES: Final = ("auto", "package", "device")
MOMENTS: Final = 100
"""In a timeline; of more, those of the beginning stay and those before the last go."""


class UpdateRefused(LwM2MError):
    """The update cannot be begun; the text says why."""


@attrs.frozen(slots=True)
class Options:
    """How an update is done, where that is not the usual way."""

    method: str = "auto"
    """``push``, ``pull``, or what the device and its profile say."""
    needs_approval: bool = False
    install_after: float | None = None
    """Seconds since 1970-01-01 UTC."""
    is_forced: bool = False
    comparison: str = "exact"
    source: str = "auto"
    """See ``Plan.source``."""
    activates: bool = True
    attempts: int = 3
    instance: int | None = None
    """Of object 9 or 33629; ``None`` for the one whose name fits."""
    component: str | None = None
    """Of object 33629."""
    severity: int | None = None
    """0 critical, 1 mandatory, 2 optional; the device is told if it wants to know."""
    defer: int | None = None
    """Seconds for which it may put the installation off."""


@attrs.frozen(slots=True)
class Moment:
    """Something became of an update. ``at`` is seconds since 1970-01-01 UTC."""

    at: float
    state: State
    reason: str | None = None


@attrs.frozen(slots=True)
class Update:
    """Times are seconds since 1970-01-01 UTC."""

    id: int
    tenant: str
    node: int
    device: str
    """Its name."""
    kind: str
    """``firmware`` or ``software``"""
    package: str
    """Its name."""
    campaign: str | None
    plan: Plan
    options: Options
    course: Course
    created_at: float
    changed_at: float
    size: int | None = None
    """Bytes; ``None`` if only somebody else knows."""
    instance: int | None = None
    """The Object Instance, once it is known."""
    timeline: tuple[Moment, ...] = ()
    protocols: tuple[int, ...] | None = None
    """By which the device can fetch, as in /5/0/8; ``None`` for the transport it registers through."""
    offer: str | None = None
    """The hash of the token by which it may."""
    offer_expires_at: float = 0.0
    observed: tuple[str, ...] = ()
    """Paths that are observed for the sake of the update."""

    @property
    def state(self) -> State:
        return self.course.state

    @property
    def is_over(self) -> bool:
        return self.course.state.is_final

    @property
    def reason(self) -> str | None:
        return self.course.reason

    @property
    def root(self) -> Path | None:
        return None if self.instance is None else Path((self.plan.object, self.instance))

    @property
    def progress(self) -> float | None:
        """The share of the package that the device has, 0 to 1; ``None`` if nobody knows."""
        if self.state in _BEFORE:
            return 0.0
        if self.state not in (State.OFFERED, State.TRANSFERRING, State.FAILED, State.CANCELLED):
            return 1.0
        return min(self.course.transferred / self.size, 1.0) if self.size else None

    def moved(self, course: Course, now: float) -> Update:
        """The same on another course; the timeline tells states, and why there were attempts."""
        timeline = self.timeline
        if (course.state, course.attempts) != (self.course.state, self.course.attempts):
            if len(timeline) >= MOMENTS:
                timeline = (*timeline[: MOMENTS // 2], *timeline[MOMENTS // 2 + 1 :])
            timeline = (*timeline, Moment(now, course.state, course.reason))
        return attrs.evolve(self, course=course, changed_at=now, timeline=timeline)


_BEFORE: Final = frozenset({State.QUEUED})
_converter: Final = cattrs.Converter(omit_if_default=True)
_APART: Final = ("id", "tenant", "node", "package", "campaign")
"""Members with a column of their own."""


def to_row(update: Update) -> UpdateRow:
    document: dict[str, Any] = _converter.unstructure(update)
    for name in _APART:
        del document[name]
    return UpdateRow(
        update.tenant,
        update.node,
        update.package,
        update.campaign,
        update.state.value,
        not update.is_over,
        document,
        update.id,
    )


def from_row(row: UpdateRow) -> Update:
    members: Mapping[str, Any] = {name: getattr(row, name) for name in _APART}
    return _converter.structure({**row.document, **members}, Update)
