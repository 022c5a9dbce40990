"""What a state machine wants done on the network: plain values, performed by whoever has sockets."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from lwm2m_engine.coap import CoapRequest, Peer


@attrs.frozen(slots=True)
class Perform:
    """Send ``request`` to ``peer``; report back with ``answered`` or ``failed`` of who wants it done.

    ``exchange`` names the exchange in that report. With a ``token`` the exchange is an observation:
    the transport must use exactly this token and pass later messages that carry it to ``notified``.
    """

    endpoint: str
    exchange: int
    peer: Peer
    request: CoapRequest
    token: bytes | None = None


@attrs.frozen(slots=True)
class Abort:
    """Nobody waits for this exchange any more: stop retransmitting it, report nothing."""

    endpoint: str
    exchange: int


Effect: TypeAlias = Perform | Abort
