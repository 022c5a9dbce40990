"""Loss, duplication, reordering and delay, both ways: nothing is lost, nothing is doubled, order is kept.

Times are a fortieth of those in the field: ACK_TIMEOUT is 0.05 s, and a delay of 10 s is 0.25 s.
"""

from __future__ import annotations

import asyncio

import pytest

from lwm2m_engine.coap import Code
from lwm2m_engine.paths import Path

WEATHERS = {
    "loss of 20 %": {"loss": 0.2},
    "duplication": {"duplication": 0.7},
    "reordering": {"reordering": 0.6},
    "a delay of 10 s": {"delay": 0.25},
    "all of it": {"loss": 0.15, "duplication": 0.3, "reordering": 0.4, "delay": 0.02},
}
WISHES = [
    "GET /3/0/0",
    "PUT /3/0/14 +03",
    "POST /3/0/4 1",
    "GET /3/0/14",
    "POST /3/0/5 2",
    "POST /3/0/4 3",
    "GET /3/0/1",
]
LEVELS = (41, 42, 43)


@pytest.mark.parametrize("name", WEATHERS)
async def test_everything_arrives_once_and_in_order(
    serve, connect, device, network, weather, patient, patient_server, eventually, name
):
    server = serve("--unknown-devices", "create", fast=False, **patient_server)
    api, between = connect(server), await network(server, weather(**WEATHERS[name]))
    one = await device(between, live=False, version="1.1", timing=patient)
    await one.register()
    answer = await api.answer_to("device001", await api.wish("device001", "OBSERVE /3/0/9"), 30)
    assert answer["responseCode"] == "2.05"

    wishes = [await api.wish("device001", con) for con in WISHES]
    for level in LEVELS:
        await one.send("/3/0/9")
        one.set("/3/0/9", level)
        assert (await one.update()).code == Code.CHANGED
        await eventually(lambda level=level: notified(api, level), 30)
    for wish in wishes:
        await api.answer_to("device001", wish, 30)
    # What is still under way may only be copies.
    await asyncio.sleep(0.6)

    received = await api.messages("device001")
    answers = [one for one in received if one["messageType"] == "response" and "requestID" in one]
    assert [one["requestID"] for one in answers][1:] == [wish["resourceID"] for wish in wishes]
    assert [one["dataValue"] for one in answers if one["resourcePath"] == "3/0/14"][-1] == {"3/0/14": "+03"}
    notifications = [one["dataValue"] for one in received if one["messageType"] == "notification"]
    assert notifications == [{"3/0/9": level} for level in LEVELS]
    sends = [one["dataValue"] for one in received if one["messageType"] == "send"]
    assert sends == [{"3/0/9": level} for level in (72, *LEVELS[:-1])]
    assert await api.messages("device001", "sent-msg") == ["OBSERVE /3/0/9", *WISHES]
    assert await api.messages("device001", "outgoing-msg") == []
    assert await api.messages("device001", "error-msg") == []
    logs = [entry["event"] for entry in await api.messages("device001", "logs")]
    assert (logs.count("registered"), logs.count("warning")) == (1, 0)
    assert one.executed == [(Path("/3/0/4"), "1"), (Path("/3/0/4"), "3"), (Path("/3/0/5"), "2")]
    executes = [one for one in between.requests("down") if one.code == Code.POST]
    assert len(executes) == 3
    assert "Traceback" not in server.errors()


async def notified(api, level):
    contents = await api.messages("device001")
    return {"3/0/9": level} in [one["dataValue"] for one in contents if one["messageType"] == "notification"]
