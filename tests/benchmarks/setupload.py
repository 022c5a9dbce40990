"""Devices that register all at once and are set up by their profile. For ``serverload.py``.

Each answers some milliseconds after it is asked, so that whoever asks it twice meanwhile is found out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

from aiocoap import CON, Message
from aiocoap.numbers.codes import CREATED, POST

LINKS = b'</>;rt="oma.lwm2m";ct=112,</1/0>,' + b",".join(b"</3303/%d>" % number for number in range(10))
PER_DEVICE = 21
"""A Write-Attributes and the observations of two Resources of ten Object Instances."""
ANSWER_AFTER = 0.005
WITHIN = 600.0
LINK_FORMAT = 40
GET, PUT = 1, 3
OBSERVE = 6
OBSERVED = b"\x61\x01\x60\xff7"
"""Observe 1, text/plain, and a value."""


class Device(asyncio.DatagramProtocol):
    """One that has a socket of its own."""

    def __init__(self, number: int) -> None:
        self.number, self.mid = number, 0
        self.begin()

    def begin(self) -> None:
        """Everything from now on is of another registration."""
        self.open: set[bytes] = set()
        self.done: dict[bytes, bytes] = {}
        """Replies by Message ID."""
        self.most = self.observed = self.written = 0
        self.registered = asyncio.Event()
        self.ready = asyncio.Event()
        self.seconds = 0.0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    async def register(self) -> None:
        self.begin()
        self.mid += 1
        query = (f"ep=load-{self.number}", "lt=3600", "lwm2m=1.1", "b=U")
        options = {"uri_path": ("rd",), "uri_query": query, "content_format": LINK_FORMAT, "payload": LINKS}
        message = Message(code=POST, _mtype=CON, _mid=self.mid, _token=b"r", **options)
        self.asked = time.perf_counter()
        while not self.registered.is_set():
            self.transport.sendto(message.encode())
            try:
                await asyncio.wait_for(self.registered.wait(), 2.0)
            except TimeoutError:
                continue

    def datagram_received(self, data: bytes, peer: object) -> None:
        code, mid = data[1], data[2:4]
        if code == CREATED:
            # That to a former Register may still be on its way.
            if int.from_bytes(mid, "big") == self.mid:
                self.registered.set()
        elif mid in self.done:
            self.transport.sendto(self.done[mid])
        elif code in (GET, PUT):
            self.open.add(mid)
            self.most = max(self.most, len(self.open))
            asyncio.get_running_loop().call_later(ANSWER_AFTER, self.answer, data)

    def answer(self, data: bytes) -> None:
        length, mid = data[0] & 15, data[2:4]
        if mid not in self.open:
            return
        self.open.discard(mid)
        token = data[4 : 4 + length]
        if data[1] == PUT:
            self.written += 1
            reply = b"\x44" + mid + token
        elif _is_observe(data[4 + length :]):
            self.observed += 1
            reply = b"\x45" + mid + token + OBSERVED
        else:
            reply = b"\x45" + mid + token + OBSERVED[2:]
        self.done[mid] = bytes([0x60 | length]) + reply
        self.transport.sendto(self.done[mid])
        if self.observed + self.written == PER_DEVICE:
            self.seconds = time.perf_counter() - self.asked
            self.ready.set()


def _is_observe(options: bytes) -> bool:
    """The first option that is no Uri-Host."""
    number, at = 0, 0
    while at < len(options) and options[at] != 0xFF and number < OBSERVE:
        number += options[at] >> 4
        if number == OBSERVE:
            return True
        at += 1 + (options[at] & 15)
    return False


async def run(port: int, count: int, in_flight: int) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    devices = [Device(number) for number in range(count)]
    for device in devices:
        await loop.create_datagram_endpoint(lambda device=device: device, remote_addr=("127.0.0.1", port))
    await _register(devices, in_flight)
    print("set up", flush=True)
    started, used = time.perf_counter(), time.process_time()
    await _register(devices, in_flight)
    seconds = time.perf_counter() - started
    times = sorted(device.seconds for device in devices)
    exchanges = sum(len(device.done) for device in devices)
    return {
        "done": count,
        "errors": sum(len(device.done) - PER_DEVICE for device in devices),
        "seconds": seconds,
        "rate": exchanges / seconds,
        "exchanges": exchanges,
        "in_flight": max(device.most for device in devices),
        **dict(_percentiles(times)),
        "generator_busy": (time.process_time() - used) / seconds,
    }


async def _register(devices: list[Device], in_flight: int) -> None:
    """All of them, so many at a time; until each is set up."""
    waiting = iter(devices)

    async def one_after_the_other() -> None:
        for device in waiting:
            await device.register()

    await asyncio.gather(*(one_after_the_other() for _ in range(in_flight)))
    async with asyncio.timeout(WITHIN):
        for device in devices:
            await device.ready.wait()


def _percentiles(times: list[float]) -> Iterator[tuple[str, float]]:
    for share in (50, 99):
        yield f"p{share}_us", times[len(times) * share // 100] * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("port", "devices", "in-flight"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(run(options.port, options.devices, options.in_flight))))


if __name__ == "__main__":
    main()
