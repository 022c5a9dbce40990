"""Readers of the events that take nothing, or go away: the server loses neither memory nor time."""

from __future__ import annotations

import socket

import httpx
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lwm2m_server.onem2m.happenings import record
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import DeviceRef

pytestmark = pytest.mark.native_stack("applications only: nothing here depends on the CoAP stack")

EVENTS, SIZE = 20_000, 1000
"""Twenty times what socket buffers hold."""
REQUEST = b"GET /api/v1/events HTTP/1.1\r\nHost: %b\r\nAccept: text/event-stream\r\nLast-Event-ID: 0\r\n\r\n"


def _fill(server) -> None:
    """Events that happened before the server was started."""
    server.stop()
    device = DeviceRef(1, "main", "dev", "dev")
    body = orjson.dumps({"nodeResourceName": "dev", "text": "x" * SIZE}).decode()
    line = record(device, "warning", body)
    ledger = SqliteLedger(server.data / "ledger.db")
    for _ in range(EVENTS // 100):
        ledger.run(lambda write: [write.note_event(line) for _ in range(100)])
    ledger.close()
    server.restart()


def _reader(server) -> socket.socket:
    address = server.http.removeprefix("http://")
    host, _, port = address.rpartition(":")
    reader = socket.create_connection((host, int(port)), timeout=10)
    reader.sendall(REQUEST % address.encode())
    return reader


async def test_readers_that_take_nothing_and_go(server, eventually):
    _fill(server)
    async with httpx.AsyncClient(base_url=server.http, timeout=20) as client:

        async def figure(name: str) -> float:
            text = (await client.get("/metrics")).text
            samples = (one for family in text_string_to_metric_families(text) for one in family.samples)
            return next(sample.value for sample in samples if sample.name == name)

        async def readers(count: int) -> bool:
            return await figure("lwm2m_event_readers") == count

        before = await figure("process_resident_memory_bytes")
        stuck = [_reader(server) for _ in range(8)]
        await eventually(lambda: readers(8))
        # One reads to the end meanwhile.
        last = 0
        async with client.stream(
            "GET", "/api/v1/events?after=0", headers={"accept": "text/event-stream"}
        ) as all:
            async for line in all.aiter_lines():
                if line.startswith("id: "):
                    last = int(line[4:])
                if last == EVENTS:
                    break
        grown = await figure("process_resident_memory_bytes") - before
        # Each would need twenty megabytes.
        assert grown < 2 * EVENTS * SIZE
        for one in stuck:
            one.close()
        # One that reads a little, and goes in the middle.
        hasty = _reader(server)
        assert b"200" in hasty.recv(65536)
        hasty.close()
        await eventually(lambda: readers(0))
