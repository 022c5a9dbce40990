"""Moves of the state machine: from one state to another, with what goes with it."""

from __future__ import annotations

import attrs

from lwm2m_server.updates.course import BEGUN, Action, Course, Plan, State

MAX_INSTALLS = 3
"""Orders to install that a device may forget."""
_FACTOR = 4


def ask(course: Course, action: Action) -> Course:
    return attrs.evolve(course, doing=action, due=None)


def wait(plan: Plan, course: Course, now: float) -> Course:
    """For whatever comes, and for ``due`` at the latest."""
    ends = _patience_of(plan, course)
    due = now + plan.patience.poll
    return attrs.evolve(course, doing=None, due=due if ends is None or ends <= now else min(due, ends))


def is_over(plan: Plan, course: Course, now: float) -> bool:
    """Whether it was waited for long enough."""
    ends = _patience_of(plan, course)
    return ends is not None and now >= ends


def _patience_of(plan: Plan, course: Course) -> float | None:
    if course.state in BEGUN:
        longest = plan.patience.settle if course.is_settling else plan.patience.install
        return course.alive + longest
    if course.state in (State.OFFERED, State.TRANSFERRING):
        return course.alive + plan.patience.stall
    return None


def deliver(plan: Plan, course: Course, now: float) -> Course:
    """Give the device the package, or tell it where that is."""
    course = attrs.evolve(course, reason=None, alive=now, transferred=0, retry_at=None, was_delivered=False)
    if plan.ways[course.way] == "push":
        return ask(attrs.evolve(course, state=State.TRANSFERRING), Action.PUSH)
    return ask(attrs.evolve(course, state=State.OFFERED), Action.OFFER)


def installable(plan: Plan, course: Course, package: str, now: float) -> Course:
    """The device has the package, and calls it so. What it is called later has to be the same: somebody else
    may have brought another one."""
    if course.package not in (None, package):
        return retry(plan, course, f"another package is on the device: {package}", now)
    course = attrs.evolve(course, package=package)
    if plan.needs_approval and not course.is_approved:
        return attrs.evolve(course, state=State.AWAITING_APPROVAL, reason=None, due=None)
    if plan.install_after is not None and now < plan.install_after:
        return attrs.evolve(course, state=State.DOWNLOADED, reason=None, due=plan.install_after)
    return install(plan, course, now)


def install(plan: Plan, course: Course, now: float) -> Course:
    if course.installs >= MAX_INSTALLS:
        return fail(course, f"the device did not install the package, though told so {MAX_INSTALLS} times")
    course = attrs.evolve(
        course, state=State.INSTALLING, reason=None, problem=None, alive=now, installs=course.installs + 1
    )
    return ask(course, Action.INSTALL)


def retry(plan: Plan, course: Course, reason: str, now: float) -> Course:
    """Another attempt from the beginning, later, if there is one left."""
    attempts = course.attempts + 1
    if attempts >= plan.attempts:
        tried = f", after {attempts} attempts" if attempts > 1 else ""
        return fail(attrs.evolve(course, attempts=attempts), f"{reason}{tried}")
    patience = plan.patience
    pause = min(patience.retry * _FACTOR ** (attempts - 1), patience.longest_retry)
    return Course(
        reason=reason,
        attempts=attempts,
        way=course.way,
        retry_at=now + pause,
        due=now + pause,
        is_approved=course.is_approved,
        before=course.before,
    )


def succeed(course: Course, reason: str | None = None) -> Course:
    return _end(course, State.SUCCEEDED, reason)


def fail(course: Course, reason: str) -> Course:
    return _end(course, State.FAILED, reason)


def cancelled(course: Course, problem: str | None = None) -> Course:
    """``problem`` is why the device could not be told."""
    return _end(course, State.CANCELLED, problem and f"the device does not know: {problem}")


def _end(course: Course, state: State, reason: str | None) -> Course:
    return attrs.evolve(course, state=state, reason=reason, doing=None, due=None, retry_at=None)
