"""kill -9 in the middle of deliveries: what was accepted is delivered, at least once and in order."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

LWM2M = Path(sys.executable).with_name("lwm2m")
FLAGS = ("serve", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", "data")
BASE = "/device-management-orchestrator/v3/main"
BOX = f"{BASE}/device-communication/device001/received-msg"
MESSAGES = 60


@pytest.fixture
async def serve(tmp_path):
    """``await serve()`` starts a server in the test's folder; a client of it, and how to kill it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LWM2M_")}
    environment |= {"LWM2M_DELIVERIES_ALLOW": "127.0.0.1", "LWM2M_DELIVERIES_FIRST_RETRY": "0.05"}
    started = []

    async def serve():
        process = await asyncio.create_subprocess_exec(
            LWM2M,
            *FLAGS,
            cwd=tmp_path,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(60):
            told = json.loads(await process.stdout.readline())
        client = httpx.AsyncClient(base_url=told["http"], headers={"X-M2M-Origin": "CApp", "X-M2M-RI": "1"})
        started.append((process, client))
        return process, client

    yield serve
    for process, client in started:
        await client.aclose()
        if process.returncode is None:
            process.kill()
        await process.wait()


async def create(client, path, ty, body):
    answer = await client.post(path, json=body, headers={"Content-Type": f"application/json;ty={ty}"})
    assert answer.status_code == 201, answer.text


def numbers(receiver):
    contents = (body["m2m:sgn"]["nev"]["rep"]["m2m:cin"]["con"] for body in receiver.bodies)
    return [content["number"] for content in contents]


async def test_nothing_that_was_accepted_is_lost(serve, listen):
    receiver = await listen()

    async def slowly(body):
        await asyncio.sleep(0.01)
        return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    receiver.answer = slowly
    process, client = await serve()
    await create(client, BASE, 2, {"m2m:ae": {"api": "NApp", "rn": "App", "poa": [receiver.url], "rr": True}})
    await create(client, BASE, 14, {"m2m:nod": {"rn": "device001", "ni": "device001"}})
    await create(client, BOX, 23, {"m2m:sub": {"nu": ["main/App"], "enc": {"net": [3]}}})
    for number in range(MESSAGES):
        await create(client, BOX, 4, {"m2m:cin": {"con": {"number": number}}})
    await receiver.until(lambda: len(receiver.requests) >= 5)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    before = len(receiver.requests)
    assert before < MESSAGES
    await serve()
    await receiver.until(lambda: set(numbers(receiver)) == set(range(MESSAGES)), seconds=60)
    found = numbers(receiver)
    assert list(dict.fromkeys(found)) == list(range(MESSAGES))
    # What came twice is known by its id, and is not much.
    ids = [next(line for line in lines if line.startswith("X-M2M-RI")) for lines, _ in receiver.requests]
    assert len(set(ids)) == MESSAGES
    assert found[before:] == list(range(found[before], MESSAGES))
