"""A flood of registrations, and what devices that are registered notice of it.

    python tests/faults/flood.py                                  # 50,000/s for 10 s from 1,000 addresses
    python tests/faults/flood.py --seconds 2 --json
    python tests/faults/flood.py --nat                            # all of it from the address of the devices

A server in a process of its own, on one core, that knows the devices and no others; the flood comes from
the last core. The devices send Updates all the while, and repeat them as RFC 7252 says. Linux, with a C
compiler.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lwm2m_engine.coap import Code
from lwm2m_server.coap.options import LOCATION_PATH
from lwm2m_server.coap.timing import Timing
from lwm2m_server.coap.wire import Message
from lwm2m_server.simulator.scripted import CON, ScriptedDevice

HERE = Path(__file__).parent
NODES = "/device-management-orchestrator/v3/main"
TIMING = Timing()
FIELD = 93
"""Seconds the devices are awaited at most after the flood: their retransmissions end before."""


class Server:
    """``lwm2m serve`` on the first core, with devices that may register."""

    def __init__(self, directory: Path, *, unknown: str, cores: list[int]) -> None:
        flags = [
            "--coap",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
            "--data",
            "data",
            "--unknown-devices",
            unknown,
        ]
        self._log = directory / "log"
        os.sched_setaffinity(0, {cores[0]})
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lwm2m_server.launcher", "serve", *flags],
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=directory,
                env={**os.environ, "XDG_CONFIG_HOME": str(directory)},
            )
        os.sched_setaffinity(0, {cores[-1]})
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the server did not start: {self._log.read_text()}")
        addresses = json.loads(line)
        self.http = addresses["http"]
        self.port = int(addresses["coap"].rpartition(":")[2])

    def introduce(self, name: str) -> None:
        body = json.dumps({"m2m:nod": {"rn": name, "ni": f"urn:dev:{name}"}}).encode()
        headers = {"Content-Type": "application/json;ty=14", "X-M2M-Origin": "CFlood", "X-M2M-RI": "1"}
        request = urllib.request.Request(self.http + NODES, body, headers)
        with urllib.request.urlopen(request):
            pass

    @property
    def resident(self) -> int:
        """Bytes."""
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def shed(self) -> int:
        """Datagrams that the log says were not looked at; it says so once a minute."""
        return sum(map(int, re.findall(r"\bshed=(?:\x1b\[\d+m)*(\d+)", self._log.read_text())))

    @property
    def log(self) -> str:
        return self._log.read_text()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.process.stdout.close()  # type: ignore[union-attr]


class Device:
    """Updates its registration again and again, as long as there is a flood."""

    def __init__(self, scripted: ScriptedDevice, name: str) -> None:
        self._scripted, self._name = scripted, name
        self.delays: list[float] = []
        self.repeated = 0
        self.lost = 0

    @classmethod
    async def open(cls, server: Server, number: int, nat: bool) -> Device:
        """At an address of its own, or at a port of the address that the flood comes from."""
        local = ("127.2.0.1", 0) if nat else (f"127.3.{number // 250}.{number % 250 + 1}", 0)
        return cls(await ScriptedDevice.open(("127.0.0.1", server.port), local=local), f"device{number:03d}")

    async def register(self) -> None:
        query = f"ep={self._name}&lwm2m=1.1&lt=300"
        answer = await self._scripted.send(Code.POST, "/rd", query, 40, b"</1/0>,</3303/0>")
        assert answer.code == Code.CREATED, answer
        self._location = "/".join(value.decode() for kind, value in answer.options if kind == LOCATION_PATH)

    async def update(self, until: float, pause: float, after: float = 0.0) -> None:
        await asyncio.sleep(after)
        while time.monotonic() < until:
            await self._update()
            await asyncio.sleep(pause)

    async def _update(self) -> None:
        asked, begun = self._scripted.request(Code.POST, self._location), time.monotonic()
        patience = TIMING.ack_timeout * TIMING.ack_random_factor
        for attempt in range(TIMING.max_retransmit + 1):
            self._scripted.emit(asked)
            self.repeated += attempt > 0
            if await self._answered(asked, patience * 2**attempt):
                self.delays.append(time.monotonic() - begun)
                return
        self.lost += 1

    async def _answered(self, asked: Message, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    message = await self._scripted.receive(seconds)
                    if message.type == CON:
                        self._scripted.acknowledge(message)
                    if message.token == asked.token and message.is_response:
                        return message.code == Code.CHANGED
        return False

    def close(self) -> None:
        self._scripted.close()


@contextlib.contextmanager
def flooding(server: Server, options: argparse.Namespace, directory: Path) -> Iterator[subprocess.Popen[str]]:
    flood = directory / "flood"
    subprocess.run(["cc", "-O2", "-o", flood, HERE / "flood.c"], check=True)
    numbers = [server.port, options.rate, options.seconds, 1 if options.nat else options.addresses]
    with subprocess.Popen([flood, *map(str, numbers)], stdout=subprocess.PIPE, text=True) as process:
        yield process


async def measure(server: Server, options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    devices = []
    for number in range(options.devices):
        server.introduce(f"device{number:03d}")
        devices.append(await Device.open(server, number, options.nat))
        await devices[-1].register()
    before, resident = server.resident, [server.resident]
    with flooding(server, options, directory) as flood:
        end = time.monotonic() + options.seconds
        starts = [options.pause * number / len(devices) for number in range(len(devices))]
        updating = [
            asyncio.create_task(device.update(end, options.pause, after))
            for device, after in zip(devices, starts, strict=True)
        ]
        while time.monotonic() < end:
            resident.append(server.resident)
            await asyncio.sleep(0.2)
        sent, _ = flood.communicate(timeout=60)
    await asyncio.wait_for(asyncio.gather(*updating), FIELD)
    # One more each: the flood has left nothing behind.
    after = time.monotonic()
    await asyncio.gather(*(device.update(after + 0.01, 0.01) for device in devices))
    delays = sorted(delay for device in devices for delay in device.delays)
    for device in devices:
        device.close()
    return {
        "sent": int(sent),
        "shed_logged": server.shed,
        "updates": len(delays),
        "repeated": sum(device.repeated for device in devices),
        "lost": sum(device.lost for device in devices),
        "p50_ms": round(delays[len(delays) // 2] * 1000, 1),
        "p99_ms": round(delays[len(delays) * 99 // 100] * 1000, 1),
        "max_ms": round(delays[-1] * 1000, 1),
        "mb_before": round(before / 1e6, 1),
        "mb_most": round(max(resident) / 1e6, 1),
        "mb_after": round(server.resident / 1e6, 1),
        "log_bytes": len(server.log),
        "tracebacks": server.log.count("Traceback"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=int, default=50_000, help="registrations a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--addresses", type=int, default=1000)
    parser.add_argument("--devices", type=int, default=50, help="registered before")
    parser.add_argument("--pause", type=float, default=5.0, help="seconds between two Updates of a device")
    parser.add_argument("--nat", action="store_true", help="the devices and the flood behind one address")
    parser.add_argument("--unknown", choices=("reject", "create"), default="reject")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if shutil.which("cc") is None:
        raise SystemExit("the flood needs a C compiler, and there is no cc")
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        server = Server(directory, unknown=options.unknown, cores=sorted(os.sched_getaffinity(0)))
        try:
            figures = asyncio.run(measure(server, options, directory))
        finally:
            server.stop()
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:12} {value}")


if __name__ == "__main__":
    main()
