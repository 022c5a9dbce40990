"""Polling channels: an application that cannot be reached comes and asks."""

import asyncio

import pytest

from lwm2m_server.sinks import polling

SHORT = {"fullName": "false", "X-M2M-Origin": "CApp"}
SOON = {**SHORT, "X-M2M-RET": "PT20S"}
PCU = "/app/pch/pcu"
BOX = "/device-communication/dev1/received-msg"


@pytest.fixture
async def polled(api):
    """An application without poa, subscribed to what a device sends."""
    await api.add_device("dev1")
    await api.post("", 2, {"m2m:ae": {"rn": "app", "api": "Nx"}}, headers=SHORT)
    assert (await api.post("/app", 15, {"m2m:pch": {"rn": "pch"}}, headers=SHORT)).status_code == 201
    wanted = {"rn": "sub", "nu": ["main/app"], "enc": {"net": [3]}}
    assert (await api.post(BOX, 23, {"m2m:sub": wanted})).status_code == 201
    return api


async def fetched(api):
    answer = await api.get(PCU, headers=SOON)
    assert answer.status_code == 200, answer.text
    return answer.json()["m2m:rqp"]


def content(request):
    return request["pc"]["m2m:sgn"]["nev"]["rep"]["m2m:cin"]["con"]


async def confirm(api, request, rsc=2000):
    body = {"m2m:rsp": {"rqi": request["rqi"], "rsc": rsc}}
    return await api.call("POST", PCU, None, body, headers=SHORT)


async def say(api, text):
    assert (await api.post(BOX, 4, {"m2m:cin": {"con": text}})).status_code == 201


async def test_what_waits_is_fetched_in_order_and_confirmed(polled):
    for text in ("one", "two"):
        await say(polled, text)
    first = await fetched(polled)
    assert (first["op"], first["to"], first["fr"], content(first)) == (5, "CApp", "/main", "one")
    assert (await confirm(polled, first)).status_code == 200
    second = await fetched(polled)
    assert content(second) == "two"
    assert (await confirm(polled, second)).status_code == 200
    assert (await confirm(polled, second)).status_code == 400


async def test_it_may_ask_before_there_is_anything(polled):
    asked = asyncio.ensure_future(fetched(polled))
    await asyncio.sleep(0.05)
    assert not asked.done()
    await say(polled, "now")
    assert content(await asked) == "now"


async def test_what_is_not_confirmed_or_not_taken_comes_again(polled, monkeypatch):
    monkeypatch.setattr(polling, "CONFIRMED_WITHIN", 0.05)
    await say(polled, "one")
    first = await fetched(polled)
    again = await fetched(polled)
    assert again["rqi"] == first["rqi"]
    monkeypatch.setattr(polling, "CONFIRMED_WITHIN", 10.0)
    third = await fetched(polled)
    assert (await confirm(polled, third, rsc=5000)).status_code == 200
    fourth = await fetched(polled)
    assert fourth["rqi"] == first["rqi"]
    assert (await confirm(polled, fourth)).status_code == 200


async def test_patience_ends(polled):
    answer = await polled.get(PCU, headers={**SHORT, "X-M2M-RET": "50"})
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (504, "4008")
    await say(polled, "later")
    assert content(await fetched(polled)) == "later"


async def test_it_serves_its_own_ae(polled):
    assert (await polled.get(PCU)).status_code == 403
    assert (await polled.get("/app/pcu", headers=SHORT)).status_code == 404
    assert (await polled.delete(PCU, headers=SHORT)).status_code == 405
    for body in ({}, {"m2m:rsp": {}}, {"m2m:rsp": {"rqi": "frob"}}, {"m2m:rsp": {"rqi": "1", "rsc": "x"}}):
        assert (await polled.call("POST", PCU, None, body, headers=SHORT)).status_code == 400


async def test_no_more_than_so_many_ask(polled, monkeypatch):
    monkeypatch.setattr(polling, "MOST", 1)
    asked = asyncio.ensure_future(polled.get(PCU, headers={**SHORT, "X-M2M-RET": "PT1S"}))
    await asyncio.sleep(0.05)
    assert (await polled.get(PCU, headers=SOON)).status_code == 406
    assert (await asked).status_code == 504
