"""Who says what: every uplink of B1 and B12 by the right client, by another one, and by one without proof."""

import pytest

from lwm2m_engine.coap import Code, Peer
from lwm2m_engine.engine.events import Deregistered, Received, Registered
from lwm2m_engine.formats import ContentFormat

SENML = b'[{"n":"/3/0/9","v":5}]'
OWNER = Peer("10.0.0.9", 1, "coaps", "dev1")
MOVED = Peer("10.0.0.77", 2, "coaps", "dev1")
OTHER = Peer("10.0.0.9", 1, "coaps", "dev2")
TCP = Peer("10.0.0.9", 1, "coaps+tcp", "dev1")
PLAIN = Peer("10.0.0.9", 1)

REGISTER = [
    # registered by, then Register of, with endpoint name -> code
    (None, OWNER, "dev1", Code.CREATED),
    (None, OWNER, None, Code.CREATED),
    (None, OWNER, "dev2", Code.FORBIDDEN),
    (None, PLAIN, "dev1", Code.CREATED),
    (None, PLAIN, None, Code.FORBIDDEN),
    (OWNER, OWNER, "dev1", Code.CREATED),
    (OWNER, MOVED, None, Code.CREATED),
    (OWNER, TCP, "dev1", Code.CREATED),
    (OWNER, OTHER, "dev1", Code.FORBIDDEN),
    (OWNER, PLAIN, "dev1", Code.FORBIDDEN),
    (PLAIN, OWNER, "dev1", Code.CREATED),
]

OPERATIONS = {
    "update": (Code.POST, "{location}", "lt=99", b"", None),
    "deregister": (Code.DELETE, "{location}", "", b"", None),
    "send": (Code.POST, "dp", "", SENML, ContentFormat.SENML_JSON),
}
DONE = {"update": Code.CHANGED, "deregister": Code.DELETED, "send": Code.CHANGED}
SENDERS = [
    # registered by, then heard from -> accepted
    (OWNER, OWNER, True),
    (OWNER, MOVED, True),
    (OWNER, OTHER, False),
    (OWNER, PLAIN, False),
    (OWNER, TCP, False),
    (PLAIN, PLAIN, True),
    (PLAIN, OWNER, False),
]


def say(world, operation, location, peer):
    method, path, query, payload, number = OPERATIONS[operation]
    path = path.format(location=location)
    return world.say(method, path, query, payload, content_format=number, peer=peer).code


@pytest.mark.parametrize(("before", "peer", "name", "code"), REGISTER)
def test_register(world, before, peer, name, code):
    if before is not None:
        world.register(peer=before)
    query = f"ep={name}&lt=60&lwm2m=1.1" if name else "lt=60&lwm2m=1.1"
    assert world.say(Code.POST, "rd", query, b"</3/0>", peer=peer).code == code
    if code == Code.CREATED:
        event = world.told(Registered)[-1]
        assert (event.endpoint, event.liveness.peer) == ("dev1", peer)
    else:
        assert len(world.told(Registered)) == (before is not None)
        assert world.engine.registration("dev2") is None


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("owner", "peer", "accepted"), SENDERS)
def test_other_uplinks(world, operation, owner, peer, accepted):
    location = world.register(peer=owner)
    expected = DONE[operation] if accepted else Code.BAD_REQUEST
    assert say(world, operation, location, peer) == expected


@pytest.mark.parametrize(("owner", "peer", "accepted"), SENDERS)
def test_notifications(world, owner, peer, accepted):
    world.register(peer=owner)
    world.ask("OBSERVE /3/0/9")
    token = world.wire[0].token
    world.answer(world.content({"/3/0/9": 72}, "/3/0/9", observe=0))
    late = world.content({"/3/0/9": 70}, "/3/0/9", observe=1)
    step = world.engine.notified(token, late, peer, world.now)
    assert (step is not None) is accepted


@pytest.mark.parametrize("operation", ["update", "deregister"])
def test_an_unknown_registration_is_not_found_by_anybody(world, operation):
    for peer in (OWNER, PLAIN):
        assert say(world, operation, "rd/nobody", peer) == Code.NOT_FOUND


def test_a_send_without_a_registration_is_refused(world):
    assert say(world, "send", "", OWNER) == Code.BAD_REQUEST


def test_more_names_of_a_device_are_the_servers_business(make_world):
    world = make_world(identity_is_endpoint=False)
    peer = Peer("10.0.0.9", 1, "coaps", "name-in-the-certificate")
    location = world.register(peer=peer)
    assert world.update(location, peer=peer).code == Code.CHANGED


def test_a_registration_ends_with_its_credentials_and_messages_go_on_waiting(world):
    location = world.register(peer=OWNER)
    world.ask("GET /3", id=7)
    world.ask("GET /1", id=8)
    world.take(world.engine.end("dev1", world.now))
    assert [event.endpoint for event in world.told(Deregistered)] == ["dev1"]
    assert world.engine.presence("dev1").waiting == 2
    assert say(world, "update", location, OWNER) == Code.NOT_FOUND
    assert not world.told(Received)
    assert not world.engine.end("dev1", world.now).events
    world.register(peer=PLAIN)
    assert world.wire
