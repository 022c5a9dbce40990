"""Queue mode and power saving, each case under its number (QM), then PSM and eDRX."""

from __future__ import annotations

import pytest

from lwm2m_engine.coap import Code
from lwm2m_engine.engine import DeviceRecord, PowerSaving
from lwm2m_engine.engine.events import Asleep, Awake, Expired, Failed, Held, Received, Registered, Sent
from lwm2m_engine.errors import UnknownDevice
from lwm2m_engine.formats import ContentFormat

SLEEPY = "lt=86400&lwm2m=1.1&b=U&Q"


def presence_events(world):
    return [type(event).__name__ for event in world.events if isinstance(event, (Awake, Asleep))]


def test_qm_1_awake_for_the_window_after_each_contact(make_world):
    world = make_world(awake_window=1.0)
    location = world.register(query=SLEEPY)
    world.pass_time(0.8)
    assert world.engine.presence("dev1").awake
    world.pass_time(0.3)
    assert world.engine.presence("dev1").awake is False
    world.update(location)
    world.pass_time(1.1)
    assert presence_events(world) == ["Awake", "Asleep", "Awake", "Asleep"]


def test_qm_2_one_event_a_transition(make_world):
    world = make_world(awake_window=1.0)
    location = world.register(query=SLEEPY)
    for _ in range(5):
        world.pass_time(0.5)
        world.update(location)
    world.pass_time(5)
    assert presence_events(world) == ["Awake", "Asleep"]


def test_qm_3_a_time_out_puts_it_to_sleep_and_the_message_back(world):
    world.register(query=SLEEPY)
    world.ask("GET /3", id=1)
    world.ask("GET /6", id=2)
    world.fail("timeout")
    assert world.engine.presence("dev1").awake is False
    assert [event.message for event in world.told(Held)] == [1]
    assert not world.wire
    world.update("rd/" + world.engine.registration("dev1").id)
    assert world.wire[0].request.path == ("3",)


def test_qm_4_an_answer_restarts_the_window(world):
    location = world.register(query=SLEEPY)
    world.pass_time(90)
    world.ask("GET /3")
    world.answer(world.content({"/3/0/9": 72}, "/3"))
    world.pass_time(90)
    assert world.engine.presence("dev1").awake
    world.pass_time(4)
    assert world.engine.presence("dev1").awake is False
    world.update(location)
    world.ask("GET /3")
    world.answer(world.content({"/3/0/9": 72}, "/3"))
    assert [event.code for event in world.told(Received)] == [Code.CONTENT] * 2


def test_qm_4_a_send_and_a_notification_restart_it_too(world):
    world.register(query=SLEEPY)
    world.ask("OBSERVE /3/0/9")
    token = world.wire[0].token
    world.answer(world.content({"/3/0/9": 72}, "/3/0/9", observe=0))
    world.pass_time(90)
    payload = b'[{"n":"/3/0/9","v":5}]'
    world.say(Code.POST, "dp", "", payload, content_format=ContentFormat.SENML_JSON)
    world.pass_time(90)
    assert world.engine.presence("dev1").awake
    reply = world.content({"/3/0/9": 70}, "/3/0/9", observe=1)
    world.take(world.engine.notified(token, reply, world.peer(), world.now))
    world.pass_time(90)
    assert presence_events(world) == ["Awake"]


def test_qm_5_nothing_goes_to_a_sleeper_and_all_of_it_in_order_when_it_wakes(world):
    location = world.register(query=SLEEPY)
    world.pass_time(100)
    for id, path in enumerate(("/3", "/6", "/1"), start=1):
        world.ask(f"GET {path}", id=id)
    assert not world.wire
    world.update(location)
    asked = []
    while world.wire:
        asked.append(world.wire[0].request.path[0])
        path = "/" + asked[-1]
        world.answer(world.content({}, path))
    assert asked == ["3", "6", "1"]
    assert [event.message for event in world.told(Sent)] == [1, 2, 3]


def test_qm_5_what_waits_expires_and_can_be_cancelled(world):
    location = world.register(query=SLEEPY)
    world.pass_time(100)
    world.ask("GET /3", id=1, expires_at=world.now + 60)
    world.ask("GET /6", id=2)
    world.ask("GET /1", id=3)
    world.pass_time(61)
    world.take(world.engine.cancel("dev1", 2, world.now))
    assert [(event.message, event.reason) for event in world.told(Failed)] == [
        (1, "expired"),
        (2, "cancelled"),
    ]
    world.update(location)
    assert world.wire[0].request.path == ("1",)


def test_qm_6_without_queue_mode_presence_is_no_question(world):
    location = world.register()
    world.pass_time(200)
    world.update(location)
    assert world.engine.presence("dev1").awake is None
    assert presence_events(world) == []
    world.ask("GET /3")
    assert world.wire


# --- a device of its own ---------------------------------------------------------------------------


def test_the_awake_window_of_one_device(world):
    world.register("dev1", query=SLEEPY)
    world.register("dev2", query=SLEEPY)
    world.take(world.engine.set_awake_window("dev1", 10.0, world.now))
    world.pass_time(11)
    assert [world.engine.presence(name).awake for name in ("dev1", "dev2")] == [False, True]
    world.take(world.engine.set_awake_window("dev1", None, world.now))
    world.update("rd/" + world.engine.registration("dev1").id)
    world.pass_time(80)
    assert world.engine.presence("dev1").awake
    with pytest.raises(UnknownDevice):
        world.engine.set_awake_window("nobody", 5.0, world.now)


def test_an_awake_window_makes_no_sleeper_of_a_device_that_listens(world):
    world.register()
    world.take(world.engine.set_awake_window("dev1", 10.0, world.now))
    world.pass_time(50)
    assert world.engine.presence("dev1").awake is None


def test_a_psm_device_sleeps_without_queue_mode(world):
    location = world.register(query="lt=86400&lwm2m=1.1")
    world.take(world.engine.set_power_saving("dev1", PowerSaving(20.0, psm=True), world.now))
    world.pass_time(21)
    assert presence_events(world) == ["Awake", "Asleep"]
    world.ask("GET /3", id=1)
    world.pass_time(80_000)
    assert not world.wire
    world.update(location)
    assert world.wire[0].request.path == ("3",)
    world.fail("timeout")
    assert [event.message for event in world.told(Held)] == [1]
    world.take(world.engine.set_power_saving("dev1", None, world.now))
    assert presence_events(world) == ["Awake", "Asleep"] * 2 + ["Awake"]
    assert world.engine.presence("dev1").awake is None
    assert world.wire[0].request.path == ("3",)


def edrx(world, **more):
    world.register(query="lt=86400&lwm2m=1.1")
    power = PowerSaving(awake_window=10.0, edrx_cycle=100.0, paging_window=5.0)
    world.take(world.engine.set_power_saving("dev1", power, world.now))


def test_an_edrx_device_is_asked_when_it_listens(world):
    edrx(world)
    asleep_at = world.now + 10
    world.pass_time(150)
    assert presence_events(world) == ["Awake", "Asleep"]
    assert world.engine.presence("dev1").listens_at is None
    world.ask("GET /3", id=1)
    assert not world.wire
    assert world.engine.next_deadline() == asleep_at + 200
    assert world.engine.presence("dev1").listens_at == asleep_at + 200
    world.pass_time(asleep_at + 200 - world.now)
    assert world.wire[0].request.path == ("3",)
    world.answer(world.content({"/3/0/9": 72}, "/3"))
    world.pass_time(11)
    assert presence_events(world) == ["Awake", "Asleep"] * 2


def test_an_edrx_device_that_does_not_answer_is_asked_a_cycle_later(world):
    edrx(world)
    world.pass_time(11)
    world.ask("GET /3", id=1, expires_at=world.now + 250)
    world.pass_time(100)
    world.fail("timeout")
    assert not world.wire
    world.pass_time(100)
    assert world.wire[0].request.path == ("3",)
    world.fail("timeout")
    world.pass_time(100)
    assert [event.reason for event in world.told(Failed)] == ["expired"]
    assert not world.wire


def test_an_edrx_device_for_which_nothing_waits_needs_no_timer(world):
    edrx(world)
    world.pass_time(20)
    assert world.engine.next_deadline() == world.now - 20 + 86_400
    world.pass_time(86_400)
    assert len(world.told(Expired)) == 1
    assert presence_events(world) == ["Awake", "Asleep"]


def test_an_edrx_device_that_speaks_is_asked_at_once(world):
    edrx(world)
    world.pass_time(20)
    world.ask("GET /3")
    world.update("rd/" + world.engine.registration("dev1").id)
    assert world.wire[0].request.path == ("3",)


def test_a_psm_device_is_asked_after_its_tracking_area_update(world):
    world.register(query="lt=86400&lwm2m=1.1")
    heard_at = world.now
    world.take(world.engine.set_power_saving("dev1", PowerSaving(20.0, psm=True, tau=600.0), world.now))
    world.pass_time(30)
    world.ask("GET /3", id=1)
    assert not world.wire
    assert world.engine.next_deadline() == heard_at + 600
    assert world.engine.presence("dev1").listens_at == heard_at + 600
    world.pass_time(570)
    assert world.engine.presence("dev1").awake_until == world.now + 20
    world.fail("timeout")
    assert world.engine.next_deadline() == heard_at + 1200
    world.pass_time(600)
    assert world.wire[0].request.path == ("3",)
    world.answer(world.content({"/3/0/9": 72}, "/3"))
    world.pass_time(21)
    assert presence_events(world) == ["Awake", "Asleep"] * 3


def test_power_saving_comes_back_from_the_store(world, make_world):
    world.register(query="lt=86400&lwm2m=1.1")
    told = world.told(Registered)[0]
    power = PowerSaving(awake_window=10.0, psm=True)
    record = DeviceRecord("dev1", told.registration, told.liveness, power=power)
    reborn = make_world()
    reborn.now = world.now + 50
    reborn.take(reborn.engine.restore([record], reborn.now))
    assert reborn.engine.presence("dev1").awake is False
    reborn.ask("GET /3")
    assert not reborn.wire


@pytest.mark.parametrize("times", [{"awake_window": 0}, {"tau": 0}, {"edrx_cycle": -1}, {"paging_window": 0}])
def test_times_of_power_saving_are_positive(times):
    with pytest.raises(ValueError, match="must be"):
        PowerSaving(**times)


def test_when_a_device_was_heard_last(world):
    location = world.register(query="lt=300&lwm2m=1.1&b=U")
    heard = [world.now]

    def look():
        assert world.engine.presence("dev1").heard_at == heard[-1]

    look()
    world.pass_time(5)
    look()
    world.ask("GET /3/0/9")
    look()
    world.answer(world.content({"/3/0/9": 72}, "/3/0/9"))
    heard.append(world.now)
    look()
    world.pass_time(5)
    world.ask("GET /3/0/9", id=2)
    world.fail("timeout")
    look()
    world.update(location)
    heard.append(world.now)
    look()
