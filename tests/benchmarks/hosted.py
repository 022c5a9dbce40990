"""``lwm2m serve`` with somebody inside: it hears every event and submits Requests. Run by ``serverload.py``.

Takes the flags of ``serve`` and prints the same first line. Then each line on standard input is a command
in JSON, and each is answered with one line of JSON when it is done:

    {"do": "submit", "message": "OBSERVE /3303/0", "devices": 1000, "in_flight": 64}
    {"do": "leave", "message": "GET /3303/0", "first": 1000, "devices": 10000}
    {"do": "read", "message": "GET /3303/0/5700", "devices": 9, "in_flight": 64, "warm_up": 1, "seconds": 5}
    {"do": "watch", "warm_up": 1, "seconds": 5}

``submit`` sends each device the message and waits for all answers, ``leave`` waits for none. ``read`` sends
it to the devices in turn, so many at a time, and measures; ``watch`` measures the answers to what others
have submitted. A latency is from the message's id, which is the time it was made, until the answer is
durable and published.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from itertools import cycle
from typing import Any

import click

from lwm2m_engine.engine.events import Event, Failed, Received
from lwm2m_engine.messages import parse
from lwm2m_server import logs
from lwm2m_server.app import Running
from lwm2m_server.cli.options import given, server_options
from lwm2m_server.cli.serve import announce, run_server
from lwm2m_server.configuration import load
from lwm2m_server.store.ids import SECOND, NodeIds
from lwm2m_server.store.records import Device, Message


class Resident:
    """Listens and submits, in the server's own loop."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._latencies: list[float] = []
        self.events = self._failures = 0
        running.core.bus.subscribe(self._hear)

    def _hear(self, tenant: str, event: Event) -> None:
        self.events += 1
        if isinstance(event, (Received, Failed)) and event.message is not None:
            self._latencies.append(time.time() - event.message / SECOND)
            self._failures += isinstance(event, Failed) or event.code >= 128
            answer = self._answers.pop(event.message, None)
            if answer is not None:
                answer.set_result(None)

    def devices(self, count: int, first: int = 0) -> list[Device]:
        reader = self._running.core.ledger.reader
        found = (reader.device_of_endpoint(f"load-{number}") for number in range(first, first + count))
        return [device for device in found if device is not None]

    async def send(self, device: Device, text: str) -> int:
        """Submit a message as an application would; returns its id."""
        running, id = self._running, self._running.core.ids.next()
        request = parse(text, running.core.wishes.models(device))
        box = NodeIds(device.node).outgoing
        message = Message(id, box, None, "CLoad", 0, text, None, len(text), deadline=id / SECOND + 600)
        await running.core.wishes.submit(
            device,
            request,
            id=id,
            expires_at=message.deadline,
            store=lambda transaction, starts: transaction.add_message(message, started=starts),
        )
        return id

    async def ask(self, device: Device, text: str) -> None:
        """The same, and wait for the answer."""
        answer = asyncio.get_running_loop().create_future()
        self._answers[await self.send(device, text)] = answer
        await answer

    async def submit(self, message: str, devices: int, in_flight: int) -> dict[str, float]:
        self._failures = 0
        queue = iter(self.devices(devices))

        async def work() -> None:
            for device in queue:
                await self.ask(device, message)

        await asyncio.gather(*(work() for _ in range(in_flight)))
        return {"errors": self._failures}

    async def leave(self, message: str, first: int, devices: int) -> dict[str, float]:
        for device in self.devices(devices, first):
            await self.send(device, message)
        return {}

    async def read(self, message: str, devices: int, in_flight: int, **window: float) -> dict[str, float]:
        turns = cycle(self.devices(devices))

        async def work() -> None:
            while True:
                await self.ask(next(turns), message)

        workers = [asyncio.create_task(work()) for _ in range(in_flight)]
        try:
            return await self.watch(**window)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def watch(self, warm_up: float, seconds: float) -> dict[str, float]:
        await asyncio.sleep(warm_up)
        self._latencies, self._failures, self.events = [], 0, 0
        begun, cpu = time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        elapsed, cpu = time.perf_counter() - begun, time.process_time() - cpu
        latencies = sorted(self._latencies)
        done = len(latencies)
        if not done:
            return {}
        return {
            "done": done,
            "errors": self._failures,
            "events": self.events,
            "rate": done / elapsed,
            "cpu_us": cpu / done * 1e6,
            "p50_us": latencies[done // 2] * 1e6,
            "p99_us": latencies[done * 99 // 100] * 1e6,
            "server_busy": cpu / elapsed,
        }

    async def obey(self) -> None:
        """Commands from standard input, one after the other."""
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
        )
        while line := await lines.readline():
            command = json.loads(line)
            answer = await getattr(self, command.pop("do"))(**command)
            print(json.dumps(answer), flush=True)


@click.command()
@server_options
def main(config: Any, **flags: Any) -> None:
    settings = load(config, environ=os.environ, flags=given(flags)).settings
    logs.configure(settings.log)
    tasks = set()

    def ready(running: Running) -> None:
        tasks.add(asyncio.get_running_loop().create_task(Resident(running).obey()))
        announce(running)

    run_server(settings, ready)


if __name__ == "__main__":
    main()
