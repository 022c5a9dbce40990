"""How soon the console's pages come, and whether a live page keeps up with its device.

python tests/benchmarks/consoleload.py                  # minutes, most of them to make 100,000 devices
python tests/benchmarks/consoleload.py --devices 1000 --seconds 5 --json

list    milliseconds of a page of the device list over HTTP with so many devices (--devices), all of them
        registered: median and worst of twenty requests each, one after the other, after one that is not
        counted; and the server's processor time for one
live    a page with 20 Resources of one device in Chromium, each changed so often that --rate changes a second
        come: milliseconds from the change in the device to the browser showing it, and how much the page
        holds, early and late
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
from playwright.async_api import async_playwright
from processes import HERE, Server

from lwm2m_engine.values import ResourceType
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.simulator.objects import device_object, server_object
from lwm2m_server.simulator.tree import Resource, SimulatedObject

LISTS = {
    "first": "",
    "search, one": "?q=load-4711",
    "search, many": "?q=load-9",
    "by last seen": "?sort=lastSeen&order=desc",
    "last page": "?offset={last}",
}
REQUESTS = 20
SENSORS = 20
TEMPERATURE, VALUE = 3303, 5700
SETTLED = 3.0
"""Seconds until the page is looked at for the first time."""
WATCH = """begin => {
  const shown = new Map()
  window.delays = []
  const look = () => {
    for (const cell of document.querySelectorAll('[id^="v-"]')) {
      if (!/3303.*5700/.test(cell.id)) continue
      const text = cell.querySelector('.number-value')?.textContent ?? ''
      if (shown.get(cell.id) === text) continue
      shown.set(cell.id, text)
      const value = Number(text.replace(/[^0-9.]/g, ''))
      if (value > 1000) window.delays.push([value, Date.now() - begin - value])
    }
  }
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true, characterData: true})
}"""


def lists(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """On a data directory that a server left with all of them registered."""
    with tempfile.TemporaryDirectory() as folder:
        fill = [sys.executable, HERE / "prefill.py", "data", "--devices", str(options.devices)]
        subprocess.run([*fill, "--observations", "1"], check=True, cwd=folder)
        server = Server(Path(folder))
        try:
            with httpx.Client(base_url=server.addresses["http"], timeout=60.0) as client:
                return {name: _asked(server, client, query, options) for name, query in LISTS.items()}
        finally:
            server.stop()


def _asked(server: Server, client: httpx.Client, query: str, options: argparse.Namespace) -> dict[str, float]:
    path = f"/console/devices{query.format(last=options.devices - 50)}"
    client.get(path).raise_for_status()
    took, before = [], server.cpu
    for _ in range(REQUESTS):
        begin = time.perf_counter()
        client.get(path).raise_for_status()
        took.append((time.perf_counter() - begin) * 1e3)
    cpu = (server.cpu - before) / REQUESTS * 1e3
    return {"median_ms": round(median(took), 1), "worst_ms": round(max(took), 1), "cpu_ms": round(cpu, 1)}


async def live(options: argparse.Namespace) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        device = _device(server)
        try:
            await device.start()
            await asyncio.wait_for(device.registered(), 20)
            return await _followed(server, device, options)
        finally:
            await device.stop()
            server.stop()


def _device(server: Server) -> SimulatedDevice:
    sensors = {number: {VALUE: Resource(ResourceType.FLOAT, 0.0)} for number in range(SENSORS)}
    objects = [server_object(3600, "U"), device_object(), SimulatedObject(TEMPERATURE, sensors)]
    address = ("127.0.0.1", server.coap_port)
    return SimulatedDevice("live-1", address, version="1.1", objects=objects, confirmable=False)


async def _followed(server: Server, device: SimulatedDevice, options: argparse.Namespace) -> dict[str, float]:
    url = server.addresses["http"]
    async with httpx.AsyncClient(base_url=url, timeout=30.0) as client:
        for path in _paths():
            observe = {"method": "Observe", "params": {"id": path}}
            answer = await client.post("/api/v1/devices/live-1/rpc", json=observe)
            answer.raise_for_status()
    async with async_playwright() as playwright:
        program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = await playwright.chromium.launch(executable_path=program, args=arguments)
        page = await browser.new_page()
        await page.goto(f"{url}/console/devices/live-1/objects?q={TEMPERATURE}")
        metrics = await page.context.new_cdp_session(page)
        await metrics.send("Performance.enable")
        begin, before = time.time(), server.cpu
        await page.evaluate(WATCH, begin * 1e3)
        changing = asyncio.create_task(_change(device, begin, options))
        await asyncio.sleep(SETTLED)
        early = await _held(metrics)
        sent = await changing
        cpu = (server.cpu - before) / (time.time() - begin)
        await asyncio.sleep(2.0)
        late = await _held(metrics)
        delays: list[tuple[float, float]] = await page.evaluate("window.delays")
        await browser.close()
    return _told(delays, sent, options, cpu) | {
        "heap_early_mb": early["JSHeapUsedSize"],
        "heap_late_mb": late["JSHeapUsedSize"],
        "nodes_early": early["Nodes"],
        "nodes_late": late["Nodes"],
    }


async def _change(device: SimulatedDevice, begin: float, options: argparse.Namespace) -> int:
    """Each value is the millisecond it was set in."""
    sent, paths = 0, _paths()
    while (now := time.time() - begin) < options.seconds:
        while sent < now * options.rate:
            device.set(paths[sent % SENSORS], float(round((time.time() - begin) * 1e3)))
            sent += 1
        await asyncio.sleep(0.002)
    return sent


def _paths() -> list[str]:
    return [f"/{TEMPERATURE}/{number}/{VALUE}" for number in range(SENSORS)]


async def _held(metrics: Any) -> dict[str, float]:
    """What is left after garbage collection."""
    await metrics.send("HeapProfiler.collectGarbage")
    found = (await metrics.send("Performance.getMetrics"))["metrics"]
    values = {one["name"]: one["value"] for one in found}
    return {"JSHeapUsedSize": round(values["JSHeapUsedSize"] / 1e6, 2), "Nodes": values["Nodes"]}


def _told(
    delays: list[tuple[float, float]], sent: int, options: argparse.Namespace, cpu: float
) -> dict[str, float]:
    if not delays:
        raise SystemExit("the page showed no change")
    halves = [
        [delay for at, delay in delays if (at < options.seconds * 500) is first] for first in (True, False)
    ]
    all_of_them = [delay for _, delay in delays]
    return {
        "changes_per_second": round(sent / options.seconds, 1),
        "shown_per_second": round(len(delays) / options.seconds, 1),
        "delay_median_ms": round(median(all_of_them)),
        "delay_p99_ms": round(quantiles(all_of_them, n=100)[98]),
        "delay_worst_ms": round(max(all_of_them)),
        "delay_first_half_ms": round(median(halves[0] or [0.0])),
        "delay_second_half_ms": round(median(halves[1] or [0.0])),
        "last_shown_at_s": round(max(at for at, _ in delays) / 1e3, 2),
        "server_cpu": round(cpu, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=30.0, help="of the live page")
    parser.add_argument("--rate", type=float, default=200.0, help="changes a second there")
    parser.add_argument("--only", choices=["list", "live"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    if options.only != "live":
        found["list"] = lists(options)
    if options.only != "list":
        found["live"] = asyncio.run(live(options))
    print(json.dumps(found, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
