"""``Addresses``: where a device reaches this server to fetch what is offered to it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from lwm2m_engine.coap import Peer
from lwm2m_server.updates.records import UpdateRefused

PROTOCOLS: Final = {0: "coap", 1: "coaps", 2: "http", 3: "https", 4: "coap+tcp", 5: "coaps+tcp"}
"""Firmware Update Protocol Support, /5/0/8."""
_SETTINGS: Final = {"coap": "coap", "coaps": "coaps", "coap+tcp": "coap_tcp", "coaps+tcp": "coaps_tcp"}


class Addresses:
    """``bound`` are the addresses of listeners by their setting, ``http`` the URL of the HTTP server:
    both known once it listens."""

    def __init__(self, public: Iterable[str]) -> None:
        """``public`` are URIs without a path, the preferred first."""
        self._public = {urlsplit(uri).scheme: uri.rstrip("/") for uri in public}
        self.bound: Mapping[str, tuple[str, ...]] = {}
        self.http: str | None = None

    def base(self, peer: Peer, protocols: Iterable[int] | None) -> str:
        """A URI without a path for a device that was heard from ``peer`` and speaks these protocols.

        By the transport it registered through, if it can fetch that way; else by one it can. Raises
        ``UpdateRefused``.
        """
        own = peer.listener.partition("-")[0]
        spoken = (own,) if protocols is None else tuple(PROTOCOLS.get(one, "") for one in protocols)
        if own in spoken:
            spoken = (own, *spoken)
        else:
            spoken = (*(scheme for scheme in self._public if scheme in spoken), *spoken)
        for scheme in spoken:
            found = self._public.get(scheme) or self._derived(scheme, peer)
            if found is not None:
                return found
        names = ", ".join(dict.fromkeys(filter(None, spoken)))
        raise UpdateRefused(
            f"the device fetches by {names or 'no known protocol'}, and the server is not there"
        )

    def _derived(self, scheme: str, peer: Peer) -> str | None:
        """From the address the server has, as seen from the device."""
        if scheme in ("http", "https"):
            where = urlsplit(self.http or "")
            if where.scheme != scheme or where.hostname is None or where.port is None:
                return None
            return f"{scheme}://{_named(_seen(where.hostname, peer))}:{where.port}"
        addresses = self.bound.get(_SETTINGS.get(scheme, ""), ())
        if not addresses:
            return None
        number = peer.listener.partition("-")[2]
        same = peer.listener.partition("-")[0] == scheme and number.isdigit()
        host, _, port = addresses[
            int(number) - 1 if same and int(number) <= len(addresses) else 0
        ].rpartition(":")
        return f"{scheme}://{_named(_seen(host.strip('[]'), peer))}:{port}"


def _seen(host: str, peer: Peer) -> str:
    """The server's own address on the way to a peer, if it listens on all it has."""
    try:
        if not ipaddress.ip_address(host).is_unspecified:
            return host
    except ValueError:
        return host
    family = socket.AF_INET6 if ":" in peer.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as way:
        try:
            # Sends nothing: the kernel chooses the way.
            way.connect((peer.host, peer.port or 9))
        except OSError as error:
            raise UpdateRefused(f"no way to {peer.host}: {error.strerror}") from error
        return str(way.getsockname()[0])


def _named(host: str) -> str:
    return f"[{host}]" if ":" in host else host
