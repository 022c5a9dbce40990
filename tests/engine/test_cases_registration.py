"""Registration cases, each under the number it has in the list of cases (REG, LS 1 to 5, EP, IP)."""

from __future__ import annotations

import pytest

from lwm2m_engine.coap import CoapReply, Code, Peer
from lwm2m_engine.engine import Hooks, Verdict
from lwm2m_engine.engine.events import (
    Deregistered,
    Expired,
    Failed,
    Held,
    ObservationEnded,
    Observed,
    Received,
    Registered,
    Updated,
)
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.links import announced, parse_links
from lwm2m_engine.paths import Path

SENML = b'[{"n":"/3/0/9","v":5}]'


def send(world, payload=SENML, number=ContentFormat.SENML_JSON, **more):
    return world.say(Code.POST, "dp", "", payload, content_format=number, **more).code


# --- REG -------------------------------------------------------------------------------------------


def test_reg_1_register_update_deregister(world):
    location = world.register(query="lt=2&lwm2m=1.1", links=b"</1/0>,</3/0>")
    registered = world.told(Registered)[0].registration
    assert (registered.lifetime, registered.version) == (2, "1.1")
    assert [link.target for link in registered.links] == ["/1/0", "/3/0"]
    assert world.update(location).code == Code.CHANGED
    assert world.told(Updated)[0].registration.id == registered.id
    assert world.say(Code.DELETE, location).code == Code.DELETED
    assert world.told(Deregistered)[0].registration.id == registered.id
    assert not world.told(Expired)
    assert world.engine.registration("dev1") is None


def test_reg_2_deregister_ends_what_is_outstanding(world):
    """One request is out, three wait: the first is aborted, all go on waiting for the next Register."""
    location = world.register()
    for id in range(1, 5):
        world.ask("GET /3", id=id)
    exchange = world.wire[0].exchange
    world.say(Code.DELETE, location)
    assert world.aborted == [exchange]
    assert [event.message for event in world.told(Held)] == [1]
    assert world.engine.presence("dev1").waiting == 4
    world.take(world.engine.answered(exchange, CoapReply(Code.CONTENT), world.now))
    assert not world.told(Received)


def test_reg_2_an_execute_that_is_outstanding_has_an_unknown_outcome(world):
    location = world.register()
    world.ask("POST /3/0/4", id=1)
    world.say(Code.DELETE, location)
    assert [(event.message, event.reason) for event in world.told(Failed)] == [(1, "unknown-outcome")]


def test_reg_3_each_registration_has_its_own_id(world):
    first = world.register()
    world.update(first)
    world.say(Code.DELETE, first)
    assert world.register() != first


def test_reg_4_registering_again_replaces(world):
    first = world.register()
    world.ask("OBSERVE /3/0/9")
    world.answer(world.content({"/3/0/9": 72}, "/3/0/9", observe=0))
    world.ask("GET /3")
    exchange, old = world.wire[-1].exchange, world.told(Observed)[0].observation.token
    world.update(first)
    second = world.register()
    assert world.told(Registered)[1].replaced == first.removeprefix("rd/")
    assert world.aborted == [exchange]
    assert [event.reason for event in world.told(ObservationEnded)] == ["registration"]
    assert world.update(first).code == world.say(Code.DELETE, first).code == Code.NOT_FOUND
    assert world.update(second).code == Code.CHANGED
    late = world.content({"/3/0/9": 70}, "/3/0/9", observe=3)
    assert world.engine.notified(old, late, world.peer(), world.now) is None


def test_reg_5_other_parameters_are_kept_and_may_be_updated(world):
    location = world.register(query="lt=60&lwm2m=1.1&key1=value1&imei=2136872368")
    world.update(location)
    kept = {"key1": "value1", "imei": "2136872368"}
    assert world.engine.registration("dev1").attributes == kept
    world.update(location, "key1=value2")
    assert world.engine.registration("dev1").attributes == kept | {"key1": "value2"}


def test_reg_6_no_name_and_nothing_to_take_it_from(world):
    assert world.say(Code.POST, "rd", "lwm2m=1.1", b"</3/0>").code == Code.FORBIDDEN


@pytest.mark.parametrize("version", ["2.0", "1.3", "1", "x", "11.1"])
def test_reg_7_an_unknown_version_is_a_failed_precondition(world, version):
    query = f"ep=dev1&lwm2m={version}"
    assert world.say(Code.POST, "rd", query, b"</3/0>").code == Code.PRECONDITION_FAILED
    assert world.engine.registration("dev1") is None


def test_reg_8_a_verdict_counts_for_the_registration(make_world):
    class Once(Hooks):
        asked = 0

        def admit(self, register, peer, known):
            self.asked += 1
            return Verdict(True)

    hooks = Once()
    world = make_world(hooks=hooks)
    location = world.register()
    world.update(location, "lt=90")
    assert hooks.asked == 1


def test_reg_9_lifetime_and_what_an_update_leaves_alone(world):
    location = world.register(query="lt=60&lwm2m=1.0&b=UQ&sms=555&x=1")
    world.pass_time(50)
    world.update(location)
    before = world.engine.registration("dev1")
    world.pass_time(50)
    assert world.engine.registration("dev1") == before
    world.pass_time(11)
    assert len(world.told(Expired)) == 1
    assert world.engine.registration("dev1") is None


def test_reg_10_instances_are_sorted_by_number(world):
    world.register(links=b"</10/2>,</3/0>,</10/0>,</2>,</1/0>")
    registration = world.engine.registration("dev1")
    assert list(map(str, registration.instances)) == ["/1/0", "/3/0", "/10/0", "/10/2"]
    assert list(registration.objects) == [1, 2, 3, 10]


# --- LS 1 to 5 -------------------------------------------------------------------------------------


def test_ls_1_a_register_without_version_and_object_list(world):
    assert world.say(Code.POST, "rd", "ep=X").code == Code.BAD_REQUEST


def test_ls_2_queue_mode_of_1_0(world):
    world.register(query="lt=60&lwm2m=1.0&b=UQ", links=b"</1>,</2>,</3>")
    assert world.engine.registration("dev1").queue_mode


def test_ls_3_udp_and_tcp_in_1_1(world):
    world.register(query="lwm2m=1.1&b=UT")
    assert world.engine.registration("dev1").binding == "UT"


@pytest.mark.parametrize(
    ("number", "version", "bad"), [("LS-4", "1.1", "UQ"), ("LS-5", "1.0", "UT")], ids=["LS-4", "LS-5"]
)
def test_ls_4_and_5_bindings_by_version(world, number, version, bad):
    location = world.register(query=f"lwm2m={version}&b=U")
    assert world.update(location, "b=U").code == Code.CHANGED
    query = f"ep=other&lwm2m={version}&b={bad}"
    assert world.say(Code.POST, "rd", query, b"</3/0>").code == Code.BAD_REQUEST
    assert world.engine.registration("other") is None
    assert world.update(location, f"b={bad}").code == Code.BAD_REQUEST
    assert world.engine.registration("dev1").binding == "U"


# --- EP: several listeners of one server -----------------------------------------------------------


@pytest.mark.parametrize("code", [Code.POST, Code.DELETE], ids=["EP-1", "EP-2"])
def test_ep_1_and_2_another_listener_may_not_touch_a_registration(world, code):
    location = world.register()
    before = world.engine.registration("dev1")
    assert world.say(code, location, peer=world.peer(listener="coap-2")).code == Code.BAD_REQUEST
    assert world.engine.registration("dev1") is before


def test_ep_3_a_send_through_another_listener_is_refused(world):
    world.register()
    assert send(world, peer=world.peer(listener="coap-2")) == Code.BAD_REQUEST
    assert not world.told(Received)


def test_ep_4_a_notification_through_another_listener_is_none(world):
    world.register()
    world.ask("OBSERVE /3/0/9")
    token = world.wire[0].token
    world.answer(world.content({"/3/0/9": 72}, "/3/0/9", observe=0))
    told = len(world.events)
    late = world.content({"/3/0/9": 70}, "/3/0/9", observe=1)
    assert world.engine.notified(token, late, world.peer(listener="coap-2"), world.now) is None
    assert len(world.events) == told


# --- IP: changed addresses -------------------------------------------------------------------------


def observing(world, peer):
    world.register(peer=peer)
    world.ask("OBSERVE /3/0/9")
    token = world.wire[0].token
    world.answer(world.content({"/3/0/9": 72}, "/3/0/9", observe=0))
    return token


def test_ip_1_without_security_a_notification_from_elsewhere_is_none(world):
    token = observing(world, world.peer())
    late = world.content({"/3/0/9": 70}, "/3/0/9", observe=1)
    moved = world.peer(port=50000)
    assert world.engine.notified(token, late, moved, world.now) is None
    assert world.engine.knows(token)
    # After the Update that tells of the new address the relation goes on.
    world.update("rd/" + world.engine.registration("dev1").id, peer=moved)
    assert world.engine.notified(token, late, moved, world.now) is not None


def test_ip_2_a_proven_identity_notifies_from_any_address(world):
    home = Peer("10.0.0.9", 1, "coaps", "dev1")
    token = observing(world, home)
    late = world.content({"/3/0/9": 70}, "/3/0/9", observe=1)
    world.take(world.engine.notified(token, late, Peer("10.9.9.9", 7, "coaps", "dev1"), world.now))
    assert world.told(Received)[-1].kind == "notification"
    assert world.told(Registered)[-1].liveness.peer == home
    assert not world.told(Updated)


def test_ip_4_without_security_a_send_from_elsewhere_is_refused(world):
    world.register()
    assert send(world, peer=world.peer(port=50000)) == Code.BAD_REQUEST


def test_ip_5_a_proven_identity_sends_from_any_address(world):
    world.register(peer=Peer("10.0.0.9", 1, "coaps", "dev1"))
    assert send(world, peer=Peer("10.9.9.9", 7, "coaps", "dev1")) == Code.CHANGED
    assert world.told(Received)[-1].kind == "send"
    assert send(world, peer=Peer("10.9.9.9", 7, "coaps", "dev2")) == Code.BAD_REQUEST


# --- rows of the feature table -----------------------------------------------------------------------


def test_a_missing_version_can_be_assumed(make_world):
    world = make_world(assumed_version="1.0")
    world.register(query="lt=60")
    assert world.engine.registration("dev1").version == "1.0"
    assert "taken as 1.0" in world.engine.registration("dev1").warnings[0]


def test_the_default_lifetime_is_a_day(world):
    world.register(query="lwm2m=1.1")
    assert world.engine.registration("dev1").lifetime == 86_400


def test_a_register_that_is_not_confirmable_is_refused(world):
    reply = world.say(Code.POST, "rd", "ep=x&lwm2m=1.1", b"</3/0>", confirmable=False)
    assert reply.code == Code.BAD_REQUEST
    assert world.engine.registration("x") is None


@pytest.mark.parametrize("lifetime", ["", "abc", "-1", "1.5", "4294967296", "0"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_bad_lifetime_leaves_no_registration(world, lifetime, version):
    query = f"ep=x&lwm2m={version}&lt={lifetime}"
    assert world.say(Code.POST, "rd", query, b"</3/0>").code == Code.BAD_REQUEST
    assert world.engine.registration("x") is None


def test_lifetime_zero_is_infinite_in_1_2_also_by_update(world):
    location = world.register(query="lwm2m=1.2&lt=0")
    world.pass_time(10 * 365 * 86_400)
    assert world.engine.registration("dev1") is not None
    world.update(location, "lt=60")
    world.pass_time(61)
    assert world.engine.registration("dev1") is None
    location = world.register(query="lwm2m=1.2&lt=60")
    world.update(location, "lt=0")
    world.pass_time(86_400)
    assert world.engine.registration("dev1") is not None


def test_1_2_knows_mqtt_and_http_bindings(world):
    world.register(query="lwm2m=1.2&b=UMH")
    assert world.engine.registration("dev1").binding == "UMH"
    assert world.say(Code.POST, "rd", "ep=x&lwm2m=1.1&b=UMH", b"</3/0>").code == Code.BAD_REQUEST


@pytest.mark.parametrize(
    ("query", "queue_mode"), [("lwm2m=1.1&Q", True), ("lwm2m=1.2&b=U&Q", True), ("lwm2m=1.1", False)]
)
def test_q_without_value_is_queue_mode(world, query, queue_mode):
    world.register(query=query)
    assert world.engine.registration("dev1").queue_mode is queue_mode


@pytest.mark.parametrize("query", ["lwm2m=1.0&Q", "lwm2m=1.1&Q=1", "lwm2m=1.1&b=Q"])
def test_q_is_refused_where_it_is_not_defined(world, query):
    assert world.say(Code.POST, "rd", f"ep=x&{query}", b"</3/0>").code == Code.BAD_REQUEST


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.0", {0: "1.0", 1: "1.0", 2: "1.0", 3: "1.0", 4: "1.0", 5: "1.0", 21: "1.0", 3303: "1.0"}),
        ("1.1", {0: "1.1", 1: "1.1", 2: "1.0", 3: "1.1", 4: "1.2", 5: "1.0", 21: "1.0", 3303: "1.0"}),
        ("1.2", {0: "1.2", 1: "1.2", 2: "1.1", 3: "1.2", 4: "1.3", 5: "1.1", 21: "1.1", 3303: "1.0"}),
    ],
)
def test_default_object_versions_follow_the_enabler(world, version, expected):
    links = ",".join(f"</{number}>" for number in expected).encode()
    world.register(query=f"lwm2m={version}", links=links)
    assert world.engine.registration("dev1").objects == expected


def test_a_version_may_stand_on_an_instance_or_in_quotes(world):
    world.register(query="lwm2m=1.0", links=b'</1/0>;ver=1.1,</10>;ver="1.1",</10/0>')
    registration = world.engine.registration("dev1")
    assert registration.objects == {1: "1.1", 10: "1.1"}
    assert any("ver belongs on /1" in text for text in registration.warnings)


def test_foreign_links_are_kept_as_extra(world):
    world.register(links=b"</1/0>,</text>,</.well-known/core>,</dev1/3303/0>")
    registration = world.engine.registration("dev1")
    assert registration.objects == {1: "1.1"}
    assert [link.target for link in registration.links][1:] == ["/text", "/.well-known/core", "/dev1/3303/0"]


def test_only_what_is_below_the_alternate_root_counts(world):
    world.register(query="lwm2m=1.0", links=b'</root>;rt="oma.lwm2m",</root/1/0>,</3/0>')
    registration = world.engine.registration("dev1")
    assert (registration.root, registration.objects) == ("/root", {1: "1.0"})


def test_a_new_object_list_is_what_counts_from_then_on(world):
    location = world.register(links=b"</3/0>,</3303/0>")
    world.ask("OBSERVE /3303/0/5700")
    world.answer(world.content({"/3303/0/5700": 20.0}, "/3303/0/5700", observe=0))
    world.ask("OBSERVE /3/0/9")
    world.answer(world.content({"/3/0/9": 72}, "/3/0/9", observe=0))
    world.update(location, "", b"</3>;ver=1.2,</3/0>,</5/0>")
    registration = world.engine.registration("dev1")
    assert registration.objects == {3: "1.2", 5: "1.0"}
    assert world.engine.models("dev1").object(3).version == "1.2"
    ended = world.told(ObservationEnded)
    assert [(event.observation.paths, event.reason) for event in ended] == [
        ((Path("/3303/0/5700"),), "suspended")
    ]
    # The object is back: what was observed there is observed again.
    world.update(location, "", b"</3/0>,</3303/0>")
    assert (world.wire[0].request.path, world.wire[0].request.observe) == (("3303", "0", "5700"), 0)


def test_an_update_may_announce_other_formats(world):
    location = world.register(links=b"</>;ct=110,</3/0>")
    world.update(location, "", b'</>;ct="112 11542",</3/0>')
    assert world.engine.registration("dev1").formats == (112, 11542)


def test_what_cannot_be_an_endpoint_name_is_refused(world):
    for name in ("x" * 256, "a%0Ab".replace("%0A", "\n")):
        assert world.say(Code.POST, "rd", f"ep={name}&lwm2m=1.1", b"</3/0>").code == Code.BAD_REQUEST
    for name in ("urn:imei:358999050000000", "urn:uuid:0b1c", "gerät 7"):
        assert world.say(Code.POST, "rd", f"ep={name}&lwm2m=1.1", b"</3/0>").code == Code.CREATED


def test_a_very_long_object_list_is_read_and_not_kept_for_others(world):
    links = ",".join(f"</3303/{number}>" for number in range(300)).encode()
    world.register(links=links)
    assert len(world.engine.registration("dev1").instances) == 300


def test_equal_announcements_share_their_parts(world):
    world.register("dev1")
    world.register("dev2")
    first, second = (world.engine.registration(name) for name in ("dev1", "dev2"))
    assert first.objects is second.objects
    assert first.links is second.links
    assert first.instances is second.instances
    assert world.engine.models("dev1") is world.engine.models("dev2")


def test_sorted_links_of_any_order_announce_the_same():
    one, _ = parse_links("</3/0>,</1/0>")
    other, _ = parse_links("</1/0>,</3/0>")
    assert announced(one, "1.1").instances == announced(other, "1.1").instances
