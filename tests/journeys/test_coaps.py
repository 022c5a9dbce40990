"""The whole server over CoAPS: who a device is, is what its credentials say, whatever it says itself."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from OpenSSL import SSL

from lwm2m_engine.coap import Code
from lwm2m_server.coap.options import LOCATION_PATH
from lwm2m_server.settings import Address
from lwm2m_server.simulator.dtls import DtlsClient, DtlsContext, PreSharedKey, SecureTransport, connect
from lwm2m_server.simulator.scripted import ScriptedDevice

pytestmark = pytest.mark.native_stack("below DTLS there is no other")

NAME = "dtls1"
QUIET = b"</1/0>,</3303/0>"


class Secure(ScriptedDevice):
    """With a session."""

    session: SecureTransport

    @property
    def is_told_the_end(self) -> bool:
        return bool(self.session.client.connection.get_shutdown() & SSL.RECEIVED_SHUTDOWN)


@pytest.fixture
def server(serve: Any) -> Any:
    return serve("--coaps", "127.0.0.1:0")


@pytest.fixture
def lwm2m(server: Any) -> Callable[..., str]:
    """The command line."""

    def command(*arguments: str, text: str = "") -> str:
        call = [sys.executable, "-m", "lwm2m_server.launcher", *arguments, "--url", server.http]
        return subprocess.run(call, input=text, text=True, check=True, capture_output=True).stdout

    return command


@pytest.fixture
def key(lwm2m: Callable[..., str]) -> PreSharedKey:
    """Of the one device that may come."""
    lwm2m("devices", "add", NAME)
    printed = lwm2m("credentials", "generate", NAME, "--hex").split()
    return PreSharedKey(NAME.encode(), next(bytes.fromhex(word) for word in printed if len(word) == 32))


@pytest.fixture
async def open_device(server: Any, key: PreSharedKey) -> AsyncIterator[Callable[..., Any]]:
    """A device with a new session."""
    opened: list[Secure] = []

    async def open_one() -> Secure:
        device = Secure()
        where = Address.parse(server.addresses["coaps"])
        device.session = await connect(lambda: device, tuple(where), DtlsClient(DtlsContext(key)))
        opened.append(device)
        return device

    yield open_one
    for device in opened:
        device.close()


async def register(device: Secure, query: str = "lt=300&lwm2m=1.1") -> str:
    answer = await device.send(Code.POST, "/rd", query, 40, QUIET)
    assert answer.code == Code.CREATED
    return "/" + "/".join(value.decode() for option, value in answer.options if option == LOCATION_PATH)


async def test_a_device_is_registered_read_and_observed(api: Any, open_device: Any, eventually: Any) -> None:
    device = await open_device()
    location = await register(device)
    wish = await api.wish(NAME, "GET /3303/0/5700")
    device.reply(await device.expect(Code.GET, "/3303/0/5700"), Code.CONTENT, 0, b"21.5")
    assert (await api.answer_to(NAME, wish))["dataValue"] == {"3303/0/5700": 21.5}
    wish = await api.wish(NAME, "OBSERVE /3303/0/5700")
    asked = await device.expect(Code.GET, "/3303/0/5700")
    device.reply(asked, Code.CONTENT, 0, b"22.5", observe=1)
    await api.answer_to(NAME, wish)
    device.notify(asked.token, 2, 0, b"23.5")
    assert (await device.receive()).type == 2
    assert (await device.send(Code.DELETE, location)).code == Code.DELETED


async def test_nobody_registers_under_another_name(open_device: Any) -> None:
    device = await open_device()
    answer = await device.send(Code.POST, "/rd", "ep=somebody&lt=300&lwm2m=1.1", 40, QUIET)
    assert answer.code == Code.FORBIDDEN


async def test_a_device_with_a_key_is_not_let_in_without(server: Any, key: PreSharedKey) -> None:
    async with await ScriptedDevice.open(server.coap) as device:
        answer = await device.send(Code.POST, "/rd", f"ep={NAME}&lt=300&lwm2m=1.1", 40, QUIET)
        assert answer.code == Code.FORBIDDEN


async def test_a_registration_goes_on_in_a_new_session_from_elsewhere(api: Any, open_device: Any) -> None:
    location = await register(await open_device())
    device = await open_device()
    assert (await device.send(Code.POST, location)).code == Code.CHANGED
    wish = await api.wish(NAME, "GET /3303/0/5700")
    device.reply(await device.expect(Code.GET, "/3303/0/5700"), Code.CONTENT, 0, b"1.5")
    assert (await api.answer_to(NAME, wish))["responseCode"] == "2.05"


async def test_without_its_credentials_a_device_is_out(
    lwm2m: Any, open_device: Any, eventually: Any, api: Any
) -> None:
    device = await open_device()
    await register(device)
    await asyncio.to_thread(lwm2m, "credentials", "remove", NAME)

    async def told() -> bool:
        return device.is_told_the_end

    await eventually(told)
    with pytest.raises(ConnectionError, match="unknown psk identity"):
        await open_device()


async def test_a_restart_costs_a_handshake_and_no_registration(
    server: Any, open_device: Any, eventually: Any
) -> None:
    device = await open_device()
    location = await register(device)
    coaps = server.addresses["coaps"]
    server.stop()

    async def told() -> bool:
        return device.is_told_the_end

    await eventually(told)
    server.flags = ("--coaps", coaps)
    server.restart()
    again = await open_device()
    assert (await again.send(Code.POST, location)).code == Code.CHANGED
