"""Simulated devices that come with nothing but the account of a bootstrap server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, dotted, is_success
from lwm2m_engine.codecs import Types, decode, encode
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import CodecError, PathError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.links import Link, format_links
from lwm2m_engine.messages.bootstrap import WRITE_FORMATS
from lwm2m_engine.paths import ROOT, Path
from lwm2m_engine.values import ResourceType, Value
from lwm2m_server.coap.timing import Timing
from lwm2m_server.simulator.datagram import Connect, Endpoint, over_udp
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.simulator.dtls import Certificate, DtlsClient, DtlsContext, PreSharedKey, connect
from lwm2m_server.simulator.faults import Faults
from lwm2m_server.simulator.objects import BOOTSTRAP_TRIGGER, server_object
from lwm2m_server.simulator.tree import Resource

PATIENCE = 300.0
"""Seconds from the Bootstrap-Request to Bootstrap-Finish."""
ATTEMPTS = 4
"""To be believed by the LwM2M server, at most."""
DEVICE = Path((3, 0))
"""What no bootstrap server takes away (LwM2M Core 1.2, 6.1.7.5)."""


class BootstrapRefused(Exception):
    """The bootstrap server answered with an error."""

    def __init__(self, reply: CoapReply) -> None:
        super().__init__(f"{dotted(reply.code)} {reply.payload.decode('utf-8', 'replace')}".rstrip())
        self.code = reply.code


@attrs.frozen(slots=True)
class Account:
    """An LwM2M server, as a device was told of it (Objects 0 and 1)."""

    host: str
    port: int
    secure: bool
    short_id: int
    lifetime: int
    binding: str
    identity: bytes = b""
    key: bytes = attrs.field(default=b"", repr=False)


class BootstrapClient(Endpoint):
    """Between its Bootstrap-Request and Bootstrap-Finish; ``values`` is all it has been given.

    ``own`` is the Instance of Security that the account of the bootstrap server has.
    """

    def __init__(
        self,
        endpoint: str,
        server: tuple[str, int],
        types: Types,
        *,
        preferred: int | None = None,
        formats: Sequence[int] = WRITE_FORMATS,
        own: int = 0,
        discovers: bool = True,
        query: Sequence[str] = (),
        timing: Timing = Timing(),  # noqa: B008 - frozen
        faults: Faults | None = None,
    ) -> None:
        """``formats`` are what it can be written in, ``preferred`` is the one it asks for."""
        super().__init__(server, timing, faults)
        self.endpoint, self._types = endpoint, types
        self._formats, self._discovers = formats, discovers
        pct = (f"pct={preferred}",) if preferred is not None else ()
        self._query = (f"ep={endpoint}", *pct, *query)
        self._own = Path((0, own))
        self.values: dict[Path, Value] = {
            self._own / 0: f"coap://{server[0]}:{server[1]}",
            self._own / 1: True,
            self._own / 2: 3,
            DEVICE / 0: "lwm2m-engine",
        }
        self.asked: list[str] = []
        """What the server asked, as ``PUT /1/0``."""
        self._finished: asyncio.Future[None] | None = None

    async def bootstrap(self) -> None:
        """Raises ``BootstrapRefused``, ``TimeoutError`` or ``ResetReceived``."""
        finished = self._finished = asyncio.get_running_loop().create_future()
        reply = await self.ask(CoapRequest(Code.POST, ("bs",), self._query))
        if not is_success(reply.code):
            raise BootstrapRefused(reply)
        async with asyncio.timeout(PATIENCE):
            await finished

    async def fetch_pack(self, accept: int = ContentFormat.SENML_CBOR) -> None:
        """Bootstrap-Pack (LwM2M 1.2); raises as ``bootstrap``."""
        reply = await self.ask(CoapRequest(Code.GET, ("bspack",), (f"ep={self.endpoint}",), accept=accept))
        if not is_success(reply.code):
            raise BootstrapRefused(reply)
        entries = decode(reply.payload, reply.content_format, at=ROOT, types=self._types)
        self.values.update(_valued(entries))

    def accounts(self) -> Iterator[Account]:
        """Of LwM2M servers, by their Instance of Object 1."""
        servers = {self.values.get(path / 0): path for path in self._instances() if path[0] == 1}
        for path in self._instances():
            if path[0] == 0 and self.values.get(path / 1) is False:
                yield self._account(path, servers[self.values[path / 10]])

    def _account(self, security: Path, server: Path) -> Account:
        uri = urlsplit(str(self.values[security / 0]))
        secure = uri.scheme.startswith("coaps")
        identity, key = (self.values.get(security / number, b"") for number in (3, 5))
        return Account(
            uri.hostname or "",
            uri.port or (5684 if secure else 5683),
            secure,
            int(str(self.values[server / 0])),
            int(str(self.values[server / 1])),
            str(self.values[server / 7]),
            identity if isinstance(identity, bytes) else b"",
            key if isinstance(key, bytes) else b"",
        )

    def _instances(self) -> list[Path]:
        return sorted({Path(path[:2]) for path in self.values})

    # --- what the server asks ---

    def serve(self, request: CoapRequest, token: bytes) -> CoapReply:
        self.asked.append(f"{Code(request.code).name} /{'/'.join(request.path)}")
        if request.code == Code.POST and request.path == ("bs",):
            return self._finish()
        try:
            path = Path("/".join(request.path))
        except PathError:
            return CoapReply(Code.NOT_FOUND)
        match request.code:
            case Code.DELETE:
                return self._delete(path)
            case Code.PUT:
                return self._write(path, request)
            case Code.GET if request.accept == ContentFormat.LINK_FORMAT:
                return self._discover(path)
            case Code.GET if path and path[0] in (1, 2):
                return self._read(path)
        return CoapReply(Code.METHOD_NOT_ALLOWED)

    def _finish(self) -> CoapReply:
        flags = [value for path, value in self.values.items() if _is_flag(path)]
        if flags.count(True) != 1 or False not in flags:
            return CoapReply(Code.NOT_ACCEPTABLE, b"one bootstrap server and an LwM2M server are due")
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)
        return CoapReply(Code.CHANGED)

    def _delete(self, path: Path) -> CoapReply:
        kept = (self._own, DEVICE)
        for place in [place for place in self.values if place.startswith(path)]:
            if Path(place[:2]) not in kept:
                del self.values[place]
        return CoapReply(Code.DELETED)

    def _write(self, path: Path, request: CoapRequest) -> CoapReply:
        if request.content_format not in self._formats:
            return CoapReply(Code.UNSUPPORTED_CONTENT_FORMAT)
        try:
            entries = decode(request.payload, request.content_format, at=path, types=self._types)
        except CodecError:
            return CoapReply(Code.BAD_REQUEST)
        for place in [place for place in self.values if place.startswith(path)]:
            del self.values[place]
        self.values.update(_valued(entries))
        return CoapReply(Code.CHANGED)

    def _read(self, path: Path) -> CoapReply:
        values = sorted(self.values.items())
        entries = [Entry(place, value) for place, value in values if place.startswith(path)]
        number = self._formats[0]
        return CoapReply(Code.CONTENT, encode(entries, number, at=path, types=self._types), number)

    def _discover(self, path: Path) -> CoapReply:
        if not self._discovers:
            return CoapReply(Code.NOT_FOUND)
        found = (self._link(instance) for instance in self._instances() if instance.startswith(path))
        links = [Link("/", (("lwm2m", "1.1"),)), *found]
        return CoapReply(Code.CONTENT, format_links(links).encode(), ContentFormat.LINK_FORMAT)

    def _link(self, path: Path) -> Link:
        attributes: list[tuple[str, str | None]] = []
        short_id = self.values.get(path / {0: 10, 1: 0}.get(path[0], 65535))
        if short_id is not None:
            attributes.append(("ssid", str(short_id)))
        if path[0] == 0:
            attributes.append(("uri", str(self.values[path / 0])))
        return Link(str(path), tuple(attributes))


class FactoryDevice(SimulatedDevice):
    """Comes with nothing but the account of a bootstrap server; ``options`` as of ``SimulatedDevice``.

    ``factory`` is how it reaches that one. It asks for its accounts when it is opened, and again when a
    server triggers that.
    """

    def __init__(
        self,
        endpoint: str,
        server: tuple[str, int],
        types: Types,
        *,
        factory: Connect = over_udp,
        **options: Any,
    ) -> None:
        super().__init__(endpoint, server, **options)
        self._bootstrap_server, self._types, self._factory = server, types, factory

    async def open(self) -> None:
        """Raises as ``BootstrapClient.bootstrap``, and ``ConnectionError``."""
        await self._provision()
        for _ in range(ATTEMPTS):
            try:
                await super().open()
            except (ConnectionError, TimeoutError):
                # Its key may not have got from the one server to the other.
                await asyncio.sleep(self.timing.ack_timeout)
            else:
                return
        await super().open()

    async def _provision(self) -> None:
        client = BootstrapClient(self.endpoint, self._bootstrap_server, self._types, timing=self.timing)
        client.connect = self._factory
        await client.open()
        try:
            await client.bootstrap()
        finally:
            client.close()
        self._take(next(client.accounts()))

    def _take(self, account: Account) -> None:
        self.server, self.lifetime = (account.host, account.port), account.lifetime
        server = server_object(account.lifetime, account.binding, account.short_id)
        server.instances[0][BOOTSTRAP_TRIGGER[2]] = Resource(ResourceType.NONE, operations="E")
        self.tree.objects[server.id] = server
        self.connect = over_dtls(PreSharedKey(account.identity, account.key)) if account.secure else over_udp

    def _changed(self, paths: Sequence[Path]) -> None:
        super()._changed(paths)
        if BOOTSTRAP_TRIGGER in paths:
            self.spawn(self._begin_anew())

    async def _begin_anew(self) -> None:
        await self._provision()
        self.close()
        await self.connect(self)
        self.location = None
        self.wake()


def over_dtls(proof: PreSharedKey | Certificate) -> Connect:
    """To a port that wants to know who is there."""
    context = DtlsContext(proof)

    async def shake_hands(endpoint: Endpoint) -> None:
        await connect(lambda: endpoint, endpoint.server, DtlsClient(context))

    return shake_hands


def _is_flag(path: Path) -> bool:
    """Whether an Instance of Security is of the bootstrap server."""
    return len(path) == 3 and path[0] == 0 and path[2] == 1


def _valued(entries: Sequence[Entry]) -> dict[Path, Value]:
    return {entry.path: entry.value for entry in entries if entry.value is not None}
