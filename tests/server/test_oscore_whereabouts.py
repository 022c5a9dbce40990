"""Whose share a datagram counts for under load, before anybody knows whether it can be opened."""

import asyncio
import socket
from itertools import count

import pytest
from aiocoap.message import Direction, Message

from lwm2m_engine.coap import CoapReply, Code, Peer
from lwm2m_server.coap import wire
from lwm2m_server.coap.batches import Batches
from lwm2m_server.coap.gateway import Gateway, Timing
from lwm2m_server.coap.oscore import ProtectedDatagrams
from lwm2m_server.coap.oscore_contexts import Context
from lwm2m_server.coap.oscore_whereabouts import Whereabouts
from lwm2m_server.coap.shedding import CROWD
from lwm2m_server.coap.sockets import Source

HERE, THERE, ELSEWHERE = (Peer("10.0.0.9", port) for port in (1, 2, 3))


def test_a_device_is_where_it_was_last():
    whereabouts = Whereabouts()
    assert whereabouts.recognised(HERE) == HERE
    whereabouts.note("one", HERE)
    whereabouts.note("one", THERE)
    whereabouts.note("two", ELSEWHERE)
    named = [whereabouts.recognised(peer).identity for peer in (HERE, THERE, ELSEWHERE)]
    assert named == [None, "one", "two"]


def test_an_address_may_become_another_device_s():
    whereabouts = Whereabouts()
    whereabouts.note("one", HERE)
    whereabouts.note("two", HERE)
    whereabouts.note("one", THERE)
    assert whereabouts.recognised(HERE).identity == "two"
    assert whereabouts.recognised(THERE).identity == "one"


class OneContext:
    """Of ``dev1``, who has used none of it."""

    is_empty = False

    def __init__(self):
        self.context = Context("dev1", (b"S", b"D", None), (b"", b"key"), count().__next__, b"e", unused=True)
        self.device = Context("", (b"D", b"S", None), (b"", b"key"), count().__next__, b"e", unused=True)

    def endpoint_of(self, kid):
        return "dev1" if kid == b"D" else None

    def of_endpoint(self, endpoint):
        return self.context

    def request(self, mid):
        message = Message(code=int(Code.POST), uri_path=["rd", "x"])
        message.direction = Direction.OUTGOING
        outer, _ = self.device.protect(message)
        token = mid.to_bytes(2, "big")
        return wire.assemble(wire.CON, int(outer.code), mid, token, outer.opt.encode(), outer.payload)


@pytest.fixture
def contexts():
    return OneContext()


def source(peer):
    return Source((peer.host, peer.port), peer=peer)


def test_who_only_claims_to_be_a_device_is_not_recognised(contexts):
    got = []
    layer = ProtectedDatagrams(contexts, lambda data, source: got.append(source))
    layer.above(Below())
    first = contexts.request(1)
    layer.received(first, source(HERE))
    assert layer.whereabouts.recognised(HERE).identity == "dev1"
    # Its id with rubbish, and what it has sent before.
    layer.received(contexts.request(2)[:-1] + b"x", source(THERE))
    layer.received(first, source(THERE))
    assert layer.whereabouts.recognised(THERE) == THERE
    assert layer.whereabouts.recognised(HERE).identity == "dev1"
    layer.received(contexts.request(3), source(ELSEWHERE))
    assert layer.whereabouts.recognised(HERE) == HERE
    assert [one.peer.identity for one in got] == ["dev1", "dev1"]


class Below:
    def send(self, data, to):
        """Refusals; nobody reads them."""


class Uplink:
    """Has ``dev1`` registered."""

    def __init__(self):
        self.heard = asyncio.Queue()

    def is_device(self, peer):
        return peer.identity == "dev1"

    def receive(self, request, peer, answer):
        self.heard.put_nowait(peer)
        answer(CoapReply(Code.CHANGED))


@pytest.mark.skipif(not Batches.available(), reason="datagrams are shed where they come in batches")
async def test_a_registered_device_has_its_share_although_its_address_has_sent_too_much(contexts):
    """Behind one NAT: a flood, and a device that protects what it says."""
    uplink = Uplink()
    timing = Timing(fair_share=0.1)
    gateway = await Gateway.start(uplink, "127.0.0.1", 0, contexts=contexts, timing=timing)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        device.sendto(contexts.request(1), gateway.address)
        assert (await asyncio.wait_for(uplink.heard.get(), 5)).identity == "dev1"
        shedder = gateway._udp._below._shedder
        shedder._under_way = lambda: 2 * CROWD
        begun = asyncio.get_running_loop().time() - 1
        for step in range(20):
            shedder.turn(begun + step / 20)
        # All of it is there before the next turn of the event loop, so it is read at once.
        for mid in range(20):
            plain = wire.Message(wire.NON, Code.POST, mid, b"", ((11, b"rd"),))
            stranger.sendto(wire.encode(plain), gateway.address)
        device.sendto(contexts.request(2), gateway.address)
        heard = [await asyncio.wait_for(uplink.heard.get(), 5) for _ in range(2)]
        assert [peer.identity for peer in heard] == [None, "dev1"]
        assert shedder.shed == 19
    await gateway.close()
