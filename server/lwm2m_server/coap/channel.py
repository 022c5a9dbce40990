"""``Channel``: requests to devices through aiocoap's request interface, block-wise in both directions.

This module and ``layers`` are the only ones of the native stack that import aiocoap.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import attrs
import structlog
from aiocoap import error
from aiocoap.protocol import Context

from lwm2m_engine.coap import CoapReply, CoapRequest
from lwm2m_server.coap import wire
from lwm2m_server.coap.datagrams import Datagrams
from lwm2m_server.coap.exchanges import Exchanges, Notice, nobody_minds
from lwm2m_server.coap.layers import Link, Single, Tokens
from lwm2m_server.coap.message_ids import MessageIds
from lwm2m_server.coap.options import OBSERVE, number
from lwm2m_server.coap.progress import Progress
from lwm2m_server.coap.questions import Question, Response, reason_of
from lwm2m_server.coap.sockets import SocketAddress, Source
from lwm2m_server.coap.timing import Timing
from lwm2m_server.coap.transfer import Answer, Part, Transfer, TransferBroken
from lwm2m_server.coap.uplink import Asker
from lwm2m_server.coap.wheel import Timer, Wheel
from lwm2m_server.coap.wire import Option

LOGGER = "lwm2m_server.aiocoap"
NO_EXCHANGE = -1
"""For requests that are no exchange of the engine."""

log = structlog.get_logger(__name__)


class ExchangeFailed(Exception):
    """No usable response; ``reason`` is as in ``Asker.failed``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Channel:
    """The client half of the endpoint.

    ``given_up(address, reason)`` is called when a peer is given up, beside what ends each request.
    """

    def __init__(
        self, udp: Datagrams, timing: Timing, given_up: Callable[[SocketAddress, str], object]
    ) -> None:
        # Everything of interest is reported through the callbacks; what is left is noise of strangers.
        logging.getLogger(LOGGER).setLevel(logging.CRITICAL)
        loop = asyncio.get_running_loop()
        self._udp = udp
        self._given_up = given_up
        self.timing = timing
        self.wheel = Wheel(loop)
        self.context = Context(loop=loop, loggername=LOGGER)
        self._exchanges = Exchanges(udp, self.wheel, timing, self._silent)
        self._link = Link(udp, self._exchanges, MessageIds(loop.time))
        self.tokens = Tokens(self.context, self._link)
        self.context.request_interfaces.append(self.tokens)
        self.asked: dict[int, Asked] = {}

    # --- what arrives ---

    def __len__(self) -> int:
        """Confirmable messages that are not acknowledged yet."""
        return len(self._exchanges)

    def expects(self, token: bytes, source: Source) -> bool:
        """True if a request with this token is under way to there."""
        return self.tokens.expects(token, source.address)

    def receive(self, message: wire.Message, source: Source) -> None:
        """An expected response, or an empty Acknowledgement or Reset."""
        if message.type in (wire.ACK, wire.RST):
            outgoing = self._exchanges.settle(source.address, message.mid)
            if message.code == wire.EMPTY:
                if outgoing is not None:
                    (outgoing.reset if message.type == wire.RST else outgoing.acknowledged)()
                return
        if message.type == wire.CON:
            # Before what the response gives rise to, the next block for instance.
            self._udp.send(wire.acknowledgement(message.mid), source)
        self.tokens.process_response(Response(message, source))

    def acknowledge(self, message: wire.Message, source: Source) -> None:
        """Stop retransmitting what this response in an Acknowledgement is about."""
        self._exchanges.settle(source.address, message.mid)

    def unreachable(self, problem: OSError, address: SocketAddress) -> None:
        """The network reports that this peer cannot be reached."""
        self._exchanges.hold(address, lambda: self._fail(address, error.NetworkError(str(problem))))

    def _silent(self, address: SocketAddress) -> None:
        self._fail(address, error.ConRetransmitsExceeded())

    def _fail(self, address: SocketAddress, problem: error.Error) -> None:
        self.tokens.fail(address, problem)
        self._given_up(address, reason_of(problem))

    # --- what is sent ---

    def ask(
        self,
        exchange: int,
        request: CoapRequest,
        source: Source,
        asker: Asker,
        progress: Progress | None = None,
    ) -> None:
        """Send a request, in blocks if it is long; the answer is reported when it is complete."""
        asked = self.asked[exchange] = Asked(self, exchange, request, source, asker, progress)
        asked.begin()

    def abort(self, exchange: int) -> bool:
        """Send nothing more of it and report nothing; false if there is no such request."""
        asked = self.asked.pop(exchange, None)
        if asked is not None:
            asked.abort()
        return asked is not None

    async def complete(self, request: CoapRequest, first: wire.Message, source: Source) -> CoapReply:
        """The whole representation that ``first`` is the first block of; raises ``ExchangeFailed``."""
        waiting = _Waiting()
        asked = Asked(
            self, NO_EXCHANGE, attrs.evolve(request, observe=None, confirmable=True), source, waiting
        )
        try:
            asked.take(Response(first, source).answer())
            reply = await waiting.outcome
        finally:
            asked.abort()
        return attrs.evolve(reply, observe=number(first.options, OBSERVE))

    def send(
        self,
        request: CoapRequest,
        token: bytes,
        source: Source,
        *,
        reset: Notice,
        acknowledged: Notice,
    ) -> tuple[int, Notice]:
        """Send with a token of our own; the answer is the caller's business.

        Returns the Message ID and how to stop retransmitting.
        """
        question = Question(request, source)
        question.token, question.acknowledged = token, acknowledged
        stop = self._link.send_message(question, reset)
        return question.mid, stop

    def respond(self, reply: CoapReply, options: tuple[Option, ...], token: bytes, source: Source) -> None:
        """A separate response (RFC 7252, 5.2.2), repeated until acknowledged."""
        mid = self.message_id(source)
        response = wire.Message(wire.CON, reply.code, mid, token, options, reply.payload)
        self._exchanges.send(wire.encode(response), source, mid)

    def message_id(self, source: Source) -> int:
        """The next one for this peer."""
        return self._link.message_id(source.address)

    def drop(self) -> None:
        """Forget all requests under way; nothing is reported any more."""
        for exchange in tuple(self.asked):
            self.abort(exchange)

    async def close(self) -> None:
        self.wheel.close()
        await self.context.shutdown()


class Asked:
    """A request from its first message to its complete answer."""

    __slots__ = (
        "_asker",
        "_channel",
        "_exchange",
        "_progress",
        "_request",
        "_source",
        "_stop",
        "_timer",
        "_transfer",
    )

    def __init__(
        self,
        channel: Channel,
        exchange: int,
        request: CoapRequest,
        source: Source,
        asker: Asker,
        progress: Progress | None = None,
    ) -> None:
        self._channel = channel
        self._exchange = exchange
        self._request = request
        self._source = source
        self._asker = asker
        self._progress = progress
        self._transfer = Transfer(request)
        self._stop: Notice = nobody_minds
        self._timer: Timer | None = None

    def begin(self) -> None:
        self._send(self._transfer.begin())

    def take(self, answer: Answer) -> None:
        """The answer to the last part: go on with the next one, or be done."""
        transfer = self._transfer
        before = transfer.sent
        try:
            following = transfer.proceed(answer)
        except TransferBroken as problem:
            log.warning("transfer broken off", peer=str(self._source.address), reason=str(problem))
            self._fail("undecodable")
            return
        if self._progress is not None and transfer.total and transfer.sent != before:
            self._progress(self._exchange, transfer.sent, transfer.total)
        if isinstance(following, Part):
            self._send(following)
        else:
            self._channel.asked.pop(self._exchange, None)
            self._asker.answered(self._exchange, following)

    def abort(self) -> None:
        """Send nothing more of it; nothing is reported any more."""
        self._rest()
        self._stop()

    def _send(self, part: Part) -> None:
        channel = self._channel
        question = Question(self._request, self._source, part)
        if part.is_last:
            question.acknowledged = self._acknowledged
        pipe = Single(question, channel.context.log, self._heard)
        self._stop = pipe.stop
        # What has been sent so far is not in vain: each part has the whole time.
        self._timer = channel.wheel.call_later(channel.timing.response_timeout, self._expired)
        channel.tokens.request(pipe)

    def _heard(self, response: Response | None, problem: Exception | type[Exception] | None) -> None:
        self._rest()
        if response is not None:
            self.take(response.answer())
        elif problem is not None:
            self._fail(reason_of(problem))

    def _acknowledged(self) -> None:
        self._asker.acknowledged(self._exchange)

    def _expired(self) -> None:
        self._stop()
        self._fail("timeout")

    def _fail(self, reason: str) -> None:
        self._channel.asked.pop(self._exchange, None)
        self._asker.failed(self._exchange, reason)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class _Waiting:
    """An asker that is awaited."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[CoapReply] = asyncio.get_running_loop().create_future()

    def answered(self, exchange: int, reply: CoapReply) -> None:
        if not self.outcome.done():
            self.outcome.set_result(reply)

    def acknowledged(self, exchange: int) -> None:
        """The rest of the time is the same."""

    def failed(self, exchange: int, reason: str) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(ExchangeFailed(reason))
