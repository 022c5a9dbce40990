"""What devices tell, into a real ledger and out of it again.

python tests/benchmarks/telemetryload.py                       # some minutes, 10 million values
python tests/benchmarks/telemetryload.py --values 1000000 --json

insert        values a second, durable when counted: notifications of 5 values from 1,000 devices
              (--devices), committed as they would be; what becomes history meanwhile is in it
insert-power-safe   the same with each commit synced
range         milliseconds for 24 hours of one Resource, 1,440 values, with so many stored (--values):
              median and the worst of a hundred, each of another device
latest        milliseconds for the last values of a device, there
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import tempfile
import time
from pathlib import Path
from statistics import median

from lwm2m_engine.entries import Entry
from lwm2m_engine.paths import Path as LwPath
from lwm2m_server.settings import TelemetrySettings
from lwm2m_server.store.ids import NodeIds
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Resource
from lwm2m_server.store.reports import SECOND, report
from lwm2m_server.store.series import chunks
from lwm2m_server.store.telemetry import Change
from lwm2m_server.telemetry.keeping import Keeper

BEGIN = 1_800_000_000
KEYS = 5
DAY = 1_440
PLACES = [LwPath((3303, 0, id)) for id in (5700, 5601, 5602, 5603, 5604)]
UNDER_WAY = 64
"""Commits that wait at a time."""


def _node(number: int) -> int:
    return (number + 1) * NodeIds.COUNT + 1_000_000


def add_nodes(ledger: SqliteLedger, devices: int) -> None:
    for number in range(devices):
        node = Resource(_node(number), "main", 1, f"d{number}", 14, "m2m:nod", {"ni": f"d{number}"}, 0)
        ledger.run(lambda transaction, node=node: transaction.put(node))


async def insert(folder: Path, devices: int, seconds: float, *, power_safe: bool) -> dict[str, float]:
    ledger = SqliteLedger(folder / f"insert-{power_safe}.db", power_safe=power_safe)
    add_nodes(ledger, devices)
    keeper = Keeper(ledger, TelemetrySettings())
    keeper.start()
    places, count, lag = random.Random(1), 0, 0.0
    begin, processor = time.perf_counter(), _processor()
    while time.perf_counter() - begin < seconds:
        commits = []
        for _ in range(UNDER_WAY):
            node, at = _node(places.randrange(devices)), BEGIN + count / 10_000
            entries = [Entry(place, round(20 + places.random(), 2)) for place in PLACES]
            line = report(at, "notify", entries)
            commits.append(
                ledger.commit(lambda transaction, node=node, line=line: transaction.add_values(node, line))
            )
            count += KEYS
        turn = time.perf_counter()
        await asyncio.gather(*commits)
        lag = max(lag, time.perf_counter() - turn)
    elapsed, spent = time.perf_counter() - begin, _processor() - processor
    await keeper.close()
    ledger.close()
    return {
        "values_per_second": round(count / elapsed),
        "cpu_us_per_value": round(spent / count * 1e6, 2),
        "longest_turn_ms": round(lag * 1000, 1),
    }


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def fill(ledger: SqliteLedger, values: int) -> int:
    """Days of minutes, as they lie there when they are history; returns how many devices."""
    devices = max(values // (KEYS * DAY * 10), 1)
    add_nodes(ledger, devices)
    rng = random.Random(2)
    for number in range(devices):
        changes = []
        for place in PLACES:
            points = [((BEGIN + 60 * minute) * SECOND, rng.randrange(400) / 10) for minute in range(DAY * 10)]
            changes.append(Change(place.key, (), tuple(chunks(points))))
        node = _node(number)
        ledger.run(lambda transaction, node=node, changes=changes: transaction.change_chunks(node, changes))
    return devices


def read(ledger: SqliteLedger, devices: int) -> dict[str, float]:
    rng, ranges, latest = random.Random(3), [], []
    for _ in range(100):
        node, day = _node(rng.randrange(devices)), rng.randrange(9)
        since = (BEGIN + day * 86_400) * SECOND
        begin = time.perf_counter()
        found = sum(
            map(
                len,
                ledger.reader.points(
                    node, rng.choice(PLACES).key, since=since, until=since + 86_400 * SECOND
                ),
            )
        )
        ranges.append(time.perf_counter() - begin)
        assert found == DAY, found
        begin = time.perf_counter()
        ledger.reader.latest_values(node)
        latest.append(time.perf_counter() - begin)
    return {
        "range_median_ms": round(median(ranges) * 1000, 2),
        "range_worst_ms": round(max(ranges) * 1000, 2),
        "latest_median_ms": round(median(latest) * 1000, 2),
    }


def run(folder: Path, *, devices: int, values: int, seconds: float) -> dict[str, dict[str, float]]:
    found = {
        "insert": asyncio.run(insert(folder, devices, seconds, power_safe=False)),
        "insert-power-safe": asyncio.run(insert(folder, devices, seconds, power_safe=True)),
    }
    ledger = SqliteLedger(folder / "filled.db")
    begin = time.perf_counter()
    count = fill(ledger, values)
    filled = round(time.perf_counter() - begin, 1)
    # As after a restart: nothing of it is in this process's memory.
    ledger.close()
    ledger = SqliteLedger(folder / "filled.db")
    found["range"] = read(ledger, count) | {
        "values": count * KEYS * DAY * 10,
        "megabytes": round(ledger.sizes()["ledger"] / 1e6),
        "fill_seconds": filled,
    }
    ledger.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--values", type=int, default=10_000_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each insert")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), devices=options.devices, values=options.values, seconds=options.seconds)
    if options.json:
        print(json.dumps(found))
        return
    for case, figures in found.items():
        print(case.ljust(18), "  ".join(f"{name}={value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
