"""``Step``: what one input to the engine led to."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from lwm2m_engine.coap import CoapReply
from lwm2m_engine.effects import Abort as Abort
from lwm2m_engine.effects import Effect as Effect
from lwm2m_engine.effects import Perform as Perform
from lwm2m_engine.engine.events import Event


@attrs.frozen(slots=True)
class Step:
    """Answer to one input, facts to make durable, and then what to do (in this order)."""

    reply: CoapReply | None = None
    events: tuple[Event, ...] = ()
    effects: tuple[Effect, ...] = ()


def joined(steps: Iterable[Step]) -> Step:
    """What several inputs led to, in order; none of them has a reply."""
    parts = tuple(steps)
    events = tuple(event for part in parts for event in part.events)
    return Step(events=events, effects=tuple(effect for part in parts for effect in part.effects))
