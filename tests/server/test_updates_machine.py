"""The update of a device as a state machine: every result, and interruptions at every point."""

from __future__ import annotations

from itertools import product
from typing import Any

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lwm2m_server.updates.course import BEGUN, Action, Course, Plan, State
from lwm2m_server.updates.machine import (
    Again,
    Approve,
    Away,
    Begin,
    Came,
    Cancel,
    Done,
    Input,
    Moved,
    NotDone,
    NotPossible,
    Seen,
    Surveyed,
    Tick,
    Went,
    advance,
)
from lwm2m_server.updates.objects import FIRMWARE, OBJECTS, SOFTWARE, Facts, Kind, Phase
from lwm2m_server.updates.versions import same

PLAN = Plan(FIRMWARE, "lamp", "1.1.10")
IDLE, DOWNLOADED, UPDATING = (Facts(phase, 0) for phase in (Phase.IDLE, Phase.DOWNLOADED, Phase.UPDATING))
DOWNLOADING = Facts(Phase.DOWNLOADING, 0)
NOW = 1_000_000.0
FRESH = Course()


def play(plan: Plan, *inputs: Input, course: Course = FRESH, now: float = NOW) -> Course:
    for input in inputs:
        course = advance(plan, course, input, now)
    return course


def old(facts: Facts) -> Surveyed:
    return Surveyed(attrs.evolve(facts, running="1.1.1"))


PUSHED = (Begin(), old(IDLE), Done(Action.PUSH))
INSTALLING = (*PUSHED, old(DOWNLOADED), Done(Action.INSTALL))


def test_push_from_beginning_to_end() -> None:
    seen = []
    course = Course()
    for input in (
        *INSTALLING,
        Went(),
        Came(),
        Surveyed(Facts(Phase.IDLE, 1, running="1.1.10")),
    ):
        course = advance(PLAN, course, input, NOW)
        seen.append((course.state, course.doing))
    assert seen == [
        (State.QUEUED, Action.SURVEY),
        (State.TRANSFERRING, Action.PUSH),
        (State.TRANSFERRING, Action.SURVEY),
        (State.INSTALLING, Action.INSTALL),
        (State.INSTALLING, None),
        (State.REBOOTING, None),
        (State.VERIFYING, Action.SURVEY),
        (State.SUCCEEDED, None),
    ]


def test_pull_is_told_by_notifications() -> None:
    plan = attrs.evolve(PLAN, ways=("pull",))
    course = play(plan, Begin(), old(IDLE))
    assert (course.state, course.doing) == (State.OFFERED, Action.OFFER)
    course = play(plan, Done(Action.OFFER), old(IDLE), course=course)
    assert (course.state, course.doing) == (State.OFFERED, None)
    course = play(plan, Seen(DOWNLOADING), Moved(512), course=course)
    assert (course.state, course.transferred) == (State.TRANSFERRING, 512)
    course = play(plan, Seen(DOWNLOADED), course=course)
    assert course.doing is Action.SURVEY
    assert play(plan, old(DOWNLOADED), course=course).doing is Action.INSTALL


@pytest.mark.parametrize("running", ["1.1.1", "1.1.100", "11.1.10", "lamp1.1.10", "1.1.10-rc1"])
def test_a_version_that_contains_another_is_not_the_same(running: str) -> None:
    course = play(PLAN, Begin(), Surveyed(attrs.evolve(IDLE, running=running)))
    assert course.doing is Action.PUSH


@pytest.mark.parametrize(
    "facts", [Facts(Phase.IDLE, 0, running="1.1.10"), Facts(Phase.IDLE, 1, name="lamp", version="1.1.10")]
)
def test_what_runs_already_is_not_installed(facts: Facts) -> None:
    course = play(PLAN, Begin(), Surveyed(facts))
    assert (course.state, course.reason) == (State.SUCCEEDED, "1.1.10 runs already")
    forced = play(attrs.evolve(PLAN, is_forced=True), Begin(), Surveyed(facts))
    assert not forced.state.is_final


def test_pkg_version_of_another_package_or_a_failed_one_says_nothing() -> None:
    for facts in (
        Facts(Phase.IDLE, 1, name="door", version="1.1.10"),
        Facts(Phase.IDLE, 8, name="lamp", version="1.1.10"),
    ):
        assert not play(PLAN, Begin(), Surveyed(facts)).state.is_final


def test_semantic_comparison() -> None:
    assert same("v1.2", "1.2.0", "semantic")
    assert same("1.2+a", "1.2+b", "semantic")
    assert not same("1.2", "1.2.0")
    assert not same("1.1.1", "1.1.10", "semantic")
    assert not same("1.2-rc1", "1.2", "semantic")
    assert not same("blue", "green", "semantic")


RESULTS = [(object, result) for object in OBJECTS for result in sorted(OBJECTS[object].results)]


@pytest.mark.parametrize(("object", "result"), RESULTS)
def test_every_result_in_every_state(object: int, result: int) -> None:
    """Each leads on or to an end that says why; only a success is one."""
    plan = attrs.evolve(PLAN, object=object)
    stages: list[tuple[bool, tuple[Input, ...]]] = [
        (False, PUSHED),
        (True, (*PUSHED, old(DOWNLOADED), Approve())),
        (False, (*INSTALLING, Seen(IDLE))),
        (False, (*INSTALLING, Went(), Came())),
    ]
    for (needs_approval, inputs), phase in product(stages, Phase):
        course = play(attrs.evolve(plan, needs_approval=needs_approval), *inputs)
        assert course.doing is Action.SURVEY
        check(plan, play(plan, old(Facts(phase, result)), course=course), phase, result)


def check(plan: Plan, course: Course, phase: Phase, result: int) -> None:
    meaning = plan.at.meaning(result)
    if meaning.kind in (Kind.FAILURE, Kind.CANCELLED, Kind.UNSUPPORTED) and phase is not Phase.DOWNLOADED:
        assert (course.state, course.reason) == (State.FAILED, meaning.text)
    elif meaning.kind is Kind.TRANSIENT and phase is not Phase.DOWNLOADED:
        assert (course.state, course.attempts) == (State.QUEUED, 1)
        assert course.retry_at == NOW + plan.patience.retry
    assert course.state is not State.SUCCEEDED
    assert course.state.is_final or course.doing is not None or course.due is not None


def test_all_results_have_a_reason_of_their_own() -> None:
    assert set(range(12)) <= set(OBJECTS[FIRMWARE].results)
    assert {0, 1, 2, 3, *range(50, 60)} <= set(OBJECTS[SOFTWARE].results)
    for at in OBJECTS.values():
        assert len({one.text for one in at.results.values()}) == len(at.results)
    assert OBJECTS[FIRMWARE].meaning(77).kind is Kind.FAILURE


def test_attempts_end() -> None:
    course, now, pauses = Course(), NOW, []
    lost = Surveyed(Facts(Phase.IDLE, 4, running="1.1.1"))
    for _ in range(3):
        course = play(PLAN, Begin(), old(IDLE), Done(Action.PUSH), lost, course=course, now=now)
        if course.retry_at is not None:
            pauses.append(course.retry_at - now)
            assert play(PLAN, Came(), course=course, now=now).doing is None
            now = course.retry_at
    assert pauses == [60.0, 240.0]
    assert course.state is State.FAILED
    assert course.reason == "connection lost during the download, after 3 attempts"
    again = play(PLAN, Again(), Begin(), course=course)
    assert (again.attempts, again.doing) == (0, Action.SURVEY)


def test_an_unsupported_protocol_leads_to_the_next_way() -> None:
    plan = attrs.evolve(PLAN, ways=("pull", "push"))
    refused = Surveyed(Facts(Phase.IDLE, 9, running="1.1.1"))
    course = play(plan, Begin(), old(IDLE), Done(Action.OFFER), refused)
    assert (course.state, course.doing) == (State.TRANSFERRING, Action.PUSH)
    assert play(plan, Done(Action.PUSH), refused, course=course).state is State.FAILED


def test_what_somebody_else_downloaded_is_not_installed() -> None:
    course = play(PLAN, Begin(), old(DOWNLOADED))
    assert course.doing is Action.RESET
    course = play(PLAN, Done(Action.RESET), old(DOWNLOADED), course=course)
    assert (course.state, course.doing) == (State.QUEUED, None)
    assert course.due is not None
    course = play(PLAN, Tick(), old(DOWNLOADED), course=course, now=course.due)
    assert course.doing is Action.RESET
    late = NOW + PLAN.patience.install
    course = play(PLAN, Done(Action.RESET), old(DOWNLOADED), course=course, now=late)
    assert (course.state, course.reason) == (State.FAILED, "the device stays downloaded, and cannot be reset")


def test_an_installation_of_somebody_else_is_waited_for() -> None:
    course = play(PLAN, Begin(), old(UPDATING))
    assert (course.state, course.doing) == (State.QUEUED, None)
    assert play(PLAN, Came(), old(IDLE), course=course).doing is Action.PUSH


def test_approval() -> None:
    plan = attrs.evolve(PLAN, needs_approval=True)
    course = play(plan, *PUSHED, old(DOWNLOADED))
    assert (course.state, course.doing) == (State.AWAITING_APPROVAL, None)
    course = play(plan, Approve(), old(DOWNLOADED), course=course)
    assert (course.state, course.doing) == (State.INSTALLING, Action.INSTALL)
    with pytest.raises(NotPossible):
        play(plan, Cancel(), course=course)


def test_a_package_lost_while_nobody_approved_is_sent_again() -> None:
    plan = attrs.evolve(PLAN, needs_approval=True)
    course = play(plan, *PUSHED, old(DOWNLOADED), Came(), old(IDLE))
    assert (course.state, course.reason) == (State.QUEUED, "the device lost the package")


def test_a_package_that_took_the_place_of_ours_is_not_installed() -> None:
    plan = attrs.evolve(PLAN, needs_approval=True)
    ours, theirs = (attrs.evolve(DOWNLOADED, name="lamp", version=one) for one in ("1.1.10", "6.6"))
    course = play(plan, *PUSHED, old(ours), Approve())
    assert play(plan, old(ours), course=course).doing is Action.INSTALL
    course = play(plan, old(theirs), course=course)
    assert (course.state, course.reason) == (State.QUEUED, "another package is on the device: lamp 6.6")
    course = play(plan, Tick(), old(theirs), course=course, now=NOW + 60)
    assert course.doing is Action.RESET


def test_a_result_that_the_device_does_not_forget_is_not_of_this_update() -> None:
    plan, kept = attrs.evolve(PLAN, ways=("pull",)), old(Facts(Phase.IDLE, 1))
    course = play(plan, Begin(), kept, NotDone(Action.RESET, "4.05"), kept)
    assert course.doing is Action.OFFER
    course = play(plan, Done(Action.OFFER), kept, course=course)
    assert (course.state, course.doing) == (State.OFFERED, None)
    assert play(plan, Seen(Facts(result=8)), old(Facts(Phase.IDLE, 8)), course=course).state is State.FAILED


def test_the_time_to_install() -> None:
    plan = attrs.evolve(PLAN, install_after=NOW + 500)
    course = play(plan, *PUSHED, old(DOWNLOADED))
    assert (course.state, course.due) == (State.DOWNLOADED, NOW + 500)
    course = play(plan, Tick(), old(DOWNLOADED), course=course, now=NOW + 500)
    assert course.doing is Action.INSTALL


def test_cancel() -> None:
    assert play(PLAN, Begin(), Cancel()).state is State.CANCELLED
    course = play(PLAN, Begin(), old(IDLE), Cancel())
    assert course.doing is Action.RESET
    assert play(PLAN, Done(Action.RESET), course=course).reason is None
    untold = play(PLAN, NotDone(Action.RESET, "timeout", True), course=course)
    assert untold.reason == "the device does not know: timeout"
    assert play(PLAN, Begin(), course=course).doing is Action.RESET
    with pytest.raises(NotPossible):
        play(PLAN, Cancel(), course=untold)


def test_a_lost_answer_to_the_push_is_no_failure() -> None:
    course = play(PLAN, Begin(), old(IDLE), NotDone(Action.PUSH, "timeout", True), old(DOWNLOADED))
    assert course.doing is Action.INSTALL


def test_a_refused_push_is_tried_again_unless_the_device_says_why() -> None:
    course = play(PLAN, Begin(), old(IDLE), NotDone(Action.PUSH, "4.13"))
    assert play(PLAN, old(IDLE), course=course).reason == "4.13"
    full = play(PLAN, old(Facts(Phase.IDLE, 2)), course=course)
    assert (full.state, full.reason) == (State.FAILED, "not enough flash memory for the package")


def test_a_result_ends_a_push_under_way() -> None:
    course = play(PLAN, Begin(), old(IDLE), Seen(Facts(result=2)))
    assert course.doing is Action.SURVEY


def test_a_success_needs_the_version() -> None:
    course = play(PLAN, *INSTALLING, Came(), Surveyed(Facts(Phase.IDLE, 1, running="1.1.1")))
    assert (course.state, course.due) == (State.VERIFYING, NOW + PLAN.patience.settle)
    late = NOW + PLAN.patience.settle
    rebooted = Surveyed(Facts(Phase.IDLE, 1, running="1.1.10"))
    assert play(PLAN, Came(), rebooted, course=course, now=late).state is State.SUCCEEDED
    course = play(PLAN, Tick(), Surveyed(Facts(Phase.IDLE, 1, running="1.1.1")), course=course, now=late)
    assert course.state is State.FAILED
    assert course.reason == "the device reports success, but 1.1.1 runs after the update, not 1.1.10"


def test_a_device_without_versions_is_believed() -> None:
    assert play(PLAN, *INSTALLING, Came(), Surveyed(Facts(Phase.IDLE, 1))).state is State.SUCCEEDED


def test_another_version_than_wanted_is_not_installed_again() -> None:
    course = play(PLAN, *INSTALLING, Came(), Surveyed(Facts(Phase.IDLE, 0, running="2.0")))
    assert (course.state, course.reason) == (State.FAILED, "2.0 runs after the update, not 1.1.10")


def test_orders_to_install_end() -> None:
    course = play(PLAN, *INSTALLING)
    for _ in range(2):
        course = play(PLAN, Came(), old(DOWNLOADED), course=course)
        assert course.doing is Action.INSTALL
        course = play(PLAN, Done(Action.INSTALL), course=course)
    assert play(PLAN, Came(), old(DOWNLOADED), course=course).state is State.FAILED


def test_an_order_that_a_restart_of_the_server_may_have_lost_is_given_again() -> None:
    course = play(PLAN, *INSTALLING[:-1], Begin(), old(DOWNLOADED))
    assert (course.doing, course.installs) == (Action.INSTALL, 2)
    assert play(PLAN, *INSTALLING, Begin(), old(DOWNLOADED)).doing is None


def test_a_refused_installation() -> None:
    course = play(PLAN, *INSTALLING[:-1], NotDone(Action.INSTALL, "4.05"), old(DOWNLOADED))
    assert (course.state, course.reason) == (State.FAILED, "not installed: 4.05")


def test_deferral_has_an_end() -> None:
    deferred = Surveyed(Facts(Phase.DOWNLOADED, 11, running="1.1.1", defer=10_000))
    course, now = play(PLAN, *INSTALLING, Seen(Facts(result=11)), deferred), NOW
    assert course.reason == "deferred by the device"
    while not course.state.is_final:
        assert course.due is not None
        now = course.due
        course = play(PLAN, Tick(), deferred, course=course, now=now)
    assert now == NOW + 10_000


def test_a_device_that_never_comes_back() -> None:
    course, now = play(PLAN, *INSTALLING, Went()), NOW
    while not course.state.is_final:
        assert course.due is not None
        now = course.due
        course = play(PLAN, Tick(), Away(), course=course, now=now)
    assert now == NOW + PLAN.patience.install
    assert course.reason == "the device was not heard of since it was told to install"


def test_a_download_without_progress_ends() -> None:
    plan = attrs.evolve(PLAN, ways=("pull",))
    course, now = play(plan, Begin(), old(IDLE), Done(Action.OFFER), old(IDLE)), NOW
    while course.state is State.OFFERED:
        assert course.due is not None
        now = course.due
        course = play(plan, Tick(), old(IDLE), course=course, now=now)
    assert (course.state, course.reason) == (State.QUEUED, "the device did not begin the download")
    assert now == NOW + plan.patience.stall


def test_software_makes_room_and_is_activated() -> None:
    plan = Plan(SOFTWARE, "app", "2.0")
    former = Facts(Phase.INSTALLED, 2, name="app", version="1.0", is_active=True)
    course = play(plan, Begin(), Surveyed(former))
    assert course.doing is Action.REMOVE
    course = play(plan, Done(Action.REMOVE), Surveyed(IDLE), Done(Action.PUSH), course=course)
    course = play(plan, Surveyed(Facts(Phase.DOWNLOADED, 3)), Done(Action.INSTALL), course=course)
    installed = Facts(Phase.INSTALLED, 2, name="app", version="2.0", is_active=False)
    course = play(plan, Seen(Facts(Phase.INSTALLED, 2)), Surveyed(installed), course=course)
    assert course.doing is Action.ACTIVATE
    refused = play(plan, NotDone(Action.ACTIVATE, "4.05"), course=course)
    assert refused.reason == "installed, but not activated: 4.05"
    active = attrs.evolve(installed, is_active=True)
    assert play(plan, Done(Action.ACTIVATE), Surveyed(active), course=course).state is State.SUCCEEDED


@attrs.define
class Client:
    """What a device is in truth, and what it does when it is asked."""

    phase: Phase = Phase.IDLE
    result: int = 0
    version: str = "1.1.1"
    registered: bool = True
    installs: int = 0

    @property
    def facts(self) -> Facts:
        return Facts(self.phase, self.result, running=self.version)

    def hears(self, action: Action) -> None:
        if action is Action.RESET and self.phase is not Phase.UPDATING:
            self.phase, self.result = Phase.IDLE, 0
        elif action is Action.PUSH:
            self.phase, self.result = Phase.DOWNLOADED, 0
        elif action is Action.OFFER:
            self.phase, self.result = Phase.DOWNLOADING, 0
        elif action is Action.INSTALL and self.phase is Phase.DOWNLOADED:
            self.phase, self.installs = Phase.UPDATING, self.installs + 1


class Interrupted(RuleBasedStateMachine):
    """Devices and servers restart, answers and notifications are lost: the end is true all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.plan, self.course, self.client, self.now = PLAN, Course(), Client(), NOW
        self.put(Begin())

    def put(self, input: Input) -> None:
        self.course = advance(self.plan, self.course, input, self.now)

    @rule()
    def answer(self) -> None:
        action = self.course.doing
        if action is None:
            return
        if not self.client.registered:
            self.put(Away())
        elif action is Action.SURVEY:
            self.put(Surveyed(self.client.facts))
        else:
            self.client.hears(action)
            self.put(Done(action))

    @precondition(lambda self: self.course.doing not in (None, Action.SURVEY))
    @rule(heard=st.booleans(), silent=st.booleans())
    def lose(self, heard: bool, silent: bool) -> None:
        action = self.course.doing
        assert action is not None
        if heard:
            self.client.hears(action)
        self.put(NotDone(action, "timeout" if silent else "5.00", silent))

    @rule()
    def restart_the_server(self) -> None:
        self.put(Begin())

    @rule()
    def pull(self) -> None:
        if self.client.phase is Phase.DOWNLOADING:
            self.client.phase = Phase.DOWNLOADED
            self.put(Seen(Facts(Phase.DOWNLOADED)))

    @rule(told=st.booleans(), forgets=st.booleans())
    def reboot(self, told: bool, forgets: bool) -> None:
        client = self.client
        if client.phase is Phase.UPDATING:
            client.phase, client.result, client.version = Phase.IDLE, 1, "1.1.10"
        elif forgets:
            client.phase, client.result = Phase.IDLE, 0
        client.registered = True
        if told:
            self.put(Went())
        self.put(Came())

    @rule(result=st.sampled_from([2, 4, 5, 6, 8]))
    def go_wrong(self, result: int) -> None:
        if self.client.phase in (Phase.DOWNLOADING, Phase.UPDATING):
            self.client.phase, self.client.result = Phase.IDLE, result
            self.put(Seen(Facts(Phase.IDLE, result)))

    @rule()
    def go_away(self) -> None:
        self.client.registered = False
        self.put(Went())

    @rule()
    def time_passes(self) -> None:
        if self.course.due is not None:
            self.now = max(self.now, self.course.due)
            self.put(Tick())

    @precondition(lambda self: self.course.state not in BEGUN and not self.course.state.is_final)
    @rule()
    def cancel(self) -> None:
        self.put(Cancel())

    @invariant()
    def it_goes_on_or_is_over(self) -> None:
        course = self.course
        waits = course.due is not None or not self.client.registered or course.state is State.QUEUED
        assert course.state.is_final or course.doing is not None or waits, course
        assert (course.reason is not None) or course.state is not State.FAILED
        if course.state is State.SUCCEEDED:
            assert self.client.version == self.plan.version
        assert self.client.installs <= 3 * 3

    def teardown(self) -> None:
        """From wherever it is, a device that is well brings it to an end."""
        for _ in range(200):
            if self.course.state.is_final:
                return
            self.pull()
            if self.client.phase is Phase.UPDATING or not self.client.registered:
                self.reboot(told=True, forgets=False)
            elif self.course.doing is not None:
                self.answer()
            else:
                self.time_passes()
        raise AssertionError(self.course)


class InterruptedPull(Interrupted):
    def __init__(self) -> None:
        super().__init__()
        self.plan: Any = attrs.evolve(PLAN, ways=("pull",))


TestPush = Interrupted.TestCase
TestPull = InterruptedPull.TestCase
TestPush.settings = TestPull.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
