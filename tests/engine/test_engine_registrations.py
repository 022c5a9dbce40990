"""Register, Update, De-register and expiry (LwM2M Core 1.2, 6.2)."""

from __future__ import annotations

import pytest

from lwm2m_engine.coap import Code, Peer
from lwm2m_engine.engine import Hooks, Verdict
from lwm2m_engine.engine.events import Deregistered, Expired, Registered, Updated, Warned
from lwm2m_engine.paths import Path


def test_a_registration_lives_from_register_to_deregister(world):
    location = world.register(query="lt=300&lwm2m=1.1&b=U&imei=12")
    registered = world.told(Registered)[0]
    assert registered.registration.lifetime == 300
    assert registered.registration.attributes == {"imei": "12"}
    assert registered.registration.instances == tuple(map(Path, ("/1/0", "/3/0", "/6/0", "/3303/0")))
    assert registered.liveness.expires_at == world.now + 300
    world.now += 10
    assert world.update(location).code == Code.CHANGED
    assert world.told(Updated)[0].liveness.expires_at == world.now + 300
    assert not world.told(Updated)[0].changed
    assert world.say(Code.DELETE, location).code == Code.DELETED
    assert world.told(Deregistered)[0].registration.id == registered.registration.id
    assert world.say(Code.DELETE, location).code == Code.NOT_FOUND
    assert world.update(location).code == Code.NOT_FOUND


def test_registering_again_replaces_the_registration(world):
    first = world.register()
    second = world.register()
    assert first != second
    assert world.told(Registered)[1].replaced == first.removeprefix("rd/")
    assert world.update(first).code == Code.NOT_FOUND
    assert world.update(second).code == Code.CHANGED


def test_a_registration_expires_unless_it_is_updated(world):
    location = world.register(query="lt=60&lwm2m=1.0")
    world.pass_time(59)
    world.update(location)
    world.pass_time(59)
    assert not world.told(Expired)
    world.pass_time(1.5)
    assert len(world.told(Expired)) == 1
    assert world.update(location).code == Code.NOT_FOUND


def test_grace_is_added_to_the_lifetime(make_world):
    world = make_world(grace=10.0)
    world.register(query="lt=60&lwm2m=1.0")
    world.pass_time(69)
    assert not world.told(Expired)
    world.pass_time(2)
    assert len(world.told(Expired)) == 1


def test_lifetime_zero_is_infinite_in_1_2(world):
    world.register(query="lt=0&lwm2m=1.2")
    assert world.engine.next_deadline() is None


def test_versions_of_objects_follow_the_enabler_version(world):
    world.register(query="lt=60&lwm2m=1.1", links=b"</1/0>,</2>,</3>;ver=1.2,</3/0>,</4>,</5>")
    objects = world.told(Registered)[0].registration.objects
    assert objects == {1: "1.1", 2: "1.0", 3: "1.2", 4: "1.2", 5: "1.0"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("ep=x&lt=60", Code.BAD_REQUEST),
        ("ep=x&lt=60&lwm2m=2.0", Code.PRECONDITION_FAILED),
        ("ep=x&lt=&lwm2m=1.0", Code.BAD_REQUEST),
        ("ep=x&lt=abc&lwm2m=1.0", Code.BAD_REQUEST),
        ("ep=x&lt=60&lwm2m=1.0&b=UT", Code.BAD_REQUEST),
        ("ep=x&lt=60&lwm2m=1.1&b=UQ", Code.BAD_REQUEST),
        ("lt=60&lwm2m=1.0", Code.FORBIDDEN),
    ],
)
def test_a_bad_register_leaves_nothing_behind(world, query, code):
    assert world.say(Code.POST, "rd", query, b"</3/0>").code == code
    assert not world.told(Registered)
    assert world.engine.registration("x") is None


@pytest.mark.parametrize("payload", [b"", b"<text>,", b"</.well-known/core>"])
def test_a_bad_object_list_is_refused(world, payload):
    assert world.say(Code.POST, "rd", "ep=x&lt=60&lwm2m=1.0", payload).code == Code.BAD_REQUEST
    assert world.engine.registration("x") is None


def test_only_the_proven_identity_may_touch_a_registration(world):
    owner = Peer("10.0.0.9", 1, "coaps", "dev1")
    location = world.register(peer=owner)
    for other in (Peer("10.0.0.9", 1, "coaps", "dev2"), Peer("10.0.0.9", 1, "coap")):
        assert world.update(location, peer=other).code == Code.BAD_REQUEST
        assert world.say(Code.DELETE, location, peer=other).code == Code.BAD_REQUEST
    assert world.update(location, peer=Peer("10.0.0.77", 2, "coaps", "dev1")).code == Code.CHANGED


def test_the_endpoint_name_may_come_from_the_identity(world):
    peer = Peer("10.0.0.9", 1, "coaps", "urn:dev:7")
    assert world.say(Code.POST, "rd", "lt=60&lwm2m=1.1", b"</3/0>", peer=peer).code == Code.CREATED
    assert world.told(Registered)[0].endpoint == "urn:dev:7"


def test_an_update_may_change_address_lifetime_and_objects(world):
    location = world.register()
    moved = world.peer(port=50123)
    world.update(location, "lt=900", b"</3/0>,</5/0>", peer=moved)
    updated = world.told(Updated)[0]
    assert updated.changed
    assert updated.liveness.peer == moved
    assert updated.registration.lifetime == 900
    assert sorted(updated.registration.objects) == [3, 5]
    world.ask("GET /5")
    assert world.wire[0].peer == moved


def test_unknown_endpoints_can_be_refused(make_world):
    world = make_world(admit_unknown=False)
    assert world.say(Code.POST, "rd", "ep=x&lt=60&lwm2m=1.0", b"</3/0>").code == Code.FORBIDDEN
    world.engine.add("x")
    assert world.say(Code.POST, "rd", "ep=x&lt=60&lwm2m=1.0", b"</3/0>").code == Code.CREATED


def test_a_hook_may_refuse(make_world):
    class Doorman(Hooks):
        def admit(self, register, peer, known):
            return Verdict(register.attributes.get("word") == "friend", Code.UNAUTHORIZED, "no")

    world = make_world(hooks=Doorman())
    query = "ep=x&lt=60&lwm2m=1.0"
    assert world.say(Code.POST, "rd", query, b"</3/0>").code == Code.UNAUTHORIZED
    assert world.say(Code.POST, "rd", query + "&word=friend", b"</3/0>").code == Code.CREATED


def test_tolerated_oddities_are_told(world):
    world.register(query="lt=60&lwm2m=1.0", links=b'</>;ct=110;ct=112,</3>;ver="1.0",</3/0>;ver=1.0')
    assert world.told(Registered)[0].registration.warnings
    assert len(world.told(Warned)) == len(world.told(Registered)[0].registration.warnings)


@pytest.mark.parametrize(
    ("code", "path", "answer"),
    [
        (Code.GET, "rd", Code.METHOD_NOT_ALLOWED),
        (Code.PUT, "rd/1", Code.METHOD_NOT_ALLOWED),
        (Code.GET, "dp", Code.METHOD_NOT_ALLOWED),
        (Code.POST, "nowhere", Code.NOT_FOUND),
        (Code.GET, "", Code.NOT_FOUND),
    ],
)
def test_other_requests_get_the_right_code(world, code, path, answer):
    assert world.say(code, path).code == answer


def test_versions_that_are_not_announced_may_be_somebody_elses_to_say(world):
    world = type(world)(world.catalog, unannounced=lambda endpoint: "2.0" if endpoint == "dev1" else None)
    links = b"</3/0>,</5>;ver=1.1,</5/0>,</33000/0>"
    location = world.register(links=links)
    world.register("dev2", links=links)
    assert world.engine.registration("dev1").objects == {3: "2.0", 5: "1.1", 33000: "2.0"}
    assert world.engine.registration("dev2").objects == {3: "1.1", 5: "1.1", 33000: "1.0"}
    world.update(location, payload=b"</3/0>,</33001/0>")
    assert world.engine.registration("dev1").objects == {3: "2.0", 33001: "2.0"}
