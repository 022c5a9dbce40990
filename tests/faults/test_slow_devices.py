"""Devices that do not answer delay no others."""

from __future__ import annotations

import asyncio
import time

from lwm2m_engine.coap import Code

QUICK, QUEUED = 20, 50


async def test_one_that_never_answers_with_a_full_queue(serve, connect, device):
    server = serve("--unknown-devices", "create", fast=False)
    api = connect(server)
    silent = await device(server, "silent", live=False)
    await silent.register()
    await api.ask("silent", "GET /3/0/0")
    silent.faults.silent = True
    fleet = [await device(server, f"quick{number:02d}", live=False) for number in range(QUICK)]
    for one in fleet:
        await one.register()
        await api.ask(one.endpoint, "GET /3/0/0")

    waiting = [await api.wish("silent", f"GET /3/0/{number % 4}") for number in range(QUEUED)]
    begun = time.monotonic()
    answers = await asyncio.gather(*(api.ask(one.endpoint, "GET /3/0/9") for one in fleet for _ in range(3)))
    quick = time.monotonic() - begun
    assert [answer["dataValue"] for answer in answers] == [{"3/0/9": 72}] * QUICK * 3
    assert {(await one.update()).code for one in fleet} == {Code.CHANGED}
    # While the silent one is asked for the first time: it is given up after 62 s at least.
    assert quick < 60
    ids = [wish["resourceID"] for wish in waiting]
    listed = await api.get("device-communication/silent/outgoing-msg?rcn=8")
    kept = [one["resourceID"] for one in listed.json()["container"]["contentInstance"]]
    assert kept == ids
    assert await api.messages("silent", "error-msg") == []

    silent.faults.silent = False
    last = await api.answer_to("silent", waiting[-1], 30)
    assert last["responseCode"] == "2.05"
    answers = [content["requestID"] for content in await api.messages("silent") if "requestID" in content]
    assert answers[-QUEUED:] == ids
