"""Which addresses notices may be sent to: nothing inside of this machine, no metadata of a cloud.

Whoever can subscribe chooses a URL, and the server asks it from within the operator's network. So each
address is looked at when a connection to it is about to be made, after its name was resolved: what a name
meant a moment before does not count.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from errno import EACCES
from typing import Any, Final, TypeAlias

from lwm2m_engine.errors import SettingsError
from lwm2m_server.settings import DeliverySettings

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_METADATA: Final = frozenset(
    map(
        ipaddress.ip_address,
        ("169.254.169.254", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192"),
    )
)
"""Where clouds tell a machine who it is: AWS and most others, AWS and Google over IPv6, Alibaba, Oracle."""


class AddressRefused(OSError):
    """Not for notices."""


class AddressGuard:
    """``allowed`` are networks that may be reached whatever they are."""

    def __init__(self, allowed: Iterable[IPNetwork] = ()) -> None:
        self._allowed = tuple(allowed)

    def refusal(self, text: str) -> str | None:
        """Why notices are not sent to an address; ``None`` if they are."""
        found = ipaddress.ip_address(text.partition("%")[0])
        address = _inner(found)
        if any(one in network for one in (found, address) for network in self._allowed):
            return None
        kind = _kind(address)
        return f"{text} is {kind}; the setting deliveries.allow lets it through" if kind else None

    def literal_refusal(self, host: str) -> str | None:
        """The same for the host of a URL, if it is an address and no name."""
        try:
            return self.refusal(host)
        except ValueError:
            return None

    def open_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """For a connection to an address as ``getaddrinfo`` gives it. Raises ``AddressRefused``."""
        family, type_, protocol, _, where = info
        reason = self.refusal(where[0])
        if reason is not None:
            raise AddressRefused(EACCES, reason)
        opened = socket.socket(family, type_, protocol)
        opened.setblocking(False)
        return opened


def parse_network(text: str) -> IPNetwork:
    """An address or a network (``10.0.0.0/8``); raises ``ValueError``."""
    return ipaddress.ip_network(text, strict=False)


def open_guard(settings: DeliverySettings) -> AddressGuard:
    """Raises ``SettingsError``."""
    try:
        return AddressGuard(list(map(parse_network, settings.allow)))
    except ValueError as error:
        raise SettingsError(f"deliveries.allow: {error}") from error


def _inner(address: IPAddress) -> IPAddress:
    """The IPv4 address in an IPv6 one that stands for it."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


_KINDS: Final[tuple[tuple[str, Callable[[IPAddress], bool]], ...]] = (
    ("where a cloud keeps its metadata", lambda address: address in _METADATA),
    ("this machine", lambda address: address.is_loopback or address.is_unspecified),
    ("link-local", lambda address: address.is_link_local),
    ("a multicast address", lambda address: address.is_multicast),
    ("reserved", lambda address: address.is_reserved),
)


def _kind(address: IPAddress) -> str | None:
    return next((kind for kind, is_one in _KINDS if is_one(address)), None)
