"""Fuzzing of DTLS sessions with atheris (``pip install lwm2m-engine[fuzz]``)::

    python tests/fuzz/dtls.py --seconds 600                  # all engines, one after the other
    python tests/fuzz/dtls.py --seconds 60 --engine openssl
    python tests/fuzz/dtls.py --engine openssl --replay crash-…

The engines are those a port may have. An input is a script: what a genuine client says is passed on, damaged,
repeated, held back or cut short, bytes of nobody's making come between, time passes. Nothing may be raised;
nothing may be heard that no client said, nor under another name, nor twice; and afterwards a genuine client
must still get in.
"""

from __future__ import annotations

import argparse
import logging
import re
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path as File

import atheris

with atheris.instrument_imports(include=["lwm2m_server.coap.dtls"]):
    from lwm2m_server.coap.dtls import psk
    from lwm2m_server.coap.dtls.compacting import CompactingEngine
    from lwm2m_server.coap.dtls.engine import DtlsEngine
    from lwm2m_server.coap.dtls.gnutls import GnutlsEngine
    from lwm2m_server.coap.dtls.identities import Secret
    from lwm2m_server.coap.dtls.limits import Limits
    from lwm2m_server.coap.dtls.openssl import OpensslEngine
    from lwm2m_server.coap.dtls.sessions import Sessions

import structlog
from OpenSSL import SSL

from lwm2m_engine.coap import Peer
from lwm2m_server.coap.sockets import SocketAddress, Source

SECONDS_PER_INPUT = 10
QUIET = structlog.make_filtering_bound_logger(logging.CRITICAL)
MTU = 1200
KEYS = {b"one": bytes(range(16)), b"two": bytes(range(16, 32))}
SUITES = ("PSK-AES128-CCM8", "PSK-AES128-GCM-SHA256", "PSK-AES128-CBC-SHA256")


class Script:
    """The bytes of an input as decisions; zeros when they are used up."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def bytes(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]


# --- DTLS ---------------------------------------------------------------------------------------------


class Identities:
    def psk(self, identity: bytes) -> Secret | None:
        key = KEYS.get(identity)
        return None if key is None else Secret(identity.decode(), key)

    def raw_public_key(self, spki: bytes) -> str | None:
        return None

    def certificate(self, der: bytes) -> str | None:
        return None

    def pinned(self, der: bytes) -> str | None:
        return None


class Client:
    """A genuine client on OpenSSL; what it wants to send waits in ``leaving``."""

    def __init__(self, identity: bytes, suite: str, port: int) -> None:
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_min_proto_version(psk.DTLS_1_2)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        context.set_cipher_list(f"{suite}:@SECLEVEL=0".encode())
        self._callback = psk.offer(context, identity, KEYS[identity])
        self._connection = SSL.Connection(context, None)
        self._connection.set_ciphertext_mtu(MTU)
        self._connection.set_connect_state()
        self.name, self.source = identity.decode(), source(port)
        self.leaving: deque[bytes] = deque()
        self.is_done, self._said = False, 0
        self.go_on()

    def go_on(self) -> None:
        with suppress(SSL.Error):
            if not self.is_done:
                self._connection.do_handshake()
                self.is_done = True
        self._collect()

    def hear(self, datagram: bytes) -> None:
        self._connection.bio_write(datagram)
        self.go_on()
        with suppress(SSL.Error):
            while True:
                self._connection.recv(65536)

    def say(self) -> bytes:
        """Something nobody has said before."""
        self._said += 1
        message = f"{self.name} {self.source.address[1]} {id(self)} {self._said}".encode()
        with suppress(SSL.Error):
            self._connection.send(message)
        self._collect()
        return message

    def hurry(self) -> None:
        with suppress(SSL.Error):
            self._connection.DTLSv1_handle_timeout()
        self._collect()

    def _collect(self) -> None:
        with suppress(SSL.Error):
            self.leaving.append(self._connection.bio_read(65536))


def source(port: int) -> Source:
    address = ("127.0.0.1", port)
    return Source(address, b"%d" % port, peer=Peer(*address, "coaps"))


class Timer:
    def __init__(self) -> None:
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Port:
    """Sessions with a clock turned by hand, and what they may let through."""

    def __init__(self, engine: DtlsEngine) -> None:
        self.now = 1000.0
        self._timers: list[tuple[float, Callable[[], object], Timer]] = []
        self._said: dict[bytes, str] = {}
        self.transmitted: list[tuple[bytes, SocketAddress]] = []
        limits = Limits(sessions=3, handshakes=4, handshakes_per_address=4, handshake_timeout=5.0, idle=50.0)
        self.sessions = Sessions(engine, limits, self)

    def expect(self, message: bytes, name: str) -> None:
        self._said[message] = name

    def transmit(self, datagram: bytes, to: Source) -> None:
        self.transmitted.append((datagram, to.address))

    def heard(self, message: bytes, source: Source) -> None:
        name = self._said.pop(message, None)
        if name is None or name != source.peer.identity:
            raise AssertionError(f"{message!r} of {source.peer.identity}: said by {name}")
        self.sessions.send(b"answer", source)

    def lost(self, problem: OSError, address: SocketAddress) -> None:
        """There are no requests under way."""

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, call: Callable[[], object]) -> Timer:
        timer = Timer()
        self._timers.append((self.now + delay, call, timer))
        return timer

    def wait(self, seconds: float) -> None:
        self.now += seconds
        due = [row for row in self._timers if row[0] <= self.now]
        self._timers = [row for row in self._timers if row[0] > self.now]
        for _, call, timer in due:
            if not timer.is_cancelled:
                call()


def check_sessions(engine: DtlsEngine, data: bytes) -> None:
    script, port = Script(data), Port(engine)
    clients = [Client(b"one", SUITES[0], 1), Client(b"two", SUITES[1], 2), Client(b"one", SUITES[2], 3)]
    kept: list[bytes] = []
    while script:
        choice = script.byte()
        act(choice & 15, clients[(choice >> 4) % len(clients)], clients, port, script, kept)
        deliver(port, clients)
    port.wait(1000.0)
    finally_gets_in(port)


def act(
    what: int, client: Client, clients: list[Client], port: Port, script: Script, kept: list[bytes]
) -> None:
    receive = port.sessions.receive
    if what < 6:
        while client.leaving:
            kept.append(client.leaving[0])
            receive(client.leaving.popleft(), client.source)
    elif what < 8:
        port.expect(client.say(), client.name)
    elif what == 8 and client.leaving:
        datagram = bytearray(client.leaving.popleft())
        datagram[(script.byte() << 8 | script.byte()) % len(datagram)] ^= script.byte() or 1
        receive(bytes(datagram), client.source)
    elif what == 9 and kept:
        receive(kept[script.byte() % len(kept)], client.source)
    elif what == 10 and client.leaving:
        kept.append(client.leaving.popleft())
    elif what == 11:
        receive(script.bytes(script.byte()), client.source)
    elif what == 12:
        port.wait(script.byte() / 8)
        client.hurry()
    elif what == 13 and client.leaving:
        receive(client.leaving.popleft()[: script.byte()], client.source)
    elif what == 14:
        port.sessions.close(client.name)
    elif what == 15:
        number = clients.index(client)
        clients[number] = Client(client.name.encode(), SUITES[script.byte() % 3], client.source.address[1])


def deliver(port: Port, clients: list[Client]) -> None:
    transmitted, port.transmitted = port.transmitted, []
    for datagram, address in transmitted:
        for client in clients:
            if client.source.address == address:
                client.hear(datagram)


def finally_gets_in(port: Port) -> None:
    client = Client(b"two", SUITES[0], 9)
    for _ in range(8):
        while client.leaving:
            port.sessions.receive(client.leaving.popleft(), client.source)
        deliver(port, [client])
    message = client.say()
    port.expect(message, "two")
    while client.leaving:
        port.sessions.receive(client.leaving.popleft(), client.source)
    if not client.is_done or message in port._said:
        raise AssertionError("a genuine client does not get in any more")


# --- the command --------------------------------------------------------------------------------------


def openssl() -> DtlsEngine:
    return OpensslEngine(Identities(), suites=SUITES, mtu=MTU)


ENGINES: dict[str, Callable[[], Callable[[bytes], None]]] = {
    "openssl": lambda: sessions_check(openssl()),
    "compact": lambda: sessions_check(CompactingEngine(openssl(), MTU)),
    "gnutls": lambda: sessions_check(GnutlsEngine(Identities(), mtu=MTU)),
}


def sessions_check(engine: DtlsEngine) -> Callable[[bytes], None]:
    return lambda data: check_sessions(engine, data)


def seeds() -> Iterator[bytes]:
    """Scripts in which all goes well, so that what is damaged is not only the beginning."""
    handshakes = bytes((0x00, 0x10, 0x20)) * 6
    yield handshakes
    yield handshakes + bytes((0x06, 0x16, 0x26, 0x00, 0x10, 0x20)) * 4
    yield handshakes + bytes((0x06, 0x08, 40, 1, 0x09, 3, 0x0C, 80, 0x0E, 0x0F)) * 4 + handshakes


def fuzz(engine: str, seconds: int, corpus: str) -> None:
    """Does not return: libFuzzer ends the process."""
    flags = [
        f"-max_total_time={seconds}",
        f"-timeout={SECONDS_PER_INPUT}",
        "-max_len=512",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *flags, corpus], ENGINES[engine]())
    atheris.Fuzz()


def run(engine: str, seconds: int) -> int:
    """Fuzz one engine in a process of its own and say how it went; its exit code."""
    with tempfile.TemporaryDirectory() as corpus:
        for index, seed in enumerate(seeds()):
            (File(corpus) / f"{index}").write_bytes(seed)
        command = [
            sys.executable,
            __file__,
            "--engine",
            engine,
            "--seconds",
            str(seconds),
            "--corpus",
            corpus,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{engine}: a finding\n{done.stdout}\n{done.stderr}")
    else:
        (executed,) = re.findall(r"number_of_executed_units: (\d+)", done.stderr)
        print(f"{engine}: {executed} inputs in {seconds} s, nothing found", flush=True)
    return done.returncode


def main() -> int:
    structlog.configure(wrapper_class=QUIET)
    parser = argparse.ArgumentParser(description="fuzz DTLS sessions")
    parser.add_argument("--seconds", type=int, default=60, help="in all (default 60)")
    parser.add_argument("--engine", choices=ENGINES, help="one of them (default: each in turn)")
    parser.add_argument("--replay", type=File, help="a file with the bytes of a finding")
    parser.add_argument("--corpus", help=argparse.SUPPRESS)
    options = parser.parse_args()
    chosen = list(ENGINES) if options.engine is None else [options.engine]
    if options.replay is not None:
        for engine in chosen:
            ENGINES[engine]()(options.replay.read_bytes())
        return 0
    if options.corpus is not None:
        fuzz(chosen[0], options.seconds, options.corpus)
    return max([run(engine, max(1, options.seconds // len(chosen))) for engine in chosen])


if __name__ == "__main__":
    sys.exit(main())
