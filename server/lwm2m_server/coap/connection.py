"""``Connection``: what may happen on one TCP connection (RFC 8323).

aiocoap's TCP transport with limits around it, the order that is due at the end of a connection, and
messages decoded by the same rules as datagrams.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

import attrs
import structlog
from aiocoap.message import Message
from aiocoap.numbers.codes import Code
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.optiontypes import OpaqueOption
from aiocoap.transports.rfc8323common import CloseConnection
from aiocoap.transports.tcp import TcpConnection

from lwm2m_engine.coap import CoapReply, Peer, is_success
from lwm2m_server.coap import frames, wire
from lwm2m_server.coap.blocks import MAX_BODY
from lwm2m_server.coap.options import reply_options
from lwm2m_server.coap.wire import Option

log = structlog.get_logger(__name__)

PIPELINE = 16
"""Requests of one connection worked on at once; the rest waits in the socket."""
BLOCK = 1024
"""Bytes of the largest block, and the unit of BERT (RFC 8323, 6)."""
SMALLEST_BLOCK = 16
SIGNALING = 7
"""The class of CSM, Ping and so on."""


@attrs.frozen(slots=True)
class Limits:
    """What strangers may take up. Times are in seconds, sizes in bytes."""

    connections: int = 10_000
    per_address: int = 1_000
    """Connections from one address, which may be that of a whole network behind NAT."""
    message_size: int = MAX_BODY + 4096
    hello: float = 10.0
    """From the connection to its CSM."""
    patience: float = 120.0
    """For the rest of a message once begun, for a Pong, for taking what is sent, for closing."""
    idle: float = 1800.0
    """Silence after which the peer is asked whether it is still there."""


class Handler(Protocol):
    """Who deals with what arrives."""

    def requested(self, connection: Connection, message: wire.Message) -> None:
        """A request; ``connection.respond`` answers it, once."""
        ...

    def responded(self, connection: Connection, message: wire.Message) -> None:
        """A response."""
        ...

    def lost(self, connection: Connection) -> None:
        """Nothing comes from there and nothing goes there any more."""
        ...


class Owner(Protocol):
    """The listener that a connection belongs to."""

    handler: Handler
    limits: Limits
    listener: str

    def admit(self, connection: Connection) -> str:
        """Count it; the result is why it cannot stay."""
        ...

    def forget(self, connection: Connection) -> None:
        """It is closed."""
        ...


class Connection(TcpConnection):
    """One connection that a device has opened. To aiocoap it is the device's address."""

    _ctx: Owner
    _transport: asyncio.Transport
    peer: Peer

    def __init__(
        self,
        owner: Owner,
        logger: logging.Logger,
        loop: asyncio.AbstractEventLoop,
        identity: str | None = None,
    ) -> None:
        """``identity`` is the endpoint name that its client has proved to be."""
        super().__init__(owner, logger, loop, is_server=True)
        self._identity = identity
        self._my_max_message_size = owner.limits.message_size
        self._buffer = bytearray()
        self._busy = 0
        self._throttled = False
        self._custody: list[bytes] = []
        self._leaving = False
        self._over = False
        # When it was opened, or when it ended.
        self._since = self._heard = loop.time()
        self._begun: float | None = None
        self._stuck: float | None = None
        self._pinged: float | None = None
        self.accepted = False
        """A request was granted: a Register or Update, and so this is where a device is."""
        self.exchanges: set[int] = set()
        """Requests to the device that wait for their answers."""

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        host, port, *_ = transport.get_extra_info("peername") or ("", 0)
        self.peer = Peer(host, port, self._ctx.listener, self._identity)
        if not host:
            # Gone before it was accepted.
            transport.abort()
            return
        super().connection_made(transport)
        refusal = self._ctx.admit(self)
        if refusal:
            self.abort(refusal)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._heard, self._pinged = self.loop.time(), None
        self._read()

    def pause_writing(self) -> None:
        self._stuck = self.loop.time()
        self._throttle()

    def resume_writing(self) -> None:
        self._stuck = None
        self.loop.call_soon(self._go_on)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self._ctx.forget(self)

    # --- reading ---

    def _read(self) -> None:
        at = 0
        while not self._over and not self._leaving and not self._throttled:
            frame = frames.measure(self._buffer, at)
            if frame is not None and frame.size > self._my_max_message_size:
                self.abort(f"a message of {frame.size} bytes; {self._my_max_message_size} is the limit")
                return
            if frame is None or frame.end > len(self._buffer):
                break
            try:
                message = frames.decode(self._buffer, frame)
            except wire.Malformed as problem:
                self.abort(str(problem))
                return
            at = frame.end
            self._take(message)
        del self._buffer[:at]
        if not self._buffer or self._throttled:
            self._begun = None
        elif at or self._begun is None:
            self._begun = self.loop.time()

    def _take(self, message: wire.Message) -> None:
        if message.code >> 5 == SIGNALING:
            self._signal(message)
        elif message.code == wire.EMPTY:
            return
        elif self._remote_settings is None:
            self.abort("the first message is no CSM")
        elif message.is_request:
            self._busy += 1
            self._ctx.handler.requested(self, message)
            if self._busy >= PIPELINE:
                self._throttle()
        elif message.is_response:
            self._ctx.handler.responded(self, message)

    # --- signaling (RFC 8323, 5) ---

    def _signal(self, message: wire.Message) -> None:
        if self._remote_settings is None and message.code != frames.CSM:
            self.abort("the first message is no CSM")
        elif message.code == frames.PING and not any(number & 1 for number, _ in message.options):
            if any(number == frames.CUSTODY for number, _ in message.options):
                self._custody.append(message.token)
                self._settle()
            else:
                self.send(frames.PONG, message.token)
        elif message.code == frames.RELEASE:
            self._leaving = True
            self._settle()
        else:
            try:
                self._process_signaling(_signaling(message))
            except CloseConnection:
                self._close()

    def _settle(self) -> None:
        """Custody and Release mean that what came before has been dealt with (5.4.1, 5.5)."""
        if self._busy:
            return
        for token in self._custody:
            self.send(frames.PONG, token, ((frames.CUSTODY, b""),))
        self._custody.clear()
        if self._leaving:
            self._close()

    # --- writing ---

    def send(self, code: int, token: bytes, options: tuple[Option, ...] = (), payload: bytes = b"") -> None:
        """Nothing happens on a connection that is over."""
        if not self._transport.is_closing():
            self._transport.write(frames.encode(code, token, options, payload))

    def respond(self, token: bytes, reply: CoapReply, options: tuple[Option, ...] = ()) -> None:
        """Answer a request; ``options`` come on top of those of the reply."""
        self.accepted = self.accepted or is_success(reply.code)
        self.send(reply.code, token, (*reply_options(reply), *options), reply.payload)
        self._busy -= 1
        if self._throttled and not self._over:
            self.loop.call_soon(self._go_on)
        self._settle()

    def _throttle(self) -> None:
        """A peer that asks too much, or does not take its answers, waits."""
        self._throttled = self._busy >= PIPELINE or self._stuck is not None
        if self._throttled:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _go_on(self) -> None:
        if not self._over:
            self._throttle()
            self._read()

    def _send_message(self, msg: Any) -> None:
        # aiocoap sends its requests, and what signaling asks for, this way.
        if not self._transport.is_closing():
            super()._send_message(msg)

    @property
    def maximum_block_size_exp(self) -> int:
        """For aiocoap: 7 is BERT, where the peer has room for more than one block in a message."""
        room = self._room
        if room >= 2 * BLOCK and self._takes_blocks:
            return 7
        return min(6, room.bit_length() - 5)

    @property
    def maximum_payload_size(self) -> int:
        """For aiocoap: a larger payload goes in blocks."""
        return self._room

    @property
    def _room(self) -> int:
        settings: Any = self._remote_settings or {}
        # Without the option the size is that of a datagram (RFC 8323, 5.3.1).
        size = int(settings.get("max-message-size", BLOCK + frames.OVERHEAD))
        return max(size - frames.OVERHEAD, SMALLEST_BLOCK)

    @property
    def _takes_blocks(self) -> bool:
        settings: Any = self._remote_settings or {}
        return "block-wise-transfer" in settings

    # --- the end ---

    @property
    def is_over(self) -> bool:
        return self._over

    def abort(self, errormessage: str | None = None, bad_csm_option: int | None = None) -> None:
        """Say why, and close (5.6)."""
        if not self._over:
            log.info("connection aborted", peer=str(self.peer), reason=errormessage)
            super().abort(errormessage, bad_csm_option)
            self._close()

    def let_go(self) -> None:
        """Ask for no more, finish what is being worked on, and close (5.5)."""
        self.send(frames.RELEASE, b"")
        self._leaving = True
        self._settle()

    def drop(self) -> None:
        """Close without waiting for what is not sent yet."""
        self._end()
        self._transport.abort()

    def _close(self) -> None:
        self._end()
        self._transport.close()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._since = self.loop.time()
            self._buffer.clear()
            self._ctx.handler.lost(self)

    # --- time ---

    def look(self, now: float, limits: Limits) -> None:
        """End what takes too long."""
        if self._over:
            if now - self._since > limits.patience:
                self._transport.abort()
        elif self._remote_settings is None:
            if now - self._since > limits.hello:
                self.abort("no CSM in time")
        elif _passed(self._begun, now, limits.patience):
            self.abort("the rest of a message did not come in time")
        elif _passed(self._pinged, now, limits.patience) or _passed(self._stuck, now, limits.patience):
            log.info("connection dropped", peer=str(self.peer), reason="the peer does not react")
            self.drop()
        elif self._pinged is None and now - self._heard > limits.idle:
            self._pinged = now
            self.send(frames.PING, b"")


def _passed(since: float | None, now: float, limit: float) -> bool:
    return since is not None and now - since > limit


def _signaling(message: wire.Message) -> Any:
    """For aiocoap, with options that mean something else than in requests."""
    made = Message(code=Code(message.code), _token=message.token)
    for number, value in message.options:
        made.opt.add_option(OpaqueOption(OptionNumber(number), value))
    return made
