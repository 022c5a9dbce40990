"""The whole server under load: ``lwm2m serve`` in a process of its own, real UDP and TCP on loopback.

    python tests/benchmarks/serverload.py                      # all cases, about five minutes
    python tests/benchmarks/serverload.py update --rounds 1 --json

Each case gets a fresh server with an empty data directory, on one core; the generator has another.
``CPU us`` is the time all threads of the server ran, user and system, for each message that was
answered. It is the figure to compare: the rate and the latencies also depend on who else is on the
machine, and latency in a closed loop is little more than messages in flight / rate. Linux; the CoAP
cases need a C compiler.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
API = "/device-management-orchestrator/v3/main"
OUTGOING = f"{API}/device-communication/load-{{}}/outgoing-msg"
ORIGIN = {"X-M2M-Origin": "CLoad", "X-M2M-RI": "1"}
COMPILER = "cc"
FLAGS = ("--unknown-devices", "create", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", "data")
READY_WITHIN = 20.0
QUIET = '</>;rt="oma.lwm2m";ct=112,</1/0>,</4/0>,</5/0>,</3303/0>'
"""Announces no Object that the bundled mappings read after Register."""
READ = '</>;rt="oma.lwm2m";ct=112,</1/0>,</3/0>,</4/0>,</5/0>,</6/0>,</3303/0>'
"""Announces Objects 3 and 6, which the server reads after each Register."""
MESSAGE = json.dumps({"m2m:cin": {"con": "OBSERVE /3303/0/5700"}})

ADDRESSES = 60_000
"""More clients than can register while a case runs; each has an address in 127.1.0.0/16."""

Figures = dict[str, float]


class Server:
    """``lwm2m serve`` that lets every device in; ready when made."""

    def __init__(self, directory: Path) -> None:
        self._log = directory / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lwm2m_server.launcher", "serve", *FLAGS],
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=directory,
                env={**os.environ, "XDG_CONFIG_HOME": str(directory)},
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the server did not start: {self._log.read_text()}")
        addresses = json.loads(line)
        self.coap_port = int(addresses["coap"].rpartition(":")[2])
        self.http_port = int(addresses["http"].rpartition(":")[2])
        self._http = http.client.HTTPConnection("127.0.0.1", self.http_port)
        self._await_ready()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _await_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while self.ask("GET", "/readyz") != 200:
            if time.monotonic() > deadline:
                raise SystemExit(f"the server is not ready: {self._log.read_text()}")
            time.sleep(0.05)

    def ask(self, method: str, path: str, body: object = None, ty: int = 0) -> int:
        """The status code of one HTTP request."""
        headers = {**ORIGIN, "Content-Type": f"application/json;ty={ty}"} if body is not None else ORIGIN
        self._http.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self._http.getresponse()
        answer.read()
        return answer.status

    def create(self, path: str, ty: int, body: object) -> None:
        status = self.ask("POST", path, body, ty)
        if status != 201:
            raise SystemExit(f"POST {path} is answered {status}: {self._log.read_text()}")

    def stop(self) -> None:
        self._http.close()
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=30)


class Bench:
    """Runs servers on the first core and everything else on the last."""

    def __init__(self, directory: Path, options: argparse.Namespace) -> None:
        self._directory, self._options = directory, options
        self._cores = sorted(os.sched_getaffinity(0))
        self._cload = directory / "cload"
        self._runs = 0

    def prepare(self) -> None:
        """Compile the CoAP generator."""
        if shutil.which(COMPILER) is None:
            raise SystemExit(f"the CoAP cases need a C compiler, and there is no {COMPILER}")
        subprocess.run([COMPILER, "-O2", "-o", self._cload, HERE / "cload.c"], check=True)

    def coap(self, mode: str, *, links: str = QUIET, clients: int | None = None) -> Figures:
        """Clients that register, update or notify; the server observes each for the latter."""
        options, clients = self._options, clients or self._options.clients
        with self._server() as server:
            values = {"p": server.coap_port, "P": server.pid, "m": mode, "l": links, "k": clients}
            values |= {"n": options.in_flight, "s": options.seconds, "w": options.warm_up}
            arguments = [f"-{name}{value}" for name, value in values.items()]
            with _generator(self._cload, *arguments) as generator:
                if mode == "notify" and _line(generator) == "registered\n":
                    for number in range(clients):
                        server.create(OUTGOING.format(number), 4, json.loads(MESSAGE))
                return _figures(generator)

    def http(self, path: str, body: str = "") -> Figures:
        """Each device in turn. None ever registers, and one message waits for each from the beginning."""
        options = self._options
        with self._server() as server:
            for number in range(options.clients):
                name = f"load-{number}"
                server.create(API, 14, {"m2m:nod": {"rn": name, "ni": name}})
                server.create(OUTGOING.format(number), 4, json.loads(MESSAGE))
            values = {"port": server.http_port, "pid": server.pid, "connections": options.connections}
            values |= {"seconds": options.seconds, "warm-up": options.warm_up, "paths": options.clients}
            values |= {"path": path, "body": body, "content-type": "application/json;ty=4"}
            arguments = [f"--{name}={value}" for name, value in values.items()]
            with _generator(sys.executable, HERE / "httpload.py", *arguments) as generator:
                return _figures(generator)

    @contextmanager
    def _server(self) -> Iterator[Server]:
        self._runs += 1
        directory = self._directory / str(self._runs)
        directory.mkdir()
        # A process inherits the cores of the one that starts it, and so does every thread it will have.
        os.sched_setaffinity(0, {self._cores[0]})
        try:
            server = Server(directory)
        finally:
            os.sched_setaffinity(0, {self._cores[-1]})
        try:
            yield server
        finally:
            server.stop()
            shutil.rmtree(directory)


CASES: dict[str, Callable[[Bench], Figures]] = {
    "register-new": lambda bench: bench.coap("register", clients=ADDRESSES),
    "register": lambda bench: bench.coap("register"),
    "register-read": lambda bench: bench.coap("register", links=READ),
    "update": lambda bench: bench.coap("update"),
    "notify": lambda bench: bench.coap("notify"),
    "http-create": lambda bench: bench.http(OUTGOING, MESSAGE),
    "http-latest": lambda bench: bench.http(f"{OUTGOING}/la"),
}
"""``register-new``: every Register is of a device nobody knew. ``register``: all are known and alive.
``register-read``: and the server reads Objects 3 and 6 of each, and maps them to managed resources."""


@contextmanager
def _generator(*command: str | Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as generator:
        try:
            yield generator
        finally:
            generator.kill()


def _line(generator: subprocess.Popen[str]) -> str:
    assert generator.stdout is not None
    return generator.stdout.readline()


def _figures(generator: subprocess.Popen[str]) -> Figures:
    """Its last line."""
    output, _ = generator.communicate()
    if generator.returncode != 0 or not output:
        raise SystemExit(f"the generator failed: exit code {generator.returncode}")
    figures: Figures = json.loads(output.splitlines()[-1])
    return figures


def measure(cases: list[str], options: argparse.Namespace) -> dict[str, Figures]:
    """Medians over the rounds, which take the cases in turn."""
    found: dict[str, list[Figures]] = {case: [] for case in cases}
    with tempfile.TemporaryDirectory(prefix="serverload-") as directory:
        bench = Bench(Path(directory), options)
        if any(not case.startswith("http-") for case in cases):
            bench.prepare()
        for _ in range(options.rounds):
            for case in cases:
                found[case].append(CASES[case](bench))
                _tell(f"{case}: {found[case][-1]}")
    return {
        case: {name: median(one[name] for one in rounds) for name in rounds[0]}
        for case, rounds in found.items()
    }


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def table(results: dict[str, Figures]) -> str:
    """For people."""
    lines = [f"{'case':<14} {'CPU us':>8} {'per s':>8} {'p50 ms':>8} {'p99 ms':>8} {'errors':>7}  busy"]
    for case, one in results.items():
        lines.append(
            f"{case:<14} {one['cpu_us']:8.1f} {one['rate']:8.0f} {one['p50_us'] / 1e3:8.1f}"
            f" {one['p99_us'] / 1e3:8.1f} {one['errors']:7.0f}"
            f"  server {one['server_busy']:.0%}, generator {one['generator_busy']:.0%}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"{', '.join(CASES)}; all if none is named")
    parser.add_argument("--seconds", type=float, default=5.0, help="measured in each round (%(default)s)")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds before that (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="medians of so many (%(default)s)")
    parser.add_argument("--clients", type=int, default=1000, help="simulated devices (%(default)s)")
    parser.add_argument("--in-flight", type=int, default=64, help="CoAP requests at a time (%(default)s)")
    parser.add_argument("--connections", type=int, default=16, help="HTTP connections (%(default)s)")
    parser.add_argument("--json", action="store_true", help="all figures, for machines")
    options: Any = parser.parse_args()
    unknown = [case for case in options.cases if case not in CASES]
    if unknown:
        parser.error(f"there is no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    results = measure(options.cases or list(CASES), options)
    print(json.dumps(results) if options.json else table(results))


if __name__ == "__main__":
    main()
