"""Observe relations on aiocoap's own token manager, under the engine's tokens (RFC 7641)."""

# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import structlog
from aiocoap import error
from aiocoap.pipe import Pipe
from aiocoap.tokenmanager import TokenManager

from lwm2m_engine.coap import CoapReply, Peer
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap.asking import Asking, reason_of
from lwm2m_server.coap.background import Background
from lwm2m_server.coap.packets import Packet, reply_from
from lwm2m_server.coap.relations import CANCEL
from lwm2m_server.coap.uplink import Observer

log = structlog.get_logger(__name__)


@attrs.define(slots=True, eq=False)
class _Relation:
    """An Observe or Cancel, and the relation after it."""

    token: bytes
    peer: Peer
    packet: Packet
    exchange: int | None
    """``None`` once answered."""
    timer: asyncio.TimerHandle | None = None
    stop: Callable[[], None] | None = None


class StockRelations:
    """A pipe of aiocoap for each relation the engine knows and has begun since this process started."""

    def __init__(
        self, tokens: TokenManager, observer: Observer, asking: Asking, tasks: Background, timeout: float
    ) -> None:
        self._tokens, self._observer, self._asking = tokens, observer, asking
        self._tasks, self._timeout = tasks, timeout
        self._loop = asyncio.get_running_loop()
        self._relations: dict[bytes, _Relation] = {}
        self._exchanges: dict[int, _Relation] = {}

    # --- what the engine wants ---

    def start(self, exchange: int, token: bytes, peer: Peer, packet: Packet) -> None:
        former = self._relations.pop(token, None)
        if former is not None:
            self._silence(former)
        relation = _Relation(token, peer, packet, exchange)
        relation.timer = self._loop.call_later(self._timeout, self._expire, relation)
        self._relations[token] = self._exchanges[exchange] = relation
        pipe = self._listen(relation)
        packet.token = token
        messages = self._tokens.token_interface  # type: ignore[attr-defined]
        messages.send_message(packet, lambda: pipe.add_exception(error.MessageError()))

    def abort(self, exchange: int) -> None:
        relation = self._exchanges.get(exchange)
        if relation is not None:
            self._settle(relation)
            self._go_on(relation)

    def close(self) -> None:
        """Hear and report nothing any more."""
        for relation in tuple(self._relations.values()):
            self._settle(relation)
            self._silence(relation)
        self._relations.clear()

    def _expire(self, relation: _Relation) -> None:
        exchange = self._settle(relation)
        if exchange is not None:
            self._observer.failed(exchange, "timeout")
            self._go_on(relation)

    def _settle(self, relation: _Relation) -> int | None:
        """The exchange is over; its number, unless it was over before."""
        exchange, relation.exchange = relation.exchange, None
        if relation.timer is not None:
            relation.timer.cancel()
        if exchange is not None:
            del self._exchanges[exchange]
        return exchange

    # --- aiocoap's side ---

    def _listen(self, relation: _Relation) -> Pipe:
        """What ``TokenManager.request`` does, with a token that is there already."""
        packet, requests = relation.packet, self._tokens.outgoing_requests
        pipe, key = Pipe(packet, self._tokens.log), (relation.token, packet.remote)
        # A pipe must not be touched from its own callback, and the uplink may well want to.
        relation.stop = pipe.on_event(partial(self._heard, relation))
        requests[key] = pipe
        pipe.on_interest_end(lambda: requests.pop(key) if requests.get(key) is pipe else None)
        return pipe

    def _heard(self, relation: _Relation, event: Any) -> bool:
        if event.is_last:
            relation.stop = None
        self._loop.call_soon(self._take, relation, event.message, event.exception)
        return not event.is_last

    def _silence(self, relation: _Relation) -> None:
        stop, relation.stop = relation.stop, None
        if stop is not None:
            stop()

    def _go_on(self, relation: _Relation) -> None:
        """Hear on as long as the engine does: aiocoap takes any answer without number, and any error of
        the remote, for the end."""
        if self._relations.get(relation.token) is not relation:
            return
        wanted = relation.exchange is not None or self._observer.knows(relation.token)
        if wanted and relation.stop is None:
            self._listen(relation)
        elif not wanted:
            self._silence(relation)
            del self._relations[relation.token]

    # --- what devices say ---

    def _take(self, relation: _Relation, message: Packet | None, problem: Exception | None) -> None:
        if self._relations.get(relation.token) is not relation:
            return
        if message is None:
            exchange = self._settle(relation)
            if exchange is not None and problem is not None:
                self._observer.failed(exchange, reason_of(problem))
        else:
            # While a Cancel is under way the relation still lives: what has a sequence number is its.
            cancels = relation.packet.opt.observe == CANCEL
            exchange = None if cancels and message.opt.observe is not None else self._settle(relation)
            self._receive(relation, exchange, message)
        self._go_on(relation)

    def _receive(self, relation: _Relation, exchange: int | None, message: Packet) -> None:
        try:
            reply = reply_from(message)
        except RequestError as problem:
            log.info("notification rejected", peer=str(relation.peer), reason=str(problem))
            return
        if message.opt.block2 is not None and message.opt.block2.more:
            self._tasks.start(self._fetch(relation, exchange, message, reply))
        else:
            self._report(relation, exchange, reply)

    async def _fetch(
        self, relation: _Relation, exchange: int | None, message: Packet, first: CoapReply
    ) -> None:
        """What cannot be completed is passed on as it came."""
        whole = await self._asking.complete(relation.packet, message)
        reply = first if whole is None else attrs.evolve(whole, observe=first.observe)
        self._report(relation, exchange, reply)

    def _report(self, relation: _Relation, exchange: int | None, reply: CoapReply) -> None:
        if exchange is not None:
            self._observer.answered(exchange, reply)
        else:
            # aiocoap has acknowledged it; what could not be stored is lost.
            self._observer.notified(relation.token, reply, relation.peer, lambda kept: self._go_on(relation))
