"""pion/dtls as a client: an implementation of Connection IDs (RFC 9146) that owes nothing to this one."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from lwm2m_server.cli.main import lwm2m
from lwm2m_server.coap import wire

pytestmark = pytest.mark.native_stack("below DTLS there is no other")

SOURCE = Path(__file__).parent / "dtls_cid_pion"
KEY = bytes(range(16)).hex()
REGISTER = (
    (11, b"rd"),
    (12, b"\x28"),
    (15, b"ep=roamer"),
    (15, b"lt=300"),
    (15, b"lwm2m=1.1"),
    (15, b"b=U"),
)
LINKS = b'</>;rt="oma.lwm2m",</1/0>,</3/0>'


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Built from its pinned sources."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed")
    built = tmp_path_factory.mktemp("pion") / "dtls_cid_pion"
    command = [go, "build", "-mod=readonly", "-o", built, "."]
    try:
        done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        pytest.skip("pion/dtls cannot be fetched here: it takes too long")
    if done.returncode:
        pytest.skip(f"pion/dtls cannot be built here: {done.stderr.strip()[-200:]}")
    return built


class Roamer:
    """The program, talked to in messages of CoAP."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._mid = 0

    async def ask(self, *, code: int, options=(), payload: bytes = b"") -> wire.Message:
        self._mid += 1
        message = wire.Message(wire.CON, code, self._mid, b"tk", tuple(options), payload)
        await self.say(f"send {wire.encode(message).hex()}")
        while True:
            answer = wire.decode(await self.hear())
            if answer.is_response and answer.mid == self._mid:
                return answer

    async def say(self, line: str) -> None:
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()

    async def hear(self) -> bytes:
        word, _, rest = (await self.line()).partition(" ")
        assert word == "received", (word, rest)
        return bytes.fromhex(rest)

    async def line(self) -> str:
        line = await asyncio.wait_for(self._process.stdout.readline(), 10)
        return line.decode().strip()


@pytest.fixture
async def roam(program):
    processes = []

    async def start(server, suite: str, cid_length: int) -> Roamer:
        address = server.addresses["coaps"]
        process = await asyncio.create_subprocess_exec(
            program, address, "roamer", KEY, suite, str(cid_length), stdin=-1, stdout=-1, stderr=-1
        )
        processes.append(process)
        roamer = Roamer(process)
        line = await roamer.line()
        assert line == "connected", (line, server.errors())
        return roamer

    yield start
    for process in processes:
        process.stdin.close()
        await process.communicate()


@pytest.fixture
def server(serve):
    dtls = {"COMPACT": "1", "CONNECTION_ID": "8", "SURVIVE_RESTART": "1"}
    port = free_port()
    server = serve("--coaps", f"127.0.0.1:{port}", **{f"LWM2M_DTLS_{name}": dtls[name] for name in dtls})
    words = ["--mode", "psk", "--identity", "roamer", "--hex", "--key-file", "-", "--url", server.http]
    done = CliRunner().invoke(lwm2m, ["devices", "add", "roamer", "--url", server.http])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(lwm2m, ["credentials", "add", "roamer", *words], input=KEY)
    assert done.exit_code == 0, done.output
    return server


def free_port() -> int:
    """The same one after a restart."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


async def register(roamer: Roamer) -> tuple[tuple[int, bytes], ...]:
    answer = await roamer.ask(code=2, options=REGISTER, payload=LINKS)
    assert answer.code == 0x41, "2.01 Created"
    return tuple((11, value) for number, value in answer.options if number == 8)


@pytest.mark.parametrize(("suite", "cid_length"), [("PSK-AES128-CCM8", 6), ("PSK-AES128-GCM-SHA256", 0)])
async def test_a_device_stays_registered_from_another_port(server, roam, suite, cid_length):
    roamer = await roam(server, suite, cid_length)
    location = await register(roamer)
    for _ in range(3):
        await roamer.say("move")
        answer = await roamer.ask(code=2, options=location)
        assert answer.code == 0x44, "2.04 Changed"
    assert (await roamer.ask(code=4, options=location)).code == 0x42, "2.02 Deleted"
    assert "handshake failed" not in server.errors()


async def test_a_session_survives_a_restart(server, roam):
    roamer = await roam(server, "PSK-AES128-CCM8", 6)
    location = await register(roamer)
    assert server.stop() == 0
    server.restart()
    await roamer.say("move")
    answer = await roamer.ask(code=2, options=location)
    assert answer.code == 0x44, "2.04 Changed"
