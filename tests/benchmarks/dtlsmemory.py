"""Memory of idle DTLS sessions of a port, as the growth of this process.

    python tests/benchmarks/dtlsmemory.py planted|shaken|gnutls SESSIONS

``planted``: sessions that go on as after a restart, each with keys and a Connection ID of its own.
``shaken``: handshakes of pyOpenSSL clients with OpenSSL, which sessions leave when they are complete.
``gnutls``: the same with GnuTLS, which sessions do not leave. Prints bytes per session.
"""

from __future__ import annotations

import gc
import logging
import secrets
import sys
from collections.abc import Callable, Iterator

import structlog

from lwm2m_engine.coap import Peer
from lwm2m_server.coap.dtls.cid import CidEngine
from lwm2m_server.coap.dtls.compact import CompactSession
from lwm2m_server.coap.dtls.compacting import CompactingEngine
from lwm2m_server.coap.dtls.established import RETRANSMISSION
from lwm2m_server.coap.dtls.gnutls import GnutlsEngine
from lwm2m_server.coap.dtls.identities import Secret
from lwm2m_server.coap.dtls.limits import Limits
from lwm2m_server.coap.dtls.sessions import Sessions
from lwm2m_server.coap.dtls.suites import KeyBlock
from lwm2m_server.coap.dtls.suspension import Suspended
from lwm2m_server.coap.sockets import Source
from lwm2m_server.coap.wheel import Timer
from lwm2m_server.simulator.dtls import DtlsClient, DtlsContext, PreSharedKey

SUITE = "TLS_PSK_WITH_AES_128_CCM_8"
CCM_8 = 0xC0A8
MTU = 1232
KEY = bytes(range(16))
WARM = 1000
"""Sessions made before the first measurement: what is there once, or is used again, is not counted."""


class Everybody:
    """All have the same key."""

    def psk(self, identity: bytes) -> Secret | None:
        return Secret(identity.decode(), KEY)


class Around:
    """A port without a socket."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self._now = 0.0
        self._due: dict[Timer, None] = {}

    def transmit(self, datagram: bytes, to: Source) -> None:
        self.sent.append(datagram)

    def heard(self, message: bytes, source: Source) -> None: ...

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, call: Callable[[], object]) -> Timer:
        return Timer(self._due, call)

    def let_time_pass(self) -> None:
        """Until last flights need not be kept any more."""
        self._now += RETRANSMISSION
        for timer in tuple(self._due):
            timer.cancel()
            timer.fire()


def source(number: int) -> Source:
    """As a socket gives it: an address and a name of it for each client."""
    host, port = f"127.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", 40000
    return Source((host, port), None, bytes(16), b"", Peer(host, port, "coaps"))


def plant(sessions: Sessions, numbers: Iterator[int]) -> None:
    for number in numbers:
        keys = KeyBlock(*map(secrets.token_bytes, (16, 16, 4, 4)))
        compact = CompactSession(CCM_8, keys, secrets.token_bytes(8), secrets.token_bytes(6))
        to = source(number)
        peer = to.peer
        sessions.resume(Suspended(f"urn:dev:{number}", peer.host, peer.port, compact.dump()), to)


def shake(sessions: Sessions, around: Around, numbers: Iterator[int]) -> None:
    for number in numbers:
        proof = PreSharedKey(f"urn:dev:{number}".encode(), KEY)
        client, came_from = DtlsClient(DtlsContext(proof, suites=SUITE)), source(number)
        leaving = client.begin()
        while leaving:
            for datagram in leaving:
                sessions.receive(datagram, came_from)
            arriving, around.sent = around.sent, []
            leaving = [said for datagram in arriving for said in client.receive(datagram)[0]]


def resident() -> int:
    """Bytes of this process in memory."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096


def main(kind: str, count: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    around, limits = Around(), Limits(sessions=count + WARM, handshakes_per_address=count)
    engine = {
        "planted": lambda: None,
        "shaken": lambda: CompactingEngine(CidEngine(Everybody(), suites=(SUITE,), mtu=MTU), MTU),
        "gnutls": lambda: GnutlsEngine(Everybody(), mtu=MTU),
    }[kind]()
    sessions = Sessions(engine, limits, around, cid_length=8)

    def make(numbers: Iterator[int]) -> None:
        if kind == "planted":
            plant(sessions, numbers)
        else:
            shake(sessions, around, numbers)
        around.let_time_pass()

    make(iter(range(WARM)))
    before = resident()
    make(iter(range(WARM, WARM + count)))
    after = resident()
    assert len(sessions) == WARM + count, len(sessions)
    print(round((after - before) / count))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
