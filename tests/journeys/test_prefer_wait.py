"""``Prefer: wait=N``: a message and its answer in one call, over real sockets."""

from __future__ import annotations

import json
from typing import Any

import pytest

OUTGOING = "device-communication/device001/outgoing-msg"


def _cin(con: str) -> dict[str, Any]:
    return {"m2m:cin": {"con": con}}


@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
async def test_the_answer_of_a_device_in_one_call(serve, connect, device, protocol):
    server = serve("--unknown-devices", "create")
    api = connect(server, http1=protocol == "HTTP/1.1", http2=protocol == "HTTP/2")
    await device(server)
    answer = await api.post(OUTGOING, 4, _cin("GET /3/0/9"), headers={"Prefer": "respond-async, wait=9"})
    assert answer.http_version == protocol
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=9"
    assert answer.headers["x-m2m-rsc"] == "2000"
    message = answer.json()["contentInstance"]
    assert message == await api.latest("device001", "received-msg")
    content = json.loads(message["content"]) if isinstance(message["content"], str) else message["content"]
    assert content["dataValue"] == {"3/0/9": 72}
    again = await api.client.get(
        server.http + answer.headers["content-location"], headers={"fullName": "true"}
    )
    assert again.json()["contentInstance"] == message

    refused = await api.post(OUTGOING, 4, _cin("GET /1/5"), headers={"Prefer": "wait=9"})
    assert refused.status_code == 200
    assert "4.04" in str(refused.json()["contentInstance"]["content"])


async def test_without_an_answer_in_time_it_is_as_without(serve, connect):
    api = connect(serve(LWM2M_MESSAGES_LONGEST_WAIT="1"))
    node = {"m2m:nod": {"rn": "device001", "ni": "urn:dev:1"}}
    assert (await api.post("", 14, node)).status_code == 201
    answer = await api.post(OUTGOING, 4, _cin("GET /3/0/9"), headers={"Prefer": "wait=600"})
    assert answer.status_code == 201
    assert "preference-applied" not in answer.headers
    assert answer.json()["contentInstance"]["content"] == "GET /3/0/9"
