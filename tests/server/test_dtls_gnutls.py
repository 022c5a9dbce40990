"""GnuTLS as an engine, with clients of OpenSSL in this process."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from OpenSSL import SSL

from lwm2m_engine.errors import SettingsError
from lwm2m_server.coap.dtls import gnutls_library, hello, psk
from lwm2m_server.coap.dtls.certificates import Certificates
from lwm2m_server.coap.dtls.compact import CompactSession
from lwm2m_server.coap.dtls.cookies import Cookies
from lwm2m_server.coap.dtls.engine import SessionOver, Turn
from lwm2m_server.coap.dtls.flights import cut
from lwm2m_server.coap.dtls.gnutls import GnutlsEngine, GnutlsSession
from lwm2m_server.coap.dtls.identities import Secret
from lwm2m_server.coap.dtls.records import APPLICATION_DATA, split

KEY = bytes(range(16))
CCM_8, CBC = b"PSK-AES128-CCM8:@SECLEVEL=0", b"PSK-AES128-CBC-SHA256:@SECLEVEL=0"

try:
    gnutls_library.library()
except gnutls_library.LibraryMissing as missing:
    pytest.skip(str(missing), allow_module_level=True)


class Known:
    """One device."""

    def psk(self, identity: bytes) -> Secret | None:
        return Secret("urn:dev:1", KEY) if identity == b"device" else None

    def raw_public_key(self, spki: bytes) -> str | None:
        return None

    def certificate(self, der: bytes) -> str | None:
        return None


class Pair:
    """A client of OpenSSL and the session that answers it."""

    def __init__(self, engine: GnutlsEngine, *, identity: bytes = b"device", suites: bytes = CCM_8) -> None:
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_cipher_list(suites)
        self._callback = psk.offer(context, identity, KEY)
        self.client = SSL.Connection(context)
        self.client.set_connect_state()
        self._cookies = Cookies()
        self.session: GnutlsSession | None = None
        self._engine = engine
        self.sent: list[bytes] = []

    def shake(self, *, lost: Callable[[int], bool] = lambda _: False) -> GnutlsSession:
        """Until both sides have said all they have to; ``lost`` is asked about each turn of the server."""
        for turn in range(6):
            with contextlib.suppress(SSL.WantReadError, SSL.Error):
                self.client.do_handshake()
            for datagram in self.said():
                self.hand(self.answers(datagram), lost=lost(turn))
        assert self.session is not None
        return self.session

    def answers(self, datagram: bytes) -> tuple[bytes, ...]:
        if self.session is None:
            first = hello.parse(datagram)
            assert first is not None
            if not self._cookies.are_good(first, "address", 0.0):
                return (self._cookies.request(first, "address", 0.0),)
            self.session = self._engine.accept()
        datagrams = self.session.receive(datagram, 0.0).datagrams
        self.sent += datagrams
        return datagrams

    def hand(self, datagrams: Iterable[bytes], *, lost: bool = False) -> None:
        for datagram in () if lost else datagrams:
            self.client.bio_write(datagram)

    def said(self) -> list[bytes]:
        try:
            return cut(self.client.bio_read(65536))
        except SSL.WantReadError:
            return []

    def send(self, message: bytes) -> bytes:
        self.client.send(message)
        return self.said()[0]


@pytest.fixture
def engine() -> GnutlsEngine:
    return GnutlsEngine(Known(), mtu=1152)


@pytest.mark.parametrize("suites", [CCM_8, CBC, b"PSK-AES128-GCM-SHA256"])
def test_messages_go_both_ways(engine: GnutlsEngine, suites: bytes) -> None:
    pair = Pair(engine, suites=suites)
    session = pair.shake()
    assert (session.endpoint, session.over, session.deadline) == ("urn:dev:1", None, None)
    assert session.receive(pair.send(b"up"), 0.0).messages == (b"up",)
    pair.hand([session.seal(b"down" * 500)])
    assert pair.client.recv(4000) == b"down" * 500


def test_the_same_datagram_again_says_nothing(engine: GnutlsEngine) -> None:
    pair = Pair(engine)
    session = pair.shake()
    datagram = pair.send(b"up")
    assert session.receive(datagram, 0.0).messages == (b"up",)
    assert session.receive(datagram, 0.0) == Turn()
    assert session.receive(datagram[:-1] + bytes([datagram[-1] ^ 1]), 0.0) == Turn()
    assert session.over is None


def test_an_identity_that_nobody_has_is_told_so(engine: GnutlsEngine) -> None:
    pair = Pair(engine, identity=b"stranger")
    session = pair.shake()
    assert session.over == "nobody's PSK identity"
    assert session.endpoint is None
    assert pair.sent[-1][-2:] == b"\x02\x73", "fatal, unknown_psk_identity"
    assert pair.answers(b"anything else") == ()
    with pytest.raises(SessionOver):
        session.seal(b"down")


def test_nothing_is_sealed_before_the_handshake_is_complete(engine: GnutlsEngine) -> None:
    pair = Pair(engine)
    session = pair.shake(lost=lambda turn: turn > 0)
    assert session.endpoint is None
    assert session.deadline is not None
    assert session.traffic() is None
    with pytest.raises(SessionOver, match="not complete"):
        session.seal(b"down")
    assert session.close().datagrams
    assert session.over == "closed"


@pytest.mark.slow
def test_a_lost_flight_is_sent_again(engine: GnutlsEngine) -> None:
    pair = Pair(engine)
    session = pair.shake(lost=lambda turn: turn > 0)
    assert session.elapse(0.5).datagrams == ()
    time.sleep(1.1)
    pair.hand(session.elapse(1.1).datagrams)
    assert pair.shake().endpoint == "urn:dev:1"


def test_the_client_says_goodbye(engine: GnutlsEngine) -> None:
    pair = Pair(engine)
    session = pair.shake()
    pair.client.shutdown()
    assert pair.answers(pair.said()[0])
    assert session.over == "closed by the client"


def test_the_server_says_goodbye(engine: GnutlsEngine) -> None:
    pair = Pair(engine)
    session = pair.shake()
    pair.hand(session.close().datagrams)
    with pytest.raises(SSL.ZeroReturnError):
        pair.client.recv(100)
    assert session.close() == Turn()


def test_a_session_goes_on_without_the_library(engine: GnutlsEngine) -> None:
    pair = Pair(engine)
    traffic = pair.shake().traffic()
    assert traffic is not None
    ours = CompactSession(traffic.suite, traffic.keys, position=traffic.position)
    assert traffic.newest == 1 << 48, "the client's Finished"
    (record,) = split(pair.send(b"up"))
    assert ours.open(record).data == b"up"
    pair.hand([ours.seal(APPLICATION_DATA, b"down")])
    assert pair.client.recv(100) == b"down"


def test_a_session_of_a_cbc_suite_does_not(engine: GnutlsEngine) -> None:
    assert Pair(engine, suites=CBC).shake().traffic() is None


def test_no_common_suite(engine: GnutlsEngine) -> None:
    pair = Pair(engine, suites=b"ECDHE-ECDSA-AES128-GCM-SHA256")
    session = pair.shake()
    assert session.over is not None
    assert pair.sent[-1][-2:] == b"\x02\x28", "fatal, handshake_failure"


@pytest.mark.parametrize("content", [None, b"no key"])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "server.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"server\.pem"):
        GnutlsEngine(Known(), mtu=1152, raw_key=file)
    with pytest.raises(SettingsError, match=r"server\.pem"):
        GnutlsEngine(Known(), mtu=1152, certificates=Certificates(file, file, file))


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gnutls_library, "SONAME", "libgnutls-none.so.0")
    gnutls_library.library.cache_clear()
    try:
        with pytest.raises(SettingsError, match="apt-get install libgnutls30"):
            GnutlsEngine(Known(), mtu=1152)
    finally:
        gnutls_library.library.cache_clear()
