"""Sessions that leave OpenSSL when their handshake is complete, with and without a Connection ID."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable

import pytest
from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL

from lwm2m_server.coap.dtls import hello, psk
from lwm2m_server.coap.dtls.cid import CidEngine
from lwm2m_server.coap.dtls.compact import FIRST, CompactSession
from lwm2m_server.coap.dtls.compacting import CompactingEngine, CompactingSession
from lwm2m_server.coap.dtls.cookies import Cookies
from lwm2m_server.coap.dtls.engine import NOTHING, SessionOver, Turn
from lwm2m_server.coap.dtls.established import RETRANSMISSION, EstablishedSession
from lwm2m_server.coap.dtls.extension import CONNECTION_ID
from lwm2m_server.coap.dtls.flights import cut
from lwm2m_server.coap.dtls.identities import Secret
from lwm2m_server.coap.dtls.openssl import OpensslEngine
from lwm2m_server.coap.dtls.openssl_session import reason_of
from lwm2m_server.coap.dtls.records import (
    ALERT,
    APPLICATION_DATA,
    HANDSHAKE,
    LAST_SEQUENCE,
    TLS12_CID,
    Content,
    Protection,
    Refused,
    cleave,
    split,
)
from lwm2m_server.coap.dtls.suites import SUITES, key_block

KEY = bytes(range(16))
CCM_8, GCM, CBC = "PSK-AES128-CCM8", "PSK-AES128-GCM-SHA256", "PSK-AES128-CBC-SHA256"
NUMBERS = {CCM_8: 0xC0A8, GCM: 0x00A8}
MTU = 1152
OURS = b"by-us---"

lib, ffi = Binding.lib, Binding.ffi


class Known:
    """One device."""

    def psk(self, identity: bytes) -> Secret | None:
        return Secret("urn:dev:1", KEY) if identity == b"device" else None

    def raw_public_key(self, spki: bytes) -> str | None:
        return None

    def certificate(self, der: bytes) -> str | None:
        return None

    def pinned(self, der: bytes) -> str | None:
        return None


class Client:
    """OpenSSL's. With a ``cid`` it asks for Connection IDs, and what it says is translated on the way."""

    def __init__(self, suite: str, cid: bytes | None) -> None:
        self._context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        self._context.set_cipher_list(f"{suite}:@SECLEVEL=0".encode())
        self._suite, self.cid, self.server_cid = suite, cid, b""
        self._kept = [psk.offer(self._context, b"device", KEY)]
        if cid is not None:
            self._ask(bytes([len(cid)]) + cid)
        self._ssl = SSL.Connection(self._context)
        self._ssl.set_connect_state()

    def _ask(self, extension: bytes) -> None:
        data = ffi.new("unsigned char[]", extension)

        def add(_ssl: object, _kind: int, out: list[object], size: list[int], *_: object) -> int:
            out[0], size[0] = data, len(extension)
            return 1

        def parse(_ssl: object, _kind: int, answer: object, size: int, *_: object) -> int:
            self.server_cid = bytes(ffi.buffer(answer, size))[1:]
            return 1

        pointers = "int(SSL *, unsigned int, const unsigned char *{}, size_t {}, int *, void *)"
        adds = ffi.callback(pointers.format("*", "*"), add)
        parses = ffi.callback(pointers.format("", ""), parse)
        frees = ffi.callback("void(SSL *, unsigned int, const unsigned char *, void *)", lambda *_: None)
        self._kept += [data, adds, parses, frees]
        lib.SSL_CTX_add_client_custom_ext(
            self._context._context, CONNECTION_ID, adds, frees, ffi.NULL, parses, ffi.NULL
        )

    @property
    def protections(self) -> tuple[Protection, Protection]:
        """The client's and the server's."""
        suite = SUITES[NUMBERS[self._suite]]
        secrets = self._ssl.master_key(), self._ssl.client_random(), self._ssl.server_random()
        block = key_block(suite, *(secret or b"" for secret in secrets))
        ours = Protection.of(suite, block.client_key, block.client_salt)
        return ours, Protection.of(suite, block.server_key, block.server_salt)

    def says(self) -> list[bytes]:
        with contextlib.suppress(SSL.WantReadError):
            self._ssl.do_handshake()
        try:
            return [self._outward(record) for record in cut(self._ssl.bio_read(65536))]
        except SSL.WantReadError:
            return []

    def send(self, message: bytes) -> bytes:
        self._ssl.send(message)
        return self.says()[0]

    def seal(self, kind: int, data: bytes, number: int) -> bytes:
        return self.protections[0].seal(Content(kind, data), FIRST + number, self.server_cid)

    def hears(self, datagrams: Iterable[bytes]) -> None:
        for datagram in datagrams:
            clear, rest = cleave(datagram)
            self._ssl.bio_write(clear + b"".join(self._inward(rest)))
            with contextlib.suppress(SSL.WantReadError):
                self._ssl.do_handshake()

    def receives(self, datagram: bytes) -> bytes:
        self._ssl.bio_write(b"".join(self._inward(datagram)))
        return self._ssl.recv(4000)

    def _outward(self, record: bytes) -> bytes:
        clear, rest = cleave(record)
        if clear or not self.server_cid:
            return record
        (parsed,) = split(rest)
        return self.protections[0].seal(self.protections[0].open(parsed), parsed.position, self.server_cid)

    def _inward(self, records: bytes) -> Iterable[bytes]:
        if not self.cid or not self.server_cid or not records:
            return [records]
        protection = self.protections[1]
        opened = [(protection.open(record), record.position) for record in split(records, len(self.cid))]
        return [protection.seal(content, position) for content, position in opened]


class Pair:
    """A client, and the session that answers it; one ``with_cids`` gives Connection IDs to who asks."""

    def __init__(
        self, suite: str = CCM_8, cid: bytes | None = None, *, with_cids: bool | None = None
    ) -> None:
        kind = CidEngine if (cid is not None if with_cids is None else with_cids) else OpensslEngine
        self.engine = CompactingEngine(kind(Known(), suites=(CCM_8, GCM, CBC), mtu=MTU), MTU)
        self.client = Client(suite, cid)
        self.session: CompactingSession | None = None
        self.said: list[bytes] = []
        self._cookies = Cookies()

    def shake(self, *, lost: int = 99) -> CompactingSession:
        """Until both have said all they have to; what the server says from the turn ``lost`` on is lost."""
        for turn in range(4):
            for datagram in self.client.says():
                self.said.append(datagram)
                answers = self._answers(datagram)
                self.client.hears(answers if turn < lost else ())
        assert self.session is not None
        return self.session

    def _answers(self, datagram: bytes) -> tuple[bytes, ...]:
        if self.session is None:
            first = hello.parse(datagram)
            assert first is not None
            if not self._cookies.are_good(first, "address", 0.0):
                return (self._cookies.request(first, "address", 0.0),)
            self.session = self.engine.accept(OURS)
        return self.session.receive(datagram, 0.0).datagrams


ways = pytest.mark.parametrize(
    ("suite", "cid"),
    [(CCM_8, None), (GCM, None), (CCM_8, b"client's"), (GCM, b"client's"), (CCM_8, b"")],
)


@ways
def test_messages_go_both_ways(suite: str, cid: bytes | None) -> None:
    pair = Pair(suite, cid)
    session = pair.shake()
    assert isinstance(session.session, EstablishedSession), "the library is not used any more"
    assert (session.endpoint, session.over) == ("urn:dev:1", None)
    assert session.cid == pair.client.server_cid == (b"" if cid is None else OURS)
    for number in range(3):
        text = b"up %d" % number
        assert session.receive(pair.client.send(text), 0.0) == Turn((), (text,), True)
        down = session.seal(b"down %d" % number)
        assert next(split(down, len(cid or b""))).cid == (cid or b"")
        assert pair.client.receives(down) == b"down %d" % number


@pytest.mark.parametrize("suite", [CCM_8, GCM])
def test_who_does_not_ask_for_a_connection_id_gets_none(suite: str) -> None:
    pair = Pair(suite, with_cids=True)
    session = pair.shake()
    assert isinstance(session.session, EstablishedSession), "the library is not used any more"
    assert session.cid == pair.client.server_cid == b""
    assert session.receive(pair.client.send(b"up"), 0.0) == Turn((), (b"up",), True)
    down = session.seal(b"down")
    assert down[0] == APPLICATION_DATA
    assert pair.client.receives(down) == b"down"


def test_with_cbc_the_library_goes_on_and_there_is_no_connection_id() -> None:
    pair = Pair(CBC, b"client's")
    session = pair.shake()
    assert not isinstance(session.session, EstablishedSession)
    assert session.endpoint == "urn:dev:1"
    assert session.cid == pair.client.server_cid == b""
    assert session.receive(pair.client.send(b"up"), 0.0).messages == (b"up",)
    assert pair.client.receives(session.seal(b"down")) == b"down"


@ways
def test_nothing_is_taken_twice_or_changed(suite: str, cid: bytes | None) -> None:
    pair = Pair(suite, cid)
    session = pair.shake()
    first, second = pair.client.send(b"first"), pair.client.send(b"second")
    assert session.receive(second[:-1] + bytes([second[-1] ^ 1]), 0.0) == NOTHING
    assert session.receive(second, 0.0).is_newest
    assert session.receive(first, 0.0) == Turn((), (b"first",), False)
    assert session.receive(first + second, 0.0) == NOTHING
    for datagram in pair.said:
        assert session.receive(datagram, 0.0) == NOTHING, "nor anything of the handshake"
    assert session.over is None


def test_with_a_connection_id_nothing_is_taken_without() -> None:
    pair = Pair(CCM_8, b"client's")
    session = pair.shake()
    assert pair.said[-1][0] == TLS12_CID, "from the client's Finished on"
    plain = pair.client.protections[0].seal(Content(APPLICATION_DATA, b"up"), FIRST + 9)
    assert session.receive(plain, 0.0) == NOTHING
    assert session.receive(pair.client.seal(APPLICATION_DATA, b"up", 9), 0.0).messages == (b"up",)


def test_a_finished_without_the_connection_id_completes_nothing() -> None:
    pair = Pair(CCM_8, b"client's")
    pair.client._outward = lambda record: record  # type: ignore[method-assign]
    session = pair.shake()
    assert session.endpoint is None
    assert session.over is None


@pytest.mark.parametrize("cid", [None, b"client's"])
def test_the_last_flight_is_repeated_for_who_repeats_the_finished(cid: bytes | None) -> None:
    pair = Pair(CCM_8, cid)
    session = pair.shake(lost=2)
    assert session.endpoint == "urn:dev:1"
    ours = pair.client.protections[0]
    (record,) = split(pair.said[-1], len(pair.client.server_cid))
    finished = ours.open(record).data
    again = pair.client.seal(HANDSHAKE, finished, 1)
    turn = session.receive(again, RETRANSMISSION - 1)
    pair.client.hears(turn.datagrams)
    assert pair.client.receives(session.seal(b"down")) == b"down"
    assert session.receive(again, RETRANSMISSION - 1) == NOTHING, "once for each"
    assert session.deadline == RETRANSMISSION
    assert session.elapse(RETRANSMISSION) == NOTHING
    assert session.deadline is None
    late = pair.client.seal(HANDSHAKE, finished, 2)
    assert session.receive(late, RETRANSMISSION + 1).datagrams == ()


def test_to_renegotiate_is_refused() -> None:
    pair = Pair()
    session = pair.shake()
    (answer,) = session.receive(pair.client.seal(HANDSHAKE, b"\1" + bytes(40), 5), 0.0).datagrams
    (record,) = split(answer)
    assert pair.client.protections[1].open(record) == (ALERT, b"\1\x64"), "warning, no_renegotiation"
    assert session.over is None


@pytest.mark.parametrize("cid", [None, b"client's"])
def test_the_client_says_goodbye(cid: bytes | None) -> None:
    pair = Pair(CCM_8, cid)
    session = pair.shake()
    after = pair.client.seal(APPLICATION_DATA, b"too late", 6)
    turn = session.receive(pair.client.seal(ALERT, b"\1\0", 5) + after, 0.0)
    assert turn.messages == ()
    with pytest.raises(SSL.ZeroReturnError):
        pair.client.receives(turn.datagrams[0])
    assert session.over == "closed by the device"
    assert session.receive(after, 0.0) == NOTHING
    with pytest.raises(SessionOver):
        session.seal(b"down")


def test_the_server_says_goodbye() -> None:
    pair = Pair()
    session = pair.shake()
    with pytest.raises(SSL.ZeroReturnError):
        pair.client.receives(session.close().datagrams[0])
    assert session.close() == NOTHING


@pytest.mark.parametrize(("alert", "over"), [(b"\2\x14", "alert 20 by the device"), (b"\1\x5a", None)])
def test_an_alert_ends_it_if_it_is_fatal(alert: bytes, over: str | None) -> None:
    pair = Pair()
    session = pair.shake()
    assert session.receive(pair.client.seal(ALERT, alert, 5), 0.0).datagrams == ()
    assert session.over == over


def test_a_session_ends_with_its_sequence_numbers() -> None:
    session = Pair().shake()
    established = session.session
    assert isinstance(established, EstablishedSession)
    established.compact.position = FIRST + LAST_SEQUENCE + 1
    with pytest.raises(SessionOver, match="no sequence number"):
        session.seal(b"one too many")
    assert session.over == "no sequence number is left"


@ways
def test_it_goes_on_after_a_restart(suite: str, cid: bytes | None) -> None:
    pair = Pair(suite, cid)
    session = pair.shake()
    old = pair.client.send(b"before")
    session.receive(old, 0.0)
    assert isinstance(session.session, EstablishedSession)
    kept = session.session.compact.dump()
    again = EstablishedSession("urn:dev:1", CompactSession.load(kept))
    assert again.receive(old, 0.0) == NOTHING
    assert again.receive(pair.client.send(b"after"), 0.0).messages == (b"after",)
    assert pair.client.receives(again.seal(b"down")) == b"down"


@pytest.mark.parametrize("extension", [b"", b"\4abc", b"\2abc"])
def test_an_extension_that_is_none_ends_the_handshake(
    extension: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Client._ask
    monkeypatch.setattr(Client, "_ask", lambda self, _: ask(self, extension))
    pair = Pair(CCM_8, b"client's")
    with pytest.raises(SSL.Error, match="decode error"):
        pair.shake()
    assert pair.session is not None
    assert pair.session.over is not None


def changed(datagram: bytes, luck: random.Random) -> bytes:
    """Something like it. The first record is whole: others do not get past ``Sessions``."""
    data = bytearray(datagram)
    way = luck.randrange(4)
    if way == 0:
        data[luck.randrange(13, len(data))] ^= 1 << luck.randrange(8)
    elif way == 1:
        data[3:11] = luck.randbytes(8)
    elif way == 2:
        data[0] = luck.choice((0, ALERT, HANDSHAKE, APPLICATION_DATA))
    else:
        data += data[: luck.randrange(len(data))]
    return bytes(data)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_strangers_add_nothing_worse_than_a_failed_handshake_comes_of_it(seed: int) -> None:
    luck = random.Random(seed)
    pair = Pair(luck.choice((CCM_8, GCM, CBC)), luck.choice((None, b"", b"client's")))
    for _ in range(4):
        with contextlib.suppress(SSL.Error, Refused):
            for datagram in pair.client.says():
                pair.said.append(datagram)
                if pair.session is not None:
                    pair.session.receive(changed(luck.choice(pair.said), luck), 0.0)
                pair.client.hears(pair._answers(datagram))
    session = pair.session
    assert session is not None
    for _ in range(20):
        assert session.receive(changed(luck.choice(pair.said), luck), 0.0).messages == ()
    assert session.endpoint in (None, "urn:dev:1")


def test_an_error_without_words_is_an_error_of_openssl() -> None:
    assert reason_of(SSL.SysCallError(-1, "Unexpected EOF")) == "an error of OpenSSL"
    assert reason_of(SSL.Error([("SSL routines", "", "no shared cipher")])) == "no shared cipher"
    assert reason_of(SSL.Error()) == "an error of OpenSSL"
