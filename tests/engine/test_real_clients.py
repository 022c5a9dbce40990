"""What real clients were seen to do, each fact under its number; what only shows in datagrams is tested
with the gateway.

Observed with Anjay 3.14, Eclipse Wakaama, lwm2m-node-lib and coap-node.
"""

from __future__ import annotations

import pytest

from lwm2m_engine import Entry, Path, decode, encode
from lwm2m_engine.coap import CoapReply, Code
from lwm2m_engine.engine.events import (
    Failed,
    Held,
    ObservationEnded,
    Observed,
    Received,
    Registered,
    Sent,
    Warned,
)
from lwm2m_engine.errors import RequestError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.values import ObjLink

ANJAY = b"</1>;ver=1.1,</1/0>,</2>,</3>;ver=1.1,</3/0>,</10>;ver=1.1,</3442/0>"
WAKAAMA = b'</>;rt="oma.lwm2m";ct=110,</1>;ver=1.1,</1/0>,</2/0>,</3/0>,</4/0>,</5/0>,</31024/10>'


def last(world) -> Received:
    return world.told(Received)[-1]


def values(world):
    return {str(entry.path): entry.value for entry in last(world).entries}


def registration(world):
    return world.engine.registration("dev1")


def answered(world, text, payload, number, **more):
    """Ask, answer, and return the values that were understood."""
    world.ask(text)
    world.answer(CoapReply(Code.CONTENT, payload, number, **more))
    assert last(world).error is None
    return values(world)


# --- registration --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "lwm2m=1.1&ep=dev1&lt=60",
        "lwm2m=1.0&ep=dev1&lt=60&b=UQ",
        "lwm2m=1.1&ep=dev1&lt=60&b=U&Q",
        "lwm2m=1.1&ep=dev1&b=U&lt=60",
        "ep=dev1&lt=60&lwm2m=1.0&b=U",
        "ep=dev1&lt=60&lwm2m=1.0.0&mac=00:11:22:33:44:55",
    ],
)
def test_fact_1_queries_come_in_any_order(world, query):
    assert world.say(Code.POST, "rd", query, b"</1/0>,</3/0>").code == Code.CREATED
    assert registration(world).lifetime == 60
    assert registration(world).version in ("1.0", "1.1")


@pytest.mark.parametrize(
    ("query", "binding", "queue_mode"),
    [
        ("lwm2m=1.1", "U", False),
        ("lwm2m=1.0&b=UQ", "UQ", True),
        ("lwm2m=1.1&Q", "U", True),
        ("lwm2m=1.2&Q", "U", True),
        ("lwm2m=1.1&b=T", "T", False),
    ],
)
def test_fact_2_binding_and_queue_mode(world, query, binding, queue_mode):
    world.register(query=query)
    assert (registration(world).binding, registration(world).queue_mode) == (binding, queue_mode)


def test_fact_3_link_lists_of_each_client(world):
    world.register(links=ANJAY)
    assert registration(world).objects == {1: "1.1", 2: "1.0", 3: "1.1", 10: "1.1", 3442: "1.0"}
    assert registration(world).instances == tuple(map(Path, ("/1/0", "/3/0", "/3442/0")))
    world.register(query="lwm2m=1.0", links=b'</1/0>,</2>,</3/0>,</10>;ver="1.1"')
    assert registration(world).objects == {1: "1.0", 2: "1.0", 3: "1.0", 10: "1.1"}
    world.register(links=WAKAAMA)
    assert registration(world).formats == (110,)
    assert registration(world).objects[31024] == "1.0"
    world.register(query="lwm2m=1.0", links=b"</>;ct=11543;hb,</1/0>,</3/0>")
    assert registration(world).formats == (11543, 11542)


def test_fact_4_object_lists_without_a_content_format(world):
    location = world.register(links=ANJAY, content_format=None)
    assert world.update(location, "", WAKAAMA, content_format=None).code == Code.CHANGED
    assert 31024 in registration(world).objects


def test_fact_5_a_client_that_is_too_new_may_try_an_older_version(world):
    query = "ep=dev1&lt=60&lwm2m="
    assert world.say(Code.POST, "rd", query + "1.3", ANJAY).code == Code.PRECONDITION_FAILED
    assert world.say(Code.POST, "rd", query + "1.2", ANJAY).code == Code.CREATED


@pytest.mark.parametrize("change", ["lwm2m=1.1&b=UT", "lwm2m=1.1&Q", "lwm2m=1.0&b=U", "lwm2m=1.2"])
def test_fact_6_a_change_of_binding_or_version_is_a_new_register(world, change):
    first = world.register(query="lt=60&lwm2m=1.1&b=U", links=ANJAY)
    world.ask("GET /3")
    second = world.register(query=f"lt=60&{change}", links=ANJAY)
    assert second != first
    assert world.update(first).code == Code.NOT_FOUND
    assert world.update(second).code == Code.CHANGED
    assert len(world.told(Held)) == 1


def test_fact_7_over_nosec_a_reopened_socket_registers_again_from_the_same_port(world):
    world.register(query="lt=60&lwm2m=1.1&Q", links=ANJAY)
    world.ask("OBSERVE /3/0/9")
    world.answer(CoapReply(Code.CONTENT, b"1", 0, observe=0))
    world.pass_time(40)
    location = world.register(query="lt=60&lwm2m=1.1&Q", links=ANJAY)
    assert len(world.told(Registered)) == 2
    assert world.update(location).code == Code.CHANGED
    # What was observed is observed again.
    assert world.wire[0].request.observe == 0


def test_fact_8_created_and_deleted_instances_are_known_without_an_update(world):
    world.register(links=ANJAY)
    world.ask('POST /3442 {"110": "x"}')
    world.answer(CoapReply(Code.CREATED, location=("3442", "1")))
    assert Path("/3442/1") in registration(world).instances
    world.ask("DELETE /3442/1")
    world.answer(CoapReply(Code.DELETED))
    assert Path("/3442/1") not in registration(world).instances


def test_fact_9_a_bootstrap_pack_is_not_found_so_the_client_asks_for_a_session(world):
    reply = world.say(Code.GET, "bspack", "ep=dev1", accept=112)
    assert reply.code == Code.NOT_FOUND


# --- negotiation and formats ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "accept"),
    [("1.0", ContentFormat.TLV), ("1.1", ContentFormat.SENML_CBOR), ("1.2", ContentFormat.SENML_CBOR)],
)
def test_a_client_that_announces_no_format_is_asked_for_what_its_version_must_speak(world, version, accept):
    world.register(query=f"lwm2m={version}", links=ANJAY)
    world.ask("GET /3/0")
    assert world.wire[0].request.accept == accept


def test_fact_12_the_request_of_a_relation_is_there_to_fetch_the_rest_with(world):
    """A follow-up Block2 request must repeat Content-Format and Accept, so they must be known."""
    world.register(links=ANJAY)
    world.ask("OBSERVE /3/0/9,/3/0/13")
    token, asked = world.wire[0].token, world.wire[0].request
    world.answer(CoapReply(Code.CONTENT, b"", ContentFormat.SENML_CBOR, observe=0))
    assert world.engine.observed(token) == asked
    assert (asked.content_format, asked.accept) == (112, 112)


def test_fact_15_wakaama_acknowledges_composites_and_never_answers(world):
    world.register(links=WAKAAMA)
    world.ask('IPATCH {"/3/0/14": "+02:00"}', id=1)
    world.ask("GET /3/0/9", id=2)
    world.take(world.engine.acknowledged(world.wire[0].exchange, world.now))
    assert [event.message for event in world.told(Sent)] == [1]
    world.pass_time(31)
    assert [(event.message, event.reason) for event in world.told(Failed)] == [(1, "timeout")]
    assert world.wire[0].request.path == ("3", "0", "9")


def test_fact_16_an_update_of_a_live_registration_is_never_unknown(world, make_world):
    """4.04 would end Wakaama: a restart, a new address and the last second of the lifetime get 2.04."""
    location = world.register(query="lt=60&lwm2m=1.1", links=WAKAAMA)
    world.pass_time(59.9)
    assert world.update(location, peer=world.peer(port=5)).code == Code.CHANGED


@pytest.mark.parametrize(
    "payload",
    [
        b'[{"bn":"/3/0","n":"/0","vs":"x"}]',
        b'[{"bn":"/3/0/","n":"0","vs":"x"}]',
        b'[{"bn":"/3/0/0","vs":"x"}]',
    ],
)
def test_fact_18_senml_names(world, payload):
    world.register(links=ANJAY)
    assert answered(world, "GET /3/0", payload, 110) == {"/3/0/0": "x"}


@pytest.mark.parametrize(
    ("payload", "number", "value"),
    [
        (b'[{"bn":"/3442/0/150","vd":"3q2-7w"}]', 110, bytes.fromhex("deadbeef")),
        (b'[{"bn":"/3442/0/150","vd":"IAAAAP8="}]', 110, bytes.fromhex("20000000ff")),
        (b'{"bn":"/3442/0/150","e":[{"sv":"3q2+7w=="}]}', 11543, bytes.fromhex("deadbeef")),
    ],
)
def test_fact_19_opaque_in_json(world, payload, number, value):
    world.register(links=ANJAY)
    assert answered(world, "GET /3442/0/150", payload, number) == {"/3442/0/150": value}


@pytest.mark.parametrize(
    ("path", "payload", "number", "value"),
    [
        ("/3442/0/130", b'[{"bn":"/3442/0/130","v":0}]', 110, 0.0),
        ("/3442/0/130", bytes.fromhex("e4008240500000"), 11542, 3.25),
        ("/3442/0/125", bytes.fromhex("e4007dee6b2800"), 11542, 4000000000),
        ("/3442/0/160", bytes.fromhex("e800a0080000000100000000"), 11542, 2**32),
        ("/3442/0/130", bytes.fromhex("f94200"), 60, 3.0),
        ("/3442/0/130", bytes.fromhex("fa40500000"), 60, 3.25),
        ("/3442/0/120", bytes.fromhex("1b0000000100000000"), 60, 2**32),
        ("/3442/0/120", bytes.fromhex("3903e6"), 60, -999),
    ],
)
def test_fact_20_numbers_of_every_width(world, path, payload, number, value):
    world.register(links=ANJAY)
    found = answered(world, f"GET {path}", payload, number)[path]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("path", "payload", "value"),
    [
        ("/3/0", "bf820300bf006141ffff", {"/3/0/0": "A"}),
        ("/3/0/9", "a1830300091848", {"/3/0/9": 72}),
        ("/3442/0/170", "a183190d720018aa6733333630363a30", {"/3442/0/170": ObjLink(33606, 0)}),
        ("/", "bf03bf00bf09 1848 ffffff", {"/3/0/9": 72}),
    ],
)  # fmt: skip
def test_fact_21_lwm2m_cbor(world, path, payload, value):
    world.register(query="lwm2m=1.2", links=ANJAY)
    text = f"GET {path}" if path != "/" else "FETCH /3/0/9,/3/0/0"
    assert answered(world, text, bytes.fromhex(payload.replace(" ", "")), 11544) == value


def test_fact_22_notifications_have_a_base_time_and_other_formats_none(world):
    world.register(links=ANJAY)
    world.ask("OBSERVE /3/0/9")
    token = world.wire[0].token
    world.answer(CoapReply(Code.CONTENT, b"72", 0, observe=0))
    assert last(world).entries[0].time is None
    payload = b'[{"bn":"/3/0/9","bt":1700000000.25,"v":71}]'
    notification = CoapReply(Code.CONTENT, payload, 110, observe=1)
    world.take(world.engine.notified(token, notification, world.peer(), world.now))
    assert last(world).entries[0].time == 1700000000.25


# --- observing -------------------------------------------------------------------------------------------


@pytest.fixture
def observing(world):
    world.register(links=ANJAY)
    world.ask("OBSERVE /3/0/9")
    world.token9 = world.wire[0].token
    world.answer(CoapReply(Code.CONTENT, b"72", 0, observe=0))
    return world


def notify(world, number, payload=b"71", code=Code.CONTENT):
    reply = CoapReply(code, payload, 0 if payload else None, observe=number)
    step = world.engine.notified(world.token9, reply, world.peer(), world.now)
    return None if step is None else world.take(step)


def test_fact_23_the_observe_number_begins_with_zero(observing):
    assert observing.told(Observed)
    for number in (1, 2):
        notify(observing, number)
    assert len([event for event in observing.told(Received) if event.kind == "notification"]) == 2


def test_fact_24_a_client_ends_a_relation_with_an_error_without_observe(observing):
    assert notify(observing, None, b"", Code.NOT_FOUND) is not None
    assert [event.reason for event in observing.told(ObservationEnded)] == ["refused"]
    assert notify(observing, 5) is None


def test_fact_25_attributes_in_observe_work_and_in_a_composite_may_be_refused(world):
    world.register(query="lwm2m=1.2", links=ANJAY)
    world.ask("OBSERVE /3/0/9?pmax=60")
    assert world.wire[0].request.query == ("pmax=60",)
    world.answer(CoapReply(Code.CONTENT, b"72", 0, observe=0))
    world.ask("OBSERVE /3/0/9,/3/0/13?pmax=60", id=4)
    world.answer(CoapReply(Code.BAD_OPTION))
    assert (last(world).code, last(world).operation, last(world).message) == (
        Code.BAD_OPTION,
        "observe-composite",
        4,
    )
    assert len(world.told(Observed)) == 1


@pytest.mark.parametrize(
    ("version", "payload"),
    [("1.1", b"</3>;ver=1.1,</3/0>,</3/0/6>"), ("1.2", b"</3>;ver=1.1,</3/0>,</3/0/6>;dim=2;pmin=5")],
)
def test_fact_26_discover_by_version(world, version, payload):
    world.register(query=f"lwm2m={version}", links=ANJAY)
    world.ask("DISCOVER /3" + ("?depth=2" if version == "1.2" else ""))
    world.answer(CoapReply(Code.CONTENT, payload, ContentFormat.LINK_FORMAT))
    assert (last(world).payload, last(world).error) == (payload, None)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("GET /3442/0/0", Code.METHOD_NOT_ALLOWED),
        ("PUT /3/0/9?pmin=1", Code.BAD_OPTION),
        ("PUT /3442/0/120?lt=1&gt=9", Code.BAD_REQUEST),
        ('POST /3442 {"/3442/0": {"110": "x"}}', Code.BAD_REQUEST),
        ("PUT /3/0/14\nContent-Format: 110\n\n+02", Code.UNSUPPORTED_CONTENT_FORMAT),
        ("GET /3/0/9\nAccept: 60\n\n", Code.NOT_ACCEPTABLE),
        ("PUT /3/0/14 x", Code.REQUEST_ENTITY_INCOMPLETE),
    ],
)
def test_fact_27_error_codes_are_answers(world, text, code):
    world.register(links=ANJAY)
    world.ask(text, id=6)
    world.answer(CoapReply(code))
    assert (last(world).code, last(world).message) == (code, 6)
    assert not world.told(Failed)
    assert not world.wire


def test_fact_27_security_cannot_be_read_and_is_not_asked_for(world):
    world.register(links=ANJAY)
    with pytest.raises(RequestError, match="has no object 0"):
        world.ask("GET /0")


def test_fact_29_execute_arguments(world):
    world.register(links=ANJAY)
    world.ask("POST /3/0/4?0,1='ab',2")
    assert world.wire[0].request.payload == b"0,1='ab',2"
    with pytest.raises(RequestError):
        world.ask("POST /3/0/4?1='a b'")


@pytest.mark.parametrize("number", [ContentFormat.SENML_JSON, ContentFormat.SENML_CBOR])
def test_fact_30_a_null_deletes_a_resource_instance(world, number):
    world.register(query="lwm2m=1.2", links=ANJAY)
    world.ask(f'IPATCH\nContent-Format: {number}\n\n{{"/3442/0/1110/1": null}}')
    request = world.wire[0].request
    assert request.payload == encode([Entry(Path("/3442/0/1110/1"), None)], number)
    assert decode(request.payload, number)[0].value is None
    world.answer(CoapReply(Code.CHANGED))
    world.ask("DELETE /3442/0/1110/1")
    assert (world.wire[0].request.code, world.wire[0].request.path[-1]) == (Code.DELETE, "1")


def test_fact_31_a_gateway(world):
    world.register(query="lwm2m=1.2", links=b"</1/0>,</3/0>,</25>;ver=2.0,</25/0>")
    assert registration(world).objects[25] == "2.0"
    found = answered(
        world, "GET /dev0/3303/0", b'[{"bn":"/dev0/3303/0","n":"/5700","v":21.5}]', ContentFormat.SENML_JSON
    )
    assert (found, last(world).prefix) == ({"/3303/0/5700": 21.5}, "dev0")
    world.ask("DISCOVER /dev0/3303")
    assert world.wire[0].request.path == ("dev0", "3303")
    world.answer(CoapReply(Code.CONTENT, b"</3303/0>,</3303/0/5700>", ContentFormat.LINK_FORMAT))
    assert (last(world).prefix, last(world).error) == ("dev0", None)
    with pytest.raises(RequestError) as caught:
        world.ask("FETCH /3/0/0,/dev0/3303/0/5700")
    assert caught.value.code == Code.METHOD_NOT_ALLOWED
    assert not world.told(Warned)
