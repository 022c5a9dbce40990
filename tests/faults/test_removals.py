"""A device is deleted at the very moment it speaks: it is told that it is not known, nothing worse."""

from __future__ import annotations

import asyncio
import random

from lwm2m_engine.coap import Code
from lwm2m_server.coap.options import LOCATION_PATH
from lwm2m_server.simulator.scripted import ScriptedDevice

ROUNDS = 25
SENML = 110


async def test_what_is_said_during_the_removal_is_answered(server, api):
    rng = random.Random(404)
    codes = set()
    for number in range(ROUNDS):
        name = f"device{number:03d}"
        async with await ScriptedDevice.open(server.coap) as one:
            query = f"ep={name}&lwm2m=1.1&lt=300"
            answer = await one.send(Code.POST, "/rd", query, 40, b"</1/0>,</3303/0>")
            location = "/".join(value.decode() for kind, value in answer.options if kind == LOCATION_PATH)
            removal = asyncio.create_task(api.delete(name))
            await asyncio.sleep(rng.uniform(0, 0.006))
            asked = [
                one.request(Code.POST, location),
                one.request(Code.POST, "/dp", "", SENML, b'[{"bn":"/3303/0/5700","v":1}]'),
                one.request(Code.POST, location, "lt=200"),
            ]
            for request in asked:
                one.emit(request)
            answers = [await one.receive() for _ in asked]
            codes |= {answer.code for answer in answers}
            assert (await removal).status_code == 200
            assert (await one.send(Code.POST, location)).code == Code.NOT_FOUND
            assert (await api.get(name)).status_code == 404
    # A Send of a device that is not registered (any more) is a Bad Request.
    assert codes <= {Code.CHANGED, Code.NOT_FOUND, Code.BAD_REQUEST}
    assert "Traceback" not in server.errors()
