"""What can be wrong with a simulated device or the network to it."""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs

from lwm2m_engine.coap import CoapReply, CoapRequest


@attrs.define(slots=True)
class Faults:
    """Switches; each may be turned while the device runs. Datagrams are counted from 1."""

    drop_outgoing: set[int] = attrs.field(factory=set)
    """Which of its datagrams get lost."""
    drop_incoming: set[int] = attrs.field(factory=set)
    """Which of the datagrams to it get lost."""
    loss: float = 0.0
    """The part of all datagrams, each way, that gets lost."""
    random: random.Random = attrs.field(factory=random.Random)
    duplicate: bool = False
    """Every datagram it sends arrives twice."""
    silent: bool = False
    """It hears nothing."""
    delay: float = 0.0
    """Seconds it takes to answer; it does not acknowledge in between."""
    reply: Callable[[CoapRequest], CoapReply | None] | None = None
    """An answer instead of its own, or ``None`` for its own."""
    sent: int = 0
    heard: int = 0

    def outgoing(self) -> int:
        """How often the next datagram arrives."""
        self.sent += 1
        if self.sent in self.drop_outgoing or self._is_lost():
            return 0
        return 2 if self.duplicate else 1

    def is_heard(self) -> bool:
        """Whether the next datagram to it arrives."""
        self.heard += 1
        return not self.silent and self.heard not in self.drop_incoming and not self._is_lost()

    def _is_lost(self) -> bool:
        return self.loss > 0 and self.random.random() < self.loss
