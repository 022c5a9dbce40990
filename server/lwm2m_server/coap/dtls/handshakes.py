"""``Handshakes``: those under way, at most one from an address."""

from __future__ import annotations

from collections import Counter

from lwm2m_server.coap.dtls.association import Association
from lwm2m_server.coap.dtls.limits import Limits
from lwm2m_server.coap.sockets import SocketAddress


class Handshakes:
    """Bounded in all, and for each host."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._hosts: Counter[str] = Counter()
        self.by_address: dict[SocketAddress, Association] = {}
        self.by_cid: dict[bytes, Association] = {}

    def __len__(self) -> int:
        return len(self.by_address)

    def have_room(self, host: str) -> bool:
        limits = self._limits
        return len(self) < limits.handshakes and self._hosts[host] < limits.handshakes_per_address

    def add(self, association: Association) -> None:
        self.by_address[association.outside.address] = association
        self._hosts[association.outside.peer.host] += 1

    def know_cid(self, association: Association) -> None:
        """The client has been given a Connection ID."""
        self.by_cid[association.session.cid] = association

    def remove(self, association: Association) -> None:
        """It is complete, or nothing comes of it."""
        association.rest()
        del self.by_address[association.outside.address]
        self.by_cid.pop(association.session.cid, None)
        host = association.outside.peer.host
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]
