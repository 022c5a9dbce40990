"""The update of one device, as a state machine: no requests, no clock, only what follows from what.

Whatever interrupts it (a restart of the server, a reboot of the device, an answer that is lost), the device
is looked at, and what it says decides how it goes on. Nothing is repeated that it may have done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import attrs

from lwm2m_server.updates.course import BEGUN, Action, Course, Plan, State
from lwm2m_server.updates.judging import judge, running, runs_target
from lwm2m_server.updates.moves import (
    ask,
    cancelled,
    deliver,
    fail,
    installable,
    is_over,
    retry,
    succeed,
    wait,
)
from lwm2m_server.updates.objects import Facts, Kind, Phase


@attrs.frozen(slots=True)
class Begin:
    """It may start, or go on: its time has come, or the server was started again."""


@attrs.frozen(slots=True)
class Tick:
    """``due`` is over."""


@attrs.frozen(slots=True)
class Came:
    """The device registered."""


@attrs.frozen(slots=True)
class Went:
    """The registration of the device ended."""


@attrs.frozen(slots=True)
class Seen:
    """A notification: a part of what there is to know."""

    facts: Facts


@attrs.frozen(slots=True)
class Surveyed:
    """The answer to a survey."""

    facts: Facts


@attrs.frozen(slots=True)
class Done:
    """The device did what was asked. To a survey the answer is ``Surveyed``."""

    action: Action


@attrs.frozen(slots=True)
class NotDone:
    """It refused, or did not answer (``is_silent``)."""

    action: Action
    reason: str
    is_silent: bool = False


@attrs.frozen(slots=True)
class Away:
    """The device is not registered: it was not asked."""


@attrs.frozen(slots=True)
class Moved:
    """So many bytes of the package are with the device, or on their way to it."""

    bytes: int
    is_all: bool = False


@attrs.frozen(slots=True)
class Approve:
    """It may be installed."""


@attrs.frozen(slots=True)
class Cancel:
    """It is not wanted any more."""


@attrs.frozen(slots=True)
class Again:
    """From the beginning, after its end."""


Input: TypeAlias = (
    Begin | Tick | Came | Went | Seen | Surveyed | Done | NotDone | Away | Moved | Approve | Cancel | Again
)


class NotPossible(Exception):
    """What is asked for does not fit the state; the text says why."""


def advance(plan: Plan, course: Course, input: Input, now: float) -> Course:
    """The course after an input. Raises ``NotPossible`` for ``Approve``, ``Cancel`` and ``Again``."""
    if isinstance(input, Again):
        return _again(course)
    if course.state.is_final:
        if isinstance(input, (Approve, Cancel)):
            raise NotPossible(f"the update is over: {course.state.value}")
        return course
    return _HANDLERS[type(input)](plan, course, input, now)


def _again(course: Course) -> Course:
    if course.state not in (State.FAILED, State.CANCELLED):
        raise NotPossible(
            f"the update is {course.state.value}; one that failed or was cancelled can be retried"
        )
    return Course()


def _begin(plan: Plan, course: Course, input: Input, now: float) -> Course:
    """After a restart nobody waits for an answer any more."""
    if course.is_cancelled:
        return ask(course, Action.RESET)
    if course.doing is Action.INSTALL:
        # Perhaps it was not told: a device that has not begun may be told again.
        course = attrs.evolve(course, state=State.VERIFYING)
    return _look(plan, attrs.evolve(course, doing=None), now)


def _tick(plan: Plan, course: Course, input: Input, now: float) -> Course:
    if course.doing is not None or course.due is None or now < course.due:
        return course
    return _look(plan, course, now)


def _came(plan: Plan, course: Course, input: Input, now: float) -> Course:
    if course.state in BEGUN:
        # Whatever was asked before the reboot is answered by what the device is now.
        return ask(attrs.evolve(course, state=State.VERIFYING), Action.SURVEY)
    if course.doing is not None:
        # It is still under way, or fails and leads to a look at the device then.
        return course
    return _look(plan, course, now)


def _went(plan: Plan, course: Course, input: Input, now: float) -> Course:
    if course.state is State.INSTALLING and course.doing in (None, Action.SURVEY):
        return wait(plan, attrs.evolve(course, state=State.REBOOTING, doing=None), now)
    return course


def _look(plan: Plan, course: Course, now: float) -> Course:
    """See what the device says, unless it is to be left alone for some time."""
    if course.state is State.QUEUED and course.retry_at is not None and now < course.retry_at:
        return attrs.evolve(course, due=course.retry_at)
    return ask(course, Action.SURVEY)


def _surveyed(plan: Plan, course: Course, input: Input, now: float) -> Course:
    assert isinstance(input, Surveyed)
    if course.doing is not Action.SURVEY or course.is_cancelled:
        return course
    return _ON_SURVEY[course.state](plan, attrs.evolve(course, doing=None), input.facts, now)


def _seen(plan: Plan, course: Course, input: Input, now: float) -> Course:
    """A notification tells one thing of many: that it is time to look at the device."""
    assert isinstance(input, Seen)
    facts, kind = input.facts, plan.at.meaning(input.facts.result).kind
    if course.state is State.QUEUED or course.is_cancelled:
        return course
    if course.doing is Action.PUSH and kind not in (Kind.NEUTRAL, Kind.DEFERRED):
        # A device that has refused the package need not get the rest.
        return ask(course, Action.SURVEY)
    if course.doing is not None:
        # A look at the device comes after it anyway.
        return course
    if facts.phase is Phase.DOWNLOADING and kind is Kind.NEUTRAL and course.state is State.OFFERED:
        return wait(plan, attrs.evolve(course, state=State.TRANSFERRING, alive=now), now)
    if kind is Kind.NEUTRAL and facts.phase in (None, Phase.DOWNLOADING, Phase.UPDATING):
        return course
    return ask(course, Action.SURVEY)


def _surveyed_queued(plan: Plan, course: Course, facts: Facts, now: float) -> Course:
    if runs_target(plan, facts) and not plan.is_forced:
        return succeed(course, f"{running(plan, facts)} runs already")
    course = attrs.evolve(course, before=running(plan, facts))
    if facts.phase is None:
        return fail(course, f"the device does not say its state in /{plan.object}")
    if facts.phase is Phase.UPDATING:
        return _others(plan, course, "the device installs another package", now)
    if facts.phase is Phase.IDLE and (course.was_reset or not facts.result):
        return deliver(plan, attrs.evolve(course, stale=facts.result), now)
    if course.was_reset:
        return _others(plan, course, f"the device stays {facts.phase.value}, and cannot be reset", now)
    if facts.phase is Phase.INSTALLED:
        return ask(attrs.evolve(course, was_reset=True), Action.REMOVE)
    return ask(attrs.evolve(course, was_reset=True), Action.RESET)


def _others(plan: Plan, course: Course, reason: str, now: float) -> Course:
    """What is there is not of this update: it is neither installed nor waited for without end."""
    since = course.alive or now
    if now - since >= plan.patience.install:
        return fail(course, reason)
    return attrs.evolve(wait(plan, course, now), alive=since, reason=reason, was_reset=False)


def _surveyed_transfer(plan: Plan, course: Course, facts: Facts, now: float) -> Course:
    """While the package is offered or on its way."""
    meaning, phase, problem = plan.at.meaning(facts.result), facts.phase, course.problem
    course = attrs.evolve(course, problem=None)
    if phase is Phase.DOWNLOADED:
        return installable(plan, course, facts.package, now)
    if phase is Phase.IDLE and facts.result and facts.result == course.stale:
        return _unfinished(plan, course, facts, problem, now)
    if phase in (Phase.UPDATING, Phase.INSTALLED) or meaning.kind is Kind.SUCCESS:
        # It installs by itself.
        return judge(plan, attrs.evolve(course, state=State.INSTALLING, alive=now), facts, now)
    if meaning.kind not in (Kind.NEUTRAL, Kind.DEFERRED):
        return judge(plan, course, facts, now)
    return _unfinished(plan, course, facts, problem, now)


def _unfinished(plan: Plan, course: Course, facts: Facts, problem: str | None, now: float) -> Course:
    pushes = plan.ways[course.way] == "push"
    if problem is not None:
        return retry(plan, course, problem, now)
    if facts.phase is Phase.DOWNLOADING:
        if pushes and not course.was_delivered:
            # Half a package: the rest of it would not be taken for a part of the same.
            return retry(plan, course, "the transfer was interrupted", now)
        if is_over(plan, course, now):
            return retry(plan, course, "no progress of the download", now)
        alive = course.alive if course.state is State.TRANSFERRING else now
        return wait(plan, attrs.evolve(course, state=State.TRANSFERRING, alive=alive), now)
    if not course.was_delivered:
        return deliver(plan, course, now)
    if pushes:
        return retry(plan, course, "the device dropped the package", now)
    if course.state is State.TRANSFERRING:
        return retry(plan, course, "the device gave the download up", now)
    if is_over(plan, course, now):
        return retry(plan, course, "the device did not begin the download", now)
    return wait(plan, course, now)


def _surveyed_downloaded(plan: Plan, course: Course, facts: Facts, now: float) -> Course:
    meaning = plan.at.meaning(facts.result)
    if facts.phase is Phase.DOWNLOADED and meaning.kind in (Kind.NEUTRAL, Kind.DEFERRED):
        return installable(plan, course, facts.package, now)
    if facts.phase is Phase.DOWNLOADING:
        return _surveyed_transfer(plan, attrs.evolve(course, state=State.TRANSFERRING), facts, now)
    if facts.phase is Phase.IDLE and meaning.kind is Kind.NEUTRAL:
        return retry(plan, course, "the device lost the package", now)
    return judge(plan, attrs.evolve(course, state=State.INSTALLING, alive=now), facts, now)


_ON_SURVEY: Final[dict[State, Callable[[Plan, Course, Facts, float], Course]]] = {
    State.QUEUED: _surveyed_queued,
    State.OFFERED: _surveyed_transfer,
    State.TRANSFERRING: _surveyed_transfer,
    State.DOWNLOADED: _surveyed_downloaded,
    State.AWAITING_APPROVAL: _surveyed_downloaded,
    State.INSTALLING: judge,
    State.REBOOTING: judge,
    State.VERIFYING: judge,
}


def _done(plan: Plan, course: Course, input: Input, now: float) -> Course:
    assert isinstance(input, Done)
    if input.action is not course.doing:
        return course
    if course.is_cancelled:
        return cancelled(course)
    course = attrs.evolve(course, doing=None)
    if input.action is Action.INSTALL:
        return wait(plan, attrs.evolve(course, alive=now), now)
    if input.action in (Action.OFFER, Action.PUSH):
        course = attrs.evolve(course, was_delivered=True, alive=now)
    if input.action is Action.ACTIVATE:
        course = attrs.evolve(course, was_activated=True)
    return ask(course, Action.SURVEY)


def _not_done(plan: Plan, course: Course, input: Input, now: float) -> Course:
    assert isinstance(input, NotDone)
    if input.action is not course.doing:
        return course
    if course.is_cancelled:
        return cancelled(course, input.reason)
    course = attrs.evolve(course, doing=None)
    if input.action is Action.SURVEY:
        return _unseen(plan, course, input, now)
    if input.action is Action.ACTIVATE:
        return fail(course, f"installed, but not activated: {input.reason}")
    if input.action is Action.INSTALL and input.is_silent:
        # It may have rebooted on the spot.
        return wait(plan, attrs.evolve(course, state=State.REBOOTING, alive=now), now)
    if input.action not in (Action.RESET, Action.REMOVE):
        # Those may be refused by a device that has nothing to reset.
        course = attrs.evolve(course, problem=input.reason)
    return ask(course, Action.SURVEY)


def _unseen(plan: Plan, course: Course, input: NotDone, now: float) -> Course:
    """The device could not be looked at."""
    if not input.is_silent and course.state is State.QUEUED:
        return fail(course, input.reason)
    if course.state in (State.OFFERED, State.TRANSFERRING):
        if course.problem is not None or is_over(plan, course, now):
            return retry(plan, course, course.problem or "no progress of the download", now)
    elif course.state in BEGUN and is_over(plan, course, now):
        return fail(course, "the device was not heard of since it was told to install")
    if input.is_silent and course.state is State.INSTALLING:
        course = attrs.evolve(course, state=State.REBOOTING)
    return wait(plan, attrs.evolve(course, reason=input.reason), now)


def _away(plan: Plan, course: Course, input: Input, now: float) -> Course:
    """Its next registration is waited for."""
    away = "the device is not registered"
    if course.doing is None:
        return course
    if course.is_cancelled:
        return cancelled(course, away)
    if course.state is State.QUEUED:
        due = now + plan.patience.away
        return attrs.evolve(course, doing=None, reason=course.reason or away, due=due)
    return _unseen(plan, attrs.evolve(course, doing=None), NotDone(Action.SURVEY, away, is_silent=True), now)


def _moved(plan: Plan, course: Course, input: Input, now: float) -> Course:
    assert isinstance(input, Moved)
    if course.state not in (State.OFFERED, State.TRANSFERRING):
        return course
    course = attrs.evolve(course, transferred=input.bytes, alive=now)
    if course.doing is not None:
        return course
    if course.state is State.OFFERED:
        course = wait(plan, attrs.evolve(course, state=State.TRANSFERRING), now)
    # If it does not say by itself that it has all of it.
    return attrs.evolve(course, due=now + plan.patience.soon) if input.is_all else course


def _approve(plan: Plan, course: Course, input: Input, now: float) -> Course:
    course = attrs.evolve(course, is_approved=True)
    if course.state is State.AWAITING_APPROVAL and course.doing is None:
        return ask(course, Action.SURVEY)
    return course


def _cancel(plan: Plan, course: Course, input: Input, now: float) -> Course:
    if course.is_cancelled:
        return course
    if course.state in BEGUN:
        raise NotPossible("the device is installing; that cannot be called back")
    if course.state is State.QUEUED:
        return cancelled(course)
    return ask(attrs.evolve(course, is_cancelled=True), Action.RESET)


_HANDLERS: Final[dict[type, Callable[[Plan, Course, Input, float], Course]]] = {
    Begin: _begin,
    Tick: _tick,
    Came: _came,
    Went: _went,
    Seen: _seen,
    Surveyed: _surveyed,
    Done: _done,
    NotDone: _not_done,
    Away: _away,
    Moved: _moved,
    Approve: _approve,
    Cancel: _cancel,
}
