"""A webhook that takes all it gets, at little cost. Run by ``serverload.py``.

Prints "listening". From the first notification on it waits for the warm-up, measures, and prints one JSON
object. A latency is from the event, which is the id of the request, until it is here; ``errors`` counts
notifications that came before an older one of their subscription.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from typing import Any

import uvloop
from httpload import END_OF_HEAD, cpu

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ID = re.compile(rb"\r\nx-m2m-ri: *([0-9a-f]+)", re.IGNORECASE)
_SUBSCRIPTION = re.compile(rb'"sur":"([^"]*)"')


class Seen:
    """What all connections have seen since ``clear``."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self._last: dict[bytes, int] = {}
        self.clear()

    def clear(self) -> None:
        self.latencies: list[float] = []
        self.errors = 0

    def take(self, head: bytes, body: bytes) -> None:
        self.begun.set()
        id, subscription = _ID.search(head), _SUBSCRIPTION.search(body)
        if id is None or subscription is None:
            self.errors += 1
            return
        number = int(id[1], 16)
        self.latencies.append(time.time() - number / 1e6)
        self.errors += self._last.get(subscription[1], 0) > number
        self._last[subscription[1]] = number

    @property
    def subscriptions(self) -> int:
        return len(self._last)


class Connection(asyncio.Protocol):
    def __init__(self, seen: Seen) -> None:
        self._seen, self._received = seen, b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data
        end = received.find(END_OF_HEAD)
        length = _LENGTH.search(received, 0, end + 2) if end >= 0 else None
        if length is None or len(received) < (whole := end + len(END_OF_HEAD) + int(length[1])):
            return
        self._received = received[whole:]
        self._seen.take(received[:end], received[end:whole])
        self._transport.write(ANSWER)


async def run(options: argparse.Namespace) -> dict[str, Any]:
    seen, loop = Seen(), asyncio.get_running_loop()
    await loop.create_server(lambda: Connection(seen), "127.0.0.1", options.port)
    print("listening", flush=True)
    await seen.begun.wait()
    await asyncio.sleep(options.warm_up)
    seen.clear()
    start, server, own = time.perf_counter(), cpu(options.pid), time.process_time()
    await asyncio.sleep(options.seconds)
    elapsed, server, own = time.perf_counter() - start, cpu(options.pid) - server, time.process_time() - own
    latencies = sorted(seen.latencies)
    done = len(latencies)
    return {
        "done": done,
        "errors": seen.errors,
        "rate": done / elapsed,
        "cpu_us": server / max(done, 1) * 1e6,
        "p50_us": latencies[done // 2] * 1e6,
        "p99_us": latencies[done * 99 // 100] * 1e6,
        "subscriptions": seen.subscriptions,
        "server_busy": server / elapsed,
        "sink_busy": own / elapsed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the server's process")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--warm-up", type=float, default=1.0)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(run(options))))


if __name__ == "__main__":
    main()
