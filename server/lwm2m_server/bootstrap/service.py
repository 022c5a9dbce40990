"""``BootstrapService``: the bootstrap server between its gateways and its sessions.

Nothing has to be durable before a client is answered: what a session does not get to, the next one does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import structlog

from lwm2m_engine.bootstrap import Bootstrap, BootstrapConfig, Step
from lwm2m_engine.bootstrap.events import Asked, Began, Event, Failed, Finished, Packed, Refused
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer, diagnostic
from lwm2m_engine.effects import Abort, Perform
from lwm2m_engine.errors import RequestError
from lwm2m_engine.messages.bootstrap import Finish
from lwm2m_server.alarm import Alarm
from lwm2m_server.bootstrap.journal import Journal
from lwm2m_server.counts import Numbers
from lwm2m_server.logs import Ration
from lwm2m_server.ports import Transport
from lwm2m_server.security.admission import Newcomer

HAPPENING: Final[Mapping[type, str]] = {
    Began: "bootstrap_begun_total",
    Finished: "bootstrap_finished_total",
    Failed: "bootstrap_failed_total",
    Refused: "bootstrap_refused_total",
    Packed: "bootstrap_packs_total",
}
"""What is counted of each kind of event."""

_log = structlog.get_logger(__name__)


class BootstrapService:
    """The ``Uplink`` of the gateways that clients bootstrap through."""

    def __init__(
        self,
        bootstrap: Bootstrap,
        journal: Journal,
        *,
        clock: Callable[[], float] = time.time,
        provision: Callable[[str, BootstrapConfig], None] = lambda endpoint, config: None,
    ) -> None:
        """``journal`` is told everything that happens.

        ``provision`` hears what a client has been given, before it is told to keep it.
        """
        self._bootstrap, self._clock, self._provision = bootstrap, clock, provision
        self._began: dict[int, Began] = {}
        """The sessions under way."""
        self._peers: dict[Peer, int] = {}
        self._transports: dict[str, Transport] = {}
        self._exchanges: dict[int, Transport] = {}
        self._alarm = Alarm(clock, bootstrap.next_deadline, self._tick)
        self._refusals = Ration()
        self._happened = dict.fromkeys(HAPPENING.values(), 0)
        self.on_trouble: Callable[[Failed | Refused], object] = lambda event: None
        """Hears of each session that fails, and each request that is refused."""
        self.journal = journal

    def add_transport(self, listener: str, transport: Transport) -> None:
        """``listener`` is the name in the ``Peer`` of whoever is heard through it."""
        self._transports[listener] = transport

    def close(self) -> None:
        """Stop the clock."""
        self._alarm.close()

    # --- the gateways' side ------------------------------------------------------------------------

    def receive(self, request: CoapRequest, peer: Peer, answer: Callable[[CoapReply], None]) -> None:
        try:
            step = self._bootstrap.receive(request, peer, self._clock())
        except Newcomer as newcomer:
            newcomer.enrol(partial(self._enrolled, request, peer, answer))
            return
        answer(step.reply or CoapReply(Code.INTERNAL_SERVER_ERROR))
        self._take(step)

    def _enrolled(
        self,
        request: CoapRequest,
        peer: Peer,
        answer: Callable[[CoapReply], None],
        refused: RequestError | None,
    ) -> None:
        if refused is None:
            self.receive(request, peer, answer)
            return
        named = (text[3:] for text in request.query if text.startswith("ep="))
        endpoint = next(named, "") or peer.identity or ""
        self._take(Step(events=(Refused(endpoint, self._clock(), peer, refused.code, refused.reason),)))
        answer(diagnostic(refused.code, refused.reason))

    def answered(
        self, exchange: int, reply: CoapReply, settled: Callable[[bool | None], None] | None = None
    ) -> None:
        if settled is not None:
            settled(True)
        self._exchanges.pop(exchange, None)
        self._take(self._bootstrap.answered(exchange, reply, self._clock()))

    def failed(self, exchange: int, reason: str) -> None:
        self._exchanges.pop(exchange, None)
        self._take(self._bootstrap.failed(exchange, reason, self._clock()))

    def acknowledged(self, exchange: int) -> None:
        """The transport goes on waiting for the response."""

    def is_device(self, peer: Peer) -> bool:
        """Whoever is being bootstrapped has a share of its own."""
        return peer in self._peers

    def knows(self, token: bytes) -> bool:
        """Nothing is observed at bootstrap."""
        return False

    def observed(self, token: bytes) -> CoapRequest | None:
        return None

    def notified(
        self, token: bytes, reply: CoapReply, peer: Peer, settled: Callable[[bool | None], None]
    ) -> None:
        settled(False)

    # --- people's side -----------------------------------------------------------------------------

    def withdraw(self, is_for: Callable[[str], bool]) -> None:
        """What such clients are to have is different now."""
        for endpoint in [began.endpoint for began in self._began.values() if is_for(began.endpoint)]:
            self._take(self._bootstrap.withdraw(endpoint, self._clock()))

    def counts(self) -> Numbers:
        """See ``lwm2m_server.counts``."""
        return {"bootstrap_sessions": self._bootstrap.under_way, **self._happened}

    # --- the rule ----------------------------------------------------------------------------------

    def _take(self, step: Step) -> None:
        for event in step.events:
            self.journal.note(event)
            self._follow(event)
            self._tell(event)
            if (counted := HAPPENING.get(type(event))) is not None:
                self._happened[counted] += 1
        for effect in step.effects:
            if isinstance(effect, Abort):
                transport = self._exchanges.pop(effect.exchange, None)
                if transport is not None:
                    transport.abort(effect.exchange)
            else:
                self._perform(effect)
        self._alarm.soon()

    def _follow(self, event: Event) -> None:
        if isinstance(event, Began):
            self._began[event.session], self._peers[event.peer] = event, event.session
        elif isinstance(event, Asked) and event.operation == Finish.operation:
            self._provision(event.endpoint, self._began[event.session].config)
        elif isinstance(event, (Finished, Failed)):
            peer = self._began.pop(event.session).peer
            if self._peers.get(peer) == event.session:
                del self._peers[peer]

    def _perform(self, effect: Perform) -> None:
        transport = self._exchanges[effect.exchange] = self._transports[effect.peer.listener]
        transport.perform(effect)

    def _tick(self) -> None:
        self._take(self._bootstrap.tick(self._clock()))

    def _tell(self, event: Event) -> None:
        if isinstance(event, Finished):
            _log.info("bootstrapped", endpoint=event.endpoint, refused=event.refused)
        elif isinstance(event, Failed):
            _log.warning("bootstrap failed", endpoint=event.endpoint, cause=event.cause, detail=event.detail)
            self.on_trouble(event)
        elif isinstance(event, Refused):
            self.on_trouble(event)
            left_out = self._refusals.take(event.at)
            if left_out is not None:
                facts = {"endpoint": event.endpoint, "peer": str(event.peer), "reason": event.reason}
                _log.warning("bootstrap refused", **facts, left_out=left_out)
