"""``ProtectedDatagrams``: OSCORE (RFC 8613) between the socket and the message layer.

What a device protected goes up in clear, from a peer with an identity; what goes down to a peer with an
identity is protected. The message layer knows nothing of it. The protocol itself is aiocoap's.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import attrs
import structlog
from aiocoap import oscore
from aiocoap.message import Direction, Message

from lwm2m_engine.coap import Code, Peer
from lwm2m_server.coap import wire
from lwm2m_server.coap.datagrams import Datagrams
from lwm2m_server.coap.options import OBSERVE
from lwm2m_server.coap.options import number as value_of
from lwm2m_server.coap.oscore_contexts import Binding, Context, Contexts
from lwm2m_server.coap.oscore_option import wrapped
from lwm2m_server.coap.oscore_rederivation import (
    UNOPENED,
    LostContext,
    UnknownContext,
    open_request,
    successor,
)
from lwm2m_server.coap.oscore_whereabouts import Whereabouts
from lwm2m_server.coap.sockets import SocketAddress, Source

K = TypeVar("K")
V = TypeVar("V")

OSCORE: Final = 9
REMEMBERED: Final = 20_000
"""Messages, requests under way and relations that are kept, of each kind; the oldest are forgotten."""
REPEATED: Final = 100.0
"""Seconds in which a device repeats what is not acknowledged (RFC 7252, 4.8.2: MAX_TRANSMIT_WAIT is 93)."""
MIDWAY: Final = 0x8000
"""Between the Message ID of a request and that of the same with the Echo a device asked for."""

log = structlog.get_logger(__name__)


@attrs.define(slots=True, eq=False)
class _Asked:
    """A protected request to a device, or the relation it began."""

    context: Context
    request: Any
    """As it was before it was protected; ``None`` after a restart."""
    request_id: Any
    mid: int = 0
    observes: bool = False
    again: bool = False
    """The device wanted an Echo or another context, and got it."""
    replaced: Context | None = None
    """The device's context until it answers with this one."""
    begun: bool = False
    """The first answer of a relation, which may have no number of its own, was there."""
    newest: int = -1
    """Number of the newest notification."""
    count: int = 0
    """The same as the message layer gets it."""


class ProtectedDatagrams:
    """``Datagrams`` above others; ``received`` is to be called with what they receive."""

    def __init__(
        self,
        contexts: Contexts,
        up: Callable[[bytes, Source], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._contexts, self._up, self._clock = contexts, up, clock
        self._below: Datagrams
        self._heard: Remembered[tuple[SocketAddress, bytes], tuple[float, bytes, Source]] = Remembered()
        self._replied: Remembered[tuple[SocketAddress, int], bytes] = Remembered()
        self._said: Remembered[tuple[SocketAddress, bytes, Any], bytes] = Remembered()
        self._asking: Remembered[bytes, _Asked] = Remembered()
        self._answering: Remembered[tuple[SocketAddress, bytes], tuple[Context, Any]] = Remembered()
        self.whereabouts = Whereabouts()
        self.on_refused: Callable[[Peer, str], object] = lambda peer, reason: None
        """Hears from where a request came that cannot be opened, and why."""

    def above(self, below: Datagrams) -> ProtectedDatagrams:
        """The same, sending through ``below``."""
        self._below = below
        return self

    # --- what arrives --------------------------------------------------------------------------------

    def received(self, data: bytes, source: Source) -> None:
        if self._contexts.is_empty:
            self._up(data, source)
            return
        try:
            message = wire.decode(data)
        except wire.Malformed:
            self._up(data, source)
            return
        option = next((value for number, value in message.options if number == OSCORE), None)
        if option is None:
            self._unprotected(message, data, source)
            return
        try:
            if message.is_response:
                self._answered(message, option, data, source)
            elif message.is_request:
                self._asked(message, option, source)
        except Exception as problem:
            # The last stop: the other datagrams of this batch must not suffer from it.
            log.exception("OSCORE datagram failed", peer=str(source.peer), error=repr(problem))

    def _unprotected(self, message: wire.Message, data: bytes, source: Source) -> None:
        """Of what was asked with protection, errors may be answered without (8.2), values may not."""
        if message.is_response and message.code >> 5 == 2 and self._asking.get(message.token) is not None:
            log.warning("answer to a protected request without protection", peer=str(source.peer))
            return
        self._up(data, source)

    def _asked(self, message: wire.Message, option: bytes, source: Source) -> None:
        """A request: handed up once and never again. Its copies get the answer, or nothing yet."""
        try:
            inner = self._request(message, _outer(message, option), source)
        except oscore.ContextUnavailable as problem:
            log.error("OSCORE: no number to answer with", peer=str(source.peer), reason=str(problem))
        else:
            if inner is not None:
                self._replied.pop((source.address, message.mid), None)
                self._up(*inner)

    def _answered(self, message: wire.Message, option: bytes, data: bytes, source: Source) -> None:
        """An answer or a notification. Its copies are handed up too while a device may repeat it: what
        could not be kept gets another chance, and the message layer knows the others."""
        key = (source.address, data)
        heard = self._heard.get(key)
        if heard is not None and self._clock() < heard[0] + REPEATED:
            self._up(*heard[1:])
            return
        try:
            inner = self._response(message, _outer(message, option), source)
        except oscore.ContextUnavailable as problem:
            log.error("OSCORE: no number to ask again with", peer=str(source.peer), reason=str(problem))
        else:
            if inner is not None:
                self._heard[key] = self._clock(), *inner
                self._up(*inner)

    def _request(self, message: wire.Message, outer: Any, source: Source) -> tuple[bytes, Source] | None:
        try:
            context, inner, request_id = open_request(self._contexts, outer)
        except oscore.ContextUnavailable:
            raise
        except (oscore.ReplayErrorWithEcho, LostContext) as challenge:
            self._answer(message, challenge.to_message(), source)
        except UnknownContext:
            self._refuse(message, source, Code.UNAUTHORIZED, b"Security context not found")
        except oscore.ReplayError:
            replied = self._replied.get((source.address, message.mid))
            if replied is not None:
                self._below.send(replied, source)
            elif (source.address, message.token) not in self._answering:
                self._refuse(message, source, Code.UNAUTHORIZED, b"Replay detected")
        except (oscore.DecodeError, IndexError):
            self._refuse(message, source, Code.BAD_OPTION, b"Failed to decode COSE")
        except UNOPENED:
            self._refuse(message, source, Code.BAD_REQUEST, b"Decryption failed")
        else:
            context.heard(int.from_bytes(request_id.partial_iv, "big"))
            self._answering[source.address, message.token] = context, request_id
            return _datagram(message.type, message.mid, inner, message.token), self._proven(source, context)
        return None

    def _response(self, message: wire.Message, outer: Any, source: Source) -> tuple[bytes, Source] | None:
        asked = self._asking.get(message.token)
        if asked is None:
            binding = self._contexts.kept(message.token)
            if binding is None:
                # Nobody waits for it; the message layer says so.
                return wire.encode(message), source
            asked = self._relation(message.token, binding)
            if asked is None:
                return None
        try:
            context = successor(self._contexts, asked.context, outer, asked.request_id)
            if context is not None:
                return self._rederived(message, asked, context, source)
            inner, _ = asked.context.unprotect(outer, asked.request_id)
            if asked.replaced is not None:
                self._contexts.adopt(asked.context, instead_of=asked.replaced)
                asked.replaced = None
        except oscore.ContextUnavailable:
            raise
        except (*UNOPENED, IndexError) as problem:
            log.warning("protected answer cannot be opened", peer=str(source.peer), reason=repr(problem))
            return None
        if inner.code == Code.UNAUTHORIZED and inner.opt.echo is not None and not asked.again:
            # The device wants to know that the request is fresh (Appendix B.1.2).
            if asked.request is None:
                return None
            return self._ask_again(message, asked, source, asked.request.copy(echo=inner.opt.echo))
        if inner.opt.observe is not None:
            if not _is_next(asked, inner.opt.observe):
                # Late, or recorded by somebody; the device need not repeat it.
                if message.type == wire.CON:
                    self._below.send(wire.acknowledgement(message.mid), source)
                return None
            inner.opt.observe = asked.count
        elif not asked.observes:
            self._asking.pop(message.token, None)
        # The answer to what was asked again has a Message ID that the message layer does not know.
        kind = wire.NON if asked.again and message.type == wire.ACK else message.type
        return _datagram(kind, message.mid, inner, message.token), self._proven(source, asked.context)

    def _proven(self, source: Source, context: Context) -> Source:
        self.whereabouts.note(context.endpoint, source.peer)
        return source._replace(peer=source.peer._replace(identity=context.endpoint))

    def _relation(self, token: bytes, binding: Binding) -> _Asked | None:
        """One from before a restart. Which notifications were there before is not known: those count that
        are newer than what the device has said since, with an Echo of ours. Until then it is not answered."""
        context = self._contexts.of_endpoint(binding.endpoint)
        if context is None or context.fresh_since is None:
            return None
        request_id = oscore.RequestIdentifiers(context.sender_id, binding.number, None, binding.code)
        asked = self._asking[token] = _Asked(
            context, None, request_id, observes=True, begun=True, newest=context.fresh_since
        )
        return asked

    def _rederived(
        self, message: wire.Message, asked: _Asked, context: Context, source: Source
    ) -> tuple[bytes, Source] | None:
        """The device has lost the context it was asked with (Appendix B.2)."""
        if asked.again or asked.request is None or context.id_context is None:
            raise oscore.ProtectionInvalid("the device wants another context once more")
        asked.context, asked.replaced = context, asked.context
        return self._ask_again(message, asked, source, asked.request, wrapped(context.id_context))

    def _ask_again(
        self,
        message: wire.Message,
        asked: _Asked,
        source: Source,
        request: Any,
        kid_context: bytes | None = None,
    ) -> tuple[bytes, Source]:
        asked.again = True
        outer, asked.request_id = self._protected(asked.context, request, message.token, kid_context)
        again = _datagram(wire.CON, (asked.mid + MIDWAY) & 0xFFFF, outer, message.token)
        self._below.send(again, source)
        if message.type == wire.CON:
            self._below.send(wire.acknowledgement(message.mid), source)
        # To the message layer the device has the request, and will answer later.
        return wire.acknowledgement(asked.mid), source

    # --- what is sent --------------------------------------------------------------------------------

    def send(self, data: bytes, to: Source) -> None:
        if to.peer.identity is None:
            self._below.send(data, to)
            return
        if data[1] == wire.EMPTY:
            self._send(data, to)
            return
        message = Message.decode(data)
        message.direction = Direction.OUTGOING
        _, request_id = self._answering.get((to.address, message.token), (None, None))
        # What is repeated must be the same datagram: its number is the message's, not the copy's. An answer
        # may look like that to another request.
        key = (to.address, data, request_id if message.code.is_response() else None)
        if key not in self._said:
            try:
                sealed = self._sealed_request if message.code.is_request() else self._sealed_answer
                self._said[key] = sealed(message, to)
            except oscore.ContextUnavailable as problem:
                log.error("OSCORE: not sent", peer=str(to.peer), reason=str(problem))
                return
        self._send(self._said[key], to)

    def _send(self, data: bytes, to: Source) -> None:
        if data[0] >> 4 & 3 == wire.ACK:
            self._replied[to.address, int.from_bytes(data[2:4], "big")] = data
        self._below.send(data, to)

    def _sealed_answer(self, message: Any, to: Source) -> bytes:
        found = self._answering.get((to.address, message.token))
        if found is None:
            raise oscore.ContextUnavailable("the request that is answered is forgotten")
        context, request_id = found
        outer, _ = context.protect(message, request_id)
        return _datagram(int(message.mtype), message.mid, outer, message.token)

    def _sealed_request(self, message: Any, to: Source) -> bytes:
        context = self._contexts.of_endpoint(to.peer.identity or "")
        if context is None:
            raise oscore.ContextUnavailable("the device has no OSCORE credentials any more")
        outer, request_id = self._protected(context, message, message.token)
        asked = self._asking.get(message.token)
        if asked is not None and message.opt.observe == 1:
            asked.context, asked.request_id = context, request_id
        else:
            observes = message.opt.observe == 0
            self._asking[message.token] = _Asked(context, message, request_id, message.mid, observes)
        return _datagram(int(message.mtype), message.mid, outer, message.token)

    def _protected(
        self, context: Context, request: Any, token: bytes, kid_context: bytes | None = None
    ) -> tuple[Any, Any]:
        """With the ID Context of the context, unless another form of it is given."""
        outer, request_id = context.protect(request, kid_context=kid_context or True)
        if request.opt.observe == 0:
            self._contexts.keep(token, Binding(context.endpoint, request_id.partial_iv, int(outer.code)))
        return outer, request_id

    def _answer(self, message: wire.Message, outer: Any, source: Source) -> None:
        kind = wire.ACK if message.type == wire.CON else wire.NON
        self._below.send(_datagram(kind, message.mid, outer, message.token), source)

    def _refuse(self, message: wire.Message, source: Source, code: Code, reason: bytes) -> None:
        """Without protection: there is none both sides agree on (8.2)."""
        self.on_refused(source.peer, reason.decode())
        self._answer(message, Message(code=int(code), payload=reason), source)

    # --- the rest is the socket's --------------------------------------------------------------------

    @property
    def address(self) -> tuple[str, int]:
        return self._below.address

    def source(self, peer: Peer) -> Source:
        if peer.identity is not None and self._contexts.of_endpoint(peer.identity) is None:
            raise OSError(f"no OSCORE context for {peer.identity}")
        return self._below.source(peer)

    def stop_reading(self) -> None:
        self._below.stop_reading()

    def close(self) -> None:
        self._below.close()


class Remembered(OrderedDict[K, V], Generic[K, V]):
    """The last ``REMEMBERED`` that were set."""

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > REMEMBERED:
            self.popitem(last=False)


def _datagram(kind: int, mid: int, message: Any, token: bytes) -> bytes:
    return wire.assemble(kind, int(message.code), mid, token, message.opt.encode(), message.payload)


def _outer(message: wire.Message, option: bytes) -> Any:
    """Nobody has vouched for other options than these."""
    outer = Message(code=message.code, payload=message.payload)
    outer.direction = Direction.INCOMING
    outer.opt.oscore, outer.opt.observe = option, value_of(message.options, OBSERVE)
    return outer


def _is_next(asked: _Asked, number: int) -> bool:
    """Whether a notification is newer than all before it (7.4.1); its number has up to 40 bits, and is -1
    for a first answer without one."""
    if number <= asked.newest and (number >= 0 or asked.begun):
        return False
    if asked.begun or number >= 0:
        asked.count = asked.count + 1 & 0xFFFFFF
    asked.begun, asked.newest = True, max(number, asked.newest)
    return True
