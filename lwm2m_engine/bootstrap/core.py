"""``Bootstrap``: a bootstrap server of LwM2M 1.0, 1.1 and 1.2 as a pure state machine.

No sockets, no clock, no event loop. Every method takes what happened and the time, changes the state
and returns a ``Step``: the reply, the facts, and what to do after that, in this order.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Protocol

import attrs

from lwm2m_engine.bootstrap.config import BootstrapConfig
from lwm2m_engine.bootstrap.events import Began, Packed, Refused
from lwm2m_engine.bootstrap.pack import pack
from lwm2m_engine.bootstrap.session import Session
from lwm2m_engine.bootstrap.sessions import Sessions
from lwm2m_engine.bootstrap.settings import BootstrapSettings
from lwm2m_engine.bootstrap.step import Step, Turn
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer, diagnostic
from lwm2m_engine.codecs import Codecs
from lwm2m_engine.errors import RequestError
from lwm2m_engine.messages.bootstrap import BootstrapRequest, parse_bootstrap_request, parse_pack_request
from lwm2m_engine.model.view import ModelView

CHANGED = CoapReply(Code.CHANGED)


class Configs(Protocol):
    """Who knows what each client is to have."""

    def config(self, request: BootstrapRequest, peer: Peer) -> BootstrapConfig:
        """``request`` names an endpoint. Raises ``RequestError`` (4.00) for one that is not to come this
        way, or that there is nothing for."""
        ...


class Bootstrap:
    """All sessions of one bootstrap server. ``now`` is always in seconds since 1970-01-01 UTC."""

    def __init__(
        self,
        configs: Configs,
        models: ModelView,
        *,
        codecs: Codecs | None = None,
        settings: BootstrapSettings | None = None,
        exchanges: Iterator[int] | None = None,
    ) -> None:
        """``exchanges`` numbers the ``Perform`` effects."""
        self._configs = configs
        self._sessions = Sessions(
            models,
            codecs if codecs is not None else Codecs(),
            settings if settings is not None else BootstrapSettings(),
            exchanges if exchanges is not None else count(1),
        )
        self._ids = count(1)

    @property
    def under_way(self) -> int:
        """Sessions that have begun and are not over."""
        return len(self._sessions.by_endpoint)

    # --- what happens ------------------------------------------------------------------------------

    def receive(self, request: CoapRequest, peer: Peer, now: float) -> Step:
        """A request of a client; ``reply`` is always there."""
        turn = Turn(now)
        try:
            reply = self._route(request, peer, turn)
        except RequestError as error:
            reply = diagnostic(error.code, error.reason)
        return turn.step(reply)

    def answered(self, exchange: int, reply: CoapReply, now: float) -> Step:
        """The answer to a ``Perform``."""
        turn = Turn(now)
        self._sessions.answered(exchange, reply, turn)
        return turn.step()

    def failed(self, exchange: int, reason: str, now: float) -> Step:
        """A ``Perform`` got no answer: ``timeout``, ``unreachable``, ``reset`` or ``undecodable``."""
        turn = Turn(now)
        self._sessions.failed(exchange, reason, turn)
        return turn.step()

    def withdraw(self, endpoint: str, now: float) -> Step:
        """The configuration of a client changed or is gone: a session that follows the old one ends."""
        turn = Turn(now)
        session = self._sessions.by_endpoint.get(endpoint)
        if session is not None:
            self._sessions.end(session, turn, "withdrawn")
        return turn.step()

    def tick(self, now: float) -> Step:
        """Time has passed; due when ``next_deadline`` says so."""
        turn = Turn(now)
        for session in list(self._sessions.deadlines.due(now)):
            self._sessions.due(session, turn)
            if self._sessions.by_endpoint.get(session.endpoint) is session:
                self._sessions.deadlines.watch(session)
        return turn.step()

    def next_deadline(self) -> float | None:
        """When ``tick`` is due; ``None`` when nothing is waited for."""
        return self._sessions.deadlines.next()

    def swap(self, models: ModelView) -> None:
        """Use other models from now on, where a configuration does not have its own."""
        self._sessions.models = models

    # --- what clients ask ----------------------------------------------------------------------------

    def _route(self, request: CoapRequest, peer: Peer, turn: Turn) -> CoapReply:
        if request.path == ("bs",) and request.code == Code.POST:
            return self._begin(parse_bootstrap_request(request), peer, turn)
        if request.path == ("bspack",) and request.code == Code.GET:
            return self._pack(parse_pack_request(request), peer, turn)
        if request.path in (("bs",), ("bspack",)):
            raise RequestError(Code.METHOD_NOT_ALLOWED, "POST /bs or GET /bspack")
        raise RequestError(Code.NOT_FOUND, "this is a bootstrap server: POST /bs or GET /bspack")

    def _begin(self, request: BootstrapRequest, peer: Peer, turn: Turn) -> CoapReply:
        request, config = self._admitted(request, peer, turn)
        sessions, endpoint = self._sessions, request.endpoint
        running = sessions.by_endpoint.get(endpoint)
        if running is not None:
            # The client has begun anew, so it has forgotten what it was told; the newest counts.
            sessions.end(running, turn, "replaced")
        elif self.under_way >= sessions.settings.max_sessions:
            raise RequestError(Code.SERVICE_UNAVAILABLE, "too many clients at a time")
        ends_at = turn.now + sessions.settings.session_timeout
        session = Session(next(self._ids), endpoint, peer, config, request.preferred, ends_at)
        turn.tell(Began(endpoint, turn.now, session.id, peer, request, config))
        sessions.begin(session, turn)
        return CHANGED

    def _pack(self, request: BootstrapRequest, peer: Peer, turn: Turn) -> CoapReply:
        request, config = self._admitted(request, peer, turn)
        try:
            models = config.models if config.models is not None else self._sessions.models
            reply = pack(config, request.preferred, self._sessions.codecs, models)
        except RequestError as error:
            turn.tell(Refused(request.endpoint, turn.now, peer, error.code, error.reason))
            raise
        number = reply.content_format or 0
        turn.tell(Packed(request.endpoint, turn.now, peer, number, len(reply.payload)))
        return reply

    def _admitted(
        self, request: BootstrapRequest, peer: Peer, turn: Turn
    ) -> tuple[BootstrapRequest, BootstrapConfig]:
        """Under the name that counts, and what the client is to have; raises ``RequestError``."""
        endpoint = request.endpoint or peer.identity or ""
        request = attrs.evolve(request, endpoint=endpoint)
        try:
            return request, self._configuration(request, peer)
        except RequestError as error:
            turn.tell(Refused(endpoint, turn.now, peer, error.code, error.reason))
            raise

    def _configuration(self, request: BootstrapRequest, peer: Peer) -> BootstrapConfig:
        if not request.endpoint:
            raise RequestError(Code.BAD_REQUEST, "no endpoint name, and no identity to take it from")
        if peer.identity is not None and peer.identity != request.endpoint:
            raise RequestError(Code.BAD_REQUEST, "these credentials belong to another client")
        config = self._configs.config(request, peer)
        if peer.identity is None and not config.nosec:
            raise RequestError(Code.BAD_REQUEST, "this client has to come through a security layer")
        return config
