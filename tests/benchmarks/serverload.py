"""The whole server under load: ``lwm2m serve`` in a process of its own, real UDP and TCP on loopback.

    python tests/benchmarks/serverload.py                      # all cases but soak: half an hour
    python tests/benchmarks/serverload.py update aiocoap-update --rounds 3 --json
    python tests/benchmarks/serverload.py soak --soak 600

Each case gets a fresh server with an empty data directory, or one that was filled for it, on one core;
the generator has another. ``CPU us`` is the time all threads of the server ran, user and system, for
each message that was answered. It is the figure to compare: the rate and the latencies also depend on
who else is on the machine, and latency in a closed loop is little more than messages in flight / rate.
Linux. Without a C compiler CoAP is generated in Python, which says so: rates and latencies are its own then.

    update               Updates that change nothing, uniformly over 1,000 registered devices (--clients)
    update-many          over 100,000 (--many)
    update-power-safe    over 1,000, synced at each commit
    update-dtls          over 1,000 established DTLS sessions, TLS_PSK_WITH_AES_128_CCM_8
    handshake            full DTLS handshakes with that suite, cookie included, one after another from each of
                         1,000 clients; both need a C compiler and OpenSSL's headers
    notify               SenML CBOR with 5 values, of an Object no mapping reads; a subscriber hears of it
                         10,000 devices (--containers) with 100 messages (--messages) each in received-msg
    notify-mapped        of Object 3: one of the values goes to a managed resource, and is another each time
    register-new         every Register is of a device nobody knew
    register             all are known and alive
    register-read        and the server reads Objects 3 and 6 of each, and maps them to managed resources
    read                 GET /3303/0/5700 submitted in the process, 64 at a time to 1,000 devices
    read-unanswered      the same while 10,000 requests to others stay unanswered (--unanswered)
    http-read            as POST to outgoing-msg: as many as can be, then so many a second (--http-rate), else
                         three quarters of that (--http-share), with latencies of POST and until the answer
    http-read-unanswered
    http-create          POST to outgoing-msg of devices that never registered
    http-create-full     the same, with 1,000,000 messages stored (--containers x --messages)
    http-latest          GET .../outgoing-msg/la
    http-list            1,000 of 100,000 nodes, each request from another place on
    webhook              notifications of 16 devices, each subscribed to, to one webhook on this machine; so
                         many a second (--webhook-rate), with latencies from the event until they are there
    webhook-one          of one device, in order; half as many
    bootstrap            devices (--clients) that are written 12 Object Instances each, seconds for them all
    set-up               devices (--clients) register again, all at once, and a device profile asks of each a
                         Write-Attributes and 20 observations, never two things at a time
    memory               resident bytes a device, after 100,000 Registers and 2 observations of each
    restart              seconds until ready, with 100,000 registrations and 200,000 observations
    soak                 update and notify in turn at half the highest rate; resident memory every 10 s
    aiocoap-update       stock aiocoap: an empty resource answers Updates
    aiocoap-notify       stock aiocoap: an empty handler gets notifications
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from processes import HERE, Figures, Generator, Hosted, Peer, Server, StockAiocoap, generator

API = "/device-management-orchestrator/v3/main"
OUTGOING = f"{API}/device-communication/load-{{}}/outgoing-msg"
RECEIVED = f"{API}/device-communication/load-{{}}/received-msg"
COMPILER = os.environ.get("CC", "cc")
QUIET = '</>;rt="oma.lwm2m";ct=112,</1/0>,</4/0>,</5/0>,</3303/0>'
"""Announces no Object that the bundled mappings read after Register."""
READ = '</>;rt="oma.lwm2m";ct=112,</1/0>,</3/0>,</4/0>,</5/0>,</6/0>,</3303/0>'
"""Announces Objects 3 and 6, which the server reads after each Register."""
BOOTSTRAP = "/api/v1/bootstrap/configs"
PROVISIONED = {
    "noSec": True,
    "endpoints": ["load-*"],
    "write": {
        "/0/0": {"0": "coap://127.0.0.1:5687", "1": True, "2": 3},
        **{f"/0/{n}": {"0": f"coap://127.0.0.{n}:5683", "1": False, "2": 3, "10": n} for n in range(1, 5)},
        **{f"/1/{n}": {"0": n, "1": 300, "6": True, "7": "U"} for n in range(1, 5)},
        **{f"/2/{n}": {"0": 3, "1": n, "2": {"1": 15}, "3": 1} for n in range(3)},
    },
}
"""Twelve Object Instances."""
PROFILE = {
    "name": "load",
    "transportType": "LWM2M",
    "profileData": {
        "transportConfiguration": {
            "observeAttr": {
                "observe": ["/3303/*/5700", "/3303/*/5601"],
                "telemetry": ["/3303/*/5700", "/3303/*/5601"],
                "attributeLwm2m": {"/3303": {"pmin": 5}},
            }
        }
    },
}
"""Twenty observations of what ``setupload.py`` announces."""
OBSERVE, GET = "OBSERVE /3303/0", "GET /3303/0/5700"
MESSAGE = {"m2m:cin": {"con": "OBSERVE /3303/0/5700"}}

ADDRESSES = 120_000
"""More clients than can register while a case runs; each has an address in 127.1.0.0/16 or behind it."""
KEY = b"sixteen letters!"
"""The pre-shared key of every client; cload.c has it, too."""
UNHURRIED = {"transmission_ack_timeout": 60.0}
"""Nothing is sent again while requests stay unanswered, so that only keeping them is measured."""
BUSY = 0.9
"""Share of its core from which on the generator may be what limits a rate."""
FOREVER = 36_000.0
SAMPLE_EVERY = 10.0

T = TypeVar("T", bound=Peer)


class Bench:
    """Runs servers on the first core and everything else on the last."""

    def __init__(self, directory: Path, options: argparse.Namespace) -> None:
        self._directory, self.options = directory, options
        self._cores = sorted(os.sched_getaffinity(0))
        self._cload: tuple[str | Path, ...] = (sys.executable, HERE / "pyload.py")
        self._runs = 0

    def prepare(self) -> None:
        """Compile the CoAP generator, if that is possible."""
        if shutil.which(COMPILER) is None:
            _tell(f"there is no {COMPILER}: CoAP comes from a generator in Python, which limits rates")
            return
        self._cload = (self._compile("cload"),)

    def _compile(self, name: str, *flags: str) -> Path:
        program = self._directory / name
        if not program.exists():
            subprocess.run([COMPILER, "-O2", "-o", program, HERE / "cload.c", *flags], check=True)
        return program

    # --- the cases ---------------------------------------------------------------------------------

    def coap(
        self, mode: str, *, links: str = QUIET, clients: int | None = None, **settings: object
    ) -> Figures:
        """Clients that register or update."""
        with self._server(lambda place: Server(place, **settings)) as server:
            clients = clients or self.options.clients
            with self._load(server, mode, links=links, clients=clients) as load:
                return load.figures() if mode == "register" else self._measured(load)

    def dtls(self, mode: str) -> Figures:
        """Clients with pre-shared keys."""
        clients = self.options.clients
        program = self._compile("cload-dtls", "-DDTLS", "-lssl", "-lcrypto")
        with self._server(lambda place: Server(place, coaps="127.0.0.1:0")) as server:
            for number in range(clients):
                server.create(API, 14, {"m2m:nod": {"rn": f"load-{number}", "ni": f"load-{number}"}})
            server.let_in({f"load-{number}": KEY for number in range(clients)})
            port = int(server.addresses["coaps"].rpartition(":")[2])
            with self._load(server, mode, clients=clients, port=port, program=program) as load:
                return load.figures() if mode == "handshake" else self._measured(load)

    def notify(self, message: str = OBSERVE, links: str = QUIET) -> Figures:
        options = self.options
        stored = self._stored(devices=options.containers, messages=options.messages)
        with self._server(Hosted, stored) as server:
            return self._observed(server, "notify", message, options.containers, links)

    def stock_aiocoap(self, mode: str, *flags: str) -> Figures:
        with (
            self._server(lambda place: StockAiocoap(place, *flags)) as server,
            self._load(server, mode, clients=self.options.clients) as load,
        ):
            return self._measured(load)

    def read(self, *, unanswered: int = 0) -> Figures:
        """Submitted in the process."""
        options = self.options
        with self._devices(unanswered) as server:
            window = {"warm_up": options.warm_up, "seconds": options.seconds}
            devices, in_flight = options.clients, options.in_flight
            return server.do("read", message=GET, devices=devices, in_flight=in_flight, **window)

    def http_read(self, *, unanswered: int = 0) -> Figures:
        """Submitted over HTTP. CPU and rate are of the most there can be; latencies are of fewer, since at
        the limit they only tell how many wait."""
        options = self.options
        with self._devices(unanswered) as server:
            most = self._posted(server)
            offered = options.http_rate or most["rate"] * options.http_share
            posted = self._posted(server, offered)
        return {
            **most,
            "errors": most["errors"] + posted["errors"],
            "offered": offered,
            **{name: posted[name] for name in ("p50_us", "p99_us", "http_p50_us", "http_p99_us")},
            **{f"offered_{name}": posted[name] for name in ("rate", "cpu_us", "server_busy")},
        }

    def _posted(self, server: Hosted, rate: float = 0) -> Figures:
        """Reads submitted over HTTP, so many a second."""
        body = json.dumps({"m2m:cin": {"con": GET}})
        with self._http_load(server, OUTGOING, body, rate=rate) as load:
            load.expect("connected")
            figures = server.do("watch", warm_up=self.options.warm_up, seconds=self.options.seconds)
            posted = load.figures()
        more = {f"http_{name}": posted[name] for name in ("p50_us", "p99_us")}
        errors = figures["errors"] + posted["errors"]
        return {**figures, "errors": errors, **more, "generator_busy": posted["generator_busy"]}

    def http(self, path: str, body: str = "") -> Figures:
        """Each device in turn. None ever registers, and one message waits for each from the beginning."""
        with self._server(Server) as server:
            for number in range(self.options.clients):
                name = f"load-{number}"
                server.create(API, 14, {"m2m:nod": {"rn": name, "ni": name}})
                server.create(OUTGOING.format(number), 4, MESSAGE)
            with self._http_load(server, path, body) as load:
                return load.figures()

    def http_full(self, path: str, body: str) -> Figures:
        """Each device in turn; all have messages from a long life."""
        stored = self._stored(devices=self.options.containers, messages=self.options.messages)
        with self._server(Server, stored) as server, self._http_load(server, path, body) as load:
            return load.figures()

    def http_list(self) -> Figures:
        """One request at a time."""
        many = self.options.many
        stored = self._stored(devices=many, observations=2)
        path = f"{API}?rcn=4&ty=14&limit=1000&offset={{}}"
        with (
            self._server(Server, stored) as server,
            self._http_load(server, path, connections=1, paths=max(many - 1000, 1), step=7919) as load,
        ):
            return load.figures()

    def webhook(self, subscriptions: int, rate: float) -> Figures:
        """CPU, rate and latencies are those of what was delivered."""
        options = self.options
        with self._server(lambda place: Hosted(place, deliveries_allow="127.0.0.1")) as server:
            port = _free_port()
            values = {"port": port, "pid": server.pid}
            values |= {"seconds": options.seconds, "warm-up": options.warm_up}
            arguments = [f"--{name}={value}" for name, value in values.items()]
            with (
                generator(sys.executable, HERE / "webhooksink.py", *arguments) as sink,
                self._load(server, "notify", clients=subscriptions, rate=rate, seconds=FOREVER) as load,
            ):
                sink.expect("listening")
                load.expect("registered")
                target = {"nu": [f"http://127.0.0.1:{port}/"], "enc": {"net": [3]}}
                application = {"api": "NSink", "rn": "sink", "poa": target["nu"], "rr": True}
                server.create(API, 2, {"m2m:ae": application}, origin="CSink")
                for number in range(subscriptions):
                    server.create(RECEIVED.format(number), 23, {"m2m:sub": target}, origin="CSink")
                server.do("submit", message=OBSERVE, devices=subscriptions, in_flight=64)
                return {**sink.figures(), "offered": rate}

    def bootstrap(self) -> Figures:
        """From the first Bootstrap-Request to the last Bootstrap-Finish; NoSec, TLV."""
        options = self.options
        with self._server(lambda place: Server(place, bootstrap_coap="127.0.0.1:0")) as server:
            if server.ask("PUT", f"{BOOTSTRAP}/load", PROVISIONED) != 201:
                raise SystemExit(f"the configuration is refused: {server.log}")
            before = server.cpu
            port = server.addresses["bootstrap_coap"].rpartition(":")[2]
            values = {"port": port, "devices": options.clients, "in-flight": options.in_flight}
            arguments = [f"--{name}={value}" for name, value in values.items()]
            with generator(sys.executable, HERE / "bootstrapload.py", *arguments) as load:
                figures = load.figures()
            used = server.cpu - before
        return {
            **figures,
            "cpu_us": used / max(1, figures["done"]) * 1e6,
            "server_busy": used / figures["seconds"],
        }

    def set_up(self) -> Figures:
        """From the first Register to the last answer to an Observe. CPU is that of all that comes of an
        exchange, and of the Register."""
        options = self.options
        with self._server(Server) as server:
            for path, body in (("profiles/load", PROFILE), ("profiles/load/assignment", {"default": True})):
                if server.ask("PUT", f"/api/v1/{path}", body) not in (200, 201):
                    raise SystemExit(f"the device profile is refused: {server.log}")
            values = {"port": server.coap_port, "devices": options.clients, "in-flight": options.in_flight}
            arguments = [f"--{name}={value}" for name, value in values.items()]
            with generator(sys.executable, HERE / "setupload.py", *arguments) as load:
                load.expect("set up")
                before = server.cpu
                figures = load.figures()
            used = server.cpu - before
        if figures["in_flight"] > 1:
            raise SystemExit("a device was asked two things at a time")
        return {
            **figures,
            "cpu_us": used / max(1, figures["exchanges"] + figures["done"]) * 1e6,
            "server_busy": used / figures["seconds"],
        }

    def memory(self) -> Figures:
        clients = self.options.many
        with self._server(Hosted) as server:
            before = server.resident
            with self._load(server, "answer", clients=clients) as load:
                load.expect("registered")
                registered = server.resident
                for path in ("/3303/0/5700", "/3303/0/5601"):
                    server.do("submit", message=f"OBSERVE {path}", devices=clients, in_flight=64)
            after = server.resident
        return {
            "bytes": (after - before) / clients,
            "bytes_registered": (registered - before) / clients,
            "mb_before": before / 1e6,
            "mb_after": after / 1e6,
        }

    def restart(self) -> Figures:
        stored = self._stored(devices=self.options.many, observations=2)
        begun = time.perf_counter()
        with self._server(Server, stored) as server:
            # Copying what was stored is not part of it.
            return {
                "seconds": time.perf_counter() - max(begun, self._started),
                "cpu_seconds": server.cpu,
                "mb": server.resident / 1e6,
            }

    def soak(self) -> Figures:
        options = self.options
        with self._server(Hosted) as server:
            full = self._observed(server, "mixed", OBSERVE, options.clients)
            half = full["rate"] / 2
            samples: list[int] = []
            with self._load(
                server, "mixed", clients=options.clients, rate=half, seconds=options.soak
            ) as load:
                load.expect("registered")
                server.do("submit", message=OBSERVE, devices=options.clients, in_flight=64)
                deadline = time.monotonic()
                while load.is_running:
                    samples.append(server.resident)
                    _tell(f"soak: {samples[-1] / 1e6:.1f} MB")
                    deadline += min(SAMPLE_EVERY, options.soak / 10)
                    time.sleep(max(0.0, deadline - time.monotonic()))
                figures = load.figures()
        # Exchanges are remembered for some minutes: memory is to be flat from the middle on.
        later = samples[len(samples) // 2 :]
        return {**figures, "mb_most": max(samples) / 1e6, "growth": max(later) / min(later) - 1}

    # --- servers -----------------------------------------------------------------------------------

    @contextmanager
    def _server(self, start: Callable[[Path], T], stored: Path | None = None) -> Iterator[T]:
        """In a directory of its own, with what is stored, if anything."""
        self._runs += 1
        directory = self._directory / str(self._runs)
        directory.mkdir()
        if stored is not None:
            shutil.copytree(stored, directory / "data")
        # A process inherits the cores of the one that starts it, and so does every thread it will have.
        os.sched_setaffinity(0, {self._cores[0]})
        self._started = time.perf_counter()
        try:
            server = start(directory)
        finally:
            os.sched_setaffinity(0, {self._cores[-1]})
        try:
            yield server
        finally:
            server.stop()
            shutil.rmtree(directory)

    @contextmanager
    def _devices(self, unanswered: int) -> Iterator[Hosted]:
        """A server with devices that answer, and as many as stated that have been asked and do not."""
        clients = self.options.clients
        with (
            self._server(lambda place: Hosted(place, **UNHURRIED)) as server,
            self._load(
                server, "answer", clients=clients + unanswered, silent=unanswered, seconds=FOREVER
            ) as load,
        ):
            load.expect("registered")
            if unanswered:
                server.do("leave", message=GET, first=clients, devices=unanswered)
                load.expect("unanswered")
            yield server

    def _stored(self, **content: int) -> Path:
        """A data directory made once."""
        directory = self._directory / "-".join(f"{name}-{count}" for name, count in content.items())
        if not directory.exists():
            _tell(f"writing {directory.name}")
            flags = [f"--{name}={count}" for name, count in content.items()]
            subprocess.run([sys.executable, HERE / "prefill.py", directory, *flags], check=True)
        return directory

    # --- generators --------------------------------------------------------------------------------

    @contextmanager
    def _load(
        self,
        server: Peer,
        mode: str,
        *,
        clients: int,
        links: str = QUIET,
        rate: float = 0,
        silent: int = 0,
        seconds: float | None = None,
        port: int | None = None,
        program: Path | None = None,
    ) -> Iterator[Generator]:
        options = self.options
        values = {
            "p": port or server.coap_port,
            "P": server.pid,
            "m": mode,
            "l": links,
            "k": clients,
            "r": rate,
        }
        values |= {"n": options.in_flight, "s": seconds or options.seconds, "w": options.warm_up, "u": silent}
        command = (program,) if program is not None else self._cload
        with generator(*command, *(f"-{name}{value}" for name, value in values.items())) as load:
            yield load

    def _measured(self, load: Generator) -> Figures:
        load.expect("registered")
        return load.figures()

    def _observed(self, server: Hosted, mode: str, message: str, clients: int, links: str = QUIET) -> Figures:
        """Clients that notify once the server observes each."""
        with self._load(server, mode, clients=clients, links=links) as load:
            load.expect("registered")
            server.do("submit", message=message, devices=clients, in_flight=64)
            return load.figures()

    @contextmanager
    def _http_load(
        self, server: Server, path: str, body: str = "", *, rate: float = 0, **more: int
    ) -> Iterator[Generator]:
        """``more`` are options of ``httpload.py`` that are not as ever."""
        options = self.options
        values = {"port": server.http_port, "pid": server.pid, "connections": options.connections}
        values |= {"seconds": options.seconds, "warm-up": options.warm_up, "paths": options.clients}
        values |= {"path": path, "body": body, "content-type": "application/json;ty=4", "rate": rate}
        values |= more
        arguments = [f"--{name}={value}" for name, value in values.items()]
        with generator(sys.executable, HERE / "httpload.py", *arguments) as load:
            yield load


CASES: dict[str, Callable[[Bench], Figures]] = {
    "update": lambda bench: bench.coap("update"),
    "update-many": lambda bench: bench.coap("update", clients=bench.options.many),
    "update-power-safe": lambda bench: bench.coap("update", ledger_power_safe=True),
    "update-dtls": lambda bench: bench.dtls("update"),
    "handshake": lambda bench: bench.dtls("handshake"),
    "notify": lambda bench: bench.notify(),
    "notify-mapped": lambda bench: bench.notify("OBSERVE /3/0", READ),
    "register-new": lambda bench: bench.coap("register", clients=ADDRESSES),
    "register": lambda bench: bench.coap("register"),
    "register-read": lambda bench: bench.coap("register", links=READ),
    "read": lambda bench: bench.read(),
    "read-unanswered": lambda bench: bench.read(unanswered=bench.options.unanswered),
    "http-read": lambda bench: bench.http_read(),
    "http-read-unanswered": lambda bench: bench.http_read(unanswered=bench.options.unanswered),
    "http-create": lambda bench: bench.http(OUTGOING, json.dumps(MESSAGE)),
    "http-create-full": lambda bench: bench.http_full(OUTGOING, json.dumps(MESSAGE)),
    "http-list": Bench.http_list,
    "http-latest": lambda bench: bench.http(f"{OUTGOING}/la"),
    "aiocoap-update": lambda bench: bench.stock_aiocoap("update"),
    "aiocoap-notify": lambda bench: bench.stock_aiocoap("notify", "--observe"),
    "webhook": lambda bench: bench.webhook(16, bench.options.webhook_rate),
    "webhook-one": lambda bench: bench.webhook(1, bench.options.webhook_rate / 2),
    "bootstrap": Bench.bootstrap,
    "set-up": Bench.set_up,
    "memory": Bench.memory,
    "restart": Bench.restart,
    "soak": Bench.soak,
}
LONG = ("memory", "restart", "soak")
"""Run once, whatever ``--rounds`` says."""


def measure(cases: list[str], options: argparse.Namespace) -> dict[str, Figures]:
    """Medians over the rounds, which take the cases in turn."""
    found: dict[str, list[Figures]] = {case: [] for case in cases}
    with tempfile.TemporaryDirectory(prefix="serverload-", dir=options.directory) as directory:
        bench = Bench(Path(directory), options)
        if any(not case.startswith(("http-", "set-up")) or "read" in case for case in cases):
            bench.prepare()
        for number in range(options.rounds):
            for case in cases:
                if number == 0 or case not in LONG:
                    found[case].append(CASES[case](bench))
                    _tell(f"{case}: {found[case][-1]}")
    return {
        case: {name: median(one[name] for one in rounds) for name in rounds[0]}
        for case, rounds in found.items()
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def table(results: dict[str, Figures]) -> str:
    """For people."""
    lines = [f"{'case':<21} {'CPU us':>8} {'per s':>8} {'p50 ms':>8} {'p99 ms':>8} {'errors':>7}  more"]
    for case, one in results.items():
        shown = {"cpu_us": 1.0, "rate": 1.0, "p50_us": 1e-3, "p99_us": 1e-3, "errors": 1.0}
        cells = [f"{one[name] * by:8.1f}" if name in one else " " * 8 for name, by in shown.items()]
        more = ", ".join(f"{name} {value:,.2f}" for name, value in one.items() if name not in shown)
        bound = "generator-bound: " if one.get("generator_busy", 0) > BUSY else ""
        lines.append(f"{case:<21} {' '.join(cells)}  {bound}{more}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="all but soak if none is named")
    parser.add_argument("--seconds", type=float, default=5.0, help="measured in each round (%(default)s)")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds before that (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="medians of so many (%(default)s)")
    parser.add_argument("--clients", type=int, default=1000, help="simulated devices (%(default)s)")
    parser.add_argument("--many", type=int, default=100_000, help="of a large fleet (%(default)s)")
    parser.add_argument("--containers", type=int, default=10_000, help="devices that notify (%(default)s)")
    parser.add_argument("--messages", type=int, default=100, help="stored for each of them (%(default)s)")
    parser.add_argument("--unanswered", type=int, default=10_000, help="requests (%(default)s)")
    parser.add_argument("--in-flight", type=int, default=64, help="CoAP requests at a time (%(default)s)")
    parser.add_argument("--connections", type=int, default=16, help="HTTP connections (%(default)s)")
    parser.add_argument("--http-rate", type=float, default=0.0, help="Reads a second; 0 a share of the most")
    parser.add_argument("--http-share", type=float, default=0.75, help="that share (%(default)s)")
    parser.add_argument("--webhook-rate", type=float, default=1_800.0, help="a second (%(default)s)")
    parser.add_argument("--soak", type=float, default=600.0, help="seconds of it (%(default)s)")
    parser.add_argument("--directory", type=Path, help="where servers store; default the system's")
    parser.add_argument("--json", action="store_true", help="all figures, for machines")
    options: Any = parser.parse_args()
    unknown = [case for case in options.cases if case not in CASES]
    if unknown:
        parser.error(f"there is no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    results = measure(options.cases or [case for case in CASES if case != "soak"], options)
    print(json.dumps(results) if options.json else table(results))


if __name__ == "__main__":
    main()
