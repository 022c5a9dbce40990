"""Events over real sockets: followed live, replayed after a crash, printed by the command line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.native_stack("applications only: nothing here depends on the CoAP stack")

STREAM = {"Accept": "text/event-stream"}


async def _events(response: httpx.Response) -> AsyncIterator[dict[str, str]]:
    """Events that have data."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if name:
            fields[name] = value
        else:
            if "data" in fields:
                yield fields
            fields = {}


async def _until(response: httpx.Response, **last: str) -> list[dict[str, str]]:
    found = []
    async with asyncio.timeout(20):
        async for event in _events(response):
            found.append(event)
            if last.items() <= event.items():
                break
    return found


@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
async def test_a_stream_is_taken_up_again_after_a_crash(serve, connect, device, protocol):
    server = serve("--unknown-devices", "create")
    options = {"http1": protocol == "HTTP/1.1", "http2": protocol == "HTTP/2"}
    url = f"{server.http}/api/v1/events"
    async with httpx.AsyncClient(timeout=20, **options) as client:
        async with client.stream("GET", url, headers=STREAM) as response:
            assert response.http_version == protocol
            await device(server, "device001")
            found = await _until(response, event="registered")
        wish = await connect(server).post(
            "device-communication/device001/outgoing-msg", 4, _cin("GET /1/0/1")
        )
        assert wish.status_code == 201
        last = {**STREAM, "Last-Event-ID": found[-1]["id"]}
        async with client.stream("GET", f"{url}?path=/1", headers=last) as response:
            (answer,) = await _until(response, event="response")
    assert json.loads(answer["data"])["resourcePath"] == "1/0/1"
    server.kill()
    server.restart()
    async with (
        httpx.AsyncClient(timeout=20, **options) as client,
        client.stream("GET", url, headers=last) as response,
    ):
        again = await _until(response, **answer)
    assert [int(event["id"]) for event in again] == list(
        range(int(found[-1]["id"]) + 1, int(found[-1]["id"]) + 1 + len(again))
    )


async def test_the_command_line_follows_and_waits_for_a_server_that_is_away(serve, device):
    server = serve("--unknown-devices", "create")
    command = [sys.executable, "-m", "lwm2m_server.launcher", "events", "--follow", "--json"]
    process = await asyncio.create_subprocess_exec(
        *command,
        "--url",
        server.http,
        "--after",
        "0",
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        await device(server, "device001")
        assert (await _printed(process, "registered"))["message"]["nodeResourceName"] == "device001"
        server.stop()
        server.restart()
        await device(server, "device002")
        assert (await _printed(process, "registered"))["message"]["nodeResourceName"] == "device002"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


def _cin(con: str) -> dict[str, Any]:
    return {"m2m:cin": {"con": con}}


async def _printed(process: asyncio.subprocess.Process, kind: str) -> dict[str, Any]:
    assert process.stdout is not None
    async with asyncio.timeout(20):
        while True:
            found: dict[str, Any] = json.loads(await process.stdout.readline())
            if found["kind"] == kind:
                return found
