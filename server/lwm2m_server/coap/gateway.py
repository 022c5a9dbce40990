"""``Gateway``: CoAP over UDP between devices and the hub, on one socket for both directions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from lwm2m_engine.coap import Peer
from lwm2m_engine.engine.step import Perform
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap import wire
from lwm2m_server.coap.background import Background
from lwm2m_server.coap.channel import Channel
from lwm2m_server.coap.datagrams import Datagrams
from lwm2m_server.coap.dtls.secure import SecureSocket, Security
from lwm2m_server.coap.dtls.sessions import Sessions
from lwm2m_server.coap.inbound import Inbound
from lwm2m_server.coap.observations import Observations
from lwm2m_server.coap.options import OBSERVE, number, reply_of
from lwm2m_server.coap.oscore import ProtectedDatagrams
from lwm2m_server.coap.oscore_contexts import Contexts
from lwm2m_server.coap.progress import Progress
from lwm2m_server.coap.recent import Recent
from lwm2m_server.coap.replies import Replies
from lwm2m_server.coap.shedding import Shedder, queue_of
from lwm2m_server.coap.sockets import SocketAddress, Source, UdpSocket, bind
from lwm2m_server.coap.timing import Timing
from lwm2m_server.coap.uplink import Uplink
from lwm2m_server.counts import Numbers

log = structlog.get_logger(__name__)

__all__ = ["Gateway", "Timing"]

GRACE = 1.0
"""Seconds that requests being answered get when the gateway closes."""


class Gateway:
    """A CoAP endpoint. Make it with ``Gateway.start``, end it with ``close``."""

    def __init__(
        self, uplink: Uplink, timing: Timing, progress: Progress | None, is_sparing: bool = False
    ) -> None:
        self._uplink = uplink
        self._is_sparing = is_sparing
        self._timing = timing
        self._tasks = Background()
        self._progress = progress
        self.sessions: Sessions | None = None
        """Over DTLS."""
        self.protected: ProtectedDatagrams | None = None
        """Where OSCORE is spoken."""
        self._malformed = self._duplicates = 0

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
        security: Security | None = None,
        contexts: Contexts | None = None,
        is_sparing: bool = False,
    ) -> Gateway:
        """Listen on ``host`` (a name, an IPv4 or an IPv6 address) and ``port`` (0 takes a free one).

        ``progress`` hears of each block of a long request that a device has acknowledged. With
        ``security`` it is CoAP over DTLS, with ``contexts`` devices may protect their messages with OSCORE.
        If it ``is_sparing``, who has proved nothing gets long answers in small blocks.

        Raises ``OSError`` that names the address, with ``errno`` telling the cause.
        """
        bound = await bind(host, port)
        gateway = cls(uplink, timing, progress, is_sparing)
        shedder = Shedder(partial(queue_of, bound), gateway._under_way, floor=timing.fair_share)
        if security is None:
            protected = ProtectedDatagrams(contexts, gateway._received) if contexts is not None else None
            gateway.protected = protected
            udp = UdpSocket(
                bound,
                gateway._received if protected is None else protected.received,
                gateway._unreachable,
                shedder,
                listener=listener,
                is_device=uplink.is_device if protected is None else _recognising(uplink, protected),
            )
            gateway._assemble(udp if protected is None else protected.above(udp), shedder)
        else:
            secure = SecureSocket(
                bound, gateway._received, gateway._unreachable, shedder, security, listener=listener
            )
            gateway.sessions = secure.sessions
            gateway._assemble(secure, shedder)
        return gateway

    def _assemble(self, udp: Datagrams, shedder: Shedder) -> None:
        loop = asyncio.get_running_loop()
        self._udp, self._shedder = udp, shedder
        self._replies = Replies(udp, Recent(loop.time))
        self._channel = Channel(udp, self._timing, self._given_up)
        self._inbound = Inbound(
            self._uplink,
            self._replies,
            self._channel,
            self._timing.ack_timeout / 2,
            is_sparing=self._is_sparing,
        )
        self._observations = Observations(
            self._uplink, self._replies, self._channel, self._tasks, self._timing.response_timeout
        )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it is bound to."""
        return self._udp.address

    def counts(self) -> Numbers:
        """See ``lwm2m_server.counts``."""
        return {
            "coap_requests_total": self._inbound.received,
            "coap_requests_under_way": self._inbound.under_way,
            "coap_unacknowledged": len(self._channel),
            "coap_duplicates_total": self._duplicates,
            "coap_malformed_total": self._malformed,
            **self._shedder.counts(),
            **(self.sessions.counts() if self.sessions is not None else {}),
        }

    # --- requests to devices ---

    def perform(self, effect: Perform) -> None:
        """Begin the exchange; its outcome is reported to the uplink."""
        try:
            source = self._udp.source(effect.peer)
        except OSError:
            # Later, as if it had been tried: whoever performs is not prepared for an outcome.
            loop = asyncio.get_running_loop()
            loop.call_soon(self._uplink.failed, effect.exchange, "unreachable")
            return
        if effect.token is not None:
            self._observations.start(effect, effect.token, source)
        else:
            self._channel.ask(effect.exchange, effect.request, source, self._uplink, self._progress)

    def abort(self, exchange: int) -> None:
        """Stop retransmitting; nothing is reported any more."""
        if not self._channel.abort(exchange):
            self._observations.abort(exchange)

    def _given_up(self, address: SocketAddress, reason: str) -> None:
        self._observations.failed(address, reason)

    def _unreachable(self, problem: OSError, address: SocketAddress) -> None:
        self._channel.unreachable(problem, address)

    # --- what arrives ---

    def _under_way(self) -> int:
        return self._inbound.under_way

    def _received(self, data: bytes, source: Source) -> None:
        try:
            self._dispatch(data, source)
        except Exception as problem:
            # The last stop: the other datagrams of this batch must not suffer from it.
            log.exception("datagram failed", peer=str(source.peer), error=repr(problem))

    def _dispatch(self, data: bytes, source: Source) -> None:
        try:
            message = wire.decode(data)
        except wire.Malformed as problem:
            self._malformed += 1
            if problem.mid is not None:
                self._udp.send(wire.reset(problem.mid), source)
            return
        kind, code = message.type, message.code
        # Requests have the codes of class 0 (RFC 7252, 12.1).
        if 0 < code < 32 and (kind == wire.CON or kind == wire.NON):
            if self._replies.is_duplicate(message, data, source):
                self._duplicates += 1
            else:
                self._inbound.receive(message, source)
        elif message.is_response and kind != wire.RST:
            self._response(message, data, source)
        elif code == wire.EMPTY and kind in (wire.ACK, wire.RST):
            self._channel.receive(message, source)
        elif kind == wire.CON:
            # A ping, or a code of a class that is not used over UDP.
            self._udp.send(wire.reset(message.mid), source)

    def _response(self, message: wire.Message, data: bytes, source: Source) -> None:
        if message.type != wire.ACK and self._replies.is_duplicate(message, data, source):
            self._duplicates += 1
            return
        if self._observations.claims(message.token):
            self._observations.receive(message, source)
        elif self._channel.expects(message.token, source) and _is_acceptable(message):
            self._channel.receive(message, source)
            if message.type != wire.ACK:
                self._replies.remember_acknowledged(message, source)
        elif message.type != wire.ACK and _wants_to_hear(message):
            self._replies.reset(message, source)

    async def close(self) -> None:
        """Answer what is being worked on, drop the rest, and close the socket."""
        self._udp.stop_reading()
        self._channel.drop()
        self._observations.close()
        await self._tasks.finish(GRACE)
        await self._inbound.finish(GRACE)
        await self._channel.close()


def _recognising(uplink: Uplink, protected: ProtectedDatagrams) -> Callable[[Peer], bool]:
    """Addresses have no identities by themselves."""
    return lambda peer: uplink.is_device(protected.whereabouts.recognised(peer))


def _wants_to_hear(message: wire.Message) -> bool:
    """A Reset is what tells a device that nobody observes; other unasked messages get none if NON."""
    return message.type == wire.CON or number(message.options, OBSERVE) is not None


def _is_acceptable(message: wire.Message) -> bool:
    try:
        reply_of(message)
    except RequestError:
        return False
    return True
