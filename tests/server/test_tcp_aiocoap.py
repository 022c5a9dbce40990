"""CoAP over TCP against stock aiocoap as the device: an implementation that is not ours."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable

import aiocoap
import aiocoap.resource
import attrs
import pytest

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.engine.step import Perform
from lwm2m_server.coap.tcp import TcpGateway
from lwm2m_server.coap.timing import Timing

TOKEN = b"observes"


@attrs.define
class Listener:
    """An uplink that keeps what it hears."""

    requests: list[CoapRequest] = attrs.field(factory=list)
    peers: list[Peer] = attrs.field(factory=list)
    outcomes: asyncio.Queue[object] = attrs.field(factory=asyncio.Queue)
    notifications: asyncio.Queue[CoapReply] = attrs.field(factory=asyncio.Queue)

    def receive(self, request: CoapRequest, peer: Peer, answer: Callable[[CoapReply], None]) -> None:
        self.requests.append(request)
        self.peers.append(peer)
        answer(CoapReply(Code.CREATED, b"", None, ("rd", "a1")))

    def knows(self, token: bytes) -> bool:
        return token == TOKEN

    def observed(self, token: bytes) -> CoapRequest | None:
        return CoapRequest(Code.GET, ("large",), observe=0)

    def notified(
        self, token: bytes, reply: CoapReply, peer: Peer, settled: Callable[[bool | None], None]
    ) -> None:
        self.notifications.put_nowait(reply)
        settled(True)

    def answered(self, exchange: int, reply: CoapReply) -> None:
        self.outcomes.put_nowait(reply)

    def failed(self, exchange: int, reason: str) -> None:
        self.outcomes.put_nowait(reason)

    def disconnected(self, peer: Peer) -> None:
        """Nobody is interested."""

    async def outcome(self) -> object:
        async with asyncio.timeout(5):
            return await self.outcomes.get()


class Large(aiocoap.resource.ObservableResource):
    """More than fits into one block, readable, writable and observable."""

    def __init__(self) -> None:
        super().__init__()
        self.content = os.urandom(5000)

    async def render_get(self, request: aiocoap.Message) -> aiocoap.Message:
        return aiocoap.Message(payload=self.content, content_format=42)

    async def render_put(self, request: aiocoap.Message) -> aiocoap.Message:
        self.content = request.payload
        self.updated_state()
        return aiocoap.Message(code=aiocoap.CHANGED)


@pytest.fixture
async def listener() -> Listener:
    return Listener()


@pytest.fixture
async def gateway(listener: Listener) -> AsyncIterator[TcpGateway]:
    made = await TcpGateway.start(listener, "127.0.0.1", 0, timing=Timing(response_timeout=5.0))
    yield made
    await made.close()


@pytest.fixture
async def large() -> Large:
    return Large()


@pytest.fixture
async def device(large: Large) -> AsyncIterator[aiocoap.Context]:
    """Connects as a client, and answers as a server over its connections."""
    site = aiocoap.resource.Site()
    site.add_resource(["large"], large)
    context = await aiocoap.Context.create_server_context(site, transports=["tcpclient"])
    yield context
    await context.shutdown()


@pytest.fixture
async def peer(gateway: TcpGateway, listener: Listener, device: aiocoap.Context) -> Peer:
    """Where the device has registered from."""
    host, port = gateway.address
    message = aiocoap.Message(
        code=aiocoap.POST,
        uri=f"coap+tcp://{host}:{port}/rd?ep=x&lt=60&b=T",
        payload=b"</3/0>",
        content_format=40,
    )
    async with asyncio.timeout(5):
        reply = await device.request(message).response
    assert (reply.code, reply.opt.location_path) == (aiocoap.CREATED, ("rd", "a1"))
    return listener.peers[0]


async def test_it_registers_in_one_message_and_in_blocks(
    gateway: TcpGateway, listener: Listener, device: aiocoap.Context, peer: Peer
) -> None:
    host, port = gateway.address
    payload = os.urandom(3000)
    for _ in range(2):
        # Before it has heard a CSM aiocoap cuts what is longer than a datagram; then it does not.
        message = aiocoap.Message(code=aiocoap.POST, uri=f"coap+tcp://{host}:{port}/dp", payload=payload)
        async with asyncio.timeout(5):
            await device.request(message).response
    assert listener.requests == [
        CoapRequest(Code.POST, ("rd",), ("ep=x", "lt=60", "b=T"), b"</3/0>", 40),
        CoapRequest(Code.POST, ("dp",), (), payload),
        CoapRequest(Code.POST, ("dp",), (), payload),
    ]


async def test_it_is_read_and_written_over_its_connection(
    gateway: TcpGateway, listener: Listener, large: Large, peer: Peer
) -> None:
    gateway.perform(Perform("x", 1, peer, CoapRequest(Code.GET, ("large",))))
    assert await listener.outcome() == CoapReply(Code.CONTENT, large.content, 42)
    new = os.urandom(300_000)
    gateway.perform(Perform("x", 2, peer, CoapRequest(Code.PUT, ("large",), (), new, 42)))
    assert await listener.outcome() == CoapReply(Code.CHANGED)
    assert large.content == new


async def test_it_is_observed_until_it_is_not(
    gateway: TcpGateway, listener: Listener, large: Large, peer: Peer
) -> None:
    gateway.perform(Perform("x", 1, peer, CoapRequest(Code.GET, ("large",), observe=0), TOKEN))
    first = await listener.outcome()
    assert isinstance(first, CoapReply)
    assert (first.code, first.payload) == (Code.CONTENT, large.content)
    large.content = os.urandom(3500)
    large.updated_state()
    async with asyncio.timeout(5):
        notification = await listener.notifications.get()
    assert notification.payload == large.content
    gateway.perform(Perform("x", 2, peer, CoapRequest(Code.GET, ("large",), observe=1), TOKEN))
    last = await listener.outcome()
    assert isinstance(last, CoapReply)
    assert (last.payload, last.observe) == (large.content, None)


async def test_it_is_unreachable_when_it_has_gone(
    gateway: TcpGateway, listener: Listener, device: aiocoap.Context, peer: Peer
) -> None:
    connection = gateway._connections.find(peer)
    await device.shutdown()
    async with asyncio.timeout(5):
        while connection is not None and not connection.is_over:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
    gateway.perform(Perform("x", 1, peer, CoapRequest(Code.GET, ("large",))))
    assert await listener.outcome() == "unreachable"
