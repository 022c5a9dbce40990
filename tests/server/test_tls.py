"""CoAP over TLS: who a client is follows from its certificate, and nobody gets in without one."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography import x509
from structlog.testing import capture_logs

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.engine.step import Perform
from lwm2m_engine.errors import SettingsError
from lwm2m_server.coap.connection import Limits
from lwm2m_server.coap.dtls.certificates import Certificates
from lwm2m_server.coap.tcp import TcpGateway
from lwm2m_server.coap.tls import Tls, server_context, server_contexts
from lwm2m_server.simulator.scripted_stream import ScriptedStream


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
    files: Certificates
    authority: Any

    def client(self, files: tuple[Path, Path] | None) -> ssl.SSLContext:
        """Of a device with this certificate and key, or without."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.files.trust)
        if files is not None:
            context.load_cert_chain(*files)
        return context

    def device(self, name: str) -> ssl.SSLContext:
        return self.client(self.authority.issue(name))


@pytest.fixture
async def start(authority: Any) -> AsyncIterator[Any]:
    gateways: list[TcpGateway] = []

    async def start(limits: Limits = Limits()) -> Setup:  # noqa: B008 - frozen
        certificate, key = authority.issue("server")
        revoked = authority.revoke(authority.issue("withdrawn")[0])
        files = Certificates(certificate, key, authority.trust, revoked)
        uplink, tls = Uplink(), Tls(server_contexts(files), common_name)
        gateways.append(
            await TcpGateway.start(uplink, "127.0.0.1", 0, listener="coaps+tcp", limits=limits, tls=tls)
        )
        return Setup(gateways[0], uplink, files, authority)

    yield start
    for gateway in gateways:
        await gateway.close()


@pytest.fixture
async def setup(start: Any) -> Setup:
    made: Setup = await start()
    return made


async def test_the_certificate_says_who_a_device_is(setup: Setup) -> None:
    async with await ScriptedStream.open(setup.gateway.address, tls=setup.device("urn:dev:1")) as device:
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


async def test_what_comes_with_the_end_of_the_handshake_is_heard(setup: Setup) -> None:
    """With TLS 1.3 a client may send its first message beside its Finished."""
    names = [f"dev{number}" for number in range(20)]
    for name in names:
        async with await ScriptedStream.open(setup.gateway.address, tls=setup.device(name)) as device:
            answer = await device.send(Code.POST, "/rd", "lwm2m=1.1&b=T", 40, b"</3/0>")
            assert answer.code == Code.CHANGED
    assert [peer.identity for peer in setup.uplink.peers] == names


@pytest.mark.parametrize("who", ["nobody", "foreign", "revoked", "stranger", "plain"])
async def test_without_a_good_certificate_nobody_is_heard(setup: Setup, who: str) -> None:
    folder = setup.authority.folder
    contexts = {
        "nobody": lambda: setup.client(None),
        "foreign": lambda: setup.client(setup.authority.self_signed("dev1")),
        "revoked": lambda: setup.client((folder / "withdrawn.pem", folder / "withdrawn.key")),
        "stranger": lambda: setup.device("stranger"),
        "plain": lambda: None,
    }
    context = contexts[who]()
    with capture_logs() as logs, pytest.raises((OSError, EOFError)):
        await ScriptedStream.open(setup.gateway.address, tls=context)
    assert setup.uplink.peers == []
    assert [entry["event"] for entry in logs] == ["TLS handshake failed"]


async def test_handshakes_count_as_connections_and_end_in_time(start: Any) -> None:
    setup = await start(Limits(connections=3, hello=0.5))
    silent = [await asyncio.open_connection(*setup.gateway.address) for _ in range(4)]
    async with asyncio.timeout(3):
        assert await silent[3][0].read() == b""
        for reader, _ in silent:
            assert await reader.read() == b""
    for _, writer in silent:
        writer.close()
    async with await ScriptedStream.open(setup.gateway.address, tls=setup.device("dev1")) as device:
        answer = await device.send(Code.POST, "/rd", "lwm2m=1.1&b=T", 40, b"</3/0>")
        assert answer.code == Code.CHANGED


async def test_renewed_certificates_count_from_the_next_handshake_on(setup: Setup) -> None:
    async with await ScriptedStream.open(setup.gateway.address, tls=setup.device("dev1")):
        before = setup.files.certificate.read_bytes()
        setup.authority.issue("server")
        assert setup.files.certificate.read_bytes() != before
    _, writer = await asyncio.open_connection(*setup.gateway.address, ssl=setup.device("dev1"))
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    renewed = x509.load_pem_x509_certificate(setup.files.certificate.read_bytes())
    assert x509.load_der_x509_certificate(shown) == renewed
    setup.files.certificate.write_text("spoilt")
    with capture_logs() as logs:
        async with await ScriptedStream.open(setup.gateway.address, tls=setup.device("dev1")):
            assert [entry["event"] for entry in logs] == ["changed files are not used"]


async def test_connections_end_with_the_credentials(setup: Setup) -> None:
    address = setup.gateway.address
    async with (
        await ScriptedStream.open(address, tls=setup.device("dev1")) as first,
        await ScriptedStream.open(address, tls=setup.device("dev2")) as second,
    ):
        await first.send(Code.POST, "/rd", "lwm2m=1.1&b=T", 40, b"</3/0>")
        setup.gateway.end("dev1")
        await first.closed()
        answer = await second.send(Code.POST, "/rd", "lwm2m=1.1&b=T", 40, b"</3/0>")
        assert answer.code == Code.CHANGED
    assert [peer.identity for peer in setup.uplink.gone] == ["dev1"]


def test_files_that_cannot_be_used_are_named(authority: Any, tmp_path: Path) -> None:
    certificate, key = authority.issue("server")
    _, other = authority.issue("other")
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    for files, named in (
        (Certificates(certificate, other, authority.trust), other),
        (Certificates(tmp_path / "none.pem", key, authority.trust), tmp_path / "none.pem"),
        (Certificates(certificate, key, bad), bad),
        (Certificates(certificate, key, authority.trust, bad), bad),
    ):
        with pytest.raises(SettingsError, match=str(named)):
            server_context(files)
