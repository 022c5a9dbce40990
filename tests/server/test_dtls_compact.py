"""Sessions without their library, and sessions of OpenSSL that they take over and talk to."""

from __future__ import annotations

import contextlib
import datetime
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from lwm2m_server.coap.dtls.compact import FIRST, CompactSession
from lwm2m_server.coap.dtls.records import (
    APPLICATION_DATA,
    LAST_SEQUENCE,
    Content,
    Exhausted,
    Protection,
    Record,
    Refused,
    ReplayWindow,
    split,
)
from lwm2m_server.coap.dtls.suites import SUITES, KeyBlock, key_block

KEYS = KeyBlock(b"c" * 16, b"s" * 16, b"clie", b"serv")


def session(cid: bytes = b"", peer_cid: bytes = b"", suite: int = 0xC0A8) -> CompactSession:
    return CompactSession(suite, KEYS, cid, peer_cid)


def from_client(
    data: bytes, sequence: int, cid: bytes = b"", *, epoch: int = 1, suite: int = 0xC0A8
) -> Record:
    protection = Protection.of(SUITES[suite], KEYS.client_key, KEYS.client_salt)
    (record,) = split(protection.seal(Content(APPLICATION_DATA, data), epoch << 48 | sequence, cid), len(cid))
    return record


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("cid", [b"", b"own"])
def test_a_record_opens_once(suite: int, cid: bytes) -> None:
    ours = session(cid, suite=suite)
    record = from_client(b"hello", 3, cid, suite=suite)
    assert ours.open(record) == (APPLICATION_DATA, b"hello", True)
    with pytest.raises(Refused, match="seen before"):
        ours.open(record)
    assert ours.open(from_client(b"late", 2, cid, suite=suite)) == (APPLICATION_DATA, b"late", False)


def test_a_forged_record_does_not_move_the_window() -> None:
    ours = session()
    record = from_client(b"hello", 3)
    forged = record._replace(position=FIRST | 1000)
    with pytest.raises(Refused, match="authentic"):
        ours.open(forged)
    assert ours.window == ReplayWindow()
    assert ours.open(record).is_newest


@pytest.mark.parametrize("epoch", [0, 2, 65535])
def test_another_epoch_is_refused(epoch: int) -> None:
    with pytest.raises(Refused, match="epoch"):
        session().open(from_client(b"hello", 3, epoch=epoch))


@pytest.mark.parametrize(("own", "theirs"), [(b"own", b""), (b"", b"own"), (b"own", b"owm"), (b"own", b"ow")])
def test_a_record_needs_the_connection_id_that_was_agreed_on(own: bytes, theirs: bytes) -> None:
    with pytest.raises(Refused, match="Connection ID"):
        session(own).open(from_client(b"hello", 3, theirs))


@pytest.mark.parametrize("peer_cid", [b"", b"client's"])
def test_what_is_sent_is_counted_and_carries_the_client_s_connection_id(peer_cid: bytes) -> None:
    ours = session(b"own", peer_cid)
    for number in range(3):
        (record,) = split(ours.seal(APPLICATION_DATA, b"data"), len(peer_cid))
        assert (record.position, record.cid) == (FIRST + number, peer_cid)
        assert ours.own(record) == (APPLICATION_DATA, b"data")


def test_sequence_numbers_never_wrap() -> None:
    ours = session()
    ours.position = FIRST | LAST_SEQUENCE
    ours.seal(APPLICATION_DATA, b"the last")
    with pytest.raises(Exhausted):
        ours.seal(APPLICATION_DATA, b"one too many")


@given(
    suite=st.sampled_from(sorted(SUITES)),
    keys=st.builds(KeyBlock, *(st.binary(min_size=n, max_size=n) for n in (16, 16, 4, 4))),
    cids=st.tuples(st.binary(max_size=255), st.binary(max_size=255)),
    position=st.integers(FIRST, FIRST + LAST_SEQUENCE + 1),
    window=st.builds(ReplayWindow, st.integers(-1, LAST_SEQUENCE), st.integers(0, 2**64 - 1)),
)
def test_it_is_the_same_after_a_restart(
    suite: int, keys: KeyBlock, cids: tuple[bytes, bytes], position: int, window: ReplayWindow
) -> None:
    before = CompactSession(suite, keys, *cids, position, window)
    assert CompactSession.load(before.dump()) == before


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda rest: b"\xc0\xa8" + rest))
def test_other_bytes_are_no_session(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert CompactSession.load(data).dump() == data


def test_nothing_secret_is_shown() -> None:
    assert "c" * 16 not in repr(session())


# --- OpenSSL ---


class Ends(NamedTuple):
    """An OpenSSL client, an OpenSSL server, and what both know."""

    client: SSL.Connection
    server: SSL.Connection
    keys: KeyBlock
    suite: int

    def compact(self) -> CompactSession:
        self.server.send(b"so that its next record number is known")
        (record,) = split(drained(self.server)[0])
        return CompactSession(self.suite, self.keys, position=record.position + 1)


CIPHERS = {
    0xC0AE: b"ECDHE-ECDSA-AES128-CCM8",
    0xC0AC: b"ECDHE-ECDSA-AES128-CCM",
    0xC02B: b"ECDHE-ECDSA-AES128-GCM-SHA256",
}


@pytest.fixture(scope="module")
def certificate() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()), key


@pytest.fixture(params=CIPHERS)
def ends(
    request: pytest.FixtureRequest, certificate: tuple[x509.Certificate, ec.EllipticCurvePrivateKey]
) -> Ends:
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_cipher_list(CIPHERS[request.param] + b":@SECLEVEL=0")
    context.use_certificate(certificate[0])
    context.use_privatekey(certificate[1])
    client, server = SSL.Connection(context), SSL.Connection(context)
    client.set_connect_state()
    server.set_accept_state()
    for end in (client, server) * 4:
        with contextlib.suppress(SSL.WantReadError):
            end.do_handshake()
        exchange(client, server)
    secrets = (client.master_key(), client.client_random(), client.server_random())
    assert None not in secrets
    return Ends(client, server, key_block(SUITES[request.param], *secrets), request.param)


def exchange(*ends: SSL.Connection) -> None:
    for end, other in zip(ends, reversed(ends), strict=True):
        for datagram in drained(end):
            other.bio_write(datagram)


def drained(end: SSL.Connection) -> list[bytes]:
    try:
        return [end.bio_read(65536)]
    except SSL.WantReadError:
        return []


def test_what_openssl_seals_opens_here(ends: Ends) -> None:
    ours = ends.compact()
    for text in (b"one", b"two" * 300):
        ends.client.send(text)
        (record,) = split(drained(ends.client)[0])
        assert ours.open(record) == (APPLICATION_DATA, text, True)


def test_what_is_sealed_here_opens_in_openssl(ends: Ends) -> None:
    ours = ends.compact()
    for text in (b"one", b"two" * 300):
        ends.client.bio_write(ours.seal(APPLICATION_DATA, text))
        assert ends.client.recv(2000) == text


def test_what_openssl_sealed_itself_is_known(ends: Ends) -> None:
    ends.server.send(b"from the library")
    (record,) = split(drained(ends.server)[0])
    assert ends.compact().own(record) == (APPLICATION_DATA, b"from the library")
