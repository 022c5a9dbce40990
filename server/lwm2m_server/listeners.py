"""Where devices reach the server: a gateway for each address in the settings, and the names of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Protocol, TypeAlias

import attrs
import structlog

from lwm2m_server.bootstrap.service import BootstrapService
from lwm2m_server.coap.connection import Limits
from lwm2m_server.coap.dtls.secure import Security
from lwm2m_server.coap.gateway import Gateway
from lwm2m_server.coap.stock import StockGateway
from lwm2m_server.coap.tcp import TcpGateway
from lwm2m_server.coap.timing import Timing
from lwm2m_server.coap.tls import Tls
from lwm2m_server.counts import Counts, Numbers
from lwm2m_server.hub import Hub
from lwm2m_server.ports import Transport
from lwm2m_server.security.contexts import OscoreContexts
from lwm2m_server.security.ports import secured, tls
from lwm2m_server.security.store import Credentials
from lwm2m_server.settings import Address, Settings
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.uplink import Uplink

_log = structlog.get_logger(__name__)


class Listener(Transport, Protocol):
    """A gateway of any kind."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it is bound to."""
        ...

    def counts(self) -> Numbers:
        """See ``lwm2m_server.counts``."""
        ...

    async def close(self) -> None: ...


Start: TypeAlias = Callable[[str, Address], Awaitable[Listener]]


Bound: TypeAlias = dict[str, tuple[str, ...]]
"""The addresses that were bound, in the order of the settings, by the name of the setting."""


class Rejections(Protocol):
    """Each is told the listener, from where it came, and why."""

    def handshake(self, listener: str, peer: str, reason: str) -> object:
        """It did not come to its end."""
        ...

    def protected(self, listener: str, peer: str, reason: str) -> object:
        """OSCORE: a request that cannot be opened."""
        ...


async def listen(
    settings: Settings,
    hub: Hub,
    uplink: Uplink,
    credentials: Credentials,
    ledger: Ledger,
    counts: Counts,
    stack: AsyncExitStack,
    rejected: Rejections,
) -> Bound:
    """Open all of them; ``counts`` has their numbers, ``stack`` closes them; ``rejected`` hears of
    those who cannot be let in.

    Raises ``OSError`` that names the address, ``SettingsError`` if DTLS or TLS cannot be had.
    """
    identities = credentials.identities("management")
    contexts = OscoreContexts(identities, "management", ledger)
    credentials.on_change("management", contexts.forget)
    if not contexts.is_empty and not _knows_oscore(settings):
        _log.warning(
            "devices with OSCORE credentials cannot register",
            reason="OSCORE is for CoAP over UDP, on the server's own stack",
            hint="set coap and coap_stack = native, or give them other credentials",
        )
    security, over_tls = None, None
    if settings.coaps:
        security = secured(settings.dtls, identities, credentials.shelf(settings.data))
    if settings.coaps_tcp:
        over_tls = attrs.evolve(
            tls(settings.dtls, identities), on_failed=partial(rejected.handshake, "coaps+tcp")
        )
    gateways = _Gateways(settings, uplink, credentials, rejected, contexts, security, over_tls)

    async def open_all(scheme: str, addresses: Sequence[Address], start: Start) -> tuple[str, ...]:
        bound = []
        for name, address in _named(scheme, addresses):
            gateway = await start(name, address)
            stack.push_async_callback(gateway.close)
            hub.add_transport(name, gateway)
            counts.add(name, gateway.counts)
            bound.append(str(Address(*gateway.address)))
        return tuple(bound)

    return {
        "coap": await open_all("coap", settings.coap, gateways.plain),
        "coap_tcp": await open_all("coap+tcp", settings.coap_tcp, gateways.plain_tcp),
        "coaps": await open_all("coaps", settings.coaps, gateways.secure),
        "coaps_tcp": await open_all("coaps+tcp", settings.coaps_tcp, gateways.secure_tcp),
    }


@attrs.frozen
class _Gateways:
    """How each kind of gateway for devices is started."""

    _settings: Settings
    _uplink: Uplink
    _credentials: Credentials
    _rejected: Rejections
    _contexts: OscoreContexts
    _security: Security | None
    _tls: Tls | None

    async def plain(self, name: str, address: Address) -> Listener:
        timing, progress = _timing(self._settings), self._uplink.progressed
        if self._settings.coap_stack == "aiocoap":
            return await StockGateway.start(
                self._uplink, *address, listener=name, timing=timing, progress=progress
            )
        gateway = await Gateway.start(
            self._uplink, *address, listener=name, timing=timing, progress=progress, contexts=self._contexts
        )
        _attend(gateway, name, self._rejected)
        return gateway

    async def secure(self, name: str, address: Address) -> Gateway:
        gateway = await Gateway.start(
            self._uplink,
            *address,
            listener=name,
            timing=_timing(self._settings),
            progress=self._uplink.progressed,
            security=self._security,
        )
        _attend(gateway, name, self._rejected)
        if gateway.sessions is not None:
            self._credentials.on_change("management", gateway.sessions.close)
        return gateway

    async def plain_tcp(self, name: str, address: Address) -> TcpGateway:
        return await self._start_tcp(name, address, None)

    async def secure_tcp(self, name: str, address: Address) -> TcpGateway:
        gateway = await self._start_tcp(name, address, self._tls)
        self._credentials.on_change("management", gateway.end)
        return gateway

    async def _start_tcp(self, name: str, address: Address, tls: Tls | None) -> TcpGateway:
        return await TcpGateway.start(
            self._uplink,
            *address,
            listener=name,
            timing=_timing(self._settings),
            limits=_limits(self._settings),
            progress=self._uplink.progressed,
            tls=tls,
        )


async def listen_for_bootstrap(
    settings: Settings,
    service: BootstrapService,
    credentials: Credentials,
    ledger: Ledger,
    counts: Counts,
    stack: AsyncExitStack,
    rejected: Rejections,
) -> Bound:
    """Where devices bootstrap, without and with DTLS; as ``listen``."""
    wanted, timing = settings.bootstrap, _timing(settings)
    identities = credentials.identities("bootstrap")
    security = secured(settings.dtls, identities) if wanted.coaps else None

    contexts = OscoreContexts(identities, "bootstrap", ledger)
    credentials.on_change("bootstrap", contexts.forget)
    counts.add("bootstrap", service.counts)

    async def open_all(
        scheme: str, addresses: Sequence[Address], security: Security | None
    ) -> tuple[str, ...]:
        bound = []
        for name, address in _named(scheme, addresses):
            gateway = await Gateway.start(
                service,
                *address,
                listener=name,
                timing=timing,
                security=security,
                contexts=contexts,
                is_sparing=True,
            )
            stack.push_async_callback(gateway.close)
            _attend(gateway, name, rejected)
            if gateway.sessions is not None:
                credentials.on_change("bootstrap", gateway.sessions.close)
            service.add_transport(name, gateway)
            counts.add(name, gateway.counts)
            bound.append(str(Address(*gateway.address)))
        return tuple(bound)

    return {
        "bootstrap_coap": await open_all("coap-bs", wanted.coap, None),
        "bootstrap_coaps": await open_all("coaps-bs", wanted.coaps, security),
    }


def _attend(gateway: Gateway, name: str, rejected: Rejections) -> None:
    if gateway.sessions is not None:
        gateway.sessions.on_failed = lambda peer, reason: rejected.handshake(name, str(peer), reason)
    if gateway.protected is not None:
        gateway.protected.on_refused = lambda peer, reason: rejected.protected(name, str(peer), reason)


def _named(scheme: str, addresses: Sequence[Address]) -> Iterator[tuple[str, Address]]:
    """A registration belongs to the listener it came through, so the names must outlive a restart."""
    for number, address in enumerate(addresses, start=1):
        yield scheme if number == 1 else f"{scheme}-{number}", address


def _knows_oscore(settings: Settings) -> bool:
    return bool(settings.coap) and settings.coap_stack == "native"


def _timing(settings: Settings) -> Timing:
    transmission = settings.transmission
    return Timing(
        transmission.ack_timeout,
        transmission.ack_random_factor,
        transmission.max_retransmit,
        transmission.response_timeout,
        transmission.fair_share,
    )


def _limits(settings: Settings) -> Limits:
    tcp = settings.tcp
    return Limits(
        connections=tcp.connections,
        per_address=tcp.connections_per_address,
        message_size=tcp.message_size,
        hello=tcp.csm_timeout,
        patience=tcp.patience,
        idle=tcp.idle,
    )
