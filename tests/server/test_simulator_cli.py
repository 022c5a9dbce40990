"""``lwm2m simulate`` as a process, against a gateway that lets everybody in."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable

import attrs
import pytest

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_server.coap.gateway import Gateway

SIMULATE = (sys.executable, "-m", "lwm2m_server.launcher", "simulate")


@attrs.define
class Door:
    requests: asyncio.Queue[CoapRequest] = attrs.field(factory=asyncio.Queue)

    def receive(self, request: CoapRequest, peer: Peer, answer: Callable[[CoapReply], None]) -> None:
        self.requests.put_nowait(request)
        if request.code == Code.DELETE:
            answer(CoapReply(Code.DELETED))
        else:
            answer(CoapReply(Code.CREATED, location=("rd", str(peer.port))))

    async def next(self) -> CoapRequest:
        async with asyncio.timeout(20):
            return await self.requests.get()

    def is_device(self, peer: Peer) -> bool:
        return False

    def knows(self, token: bytes) -> bool:
        return False

    def observed(self, token: bytes) -> CoapRequest | None:
        return None

    def notified(
        self, token: bytes, reply: CoapReply, peer: Peer, settled: Callable[[bool | None], None]
    ) -> None:
        settled(False)

    def answered(
        self, exchange: int, reply: CoapReply, settled: Callable[[bool | None], None] | None = None
    ) -> None:
        """Nothing is asked here."""

    def acknowledged(self, exchange: int) -> None:
        """Nothing is asked here."""

    def failed(self, exchange: int, reason: str) -> None:
        """Nothing is asked here."""


@pytest.fixture
async def door() -> Door:
    return Door()


@pytest.fixture
async def address(door: Door) -> AsyncIterator[str]:
    gateway = await Gateway.start(door, "127.0.0.1", 0)
    yield "{}:{}".format(*gateway.address)
    await gateway.close()


async def run(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *SIMULATE, *arguments, stderr=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
    )


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
async def test_devices_register_and_say_goodbye(door: Door, address: str, ending: signal.Signals) -> None:
    process = await run(
        "--coap", address, "--devices", "2", "--version", "1.1", "--queue-mode", "--prefix", "tank"
    )
    queries = sorted([(await door.next()).query for _ in range(2)])
    assert queries == [
        ("lwm2m=1.1", "ep=tank001", "lt=300", "b=U", "Q"),
        ("lwm2m=1.1", "ep=tank002", "lt=300", "b=U", "Q"),
    ]
    assert process.stderr is not None
    async with asyncio.timeout(20):
        while b"all registered" not in await process.stderr.readline():
            continue
        process.send_signal(ending)
        assert [(await door.next()).code for _ in range(2)] == [Code.DELETE] * 2
        _, rest = await process.communicate()
    assert process.returncode == 0, rest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--coap", "5683"), "is not HOST:PORT"),
        (("--coap", "no.such.host.invalid:5683"), "no.such.host.invalid"),
        (("--devices", "0"), "0 is not in the range"),
    ],
)
async def test_bad_arguments_are_explained(arguments: tuple[str, ...], message: str) -> None:
    process = await run(*arguments)
    async with asyncio.timeout(20):
        _, errors = await process.communicate()
    assert process.returncode != 0
    assert message in errors.decode()
    assert "Traceback" not in errors.decode()
