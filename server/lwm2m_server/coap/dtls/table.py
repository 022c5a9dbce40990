"""``Table``: established associations, by everything they are looked for by."""

from __future__ import annotations

from collections import OrderedDict

from lwm2m_engine.coap import Peer
from lwm2m_server.coap.dtls.association import Association
from lwm2m_server.coap.sockets import SocketAddress, Source


class Table:
    """Of several at one address, all but the newest have a Connection ID."""

    def __init__(self) -> None:
        self.by_address: dict[SocketAddress, Association] = {}
        self.by_cid: dict[bytes, Association] = {}
        self.by_inside: dict[SocketAddress, Association] = {}
        """By the address the gateway knows them by."""
        self._endpoints: dict[str, tuple[Association, ...]] = {}
        self._order: OrderedDict[Association, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._order)

    def add(self, association: Association, inside: Source) -> Association | None:
        """The one it takes the place of: at its address, without Connection ID or of the same endpoint."""
        address, endpoint = association.outside.address, association.session.endpoint or ""
        old = self.by_address.get(address)
        self.by_address[address] = self.by_inside[inside.address] = association
        if association.session.cid:
            self.by_cid[association.session.cid] = association
        self._endpoints[endpoint] = (*self._endpoints.get(endpoint, ()), association)
        self._order[association] = None
        return old if old is not None and (not old.session.cid or old.session.endpoint == endpoint) else None

    def remove(self, association: Association, inside: Source) -> None:
        association.rest()
        if self.by_address.get(association.outside.address) is association:
            del self.by_address[association.outside.address]
        self.by_cid.pop(association.session.cid, None)
        del self.by_inside[inside.address], self._order[association]
        endpoint = association.session.endpoint or ""
        others = tuple(other for other in self._endpoints.pop(endpoint) if other is not association)
        if others:
            self._endpoints[endpoint] = others

    def move(self, association: Association, outside: Source) -> None:
        """It has a Connection ID, and was heard from another address."""
        if self.by_address.get(association.outside.address) is association:
            del self.by_address[association.outside.address]
        there = self.by_address.get(outside.address)
        if there is None or there.session.cid:
            self.by_address[outside.address] = association
        association.move(outside)

    def touch(self, association: Association, now: float) -> None:
        """It was heard."""
        association.heard = now
        self._order.move_to_end(association)

    def most_silent(self) -> Association | None:
        """The one that was not heard for longest."""
        return next(iter(self._order), None)

    def of(self, endpoint: str) -> tuple[Association, ...]:
        """The oldest first."""
        return self._endpoints.get(endpoint, ())

    def all(self) -> tuple[Association, ...]:
        return tuple(self._order)

    def find(self, peer: Peer) -> Association | None:
        """The one a peer speaks through, else the newest of its endpoint: it may have moved unnoticed."""
        found = None
        for association in self._endpoints.get(peer.identity or "", ()):
            found = association
            if association.inside is not None and association.inside.peer == peer:
                break
        return found
