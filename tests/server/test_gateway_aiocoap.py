"""The gateway and the simulator against stock aiocoap: an implementation of both ends that is not ours."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable

import aiocoap
import aiocoap.resource
import attrs
import pytest

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.engine.step import Perform
from lwm2m_server.coap.gateway import Gateway
from lwm2m_server.coap.timing import Timing
from lwm2m_server.simulator.device import SimulatedDevice

FAST = Timing(ack_timeout=0.2, max_retransmit=3, response_timeout=5.0)
TOKEN = b"observes"
REGISTERED = CoapReply(Code.CREATED, b"", None, ("rd", "a1"))


@attrs.define
class Listener:
    """An uplink that keeps what it hears."""

    requests: list[CoapRequest] = attrs.field(factory=list)
    outcomes: asyncio.Queue[object] = attrs.field(factory=asyncio.Queue)
    notifications: asyncio.Queue[CoapReply] = attrs.field(factory=asyncio.Queue)
    delay: float = 0.0
    reply: CoapReply = REGISTERED

    def receive(self, request: CoapRequest, peer: Peer, answer: Callable[[CoapReply], None]) -> None:
        self.requests.append(request)
        asyncio.get_running_loop().call_later(self.delay, answer, self.reply)

    def is_device(self, peer: Peer) -> bool:
        return False

    def knows(self, token: bytes) -> bool:
        return token == TOKEN

    def observed(self, token: bytes) -> CoapRequest | None:
        return CoapRequest(Code.GET, ("large",), observe=0)

    def notified(
        self, token: bytes, reply: CoapReply, peer: Peer, settled: Callable[[bool | None], None]
    ) -> None:
        self.notifications.put_nowait(reply)
        settled(True)

    def answered(
        self, exchange: int, reply: CoapReply, settled: Callable[[bool | None], None] | None = None
    ) -> None:
        self.outcomes.put_nowait(reply)
        if settled is not None:
            settled(True)

    def acknowledged(self, exchange: int) -> None:
        """Nobody is interested."""

    def failed(self, exchange: int, reason: str) -> None:
        self.outcomes.put_nowait(reason)


@pytest.fixture
async def listener() -> Listener:
    return Listener()


@pytest.fixture
async def gateway(listener: Listener) -> AsyncIterator[Gateway]:
    made = await Gateway.start(listener, "127.0.0.1", 0, timing=FAST)
    yield made
    await made.close()


# --- their client ----------------------------------------------------------------------------------


@pytest.fixture
async def client() -> AsyncIterator[aiocoap.Context]:
    context = await aiocoap.Context.create_client_context(transports=["udp6"])
    yield context
    await context.shutdown()


@pytest.mark.parametrize("delay", [0.0, 0.25])
@pytest.mark.parametrize("size", [40, 5000])
async def test_a_client_registers(
    gateway: Gateway, listener: Listener, client: aiocoap.Context, size: int, delay: float
) -> None:
    """In one message or in blocks; answered at once or separately."""
    listener.delay = delay
    payload = os.urandom(size)
    host, port = gateway.address
    message = aiocoap.Message(
        code=aiocoap.POST, uri=f"coap://{host}:{port}/rd?ep=x&lt=60", payload=payload, content_format=40
    )
    async with asyncio.timeout(5):
        reply = await client.request(message).response
    assert (reply.code, reply.opt.location_path) == (aiocoap.CREATED, ("rd", "a1"))
    assert listener.requests == [CoapRequest(Code.POST, ("rd",), ("ep=x", "lt=60"), payload, 40)]


@pytest.mark.parametrize("delay", [0.0, 0.25])
async def test_a_client_fetches_a_hundred_kilobytes(
    gateway: Gateway, listener: Listener, client: aiocoap.Context, delay: float
) -> None:
    """Block by block, the first of them separately or not; the rest are of the same representation."""
    pack = os.urandom(100_000)
    listener.delay, listener.reply = delay, CoapReply(Code.CONTENT, pack, 112)
    host, port = gateway.address
    message = aiocoap.Message(code=aiocoap.GET, uri=f"coap://{host}:{port}/bspack?ep=x", accept=112)
    async with asyncio.timeout(10):
        reply = await client.request(message).response
    assert (reply.code, reply.payload, reply.opt.content_format) == (aiocoap.CONTENT, pack, 112)
    assert len(listener.requests) == 1


# --- their server as a device ----------------------------------------------------------------------


class Large(aiocoap.resource.ObservableResource):
    """More than fits into one message, readable, writable and observable."""

    def __init__(self) -> None:
        super().__init__()
        self.content = os.urandom(3000)

    async def render_get(self, request: aiocoap.Message) -> aiocoap.Message:
        return aiocoap.Message(payload=self.content, content_format=42)

    async def render_put(self, request: aiocoap.Message) -> aiocoap.Message:
        self.content = request.payload
        self.updated_state()
        return aiocoap.Message(code=aiocoap.CHANGED)


@pytest.fixture
async def large() -> Large:
    return Large()


@pytest.fixture
async def peer(large: Large) -> AsyncIterator[Peer]:
    """Where the device is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        host, port = probe.getsockname()
    site = aiocoap.resource.Site()
    site.add_resource(["large"], large)
    context = await aiocoap.Context.create_server_context(site, bind=(host, port), transports=["udp6"])
    yield Peer(host, port)
    await context.shutdown()


async def outcome(listener: Listener) -> object:
    async with asyncio.timeout(5):
        return await listener.outcomes.get()


async def test_a_large_resource_is_read_and_written(
    gateway: Gateway, listener: Listener, large: Large, peer: Peer
) -> None:
    gateway.perform(Perform("x", 1, peer, CoapRequest(Code.GET, ("large",))))
    assert await outcome(listener) == CoapReply(Code.CONTENT, large.content, 42)
    new = os.urandom(4000)
    gateway.perform(Perform("x", 2, peer, CoapRequest(Code.PUT, ("large",), (), new, 42)))
    assert await outcome(listener) == CoapReply(Code.CHANGED)
    assert large.content == new


async def test_a_large_resource_is_observed(
    gateway: Gateway, listener: Listener, large: Large, peer: Peer
) -> None:
    gateway.perform(Perform("x", 1, peer, CoapRequest(Code.GET, ("large",), observe=0), TOKEN))
    first = await outcome(listener)
    assert isinstance(first, CoapReply)
    assert (first.code, first.payload) == (Code.CONTENT, large.content)
    assert first.observe is not None
    large.content = os.urandom(3500)
    large.updated_state()
    async with asyncio.timeout(5):
        notification = await listener.notifications.get()
    assert notification.payload == large.content
    gateway.perform(Perform("x", 2, peer, CoapRequest(Code.GET, ("large",), observe=1), TOKEN))
    last = await outcome(listener)
    assert isinstance(last, CoapReply)
    assert (last.payload, last.observe) == (large.content, None)


# --- their server, our device ----------------------------------------------------------------------


class Registry(aiocoap.resource.Resource):
    """As much of a server as a Register needs."""

    def __init__(self) -> None:
        super().__init__()
        self.registered: list[tuple[tuple[str, ...], bytes]] = []
        self.remote: object = None

    async def render_post(self, request: aiocoap.Message) -> aiocoap.Message:
        self.registered.append((request.opt.uri_query, request.payload))
        self.remote = request.remote
        return aiocoap.Message(code=aiocoap.CREATED, location_path=("rd", "1"))


async def test_a_simulated_device_registers_with_and_is_read_by_another_server() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
    registry, site = Registry(), aiocoap.resource.Site()
    site.add_resource(["rd"], registry)
    context = await aiocoap.Context.create_server_context(site, bind=address, transports=["udp6"])
    device = SimulatedDevice("dev", address, timing=FAST)
    await device.open()
    await device.register()
    assert device.location == ("rd", "1")
    assert registry.registered[0][1] == b"</1/0>,</3/0>,</6/0>"
    message = aiocoap.Message(code=aiocoap.GET, uri_path=("3", "0", "9"), observe=0)
    message.remote = registry.remote
    request = context.request(message)
    async with asyncio.timeout(5):
        assert (await request.response).payload == b"72"
        observation = aiter(request.observation)
        device.set("/3/0/9", 71)
        assert (await anext(observation)).payload == b"71"
    request.observation.cancel()
    await device.stop()
    await context.shutdown()
