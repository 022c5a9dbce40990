"""How far a long Write is, as a user sees it, on every transport."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest

from lwm2m_engine.coap import Code
from lwm2m_server.coap import frames
from lwm2m_server.coap.options import BLOCK1, number, uint
from lwm2m_server.settings import Address
from lwm2m_server.simulator.scripted import ScriptedDevice
from lwm2m_server.simulator.scripted_stream import ScriptedStream

IMAGE = os.urandom(5000)
SMALL = frames.encode(frames.CSM)
"""Of a client that takes messages as long as a datagram."""
BERT = frames.encode(frames.CSM, b"", ((frames.MAX_MESSAGE_SIZE, uint(2500)), (frames.BLOCK_WISE, b"")))


@pytest.fixture
def server(serve: Any) -> Any:
    # A block may wait for an HTTP request here: nothing is to be repeated meanwhile.
    return serve("--unknown-devices", "create", "--coap-tcp", "127.0.0.1:0", fast=False)


async def open_device(server: Any, csm: bytes | None) -> Any:
    if csm is None:
        return await ScriptedDevice.open(server.coap)
    return await ScriptedStream.open(tuple(Address.parse(server.addresses["coap_tcp"])), csm=csm)


@pytest.mark.parametrize(
    ("csm", "steps"),
    [
        (None, [1024, 2048, 3072, 4096]),
        pytest.param(
            SMALL, [1024, 2048, 3072, 4096], marks=pytest.mark.native_stack("nothing goes over UDP")
        ),
        pytest.param(BERT, [2048, 4096], marks=pytest.mark.native_stack("nothing goes over UDP")),
    ],
    ids=["UDP", "TCP", "TCP with BERT"],
)
async def test_a_long_write_shows_how_far_it_is(
    server: Any, api: Any, csm: bytes | None, steps: list[int]
) -> None:
    async with await open_device(server, csm) as device:
        assert (await device.send(Code.POST, "/rd", "ep=dev&lwm2m=1.1&b=UT", 40, b"</5/0>")).code == 65
        wish = await api.wish("dev", f"PUT /5/0/0 {base64.b64encode(IMAGE).decode()}")
        received, shown, more = b"", [], True
        while more:
            question = await device.expect(Code.PUT, "/5/0/0")
            shown.append((await api.get("/api/v1/devices/dev")).json()["transferred"])
            received += question.payload
            block = number(question.options, BLOCK1) or 0
            more = bool(block & 8)
            device.reply(question, Code.CONTINUE if more else Code.CHANGED, options=[(BLOCK1, uint(block))])
        assert (await api.answer_to("dev", wish))["responseCode"] == "2.04"
    assert IMAGE in received
    assert shown == [None, *({"bytes": step, "of": len(received)} for step in steps)]
