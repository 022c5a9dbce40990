"""Decisions of a campaign that are worth an example."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest

from lwm2m_server.updates import campaign_plan as plan
from lwm2m_server.updates.campaign_definition import Definition, Target, Threshold, Wave
from lwm2m_server.updates.campaign_document import BadCampaign, definition_of, document_of
from lwm2m_server.updates.campaign_plan import DeviceState, NotNow, Run, RunState, Tally
from lwm2m_server.updates.campaign_windows import Window

WAITING, ACTIVE, SUCCEEDED, FAILED = list(DeviceState)[:4]
ALL = Definition("p", Target(endpoint="*"))
NIGHT = Window(time(22), time(5), ZoneInfo("Europe/Berlin"), days=(0, 4))


def at(text: str) -> float:
    """UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def running(*sizes: int, now: float = 0.0, **more: Any) -> Run:
    run = Run(RunState.RUNNING, now, now + 1_000_000, sizes=sizes or (10,))
    return attrs.evolve(run, **more)


@pytest.mark.parametrize(
    ("moment", "is_open", "turns"),
    [
        ("2026-03-02T20:59:59", False, "2026-03-02T21:00:00"),  # Monday
        ("2026-03-02T21:00:00", True, "2026-03-03T04:00:00"),
        ("2026-03-03T03:59:59", True, "2026-03-03T04:00:00"),
        ("2026-03-03T04:00:00", False, "2026-03-06T21:00:00"),
        ("2026-03-07T01:00:00", True, "2026-03-07T04:00:00"),  # in the night after Friday
        ("2026-07-06T19:59:59", False, "2026-07-06T20:00:00"),  # summer time
    ],
)
def test_a_window_is_in_local_time_and_may_go_past_midnight(moment: str, is_open: bool, turns: str) -> None:
    assert (NIGHT.is_open(at(moment)), NIGHT.turns(at(moment))) == (is_open, at(turns))


def test_the_night_when_the_clocks_change() -> None:
    window = Window(time(1), time(4), ZoneInfo("Europe/Berlin"))
    assert window.turns(at("2026-03-29T00:30:00")) - at("2026-03-29T00:00:00") == 2 * 3600
    assert window.turns(at("2026-10-25T00:30:00")) - at("2026-10-24T23:00:00") == 4 * 3600


@pytest.mark.parametrize(
    ("waves", "total", "sizes"),
    [
        ((Wave(percent=1), Wave(percent=10), Wave()), 200, (2, 20, 178)),
        ((Wave(percent=1), Wave()), 3, (1, 2)),
        ((Wave(count=5), Wave()), 3, (3, 0)),
        ((Wave(percent=50), Wave(percent=50), Wave()), 3, (2, 1, 0)),
        ((Wave(),), 0, (0,)),
    ],
)
def test_sizes_of_waves(waves: tuple[Wave, ...], total: int, sizes: tuple[int, ...]) -> None:
    assert attrs.evolve(ALL, waves=waves).sizes(total) == sizes


def test_it_waits_for_its_time_and_ends_at_another() -> None:
    definition = attrs.evolve(ALL, start_at=100.0, expires_at=500.0)
    run = plan.started(definition, 0.0)
    assert plan.decide(definition, run, Tally(), 0.0) == plan.Decision(run, due=100.0)
    decision = plan.decide(definition, run, Tally(), 100.0)
    assert decision.prepare
    run = attrs.evolve(decision.run, sizes=(1,)).became(RunState.RUNNING, 100.0)
    tally = Tally({(0, WAITING): 1})
    assert plan.decide(definition, run, tally, 499.0).begin == 1
    run = plan.decide(definition, run, tally, 500.0).run
    assert run.state is RunState.ABORTING
    assert plan.decide(definition, run, tally, 500.0).cancel
    assert plan.decide(definition, run, Tally(), 501.0).run.state is RunState.EXPIRED
    with pytest.raises(NotNow, match="expired"):
        plan.started(definition, 600.0)


def test_too_many_failures_pause_it_and_what_is_past_does_not_again() -> None:
    definition = attrs.evolve(ALL, threshold=Threshold(percent=20, at_least=5))
    tally = Tally({(0, FAILED): 1, (0, SUCCEEDED): 3, (0, WAITING): 6})
    assert plan.decide(definition, running(), tally, 1.0).run.state is RunState.RUNNING
    tally = Tally({(0, FAILED): 1, (0, SUCCEEDED): 4, (0, WAITING): 5})
    paused = plan.decide(definition, running(), tally, 1.0)
    assert (paused.run.state, paused.run.reason) == (RunState.PAUSED, "1 of 5 devices failed")
    assert (paused.begin, paused.install) == (0, 0)
    resumed = plan.resumed(paused.run, tally, 2.0)
    assert plan.decide(definition, resumed, tally, 2.0).begin == 5


def test_the_end_of_a_wave_is_looked_at_however_small_it_is() -> None:
    waves = (Wave(count=1), Wave())
    definition = attrs.evolve(ALL, waves=waves, threshold=Threshold(percent=20, action="abort"))
    tally = Tally({(0, FAILED): 1, (1, WAITING): 9})
    run = plan.decide(definition, running(1, 9), tally, 1.0).run
    assert (run.state, run.reason) == (RunState.ABORTING, "1 of 1 devices failed")


def test_a_wave_may_go_on_while_the_next_one_begins() -> None:
    definition = attrs.evolve(ALL, waves=(Wave(count=4, completed=75), Wave()))
    tally = Tally({(0, SUCCEEDED): 2, (0, ACTIVE): 2, (1, WAITING): 6})
    assert plan.decide(definition, running(4, 6), tally, 1.0).run.wave == 0
    tally = Tally({(0, SUCCEEDED): 3, (0, ACTIVE): 1, (1, WAITING): 6})
    decision = plan.decide(definition, running(4, 6), tally, 1.0)
    assert (decision.run.wave, decision.begin) == (1, 6)


def test_outside_the_window_packages_travel_and_nothing_is_installed() -> None:
    closed, opened = at("2026-03-02T12:00:00"), at("2026-03-02T23:00:00")
    definition = attrs.evolve(ALL, window=NIGHT, max_in_progress=3)
    tally = Tally({(0, ACTIVE): 4, (0, WAITING): 6}, {0: 4})
    decision = plan.decide(definition, running(now=closed), tally, closed)
    assert (decision.install, decision.begin) == (0, 3)
    decision = plan.decide(definition, running(now=closed), tally, opened)
    assert (decision.install, decision.begin) == (3, 0)
    definition = attrs.evolve(definition, window=attrs.evolve(NIGHT, covers="all"))
    decision = plan.decide(definition, running(now=closed), tally, closed)
    assert (decision.install, decision.begin) == (0, 0)


def test_waves_are_approved_one_by_one() -> None:
    definition = attrs.evolve(ALL, waves=(Wave(count=4), Wave()), approval="wave")
    tally = Tally({(0, ACTIVE): 4, (1, WAITING): 6}, {0: 4})
    run = running(4, 6)
    assert plan.decide(definition, run, tally, 1.0).install == 0
    assert plan.decide(definition, plan.approved(definition, run, 1, 1.0), tally, 1.0).install == 0
    decision = plan.decide(definition, plan.approved(definition, run, 0, 1.0), tally, 1.0)
    assert (decision.install, decision.waves) == (4, (0,))
    with pytest.raises(NotNow, match="there is no wave 3"):
        plan.approved(definition, run, 2, 1.0)


FULL = {
    "description": "pumps first",
    "package": "pump-1.1.0",
    "target": {"group": "pumps", "manufacturer": "ACME*", "version": "1.0.*"},
    "waves": [{"percent": 1.0, "completed": 90.0}, {"count": 10, "completed": 100.0}, {"completed": 100.0}],
    "maxInProgress": 50,
    "failureThreshold": {"count": None, "percent": 5.0, "atLeast": 20, "action": "abort"},
    "approval": "wave",
    "window": {
        "days": ["mon", "fri"],
        "from": "22:00",
        "to": "05:00",
        "zone": "Europe/Berlin",
        "covers": "all",
    },
    "deviceTimeout": 7200.0,
    "attempts": 5,
    "method": "pull",
    "comparison": "semantic",
    "source": "device",
    "force": True,
    "component": None,
    "instance": None,
    "startAt": 1_790_000_000_123,
    "expiresAt": 1_800_000_000_000,
}


def test_a_document_is_read_and_written_again() -> None:
    assert document_of(definition_of(FULL)) == FULL
    least = definition_of({"package": "p", "target": {"endpoint": "*"}})
    assert least == ALL
    assert definition_of(document_of(least)) == least


def test_what_no_wave_is_for_is_in_a_last_one() -> None:
    document = {"package": "p", "target": {"endpoint": "*"}, "waves": [{"percent": 10}]}
    assert definition_of(document).waves == (Wave(percent=10.0), Wave())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"package": None}, "package is due"),
        ({"target": {}}, "target: one of devices, group"),
        ({"target": {"colour": "red"}}, "target.colour is not known; there are devices"),
        ({"target": {"devices": []}}, "target.devices: a list of 1 to 5000"),
        ({"target": {"devices": ["a", 3]}}, r"target.devices\[1\]: text"),
        ({"waves": [{}, {}]}, r"waves\[0\]: count or percent is due"),
        ({"waves": [{"count": 1, "percent": 1}]}, r"waves\[0\]: count or percent, not both"),
        ({"waves": [{"percent": 101}]}, r"waves\[0\].percent: a number above 0, up to 100"),
        ({"maxInProgress": True}, "maxInProgress: an integer from 1"),
        ({"failureThreshold": {"action": "pause"}}, "failureThreshold: count or percent is due"),
        ({"failureThreshold": {"count": 1, "action": "cry"}}, "failureThreshold.action: one of pause, abort"),
        ({"window": {"from": "22:00"}}, "window.to is due"),
        ({"window": {"from": "22h", "to": "5:00"}}, "window.from: a time as 22:00"),
        ({"window": {"from": "22:00+01:00", "to": "05:00"}}, "window.from: the zone has a place"),
        ({"window": {"from": "22:00", "to": "05:00", "zone": "Mars/Base"}}, "window.zone: there is no time"),
        ({"window": {"from": "22:00", "to": "05:00", "zone": "../etc"}}, "window.zone: there is no time"),
        ({"window": {"from": "22:00", "to": "05:00", "days": ["sunday"]}}, r"window.days\[0\]: one of mon"),
        ({"approval": "boss"}, "approval: one of none, campaign, wave"),
        ({"force": 1}, "force: true or false"),
        ({"startAt": "soon"}, "startAt: an integer"),
        ({"speed": 3}, "speed is not known; there are description, package"),
    ],
)
def test_a_fault_is_told_with_its_place(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadCampaign, match=problem):
        definition_of({"package": "p", "target": {"endpoint": "*"}, **change})


def test_a_campaign_is_an_object() -> None:
    with pytest.raises(BadCampaign, match="the campaign: a JSON object is due"):
        definition_of(["package"])
