"""``Sessions``: what is asked of a client next, and what its answer, or the lack of one, means."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from lwm2m_engine.bootstrap.config import Command
from lwm2m_engine.bootstrap.events import Asked, Failed, Finished, Replied, Unanswered
from lwm2m_engine.bootstrap.plan import plan
from lwm2m_engine.bootstrap.session import Session
from lwm2m_engine.bootstrap.settings import BootstrapSettings
from lwm2m_engine.bootstrap.step import Turn
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, is_server_error, is_success
from lwm2m_engine.codecs import Codecs
from lwm2m_engine.deadlines import Deadlines
from lwm2m_engine.effects import Abort, Perform
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import CodecError
from lwm2m_engine.messages.bootstrap import FINISH, Finish
from lwm2m_engine.messages.requests import Discover, Read, Write
from lwm2m_engine.messages.wire import coap_request
from lwm2m_engine.model.view import ModelView

_OTHER_FORMAT = frozenset({Code.UNSUPPORTED_CONTENT_FORMAT, Code.NOT_ACCEPTABLE})
MAX_DETAIL = 200
"""Characters kept of what a client says is wrong."""


@attrs.define(slots=True, eq=False)
class Sessions:
    """Those under way, and what they share."""

    models: ModelView
    codecs: Codecs
    settings: BootstrapSettings
    exchanges: Iterator[int]
    by_endpoint: dict[str, Session] = attrs.field(factory=dict)
    by_exchange: dict[int, Session] = attrs.field(factory=dict)
    deadlines: Deadlines[Session] = attrs.field(factory=Deadlines)

    # --- from beginning to end -------------------------------------------------------------------

    def begin(self, session: Session, turn: Turn) -> None:
        """The client has asked; whoever was there under its name is gone."""
        self.by_endpoint[session.endpoint] = session
        if not session.steps:
            session.steps.extend(plan(session.config, session.inventory))
        self._ask(session, turn)

    def end(self, session: Session, turn: Turn, cause: str, detail: str = "") -> None:
        """Before the client has accepted: nothing more is asked of it."""
        if session.exchange is not None:
            turn.do(Abort(session.endpoint, session.exchange))
        self._forget(session)
        turn.tell(Failed(session.endpoint, turn.now, session.id, cause, detail))

    def _forget(self, session: Session) -> None:
        self._answered(session)
        self.deadlines.forget(session)
        if self.by_endpoint.get(session.endpoint) is session:
            del self.by_endpoint[session.endpoint]

    def _answered(self, session: Session) -> None:
        if session.exchange is not None:
            self.by_exchange.pop(session.exchange, None)
            session.exchange = None

    # --- what happens meanwhile ------------------------------------------------------------------

    def answered(self, exchange: int, reply: CoapReply, turn: Turn) -> None:
        """The answer to an exchange; ignored when nobody waits for it any more."""
        session = self.by_exchange.get(exchange)
        if session is None:
            return
        self._answered(session)
        step = session.steps[0]
        self._tell(session, step, reply, turn)
        if is_success(reply.code):
            self._done(session, turn)
        elif self._in_another_format(session, step, reply.code):
            self._ask(session, turn)
        elif is_server_error(reply.code) and self._again(session, turn):
            return
        else:
            self._refused(session, step, reply, turn)

    def failed(self, exchange: int, reason: str, turn: Turn) -> None:
        """No answer. A client that is not there will not hear the next request either."""
        session = self.by_exchange.get(exchange)
        if session is None:
            return
        self._answered(session)
        step = session.steps[0]
        turn.tell(Unanswered(session.endpoint, turn.now, session.id, step.operation, step.path, reason))
        if not self._again(session, turn):
            cause = "timeout" if reason in ("timeout", "unreachable") else "request-failed"
            self.end(session, turn, cause, f"{step.operation} {step.path}: {reason}")

    def due(self, session: Session, turn: Turn) -> None:
        """A deadline of the session has come."""
        if session.ends_at <= turn.now:
            self.end(session, turn, "timeout", "the session takes too long")
        elif session.resume_at is not None and session.resume_at <= turn.now:
            session.resume_at = None
            self._ask(session, turn)

    # --- one step --------------------------------------------------------------------------------

    def _ask(self, session: Session, turn: Turn) -> None:
        step = session.steps[0]
        try:
            request = self._request(session, step)
        except CodecError as error:
            self.end(session, turn, "request-failed", f"{step.operation} {step.path}: {error}")
            return
        session.exchange = next(self.exchanges)
        self.by_exchange[session.exchange] = session
        session.attempts += 1
        size, number = len(request.payload), request.content_format
        turn.tell(Asked(session.endpoint, turn.now, session.id, step.operation, step.path, number, size))
        turn.do(Perform(session.endpoint, session.exchange, session.peer, request))
        self.deadlines.watch(session)

    def _request(self, session: Session, step: Command) -> CoapRequest:
        if isinstance(step, Finish):
            return FINISH
        if not isinstance(step, Write):
            return coap_request(step)
        return self._write(session, step)

    def _write(self, session: Session, step: Write) -> CoapRequest:
        """In the first format that can carry it. Raises ``CodecError`` if none is left."""
        while (number := session.content_format()) is not None:
            try:
                types = self._models(session).types
                payload = self.codecs.encode(step.entries, number, at=step.path, types=types)
            except CodecError:
                session.refused_formats.add(number)
                continue
            return coap_request(step, content_format=number, payload=payload)
        raise CodecError("the client takes no format that this can be written in")

    def _done(self, session: Session, turn: Turn) -> None:
        """On with the next step; after the last one the client has what it is to have."""
        step = session.steps.popleft()
        session.attempts = 0
        if isinstance(step, Finish):
            self._forget(session)
            turn.tell(Finished(session.endpoint, turn.now, session.id, session.refused))
            return
        if not session.steps:
            session.steps.extend(plan(session.config, session.inventory))
        self._ask(session, turn)

    def _refused(self, session: Session, step: Command, reply: CoapReply, turn: Turn) -> None:
        """Not every client knows Discover and Read; the rest is a matter of the configuration."""
        if isinstance(step, Finish):
            self.end(session, turn, "finish-failed", _diagnosis(reply))
        elif isinstance(step, (Discover, Read)):
            self._done(session, turn)
        elif session.config.on_failure == "continue":
            session.refused += 1
            self._done(session, turn)
        else:
            self.end(session, turn, "request-failed", f"{step.operation} {step.path}: {_diagnosis(reply)}")

    def _in_another_format(self, session: Session, step: Command, code: int) -> bool:
        number = session.content_format()
        if not isinstance(step, Write) or code not in _OTHER_FORMAT or number is None:
            return False
        session.refused_formats.add(number)
        return session.content_format() is not None

    def _again(self, session: Session, turn: Turn) -> bool:
        if session.attempts > session.config.retries:
            return False
        session.resume_at = turn.now + self.settings.retry_after
        self.deadlines.watch(session)
        return True

    # --- what an answer says -----------------------------------------------------------------------

    def _tell(self, session: Session, step: Command, reply: CoapReply, turn: Turn) -> None:
        told = Replied(session.endpoint, turn.now, session.id, step.operation, step.path, reply.code)
        try:
            if not is_success(reply.code):
                told = attrs.evolve(told, detail=_diagnosis(reply))
            elif isinstance(step, Discover):
                session.inventory = session.inventory.with_answer(reply)
                told = attrs.evolve(told, inventory=session.inventory)
            elif isinstance(step, Read):
                told = attrs.evolve(told, entries=self._values(session, step, reply))
        except CodecError as error:
            told = attrs.evolve(told, detail=str(error)[:MAX_DETAIL])
        turn.tell(told)

    def _values(self, session: Session, step: Read, reply: CoapReply) -> tuple[Entry, ...]:
        number, types = reply.content_format, self._models(session).types
        return tuple(self.codecs.decode(reply.payload, number, at=step.path, types=types))

    def _models(self, session: Session) -> ModelView:
        own = session.config.models
        return own if own is not None else self.models


def _diagnosis(reply: CoapReply) -> str:
    return reply.payload.decode("utf-8", "replace")[:MAX_DETAIL]
