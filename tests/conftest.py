"""A real server in a process of its own, for tests that look at it from outside."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import tarfile
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

import forking
from forking import Starter

# Python before 3.11.4 has no filters.
if hasattr(tarfile, "data_filter"):
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
# Deadlines measure the machine, not the code. In CI the same code gives the same result; at a desk, each run
# looks somewhere else.
hypothesis.settings.register_profile("tests", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("tests")

# Servers are started hundreds of times: they need not be compiled each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
PREFIX = "/device-management-orchestrator/v3"
HEADERS = {"Accept": "application/json", "X-M2M-Origin": "CTestApp", "X-M2M-RI": "123"}
FAST = {
    "LWM2M_TRANSMISSION_ACK_TIMEOUT": "0.2",
    "LWM2M_TRANSMISSION_MAX_RETRANSMIT": "2",
    "LWM2M_TRANSMISSION_RESPONSE_TIMEOUT": "5",
}
"""CoAP times short enough for a test of their consequences."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--coap-stack",
        choices=["native", "aiocoap"],
        default="native",
        help="what is below CoAP/UDP in the servers that tests start",
    )
    parser.addoption(
        "--coap-conversations",
        type=int,
        default=250,
        help="how many conversations are played to both CoAP stacks",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "native_stack(reason): not run again with aiocoap below the servers")


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """A failure that quotes a lone surrogate has to reach the reader too: xdist sends UTF-8 only."""
    report = yield
    return _utf8(report)


def _utf8(value: Any) -> Any:
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case dict():
            return {_utf8(key): _utf8(item) for key, item in value.items()}
        case list() | tuple():
            return type(value)(_utf8(item) for item in value)
        case _:
            return value


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # What is begun last should be over soon.
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    if config.getoption("--coap-stack") == "native":
        return
    for item in items:
        if marker := item.get_closest_marker("native_stack"):
            item.add_marker(pytest.mark.skip(reason=f"native stack only: {marker.args[0]}"))


class Server:
    """``lwm2m serve`` in a process of its own."""

    def __init__(
        self, starter: Starter, data: Path, flags: tuple[str, ...], env: dict[str, str], cwd: Path
    ) -> None:
        self._starter, self.data, self.flags, self.env, self.cwd = starter, data, flags, env, cwd
        self.tenant = flags[flags.index("--tenant") + 1] if "--tenant" in flags else "main"
        self.start()

    def start(self, coap: str = "", http: str = "127.0.0.1:0") -> None:
        """Start it, and wait for its first line."""
        if "--coap" not in self.flags:
            coap = coap or "127.0.0.1:0"
        listeners = ["--coap", coap] if coap else []
        self.log = self.data.with_suffix(".log")
        with self.log.open("ab") as log:
            self.process = self._starter.start(
                ["serve", *listeners, "--http", http, "--data", self.data, *self.flags],
                log,
                self.cwd,
                {**os.environ, "XDG_CONFIG_HOME": str(self.cwd / "config"), **self.env},
            )
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise RuntimeError(f"the server did not start: {self.errors()}")
        self.addresses = json.loads(line)
        host, _, port = self.addresses["coap"].rpartition(":")
        self.coap = (host.strip("[]"), int(port))
        self.http = self.addresses["http"]
        self.base = f"{self.http}{PREFIX}/{self.tenant}"

    def restart(self) -> None:
        """Again on the same addresses, so that devices find it."""
        self.start(self.addresses["coap"], self.http.removeprefix("http://"))

    def kill(self) -> None:
        """As if the power of the process were cut."""
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(10)
        finally:
            self._reap()

    def errors(self) -> str:
        return self.log.read_text()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self._reap()

    def _reap(self) -> None:
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="session")
def starter() -> Iterator[Starter]:
    """What starts servers: see ``support/forking.py``."""
    one = forking.starter()
    yield one
    one.close()


@pytest.fixture
def serve(
    tmp_path: Path, starter: Starter, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Server]]:
    """Start servers; they end with the test."""
    yield from _serving(tmp_path, starter, request)


@pytest.fixture(scope="module")
def lasting(
    tmp_path_factory: pytest.TempPathFactory, starter: Starter, request: pytest.FixtureRequest
) -> Iterator[Server]:
    """As ``server``, for all tests of a module: each has devices of its own there."""
    for start in _serving(tmp_path_factory.mktemp("lasting"), starter, request):
        yield start("--unknown-devices", "create")


def _serving(
    tmp_path: Path, starter: Starter, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []
    stack = {"LWM2M_COAP_STACK": request.config.getoption("--coap-stack")}

    def start(*flags: str, fast: bool = True, **env: str) -> Server:
        data = tmp_path / f"data{len(servers)}"
        (tmp_path / "work").mkdir(exist_ok=True)
        settings = {**stack, **(FAST if fast else {}), **env}
        server = Server(starter, data, flags, settings, tmp_path / "work")
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    """One that lets unknown devices in."""
    return serve("--unknown-devices", "create")


class Console:
    """The web console of a server whose API is protected: there is a key for each role."""

    ROLES = ("read", "operate", "admin", "system")

    def __init__(self, server: Server, access: Path) -> None:
        self.server, self.access = server, access
        self.url = f"{server.http}/console"

    @classmethod
    def access_file(cls, folder: Path) -> Path:
        """What lets the keys in."""
        tenants = {role: "" if role == "system" else 'tenant = "main"\n' for role in cls.ROLES}
        hashes = {role: hashlib.sha256(cls.key(role).encode()).hexdigest() for role in cls.ROLES}
        file = folder / "access.toml"
        file.write_text(
            "\n".join(
                f'[keys.{role}]\nsha256 = "{hashes[role]}"\nrole = "{role}"\n{tenants[role]}'
                for role in cls.ROLES
            )
        )
        return file

    @staticmethod
    def key(role: str) -> str:
        return f"the-key-of-the-role-{role}"

    def bearer(self, role: str = "admin") -> dict[str, str]:
        """The header of a program with this role."""
        return {"Authorization": f"Bearer {self.key(role)}"}


@pytest.fixture(scope="session")
def console(
    tmp_path_factory: pytest.TempPathFactory, starter: Starter, request: pytest.FixtureRequest
) -> Iterator[Console]:
    """For all tests: each has devices of its own there, by names that no other uses."""
    yield from _consoles(tmp_path_factory.mktemp("console"), starter, request)


@pytest.fixture(scope="module")
def own_console(
    tmp_path_factory: pytest.TempPathFactory, starter: Starter, request: pytest.FixtureRequest
) -> Iterator[Console]:
    """For a module that has to know all that is there: its ``console`` may be this one."""
    yield from _consoles(tmp_path_factory.mktemp("console"), starter, request)


def _consoles(folder: Path, starter: Starter, request: pytest.FixtureRequest) -> Iterator[Console]:
    file = Console.access_file(folder)
    for start in _serving(folder, starter, request):
        yield Console(start("--unknown-devices", "create", LWM2M_ACCESS_FILE=str(file)), file)


class Api:
    """The oneM2M API of one server, as an application calls it."""

    def __init__(self, server: Server, client: httpx.AsyncClient) -> None:
        self.server, self.client = server, client

    async def get(self, path: str = "", **more: Any) -> httpx.Response:
        return await self.client.get(self._url(path), headers={**HEADERS, **more.pop("headers", {})}, **more)

    async def post(self, path: str, ty: int, body: Any, **more: Any) -> httpx.Response:
        headers = {**HEADERS, "Content-Type": f"application/json;ty={ty}", **more.pop("headers", {})}
        return await self.client.post(self._url(path), headers=headers, content=json.dumps(body), **more)

    async def put(self, path: str, body: Any, **more: Any) -> httpx.Response:
        headers = {**HEADERS, "Content-Type": "application/json", **more.pop("headers", {})}
        return await self.client.put(self._url(path), headers=headers, content=json.dumps(body), **more)

    async def delete(self, path: str, **more: Any) -> httpx.Response:
        return await self.client.delete(self._url(path), headers=HEADERS, **more)

    async def wish(self, device: str, con: str, **more: Any) -> dict[str, Any]:
        """Put a message into ``outgoing-msg``."""
        path = f"device-communication/{device}/outgoing-msg"
        answer = await self.post(path, 4, {"m2m:cin": {"con": con, **more}})
        assert answer.status_code == 201, answer.text
        return answer.json()["contentInstance"]

    async def latest(self, device: str, container: str = "received-msg") -> dict[str, Any] | None:
        answer = await self.get(f"device-communication/{device}/{container}/la")
        return answer.json()["contentInstance"] if answer.status_code == 200 else None

    async def messages(self, device: str, container: str = "received-msg") -> list[dict[str, Any]]:
        """Contents, oldest first."""
        answer = await self.get(f"device-communication/{device}/{container}?rcn=8")
        found = answer.json().get("container", {}).get("contentInstance", [])
        return [one["content"] for one in found]

    async def answer_to(self, device: str, wish: dict[str, Any], seconds: float = 10.0) -> dict[str, Any]:
        """What came of a wish: the content of the message in ``received-msg`` or ``error-msg``."""

        async def look() -> dict[str, Any] | None:
            found = None
            # An answer that cannot be decoded lies in both: look at the first once more.
            for container in ("received-msg", "error-msg", "received-msg"):
                for content in await self.messages(device, container):
                    if content.get("requestID") == wish["resourceID"]:
                        found = content
            return found

        return await eventually(look, seconds)

    async def ask(self, device: str, con: str, **more: Any) -> dict[str, Any]:
        """A wish and what came of it."""
        return await self.answer_to(device, await self.wish(device, con, **more))

    def _url(self, path: str) -> str:
        if path.startswith("/"):
            return self.server.http + path
        separator = "" if path.startswith("?") or not path else "/"
        return f"{self.server.base}{separator}{path}"


async def eventually(look: Callable[[], Awaitable[Any]], seconds: float = 10.0) -> Any:
    """What ``look`` returns once it is true."""
    end = time.monotonic() + seconds
    while True:
        if found := await look():
            return found
        assert time.monotonic() < end, f"nothing came of {look.__qualname__} within {seconds} s"
        await asyncio.sleep(0.02)


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Awaitable[Any]]:
    return eventually


@pytest.fixture
async def connect() -> Any:
    """Make an ``Api`` for a server; connections end with the test."""
    clients: list[httpx.AsyncClient] = []

    def make(server: Server, **options: Any) -> Api:
        client = httpx.AsyncClient(timeout=10.0, **options)
        clients.append(client)
        return Api(server, client)

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
async def api(server: Server, connect: Any) -> Api:
    return connect(server)


@pytest.fixture
async def device() -> Any:
    """Start simulated devices; they vanish with the test."""
    from lwm2m_server.simulator.device import SimulatedDevice

    devices: list[SimulatedDevice] = []

    async def start(server: Server, endpoint: str = "device001", *, live: bool = True, **options: Any) -> Any:
        one = SimulatedDevice(endpoint, server.coap, **options)
        devices.append(one)
        if live:
            await one.start()
            await asyncio.wait_for(one.registered(), 10)
        else:
            await one.open()
        return one

    yield start
    for one in devices:
        await one.stop()


@pytest.fixture
async def protect() -> Callable[[Server], Awaitable[dict[str, str]]]:
    """Configure a client of a server, an administrator, and register the AE of ``HEADERS``; its header."""

    async def protect(server: Server) -> dict[str, str]:
        async with httpx.AsyncClient(base_url=server.http, timeout=10.0) as client:
            draft = {"id": "tests", "role": "admin", "tenant": server.tenant}
            added = (await client.post("/api/v1/clients", json=draft)).json()
            form = {"grant_type": "client_credentials"}
            credentials = added["id"], added["secret"]
            granted = (await client.post("/auth/token", data=form, auth=credentials)).json()
            bearer = {"Authorization": f"Bearer {granted['access_token']}"}
            media_type = {"Content-Type": "application/json;ty=2"}
            ae = {"m2m:ae": {"api": "NTest", "rn": "TestApp"}}
            answer = await client.post(server.base, headers={**HEADERS, **media_type, **bearer}, json=ae)
            assert answer.status_code == 201, answer.text
        return bearer

    return protect


class Authority:
    """Issues certificates; everything is a PEM file in one folder."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _common(name)
        self._own = self._build(self._name, self._key.public_key(), is_authority=True).sign(
            self._key, hashes.SHA256()
        )
        self.trust = folder / "ca.pem"
        self.trust.write_bytes(self._own.public_bytes(Encoding.PEM))

    def issue(self, name: str, *, days: int = 30, file: str | None = None) -> tuple[Path, Path]:
        """Certificate and private key for this Common Name, which is also a DNS name of it."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        built = self._build(_common(name), key.public_key(), days=days).add_extension(names, False)
        return self._write(file or name, built.sign(self._key, hashes.SHA256()), key)

    def below(self, name: str) -> Authority:
        """An authority whose certificate is of this one."""
        other = Authority(self.folder / name, name)
        built = self._build(_common(name), other._key.public_key(), is_authority=True)
        other._own = built.sign(self._key, hashes.SHA256())
        other.trust.write_bytes(other._own.public_bytes(Encoding.PEM))
        return other

    def self_signed(self, name: str) -> tuple[Path, Path]:
        """Not by this authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        built = self._build(_common(name), key.public_key(), issuer=_common(name))
        return self._write(f"{name}-self", built.sign(key, hashes.SHA256()), key)

    def revoke(self, *certificates: Path) -> Path:
        """A revocation list."""
        now = datetime.now(UTC)
        revoked = x509.CertificateRevocationListBuilder(
            self._name, now - timedelta(days=1), now + timedelta(days=30)
        )
        for file in certificates:
            serial = x509.load_pem_x509_certificate(file.read_bytes()).serial_number
            one = x509.RevokedCertificateBuilder(serial, now - timedelta(hours=1)).build()
            revoked = revoked.add_revoked_certificate(one)
        found = self.folder / "revoked.pem"
        found.write_bytes(revoked.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return found

    def _build(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        *,
        is_authority: bool = False,
        issuer: x509.Name | None = None,
        days: int = 30,
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return x509.CertificateBuilder(
            issuer or self._name,
            subject,
            key,
            x509.random_serial_number(),
            now - timedelta(days=60),
            now + timedelta(days=days),
        ).add_extension(x509.BasicConstraints(is_authority, None), critical=True)

    def _write(
        self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> tuple[Path, Path]:
        files = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return files


def _common(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """One that servers and devices may trust."""
    return Authority(tmp_path / "pki")
