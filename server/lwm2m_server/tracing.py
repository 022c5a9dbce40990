"""``Traces``: what is said between the server and single devices, kept for whoever wants to look.

Bounded in every direction: so many devices at once, so many messages and bytes of each. When
nothing is traced, ``active`` is empty, and to look at that is all it costs.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Final

import attrs

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.engine.step import Perform
from lwm2m_engine.errors import LwM2MError
from lwm2m_server.notes import DOWN, UP, Note, asked, said

DEVICES: Final = 16
"""Devices that can be traced at once."""
MESSAGES: Final = 500
"""Messages kept of each; the oldest go."""
PAYLOAD: Final = 16 * 1024
"""Bytes of a payload that are kept."""
BYTES: Final = 1024 * 1024
"""Bytes of payloads kept of each device."""


class TooManyTraces(LwM2MError):
    """As many devices as possible are traced already; the text names them."""


class Trace:
    """What was said with one device since somebody asked for it."""

    def __init__(self, name: str, at: float, names: Collection[str]) -> None:
        self.name, self.since, self.names = name, at, names
        self.dropped = 0
        """Messages that had to make room."""
        self.is_on = True
        self._notes: deque[Note] = deque()
        self._last = self._bytes = 0
        self._news = asyncio.Event()

    def notes(self, after: int = 0) -> list[Note]:
        """Those with a higher number, oldest first."""
        return [note for note in self._notes if note.number > after]

    async def news(self, after: int) -> None:
        """Returns when there is a note with a higher number, or when the trace ends."""
        if self._last <= after and self.is_on:
            self._news.clear()
            await self._news.wait()

    def add(self, note: Note) -> None:
        """Numbers it, cuts its payload, and makes room."""
        self._last += 1
        kept = attrs.evolve(note, number=self._last, payload=note.payload[:PAYLOAD])
        self._notes.append(kept)
        self._bytes += len(kept.payload)
        while len(self._notes) > MESSAGES or self._bytes > BYTES:
            self._bytes -= len(self._notes.popleft().payload)
            self.dropped += 1
        self._news.set()

    def end(self) -> None:
        self.is_on = False
        self._news.set()


class Traces:
    """Traces by the node of a device, and by every name the device may come with."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.active: dict[str, Trace] = {}
        """By endpoint name; empty when nothing is traced."""
        self._by_node: dict[int, Trace] = {}
        self._under_way: dict[int, tuple[Trace, CoapRequest, float]] = {}

    def start(self, node: int, name: str, endpoints: Collection[str]) -> Trace:
        """Trace a device from now on; one that is traced goes on. Raises ``TooManyTraces``."""
        known = self._by_node.get(node)
        if known is not None:
            return known
        if len(self._by_node) >= DEVICES:
            names = ", ".join(trace.name for trace in self._by_node.values())
            raise TooManyTraces(f"{DEVICES} devices are traced already: {names}")
        trace = Trace(name, self._clock(), endpoints)
        self._by_node[node] = trace
        self.active.update(dict.fromkeys(endpoints, trace))
        return trace

    def stop(self, node: int) -> None:
        """What was noted is gone with it."""
        trace = self._by_node.pop(node, None)
        if trace is None:
            return
        trace.end()
        self.active = {name: other for name, other in self.active.items() if other is not trace}
        self._under_way = {
            exchange: entry for exchange, entry in self._under_way.items() if entry[0] is not trace
        }

    def close(self) -> None:
        for node in tuple(self._by_node):
            self.stop(node)

    def of(self, node: int) -> Trace | None:
        return self._by_node.get(node)

    # --- what the hub tells, if ``active`` ------------------------------------------------------------

    def uplink(
        self,
        endpoint: str | None,
        request: CoapRequest,
        peer: Peer,
        answer: Callable[[CoapReply], None],
    ) -> Callable[[CoapReply], None]:
        """A request of a device; what is returned takes the place of ``answer`` and notes the reply."""
        trace = self.active.get(endpoint) if endpoint is not None else None
        if trace is None:
            return answer
        began = self._clock()
        trace.add(attrs.evolve(asked(request, UP, began), peer=str(peer)))

        def noted(reply: CoapReply) -> None:
            trace.add(said(reply, DOWN, request, self._clock(), began))
            answer(reply)

        return noted

    def downlink(self, effect: Perform) -> None:
        """A request to a device."""
        trace = self.active.get(effect.endpoint)
        if trace is not None:
            now = self._clock()
            self._under_way[effect.exchange] = (trace, effect.request, now)
            sent = asked(effect.request, DOWN, now)
            trace.add(attrs.evolve(sent, exchange=effect.exchange, peer=str(effect.peer)))

    def acknowledged(self, exchange: int) -> None:
        """The device has the request; its response is still to come."""
        self._remark(self._under_way.get(exchange), exchange, "acknowledged")

    def answer(self, exchange: int, reply: CoapReply) -> None:
        """The response to a request that was noted."""
        entry = self._under_way.pop(exchange, None)
        if entry is not None:
            trace, request, began = entry
            came = said(reply, UP, request, self._clock(), began)
            trace.add(attrs.evolve(came, exchange=exchange))

    def failure(self, exchange: int, reason: str) -> None:
        """There will be no response."""
        self._remark(self._under_way.pop(exchange, None), exchange, reason)

    def notification(self, endpoint: str | None, request: CoapRequest | None, reply: CoapReply) -> None:
        """``request`` began the relation."""
        trace = self.active.get(endpoint) if endpoint is not None else None
        if trace is not None:
            began_by = request if request is not None else CoapRequest(Code.GET)
            trace.add(said(reply, UP, began_by, self._clock(), None))

    def _remark(self, entry: tuple[Trace, CoapRequest, float] | None, exchange: int, remark: str) -> None:
        if entry is not None:
            trace, request, began = entry
            now = self._clock()
            trace.add(Note(0, now, UP, request.path, exchange=exchange, duration=now - began, remark=remark))
