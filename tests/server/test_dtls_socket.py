"""``SecureSocket`` under a gateway: addresses of both families, and what the network reports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.engine import Perform
from lwm2m_server.coap.dtls.identities import Secret
from lwm2m_server.coap.dtls.openssl import OpensslEngine
from lwm2m_server.coap.dtls.secure import Security
from lwm2m_server.coap.gateway import Gateway
from lwm2m_server.simulator.dtls import DtlsClient, DtlsContext, PreSharedKey, SecureTransport, connect
from lwm2m_server.simulator.scripted import ScriptedDevice

KEY = b"k" * 16


class Keys:
    def psk(self, identity: bytes) -> Secret | None:
        return Secret("dev1", KEY) if identity == b"dev1" else None


class Uplink:
    """Answers everything, and writes down who it was."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.outcomes: asyncio.Queue[tuple[int, str]] = asyncio.Queue()

    def receive(self, request: CoapRequest, peer: Peer, answer: Callable[[CoapReply], None]) -> None:
        self.peers.append(peer)
        answer(CoapReply(Code.CHANGED))

    def is_device(self, peer: Peer) -> bool:
        return False

    def knows(self, token: bytes) -> bool:
        return False

    def answered(self, exchange: int, reply: CoapReply, settled: Any = None) -> None:
        self.outcomes.put_nowait((exchange, "answered"))

    def acknowledged(self, exchange: int) -> None:
        pass

    def failed(self, exchange: int, reason: str) -> None:
        self.outcomes.put_nowait((exchange, reason))


@pytest.fixture
def uplink() -> Uplink:
    return Uplink()


@pytest.fixture(params=["127.0.0.1", "::1", "::"])
async def gateway(request: pytest.FixtureRequest, uplink: Uplink) -> AsyncIterator[Gateway]:
    engine = OpensslEngine(Keys(), suites=["TLS_PSK_WITH_AES_128_CCM_8"], mtu=1232)
    try:
        opened = await Gateway.start(uplink, request.param, 0, listener="coaps", security=Security(engine))
    except OSError:
        pytest.skip("there is no IPv6")
    yield opened
    await opened.close()


async def open_device(gateway: Gateway) -> tuple[ScriptedDevice, SecureTransport]:
    host, port = gateway.address
    host = "127.0.0.1" if host == "::" else host
    device = ScriptedDevice()
    client = DtlsClient(DtlsContext(PreSharedKey(b"dev1", KEY)))
    return device, await connect(lambda: device, (host, port), client)


async def test_requests_go_both_ways(gateway: Gateway, uplink: Uplink) -> None:
    device, _ = await open_device(gateway)
    assert (await device.send(Code.POST, "/rd/1")).code == Code.CHANGED
    (peer,) = uplink.peers
    assert (peer.listener, peer.identity, peer.port) == ("coaps", "dev1", device.address[1])
    gateway.perform(Perform("dev1", 7, peer, CoapRequest(Code.GET, ("3", "0"))))
    device.reply(await device.expect(Code.GET, "/3/0"), Code.CONTENT, 0, b"x")
    assert await uplink.outcomes.get() == (7, "answered")
    device.close()


async def test_what_waits_for_an_answer_fails_with_the_session(gateway: Gateway, uplink: Uplink) -> None:
    device, transport = await open_device(gateway)
    await device.send(Code.POST, "/rd/1")
    gateway.perform(Perform("dev1", 7, uplink.peers[0], CoapRequest(Code.GET, ("3", "0"))))
    await device.expect(Code.GET, "/3/0")
    transport.close()
    assert await uplink.outcomes.get() == (7, "unreachable")
    gateway.perform(Perform("dev1", 8, uplink.peers[0], CoapRequest(Code.GET, ("3", "0"))))
    assert await uplink.outcomes.get() == (8, "unreachable")
