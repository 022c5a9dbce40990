"""Simulated devices that bootstrap, so many at a time. For ``serverload.py``."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterator

from lwm2m_engine import Catalog
from lwm2m_server.simulator.bootstrapping import BootstrapClient, BootstrapRefused
from lwm2m_server.simulator.datagram import ResetReceived


async def run(port: int, devices: int, in_flight: int) -> dict[str, float]:
    types = Catalog.bundled().types
    waiting = iter(range(devices))
    times: list[float] = []
    errors = 0

    async def one_after_the_other() -> None:
        nonlocal errors
        for number in waiting:
            client = BootstrapClient(f"load-{number}", ("127.0.0.1", port), types)
            await client.open()
            begun = time.perf_counter()
            try:
                await client.bootstrap()
                times.append(time.perf_counter() - begun)
            except (TimeoutError, ResetReceived, BootstrapRefused):
                errors += 1
            finally:
                client.close()

    started = time.perf_counter()
    await asyncio.gather(*(one_after_the_other() for _ in range(in_flight)))
    seconds = time.perf_counter() - started
    return {
        "done": len(times),
        "errors": errors,
        "seconds": seconds,
        "rate": len(times) / seconds,
        **dict(_percentiles(sorted(times))),
        "generator_busy": time.process_time() / seconds,
    }


def _percentiles(times: list[float]) -> Iterator[tuple[str, float]]:
    for share in (50, 99):
        yield f"p{share}_us", times[len(times) * share // 100] * 1e6 if times else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("port", "devices", "in-flight"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(run(options.port, options.devices, options.in_flight))))


if __name__ == "__main__":
    main()
