"""``Step``: what one input to the engine led to."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from lwm2m_engine.coap import CoapReply, CoapRequest, Peer
from lwm2m_engine.engine.events import Event


@attrs.frozen(slots=True)
class Perform:
    """Send ``request`` to ``peer``; report back with ``Engine.answered`` or ``Engine.failed``.

    ``exchange`` names the exchange in that report. With a ``token`` the exchange is an observation:
    the transport must use exactly this token and pass later messages that carry it to
    ``Engine.notified``.
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


@attrs.frozen(slots=True)
class Step:
    """Answer to one input, facts to make durable, and then what to do (in this order)."""

    reply: CoapReply | None = None
    events: tuple[Event, ...] = ()
    effects: tuple[Effect, ...] = ()
