"""Devices on connections (CoAP over TCP): what ends with the connection, and what comes back."""

from __future__ import annotations

from lwm2m_engine.coap import CoapReply, Code
from lwm2m_engine.engine.events import Asleep, ObservationEnded, Observed


def over(world, port=40000, listener="coap+tcp"):
    return world.peer("dev1", port=port, listener=listener)


def observe(world):
    world.ask("OBSERVE /3/0/9")
    token = world.wire[0].token
    world.answer(CoapReply(Code.CONTENT, b"80", 0, observe=1))
    return token


def test_what_a_device_observes_ends_with_its_connection_and_begins_anew_at_its_update(world):
    location = world.register(query="lt=300&lwm2m=1.1&b=T", peer=over(world))
    token = observe(world)
    world.take(world.engine.disconnected(over(world), world.now))
    assert not world.engine.knows(token)
    assert [event.reason for event in world.told(ObservationEnded)] == ["suspended"]
    assert not world.wire, "it cannot be asked before it is back"
    # From the same port: nothing but the end of the connection tells that it was another one.
    world.update(location, peer=over(world))
    (again,) = world.wire
    assert (again.request.path, again.request.observe, again.peer) == (("3", "0", "9"), 0, over(world))
    world.answer(CoapReply(Code.CONTENT, b"79", 0, observe=1))
    assert len(world.told(Observed)) == 2
    assert world.engine.knows(again.token)


def test_an_update_over_a_new_connection_says_that_the_former_has_ended(world):
    """Which nobody noticed, because the server was down for instance."""
    location = world.register(query="lt=300&lwm2m=1.1&b=T", peer=over(world))
    token = observe(world)
    world.update(location, peer=over(world, 40001))
    (again,) = world.wire
    assert (again.request.observe, again.peer) == (0, over(world, 40001))
    assert not world.engine.knows(token)


def test_over_udp_a_new_address_ends_nothing(world):
    location = world.register(peer=over(world, listener="coap"))
    token = observe(world)
    world.update(location, peer=over(world, 40001, listener="coap"))
    assert not world.wire
    assert world.engine.knows(token)


def test_a_sleeper_sleeps_when_its_connection_ends(world):
    location = world.register(query="lt=300&lwm2m=1.1&b=T&Q", peer=over(world))
    world.take(world.engine.disconnected(over(world), world.now))
    assert len(world.told(Asleep)) == 1
    world.ask("GET /3/0/9")
    assert not world.wire
    world.update(location, peer=over(world, 40001))
    assert world.wire[0].peer == over(world, 40001)


def test_the_end_of_a_former_connection_ends_nothing(world):
    location = world.register(query="lt=300&lwm2m=1.1&b=T", peer=over(world))
    world.update(location, peer=over(world, 40001))
    token = observe(world)
    assert not world.engine.disconnected(over(world), world.now).events
    assert not world.engine.disconnected(over(world, 50000), world.now).events
    assert world.engine.knows(token)
