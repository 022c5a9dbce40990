"""A disk without room: nothing is acknowledged that is not stored, and all goes on when there is room again.

The limit on the size of files stands in for the disk: writing beyond it fails, in the ledger as in the log.
"""

from __future__ import annotations

import resource
import sys

import pytest

from lwm2m_engine.coap import Code
from lwm2m_server.coap.options import LOCATION_PATH
from lwm2m_server.simulator.scripted import ACK, ScriptedDevice

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of other processes are Linux's")

SENML = 110
NOTHING, ANYTHING = 0, resource.RLIM_INFINITY


def fill(server, room):
    """No file of the server may become larger than this from now on."""
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))


def pack(value):
    return b'[{"bn":"/3303/0/5700","v":%d}]' % value


async def register(device, name, *, code=Code.CREATED):
    answer = await device.send(Code.POST, "/rd", f"ep={name}&lwm2m=1.1&lt=300", 40, b"</1/0>,</3303/0>")
    assert answer.code == code
    return "/" + "/".join(value.decode() for number, value in answer.options if number == LOCATION_PATH)


@pytest.mark.parametrize("room", [NOTHING, 60_000])
async def test_nothing_is_acknowledged_that_is_not_stored(server, api, eventually, room):
    async with (
        await ScriptedDevice.open(server.coap) as one,
        await ScriptedDevice.open(server.coap) as other,
    ):
        location = await register(one, "device001")
        wish = await api.wish("device001", "OBSERVE /3303/0/5700")
        asked = await one.expect(Code.GET, "/3303/0/5700")
        one.reply(asked, Code.CONTENT, SENML, pack(20), observe=0)
        await api.answer_to("device001", wish)
        for value in range(60):
            # So that the ledger's files are as large as the smallest room already.
            assert (await one.send(Code.POST, "/dp", "", SENML, pack(value))).code == Code.CHANGED
        kept = await api.messages("device001")
        assert (await api.get("/readyz")).status_code == 200

        fill(server, room)
        assert (await one.send(Code.POST, "/dp", "", SENML, pack(99))).code == Code.SERVICE_UNAVAILABLE
        assert (await one.send(Code.POST, location, "lt=200")).code == Code.SERVICE_UNAVAILABLE
        await register(other, "device002", code=Code.SERVICE_UNAVAILABLE)
        notification = one.notify(asked.token, 1, SENML, pack(21))
        await one.silent(0.2)
        answer = await api.post("", 14, {"m2m:nod": {"rn": "shelf", "ni": "urn:dev:shelf"}})
        assert answer.status_code >= 500
        assert "stored" in answer.json()["m2m:dbg"]
        answer = await api.post("", 2, {"m2m:ae": {"rn": "App", "api": "NApp"}})
        assert answer.status_code >= 500
        path = "device-communication/device001/outgoing-msg"
        answer = await api.post(path, 4, {"m2m:cin": {"con": "GET /3303/0/5700"}})
        assert answer.status_code >= 500
        answer = await api.get("/readyz")
        assert (answer.status_code, list(answer.json()["reasons"])) == (503, ["ledger"])
        assert "full" in answer.json()["reasons"]["ledger"] or "I/O" in answer.json()["reasons"]["ledger"]
        assert (await api.get("/healthz")).status_code == 200
        # What is stored can still be read.
        assert await api.messages("device001") == kept

        fill(server, ANYTHING)

        async def updated():
            return (await one.send(Code.POST, location)).code == Code.CHANGED

        await eventually(updated)
        # The device repeats what was not acknowledged, and is asked nothing that was refused.
        one.emit(notification)
        assert (await one.receive()).type == ACK
        await register(other, "device002")
        assert (await one.send(Code.POST, "/dp", "", SENML, pack(100))).code == Code.CHANGED
        assert (await api.get("/readyz")).status_code == 200
        assert [(await api.get(name)).status_code for name in ("shelf", "App")] == [404, 404]
        assert await api.messages("device001", "outgoing-msg") == []
        wish = await api.wish("device001", "GET /3303/0/5700")
        asked = await one.expect(Code.GET, "/3303/0/5700")
        one.reply(asked, Code.CONTENT, SENML, pack(22))
        await api.answer_to("device001", wish)
        values = [content["dataValue"]["3303/0/5700"] for content in await api.messages("device001")]
        assert values == [*[content["dataValue"]["3303/0/5700"] for content in kept], 21, 100, 22]
    assert "Traceback" not in server.errors()
    server.kill()
    server.restart()
    assert [one["dataValue"]["3303/0/5700"] for one in await api.messages("device001")] == values


async def test_an_answer_that_cannot_be_stored_is_asked_for_again(server, api, eventually):
    async with await ScriptedDevice.open(server.coap) as one:
        location = await register(one, "device001")
        wish = await api.wish("device001", "GET /3303/0/5700")
        asked = await one.expect(Code.GET, "/3303/0/5700")
        fill(server, NOTHING)
        one.reply(asked, Code.CONTENT, SENML, pack(20))
        answer = await one.send(Code.POST, location, "lt=200")
        assert answer.code == Code.SERVICE_UNAVAILABLE
        assert await api.messages("device001") == []
        fill(server, ANYTHING)

        async def again():
            one.emit(one.request(Code.POST, location))
            message = await one.receive()
            if message.is_request:
                return message
            return await one.expect(Code.GET, "/3303/0/5700") if message.code == Code.CHANGED else None

        asked = await eventually(again)
        one.reply(asked, Code.CONTENT, SENML, pack(21))
        assert (await api.answer_to("device001", wish))["dataValue"] == {"3303/0/5700": 21}
        assert len(await api.messages("device001")) == 1


async def test_a_device_that_cannot_be_deleted_stays(server, api, eventually):
    async with await ScriptedDevice.open(server.coap) as one:
        location = await register(one, "device001")
        fill(server, NOTHING)
        assert (await api.delete("device001")).status_code >= 500
        fill(server, ANYTHING)
        assert (await api.get("device001")).status_code == 200

        async def updated():
            return (await one.send(Code.POST, location)).code == Code.CHANGED

        await eventually(updated)
        wish = await api.wish("device001", "GET /3303/0/5700")
        asked = await one.expect(Code.GET, "/3303/0/5700")
        one.reply(asked, Code.CONTENT, SENML, pack(20))
        assert (await api.answer_to("device001", wish))["responseCode"] == "2.05"
        assert (await api.delete("device001")).status_code == 200
        assert (await one.send(Code.POST, location)).code == Code.NOT_FOUND
