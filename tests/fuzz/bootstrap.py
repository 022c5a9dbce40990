"""Fuzzing of the bootstrap server with atheris (``pip install lwm2m-engine[fuzz]``)::

    python tests/fuzz/bootstrap.py --seconds 600
    python tests/fuzz/bootstrap.py --replay crash-…    # what a finding does

Whatever datagrams clients send, in whatever order, and whatever becomes of what they are asked: every
request gets a reply, a session has one request under way at most, and all of them end. A finding ends the
run with its traceback, and its bytes are kept in the current directory.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path as File

import atheris

with atheris.instrument_imports(include=["lwm2m_engine.bootstrap", "lwm2m_engine.messages"]):
    from lwm2m_engine import Catalog
    from lwm2m_engine.bootstrap import Bootstrap, BootstrapConfig, BootstrapSettings, Step
    from lwm2m_engine.bootstrap.template import config_of
    from lwm2m_engine.coap import CoapReply, Code, Peer
    from lwm2m_engine.effects import Abort
    from lwm2m_engine.errors import RequestError
    from lwm2m_engine.messages.bootstrap import BootstrapRequest
    from lwm2m_server.coap import wire
    from lwm2m_server.coap.options import request_of

CATALOG = Catalog.bundled()
DOCUMENT = {
    "noSec": True,
    "read": ["/1"],
    "retries": 1,
    "write": {"/0/0": {"0": "coap://bs", "1": True, "2": 3}, "/1/0": {"0": 1, "1": 300, "6": True, "7": "U"}},
}
CONFIG = config_of(DOCUMENT, "a", lambda name: b"k" * 16, CATALOG)
SETTINGS = BootstrapSettings(session_timeout=100.0, max_sessions=4)
REASONS = ("timeout", "reset", "unreachable", "undecodable")
SECONDS_PER_INPUT = 5
SEEDS = (
    bytes.fromhex("00 40020001 b26273 4665703d61")
    + b"\x01\x05\x44\x28\x06</0/0>"
    + b"\x01\x05\x44\x70\x00" * 4,
    bytes.fromhex("00 40010001 b66273706163 6b 4465703d61"),
    bytes.fromhex("00 40020001 b26273 4665703d61 077063743d313132") + b"\x02\x00\x03\x40" * 3,
)


class Configs:
    def config(self, request: BootstrapRequest, peer: Peer) -> BootstrapConfig:
        if len(request.endpoint) > 3:
            raise RequestError(Code.BAD_REQUEST, "nobody")
        return CONFIG


class World:
    """A bootstrap server whose network and clock are the bytes."""

    def __init__(self, data: bytes) -> None:
        self.input = atheris.FuzzedDataProvider(data)
        self.bootstrap = Bootstrap(Configs(), CATALOG, settings=SETTINGS)
        self.wire: dict[int, str] = {}
        self.now = 0.0

    def run(self) -> None:
        actions = (self.ask, self.answer, self.fail, self.wait)
        while self.input.remaining_bytes():
            actions[self.input.ConsumeIntInRange(0, len(actions) - 1)]()
            self.check()
        self.now += 1000.0
        self.take(self.bootstrap.tick(self.now))
        if self.bootstrap.under_way or self.wire or self.bootstrap.next_deadline() is not None:
            raise AssertionError("a session does not end")

    def ask(self) -> None:
        datagram = self.input.ConsumeBytes(self.input.ConsumeIntInRange(0, 64))
        with suppress(wire.Malformed, RequestError):
            request = request_of(wire.decode(datagram))
            peer = Peer("10.0.0.1", self.input.ConsumeIntInRange(1, 3), "coap-bs")
            if self.take(self.bootstrap.receive(request, peer, self.now)).reply is None:
                raise AssertionError("no reply")

    def answer(self) -> None:
        code, number = self.input.ConsumeIntInRange(0x40, 0xBF), self.input.ConsumeIntInRange(0, 12000)
        payload = self.input.ConsumeBytes(self.input.ConsumeIntInRange(0, 40))
        for exchange in sorted(self.wire)[:1]:
            del self.wire[exchange]
            reply = CoapReply(code, payload, content_format=number)
            self.take(self.bootstrap.answered(exchange, reply, self.now))

    def fail(self) -> None:
        reason = REASONS[self.input.ConsumeIntInRange(0, len(REASONS) - 1)]
        for exchange in sorted(self.wire)[:1]:
            del self.wire[exchange]
            self.take(self.bootstrap.failed(exchange, reason, self.now))

    def wait(self) -> None:
        self.now += self.input.ConsumeIntInRange(0, 120)
        self.take(self.bootstrap.tick(self.now))

    def take(self, step: Step) -> Step:
        for effect in step.effects:
            if isinstance(effect, Abort):
                del self.wire[effect.exchange]
            else:
                self.wire[effect.exchange] = effect.endpoint
        return step

    def check(self) -> None:
        asked = list(self.wire.values())
        if (
            len(asked) != len(set(asked))
            or not len(asked) <= self.bootstrap.under_way <= SETTINGS.max_sessions
        ):
            raise AssertionError(f"{asked} are asked in {self.bootstrap.under_way} sessions")


def check(data: bytes) -> None:
    World(data).run()


def fuzz(seconds: int, corpus: str) -> None:
    """Does not return: libFuzzer ends the process."""
    flags = [f"-max_total_time={seconds}", f"-timeout={SECONDS_PER_INPUT}", "-max_len=512"]
    flags += ["-rss_limit_mb=1024", "-print_final_stats=1", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *flags, corpus], check)
    atheris.Fuzz()


def run(seconds: int) -> int:
    """In a process of its own; its exit code."""
    with tempfile.TemporaryDirectory() as corpus:
        for index, seed in enumerate(SEEDS):
            (File(corpus) / f"{index}").write_bytes(seed)
        command = [sys.executable, __file__, "--seconds", str(seconds), "--corpus", corpus]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"a finding\n{done.stdout}\n{done.stderr}")
    else:
        (executed,) = re.findall(r"number_of_executed_units: (\d+)", done.stderr)
        print(f"{executed} inputs in {seconds} s, nothing found", flush=True)
    return done.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description="fuzz the bootstrap server")
    parser.add_argument("--seconds", type=int, default=60, help="default 60")
    parser.add_argument("--replay", type=File, help="a file with the bytes of a finding")
    parser.add_argument("--corpus", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.replay is not None:
        check(options.replay.read_bytes())
        return 0
    if options.corpus is not None:
        fuzz(options.seconds, options.corpus)
    return run(options.seconds)


if __name__ == "__main__":
    sys.exit(main())
