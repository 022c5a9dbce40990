"""What a page of the list of devices costs, for each way to look at the fleet.

    python tests/benchmarks/listload.py --devices 100000
    python tests/benchmarks/listload.py --devices 100000 --only lastSeen

A server with a mixed fleet (``prefill.py --mixed``), profiles and a group; each question is asked
``--times`` times, one after the other. CPU is that of the whole server. Then it is asked as often again, and
``held`` is the longest that a ``GET /healthz`` waited meanwhile: so long are others kept waiting.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processes import HERE, Server

BASE = "/device-management-orchestrator/v3/main"
PROFILES = {
    "meters": {"groups": [], "rules": [{"endpoint": "load-1*", "priority": 1}], "default": False},
    "rest": {"groups": [], "rules": [], "default": True},
}
QUERIES = (
    *("", "sort=name", "sort=name&order=desc", "sort=endpoint", "sort=registeredAt&order=desc"),
    *("sort=lastSeen", "sort=lastSeen&order=desc", "sort=lastSeen&offset=50000"),
    *("offset=90000", "sort=name&offset=90000", "registered=true", "registered=false"),
    *("registered=true&sort=name&offset=60000", "registered=true&sort=lastSeen&order=desc"),
    *("registered=false&sort=name", "q=load-77", "q=load-77&sort=name", "q=77&state=awake", "q=load"),
    *("q=load&sort=name", "q=77&sort=lastSeen&order=desc", "q=load&sort=lastSeen"),
    *("state=awake", "state=asleep", "state=awake&sort=name", "state=asleep&sort=lastSeen&order=desc"),
    *("state=awake&sort=registeredAt", "profile=meters", "profile=rest&sort=name"),
    *("profile=meters&sort=lastSeen&order=desc", "profile=meters&state=awake&q=77", "group=Night"),
    *("group=Night&state=awake&sort=lastSeen", "group=Night&profile=meters&q=1"),
)


class Watch:
    """The longest that a small question waited for its answer, in seconds."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port)
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._over = False
        self.longest = 0.0
        self._thread.start()

    def _ask(self) -> None:
        while not self._over:
            start = time.perf_counter()
            self._http.request("GET", "/healthz")
            self._http.getresponse().read()
            self.longest = max(self.longest, time.perf_counter() - start)
            time.sleep(0.002)

    def stop(self) -> None:
        self._over = True
        self._thread.join()
        self._http.close()


@contextmanager
def filled(options: argparse.Namespace) -> Iterator[Path]:
    """A folder with the data of the fleet in ``data``; that of ``--directory`` is kept for the next time."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.directory or Path(temporary)
        if not (folder / "data").exists():
            folder.mkdir(parents=True, exist_ok=True)
            command = [
                sys.executable,
                HERE / "prefill.py",
                folder / "data",
                "--devices",
                str(options.devices),
            ]
            groups = ["--groups", str(options.groups), "--members", str(options.members)]
            subprocess.run([*command, "--mixed", *groups], check=True)
        yield folder


def prepare(server: Server, devices: int) -> None:
    """Profiles, and a group of a hundredth of the fleet; what is there already is left as it is."""
    for name, assignment in PROFILES.items():
        document = {"name": name, "transportType": "LWM2M"}
        server.ask("POST", "/api/v1/profiles", document | {"profileData": {"transportConfiguration": {}}})
        server.ask("PUT", f"/api/v1/profiles/{name}/assignment", assignment)
    members = [f"load-{number}" for number in range(0, devices, 100)]
    group = {"dtiot:devGr": {"rn": "Night", "nds": members, "aes": []}}
    server.ask("POST", f"{BASE}/device-group", group, ty=28)


def measure(server: Server, query: str, times: int) -> None:
    start = server.cpu
    total, answers = ask(server, query, times)
    cpu = (server.cpu - start) / times
    watch = Watch(server.http_port)
    ask(server, query, times)
    watch.stop()
    print(
        f"{query or '(all)':45} {total:7} {cpu * 1e3:7.1f} ms CPU  {answers[times // 2] * 1e3:7.1f} ms"
        f"  held {watch.longest * 1e3:5.1f} ms",
        flush=True,
    )


def ask(server: Server, query: str, times: int) -> tuple[int, list[float]]:
    """How many devices there are, and the seconds each answer took, in order."""
    client = http.client.HTTPConnection("127.0.0.1", server.http_port)
    answers, total = [], 0
    for _ in range(times):
        asked = time.perf_counter()
        client.request("GET", f"/api/v1/devices?limit=50&{query}")
        total = json.loads(client.getresponse().read())["total"]
        answers.append(time.perf_counter() - asked)
    client.close()
    return total, sorted(answers)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--groups", type=int, default=0, help="more device groups")
    parser.add_argument("--members", type=int, default=1000, help="of each of those")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--only", default="", help="questions with this in them")
    parser.add_argument("--directory", type=Path, help="for the data; kept, and used again")
    options = parser.parse_args()
    with filled(options) as folder:
        server = Server(folder)
        try:
            prepare(server, options.devices)
            for query in QUERIES:
                if options.only in query:
                    measure(server, query, options.times)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
