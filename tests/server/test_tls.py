"""CoAP over TLS: who a client is follows from its certificate, and nobody gets in without one."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
from structlog.testing import capture_logs

pytest.importorskip("cryptography")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.engine.step import Perform
from lwm2m_engine.errors import SettingsError
from lwm2m_server.coap.connection import Limits
from lwm2m_server.coap.dtls.certificates import Certificates
from lwm2m_server.coap.tcp import TcpGateway
from lwm2m_server.coap.tls import ServerContext, Tls, server_context
from lwm2m_server.simulator.scripted_stream import ScriptedStream

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@attrs.define
class Authority:
    """Signs certificates and writes them into a folder."""

    folder: Path
    name: str = "authority"
    key: ec.EllipticCurvePrivateKey = attrs.field(factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def issue(self, name: str, *, own: bool = False) -> tuple[Path, Path, x509.Certificate]:
        """Certificate and key of somebody, as files; ``own`` for that of the authority."""
        key = self.key if own else ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - DAY)
            .not_valid_after(NOW + DAY)
            .add_extension(x509.BasicConstraints(ca=own, path_length=None), critical=True)
        )
        certificate = builder.sign(self.key, hashes.SHA256())
        files = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return *files, certificate

    def revoke(self, *certificates: x509.Certificate) -> Path:
        """The list of those revoked, as a file."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(named(self.name))
        builder = builder.last_update(NOW - DAY).next_update(NOW + DAY)
        for certificate in certificates:
            entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(NOW - DAY).build())
        file = self.folder / "revocations.pem"
        file.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return file


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def common_name(der: bytes) -> str | None:
    """Of the certificates these tests issue, all but those of strangers are devices'."""
    (attribute,) = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(
        x509.NameOID.COMMON_NAME
    )
    name = str(attribute.value)
    return None if name == "stranger" else name


@attrs.define
class Uplink:
    """Notes who says something, and grants it."""

    peers: list[Peer] = attrs.field(factory=list)
    outcomes: asyncio.Queue[object] = attrs.field(factory=asyncio.Queue)
    gone: list[Peer] = attrs.field(factory=list)

    def receive(self, request: CoapRequest, peer: Peer, answer: object) -> None:
        self.peers.append(peer)
        assert callable(answer)
        answer(CoapReply(Code.CHANGED))

    def knows(self, token: bytes) -> bool:
        return False

    def observed(self, token: bytes) -> CoapRequest | None:
        return None

    def notified(self, token: bytes, reply: CoapReply, peer: Peer, settled: object) -> None:
        raise AssertionError("nothing is observed")

    def answered(self, exchange: int, reply: CoapReply) -> None:
        self.outcomes.put_nowait((exchange, reply))

    def failed(self, exchange: int, reason: str) -> None:
        self.outcomes.put_nowait((exchange, reason))

    def disconnected(self, peer: Peer) -> None:
        self.gone.append(peer)


@attrs.define
class Setup:
    gateway: TcpGateway
    uplink: Uplink
    authority: Authority
    files: Certificates

    def client(self, name: str | None, authority: Authority | None = None) -> ssl.SSLContext:
        """Of a device with this name, or of one without a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.files.trust)
        if name is not None:
            context.load_cert_chain(*(authority or self.authority).issue(name)[:2])
        return context


@asynccontextmanager
async def running(folder: Path, limits: Limits = Limits()) -> AsyncIterator[Setup]:  # noqa: B008 - frozen
    authority = Authority(folder)
    trust, _, _ = authority.issue(authority.name, own=True)
    certificate, key, _ = authority.issue("server")
    revoked = authority.revoke(authority.issue("revoked")[2])
    files = Certificates(certificate, key, trust, revoked)
    uplink = Uplink()
    tls = Tls(ServerContext(files), common_name)
    gateway = await TcpGateway.start(uplink, "127.0.0.1", 0, listener="coaps+tcp", limits=limits, tls=tls)
    try:
        yield Setup(gateway, uplink, authority, files)
    finally:
        await gateway.close()


async def test_the_certificate_says_who_a_device_is(tmp_path: Path) -> None:
    async with running(tmp_path) as setup:
        tls = setup.client("urn:dev:1")
        async with await ScriptedStream.open(setup.gateway.address, tls=tls) as device:
            answer = await device.send(Code.POST, "/rd", "lwm2m=1.1&b=T", 40, b"</3/0>")
            assert answer.code == Code.CHANGED
            (peer,) = setup.uplink.peers
            assert (peer.listener, peer.identity) == ("coaps+tcp", "urn:dev:1")
            assert peer.is_connection
            setup.gateway.perform(Perform("urn:dev:1", 7, peer, CoapRequest(Code.GET, ("3", "0"))))
            question = await device.expect(Code.GET, "/3/0")
            device.reply(question, Code.CONTENT, 0, b"text")
            async with asyncio.timeout(5):
                exchange, reply = await setup.uplink.outcomes.get()
            assert (exchange, reply.payload) == (7, b"text")


async def test_what_comes_with_the_end_of_the_handshake_is_heard(tmp_path: Path) -> None:
    """With TLS 1.3 a client may send its first message beside its Finished."""
    async with running(tmp_path) as setup:
        for number in range(20):
            tls = setup.client(f"dev{number}")
            async with await ScriptedStream.open(setup.gateway.address, tls=tls) as device:
                answer = await device.send(Code.POST, "/rd", "lwm2m=1.1&b=T", 40, b"</3/0>")
                assert answer.code == Code.CHANGED
        assert [peer.identity for peer in setup.uplink.peers] == [f"dev{number}" for number in range(20)]


@pytest.mark.parametrize("who", ["nobody", "foreign", "revoked", "stranger", "plain"])
async def test_without_a_good_certificate_nobody_is_heard(tmp_path: Path, who: str) -> None:
    async with running(tmp_path) as setup:
        other = tmp_path / "other"
        other.mkdir()
        foreign = Authority(other, "someone else")
        contexts = {
            "nobody": lambda: setup.client(None),
            "foreign": lambda: setup.client("dev1", foreign),
            "revoked": lambda: revoked_client(setup),
            "stranger": lambda: setup.client("stranger"),
            "plain": lambda: None,
        }
        with capture_logs() as logs:
            context = contexts[who]()
            with pytest.raises((OSError, EOFError)):
                await ScriptedStream.open(setup.gateway.address, tls=context)
        assert setup.uplink.peers == []
        assert [entry["event"] for entry in logs] == ["TLS handshake failed"]


def revoked_client(setup: Setup) -> ssl.SSLContext:
    context = setup.client(None)
    context.load_cert_chain(setup.authority.folder / "revoked.crt", setup.authority.folder / "revoked.key")
    return context


async def test_handshakes_count_as_connections_and_end_in_time(tmp_path: Path) -> None:
    async with running(tmp_path, Limits(connections=3, hello=0.5)) as setup:
        silent = [await asyncio.open_connection(*setup.gateway.address) for _ in range(4)]
        reader, _ = silent[3]
        async with asyncio.timeout(3):
            assert await reader.read() == b""
            for reader, _ in silent:
                assert await reader.read() == b""
        for _, writer in silent:
            writer.close()
        async with await ScriptedStream.open(setup.gateway.address, tls=setup.client("dev1")) as device:
            answer = await device.send(Code.POST, "/rd", "lwm2m=1.1&b=T", 40, b"</3/0>")
            assert answer.code == Code.CHANGED


async def test_renewed_certificates_count_from_the_next_handshake_on(tmp_path: Path) -> None:
    async with running(tmp_path) as setup:
        async with await ScriptedStream.open(setup.gateway.address, tls=setup.client("dev1")):
            before = setup.files.certificate.read_bytes()
            setup.authority.issue("server")
            assert setup.files.certificate.read_bytes() != before
        context = setup.client("dev1")
        _, writer = await asyncio.open_connection(*setup.gateway.address, ssl=context)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        renewed = x509.load_pem_x509_certificate(setup.files.certificate.read_bytes())
        assert x509.load_der_x509_certificate(shown) == renewed
        setup.files.certificate.write_text("spoilt")
        with capture_logs() as logs:
            async with await ScriptedStream.open(setup.gateway.address, tls=setup.client("dev1")):
                assert [entry["event"] for entry in logs] == ["the files before go on to be used"]


async def test_connections_end_with_the_credentials(tmp_path: Path) -> None:
    async with running(tmp_path) as setup:
        async with (
            await ScriptedStream.open(setup.gateway.address, tls=setup.client("dev1")) as first,
            await ScriptedStream.open(setup.gateway.address, tls=setup.client("dev2")) as second,
        ):
            await first.send(Code.POST, "/rd", "lwm2m=1.1&b=T", 40, b"</3/0>")
            setup.gateway.end("dev1")
            await first.closed()
            answer = await second.send(Code.POST, "/rd", "lwm2m=1.1&b=T", 40, b"</3/0>")
            assert answer.code == Code.CHANGED
        assert [peer.identity for peer in setup.uplink.gone] == ["dev1"]


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    trust, _, _ = authority.issue(authority.name, own=True)
    certificate, key, _ = authority.issue("server")
    _, other, _ = authority.issue("other")
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    for files, named_file in (
        (Certificates(certificate, other, trust), other),
        (Certificates(tmp_path / "none.pem", key, trust), tmp_path / "none.pem"),
        (Certificates(certificate, key, bad), bad),
        (Certificates(certificate, key, trust, bad), bad),
    ):
        with pytest.raises(SettingsError, match=str(named_file)):
            server_context(files)
