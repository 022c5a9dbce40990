"""``Step``: what one input led to; ``Turn``: what it has led to so far."""

from __future__ import annotations

import attrs

from lwm2m_engine.bootstrap.events import Event
from lwm2m_engine.coap import CoapReply
from lwm2m_engine.effects import Effect


@attrs.frozen(slots=True)
class Step:
    """Answer to one input, facts, and then what to do (in this order)."""

    reply: CoapReply | None = None
    events: tuple[Event, ...] = ()
    effects: tuple[Effect, ...] = ()


@attrs.define(slots=True, eq=False)
class Turn:
    """Collects facts and effects in order; becomes a ``Step``."""

    now: float
    events: list[Event] = attrs.field(init=False, factory=list)
    effects: list[Effect] = attrs.field(init=False, factory=list)

    def tell(self, event: Event) -> None:
        self.events.append(event)

    def do(self, effect: Effect) -> None:
        self.effects.append(effect)

    def step(self, reply: CoapReply | None = None) -> Step:
        return Step(reply, tuple(self.events), tuple(self.effects))
