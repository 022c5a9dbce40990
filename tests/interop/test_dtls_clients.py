"""Other people's DTLS against the whole server: OpenSSL's and GnuTLS' command-line tools, and libcoap's.

The first two carry whatever they are told: a device of ours speaks CoAP through them. libcoap's clients speak
CoAP on their own.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from lwm2m_engine.coap import Code
from lwm2m_server.coap.options import LOCATION_PATH
from lwm2m_server.coap.wire import Message
from lwm2m_server.simulator.scripted import ScriptedDevice

pytestmark = [pytest.mark.slow, pytest.mark.native_stack("below DTLS there is no other")]

KEY = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
NAME = "dtls1"
PATIENCE = 15.0
"""Seconds: a process is to be started first, and shakes hands."""
PRIORITY = "NORMAL:-VERS-ALL:+VERS-DTLS1.2:-KX-ALL"


def _tool(name: str) -> Any:
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed")


OPENSSL, GNUTLS = _tool("openssl"), _tool("gnutls-cli")


@pytest.fixture
def server(serve: Any, authority: Any, request: pytest.FixtureRequest) -> Any:
    """A test may have further settings as the fixture's parameter."""
    certificate, key = authority.issue("localhost")
    # Nothing is repeated: what comes twice could not be told from what is asked next.
    return serve(
        "--coaps",
        "127.0.0.1:0",
        fast=False,
        LWM2M_DTLS_CERTIFICATE=str(certificate),
        LWM2M_DTLS_CERTIFICATE_KEY_FILE=str(key),
        LWM2M_DTLS_TRUST=str(authority.trust),
        **getattr(request, "param", {}),
    )


@pytest.fixture
def add(server: Any) -> Callable[..., None]:
    """Let a device in, by the command line."""

    def command(*arguments: str, text: str = "") -> None:
        call = [sys.executable, "-m", "lwm2m_server.launcher", *arguments, "--url", server.http]
        subprocess.run(call, input=text, text=True, check=True, capture_output=True)

    def one(*credentials: str, text: str = "") -> None:
        command("devices", "add", NAME)
        command("credentials", "add", NAME, *credentials, text=text)

    return one


@pytest.fixture
def psk(add: Callable[..., None]) -> None:
    add("--mode", "psk", "--identity", NAME, "--hex", "--key-file", "-", text=KEY.hex())


@pytest.fixture
def x509(add: Callable[..., None]) -> None:
    add("--mode", "x509")


class Tunnelled(ScriptedDevice):
    """Its datagrams are what a process reads and writes. ``said`` is where it writes to."""

    def __init__(self, process: asyncio.subprocess.Process, said: int) -> None:
        super().__init__()
        self._process, self._said = process, said
        self._status = Path(f"/proc/{process.pid}/stat")
        asyncio.get_running_loop().add_reader(said, self._readable)

    def _readable(self) -> None:
        """gnutls-cli writes every byte on its own: a message is whole when it waits for the next one."""
        while self._is_busy():
            time.sleep(0.0005)
        data = os.read(self._said, 65536)
        if data:
            self.datagram_received(data, None)
        else:
            self.close()

    def _is_busy(self) -> bool:
        """Whether the process runs, would if it could, or waits for the pipe."""
        return self._status.read_text().rpartition(")")[2].split()[0] in "RD"

    async def receive(self, seconds: float = PATIENCE) -> Message:
        return await super().receive(seconds)

    def raw(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._said)


@pytest.fixture
async def tunnel() -> AsyncIterator[Callable[..., Any]]:
    """Start a tool, and have a device speak through it."""
    opened: list[tuple[asyncio.subprocess.Process, Tunnelled, int]] = []

    async def start(*command: str) -> Tunnelled:
        said, says = os.pipe()
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=says, stderr=asyncio.subprocess.DEVNULL
        )
        os.close(says)
        opened.append((process, Tunnelled(process, said), said))
        return opened[-1][1]

    yield start
    for process, device, said in opened:
        device.close()
        os.close(said)
        if process.returncode is None:
            process.kill()
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


def s_client(server: Any, *more: str) -> list[str]:
    where = server.addresses["coaps"]
    return ["openssl", "s_client", "-dtls1_2", "-connect", where, "-quiet", "-nocommands", *more]


def gnutls_cli(server: Any, log: Path, priority: str, *more: str) -> list[str]:
    host, _, port = server.addresses["coaps"].rpartition(":")
    quietly = ["--logfile", str(log), "--priority", f"{PRIORITY}:{priority}"]
    return ["gnutls-cli", "--udp", host, "--port", port, *quietly, *more]


async def whole_life(device: ScriptedDevice, api: Any, eventually: Any) -> None:
    """Register, Read, Observe, notify, Cancel, Update, De-register."""
    # The endpoint name is left out: the credentials say it. Without object 3 the server does not ask at
    # once: two messages in one read of the pipe could not be told apart.
    answer = await device.send(Code.POST, "/rd", "lt=300&lwm2m=1.1", 40, b"</1/0>,</3303/0>")
    assert answer.code == Code.CREATED
    location = "/" + "/".join(value.decode() for option, value in answer.options if option == LOCATION_PATH)

    wish = await api.wish(NAME, "GET /3303/0/5700")
    device.reply(await device.expect(Code.GET, "/3303/0/5700"), Code.CONTENT, 0, b"21.5")
    assert (await api.answer_to(NAME, wish))["dataValue"] == {"3303/0/5700": 21.5}

    wish = await api.wish(NAME, "OBSERVE /3303/0/5700")
    asked = await device.expect(Code.GET, "/3303/0/5700")
    device.reply(asked, Code.CONTENT, 0, b"22.5", observe=1)
    assert (await api.answer_to(NAME, wish))["dataValue"] == {"3303/0/5700": 22.5}
    device.notify(asked.token, 2, 0, b"23.5")
    assert (await device.receive()).type == 2, "the notification is acknowledged"

    wish = await api.wish(NAME, "CANCEL /3303/0/5700")
    device.reply(await device.expect(Code.GET, "/3303/0/5700"), Code.CONTENT, 0, b"23.5")
    await api.answer_to(NAME, wish)
    assert {"3303/0/5700": 23.5} in [message["dataValue"] for message in await api.messages(NAME)]

    assert (await device.send(Code.POST, location)).code == Code.CHANGED
    assert (await device.send(Code.DELETE, location)).code == Code.DELETED

    async def gone() -> bool:
        node = (await api.get(NAME)).json()["node"]
        return any(label.startswith("deregistrations_timestamp") for label in node["labels"])

    await eventually(gone)


@OPENSSL
@pytest.mark.parametrize("suite", ["PSK-AES128-CCM8", "PSK-AES128-CBC-SHA256", "PSK-AES128-GCM-SHA256"])
@pytest.mark.usefixtures("psk")
async def test_openssl_with_a_pre_shared_key(
    server: Any, api: Any, tunnel: Any, eventually: Any, suite: str
) -> None:
    key = ["-psk_identity", NAME, "-psk", KEY.hex(), "-cipher", f"{suite}:@SECLEVEL=0"]
    await whole_life(await tunnel(*s_client(server, *key)), api, eventually)


@GNUTLS
@pytest.mark.parametrize("suite", ["+PSK:+AES-128-CCM-8", "+PSK:+AES-128-CBC:+SHA256", "+PSK:+AES-128-GCM"])
@pytest.mark.usefixtures("psk")
async def test_gnutls_with_a_pre_shared_key(
    server: Any, api: Any, tunnel: Any, eventually: Any, tmp_path: Path, suite: str
) -> None:
    key = ["--pskusername", NAME, "--pskkey", KEY.hex()]
    command = gnutls_cli(server, tmp_path / "gnutls", f"-CIPHER-ALL:-MAC-ALL:+AEAD:{suite}", *key)
    await whole_life(await tunnel(*command), api, eventually)


WITH_CONNECTION_IDS = {"LWM2M_DTLS_COMPACT": "1", "LWM2M_DTLS_CONNECTION_ID": "8"}


@GNUTLS
@pytest.mark.parametrize("server", [WITH_CONNECTION_IDS], indirect=True, ids=["cids"])
@pytest.mark.parametrize("suite", ["+PSK:+AES-128-CCM-8", "+PSK:+AES-128-GCM"])
@pytest.mark.usefixtures("psk")
async def test_gnutls_where_others_get_connection_ids(
    server: Any, api: Any, tunnel: Any, eventually: Any, tmp_path: Path, suite: str
) -> None:
    """It does not know them, and its session is compact without."""
    key = ["--pskusername", NAME, "--pskkey", KEY.hex()]
    command = gnutls_cli(server, tmp_path / "gnutls", f"-CIPHER-ALL:-MAC-ALL:+AEAD:{suite}", *key)
    await whole_life(await tunnel(*command), api, eventually)


@OPENSSL
@pytest.mark.parametrize(
    "suite", ["ECDHE-ECDSA-AES128-CCM8", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"]
)
@pytest.mark.usefixtures("x509")
async def test_openssl_with_a_certificate(
    server: Any, api: Any, tunnel: Any, eventually: Any, authority: Any, suite: str
) -> None:
    certificate, key = authority.issue(NAME)
    files = ["-cert", str(certificate), "-key", str(key), "-CAfile", str(authority.trust)]
    strictly = ["-verify_return_error", "-verify_hostname", "localhost"]
    command = s_client(server, *files, *strictly, "-cipher", f"{suite}:@SECLEVEL=0")
    await whole_life(await tunnel(*command), api, eventually)


@GNUTLS
@pytest.mark.parametrize("cipher", ["AES-128-CCM-8", "AES-128-GCM"])
@pytest.mark.usefixtures("x509")
async def test_gnutls_with_a_certificate(
    server: Any, api: Any, tunnel: Any, eventually: Any, authority: Any, tmp_path: Path, cipher: str
) -> None:
    certificate, key = authority.issue(NAME)
    files = ["--x509certfile", str(certificate), "--x509keyfile", str(key)]
    trust = ["--x509cafile", str(authority.trust), "--verify-hostname", "localhost"]
    priority = f"-CIPHER-ALL:+ECDHE-ECDSA:+{cipher}"
    command = gnutls_cli(server, tmp_path / "gnutls", priority, *files, *trust)
    await whole_life(await tunnel(*command), api, eventually)


# --- libcoap ---


def _libcoap(*arguments: str) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout + done.stderr


async def _libcoap_life(client: list[str], server: Any, api: Any) -> None:
    """Register, Update and De-register, each in a session of its own."""
    base = f"coaps://{server.addresses['coaps']}"

    async def ask(method: str, path: str, *more: str) -> str:
        return await asyncio.to_thread(
            _libcoap, *client, "-v", "7", "-B", "5", "-m", method, *more, base + path
        )

    said = await ask("post", "/rd?lt=300&lwm2m=1.1", "-t", "40", "-e", "</3303/0>")
    assert "c:2.01" in said, said
    node = (await api.get(NAME)).json()["node"]
    assert any(label.startswith("registrations_timestamp") for label in node["labels"])
    location = "/" + "/".join(re.findall(r"Location-Path:([^, ]+)", said)[:2])
    assert "c:2.04" in await ask("post", location)
    assert "c:2.02" in await ask("delete", location)


LIBCOAP = [pytest.param(name, marks=_tool(name)) for name in ("coap-client-openssl", "coap-client-gnutls")]


@pytest.mark.parametrize("client", LIBCOAP)
async def test_libcoap_with_a_pre_shared_key(server: Any, api: Any, add: Any, client: str) -> None:
    key = "a key of letters"
    add("--mode", "psk", "--identity", NAME, "--hex", "--key-file", "-", text=key.encode().hex())
    await _libcoap_life([client, "-u", NAME, "-k", key], server, api)


@pytest.mark.parametrize("client", LIBCOAP)
@pytest.mark.usefixtures("x509")
async def test_libcoap_with_a_certificate(server: Any, api: Any, authority: Any, client: str) -> None:
    certificate, key = authority.issue(NAME)
    await _libcoap_life(
        [client, "-c", str(certificate), "-j", str(key), "-R", str(authority.trust)], server, api
    )
