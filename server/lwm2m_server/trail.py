"""``Trail``: what the log says at level debug, so that a message can be followed through the server.

A request has its ``X-M2M-RI``, what it created an ``ri``, and that is the ``message`` of all that is said to
and by the device because of it, with the number of the CoAP exchange; deliveries name it, too.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from lwm2m_engine.coap import CoapReply, Code, dotted
from lwm2m_engine.engine import Perform, Step
from lwm2m_engine.engine.events import Event, Queued, Started, Warned

_log = structlog.get_logger(__name__)


class Trail:
    """``name`` gives the ``ri`` of a message."""

    def __init__(self, name: Callable[[int], str]) -> None:
        self._name = name

    def follow(self, tenant: str, step: Step) -> None:
        """What a step led to, when it is durable."""
        started: dict[str, str] = {}
        for event in step.events:
            message = self._message(event)
            about = {} if message is None else {"message": message}
            if isinstance(event, Started) and message is not None:
                started[event.endpoint] = message
            if not isinstance(event, Warned):
                _log.debug(type(event).__name__, tenant=tenant, endpoint=event.endpoint, **about)
        for effect in step.effects:
            if isinstance(effect, Perform):
                known = started.get(effect.endpoint)
                about = {} if known is None else {"message": known}
                self._perform(effect, about)

    def answered(self, exchange: int, reply: CoapReply) -> None:
        _log.debug("exchange ended", exchange=exchange, code=dotted(reply.code))

    def failed(self, exchange: int, reason: str) -> None:
        _log.debug("exchange ended", exchange=exchange, reason=reason)

    def _perform(self, effect: Perform, about: dict[str, str]) -> None:
        request = effect.request
        _log.debug(
            "exchange begun",
            exchange=effect.exchange,
            endpoint=effect.endpoint,
            peer=str(effect.peer),
            method=Code(request.code).name,
            path="/" + "/".join(request.path),
            **about,
        )

    def _message(self, event: Event) -> str | None:
        number = event.message.id if isinstance(event, Queued) else getattr(event, "message", None)
        # A negative one is a request of the server's own.
        return self._name(number) if number is not None and number > 0 else None
