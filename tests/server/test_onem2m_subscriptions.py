"""Subscriptions: what clients may ask for, and what their targets get."""

import pytest

RECEIVED = "/device-communication/device001/received-msg"


@pytest.fixture
async def api(start, open_to_loopback):
    return await start(open_to_loopback)


@pytest.fixture
async def receiver(listen):
    return await listen()


async def application(api, receiver, name="App", **more):
    body = {"m2m:ae": {"api": "NApp", "rn": name, "poa": [receiver.url], **more}}
    answer = await api.post("", 2, body, headers={"X-M2M-Origin": f"C{name}"})
    assert answer.status_code == 201, answer.text


async def subscribe(api, where=RECEIVED, **attributes):
    attributes = {"nu": ["main/App"], "enc": {"net": [3]}, **attributes}
    return await api.post(where, 23, {"m2m:sub": attributes}, headers={"X-M2M-RVI": "4"})


async def say(api, text="hello", where=RECEIVED, **more):
    answer = await api.post(where, 4, {"m2m:cin": {"con": text, **more}}, headers={"X-M2M-RVI": "4"})
    assert answer.status_code == 201, answer.text
    return answer.json()["m2m:cin"]


async def test_a_message_reaches_the_application_that_subscribed(api, receiver):
    await api.add_device()
    await application(api, receiver, poah=["Authorization:Bearer xyz"])
    made = await subscribe(api)
    assert made.status_code == 201, made.text
    subscription = made.json()["m2m:sub"]
    assert subscription["cr"] == "CTestApp"
    message = await say(api, {"temperature": 21})
    ((lines, body),) = [*(await receiver.heard(1) and receiver.requests)]
    expected = {"nev": {"rep": {"m2m:cin": message}, "net": 3}, "sur": f"/main/{subscription['ri']}"}
    assert body == {"m2m:sgn": expected}
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert headers["X-M2M-Origin"] == "/main"
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Bearer xyz"
    assert headers["X-M2M-RI"]
