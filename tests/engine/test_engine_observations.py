"""Observations, notifications and Send (LwM2M Core 1.2, 6.4; RFC 7641)."""

from __future__ import annotations

import pytest

from lwm2m_engine import PluginManager
from lwm2m_engine.coap import CoapReply, Code
from lwm2m_engine.engine import DeviceRecord
from lwm2m_engine.engine.events import (
    InputsChanged,
    ManagedChanged,
    ObservationEnded,
    Observed,
    Received,
    Registered,
    Warned,
)
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import Path


@pytest.fixture
def observing(world):
    """A device whose battery level is observed."""
    world.register()
    world.ask("OBSERVE /3/0/9")
    world.token9 = world.wire[0].token
    world.answer(world.content({"/3/0/9": 72}, "/3/0/9", observe=0))
    return world


def notify(world, value, number, **more):
    reply = world.content({"/3/0/9": value}, "/3/0/9", observe=number)
    peer = more.pop("peer", world.peer())
    step = world.engine.notified(world.token9, reply, peer, world.now)
    return None if step is None else world.take(step)


def notifications(world):
    return [event for event in world.told(Received) if event.kind == "notification"]


def test_observe_keeps_a_relation_with_a_token_of_eight_bytes(observing):
    observation = observing.told(Observed)[0].observation
    assert len(observation.token) == 8
    assert observation.paths == (Path("/3/0/9"),)
    assert observing.told(Received)[0].operation == "observe"
    assert observing.engine.knows(observation.token)


def test_notifications_are_decoded(observing):
    notify(observing, 71, 1)
    received = notifications(observing)[0]
    assert [(entry.path, entry.value) for entry in received.entries] == [(Path("/3/0/9"), 71)]
    assert received.path == Path("/3/0/9")


def test_stale_notifications_are_dropped(observing):
    notify(observing, 71, 5)
    notify(observing, 70, 4)
    assert len(notifications(observing)) == 1
    observing.now += 129
    notify(observing, 69, 4)
    assert len(notifications(observing)) == 2


def test_the_observe_number_wraps(observing):
    observing.now += 129
    notify(observing, 71, 2**24 - 1)
    notify(observing, 70, 0)
    notify(observing, 69, 2**24 - 1)
    assert [event.entries[0].value for event in notifications(observing)] == [71, 70]


def test_an_unknown_token_is_not_ours(observing):
    reply = CoapReply(Code.CONTENT, b"", ContentFormat.TLV, observe=1)
    assert observing.engine.notified(b"\x99" * 8, reply, observing.peer(), observing.now) is None


def test_without_security_another_address_is_not_believed(observing):
    assert notify(observing, 1, 1, peer=observing.peer(port=6)) is None
    assert not notifications(observing)


def test_an_error_ends_the_relation(observing):
    observing.take(
        observing.engine.notified(
            observing.token9, CoapReply(Code.NOT_FOUND), observing.peer(), observing.now
        )
    )
    assert notifications(observing)[0].code == Code.NOT_FOUND
    assert len(observing.told(ObservationEnded)) == 1
    assert notify(observing, 1, 2) is None


def test_an_undecodable_notification_is_kept_raw_and_the_relation_stays(observing):
    reply = CoapReply(Code.CONTENT, b"\xff\x00", 666, observe=1)
    observing.take(observing.engine.notified(observing.token9, reply, observing.peer(), observing.now))
    assert notifications(observing)[0].payload == b"\xff\x00"
    assert notify(observing, 70, 2) is not None


def test_every_sample_of_a_notification_is_kept(observing):
    payload = b'[{"bn":"/3/0/9","bt":1700000000,"v":72},{"v":71,"t":-5},{"v":70,"t":-50}]'
    reply = CoapReply(Code.CONTENT, payload, ContentFormat.SENML_JSON, observe=1)
    observing.take(observing.engine.notified(observing.token9, reply, observing.peer(), observing.now))
    assert [(entry.value, entry.time) for entry in notifications(observing)[0].entries] == [
        (72, 1700000000),
        (71, 1699999995),
        (70, 1699999950),
    ]


def test_observing_the_same_path_again_keeps_one_relation(observing):
    observing.ask("OBSERVE /3/0/9")
    assert observing.wire[0].token == observing.token9
    observing.answer(observing.content({"/3/0/9": 72}, "/3/0/9", observe=9))
    assert notify(observing, 70, 10) is not None


def test_cancel_is_active_with_the_same_token(observing):
    observing.ask("CANCEL /3/0/9")
    assert (observing.wire[0].request.observe, observing.wire[0].token) == (1, observing.token9)
    observing.answer(observing.content({"/3/0/9": 72}, "/3/0/9"))
    assert observing.told(ObservationEnded)[0].reason == "cancelled"
    assert notify(observing, 70, 2) is None


def test_cancelling_what_is_not_observed_is_answered_at_once(observing):
    observing.ask("CANCEL /6/0/0", id=4)
    assert not observing.wire
    assert observing.told(Received)[-1].message == 4


def test_relations_end_with_the_registration(observing):
    observing.register()
    assert observing.told(ObservationEnded)[0].reason == "registration"
    assert notify(observing, 70, 2) is None


def test_attributes_are_written_before_observing(world):
    world.register()
    world.ask("OBSERVE /3/0/9?pmin=10&pmax=60")
    assert world.wire[0].request.query == ("pmin=10", "pmax=60")
    world.answer(CoapReply(Code.CHANGED))
    assert world.wire[0].request.observe == 0


def test_a_device_that_answers_but_does_not_observe_is_told(world):
    world.register()
    world.ask("OBSERVE /3/0/9")
    token = world.wire[0].token
    world.answer(world.content({"/3/0/9": 72}, "/3/0/9"))
    assert not world.told(Observed)
    assert "not observed" in world.told(Warned)[0].text
    assert not world.engine.knows(token)


def test_put_22_observes_what_its_links_name_and_delete_22_cancels_it(world):
    world.register()
    world.ask("PUT /22\n</3/0/9>;pmin=10,</3303/0/5700>;gt=30")
    asked = []
    while world.wire:
        request = world.wire[0].request
        asked.append(("/".join(request.path), request.query, request.observe))
        if request.observe == 0:
            path = "/" + "/".join(request.path)
            world.answer(world.content({path: 20}, path, observe=0))
        else:
            world.answer(CoapReply(Code.CHANGED))
    assert asked == [
        ("3/0/9", ("pmin=10",), None),
        ("3/0/9", (), 0),
        ("3303/0/5700", ("gt=30",), None),
        ("3303/0/5700", (), 0),
    ]
    assert {event.observation.origin for event in world.told(Observed)} == {"0"}
    world.ask("DELETE /22/1", id=8)
    assert world.told(Received)[-1].message == 8
    world.ask("DELETE /22/0")
    for _ in range(2):
        assert world.wire[0].request.observe == 1
        world.answer(CoapReply(Code.CONTENT, b"", ContentFormat.TLV))
    assert len(world.told(ObservationEnded)) == 2


def test_observe_composite(world):
    world.register()
    world.ask("OBSERVE /3/0/9,/3303/0/5700")
    effect = world.wire[0]
    assert (effect.request.code, effect.request.observe) == (Code.FETCH, 0)
    values = {"/3/0/9": 72, "/3303/0/5700": 21.5}
    world.answer(world.content(values, "/", ContentFormat.SENML_CBOR, observe=0))
    assert world.told(Observed)[0].observation.composite
    reply = world.content(values, "/", ContentFormat.SENML_CBOR, observe=1)
    world.take(world.engine.notified(effect.token, reply, world.peer(), world.now))
    assert len(notifications(world)[0].entries) == 2


# --- Send ---------------------------------------------------------------------------------------------


def send(world, payload, content_format=ContentFormat.SENML_JSON, **more):
    return world.say(Code.POST, "dp", "", payload, content_format=content_format, **more).code


def test_send_is_recorded_with_its_times(world):
    world.register()
    payload = b'[{"bn":"/3303/0/","bt":1700000000,"n":"5700","v":20.5},{"n":"5700","v":21,"t":10}]'
    assert send(world, payload) == Code.CHANGED
    received = world.told(Received)[0]
    assert received.kind == "send"
    assert [(entry.value, entry.time) for entry in received.entries] == [
        (20.5, 1700000000),
        (21.0, 1700000010),
    ]


def test_send_of_strangers_and_of_unreadable_things_is_refused(world):
    assert send(world, b"[]") == Code.BAD_REQUEST
    world.register()
    assert send(world, b"x", ContentFormat.TEXT) == Code.UNSUPPORTED_CONTENT_FORMAT
    assert send(world, bytes.fromhex("0010"), ContentFormat.SENML_CBOR) == Code.BAD_REQUEST
    assert world.told(Received)[0].error
    assert send(world, b'[{"n":"/5/0/3","v":1}]') == Code.NOT_FOUND
    assert send(world, b"[]", peer=world.peer(port=7)) == Code.BAD_REQUEST


# --- mappings -----------------------------------------------------------------------------------------


def test_inputs_of_mappings_survive_a_restart_one_by_one(make_world, catalog):
    """Half of a pair is told before the other half is known, so a restart in between loses nothing."""
    table = PluginManager.default().table(catalog)
    first = make_world(table=table)
    first.register(links=b"</6/0>")
    first.answer(first.content({"/6/0/0": 52.5}, "/6"))
    told = first.told(InputsChanged)[-1].inputs
    assert told == ((Path("/6/0/0"), 52.5),)
    reborn = make_world(table=table)
    known = DeviceRecord(
        "dev1", first.engine.registration("dev1"), first.told(Registered)[0].liveness, inputs=dict(told)
    )
    reborn.take(reborn.engine.restore([known], reborn.now))
    send(reborn, b'[{"n":"/6/0/1","v":13.4}]')
    assert reborn.told(ManagedChanged)[-1].change.changed == {
        "location": "geo:52.5,13.4",
        "deviceLabel": "dev1",
    }


# --- observe and cancel requests that go wrong --------------------------------------------------------


def test_the_token_of_an_observe_that_failed_is_forgotten(world):
    world.register()
    world.ask("OBSERVE /3/0/9")
    token = world.wire[0].token
    assert world.engine.knows(token)
    world.fail("timeout")
    assert not world.engine.knows(token)


def test_an_observe_in_a_refused_format_leaves_no_token_behind(world):
    world.register()
    world.ask("OBSERVE /3/0/9")
    first = world.wire[0].token
    world.answer(CoapReply(Code.NOT_ACCEPTABLE))
    second = world.wire[0].token
    world.answer(world.content({"/3/0/9": 72}, "/3/0/9", observe=0))
    assert world.engine.knows(second)
    assert first == second or not world.engine.knows(first)


def test_a_cancel_that_nobody_answers_ends_the_relation_all_the_same(observing):
    observing.ask("CANCEL /3/0/9")
    observing.fail("timeout")
    assert observing.told(ObservationEnded)[0].reason == "cancelled"
    assert notify(observing, 70, 2) is None


def test_observe_composite_is_cancelled_with_its_token_and_paths(world):
    world.register()
    world.ask("OBSERVE /3/0/9,/3303/0/5700")
    token, payload = world.wire[0].token, world.wire[0].request.payload
    values = {"/3/0/9": 72, "/3303/0/5700": 21.5}
    world.answer(world.content(values, "/", ContentFormat.SENML_CBOR, observe=0))
    assert world.engine.observed(token).payload == payload
    world.ask("CANCEL /3/0/9,/3303/0/5700")
    assert (world.wire[0].token, world.wire[0].request.observe) == (token, 1)
    assert world.wire[0].request.payload == payload
    world.answer(CoapReply(Code.CONTENT, b"", ContentFormat.SENML_CBOR))
    assert not world.engine.knows(token)
    assert world.engine.observed(token) is None
    world.ask("CANCEL /3/0/9,/3303/0/5700")
    assert not world.wire
