"""A firmware campaign over many simulated devices on a bad network, with a server that is killed in between.

    python tests/benchmarks/campaignload.py --devices 200 --size 1048576 --loss 0.2 --kill-at 0.3

Prints JSON: what became of the devices, how long it took, and for how many the server says something else
than is true of the device (``wrong``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import structlog

from lwm2m_server.coap.timing import Timing
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.simulator.fleet import Fleet
from lwm2m_server.simulator.images import make_image
from lwm2m_server.simulator.updating import Delivery, UpdateOptions

VERSION = "2.0.0"
TIMES = {
    "LWM2M_TRANSMISSION_ACK_TIMEOUT": "0.1",
    "LWM2M_TRANSMISSION_MAX_RETRANSMIT": "4",
    "LWM2M_TRANSMISSION_RESPONSE_TIMEOUT": "5",
    "LWM2M_UPDATES_POLL": "1",
    "LWM2M_UPDATES_SOON": "0.5",
    "LWM2M_UPDATES_STALL": "5",
    "LWM2M_UPDATES_INSTALL": "30",
    "LWM2M_UPDATES_SETTLE": "1",
    "LWM2M_UPDATES_FIRST_RETRY": "0.5",
    "LWM2M_UPDATES_LONGEST_RETRY": "2",
}
"""Short enough for somebody to wait for what follows from them."""
TIMING = Timing(ack_timeout=0.1, ack_random_factor=1.5, max_retransmit=4, response_timeout=10.0)


class Server:
    """``lwm2m serve`` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.http, self.coap = "127.0.0.1:0", "127.0.0.1:0"

    def start(self) -> None:
        command = [sys.executable, "-m", "lwm2m_server.launcher", "serve", "--data", self._folder / "data"]
        command += ["--coap", self.coap, "--http", self.http, "--unknown-devices", "create"]
        with (self._folder / "log").open("ab") as log:
            environment = {**os.environ, **TIMES, "LWM2M_LOG_LEVEL": "warning"}
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)
        assert self._process.stdout is not None
        addresses = json.loads(self._process.stdout.readline())
        self.http, self.coap = addresses["http"].removeprefix("http://"), addresses["coap"]

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def devices_for(server: Server, options: argparse.Namespace) -> Fleet:
    """Some that push, some that pull, and some on whom not all goes well."""
    host, _, port = server.coap.rpartition(":")
    made = []
    for number in range(options.devices):
        delivery = (Delivery.BOTH, Delivery.PULL, Delivery.PUSH)[number % 3]
        updating = UpdateOptions(install=0.2, reboot=0.5, delivery=delivery)
        device = SimulatedDevice(
            f"device{number:04d}", (host, int(port)), version="1.1", timing=TIMING, updating=updating
        )
        device.faults.loss, device.faults.random = options.loss, random.Random(number)
        afflict(device, number, options.size)
        made.append(device)
    return Fleet(made)


def afflict(device: SimulatedDevice, number: int, size: int) -> None:
    faults = device.update_faults
    match number % 25:
        case 3:
            faults.result, faults.times = 8, 1
        case 7:
            faults.power_loss_at = size // 2
        case 11:
            faults.power_loss_at, faults.forgetful = size // 3, True
        case 15:
            faults.power_loss_installing = True
        case 19:
            faults.lying = True
        case 23:
            faults.result, faults.times = 5, 1
    if number in (5, 12):
        faults.lost = True


async def play(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=f"http://{server.http}", timeout=60) as http:
        image = make_image("firmware", VERSION, random.Random(1).randbytes(options.size))
        query = {"name": "fw", "title": "firmware", "version": VERSION, "type": "firmware"}
        octets = {"content-type": "application/octet-stream"}
        (await http.post("/api/v1/packages", params=query, content=image, headers=octets)).raise_for_status()
        async with fleet_of(server, options) as fleet:
            await asyncio.wait_for(fleet.registered(), 60)
            campaign = {
                "name": "c",
                "package": "fw",
                "target": {"endpoint": "*"},
                "waves": [{"percent": 1}, {"percent": 10, "completed": 50}],
                "maxInProgress": options.at_once,
                "attempts": 6,
            }
            (await http.post("/api/v1/campaigns", json=campaign)).raise_for_status()
            began = time.monotonic()
            (await http.post("/api/v1/campaigns/c/start")).raise_for_status()
            found, most = await follow(http, server, options.kill_at)
            seconds = time.monotonic() - began
            return {
                "seconds": round(seconds, 1),
                "state": found["state"],
                "counts": found["counts"],
                "failures": found["failures"],
                "most": most,
                "restarts": sum(device.restarts for device in fleet.devices),
                "kills": int(options.kill_at is not None),
                **await judged(http, fleet),
            }


@asynccontextmanager
async def fleet_of(server: Server, options: argparse.Namespace) -> AsyncIterator[Fleet]:
    async with devices_for(server, options) as fleet:
        yield fleet


async def follow(
    http: httpx.AsyncClient, server: Server, kill_at: float | None
) -> tuple[dict[str, Any], int]:
    """The campaign at its end, and the most that were under way at a time."""
    most = 0
    while True:
        found: dict[str, Any] = (await http.get("/api/v1/campaigns/c")).raise_for_status().json()
        if found["state"] in ("finished", "aborted", "expired"):
            return found, most
        most = max(most, found["counts"]["active"] - found["awaitingApproval"])
        if kill_at is not None and found["progress"] >= kill_at:
            kill_at = None
            server.kill()
            await asyncio.to_thread(server.start)
        await asyncio.sleep(0.25)


async def judged(http: httpx.AsyncClient, fleet: Fleet) -> dict[str, Any]:
    """What the server says of each device, against what runs there."""
    rows: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        query = {"limit": 1000, "after": after}
        page = (await http.get("/api/v1/campaigns/c/devices", params=query)).raise_for_status().json()
        rows += page["devices"]
        after = page.get("next")
    said = {row["device"]: row for row in rows}
    ends = Counter(row["update"]["state"] for row in rows)
    wrong = [
        said[device.endpoint]
        for device in fleet.devices
        if (said[device.endpoint]["state"] == "succeeded") != (device.get("/3/0/3").content == VERSION)
        and device.powered
    ]
    return {"devices": len(said), "ends": dict(ends), "wrong": wrong}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--devices", type=int, default=200)
    parser.add_argument("--size", type=int, default=16384, help="bytes of the image")
    parser.add_argument("--loss", type=float, default=0.2, help="of all datagrams, each way")
    parser.add_argument("--at-once", type=int, default=100, help="devices under way at a time")
    parser.add_argument("--kill-at", type=float, help="the share that is done when the server is killed")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        server.start()
        try:
            print(json.dumps(asyncio.run(play(server, options)), indent=2))
        finally:
            server.kill()


if __name__ == "__main__":
    main()
