"""``/api/v1/devices/<name>/trace``."""

from __future__ import annotations

import asyncio
import base64

import httpx
import orjson
import pytest

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.codecs import encode_paths
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import Path
from lwm2m_server.http.app import create_http
from lwm2m_server.http.devices import DeviceFinder
from lwm2m_server.http.traces import TraceApi, rendered
from lwm2m_server.notes import asked, said
from lwm2m_server.tracing import DEVICES, PAYLOAD, Traces

PEER = Peer("192.0.2.7", 5683)
READ = CoapRequest(Code.GET, ("3", "0", "9"), accept=112)


@pytest.fixture
async def traces():
    return Traces()


@pytest.fixture
async def client(api, settings, traces):
    finder = DeviceFinder(api.inventory, api.ledger.reader, settings)
    app = create_http(api=TraceApi(finder, api.devices, traces).routes())
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://server/api/v1"
    ) as client:
        yield client


async def test_a_trace_is_switched_on_read_and_switched_off(api, client, traces):
    await api.add_device("dev")
    path = "/devices/dev/trace"
    assert (await client.get(path)).json() == {"tracing": False, "messages": []}
    assert (await client.put(path)).json()["tracing"] is True
    assert {"dev", "urn:dev:dev"} <= set(traces.active)
    traces.notification("dev", READ, CoapReply(Code.CONTENT, b"72", 0))
    traces.notification("urn:dev:dev", READ, CoapReply(Code.CONTENT, b"73", 0))
    shown = (await client.get(path)).json()
    assert [message["values"] for message in shown["messages"]] == [{"3/0/9": 72}, {"3/0/9": 73}]
    later = (await client.get(f"{path}?after=1")).json()
    assert [message["number"] for message in later["messages"]] == [2]
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).json()["tracing"] is False


async def test_what_is_wrong(api, client, traces):
    await api.add_device("dev")
    assert (await client.put("/devices/nobody/trace")).status_code == 404
    assert (await client.get("/devices/dev/trace?follow")).status_code == 409
    assert (await client.get("/devices/dev/trace?after=x")).status_code == 400
    for number in range(DEVICES):
        traces.start(-number, f"other{number}", [f"other{number}"])
    refused = await client.put("/devices/dev/trace")
    assert refused.status_code == 409
    assert "other0" in refused.json()["detail"]


async def test_a_trace_is_followed_until_it_ends(api, client, traces):
    await api.add_device("dev")
    await client.put("/devices/dev/trace")
    traces.notification("dev", READ, CoapReply(Code.CONTENT, b"72", 0))

    async def go_on():
        await asyncio.sleep(0.05)
        traces.notification("dev", READ, CoapReply(Code.CONTENT, b"73", 0))
        await asyncio.sleep(0.05)
        traces.close()

    # The transport of httpx hands a response over when it is whole.
    followed, _ = await asyncio.gather(client.get("/devices/dev/trace?follow=1"), go_on())
    assert followed.headers["content-type"] == "application/x-ndjson"
    messages = [orjson.loads(line) for line in followed.text.splitlines()]
    assert [message["values"]["3/0/9"] for message in messages] == [72, 73]


async def test_a_trace_is_followed_as_events(api, client, traces):
    await api.add_device("dev")
    path, events = "/devices/dev/trace", {"Accept": "text/event-stream"}
    assert (await client.get(path, headers=events)).status_code == 409
    await client.put(path)
    for level in (b"72", b"73"):
        traces.notification("dev", READ, CoapReply(Code.CONTENT, level, 0))

    async def end():
        await asyncio.sleep(0.05)
        traces.close()

    followed, _ = await asyncio.gather(client.get(f"{path}?after=1", headers=events), end())
    assert followed.headers["content-type"].startswith("text/event-stream")
    first, over, rest = followed.text.split("\n\n")
    name, number, data = first.splitlines()
    assert (name, number) == ("event: message", "id: 2")
    message = orjson.loads(data.removeprefix("data: "))
    assert (message["values"], message["names"]) == ({"3/0/9": 73}, {"3/0/9": "Battery Level"})
    assert message["units"] == {"3/0/9": "/100"}
    assert (over, rest) == ("event: over\ndata: {}", "")


# --- a message as JSON ----------------------------------------------------------------------------------


def test_a_request_and_its_answer(catalog):
    request = CoapRequest(Code.PUT, ("3", "0", "14"), ("pmin=1", "pmax=2"), b"+02:00", 0, confirmable=False)
    shown = rendered(asked(request, "down", 1.5), catalog)
    assert shown == {
        "number": 0,
        "time": 1500,
        "direction": "down",
        "message": "PUT",
        "path": "/3/0/14",
        "query": "pmin=1&pmax=2",
        "type": "NON",
        "contentFormat": 0,
        "payloadSize": 6,
        "payload": base64.b64encode(b"+02:00").decode(),
        "values": {"3/0/14": "+02:00"},
        "names": {"3/0/14": "UTC Offset"},
        "types": {"3/0/14": "String"},
    }
    answer = rendered(said(CoapReply(Code.CHANGED), "up", request, 1.75, 1.5), catalog)
    assert (answer["message"], answer["duration"], answer["direction"]) == ("2.04", 250.0, "up")
    assert "payload" not in answer


@pytest.mark.parametrize(
    ("reply", "path", "shown"),
    [
        (CoapReply(Code.CONTENT, b"\xff\xff", 11542), ("3", "0"), "error"),
        (CoapReply(Code.CONTENT, b"</3/0/9>", 40), ("3",), "text"),
        (CoapReply(Code.NOT_FOUND, b"none", None), ("3", "0", "9"), "text"),
        (CoapReply(Code.NOT_FOUND, b"none", 0), ("3", "0", "9"), "text"),
        (CoapReply(Code.CONTENT, bytes(PAYLOAD + 1), 42), ("5", "0", "0"), "cut"),
        (CoapReply(Code.CONTENT, b"key", 42), ("0", "0", "5"), "masked"),
        (CoapReply(Code.CONTENT, encode_paths([Path("/3")], ContentFormat.SENML_CBOR), 112), (), "paths"),
        (CoapReply(Code.CONTENT, b"\x00", 65001), ("3", "0", "9"), "error"),
        (CoapReply(Code.CONTENT, b'[{"n":"/lwm2m/3/0/9","v":1}]', 110), ("lwm2m",), "values"),
    ],
)
def test_payloads(catalog, reply, path, shown):
    traces = Traces()
    trace = traces.start(1, "dev", ["dev"])
    traces.notification("dev", CoapRequest(Code.GET, path), reply)
    found = rendered(trace.notes()[0], catalog)
    assert shown in found
    assert not {"error", "text", "cut", "masked", "paths", "values"} - {shown} & found.keys()
    assert ("payload" in found) == (shown != "masked")
