"""Observe relations: requests and notifications with tokens of the engine's own (RFC 7641).

The tokens are persisted, so they cannot live in aiocoap's token manager, which forgets them at the end
of the process; only the tail of a block-wise notification is fetched through it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import attrs
import structlog

from lwm2m_engine.coap import CoapReply
from lwm2m_engine.engine.step import Perform
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap import wire
from lwm2m_server.coap.background import Background
from lwm2m_server.coap.blocks import Block
from lwm2m_server.coap.channel import Channel, ExchangeFailed
from lwm2m_server.coap.options import BLOCK2, OBSERVE, number, reply_of
from lwm2m_server.coap.replies import Replies
from lwm2m_server.coap.sockets import SocketAddress, Source
from lwm2m_server.coap.uplink import Observer

log = structlog.get_logger(__name__)

CANCEL = 1
"""The value of the Observe option that ends a relation."""


@attrs.define(slots=True)
class _Asked:
    """An Observe or Cancel without an answer yet."""

    effect: Perform
    token: bytes
    source: Source
    mid: int | None = None
    stop: Callable[[], None] | None = None
    timer: asyncio.TimerHandle | None = None


class Observations:
    """Observe exchanges under way, and what becomes of messages that carry their tokens."""

    def __init__(
        self,
        observer: Observer,
        replies: Replies,
        channel: Channel,
        tasks: Background,
        response_timeout: float,
    ) -> None:
        self._observer = observer
        self._replies = replies
        self._channel = channel
        self._tasks = tasks
        self._timeout = response_timeout
        self._loop = asyncio.get_running_loop()
        self._asked: dict[bytes, _Asked] = {}
        self._asked_at: dict[SocketAddress, list[_Asked]] = {}
        self._by_exchange: dict[int, _Asked] = {}
        self._fetching: dict[bytes, asyncio.Task[None]] = {}

    # --- what the engine wants ---

    def start(self, effect: Perform, token: bytes, source: Source) -> None:
        asked = self._asked[token] = self._by_exchange[effect.exchange] = _Asked(effect, token, source)
        self._asked_at.setdefault(source.address, []).append(asked)
        asked.timer = self._loop.call_later(self._timeout, self._fail, asked, "timeout")
        asked.mid, asked.stop = self._channel.send(
            effect.request,
            token,
            source,
            reset=partial(self._fail, asked, "reset"),
            acknowledged=partial(self._acknowledged, asked),
        )

    def abort(self, exchange: int) -> None:
        asked = self._by_exchange.get(exchange)
        if asked is not None:
            self._end(asked)

    def failed(self, address: SocketAddress, reason: str) -> None:
        """This remote was given up."""
        for asked in tuple(self._asked_at.get(address, ())):
            self._fail(asked, reason)

    def close(self) -> None:
        """Report nothing any more."""
        for asked in list(self._asked.values()):
            self._end(asked)

    def _fail(self, asked: _Asked, reason: str) -> None:
        if self._end(asked):
            self._observer.failed(asked.effect.exchange, reason)

    def _acknowledged(self, asked: _Asked) -> None:
        if self._asked.get(asked.token) is asked:
            self._observer.acknowledged(asked.effect.exchange)

    def _end(self, asked: _Asked) -> bool:
        """True if it was not over before."""
        if self._asked.get(asked.token) is not asked:
            return False
        del self._asked[asked.token]
        self._by_exchange.pop(asked.effect.exchange, None)
        there = self._asked_at[asked.source.address]
        there.remove(asked)
        if not there:
            del self._asked_at[asked.source.address]
        if asked.timer is not None:
            asked.timer.cancel()
        if asked.stop is not None:
            asked.stop()
        return True

    # --- what devices say ---

    def claims(self, token: bytes) -> bool:
        """True for the token of a relation, or of one being asked for."""
        return token in self._asked or self._observer.knows(token)

    def receive(self, message: wire.Message, source: Source) -> None:
        """A response with a claimed token, no duplicate unless it is an Acknowledgement."""
        asked = self._asked.get(message.token)
        if asked is not None and not self._answers(asked, message, source):
            asked = None
        if message.type == wire.ACK:
            self._channel.acknowledge(message, source)
            if asked is None:
                # A late copy of the first answer: notifications are messages of their own.
                return
        if asked is not None:
            self._end(asked)
        try:
            reply = reply_of(message)
            if asked is None:
                self._supersede(message.token)
            if _is_whole(message):
                self._report(asked, message, reply, source)
            else:
                self._fetch(asked, message, reply, source)
        except RequestError as problem:
            log.info("notification rejected", peer=str(source.peer), reason=str(problem))
            if message.type != wire.ACK:
                self._replies.reset(message, source)
            if asked is not None:
                self._observer.failed(asked.effect.exchange, "undecodable")

    def _answers(self, asked: _Asked, message: wire.Message, source: Source) -> bool:
        if asked.source.address != source.address:
            return False
        if message.type == wire.ACK:
            return message.mid == asked.mid
        # While a Cancel is under way the relation still lives: what has a sequence number is its.
        cancels = asked.effect.request.observe == CANCEL
        return not (cancels and number(message.options, OBSERVE) is not None)

    def _report(self, asked: _Asked | None, message: wire.Message, reply: CoapReply, source: Source) -> None:
        settled = partial(self._settled, message, source)
        if asked is None:
            self._observer.notified(message.token, reply, source.peer, settled)
        else:
            self._observer.answered(asked.effect.exchange, reply, settled)

    def _settled(self, message: wire.Message, source: Source, accepted: bool | None) -> None:
        if message.type == wire.ACK:
            return
        if accepted:
            self._replies.acknowledge(message, source)
        elif accepted is None:
            # Not acknowledged, so the device repeats it; that copy must not pass for a duplicate.
            self._replies.forget(message, source)
        else:
            self._replies.reset(message, source)

    # --- the rest of what comes in blocks ---

    def _fetch(self, asked: _Asked | None, message: wire.Message, reply: CoapReply, source: Source) -> None:
        task = self._tasks.start(self._complete(asked, message, reply, source))
        if asked is None:
            self._fetching[message.token] = task
            task.add_done_callback(partial(self._fetched, message.token))

    def _fetched(self, token: bytes, task: asyncio.Task[None]) -> None:
        if self._fetching.get(token) is task:
            del self._fetching[token]

    def _supersede(self, token: bytes) -> None:
        """The rest of an earlier notification is not to be had any more: the device has a newer state."""
        task = self._fetching.pop(token, None)
        if task is not None:
            log.info("a notification was superseded while it was fetched", token=token.hex())
            task.cancel()

    async def _complete(
        self, asked: _Asked | None, message: wire.Message, reply: CoapReply, source: Source
    ) -> None:
        """Fetch the rest of the representation; what cannot be completed is passed on as it came."""
        request = asked.effect.request if asked is not None else self._observer.observed(message.token)
        if request is not None:
            # Clients do not serve the rest while they wait for this Acknowledgement.
            self._replies.acknowledge(message, source)
            try:
                reply = await self._channel.complete(request, message, source)
            except ExchangeFailed as problem:
                where = str(source.peer)
                log.warning("the rest of a notification is missing", peer=where, reason=problem.reason)
        self._report(asked, message, reply, source)


def _is_whole(message: wire.Message) -> bool:
    """Raises ``RequestError`` for a block of the reserved size."""
    value = number(message.options, BLOCK2)
    return value is None or not Block.unpack(value).more
