"""A campaign's plan, played with devices that do as they please."""

from __future__ import annotations

from collections import Counter

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lwm2m_server.updates import campaign_plan as plan
from lwm2m_server.updates.campaign_definition import Definition, Target, Threshold, Wave
from lwm2m_server.updates.campaign_plan import DeviceState, NotNow, Run, RunState, Tally

WAITING, ACTIVE = DeviceState.WAITING, DeviceState.ACTIVE
SUCCEEDED, FAILED, SKIPPED = DeviceState.SUCCEEDED, DeviceState.FAILED, DeviceState.SKIPPED
OVER = (SUCCEEDED, FAILED, SKIPPED, DeviceState.CANCELLED)

waves = st.lists(
    st.builds(
        Wave,
        percent=st.floats(1, 60),
        completed=st.sampled_from([50.0, 100.0]),
    )
    | st.builds(Wave, count=st.integers(1, 8)),
    max_size=3,
).map(lambda some: (*some, Wave()))
thresholds = st.none() | st.builds(
    Threshold,
    count=st.none() | st.integers(1, 5),
    percent=st.none() | st.floats(10, 100),
    at_least=st.integers(1, 5),
    action=st.sampled_from(["pause", "abort"]),
)


@attrs.define
class Device:
    wave: int
    state: DeviceState = WAITING
    parked: bool = False
    installs: bool = False


class CampaignPlan(RuleBasedStateMachine):
    """The world around ``decide``: counts go in, and what it decides is done."""

    @initialize(
        total=st.integers(0, 25),
        waves=waves,
        most=st.integers(1, 6),
        threshold=thresholds,
        approval=st.sampled_from(["none", "campaign", "wave"]),
        start=st.none() | st.just(50.0),
    )
    def begin(
        self,
        total: int,
        waves: tuple[Wave, ...],
        most: int,
        threshold: Threshold | None,
        approval: str,
        start: float | None,
    ) -> None:
        self.definition = Definition(
            "p", Target(endpoint="*"), waves, most, threshold, approval, start_at=start, expires_at=100_000.0
        )
        self.now = 0.0
        self.devices: list[Device] = []
        self.total = total
        self.run: Run = plan.started(self.definition, self.now)
        self.resumed_over = (0, 0)

    # --- the world ---------------------------------------------------------------------------------

    def tally(self) -> Tally:
        counts = Counter((one.wave, one.state) for one in self.devices)
        return Tally(counts, Counter(one.wave for one in self.devices if one.parked))

    def some(self, *states: DeviceState) -> list[Device]:
        return [one for one in self.devices if one.state in states]

    def settle(self) -> None:
        """Look until nothing follows any more."""
        for _ in range(100):
            decision = plan.decide(self.definition, self.run, self.tally(), self.now)
            changed = decision.run != self.run
            for wave in range(self.run.wave, decision.run.wave):
                self._check_over(wave)
            self.run = decision.run
            if decision.prepare:
                sizes = self.definition.sizes(self.total)
                assert sum(sizes) == self.total
                self.devices = [Device(wave) for wave, size in enumerate(sizes) for _ in range(size)]
                self.run = attrs.evolve(self.run, sizes=sizes).became(RunState.RUNNING, self.now)
                changed = True
            if decision.begin or decision.install:
                assert self.run.state is RunState.RUNNING
                assert (
                    self.tally().busy + decision.begin + decision.install <= self.definition.max_in_progress
                )
            if not self._do(decision) and not changed:
                assert self.run.state.is_final or decision.due is None or decision.due > self.now
                return
        raise AssertionError(f"it does not come to rest: {self.run}")

    def _do(self, decision: plan.Decision) -> bool:
        """Whether there was anything to do."""
        waiting = [one for one in self.some(WAITING) if one.wave <= self.run.wave]
        assert decision.begin <= len(waiting)
        for one in waiting[: decision.begin]:
            one.state = ACTIVE
        parked = [one for one in self.devices if one.parked and one.wave in decision.waves]
        assert decision.install <= len(parked)
        for one in parked[: decision.install]:
            assert self.run.allows(self.definition.approval, one.wave)
            one.parked, one.installs = False, True
        cancelled = [one for one in self.some(WAITING, ACTIVE) if not one.installs]
        if decision.cancel:
            for one in cancelled:
                one.state, one.parked = DeviceState.CANCELLED, False
        return bool(decision.begin or decision.install or (decision.cancel and cancelled))

    def _check_over(self, wave: int) -> None:
        """The next one begins. It goes on when some of this one are tried again."""
        members = [one for one in self.devices if one.wave == wave]
        over = sum(one.state in OVER for one in members)
        assert over * 100 >= self.definition.waves[wave].completed * len(members)

    # --- what happens ------------------------------------------------------------------------------

    @rule()
    def look(self) -> None:
        self.settle()

    @rule(seconds=st.sampled_from([1.0, 60.0, 3600.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.some(ACTIVE))
    @rule(data=st.data(), end=st.sampled_from([SUCCEEDED, FAILED, SKIPPED]))
    def a_device_ends(self, data: st.DataObject, end: DeviceState) -> None:
        one = data.draw(st.sampled_from(self.some(ACTIVE)), label="device")
        one.state, one.parked = end, False

    @precondition(lambda self: any(not one.installs and not one.parked for one in self.some(ACTIVE)))
    @rule(data=st.data())
    def a_device_has_the_package(self, data: st.DataObject) -> None:
        those = [one for one in self.some(ACTIVE) if not one.installs and not one.parked]
        data.draw(st.sampled_from(those), label="device").parked = True

    @rule(command=st.sampled_from(["pause", "resume", "abort", "approve", "renew"]), wave=st.integers(0, 3))
    def an_operator_wants(self, command: str, wave: int) -> None:
        run, now = self.run, self.now
        try:
            if command == "pause":
                self.run = plan.paused(run, now)
            elif command == "resume":
                self.run = plan.resumed(run, self.tally(), now)
            elif command == "abort":
                self.run = plan.aborted(run, now)
            elif command == "approve":
                self.run = plan.approved(self.definition, run, wave if wave < 3 else None, now)
            else:
                self.run = plan.renewed(run, now)
                for one in self.some(FAILED):
                    one.state, one.installs = WAITING, False
        except NotNow:
            assert self.run == run

    # --- what holds --------------------------------------------------------------------------------

    @invariant()
    def never_more_than_the_most(self) -> None:
        assert self.tally().busy <= self.definition.max_in_progress

    @invariant()
    def installs_only_what_is_approved(self) -> None:
        for one in self.devices:
            assert not one.installs or self.run.allows(self.definition.approval, one.wave)

    @invariant()
    def a_final_state_is_of_all(self) -> None:
        if self.run.state.is_final:
            assert not self.some(WAITING, ACTIVE)

    def teardown(self) -> None:
        """Whatever happened: if nobody stops it, every device ends."""
        if not hasattr(self, "run"):
            return
        self.definition = attrs.evolve(self.definition, threshold=None)
        for _ in range(3 * len(self.devices) + 200):
            if self.run.state.is_final:
                break
            self.now += 60.0
            if self.run.state is RunState.PAUSED:
                self.run = plan.resumed(self.run, self.tally(), self.now)
            if self.definition.approval != "none" and self.run.state is not RunState.ABORTING:
                self.run = plan.approved(self.definition, self.run, None, self.now)
            self.settle()
            for one in self.some(ACTIVE):
                if one.installs:
                    one.state = SUCCEEDED
                else:
                    one.parked = True
        assert self.run.state.is_final
        assert all(one.state in OVER for one in self.devices)


TestCampaignPlan = CampaignPlan.TestCase
TestCampaignPlan.settings = settings(max_examples=50, stateful_step_count=40)
