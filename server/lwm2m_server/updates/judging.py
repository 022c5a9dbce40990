"""What has come of an installation: results, and the version that runs, compared exactly."""

from __future__ import annotations

import attrs

from lwm2m_server.updates.course import Action, Course, Plan, State
from lwm2m_server.updates.moves import ask, deliver, fail, install, is_over, retry, succeed, wait
from lwm2m_server.updates.objects import SOFTWARE, Facts, Kind, Phase, Result
from lwm2m_server.updates.versions import same


def running(plan: Plan, facts: Facts) -> str | None:
    """The version that runs, as far as the device says it."""
    versions = _versions(plan, facts)
    matching = [one for one in versions if same(one, plan.version, plan.comparison)]
    return next(iter(matching or versions), None)


def runs_target(plan: Plan, facts: Facts) -> bool | None:
    """``None`` if the device does not say which version runs."""
    versions = _versions(plan, facts)
    return any(same(one, plan.version, plan.comparison) for one in versions) if versions else None


def _versions(plan: Plan, facts: Facts) -> list[str]:
    """Those that the plan says to look at. PkgVersion is of the package, and of what runs only if that is
    what the device has: while it has another, and after a failure, it says nothing of that."""
    found = [facts.running] if plan.source in ("auto", "device") else []
    if plan.source in ("auto", "package") and _tells_of_running(plan, facts):
        found.append(facts.version)
    return [one for one in found if one]


def _tells_of_running(plan: Plan, facts: Facts) -> bool:
    if plan.object == SOFTWARE:
        settled = facts.phase is Phase.INSTALLED
    else:
        meaning = plan.at.meaning(facts.result)
        settled = facts.phase is Phase.IDLE and meaning.kind in (Kind.NEUTRAL, Kind.SUCCESS)
    return settled and (not facts.name or facts.name == plan.title)


def judge(plan: Plan, course: Course, facts: Facts, now: float) -> Course:
    """What the device says after it was told to install, or of its own accord."""
    meaning, phase = plan.at.meaning(facts.result), facts.phase
    course = attrs.evolve(course, reason=None)
    if meaning.kind in (Kind.FAILURE, Kind.CANCELLED):
        return fail(course, meaning.text)
    if meaning.kind is Kind.TRANSIENT:
        return retry(plan, course, meaning.text, now)
    if meaning.kind is Kind.UNSUPPORTED:
        return _other_way(plan, course, meaning, now)
    if phase is Phase.UPDATING:
        return _waiting(plan, attrs.evolve(course, state=State.INSTALLING), "the device does not finish", now)
    if phase is Phase.DOWNLOADED:
        return _not_begun(plan, course, facts, meaning, now)
    if phase is Phase.DOWNLOADING:
        return wait(plan, attrs.evolve(course, state=State.TRANSFERRING, alive=now), now)
    return _finished(plan, course, facts, meaning, now)


def _other_way(plan: Plan, course: Course, meaning: Result, now: float) -> Course:
    if course.way + 1 >= len(plan.ways):
        return fail(course, meaning.text)
    return deliver(plan, attrs.evolve(course, way=course.way + 1), now)


def _waiting(plan: Plan, course: Course, reason: str, now: float) -> Course:
    return fail(course, reason) if is_over(plan, course, now) else wait(plan, course, now)


def _not_begun(plan: Plan, course: Course, facts: Facts, meaning: Result, now: float) -> Course:
    """It has the package still."""
    if meaning.kind is Kind.DEFERRED:
        if not course.is_deferred:
            longer = max(0.0, (facts.defer or 0) - plan.patience.install)
            course = attrs.evolve(course, is_deferred=True, alive=now + longer)
        course = attrs.evolve(course, state=State.INSTALLING, problem=None, reason=meaning.text)
        return _waiting(plan, course, "the device defers the update without end", now)
    if course.problem is not None:
        return fail(course, f"not installed: {course.problem}")
    if course.state in (State.VERIFYING, State.REBOOTING):
        return install(plan, course, now)
    return _waiting(plan, course, "the device does not begin to install", now)


def _finished(plan: Plan, course: Course, facts: Facts, meaning: Result, now: float) -> Course:
    """It is idle, or the software is installed."""
    matches = runs_target(plan, facts)
    if matches or (matches is None and meaning.kind is Kind.SUCCESS):
        return _activated(plan, course, facts)
    version = running(plan, facts)
    wrong = f"{version} runs after the update, not {plan.version}"
    if meaning.kind is Kind.SUCCESS:
        if not course.is_settling:
            return wait(plan, attrs.evolve(course, state=State.VERIFYING, is_settling=True, alive=now), now)
        return _waiting(plan, course, f"the device reports success, but {wrong}", now)
    if course.problem is not None:
        return fail(course, f"not installed: {course.problem}")
    if version is not None and version != course.before:
        return fail(course, wrong)
    return retry(plan, course, "the device came back without the package and without the new version", now)


def _activated(plan: Plan, course: Course, facts: Facts) -> Course:
    wanted = plan.object == SOFTWARE and plan.activates and facts.is_active is False
    if wanted and not course.was_activated:
        return ask(attrs.evolve(course, state=State.VERIFYING), Action.ACTIVATE)
    return succeed(course)
