"""``Admission``: whether the client that sends a Register is the device it says it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from lwm2m_engine.coap import Code, Peer
from lwm2m_engine.errors import RequestError
from lwm2m_server.security.identities import KnownIdentities

Enrolled: TypeAlias = Callable[[RequestError | None], None]
"""Told that the device is there now, or why it is not."""


class Newcomer(Exception):
    """Not a refusal: the device is not there yet, and may be. Call ``enrol``, and ask again when it is."""

    def __init__(self, enrol: Callable[[Enrolled], None]) -> None:
        super().__init__("a device that is to be enrolled")
        self.enrol = enrol


class Meeting(Protocol):
    """Who decides about devices that nobody knows."""

    def meet(self, endpoint: str, peer: Peer) -> None:
        """Raises ``Newcomer``, or ``RequestError`` for one that is to be refused; else it is as if nobody had
        been asked."""
        ...


class Admission:
    """Compares what a security layer proved with the credentials of the device."""

    def __init__(self, known: KnownIdentities, meeting: Meeting | None = None) -> None:
        self._known, self.meeting = known, meeting

    def check(self, endpoint: str, node: int | None, peer: Peer) -> None:
        """``node`` is what ``endpoint`` leads to. Raises ``RequestError`` (4.03; 5.03 in the
        moment they change), ``Newcomer``."""
        if node in self._known.changing:
            raise RequestError(Code.SERVICE_UNAVAILABLE, "the credentials of this device are being changed")
        if node is None and self.meeting is not None and peer.identity in (None, endpoint):
            self.meeting.meet(endpoint, peer)
        if peer.identity is None:
            known = self._known.of_node(node) if node is not None else None
            if known is not None and known.mode != "nosec":
                raise RequestError(Code.FORBIDDEN, _WITHOUT[known.mode])
            return
        known = self._known.of_endpoint(peer.identity)
        if known is None:
            raise RequestError(Code.FORBIDDEN, "these credentials are not valid any more")
        if known.node != node:
            raise RequestError(Code.FORBIDDEN, "the endpoint name is not what these credentials are for")


_WITHOUT = {
    "none": "this device has no credentials any more",
    "psk": "this device has a pre-shared key and has to use it (coaps)",
    "rpk": "this device has a raw public key and has to use it (coaps)",
    "x509": "this device has a certificate and has to use it (coaps)",
    "oscore": "this device has an OSCORE context and has to use it",
}
