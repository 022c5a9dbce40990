"""Devices that sleep by other times than queue mode's, over real sockets and with shortened times."""

from __future__ import annotations

import asyncio

import pytest


async def listen_when(api, name, **body):
    answer = await api.put(f"/api/v1/devices/{name}/power-saving", body)
    assert answer.status_code == 200, answer.text


def asleep(api, name):
    async def is_asleep():
        return (await api.get(f"/api/v1/devices/{name}")).json()["awake"] is False

    return is_asleep


async def test_a_psm_device_without_queue_mode_is_asked_when_it_speaks(
    server, api, connect, device, eventually
):
    one = await device(server, "meter", live=False, version="1.1", lifetime=300)
    await one.register()
    assert (await api.get("/api/v1/devices/meter")).json()["awake"] is None
    await listen_when(api, "meter", psm={"activeTimer": 0.3})
    await eventually(asleep(api, "meter"))
    wish = await api.wish("meter", "PUT /3/0/14 +05:00")
    await asyncio.sleep(0.5)
    server.kill()
    server.restart()
    api = connect(server)
    assert (await api.get("/api/v1/devices/meter")).json()["powerSaving"]["psm"] == {
        "activeTimer": 0.3,
        "tau": None,
    }
    await asyncio.sleep(0.5)
    assert one.get("/3/0/14").content == "+02"
    await one.update()
    assert (await api.answer_to("meter", wish))["responseCode"] == "2.04"


async def test_the_awake_window_of_one_device(server, api, device, eventually):
    one, other = [await device(server, name, live=False, queue_mode=True) for name in ("one", "other")]
    await listen_before_it_registers(api, "one", awakeWindow=0.3)
    await one.register()
    await other.register()
    await eventually(asleep(api, "one"))
    assert (await api.get("/api/v1/devices/other")).json()["awake"] is True


async def listen_before_it_registers(api, name, **body):
    await api.post("", 14, {"m2m:nod": {"rn": name, "ni": f"urn:dev:{name}"}})
    await listen_when(api, name, **body)


@pytest.mark.parametrize(
    "times",
    [
        {"edrx": {"cycle": 1.5, "pagingTimeWindow": 0.5}, "awakeWindow": 0.3},
        {"psm": {"activeTimer": 0.3, "tau": 1.5}},
    ],
    ids=["edrx", "psm with tau"],
)
async def test_a_device_is_asked_when_it_listens_though_it_does_not_speak(
    server, api, device, eventually, times
):
    one = await device(server, "meter", live=False, version="1.1", lifetime=300)
    await one.register()
    await listen_when(api, "meter", **times)
    await eventually(asleep(api, "meter"))
    wish = await api.wish("meter", "GET /3/0/9")
    waiting = (await api.get("/api/v1/devices/meter")).json()
    assert waiting["messages"][0]["id"] == wish["resourceID"]
    assert waiting["lastSeen"] < waiting["listensAt"] < waiting["lastSeen"] + 10_000
    assert (await api.answer_to("meter", wish))["dataValue"] == {"3/0/9": 72}
    logs = await api.get("device-communication/meter/logs?rcn=8")
    assert logs.text.count("sleeping") >= 1


async def test_back_to_the_default_it_is_asked_at_once(server, api, device, eventually):
    one = await device(server, "meter", live=False, version="1.1", lifetime=300)
    await one.register()
    await listen_when(api, "meter", psm={"activeTimer": 0.2})
    await eventually(asleep(api, "meter"))
    wish = await api.wish("meter", "GET /3/0/9")
    assert (await api.delete("/api/v1/devices/meter/power-saving")).status_code == 204
    assert (await api.answer_to("meter", wish))["dataValue"] == {"3/0/9": 72}
