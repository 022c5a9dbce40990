"""Information reporting cases, each under its number: OB, OC, SE; then what comes back after a Register."""

from __future__ import annotations

import attrs
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
    Sent,
    Updated,
    Warned,
)
from lwm2m_engine.errors import RequestError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import Path

LINKS = b"</1/0>,</2>,</3/0>,</3303/0>,</3442/0>"


@pytest.fixture
def world(world):
    world.register(links=LINKS)
    return world


def observe(world, paths="/3/0/9", query=""):
    """Observe, answered with success; returns the token."""
    world.ask(f"OBSERVE {paths}{query}")
    while world.wire[0].token is None:
        world.answer(CoapReply(Code.CHANGED))
    token = world.wire[0].token
    world.answer(CoapReply(Code.CONTENT, b"[]", ContentFormat.SENML_JSON, observe=0))
    return token


def notify(world, token, payload, number=1, *, form=ContentFormat.SENML_JSON, code=Code.CONTENT, **more):
    reply = CoapReply(code, payload, form, observe=number)
    step = world.engine.notified(token, reply, more.pop("peer", world.peer()), world.now)
    return None if step is None else world.take(step)


def last(world):
    return world.told(Received)[-1]


def values(world):
    return {str(entry.path): entry.value for entry in last(world).entries}


def ended(world):
    return [(str(event.observation.paths[0]), event.reason) for event in world.told(ObservationEnded)]


# --- OB ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "record"),
    [("/3/0/15", "/3/0/15"), ("/3442/0/1110/0", "/3442/0/1110/0"), ("/3/0", "/3/0/15"), ("/3", "/3/0/15")],
    ids=["OB-1", "OB-2 resource instance", "OB-2 instance", "OB-2 object"],
)
def test_ob_1_and_2_a_notification_on_every_level(world, path, record):
    token = observe(world, path)
    notify(world, token, b'[{"n":"%s","vs":"new"}]' % record.encode())
    assert (last(world).kind, last(world).path) == ("notification", Path(path))
    assert values(world) == {record: "new"}


@pytest.mark.parametrize("path", ["/3442/0/1110/0", "/2/0"], ids=["OB-3", "OB-4"])
def test_ob_3_and_4_an_error_ends_the_relation(world, path):
    token = observe(world, path)
    notify(world, token, b"", None, code=Code.NOT_FOUND, form=None)
    assert last(world).code == Code.NOT_FOUND
    assert ended(world) == [(path, "refused")]
    assert notify(world, token, b"[]", 5) is None
    world.register(links=LINKS)
    assert not world.wire


def test_ob_5_passive_cancel(world):
    token = observe(world)
    world.ask("CANCEL /3/0/9?passive", id=8)
    assert not world.wire
    assert [event.message for event in world.told(Sent)][-1] == 8
    assert ended(world) == [("/3/0/9", "cancelled")]
    assert notify(world, token, b"[]") is None


def test_ob_5_passive_cancel_does_not_wait_for_a_sleeper(world):
    world.register(query="lwm2m=1.1&Q", links=LINKS)
    token = observe(world)
    world.pass_time(100)
    world.ask("CANCEL /3/0/9?passive", id=8)
    assert not world.engine.knows(token)
    assert world.engine.presence("dev1").waiting == 0


def test_ob_6_active_cancel(world):
    token = observe(world)
    world.ask("CANCEL /3/0/9")
    request = world.wire[0].request
    assert (request.code, request.path, request.observe, world.wire[0].token) == (
        Code.GET,
        ("3", "0", "9"),
        1,
        token,
    )
    world.answer(CoapReply(Code.CONTENT, b'[{"n":"/3/0/9","v":71}]', ContentFormat.SENML_JSON))
    assert values(world) == {"/3/0/9": 71}
    assert notify(world, token, b"[]") is None


@pytest.mark.parametrize("reason", ["timeout", "reset", "undecodable"])
def test_ob_6_a_device_that_cannot_cancel_gets_a_reset(world, reason):
    token = observe(world)
    world.ask("CANCEL /3/0/9")
    world.fail(reason)
    assert ended(world) == [("/3/0/9", "cancelled")]
    assert notify(world, token, b"[]") is None


@pytest.mark.parametrize("reason", ["reset", "undecodable"])
def test_ob_6_that_holds_in_queue_mode_too(world, reason):
    world.register(query="lwm2m=1.1&Q", links=LINKS)
    token = observe(world)
    world.ask("CANCEL /3/0/9")
    world.fail(reason)
    assert notify(world, token, b"[]") is None


def test_ob_7_an_unknown_content_format(world):
    token = observe(world)
    notify(world, token, b"\xff", form=666)
    assert last(world).error
    assert last(world).payload == b"\xff"
    assert not ended(world)
    assert notify(world, token, b"[]", 2) is not None


def test_ob_8_one_relation_for_one_path(world):
    token = observe(world)
    assert observe(world) == token
    assert not ended(world)
    world.ask("CANCEL /3/0/9")
    world.answer(CoapReply(Code.CONTENT))
    world.ask("CANCEL /3/0/9")
    assert not world.wire


def test_ob_9_every_sample_in_order_and_the_newest_on_top(world):
    token = observe(world, "/3303/0")
    payload = (
        b'[{"bn":"/3303/0/","bt":1700000000,"n":"5700","v":3},{"n":"5700","v":2,"t":-2},'
        b'{"n":"5700","v":1,"t":-9},{"n":"5601","v":0.5,"t":-9}]'
    )
    notify(world, token, payload)
    assert [(str(entry.path), entry.value, entry.time) for entry in last(world).entries] == [
        ("/3303/0/5700", 3.0, 1700000000),
        ("/3303/0/5700", 2.0, 1699999998),
        ("/3303/0/5700", 1.0, 1699999991),
        ("/3303/0/5601", 0.5, 1699999991),
    ]


# --- OC ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "paths", ["/3/0/15,/1/0/2", "/,/3", "/3/0,/3303"], ids=["OC-1", "OC-5 root", "OC-5 levels"]
)
def test_oc_1_and_5_observe_composite(world, paths):
    token = observe(world, paths)
    notify(world, token, b'[{"n":"/3/0/15","vs":"x"}]')
    assert last(world).paths == tuple(Path(path) for path in paths.split(","))
    assert (last(world).path, values(world)) == (Path("/"), {"/3/0/15": "x"})


def test_oc_3_a_notification_holds_all_paths(world):
    token = observe(world, "/3/0/15,/1/0/2")
    notify(world, token, b'[{"n":"/3/0/15","vs":"x"},{"n":"/1/0/2","v":10}]')
    assert values(world) == {"/3/0/15": "x", "/1/0/2": 10}


@pytest.mark.parametrize("passive", [False, True])
def test_oc_6_cancel_composite(world, passive):
    world.ask("OBSERVE /3/0/15,/1/0/2")
    token, payload = world.wire[0].token, world.wire[0].request.payload
    world.answer(CoapReply(Code.CONTENT, b"", ContentFormat.SENML_CBOR, observe=0))
    world.ask(f"CANCEL /3/0/15,/1/0/2{'?passive' if passive else ''}")
    if not passive:
        request = world.wire[0].request
        assert (request.code, request.observe, world.wire[0].token) == (Code.FETCH, 1, token)
        assert request.payload == payload
        world.answer(CoapReply(Code.CONTENT, b"", ContentFormat.SENML_CBOR))
    assert ended(world) == [("/3/0/15", "cancelled")]
    assert notify(world, token, b"[]") is None


def test_oc_6_the_cancel_is_in_the_format_of_the_observe(world):
    world.ask("OBSERVE /3/0/15,/1/0/2\nAccept: senml-json\n\n")
    asked = world.wire[0].request
    assert (asked.accept, asked.content_format) == (110, 110)
    world.answer(CoapReply(Code.CONTENT, b"[]", ContentFormat.SENML_JSON, observe=0))
    world.ask("CANCEL /3/0/15,/1/0/2")
    cancel = world.wire[0].request
    assert attrs.evolve(cancel, observe=0) == asked


@pytest.mark.parametrize("paths", ["/3/0/9", "/3/0/15,/1/0/2"])
def test_oc_6_a_refused_cancel_is_not_tried_again(world, paths):
    token = observe(world, paths)
    world.ask(f"CANCEL {paths}")
    world.answer(CoapReply(Code.NOT_ACCEPTABLE))
    assert not world.wire
    assert not world.engine.knows(token)


def test_oc_6_other_paths_are_another_relation(world):
    token = observe(world, "/3/0/15,/1/0/2")
    world.ask("CANCEL /3/0/15,/1/0/3")
    assert not world.wire
    assert world.engine.knows(token)


def test_oc_7_times_of_a_composite_are_kept(world):
    token = observe(world, "/3/0/15,/3/0/9")
    notify(world, token, b'[{"n":"/3/0/9","v":1,"t":1700000000},{"n":"/3/0/15","vs":"","t":1700000001}]')
    assert [entry.time for entry in last(world).entries] == [1700000000, 1700000001]


@pytest.mark.parametrize("stranger", ["/3/0/14", "/3442/0/1110/0"])
def test_oc_8_values_that_were_not_asked_for_make_the_answer_invalid(world, stranger):
    token = observe(world, "/3/0/15,/3442/0/1120")
    notify(world, token, b'[{"n":"/3/0/15","vs":"x"},{"n":"%s","vs":"x"}]' % stranger.encode())
    assert f"it was not asked for (path {stranger})" in last(world).error
    assert (last(world).entries, bool(last(world).payload)) == ((), True)
    assert world.engine.knows(token)
    world.ask("FETCH /3/0/15")
    world.answer(CoapReply(Code.CONTENT, b'[{"n":"/3/0/9","v":1}]', ContentFormat.SENML_JSON))
    assert last(world).error


def test_attributes_of_a_composite_go_with_the_request_in_1_2(world):
    with pytest.raises(RequestError, match=r"came with LwM2M 1\.2"):
        world.ask("OBSERVE /3/0/15,/1/0/2?pmax=60")
    world.register(query="lwm2m=1.2", links=LINKS)
    world.ask("OBSERVE /3/0/15,/1/0/2?pmax=60", id=2)
    assert world.wire[0].request.query == ("pmax=60",)
    token = world.wire[0].token
    world.answer(CoapReply(Code.BAD_OPTION))
    assert (last(world).code, last(world).message) == (Code.BAD_OPTION, 2)
    assert not world.engine.knows(token)
    world.register(query="lwm2m=1.2", links=LINKS)
    assert not world.wire


def test_attributes_of_an_observe_go_with_the_request_in_1_2(world):
    world.register(query="lwm2m=1.2", links=LINKS)
    world.ask("OBSERVE /3/0/9?pmin=5&pmax=30")
    request = world.wire[0].request
    assert (request.code, request.query, request.observe) == (Code.GET, ("pmin=5", "pmax=30"), 0)
    world.answer(CoapReply(Code.CONTENT, b"[]", ContentFormat.SENML_JSON, observe=0))
    assert world.told(Observed)[-1].observation.attributes == (("pmin", "5"), ("pmax", "30"))


@pytest.mark.parametrize("code", [Code.CHANGED, Code.METHOD_NOT_ALLOWED])
def test_attributes_of_an_observe_are_written_before_it_in_1_1(world, code):
    """The answer to the message is that to the Observe, whatever became of the attributes."""
    world.ask("OBSERVE /3/0/9?pmin=5", id=2)
    assert world.wire[0].request.query == ("pmin=5",)
    world.answer(CoapReply(code))
    assert (last(world).operation, last(world).message, last(world).code) == ("write-attributes", 2, code)
    assert last(world).more
    assert world.wire[0].request.observe == 0
    world.answer(CoapReply(Code.CONTENT, b'[{"n":"/3/0/9","v":70}]', ContentFormat.SENML_JSON, observe=0))
    assert (last(world).operation, last(world).message, last(world).more) == ("observe", 2, False)


def test_a_notification_may_overtake_the_answer_to_its_observe(world):
    world.ask("OBSERVE /3/0/9")
    token = world.wire[0].token
    assert notify(world, token, b'[{"n":"/3/0/9","v":70}]', 2) is not None
    assert last(world).kind == "notification"
    world.answer(CoapReply(Code.CONTENT, b'[{"n":"/3/0/9","v":71}]', ContentFormat.SENML_JSON, observe=1))
    assert notify(world, token, b'[{"n":"/3/0/9","v":69}]', 1) is not None
    assert values(world) == {"/3/0/9": 71}
    assert notify(world, token, b'[{"n":"/3/0/9","v":69}]', 3) is not None
    assert values(world) == {"/3/0/9": 69}


def test_a_token_without_a_relation_is_nobodys_even_while_it_is_asked_for(world):
    world.ask("OBSERVE /3/0/9")
    token = world.wire[0].token
    assert notify(world, token, b"", None, code=Code.NOT_FOUND) is None
    assert notify(world, token, b"[]", 2, peer=world.peer(port=9)) is None


# --- SE ----------------------------------------------------------------------------------------------


def send(world, payload, number=ContentFormat.SENML_JSON, **more):
    return world.say(Code.POST, "dp", "", payload, content_format=number, **more).code


CBOR = bytes.fromhex("82a200662f332f302f310361 78a200662f332f302f320361 79".replace(" ", ""))


@pytest.mark.parametrize(
    ("payload", "number"),
    [(b'[{"n":"/3/0/1","vs":"x"},{"n":"/3/0/2","vs":"y"}]', 110), (CBOR, 112)],
    ids=["SE-1", "SE-2"],
)
def test_se_1_and_2_send(world, payload, number):
    assert send(world, payload, number) == Code.CHANGED
    assert (last(world).kind, values(world)) == ("send", {"/3/0/1": "x", "/3/0/2": "y"})


def test_se_1_lwm2m_cbor_of_1_2(world):
    world.register(query="lwm2m=1.2", links=LINKS)
    assert send(world, bytes.fromhex("a103a100a1096118".replace("6118", "1848")), 11544) == Code.CHANGED
    assert values(world) == {"/3/0/9": 72}


def test_se_3_several_instants(world):
    payload = b'[{"bn":"/3/0/9","bt":1700000000,"v":1},{"v":2,"t":5}]'
    assert send(world, payload) == Code.CHANGED
    assert [(entry.value, entry.time) for entry in last(world).entries] == [(1, 1700000000), (2, 1700000005)]


def test_se_4_a_payload_that_cannot_be_read(world):
    assert send(world, bytes.fromhex("0010"), 112) == Code.BAD_REQUEST
    assert (last(world).payload, bool(last(world).error)) == (bytes.fromhex("0010"), True)


def test_se_5_strangers_formats_and_objects(world):
    assert send(world, b"[]", peer=world.peer("other")) == Code.BAD_REQUEST
    assert send(world, b"5", ContentFormat.TEXT) == Code.UNSUPPORTED_CONTENT_FORMAT
    assert (last(world).payload, last(world).code) == (b"5", Code.UNSUPPORTED_CONTENT_FORMAT)
    assert "SenML" in last(world).error
    assert send(world, b'[{"n":"/6/0/0","v":1}]') == Code.NOT_FOUND


# --- wanted observations -------------------------------------------------------------------------------


def test_what_was_observed_is_observed_again_after_register_and_before_messages(world):
    observe(world, "/3/0/9", "?pmin=10")
    observe(world, "/3/0/15,/1/0/2")
    gone = observe(world, "/3303/0/5700")
    world.ask("CANCEL /3303/0/5700")
    world.answer(CoapReply(Code.CONTENT))
    world.say(Code.DELETE, "rd/" + world.engine.registration("dev1").id)
    world.ask("GET /3", id=5)
    world.register(links=LINKS)
    asked = []
    while world.wire:
        request = world.wire[0].request
        asked.append((request.code, "/" + "/".join(request.path), request.query, request.observe))
        observing = request.observe == 0
        world.answer(CoapReply(Code.CONTENT, b"[]", 110, observe=0 if observing else None))
    assert asked == [
        (Code.PUT, "/3/0/9", ("pmin=10",), None),
        (Code.GET, "/3/0/9", (), 0),
        (Code.FETCH, "/", (), 0),
        (Code.GET, "/3", (), None),
    ]
    assert not world.engine.knows(gone)
    reasons = [reason for _, reason in ended(world)]
    assert reasons == ["cancelled", "registration", "registration", "replaced", "replaced"]
    live = world.engine.registration("dev1").id
    assert [event.observation.registration for event in world.told(Observed)][-2:] == [live, live]


def test_what_was_observed_in_1_2_comes_back_with_its_attributes(world):
    world.register(query="lwm2m=1.2", links=LINKS)
    observe(world, "/3/0/9", "?pmin=10")
    world.register(query="lwm2m=1.2", links=LINKS)
    assert (world.wire[0].request.query, world.wire[0].request.observe) == (("pmin=10",), 0)


def test_observing_again_is_paced_and_waits_for_the_reads(make_world, catalog):
    world = make_world(table=PluginManager.default().table(catalog), read_pacing=3.0)
    world.register(links=LINKS)
    world.answer(world.content({}, "/3/0"))
    observe(world, "/3303/0/5700")
    observe(world, "/1/0/2")
    world.register(links=LINKS)
    order = []
    while world.engine.presence("dev1").in_flight or world.engine.next_deadline() < world.now + 10:
        if not world.wire:
            before = world.now
            world.pass_time(world.engine.next_deadline() - world.now)
            assert world.now - before == 3.0
        order.append("/".join(world.wire[0].request.path))
        observing = world.wire[0].request.observe
        world.answer(CoapReply(Code.CONTENT, b"[]", 110, observe=observing))
    assert order == ["3/0", "3303/0/5700", "1/0/2"]


@pytest.mark.parametrize("code", [Code.NOT_FOUND, Code.METHOD_NOT_ALLOWED])
def test_a_refusal_ends_a_wish(world, code):
    observe(world)
    world.register(links=LINKS)
    world.answer(CoapReply(code))
    assert ended(world)[-1] == ("/3/0/9", "refused")
    world.register(links=LINKS)
    assert not world.wire


def test_a_server_error_leaves_the_wish_for_the_next_update(world):
    observe(world)
    location = world.register(links=LINKS)
    world.answer(CoapReply(Code.SERVICE_UNAVAILABLE))
    assert not world.wire
    assert ended(world)[-1] == ("/3/0/9", "registration")
    world.update(location)
    assert world.wire[0].request.observe == 0


def test_a_notification_of_a_server_error_suspends_the_relation(world):
    token = observe(world)
    notify(world, token, b"", None, code=Code.INTERNAL_SERVER_ERROR, form=None)
    assert ended(world) == [("/3/0/9", "suspended")]
    assert notify(world, token, b"[]") is None
    world.ask("GET /3")
    world.answer(CoapReply(Code.CONTENT))
    assert not world.wire
    world.update("rd/" + world.engine.registration("dev1").id)
    assert world.wire[0].request.observe == 0


def test_silence_leaves_the_wish_for_the_next_update(world):
    observe(world)
    location = world.register(links=LINKS)
    world.fail("timeout")
    assert "not observed again" in world.told(Warned)[-1].text
    assert not world.wire
    world.ask("GET /3", id=1)
    assert world.wire[0].request.path == ("3",)
    world.answer(CoapReply(Code.CONTENT))
    world.update(location)
    assert world.wire[0].request.observe == 0


def test_a_sleeper_is_asked_again_at_its_next_contact(world):
    world.register(query="lwm2m=1.1&Q", links=LINKS)
    observe(world)
    location = world.register(query="lwm2m=1.1&Q", links=LINKS)
    world.fail("timeout")
    assert not world.wire
    world.update(location)
    assert world.wire[0].request.observe == 0


@pytest.mark.parametrize("text", ["CANCEL /3/0/9", "CANCEL /3/0/9?passive"])
def test_a_cancel_while_the_device_is_away_ends_the_wish(world, text):
    observe(world)
    world.say(Code.DELETE, "rd/" + world.engine.registration("dev1").id)
    world.ask(text, id=3)
    assert ended(world)[-1] == ("/3/0/9", "cancelled")
    world.register(links=LINKS)
    assert not world.wire
    assert 3 in [event.message for event in world.told(Sent)]


def test_an_observe_of_the_application_fulfils_the_wish(world):
    observe(world)
    location = world.register(links=LINKS)
    world.fail("timeout")
    observe(world)
    assert ended(world)[-1] == ("/3/0/9", "replaced")
    world.update(location)
    assert not world.wire


def test_wishes_survive_a_restart(world, make_world):
    observe(world, "/3/0/9", "?pmin=10")
    kept = world.told(Observed)[0].observation
    world.say(Code.DELETE, "rd/" + world.engine.registration("dev1").id)
    reborn = make_world()
    reborn.take(reborn.engine.restore([DeviceRecord("dev1", observations=(kept,))], reborn.now))
    assert not reborn.engine.knows(kept.token)
    reborn.register(links=LINKS)
    assert reborn.wire[0].request.query == ("pmin=10",)


def test_a_relation_of_another_registration_is_asked_for_at_the_restart(world, make_world):
    observe(world)
    stale = attrs.evolve(world.told(Observed)[0].observation, registration="older")
    told = world.told(Registered)[-1]
    reborn = make_world()
    record = DeviceRecord("dev1", told.registration, told.liveness, observations=(stale,))
    reborn.take(reborn.engine.restore([record], reborn.now))
    assert reborn.wire[0].request.observe == 0


# --- object 22 -----------------------------------------------------------------------------------------


def test_put_22_on_a_device_that_has_it_writes_the_links_and_observes_the_report(world):
    world.register(links=b"</3/0>,</22>,</3303/0>")
    world.ask("PUT /22 </3/0/9>;pmin=10,</3303/0/5700>;gt=30", id=1)
    create = world.wire[0].request
    assert (create.code, create.path) == (Code.POST, ("22",))
    read = world.engine._state.codecs.decode(
        create.payload, create.content_format, at=Path("/22"), types=world.catalog.types
    )
    assert {str(entry.path): entry.value for entry in read} == {
        "/22/0/0/0": "</3/0/9>;pmin=10",
        "/22/0/0/1": "</3303/0/5700>;gt=30",
    }
    world.answer(CoapReply(Code.CREATED))
    request, token = world.wire[0].request, world.wire[0].token
    assert (request.path, request.observe) == (("22", "0", "1"), 0)
    world.answer(CoapReply(Code.CONTENT, b"r0", 0, observe=0))
    notify(world, token, b"r1", form=0)
    assert values(world) == {"/22/0/1": "r1"}
    # A second set is another Instance; one that is there already is written to.
    world.ask("PUT /22 </3/0/0>")
    world.answer(CoapReply(Code.CREATED))
    world.answer(CoapReply(Code.CONTENT, b"r0", 0, observe=0))
    assert [event.observation.origin for event in world.told(Observed)] == ["0", "1"]
    world.ask("DELETE /22/0")
    assert (world.wire[0].request.path, world.wire[0].request.observe) == (("22", "0", "1"), 1)
    world.answer(CoapReply(Code.CONTENT))
    world.ask("PUT /22 </3/0/0>")
    write = world.wire[0].request
    assert (write.code, write.path) == (Code.PUT, ("22", "0", "0"))
    world.answer(CoapReply(Code.CHANGED))
    world.answer(CoapReply(Code.CONTENT, b"r0", 0, observe=0))
    world.ask("DELETE /22")
    for _ in range(2):
        assert world.wire[0].request.observe == 1
        world.answer(CoapReply(Code.CONTENT))
    assert not world.wire


def test_a_set_of_links_comes_back_as_one(world):
    world.ask("PUT /22 </3/0/9>,</3303/0/5700>")
    for _ in range(2):
        world.answer(CoapReply(Code.CONTENT, b"[]", 110, observe=0))
    world.register(links=LINKS)
    for _ in range(2):
        world.answer(CoapReply(Code.CONTENT, b"[]", 110, observe=0))
    world.ask("DELETE /22/0")
    for _ in range(2):
        assert world.wire[0].request.observe == 1
        world.answer(CoapReply(Code.CONTENT))
    world.register(links=LINKS)
    assert not world.wire


# --- mappings and time ---------------------------------------------------------------------------------


@pytest.fixture
def mapped(make_world, catalog):
    world = make_world(table=PluginManager.default().table(catalog))
    world.register(links=b"</3303/0>")
    world.update("rd/" + world.engine.registration("dev1").id, "", b"</3/0>,</6/0>")
    return world


def label(world):
    return world.told(ManagedChanged)[-1].change.attributes["deviceName"]


def test_history_does_not_overwrite_what_is_newer(mapped):
    """Samples a device kept while it had no network come after newer ones."""
    new, old = mapped.now - 10, mapped.now - 3600
    assert send(mapped, b'[{"n":"/3/0/0","vs":"new","t":%d}]' % new) == Code.CHANGED
    assert send(mapped, b'[{"n":"/3/0/0","vs":"old","t":%d}]' % old) == Code.CHANGED
    assert label(mapped) == "new"
    assert values(mapped) == {"/3/0/0": "old"}
    assert send(mapped, b'[{"n":"/3/0/0","vs":"newer","t":%d}]' % mapped.now) == Code.CHANGED
    assert label(mapped) == "newer"


def test_an_answer_without_time_is_of_now(mapped):
    mapped.ask("GET /3/0/0")
    mapped.answer(mapped.content({"/3/0/0": "read"}, "/3/0/0"))
    send(mapped, b'[{"n":"/3/0/0","vs":"old","t":%d}]' % (mapped.now - 3600))
    assert label(mapped) == "read"
    # A clock that is a little late is no history.
    send(mapped, b'[{"n":"/3/0/0","vs":"late","t":%d}]' % (mapped.now - 30))
    assert label(mapped) == "late"


def test_clocks_that_are_ahead_or_were_never_set_shut_nothing_out(mapped):
    send(mapped, b'[{"n":"/3/0/0","vs":"ahead","t":4000000000}]')
    mapped.now += 5
    send(mapped, b'[{"n":"/3/0/0","vs":"right","t":%d}]' % mapped.now)
    assert label(mapped) == "right"
    send(mapped, b'[{"n":"/3/0/0","vs":"unset","t":500000000}]')
    assert label(mapped) == "unset"


def test_inputs_of_history_are_not_told(mapped):
    send(mapped, b'[{"n":"/3/0/0","vs":"new","t":%d}]' % mapped.now)
    told = len(mapped.told(InputsChanged))
    send(mapped, b'[{"n":"/3/0/0","vs":"old","t":%d}]' % (mapped.now - 3600))
    assert len(mapped.told(InputsChanged)) == told


# --- end devices behind a gateway ------------------------------------------------------------------------


@pytest.fixture
def gateway(make_world, catalog):
    world = make_world(table=PluginManager.default().table(catalog))
    world.register(query="lwm2m=1.2", links=b"</25>;ver=2.0,</25/0>,</1/0>")
    return world


def test_an_end_device_is_read_below_its_prefix(gateway):
    gateway.ask("GET /dev0/3303/0", id=1)
    assert gateway.wire[0].request.path == ("dev0", "3303", "0")
    payload = b'[{"bn":"/dev0/3303/0/","n":"5700","v":21.5}]'
    gateway.answer(CoapReply(Code.CONTENT, payload, ContentFormat.SENML_JSON))
    assert (last(gateway).prefix, last(gateway).path) == ("dev0", Path("/3303/0"))
    assert values(gateway) == {"/3303/0/5700": 21.5}


def test_an_end_device_is_written_executed_and_observed(gateway):
    gateway.ask("PUT /dev0/3303/0/5750 kitchen")
    assert gateway.wire[0].request.path == ("dev0", "3303", "0", "5750")
    gateway.answer(CoapReply(Code.CHANGED))
    gateway.ask("POST /dev0/3303/0/5605")
    gateway.answer(CoapReply(Code.CHANGED))
    gateway.ask("OBSERVE /dev0/3303/0/5700?pmin=5")
    request, token = gateway.wire[0].request, gateway.wire[0].token
    assert (request.path, request.query) == (("dev0", "3303", "0", "5700"), ("pmin=5",))
    gateway.answer(CoapReply(Code.CONTENT, b"20.5", 0, observe=0))
    notify(gateway, token, b'[{"n":"/dev0/3303/0/5700","v":21.5}]')
    assert (last(gateway).prefix, values(gateway)) == ("dev0", {"/3303/0/5700": 21.5})
    # The same path of the gateway, or of another end device, is another relation.
    gateway.ask("OBSERVE /dev1/3303/0/5700")
    assert gateway.wire[0].token != token
    gateway.answer(CoapReply(Code.CONTENT, b"20.5", 0, observe=0))
    gateway.ask("CANCEL /dev0/3303/0/5700")
    assert gateway.wire[0].request.path == ("dev0", "3303", "0", "5700")
    gateway.answer(CoapReply(Code.CONTENT, b"20.5", 0))
    gateway.register(query="lwm2m=1.2", links=b"</25>;ver=2.0,</25/0>,</1/0>")
    assert gateway.wire[0].request.path == ("dev1", "3303", "0", "5700")


def test_a_composite_of_an_end_device_has_its_prefix_in_the_names(gateway):
    gateway.ask("FETCH /dev0/3303/0/5700,/dev0/3/0/0\nAccept: senml-json\n\n")
    request = gateway.wire[0].request
    assert request.path == ()
    assert request.payload == b'[{"n":"/dev0/3303/0/5700"},{"n":"/dev0/3/0/0"}]'
    payload = b'[{"n":"/dev0/3303/0/5700","v":21.5},{"n":"/dev0/3/0/0","vs":"x"}]'
    gateway.answer(CoapReply(Code.CONTENT, payload, ContentFormat.SENML_JSON))
    assert values(gateway) == {"/3303/0/5700": 21.5, "/3/0/0": "x"}


def test_a_composite_across_devices_is_refused_before_it_is_sent(gateway):
    with pytest.raises(RequestError) as caught:
        gateway.ask("FETCH /dev0/3303/0/5700,/1/0/1")
    assert caught.value.code == Code.METHOD_NOT_ALLOWED
    assert not gateway.wire


def test_what_an_end_device_says_is_not_what_the_gateway_is(gateway):
    gateway.ask("GET /dev0/3/0/0")
    gateway.answer(CoapReply(Code.CONTENT, b"ACME", 0))
    assert not gateway.told(InputsChanged)


def test_a_send_of_an_end_device_has_its_prefix(gateway):
    assert send(gateway, b'[{"bn":"/dev0/3303/0/","n":"5700","v":21.5}]') == Code.CHANGED
    assert (last(gateway).prefix, values(gateway)) == ("dev0", {"/3303/0/5700": 21.5})
    assert send(gateway, b'[{"n":"/1/0/1","v":60}]') == Code.CHANGED
    assert last(gateway).prefix == ""


def test_a_device_that_is_no_gateway_has_no_end_devices(world):
    with pytest.raises(RequestError, match="is no LwM2M Gateway"):
        world.ask("GET /dev0/3303/0")


def test_the_address_of_a_gateway_may_change_under_its_relations(gateway):
    gateway.ask("OBSERVE /dev0/3303/0/5700")
    token = gateway.wire[0].token
    gateway.answer(CoapReply(Code.CONTENT, b"20.5", 0, observe=0))
    gateway.update("rd/" + gateway.engine.registration("dev1").id, peer=gateway.peer(port=9))
    assert gateway.told(Updated)[-1].moved
    assert notify(gateway, token, b"21", form=0, peer=gateway.peer(port=9)) is not None
