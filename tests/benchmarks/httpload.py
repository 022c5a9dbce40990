"""HTTP load generator: the same requests again and again on keep-alive connections. Run by ``serverload.py``.

Written for little work a request: bytes made once, answers cut by their Content-Length. Prints
"connected", and in the end one JSON object; ``generator_busy`` near 1 says that the generator was the
limit, not the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
import time
from itertools import cycle
from pathlib import Path

import uvloop

HEADERS = {"Host": "localhost", "Accept": "application/json", "X-M2M-Origin": "CLoad", "X-M2M-RI": "1"}
END_OF_HEAD = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def request(method: str, path: str, body: bytes, content_type: str) -> bytes:
    headers = {**HEADERS, "Content-Length": str(len(body))}
    if body:
        headers["Content-Type"] = content_type
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + END_OF_HEAD + body


class Load:
    """What all connections have seen since ``clear``. ``rate`` is requests a second, 0 as many as can be."""

    def __init__(self, requests: list[bytes], rate: float) -> None:
        self.requests = cycle(requests)
        self._interval = 1 / rate if rate else 0.0
        self._next = 0.0
        self.over = False
        self.problem = ""
        self.clear()

    def clear(self) -> None:
        self.latencies: list[float] = []
        self.errors = 0

    def due(self, now: float) -> float:
        """When the next request is to be made; late ones are made up for."""
        if not self._interval:
            return now
        self._next = (self._next or now) + self._interval
        return self._next


class Connection(asyncio.Protocol):
    """Asks, waits for the whole answer, and asks again."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._plan()

    def connection_lost(self, reason: Exception | None) -> None:
        if not self._load.over:
            self._load.problem = f"a connection is lost: {reason}"

    def _plan(self) -> None:
        """A latency counts from when the request was due, also if no connection was free then."""
        now = time.perf_counter()
        self._asked = self._load.due(now)
        if self._asked > now:
            self._loop.call_later(self._asked - now, self._ask)
        else:
            self._ask()

    def _ask(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(next(self._load.requests))

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data
        head = received.find(END_OF_HEAD)
        if head < 0:
            return
        length = _LENGTH.search(received, 0, head)
        if length is None:
            self._load.problem = f"an answer without Content-Length: {received[:head]!r}"
            self._transport.close()
            return
        if len(received) < head + len(END_OF_HEAD) + int(length[1]):
            return
        load = self._load
        load.latencies.append(time.perf_counter() - self._asked)
        if not received.startswith(b"HTTP/1.1 2"):
            load.errors += 1
        self._received = b""
        if load.over:
            self._transport.close()
        else:
            self._plan()


def cpu(pid: int) -> float:
    """Seconds all threads of a process have run (proc(5), /proc/PID/stat, fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def run(options: argparse.Namespace) -> dict[str, float]:
    body = options.body.encode()
    method = "POST" if body else "GET"
    numbers = range(0, options.paths, options.step)
    paths = [options.path.replace("{}", str(number)) for number in numbers]
    load = Load([request(method, path, body, options.content_type) for path in paths], options.rate)
    loop = asyncio.get_running_loop()
    for _ in range(options.connections):
        await loop.create_connection(lambda: Connection(load), "127.0.0.1", options.port)
    print("connected", flush=True)
    await asyncio.sleep(options.warm_up)
    load.clear()
    start, server, own = time.perf_counter(), cpu(options.pid), time.process_time()
    await asyncio.sleep(options.seconds)
    elapsed, server, own = time.perf_counter() - start, cpu(options.pid) - server, time.process_time() - own
    latencies, load.over = sorted(load.latencies), True
    done = len(latencies)
    if load.problem or not done:
        sys.exit(load.problem or "nothing was answered")
    return {
        "done": done,
        "errors": load.errors,
        "rate": done / elapsed,
        "cpu_us": server / done * 1e6,
        "p50_us": latencies[done // 2] * 1e6,
        "p99_us": latencies[done * 99 // 100] * 1e6,
        "server_busy": server / elapsed,
        "generator_busy": own / elapsed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True, help="with {} for a number")
    parser.add_argument("--paths", type=int, default=1, help="so many numbers take turns, from 0")
    parser.add_argument("--step", type=int, default=1, help="leaving out all between multiples of this")
    parser.add_argument("--pid", type=int, required=True, help="the server's process")
    parser.add_argument("--body", default="", help="POST this; GET without")
    parser.add_argument("--content-type", default="application/json")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; 0 as many as can be")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--warm-up", type=float, default=1.0)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(run(options))))


if __name__ == "__main__":
    main()
