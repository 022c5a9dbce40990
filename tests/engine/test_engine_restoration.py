"""What the engine knew comes back from records: after a restart and after a failed commit."""

from __future__ import annotations

from lwm2m_engine.coap import CoapReply, Code
from lwm2m_engine.engine import DeviceRecord, Waiting
from lwm2m_engine.engine.events import Answered, Expired, Failed, Observed, Received, Registered, Sent
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.messages import parse


def record(world, **more):
    """What a store would have kept of dev1."""
    registered = world.told(Registered)[-1]
    observations = tuple(event.observation for event in world.told(Observed))
    return DeviceRecord("dev1", registered.registration, registered.liveness, observations, **more)


def waiting(world, text, id, **more):
    return Waiting(id, parse(text), world.now, None, **more)


def test_after_a_restart_the_next_notification_is_decoded(world, make_world):
    world.register()
    world.ask("OBSERVE /3/0/9")
    token = world.wire[0].token
    world.answer(world.content({"/3/0/9": 72}, "/3/0/9", observe=0))
    reborn = make_world()
    reborn.now = world.now + 1
    reborn.take(reborn.engine.restore([record(world)], reborn.now))
    reply = world.content({"/3/0/9": 71}, "/3/0/9", observe=1)
    reborn.take(reborn.engine.notified(token, reply, world.peer(), reborn.now))
    assert reborn.told(Received)[0].entries[0].value == 71
    assert reborn.update("rd/" + world.told(Registered)[0].registration.id).code == Code.CHANGED


def test_what_was_in_flight_is_sent_again_except_what_must_not_happen_twice(world, make_world):
    world.register()
    outbox = (
        waiting(world, "POST /3/0/4", 1, in_flight=True),
        waiting(world, "GET /3", 2, in_flight=True),
        waiting(world, "POST /3/0/4", 3),
    )
    reborn = make_world()
    reborn.take(reborn.engine.restore([record(world, outbox=outbox)], reborn.now))
    assert [(event.message, event.reason) for event in reborn.told(Failed)] == [(1, "unknown-outcome")]
    assert reborn.wire[0].request.path == ("3",)
    reborn.answer(CoapReply(Code.CONTENT, b"", ContentFormat.TLV))
    assert reborn.wire[0].request.path == ("3", "0", "4")


def test_a_sleeper_is_still_asleep_after_a_restart(world, make_world):
    world.register(query="lt=3000&lwm2m=1.1&Q")
    reborn = make_world()
    reborn.now = world.now + 200
    reborn.take(reborn.engine.restore([record(world, outbox=(waiting(world, "GET /3", 1),))], reborn.now))
    assert not reborn.wire
    assert reborn.engine.presence("dev1").awake is False


def test_what_ran_out_during_the_stop_expires_at_the_first_tick(world, make_world):
    world.register(query="lt=60&lwm2m=1.0")
    reborn = make_world()
    reborn.now = world.now + 3600
    reborn.take(reborn.engine.restore([record(world)], reborn.now))
    reborn.pass_time(0)
    assert len(reborn.told(Expired)) == 1


def test_a_device_put_back_rests_until_it_is_heard_or_the_pause_is_over(world):
    world.register()
    known = record(world, outbox=(waiting(world, "GET /3", 1),))
    world.ask("GET /6")
    exchange = world.wire[0].exchange
    world.take(world.engine.restore([known], world.now, resume=False))
    assert world.aborted == [exchange]
    assert not world.wire
    world.pass_time(5.5)
    assert world.wire[0].request.path == ("3",)


def test_a_device_put_back_to_nothing_is_not_registered(world):
    location = world.register()
    world.take(world.engine.restore([DeviceRecord("dev1")], world.now, resume=False))
    assert world.update(location).code == Code.NOT_FOUND
    assert world.engine.endpoint_of(world.peer()) is None


def test_automatic_reads_that_were_not_answered_are_repeated(world, make_world):
    from lwm2m_engine import PluginManager

    table = PluginManager.default().table(world.catalog)
    first = make_world(table=table)
    first.register()
    assert [one.request.path for one in first.wire] == [("3", "0")]
    first.answer(first.content({"/3/0/0": "ACME"}, "/3/0"))
    assert [one.request.path for one in first.wire] == [("6", "0")]
    kept = first.engine.registration("dev1")
    liveness = first.told(Registered)[0].liveness
    reborn = make_world(table=table)
    reborn.take(reborn.engine.restore([DeviceRecord("dev1", kept, liveness)], reborn.now))
    assert [one.request.path for one in reborn.wire] == [("6", "0")]


def test_what_was_acknowledged_but_not_answered_is_asked_again_and_has_left_the_outbox_before(
    world, make_world
):
    world.register()
    outbox = (waiting(world, "POST /3/0/4", 1, sent=True), waiting(world, "GET /3", 2, sent=True))
    reborn = make_world()
    reborn.take(reborn.engine.restore([record(world, outbox=outbox)], reborn.now))
    assert [(event.message, event.reason) for event in reborn.told(Failed)] == [(1, "unknown-outcome")]
    assert [one.request.path for one in reborn.wire] == [("3",)]
    reborn.answer(world.content({"/3/0/9": 71}, "/3"))
    assert [event.message for event in reborn.told(Received)] == [2]
    assert [event.message for event in reborn.told(Answered)] == [2]
    assert reborn.told(Sent) == []
    assert reborn.engine.presence("dev1").waiting == 0
