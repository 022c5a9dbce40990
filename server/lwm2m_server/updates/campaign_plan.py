"""What a campaign does next, as a state machine: no store, no clock, only what follows from the counts.

Everything is decided anew from what is stored, so that a restart goes on in any state.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

import attrs

from lwm2m_server.updates.campaign_definition import LONGEST, Definition, Threshold

TICK: Final = 60.0
"""Seconds after which a campaign that goes on is looked at anyway."""


class RunState(Enum):
    """Of a campaign. One that was never started has none: it is a ``draft``."""

    SCHEDULED = "scheduled"
    PREPARING = "preparing"
    """Its devices are being looked for."""
    RUNNING = "running"
    PAUSED = "paused"
    ABORTING = "aborting"
    """What installs is let finish."""
    FINISHED = "finished"
    ABORTED = "aborted"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        return self in (RunState.FINISHED, RunState.ABORTED, RunState.EXPIRED)


class DeviceState(Enum):
    """Of a device in a campaign."""

    WAITING = "waiting"
    ACTIVE = "active"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    """It runs the version already."""
    CANCELLED = "cancelled"


@attrs.frozen(slots=True)
class Mark:
    """Something became of a campaign. ``at`` is seconds since 1970-01-01 UTC."""

    at: float
    state: RunState
    reason: str | None = None


@attrs.frozen(slots=True)
class Run:
    """How far a campaign is. Times are seconds since 1970-01-01 UTC."""

    state: RunState
    started_at: float
    expires_at: float
    reason: str | None = None
    changed_at: float = 0.0
    ended_at: float | None = None
    sizes: tuple[int, ...] = ()
    """Of its waves."""
    wave: int = 0
    """The one that has begun last."""
    approved: tuple[int, ...] = ()
    """Waves whose devices may install."""
    is_approved: bool = False
    """All of them."""
    forgiven: tuple[int, int] = (0, 0)
    """How many had failed, and succeeded, when it was resumed: what is past does not stop it again."""
    ending: RunState | None = None
    """What it becomes when all that is under way has ended."""
    history: tuple[Mark, ...] = ()

    def allows(self, approval: str, wave: int) -> bool:
        """Whether devices of the wave may install, by the approvals there were."""
        return approval == "none" or self.is_approved or (approval == "wave" and wave in self.approved)

    def became(self, state: RunState, now: float, reason: str | None = None) -> Run:
        ended = now if state.is_final else None
        history = (*self.history[-_MARKS:], Mark(now, state, reason))
        return attrs.evolve(self, state=state, reason=reason, changed_at=now, ended_at=ended, history=history)


_MARKS: Final = 99


@attrs.frozen(slots=True)
class Tally:
    """How many devices are where: by wave and state."""

    counts: Mapping[tuple[int, DeviceState], int] = attrs.field(factory=dict)
    parked: Mapping[int, int] = attrs.field(factory=dict)
    """By wave: active ones that have the package, and may not install it yet."""

    def of(self, *states: DeviceState, wave: int | None = None) -> int:
        return sum(
            count
            for (number, state), count in self.counts.items()
            if state in states and (wave is None or number == wave)
        )

    def over(self, wave: int) -> int:
        return self.of(*_OVER, wave=wave)

    @property
    def open(self) -> int:
        return self.of(DeviceState.WAITING, DeviceState.ACTIVE)

    @property
    def busy(self) -> int:
        """Under way, without those that may not install yet."""
        return self.of(DeviceState.ACTIVE) - sum(self.parked.values())


_OVER: Final = (DeviceState.SUCCEEDED, DeviceState.FAILED, DeviceState.SKIPPED, DeviceState.CANCELLED)


@attrs.frozen(slots=True)
class Decision:
    """What is to be done now, and when to look again at the latest (``None``: when something happens)."""

    run: Run
    prepare: bool = False
    begin: int = 0
    """So many of those that wait, in waves up to ``run.wave``."""
    install: int = 0
    """So many of the parked ones, in ``waves``."""
    waves: tuple[int, ...] = ()
    cancel: bool = False
    """All that waits, and all that does not install yet."""
    due: float | None = None


class NotNow(Exception):
    """What is asked for does not fit the state of the campaign; the text says why."""


# --- what operators ask for ---------------------------------------------------------------------------


def started(definition: Definition, now: float) -> Run:
    """Raises ``NotNow``."""
    begins = max(definition.start_at or now, now)
    expires = definition.expires_at if definition.expires_at is not None else begins + LONGEST
    if expires <= now:
        raise NotNow("the campaign has expired")
    return Run(RunState.SCHEDULED, now, expires).became(RunState.SCHEDULED, now)


def paused(run: Run, now: float) -> Run:
    if run.state is not RunState.RUNNING:
        raise NotNow(f"the campaign is {run.state.value}; one that is running can be paused")
    return run.became(RunState.PAUSED, now)


def resumed(run: Run, tally: Tally, now: float) -> Run:
    if run.state is not RunState.PAUSED:
        raise NotNow(f"the campaign is {run.state.value}; one that is paused can be resumed")
    forgiven = tally.of(DeviceState.FAILED), tally.of(DeviceState.SUCCEEDED)
    return attrs.evolve(run, forgiven=forgiven).became(RunState.RUNNING, now)


def aborted(run: Run, now: float, reason: str | None = None) -> Run:
    if run.state.is_final or run.state is RunState.ABORTING:
        raise NotNow(f"the campaign is {run.state.value}")
    return attrs.evolve(run, ending=RunState.ABORTED).became(RunState.ABORTING, now, reason)


def renewed(run: Run, now: float) -> Run:
    """Its failed devices are to wait again."""
    if run.state not in (RunState.RUNNING, RunState.PAUSED, RunState.FINISHED):
        raise NotNow(f"the campaign is {run.state.value}")
    if run.state is RunState.PAUSED:
        return attrs.evolve(run, changed_at=now)
    expires = max(run.expires_at, now + LONGEST) if run.state is RunState.FINISHED else run.expires_at
    return attrs.evolve(run, expires_at=expires, forgiven=(0, 0)).became(RunState.RUNNING, now)


def approved(definition: Definition, run: Run, wave: int | None, now: float) -> Run:
    """Of one wave, or of all."""
    if definition.approval == "none":
        raise NotNow("the campaign needs no approval")
    if run.state.is_final or run.state is RunState.ABORTING:
        raise NotNow(f"the campaign is {run.state.value}")
    if wave is None:
        return attrs.evolve(run, is_approved=True, changed_at=now)
    if definition.approval != "wave":
        raise NotNow("the campaign is approved as a whole")
    if not 0 <= wave < len(definition.waves):
        raise NotNow(f"there is no wave {wave + 1}; there are {len(definition.waves)}")
    return attrs.evolve(run, approved=tuple(sorted({*run.approved, wave})), changed_at=now)


# --- what follows -------------------------------------------------------------------------------------


def decide(definition: Definition, run: Run, tally: Tally, now: float) -> Decision:
    """The next step, which brings the run to another state or starts something; look again afterwards."""
    if run.state.is_final:
        return Decision(run)
    if run.state is RunState.ABORTING:
        return _ending(run, tally, now)
    if now >= run.expires_at:
        run = attrs.evolve(run, ending=RunState.EXPIRED)
        return Decision(run.became(RunState.ABORTING, now, "its time is over"), due=now)
    if run.state in (RunState.SCHEDULED, RunState.PREPARING):
        return _beginning(definition, run, now)
    if tally.open == 0:
        return Decision(run.became(RunState.FINISHED, now))
    return _going_on(definition, run, tally, now)


def _beginning(definition: Definition, run: Run, now: float) -> Decision:
    if definition.start_at is not None and now < definition.start_at:
        return Decision(run, due=min(definition.start_at, run.expires_at))
    if run.state is RunState.SCHEDULED:
        run = run.became(RunState.PREPARING, now)
    return Decision(run, prepare=True, due=now)


def _ending(run: Run, tally: Tally, now: float) -> Decision:
    if tally.open == 0:
        return Decision(run.became(run.ending or RunState.ABORTED, now, run.reason))
    return Decision(run, cancel=True, due=now + TICK)


def _going_on(definition: Definition, run: Run, tally: Tally, now: float) -> Decision:
    due = min(now + TICK, run.expires_at)
    if run.state is RunState.PAUSED:
        return Decision(run, due=due)
    while not (stop := _stops(definition.threshold, run, tally, _is_done(definition, run, tally))):
        if run.wave + 1 >= len(run.sizes) or not _is_done(definition, run, tally):
            break
        run = attrs.evolve(run, wave=run.wave + 1, changed_at=now)
    if stop:
        if definition.threshold is not None and definition.threshold.action == "abort":
            return Decision(aborted(run, now, stop), due=now)
        return Decision(run.became(RunState.PAUSED, now, stop), due=due)
    window = definition.window
    is_open = window is None or window.is_open(now)
    if window is not None:
        due = min(due, window.turns(now))
    free = max(0, definition.max_in_progress - tally.busy)
    waves = tuple(wave for wave in range(run.wave + 1) if run.allows(definition.approval, wave))
    install = min(free, sum(tally.parked.get(wave, 0) for wave in waves)) if is_open else 0
    begin = 0
    if is_open or (window is not None and window.covers == "install"):
        waiting = sum(tally.of(DeviceState.WAITING, wave=wave) for wave in range(run.wave + 1))
        begin = min(free - install, waiting)
    return Decision(run, begin=begin, install=install, waves=waves, due=due)


def _is_done(definition: Definition, run: Run, tally: Tally) -> bool:
    """Whether so many of the wave have ended that the next one may begin."""
    size = run.sizes[run.wave]
    return tally.over(run.wave) * 100 >= definition.waves[run.wave].completed * size


def _stops(threshold: Threshold | None, run: Run, tally: Tally, at_end: bool) -> str | None:
    """Why too many have failed, if they have."""
    if threshold is None:
        return None
    failed = tally.of(DeviceState.FAILED) - run.forgiven[0]
    ended = failed + tally.of(DeviceState.SUCCEEDED) - run.forgiven[1]
    if failed <= 0:
        return None
    if threshold.count is not None and failed >= threshold.count:
        return f"{failed} devices failed"
    if threshold.percent is None or (ended < threshold.at_least and not at_end):
        return None
    return f"{failed} of {ended} devices failed" if failed * 100 >= threshold.percent * ended else None
