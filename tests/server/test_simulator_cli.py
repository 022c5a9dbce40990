"""``lwm2m simulate`` as a process, against a gateway that lets everybody in."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import attrs
import click
import pytest
from click.testing import CliRunner

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_server.cli.image import image
from lwm2m_server.cli.main import lwm2m
from lwm2m_server.cli.updating import updating_options
from lwm2m_server.coap.gateway import Gateway
from lwm2m_server.simulator.images import Reception
from lwm2m_server.simulator.updating import UpdateFaults

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
        (("--update-fault", "fire"), "'fire' is none of result, power-loss"),
        (("--update-fault", "result"), "the Update Result they end with"),
        (("--update-fault", "lost@x"), "10 for every tenth device"),
    ],
)
def test_bad_arguments_are_explained(arguments: tuple[str, ...], message: str) -> None:
    done = CliRunner().invoke(lwm2m, ["simulate", *arguments])
    assert done.exit_code != 0
    assert isinstance(done.exception, SystemExit), done.exception
    assert message in done.stderr


def test_faults_are_for_every_so_many_th_device() -> None:
    options: dict[str, object] = {}
    command = click.command()(updating_options(lambda **given: options.update(given)))
    flags = ["--update-fault", "result=8@2", "--update-fault", "lying", "--update-fault", "power-loss=99@3"]
    assert CliRunner().invoke(command, [*flags, "--delivery", "pull"]).exit_code == 0
    afflicted = []
    for number in range(1, 4):
        faults = UpdateFaults()
        for part in options["update_fault"]:  # type: ignore[attr-defined]
            part.afflict(faults, number)
        afflicted.append((faults.result, faults.lying, faults.power_loss_at, faults.lost))
    assert afflicted == [(None, True, None, False), (8, True, None, False), (None, True, 99, False)]


def test_an_image_for_them_is_written(tmp_path: Path) -> None:
    file = tmp_path / "tank.bin"
    done = CliRunner().invoke(image, [str(file), "--version", "1.2.3", "--size", "100"])
    assert done.exit_code == 0, done.output
    reception = Reception()
    reception.feed(file.read_bytes())
    assert (reception.finish().version, reception.finish().size) == ("1.2.3", 100)
