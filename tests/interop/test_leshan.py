"""Eclipse Leshan's client library, with Californium and Scandium below it, against the whole server."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import tempfile
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from lwm2m_server.cli.main import lwm2m
from lwm2m_server.coap.dtls import gnutls_library

pytestmark = pytest.mark.slow

dtls = pytest.mark.native_stack("below DTLS there is no other")

SOURCE = Path(__file__).parent / "leshan_client"
NAME = "leshan1"
KEY = bytes(range(16))
PATIENCE = 15.0
"""Seconds: a virtual machine is to be started first, and shakes hands."""
FETCHING = 120.0
"""Seconds for the libraries, the first time."""


@pytest.fixture(scope="module")
def classes():
    """The class path of the program: it and its libraries in a folder that is kept for the next time."""
    mvn, javac, java = (shutil.which(name) for name in ("mvn", "javac", "java"))
    if not (mvn and javac and java):
        pytest.skip("Maven and a JDK are not installed")
    sources = [SOURCE / "pom.xml", SOURCE / "LeshanDevice.java"]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"lwm2m-leshan-{os.getuid()}-{digest}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
            built = Path(fresh) / "classes"
            fetch(mvn, "-q", "-B", "-f", sources[0], f"-DoutputDirectory={built}")
            subprocess.run([javac, "-cp", f"{built}/*", "-d", built, sources[1]], check=True)
            built.rename(folder)
    return f"{folder}{os.pathsep}{folder}/*"


def fetch(*maven: str | Path) -> None:
    command = [*maven, "dependency:copy-dependencies"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCHING)
    except subprocess.TimeoutExpired:
        pytest.skip(f"Leshan cannot be fetched here within {FETCHING:.0f} s")
    if done.returncode:
        pytest.skip(f"Leshan cannot be fetched here: {(done.stdout + done.stderr).strip()[:300]}")


class Leshan:
    """The program, and the lines that it prints."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process, self._log = process, log

    async def says(self, word: str) -> str:
        """The rest of its next line, which has to begin like that."""
        line = (await asyncio.wait_for(self._process.stdout.readline(), PATIENCE)).decode().strip()
        assert line.startswith(word), (line, self._log.read_text())
        return line.removeprefix(word).strip()

    async def do(self, line: str) -> None:
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()

    async def end(self) -> None:
        self._process.stdin.close()
        await self.says("deregistered")


@pytest.fixture
async def leshan(classes, tmp_path):
    processes = []

    async def start(uri: str, *proof: bytes | str, role: str = "management", cid: int = -1) -> Leshan:
        words = [one.hex() if isinstance(one, bytes) else one for one in proof]
        # The smallest and soonest started virtual machine: it lives for a second or two.
        machine = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-cp", classes]
        command = [*machine, "LeshanDevice", NAME, uri, role, str(cid), *words]
        log = tmp_path / "leshan.log"
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=errors)
        processes.append(process)
        return Leshan(process, log)

    yield start
    for process in processes:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def command(server, *words: str, given: str = "") -> None:
    done = CliRunner().invoke(lwm2m, [*words, "--url", server.http], input=given)
    assert done.exit_code == 0, done.output


def let_in(server, *credentials: str, given: str = "") -> None:
    command(server, "devices", "add", NAME)
    command(server, "credentials", "add", NAME, *credentials, given=given)


async def whole_life(device: Leshan, api, eventually) -> None:
    """Register, Read, Write, Execute, Observe, notify, Cancel, Update, De-register."""
    await device.says("registered")
    assert (await api.ask(NAME, "GET /3/0/0"))["dataValue"] == {"3/0/0": "Eclipse Leshan"}
    assert (await api.ask(NAME, "PUT /3/0/14 +02"))["responseCode"] == "2.04"
    assert await device.says("written") == "+02"
    assert (await api.ask(NAME, "POST /3/0/4"))["responseCode"] == "2.04"
    await device.says("rebooted")

    assert (await api.ask(NAME, "OBSERVE /3/0/9"))["dataValue"] == {"3/0/9": 80}
    await device.do("battery 79")

    async def notified() -> bool:
        return {"3/0/9": 79} in [message.get("dataValue") for message in await api.messages(NAME)]

    await eventually(notified)
    await api.ask(NAME, "CANCEL /3/0/9")
    await device.do("update")
    await device.says("updated")
    await device.end()

    async def gone() -> bool:
        labels = (await api.get(NAME)).json()["node"]["labels"]
        return any(label.startswith("deregistrations_timestamp") for label in labels)

    await eventually(gone)


async def test_without_security(server, api, leshan, eventually):
    await whole_life(await leshan(f"coap://{server.addresses['coap']}", "nosec"), api, eventually)


@dtls
async def test_with_a_pre_shared_key(serve, connect, leshan, eventually):
    server = serve("--coaps", "127.0.0.1:0")
    let_in(server, "--mode", "psk", "--identity", NAME, "--hex", "--key-file", "-", given=KEY.hex())
    device = await leshan(f"coaps://{server.addresses['coaps']}", "psk", NAME.encode(), KEY)
    await whole_life(device, connect(server), eventually)


@dtls
async def test_with_certificates(serve, connect, authority, leshan, eventually):
    certificate, key = authority.issue("localhost")
    server = serve(
        "--coaps",
        "127.0.0.1:0",
        LWM2M_DTLS_CERTIFICATE=str(certificate),
        LWM2M_DTLS_CERTIFICATE_KEY_FILE=str(key),
        LWM2M_DTLS_TRUST=str(authority.trust),
    )
    let_in(server, "--mode", "x509")
    own, own_key = authority.issue(NAME)
    proof = certificate_of(own), private_half(key_of(own_key)), certificate_of(certificate)
    device = await leshan(f"coaps://{server.addresses['coaps']}", "x509", *proof)
    await whole_life(device, connect(server), eventually)


@dtls
async def test_with_raw_public_keys(serve, connect, leshan, eventually, tmp_path):
    try:
        gnutls_library.library()
    except gnutls_library.LibraryMissing as missing:
        pytest.skip(str(missing))
    servers, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    (tmp_path / "server.key").write_bytes(
        servers.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    (tmp_path / "own.pub").write_bytes(
        own.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    server = serve("--coaps", "127.0.0.1:0", LWM2M_DTLS_RAW_PUBLIC_KEY_FILE=str(tmp_path / "server.key"))
    let_in(server, "--mode", "rpk", "--public-key", str(tmp_path / "own.pub"))
    proof = public_half(own), private_half(own), public_half(servers)
    device = await leshan(f"coaps://{server.addresses['coaps']}", "rpk", *proof)
    await whole_life(device, connect(server), eventually)


def certificate_of(file: Path) -> bytes:
    return x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER)


def key_of(file: Path) -> ec.EllipticCurvePrivateKey:
    return load_pem_private_key(file.read_bytes(), None)


def private_half(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def public_half(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


async def test_bootstrapped_without_security(serve, connect, leshan, eventually):
    server = serve("--unknown-devices", "create", LWM2M_BOOTSTRAP_COAP="127.0.0.1:0")
    api = connect(server)
    account = {"0": f"coap://{server.addresses['coap']}", "1": False, "2": 3, "10": 123}
    await keep(api, account, noSec=True)
    device = await leshan(f"coap://{server.addresses['bootstrap_coap']}", "nosec", role="bootstrap")
    await device.says("bootstrapped")
    await whole_life(device, api, eventually)


@dtls
async def test_bootstrapped_with_a_pre_shared_key(serve, connect, leshan, eventually):
    """It comes with a key for the bootstrap server, and is given one for this server."""
    server = serve("--coaps", "127.0.0.1:0", LWM2M_BOOTSTRAP_COAPS="127.0.0.1:0")
    api = connect(server)
    factory = ("--bootstrap", "--mode", "psk", "--identity", "factory-1", "--hex", "--key-file", "-")
    let_in(server, *factory, given=KEY.hex())
    account = {"0": f"coaps://{server.addresses['coaps']}", "1": False, "2": 0, "10": 123}
    await keep(api, account | {"3": {"text": "{endpoint}"}, "5": {"key": "management"}})
    uri = f"coaps://{server.addresses['bootstrap_coaps']}"
    device = await leshan(uri, "psk", b"factory-1", KEY, role="bootstrap")
    await device.says("bootstrapped")
    await whole_life(device, api, eventually)


async def keep(api, account, **more) -> None:
    """A bootstrap configuration with this instance of object 0.

    Leshan reads 3, 4 and 5 in every mode (eclipse-leshan/leshan#1316): those not named are written empty.
    """
    write = {"/0/1": account, "/1/0": {"0": 123, "1": 300, "6": True, "7": "U"}}
    document = {"endpoints": [NAME], "write": write, **more}
    answer = await api.client.put(f"{api.server.http}/api/v1/bootstrap/configs/all", json=document)
    assert answer.status_code == 201, answer.text


class Side(asyncio.DatagramProtocol):
    """One port of a relay."""

    def __init__(self, forward) -> None:
        self._forward = forward

    @classmethod
    async def open(cls, forward) -> asyncio.DatagramTransport:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: cls(forward), ("127.0.0.1", 0))
        return transport

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        self._forward(data, source)


class Relay:
    """Between one device and the server, which sees another port of it after each move."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server

    async def open(self) -> str:
        """The address for the device."""
        self._near = await Side.open(self._to_server)
        self._far = await Side.open(self._to_device)
        return "{}:{}".format(*self._near.get_extra_info("sockname"))

    async def move(self) -> None:
        self._far.close()
        self._far = await Side.open(self._to_device)

    def close(self) -> None:
        self._near.close()
        self._far.close()

    def _to_server(self, data: bytes, device: tuple[str, int]) -> None:
        self._device = device
        self._far.sendto(data, self._server)

    def _to_device(self, data: bytes, _server: tuple[str, int]) -> None:
        self._near.sendto(data, self._device)


@pytest.fixture
async def relay():
    relays = []

    async def open_for(address: str) -> tuple[Relay, str]:
        host, _, port = address.rpartition(":")
        one = Relay((host, int(port)))
        address = await one.open()
        relays.append(one)
        return one, address

    yield open_for
    for one in relays:
        one.close()


@dtls
async def test_a_connection_id_holds_on_another_port(serve, connect, leshan, relay):
    server = serve("--coaps", "127.0.0.1:0", LWM2M_DTLS_COMPACT="1", LWM2M_DTLS_CONNECTION_ID="8")
    let_in(server, "--mode", "psk", "--identity", NAME, "--hex", "--key-file", "-", given=KEY.hex())
    between, address = await relay(server.addresses["coaps"])
    device = await leshan(f"coaps://{address}", "psk", NAME.encode(), KEY, cid=6)
    await device.says("registered")
    api = connect(server)
    for _ in range(2):
        await between.move()
        await device.do("update")
        await device.says("updated")
        assert (await api.ask(NAME, "GET /3/0/9"))["dataValue"] == {"3/0/9": 80}
    await device.end()
    assert "handshake failed" not in server.errors()
