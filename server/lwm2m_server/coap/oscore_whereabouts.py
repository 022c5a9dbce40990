"""``Whereabouts``: where devices were when they last proved who they are."""

from __future__ import annotations

from lwm2m_engine.coap import Peer


class Whereabouts:
    """One address of each device. The id in a message says nothing of its sender before the message has been
    opened, for everybody on the path has seen it; so who only claims to be a device displaces none."""

    def __init__(self) -> None:
        self._addresses: dict[str, tuple[str, int]] = {}
        self._endpoints: dict[tuple[str, int], str] = {}

    def note(self, endpoint: str, peer: Peer) -> None:
        """It has proved to be there."""
        address = peer.host, peer.port
        before = self._addresses.get(endpoint)
        if before != address and before is not None and self._endpoints.get(before) == endpoint:
            del self._endpoints[before]
        self._addresses[endpoint] = address
        self._endpoints[address] = endpoint

    def recognised(self, peer: Peer) -> Peer:
        """With the identity of the device that was there last, if any was."""
        endpoint = self._endpoints.get((peer.host, peer.port))
        return peer if endpoint is None else peer._replace(identity=endpoint)
