"""Which devices are looked at, and when; what is asked of them then."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from lwm2m_engine import Catalog
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.engine import Engine
from lwm2m_engine.formats import ContentFormat
from lwm2m_server.bus import Bus
from lwm2m_server.profiles import arranging
from lwm2m_server.profiles.arranging import Arranging
from lwm2m_server.profiles.mapping import EMPTY, ProfileMapping
from lwm2m_server.profiles.places import Place
from lwm2m_server.store.records import Described, DeviceRef, Subject

CATALOG = Catalog.bundled()
LINKS = b"</1/0>,</3/0>,</3303/0>"
BATTERY = ProfileMapping(observe=(Place.parse("/3/0/9"),))
HEAT = ProfileMapping(observe=(Place.parse("/3303/*/5700"),))


@attrs.define
class Assignments:
    """One profile for all devices, or for those of a manufacturer."""

    mapping: ProfileMapping | None = None
    asks_what_they_are: bool = False

    def __bool__(self):
        return self.mapping is not None


class World:
    """An engine with devices, and what there is to know about them."""

    def __init__(self):
        self.now, self.bus = 1_700_000_000.0, Bus()
        self.main = Engine(CATALOG)
        self.subjects_by_node, self.described_as = {}, {}
        self.now_assigned = Assignments()
        self.listeners, self.told, self.wire, self.looked_at = [], [], [], 0
        self.arranging = Arranging(self, self, self, self.bus)

    # As ``Profiles``.

    def subscribe(self, listener):
        self.listeners.append(listener)

    def assignments(self, tenant):
        return self.now_assigned

    def mapping(self, subject):
        self.looked_at += 1
        assigned = self.now_assigned
        fits = not assigned.asks_what_they_are or self.described(subject.node).manufacturer == "ACME"
        return assigned.mapping if assigned.mapping is not None and fits else EMPTY

    # As ``Devices``.

    def known(self, endpoint):
        node = int(endpoint.removeprefix("dev"))
        return DeviceRef(node, "main", endpoint, endpoint) if node in self.subjects_by_node else None

    def engine(self, tenant):
        return self.main

    def arrange(self, device, wanted, notes):
        self.told += notes
        self.take(self.main.arrange(device.endpoint, wanted, self.now))

    # As ``Reader``.

    def subject(self, node):
        return self.subjects_by_node.get(node)

    def subjects(self, tenant, *, after, limit):
        nodes = sorted(node for node in self.subjects_by_node if node > after)
        return [self.subjects_by_node[node] for node in nodes[:limit]]

    def described(self, node):
        return self.described_as.get(node, Described(None, None))

    # What happens.

    def take(self, step):
        self.wire += step.effects
        for event in step.events:
            self.bus.publish("main", event)

    def say(self, node, path, links=b""):
        query = (f"ep=dev{node}", "lwm2m=1.1") if path == ("rd",) else ()
        request = CoapRequest(Code.POST, path, query, links, ContentFormat.LINK_FORMAT if links else None)
        self.take(self.main.receive(request, Peer("10.0.0.1", node), self.now))

    def register(self, *nodes, links=LINKS):
        for node in nodes:
            self.subjects_by_node[node] = Subject(node, "main", f"dev{node}", f"dev{node}", None)
            self.say(node, ("rd",), links)

    def answer(self):
        """Everything, until nothing is asked; what was asked of whom."""
        asked = []
        while self.wire:
            effect = self.wire.pop(0)
            request = effect.request
            asked.append((effect.endpoint, "/".join(request.path)))
            observe = 1 if request.observe == 0 else None
            reply = CoapReply(Code.CONTENT, b"7", ContentFormat.TEXT, observe=observe)
            self.take(self.main.answered(effect.exchange, reply, self.now))
        return asked

    def change(self, mapping, nodes=None, **more):
        self.now_assigned = Assignments(mapping, **more)
        for listener in self.listeners:
            listener("main", None, nodes)


async def turns(count=50):
    """Let the loop go on."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.fixture
async def world(monkeypatch):
    # Nobody has to wait for the next slice.
    monkeypatch.setattr(arranging, "SLICE", 0.0)
    made = World()
    yield made
    made.arranging.close()


async def test_a_device_is_looked_at_once_when_it_registers(world):
    world.change(BATTERY)
    await turns()
    world.register(1)
    await turns()
    assert world.answer() == [("dev1", "3/0/9")]
    await turns()
    # How far it is set up is no reason to look again.
    assert world.looked_at == 1
    location = world.main.registration("dev1").id
    world.say(1, ("rd", location))
    await turns()
    assert (world.looked_at, world.answer()) == (1, [])


async def test_who_has_no_profiles_pays_nothing(world):
    world.register(1, 2)
    await turns()
    assert (world.looked_at, world.wire) == (0, [])


async def test_all_devices_of_a_tenant_take_many_turns(world):
    world.register(*range(1, 131))
    world.change(BATTERY)
    await turns(1)
    assert world.looked_at < 130, "others are let in between"
    await turns()
    assert sorted(world.answer()) == sorted((f"dev{node}", "3/0/9") for node in range(1, 131))
    world.change(HEAT, nodes=(7, 500))
    await turns()
    assert world.answer() == [("dev7", "3/0/9"), ("dev7", "3303/0/5700")]
    world.change(None)
    await turns()
    assert len(world.answer()) == 130


async def test_what_is_announced_later_is_set_up_then(world):
    world.change(HEAT)
    world.register(1, links=b"</1/0>,</3/0>")
    await turns()
    assert world.answer() == []
    assert world.told == ["the device profile names what is not announced: /3303/*/5700"]
    world.say(1, ("rd", world.main.registration("dev1").id), LINKS)
    await turns()
    assert world.answer() == [("dev1", "3303/0/5700")]


async def test_a_device_is_asked_what_it_is_if_that_matters_and_nobody_else_asks(world):
    world.change(BATTERY, asks_what_they_are=True)
    world.register(1, 2)
    world.described_as[2] = Described("OTHER", "M7")
    await turns()
    assert world.answer() == [("dev1", "3/0")]
    world.described_as[1] = Described("ACME", "M7")
    await turns()
    assert world.answer() == [("dev1", "3/0/9")]
    assert world.main.registration("dev2").arranged.digest == ""


async def test_nothing_is_done_after_the_end(world):
    world.register(1)
    world.arranging.close()
    world.change(BATTERY)
    await turns()
    assert world.looked_at == 0
