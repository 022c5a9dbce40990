"""``Turn``: what one input to the engine has led to so far."""

from __future__ import annotations

from lwm2m_engine.coap import CoapReply
from lwm2m_engine.engine.events import Event
from lwm2m_engine.engine.step import Effect, Step


class Turn:
    """Collects facts and effects in order; becomes a ``Step``."""

    __slots__ = ("effects", "events", "now")

    def __init__(self, now: float) -> None:
        self.now = now
        self.events: list[Event] = []
        self.effects: list[Effect] = []

    def tell(self, event: Event) -> None:
        self.events.append(event)

    def do(self, effect: Effect) -> None:
        self.effects.append(effect)

    def step(self, reply: CoapReply | None = None) -> Step:
        return Step(reply, tuple(self.events), tuple(self.effects))
