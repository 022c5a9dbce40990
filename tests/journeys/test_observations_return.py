"""What an application observed comes back: after Deregister, kill -9 and a new Register."""

from __future__ import annotations

import pytest


@pytest.mark.native_stack("aiocoap forgets the tokens of its observations with the process")
async def test_a_wish_outlives_the_registration_and_the_server(server, api, device, eventually):
    one = await device(server, "device001", live=False, version="1.1")
    await one.register()
    await api.ask("device001", "OBSERVE /3/0/9?pmax=3600")
    await api.ask("device001", "OBSERVE /3/0/13")
    await api.ask("device001", "CANCEL /3/0/13")
    await one.deregister()
    server.kill()
    server.restart()
    before = len(await api.messages("device001"))
    await one.register()

    async def observed_again():
        new = (await api.messages("device001"))[before:]
        return [one for one in new if one["operation"] == "observe"]

    (content,) = await eventually(observed_again)
    assert (content["resourcePath"], "requestID" in content) == ("3/0/9", False)
    one.set("/3/0/9", 41)

    async def notified():
        new = (await api.messages("device001"))[before:]
        return [one["dataValue"] for one in new if one["messageType"] == "notification"]

    assert await eventually(notified) == [{"3/0/9": 41}]
    assert [one["resourcePath"] for one in await observed_again()] == ["3/0/9"]


async def test_a_passive_cancel_is_answered_at_once(server, api, device):
    one = await device(server, "device001", live=False, version="1.1")
    await one.register()
    await api.ask("device001", "OBSERVE /3/0/9")
    await one.deregister()
    answer = await api.ask("device001", "CANCEL /3/0/9?passive")
    assert (answer["operation"], answer["responseCode"]) == ("cancel", "2.05")
    before = len(await api.messages("device001"))
    await one.register()
    await api.ask("device001", "GET /3/0/0")
    new = (await api.messages("device001"))[before:]
    assert [one["operation"] for one in new if one["resourcePath"] == "3/0/9"] == []


async def test_an_end_device_needs_a_gateway(server, api, device):
    await device(server, "device001")
    wish = {"m2m:cin": {"con": "GET /dev0/3303/0"}}
    answer = await api.post("device-communication/device001/outgoing-msg", 4, wish)
    assert answer.status_code == 400
    assert "is no LwM2M Gateway" in answer.text
    wish = {"m2m:cin": {"con": "FETCH /dev0/3303/0,/3/0"}}
    answer = await api.post("device-communication/device001/outgoing-msg", 4, wish)
    assert "several devices" in answer.text
    assert 400 <= answer.status_code < 500
