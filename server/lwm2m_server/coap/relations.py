"""Observe relations over a connection: the engine's tokens on the wire (RFC 7641; RFC 8323, 7)."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import count

import attrs
import structlog

from lwm2m_engine.coap import CoapReply, CoapRequest
from lwm2m_engine.engine.step import Perform
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap import wire
from lwm2m_server.coap.asking import Asking
from lwm2m_server.coap.background import Background
from lwm2m_server.coap.connection import Connection
from lwm2m_server.coap.options import BLOCK2, OBSERVE, number, reply_of, request_options
from lwm2m_server.coap.packets import arrived, request_packet
from lwm2m_server.coap.uplink import Observer

log = structlog.get_logger(__name__)

CANCEL = 1
"""The value of the Observe option that ends a relation."""
SERIAL = 1 << 24
"""Observe numbers are modulo this."""
MORE = 8
"""The bit of a Block option that says that this was not all."""


@attrs.define(slots=True, eq=False)
class _Asked:
    """An Observe or Cancel without an answer yet."""

    effect: Perform
    token: bytes
    connection: Connection
    timer: asyncio.TimerHandle


class Relations:
    """Observe exchanges under way, and what becomes of messages that carry their tokens."""

    def __init__(self, observer: Observer, asking: Asking, tasks: Background, timeout: float) -> None:
        self._observer, self._asking = observer, asking
        self._tasks, self._timeout = tasks, timeout
        self._loop = asyncio.get_running_loop()
        self._asked: dict[bytes, _Asked] = {}
        self._tokens: dict[int, bytes] = {}
        self._serial = count(1)

    # --- what the engine wants ---

    def start(self, effect: Perform, token: bytes, connection: Connection) -> None:
        timer = self._loop.call_later(self._timeout, self._expire, token)
        self._asked[token] = _Asked(effect, token, connection, timer)
        self._tokens[effect.exchange] = token
        request = effect.request
        connection.send(request.code, token, request_options(request), request.payload)

    def abort(self, exchange: int) -> None:
        token = self._tokens.get(exchange)
        if token is not None:
            self._end(self._asked[token])

    def _expire(self, token: bytes) -> None:
        asked = self._asked[token]
        self._end(asked)
        self._observer.failed(asked.effect.exchange, "timeout")

    def _end(self, asked: _Asked) -> None:
        asked.timer.cancel()
        asked.connection.exchanges.discard(asked.effect.exchange)
        del self._asked[asked.token]
        del self._tokens[asked.effect.exchange]

    def close(self) -> None:
        """Report nothing any more."""
        for asked in tuple(self._asked.values()):
            self._end(asked)

    # --- what devices say ---

    def claims(self, token: bytes) -> bool:
        """True for the token of a relation, or of one being asked for."""
        return token in self._asked or self._observer.knows(token)

    def receive(self, message: wire.Message, connection: Connection) -> None:
        """A response with a claimed token."""
        asked = self._asked.get(message.token)
        if asked is not None and not _answers(asked, message, connection):
            asked = None
        try:
            reply = reply_of(message)
        except RequestError as problem:
            # There is no Reset on a connection, and no answer to an answer (RFC 8323, 3.4).
            log.info("notification rejected", peer=str(connection.peer), reason=str(problem))
            return
        if asked is not None:
            self._end(asked)
        # What is sent first arrives first, whatever the numbers are (RFC 8323, 7.1): Anjay sends zeros.
        if reply.observe is not None:
            reply = attrs.evolve(reply, observe=next(self._serial) % SERIAL)
        request = asked.effect.request if asked is not None else self._observer.observed(message.token)
        if request is not None and (number(message.options, BLOCK2) or 0) & MORE:
            self._tasks.start(self._fetch(asked, message, reply, request, connection))
        else:
            self._report(asked, message.token, reply, connection)

    async def _fetch(
        self,
        asked: _Asked | None,
        message: wire.Message,
        first: CoapReply,
        request: CoapRequest,
        connection: Connection,
    ) -> None:
        packet = request_packet(attrs.evolve(request, observe=None), connection)
        whole = await self._asking.complete(packet, arrived(message, connection))
        reply = first if whole is None else attrs.evolve(whole, observe=first.observe)
        self._report(asked, message.token, reply, connection)

    def _report(self, asked: _Asked | None, token: bytes, reply: CoapReply, connection: Connection) -> None:
        if asked is not None:
            self._observer.answered(asked.effect.exchange, reply)
        else:
            self._observer.notified(token, reply, connection.peer, partial(_settled, connection))


def _settled(connection: Connection, kept: bool | None) -> None:
    # Without a message layer nothing can be refused but the connection. When the device is back its
    # relations begin anew, with the value it has then. Before it has said who it is, nothing is lost:
    # what it observed has ended with the connection before.
    if kept is None and connection.accepted:
        connection.abort("a notification could not be stored")


def _answers(asked: _Asked, message: wire.Message, connection: Connection) -> bool:
    if asked.connection is not connection:
        return False
    # While a Cancel is under way the relation still lives: what has a sequence number is its.
    cancels = asked.effect.request.observe == CANCEL
    return not (cancels and number(message.options, OBSERVE) is not None)
