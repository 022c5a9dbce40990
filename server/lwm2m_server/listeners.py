"""Where devices reach the server: a gateway for each address in the settings, and the names of them."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Protocol

import attrs

from lwm2m_server.coap.connection import Limits
from lwm2m_server.coap.gateway import Gateway
from lwm2m_server.coap.stock import StockGateway
from lwm2m_server.coap.tcp import TcpGateway
from lwm2m_server.coap.timing import Timing
from lwm2m_server.hub import Hub
from lwm2m_server.ports import Transport
from lwm2m_server.settings import Address, Settings


class Listener(Transport, Protocol):
    """A gateway of any kind."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it is bound to."""
        ...

    async def close(self) -> None: ...


@attrs.frozen
class Listeners:
    """The addresses that were bound, in the order of the settings."""

    coap: tuple[str, ...]
    coap_tcp: tuple[str, ...]


async def listen(settings: Settings, hub: Hub, stack: AsyncExitStack) -> Listeners:
    """Open all of them; ``stack`` closes them. Raises ``OSError`` that names the address."""
    timing, limits = _timing(settings), _limits(settings)
    gateway = StockGateway if settings.coap_stack == "aiocoap" else Gateway
    udp = partial(gateway.start, timing=timing, progress=hub.progressed)
    tcp = partial(TcpGateway.start, timing=timing, limits=limits, progress=hub.progressed)

    async def keep(name: str, starting: Awaitable[Listener]) -> str:
        gateway = await starting
        stack.push_async_callback(gateway.close)
        hub.add_transport(name, gateway)
        return str(Address(*gateway.address))

    return Listeners(
        tuple(
            [
                await keep(name, udp(hub, *address, listener=name))
                for name, address in _named("coap", settings.coap)
            ]
        ),
        tuple(
            [
                await keep(name, tcp(hub, *address, listener=name))
                for name, address in _named("coap+tcp", settings.coap_tcp)
            ]
        ),
    )


def _named(scheme: str, addresses: Sequence[Address]) -> Iterator[tuple[str, Address]]:
    """A registration belongs to the listener it came through, so the names must outlive a restart."""
    for number, address in enumerate(addresses, start=1):
        yield scheme if number == 1 else f"{scheme}-{number}", address


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
