"""``StockGateway``: CoAP over UDP on aiocoap alone, with its own transport, message and token managers.

It is there to be compared with: docs/explanation/coap-stacks.md says what is different.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
from typing import Any

from aiocoap import error
from aiocoap.numbers.constants import TransportTuning
from aiocoap.pipe import Pipe
from aiocoap.protocol import Context
from aiocoap.transports.udp6 import UDP6EndpointAddress

from lwm2m_engine.coap import CoapReply, Peer
from lwm2m_engine.engine.step import Perform
from lwm2m_server.coap.asking import Asking
from lwm2m_server.coap.background import Background
from lwm2m_server.coap.connections import LOGGER
from lwm2m_server.coap.intake import Intake
from lwm2m_server.coap.packets import Packet, plain, reply_packet, request_packet
from lwm2m_server.coap.progress import Progress
from lwm2m_server.coap.sockets import MAPPED
from lwm2m_server.coap.stock_relations import StockRelations
from lwm2m_server.coap.timing import Timing
from lwm2m_server.coap.uplink import Receiver, Uplink
from lwm2m_server.coap.wire import Option
from lwm2m_server.counts import Numbers

GRACE = 1.0
"""Seconds that requests being answered get when the gateway closes."""


class StockGateway:
    """A CoAP endpoint. Make it with ``StockGateway.start``, end it with ``close``."""

    def __init__(
        self, uplink: Uplink, timing: Timing, root: _Root, context: Context, progress: Progress | None
    ) -> None:
        self._uplink, self._root, self._context = uplink, root, context
        self._tuning = {reliable: _Tuning(timing, reliable) for reliable in (True, False)}
        self._tasks = Background()
        (tokens,) = context.request_interfaces
        self._transport: Any = tokens.token_interface.message_interface
        self._asking = Asking(context, uplink, self._tasks, timing.response_timeout, progress)
        self._relations = StockRelations(tokens, uplink, self._asking, self._tasks, timing.response_timeout)

    @classmethod
    async def start(
        cls,
        uplink: Uplink,
        host: str,
        port: int,
        *,
        listener: str = "coap",
        timing: Timing = Timing(),  # noqa: B008 - frozen
        progress: Progress | None = None,
    ) -> StockGateway:
        """Listen on ``host`` (a name, an IPv4 or an IPv6 address) and ``port`` (0 takes a free one).

        ``progress`` hears how much of a long request a device has acknowledged. Raises ``OSError`` that
        names the address, with ``errno`` telling the cause.
        """
        # What matters is reported by the uplink; what is left is noise of strangers.
        logging.getLogger(LOGGER).setLevel(logging.CRITICAL)
        root = _Root(uplink, listener)
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            context = await Context.create_server_context(
                root, bind=(host, port), loggername=LOGGER, transports=["udp6"]
            )
        except error.ResolutionError as problem:
            raise OSError(errno.EADDRNOTAVAIL, f"cannot listen on coap://{where}: {problem}") from problem
        except OSError as problem:
            reason = f"cannot listen on coap://{where}: {problem.strerror}"
            raise OSError(problem.errno, reason) from problem
        return cls(uplink, timing, root, context, progress)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it is bound to."""
        host, port, *_ = self._transport.transport.get_extra_info("socket").getsockname()
        return _unmapped(host), port

    # --- requests to devices ---

    def counts(self) -> Numbers:
        """None: aiocoap does not count."""
        return {}

    def perform(self, effect: Perform) -> None:
        """Begin the exchange; its outcome is reported to the uplink."""
        try:
            remote = _remote(effect.peer, self._transport)
        except ValueError:
            loop = asyncio.get_running_loop()
            loop.call_soon(self._uplink.failed, effect.exchange, "unreachable")
            return
        packet = request_packet(effect.request, remote, self._tuning[effect.request.confirmable])
        if effect.token is not None:
            self._relations.start(effect.exchange, effect.token, effect.peer, packet)
        else:
            self._asking.start(effect.exchange, packet)

    def abort(self, exchange: int) -> None:
        """Wait for it no longer; nothing is reported any more."""
        if not self._asking.abort(exchange):
            self._relations.abort(exchange)

    # --- the end ---

    async def close(self) -> None:
        """Answer what is being worked on, drop the rest, and close the socket."""
        self._asking.close()
        self._relations.close()
        await self._root.finish(GRACE)
        await self._tasks.finish(GRACE)
        await self._context.shutdown()


class _Root:
    """The one resource that aiocoap knows: all paths are the uplink's."""

    def __init__(self, receiver: Receiver, listener: str) -> None:
        self._intake = Intake(receiver, asyncio.get_running_loop().time)
        self._listener = listener
        self._answers: set[asyncio.Future[Packet]] = set()

    async def render_to_pipe(self, pipe: Pipe) -> None:
        answer: asyncio.Future[Packet] = asyncio.get_running_loop().create_future()

        def respond(reply: CoapReply, options: tuple[Option, ...]) -> None:
            # aiocoap cancels the rendering of a request when another one comes with its token.
            if not answer.done():
                answer.set_result(reply_packet(reply, options))

        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)
        self._intake.take(plain(pipe.request), _peer(pipe.request.remote, self._listener), respond)
        pipe.add_response(await answer, is_last=True)

    async def finish(self, grace: float) -> None:
        if self._answers:
            await asyncio.wait(self._answers, timeout=grace)
            # One more turn, for the answers to be sent.
            await asyncio.sleep(0)


class _Tuning(TransportTuning):
    """``Timing`` in aiocoap's words."""

    def __init__(self, timing: Timing, reliable: bool) -> None:
        self.ACK_TIMEOUT = timing.ack_timeout
        self.ACK_RANDOM_FACTOR = timing.ack_random_factor
        self.MAX_RETRANSMIT = timing.max_retransmit
        self.reliability = reliable


def _peer(remote: UDP6EndpointAddress, listener: str) -> Peer:
    host, port, _, scope = remote.sockaddr
    host = _unmapped(host)
    return Peer(f"{host}%{scope}" if scope and "%" not in host else host, port, listener)


def _remote(peer: Peer, transport: object) -> UDP6EndpointAddress:
    """The inverse of ``_peer``; raises ``ValueError`` for what is no address."""
    host, _, zone = peer.host.partition("%")
    mapped = MAPPED + host if ipaddress.ip_address(host).version == 4 else host
    return UDP6EndpointAddress((mapped, peer.port, 0, int(zone) if zone.isdigit() else 0), transport)


def _unmapped(host: str) -> str:
    return host.removeprefix(MAPPED) if "." in host else host
