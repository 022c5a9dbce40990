"""The whole server over CoAP/TCP: everything a device does, over the connection it has opened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from lwm2m_engine.coap import Code
from lwm2m_engine.formats import ContentFormat
from lwm2m_server.coap.options import LOCATION_PATH, OBSERVE, number
from lwm2m_server.coap.wire import Message
from lwm2m_server.settings import Address
from lwm2m_server.simulator.scripted_stream import ScriptedStream

pytestmark = pytest.mark.native_stack("what is below CoAP/UDP makes no difference here")

TEXT = ContentFormat.TEXT


@pytest.fixture
def server(serve: Any) -> Any:
    return serve("--unknown-devices", "create", "--coap-tcp", "127.0.0.1:0")


@pytest.fixture
async def stream(server: Any) -> AsyncIterator[Any]:
    """Open connections to the server; they end with the test."""
    opened: list[ScriptedStream] = []

    async def open_one() -> ScriptedStream:
        opened.append(await ScriptedStream.open(tuple(Address.parse(server.addresses["coap_tcp"]))))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


async def register(device: ScriptedStream, query: str = "lt=300&lwm2m=1.1&b=T") -> str:
    answer = await device.send(Code.POST, "/rd", f"ep=tcp1&{query}", 40, b"</1/0>,</3/0>,</5/0>")
    assert answer.code == Code.CREATED
    await answer_reads(device)
    return "/" + "/".join(value.decode() for option, value in answer.options if option == LOCATION_PATH)


async def answer_reads(device: ScriptedStream) -> None:
    """What the server reads on its own after Register."""
    try:
        while True:
            device.reply(await device.receive(0.3), Code.NOT_FOUND)
    except TimeoutError:
        return


async def asked(device: ScriptedStream, api: Any, con: str) -> tuple[dict[str, Any], Message]:
    """A wish, and the request that comes of it."""
    wish = await api.wish("tcp1", con)
    return wish, await device.receive()


async def test_a_device_is_managed_over_its_connection(api: Any, stream: Any) -> None:
    device = await stream()
    location = await register(device)
    assert (await api.get("/api/v1/devices/tcp1")).json()["registered"] is True
    wish, question = await asked(device, api, "GET /3/0/9")
    device.reply(question, Code.CONTENT, TEXT, b"77")
    assert (await api.answer_to("tcp1", wish))["dataValue"] == {"3/0/9": 77}

    wish, question = await asked(device, api, "PUT /3/0/14 +05:00")
    assert question.code == Code.PUT
    assert b"+05:00" in question.payload
    device.reply(question, Code.CHANGED)
    assert (await api.answer_to("tcp1", wish))["responseCode"] == "2.04"

    body = b'[{"bn":"/3/0/9","v":71}]'
    assert (await device.send(Code.POST, "/dp", "", ContentFormat.SENML_JSON, body)).code == Code.CHANGED
    assert (await device.send(Code.POST, location)).code == Code.CHANGED
    assert (await device.send(Code.DELETE, location)).code == Code.DELETED
    kinds = [content["messageType"] for content in await api.messages("tcp1")]
    assert kinds.count("send") == 1


async def test_notifications_with_empty_observe_options_are_all_recorded(
    api: Any, stream: Any, eventually: Any
) -> None:
    """As Anjay sends them over TCP."""
    device = await stream()
    await register(device)
    wish, question = await asked(device, api, "OBSERVE /3/0/9")
    assert number(question.options, OBSERVE) == 0
    device.reply(question, Code.CONTENT, TEXT, b"80", observe=0)
    await api.answer_to("tcp1", wish)
    for level in (b"79", b"78", b"77"):
        device.notify(question.token, 0, TEXT, level)

    async def recorded() -> bool:
        messages = await api.messages("tcp1")
        values = [one["dataValue"] for one in messages if one["messageType"] == "notification"]
        return values == [{"3/0/9": 79}, {"3/0/9": 78}, {"3/0/9": 77}]

    assert await eventually(recorded)
    wish, question = await asked(device, api, "CANCEL /3/0/9")
    assert number(question.options, OBSERVE) == 1
    device.reply(question, Code.CONTENT, TEXT, b"77")
    assert (await api.answer_to("tcp1", wish))["messageType"] == "response"


async def test_without_a_connection_a_request_fails_and_one_for_a_sleeper_waits(
    api: Any, stream: Any, eventually: Any
) -> None:
    device = await stream()
    await register(device)
    device.close()
    failed = await api.ask("tcp1", "GET /3/0/9")
    assert (failed["messageType"], failed["reason"]) == ("error", "timeout")

    device = await stream()
    location = await register(device, "lt=300&lwm2m=1.1&b=T&Q")
    device.close()
    wish = await api.wish("tcp1", "GET /3/0/9")

    async def asleep() -> bool:
        return (await api.get("/api/v1/devices/tcp1")).json()["awake"] is False

    assert await eventually(asleep)
    assert (await api.latest("tcp1", "outgoing-msg"))["resourceID"] == wish["resourceID"]
    device = await stream()
    assert (await device.send(Code.POST, location)).code == Code.CHANGED
    device.reply(await device.expect(Code.GET, "/3/0/9"), Code.CONTENT, TEXT, b"76")
    assert (await api.answer_to("tcp1", wish))["dataValue"] == {"3/0/9": 76}


@pytest.mark.parametrize("again", ["update", "register"])
async def test_relations_begin_anew_on_a_new_connection(
    api: Any, stream: Any, eventually: Any, again: str
) -> None:
    """They end with the connection (RFC 8323, 7.4), whatever the device does when it is back."""
    device = await stream()
    location = await register(device)
    wish, question = await asked(device, api, "OBSERVE /3/0/9")
    device.reply(question, Code.CONTENT, TEXT, b"80", observe=0)
    await api.answer_to("tcp1", wish)
    device.close()

    device = await stream()
    if again == "update":
        assert (await device.send(Code.POST, location)).code == Code.CHANGED
    else:
        query = "ep=tcp1&lt=300&lwm2m=1.1&b=T"
        assert (await device.send(Code.POST, "/rd", query, 40, b"</3/0>")).code == Code.CREATED
    question = await device.receive()
    while number(question.options, OBSERVE) is None:
        device.reply(question, Code.NOT_FOUND)
        question = await device.receive()
    device.reply(question, Code.CONTENT, TEXT, b"70", observe=0)
    device.notify(question.token, 0, TEXT, b"69")

    async def recorded() -> bool:
        messages = await api.messages("tcp1")
        values = [one["dataValue"] for one in messages if one["messageType"] == "notification"]
        return {"3/0/9": 69} in values

    assert await eventually(recorded)


async def test_after_a_restart_the_device_connects_again(server: Any, api: Any, stream: Any) -> None:
    device = await stream()
    location = await register(device)
    assert server.stop() == 0
    server.restart()
    device = await stream()
    assert (await device.send(Code.POST, location)).code == Code.CHANGED
    wish, question = await asked(device, api, "GET /3/0/9")
    device.reply(question, Code.CONTENT, TEXT, b"77")
    assert (await api.answer_to("tcp1", wish))["dataValue"] == {"3/0/9": 77}
