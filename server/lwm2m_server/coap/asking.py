"""``Asking``: requests to devices through aiocoap's own layers, block-wise in both directions."""

# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from aiocoap import error
from aiocoap.protocol import BlockwiseRequest, Context

from lwm2m_engine.coap import CoapReply
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap.background import Background
from lwm2m_server.coap.packets import Packet, reply_from
from lwm2m_server.coap.progress import LONG, Progress, watched
from lwm2m_server.coap.uplink import Asker

log = structlog.get_logger(__name__)


class Asking:
    """The requests of one listener that have no answer yet: a task each."""

    def __init__(
        self,
        context: Context,
        asker: Asker,
        tasks: Background,
        timeout: float,
        progress: Progress | None = None,
    ) -> None:
        self._context, self._asker, self._progress = context, asker, progress
        self._tasks, self._timeout = tasks, timeout
        self._running: dict[int, tuple[asyncio.Task[None], Callable[[int], None] | None]] = {}

    def start(self, exchange: int, packet: Packet, over: Callable[[int], None] | None = None) -> None:
        """Ask; ``over`` is called when nothing comes of it any more, before the outcome is reported."""
        task = self._tasks.start(self._ask(exchange, packet))
        self._running[exchange] = task, over

    def abort(self, exchange: int) -> bool:
        """Report nothing any more; false if there is no such request."""
        running = self._running.get(exchange)
        if running is not None:
            self._end(exchange)
            running[0].cancel()
        return running is not None

    def close(self) -> None:
        for exchange in tuple(self._running):
            self.abort(exchange)

    def _end(self, exchange: int) -> bool:
        running = self._running.pop(exchange, None)
        if running is not None and running[1] is not None:
            running[1](exchange)
        return running is not None

    async def _ask(self, exchange: int, packet: Packet) -> None:
        reason = ""
        try:
            async with asyncio.timeout(self._timeout) as patience:
                reply = reply_from(await self._response(exchange, packet, patience))
        except (TimeoutError, RequestError, error.Error, OSError) as problem:
            reason = reason_of(problem)
        if not self._end(exchange):
            return
        if reason:
            self._asker.failed(exchange, reason)
        else:
            self._asker.answered(exchange, reply)

    def _response(self, exchange: int, packet: Packet, patience: asyncio.Timeout) -> asyncio.Future[Packet]:
        """Of a long request each part may take as long as a short one."""
        total = len(packet.payload)
        if total <= LONG:
            short: asyncio.Future[Packet] = self._context.request(packet).response
            return short

        def acknowledged(sent: int) -> None:
            if not patience.expired():
                patience.reschedule(asyncio.get_running_loop().time() + self._timeout)
            if self._progress is not None:
                self._progress(exchange, sent, total)

        return watched(self._context, packet, acknowledged)

    async def complete(self, packet: Packet, first: Packet) -> CoapReply | None:
        """The whole representation that ``first`` is the first block of, if the rest can be had."""
        rest = BlockwiseRequest._complete_by_requesting_block2(
            self._context, packet, first, self._context.log
        )
        try:
            async with asyncio.timeout(self._timeout):
                return reply_from(await rest)
        except (TimeoutError, RequestError, error.Error, OSError) as problem:
            log.warning("the rest of a notification is missing", peer=str(first.remote), error=repr(problem))
            return None


def reason_of(problem: Exception) -> str:
    """The word the engine knows a failed exchange by."""
    if isinstance(problem, (error.TimeoutError, TimeoutError)):
        return "timeout"
    if isinstance(problem, error.MessageError):
        return "reset"
    if isinstance(problem, (error.NetworkError, OSError)):
        return "unreachable"
    return "undecodable"
