"""Sessions of a port that go on in the next life of the server, and those that do not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lwm2m_engine.coap import Peer
from lwm2m_server.coap.dtls.association import Association
from lwm2m_server.coap.dtls.compact import FIRST, CompactSession
from lwm2m_server.coap.dtls.engine import Turn
from lwm2m_server.coap.dtls.established import EstablishedSession
from lwm2m_server.coap.dtls.limits import Limits
from lwm2m_server.coap.dtls.records import ALERT, APPLICATION_DATA, Content, Protection, split
from lwm2m_server.coap.dtls.sessions import Sessions
from lwm2m_server.coap.dtls.suites import SUITES, KeyBlock
from lwm2m_server.coap.dtls.suspension import SKIPPED, Suspended, resumed, suspended
from lwm2m_server.coap.sockets import Source
from lwm2m_server.coap.wheel import Timer

KEYS = KeyBlock(b"c" * 16, b"s" * 16, b"clie", b"serv")
CLIENT = Protection.of(SUITES[0xC0A8], KEYS.client_key, KEYS.client_salt)
SERVER = Protection.of(SUITES[0xC0A8], KEYS.server_key, KEYS.server_salt)


class Around:
    """Remembers what a port says."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Source]] = []
        self.said: list[tuple[bytes, Source]] = []

    def transmit(self, datagram: bytes, to: Source) -> None:
        self.sent.append((datagram, to))

    def heard(self, message: bytes, source: Source) -> None:
        self.said.append((message, source))

    def lost(self, problem: OSError, address: object) -> None: ...

    def time(self) -> float:
        return 100.0

    def call_later(self, delay: float, call: Callable[[], object]) -> Timer:
        return Timer({}, call)


class Library:
    """A session that cannot go on without its library."""

    endpoint, over, deadline, cid = "urn:dev:2", None, None, b""

    def traffic(self) -> None:
        return None

    def close(self) -> Turn:
        return Turn((b"goodbye",))


def source(port: int) -> Source:
    return Source(("192.0.2.1", port), peer=Peer("192.0.2.1", port, "coaps"))


def port_with(*sessions: object) -> tuple[Sessions, Around]:
    around = Around()
    port = Sessions(None, Limits(), around, cid_length=3)
    for number, session in enumerate(sessions):
        association = Association(session, source(5684 + number), b"", 0.0)
        port._table.add(association, association.establish())
    return port, around


def from_client(data: bytes, number: int) -> bytes:
    return CLIENT.seal(Content(APPLICATION_DATA, data), FIRST + number, b"cid")


def established() -> EstablishedSession:
    return EstablishedSession("urn:dev:1", CompactSession(0xC0A8, KEYS, b"cid", b"", FIRST + 5))


def test_a_session_goes_on_under_its_name_and_from_anywhere() -> None:
    before, around = port_with(established())
    before.receive(from_client(b"before", 7), source(5684))
    kept = before.suspend()
    assert (len(before), around.sent) == (0, []), "the client is not told"
    after, around = port_with()
    for one in kept:
        after.resume(one, source(one.port))
    after.receive(from_client(b"before", 7), source(5684))
    after.receive(from_client(b"before", 6), source(5684))
    assert around.said == [], "nothing old is taken again"
    after.receive(from_client(b"after", 8), source(9999))
    ((message, heard),) = around.said
    assert (message, heard.peer) == (b"after", Peer("192.0.2.1", 9999, "coaps", "urn:dev:1"))
    after.send(b"down", after.source(heard.peer))
    ((datagram, to),) = around.sent
    assert to == source(9999)
    (record,) = split(datagram)
    assert SERVER.open(record).data == b"down"
    assert FIRST + 5 <= record.position < FIRST + 5 + SKIPPED


def test_one_that_needs_its_library_is_over_and_its_client_is_told() -> None:
    port, around = port_with(Library(), established())
    (kept,) = port.suspend()
    assert kept.endpoint == "urn:dev:1"
    assert [datagram for datagram, _ in around.sent] == [b"goodbye"]


def test_one_that_is_over_is_not_kept() -> None:
    session = established()
    (record,) = split(session.close().datagrams[0])
    assert SERVER.open(record) == (ALERT, b"\1\0")
    assert suspended(Association(session, source(1), b"", 0.0)) is None


def test_sequence_numbers_are_others_each_time() -> None:
    kept = suspended(Association(established(), source(1), b"", 0.0))
    assert kept is not None
    positions = {resumed(kept).compact.position for _ in range(3)}
    assert len(positions) == 3
    assert min(positions) >= FIRST + 5


def test_what_is_no_session_is_said_to_be_none() -> None:
    with pytest.raises(ValueError, match="not a session"):
        resumed(Suspended("urn:dev:1", "192.0.2.1", 1, b"rubbish"))
