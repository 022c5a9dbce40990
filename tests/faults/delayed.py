"""A device that every datagram reaches late, with the protocol's own times.

    python tests/faults/delayed.py                        # 10 s each way: about three minutes
    python tests/faults/delayed.py --delay 1.6 --wishes 1 --json

A server as it comes and a device as it comes (ACK_TIMEOUT 2 s, MAX_RETRANSMIT 4), and between them a network
in which everything takes as long. Whoever waits for an answer for more than 3 s repeats what it said, so all
is said several times, and must happen once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import SEED, Network, Weather

from lwm2m_engine.coap import Code
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.simulator.objects import server_object

PREFIX = "/device-management-orchestrator/v3/main/device-communication/late"
WISHES = ("POST /1/0/8", "OBSERVE /1/0/2", "GET /1/0/1", "PUT /1/0/6 false", "POST /1/0/8")
PATIENCE = 93.0
"""Seconds for one exchange: MAX_TRANSMIT_WAIT (RFC 7252, 4.8.2)."""


class Server:
    """``lwm2m serve`` in a process of its own."""

    def __init__(self, directory: Path) -> None:
        listeners = ["--coap", "127.0.0.1:0", "--http", "127.0.0.1:0"]
        self._log = directory / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "lwm2m_server.launcher",
                    "serve",
                    *listeners,
                    "--unknown-devices",
                    "create",
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=directory,
                env={**os.environ, "XDG_CONFIG_HOME": str(directory)},
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the server did not start: {self.log}")
        addresses = json.loads(line)
        self.http, (host, _, port) = addresses["http"], addresses["coap"].rpartition(":")
        self.coap = host, int(port)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def call(self, path: str, content: str | None = None) -> Any:
        """POST a message, or GET."""
        body = None if content is None else json.dumps({"m2m:cin": {"con": content}}).encode()
        headers = {"X-M2M-Origin": "CLate", "X-M2M-RI": "1"}
        if body is not None:
            headers["Content-Type"] = "application/json;ty=4"
        request = urllib.request.Request(f"{self.http}{PREFIX}/{path}", body, headers)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def messages(self, container: str) -> list[Any]:
        found = self.call(f"{container}?rcn=8")["container"].get("contentInstance", [])
        return [one["content"] for one in found]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.process.stdout.close()  # type: ignore[union-attr]


async def measure(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    network = Network(server.coap, Weather(delay=options.delay), SEED)
    await network.open()
    device = SimulatedDevice("late", network.coap, version="1.1", objects=[server_object(300, "U")])
    await device.open()
    begun = time.monotonic()
    try:
        await device.register()
        for wish in WISHES[: options.wishes]:
            await asyncio.to_thread(server.call, "outgoing-msg", wish)
        updated, _ = await asyncio.gather(device.update(), device.send("/1/0/1"))
        await until(lambda: len(answers(server)) == options.wishes, PATIENCE * options.wishes)
        if options.wishes > 1:
            device.set("/1/0/2", 7)
            await until(lambda: "notification" in kinds(server), PATIENCE)
        seconds = time.monotonic() - begun
        # Repetitions and their answers that are still under way.
        await asyncio.sleep(2 * options.delay)
        said = Counter(one.direction for one in network.sent)
        return {
            "seconds": round(seconds, 1),
            "datagrams_up": said["up"],
            "datagrams_down": said["down"],
            "requests_up": len(network.requests("up")),
            "requests_down": len(network.requests("down")),
            "updated": updated.code == Code.CHANGED,
            "registered": [entry["event"] for entry in server.messages("logs")].count("registered"),
            "executed": len(device.executed),
            "sent": server.messages("sent-msg"),
            "answered": len(answers(server)),
            "sends": kinds(server).count("send"),
            "notifications": kinds(server).count("notification"),
            "errors": len(server.messages("error-msg")),
            "tracebacks": server.log.count("Traceback"),
        }
    finally:
        await device.stop()
        network.close()


def answers(server: Server) -> list[Any]:
    return [one for one in server.messages("received-msg") if "requestID" in one]


def kinds(server: Server) -> list[str]:
    return [one["messageType"] for one in server.messages("received-msg")]


async def until(condition: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--delay", type=float, default=10.0, help="seconds each way")
    parser.add_argument("--wishes", type=int, default=len(WISHES), help="how many requests to the device")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        server = Server(Path(place))
        try:
            figures = asyncio.run(measure(server, options))
        finally:
            server.stop()
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:15} {value}")


if __name__ == "__main__":
    main()
