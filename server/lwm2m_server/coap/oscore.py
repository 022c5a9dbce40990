"""``ProtectedDatagrams``: OSCORE (RFC 8613) between the socket and the message layer.

What a device protected goes up in clear, from a peer with an identity; what goes down to a peer with an
identity is protected. The message layer knows nothing of it. The protocol itself is aiocoap's.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeVar

import attrs
import structlog
from aiocoap import oscore
from aiocoap.message import Direction, Message
from cryptography.exceptions import InvalidTag

from lwm2m_engine.coap import Code, Peer
from lwm2m_server.coap import wire
from lwm2m_server.coap.datagrams import Datagrams
from lwm2m_server.coap.options import OBSERVE
from lwm2m_server.coap.options import number as value_of
from lwm2m_server.coap.sockets import SocketAddress, Source

K = TypeVar("K")
V = TypeVar("V")

OSCORE: Final = 9
REMEMBERED: Final = 20_000
"""Messages, requests under way and relations that are kept, of each kind; the oldest are forgotten."""
MIDWAY: Final = 0x8000
"""Between the Message ID of a request and that of the same with the Echo a device asked for."""

log = structlog.get_logger(__name__)


class Context(oscore.CanProtect, oscore.CanUnprotect, oscore.SecurityContextUtils):
    """A security context (RFC 8613, 3) whose sequence numbers come from ``next_number``.

    Which numbers of the device's were used before is not known when it is made: the first request is
    answered with an Echo option, and believed when it comes back (Appendix B.1.2).
    """

    def __init__(
        self,
        endpoint: str,
        ids: tuple[bytes, bytes, bytes | None],
        keys: tuple[bytes, bytes],
        next_number: Callable[[], int],
        echo: bytes,
    ) -> None:
        """``ids`` are sender, recipient and context, ``keys`` salt and secret."""
        self.endpoint = endpoint
        self.sender_id, self.recipient_id, self.id_context = ids
        self.alg_aead = oscore.AES_CCM_16_64_128()
        self.hashfun = oscore.hashfunctions[oscore.DEFAULT_HASHFUNCTION]
        self.derive_keys(*keys)
        self.recipient_replay_window = oscore.ReplayWindow(oscore.DEFAULT_WINDOWSIZE, lambda: None)
        self.echo_recovery = echo
        self._next_number = next_number

    def new_sequence_number(self) -> int:
        return self._next_number()

    def post_seqnoincrease(self) -> None:
        """``next_number`` takes care of that."""


@attrs.frozen(slots=True)
class Binding:
    """What an answer or a notification needs to be understood: whose request, with which number."""

    endpoint: str
    number: bytes
    """Partial IV of the request."""
    code: int
    """Of the protected request."""


class Contexts(Protocol):
    """Security contexts of devices, and what outlives the process."""

    @property
    def is_empty(self) -> bool: ...

    def of_device(self, kid: bytes, kid_context: bytes | None) -> Context | None:
        """By what a device says in its request."""
        ...

    def of_endpoint(self, endpoint: str) -> Context | None: ...

    def keep(self, token: bytes, binding: Binding) -> None:
        """An observe request is about to leave."""
        ...

    def kept(self, token: bytes) -> Binding | None: ...


@attrs.define(slots=True, eq=False)
class _Asked:
    """A protected request to a device, or the relation it began."""

    context: Context
    request: Any
    """As it was before it was protected; ``None`` after a restart."""
    request_id: Any
    mid: int = 0
    observes: bool = False
    echoed: bool = False
    newest: int = -1
    """Partial IV of the newest notification."""
    count: int = 0
    """Its number as the message layer gets it."""


class ProtectedDatagrams:
    """``Datagrams`` above others; ``received`` is to be called with what they receive."""

    def __init__(self, contexts: Contexts, up: Callable[[bytes, Source], None]) -> None:
        self._contexts, self._up = contexts, up
        self._below: Datagrams
        self._heard: Remembered[tuple[SocketAddress, bytes], tuple[bytes, Source]] = Remembered()
        self._said: Remembered[tuple[SocketAddress, bytes], bytes] = Remembered()
        self._asking: Remembered[bytes, _Asked] = Remembered()
        self._answering: Remembered[tuple[SocketAddress, bytes], tuple[Context, Any]] = Remembered()

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
        key = (source.address, data)
        # A repeated message is opened once; what it is answered with, the message layer knows.
        inner = self._heard.get(key)
        if inner is None:
            inner = self._opened(message, option, source)
        if inner is not None:
            self._heard[key] = inner
            self._up(*inner)

    def _unprotected(self, message: wire.Message, data: bytes, source: Source) -> None:
        """Of what was asked with protection, errors may be answered without (8.2), values may not."""
        if message.is_response and message.code >> 5 == 2 and self._asking.get(message.token) is not None:
            log.warning("answer to a protected request without protection", peer=str(source.peer))
            return
        self._up(data, source)

    def _opened(self, message: wire.Message, option: bytes, source: Source) -> tuple[bytes, Source] | None:
        # Nobody has vouched for the other options.
        outer = Message(code=message.code, payload=message.payload)
        outer.direction = Direction.INCOMING
        outer.opt.oscore, outer.opt.observe = option, value_of(message.options, OBSERVE)
        try:
            if message.is_request:
                return self._request(message, outer, source)
            return self._response(message, outer, source) if message.is_response else None
        except oscore.ContextUnavailable as problem:
            log.error("OSCORE: no number to send with", peer=str(source.peer), reason=str(problem))
            return None

    def _request(self, message: wire.Message, outer: Any, source: Source) -> tuple[bytes, Source] | None:
        try:
            said = oscore.verify_start(outer)
            context = self._contexts.of_device(
                said.get(oscore.COSE_KID, b""), said.get(oscore.COSE_KID_CONTEXT)
            )
            if context is None:
                self._refuse(message, source, Code.UNAUTHORIZED, b"Security context not found")
                return None
            inner, request_id = context.unprotect(outer)
        except oscore.ReplayErrorWithEcho as challenge:
            self._answer(message, challenge.to_message(), source)
        except oscore.ReplayError:
            self._refuse(message, source, Code.UNAUTHORIZED, b"Replay detected")
        except (oscore.DecodeError, IndexError):
            self._refuse(message, source, Code.BAD_OPTION, b"Failed to decode COSE")
        except (oscore.ProtectionInvalid, InvalidTag, ValueError):
            self._refuse(message, source, Code.BAD_REQUEST, b"Decryption failed")
        else:
            self._answering[source.address, message.token] = context, request_id
            return _datagram(message.type, message.mid, inner, message.token), _proven(source, context)
        return None

    def _response(self, message: wire.Message, outer: Any, source: Source) -> tuple[bytes, Source] | None:
        asked = self._asking.get(message.token) or self._relation(message.token)
        if asked is None:
            # Nobody waits for it; the message layer says so.
            return wire.encode(message), source
        try:
            inner, _ = asked.context.unprotect(outer, asked.request_id)
        except (oscore.ProtectionInvalid, InvalidTag, ValueError, IndexError) as problem:
            log.warning("protected answer cannot be opened", peer=str(source.peer), reason=repr(problem))
            return None
        if inner.code == Code.UNAUTHORIZED and inner.opt.echo is not None and not asked.echoed:
            return self._ask_again(message, asked, inner.opt.echo, source)
        if inner.opt.observe is not None:
            inner.opt.observe = _count(asked, inner.opt.observe)
        elif not asked.observes:
            self._asking.pop(message.token, None)
        # The answer to what was asked again has a Message ID that the message layer does not know.
        kind = wire.NON if asked.echoed and message.type == wire.ACK else message.type
        return _datagram(kind, message.mid, inner, message.token), _proven(source, asked.context)

    def _relation(self, token: bytes) -> _Asked | None:
        """One from before a restart."""
        binding = self._contexts.kept(token)
        context = self._contexts.of_endpoint(binding.endpoint) if binding is not None else None
        if binding is None or context is None:
            return None
        request_id = oscore.RequestIdentifiers(context.sender_id, binding.number, None, binding.code)
        asked = self._asking[token] = _Asked(context, None, request_id, observes=True)
        return asked

    def _ask_again(
        self, message: wire.Message, asked: _Asked, echo: bytes, source: Source
    ) -> tuple[bytes, Source] | None:
        """The device wants to know that the request is fresh (Appendix B.1.2): once more, with its Echo."""
        if asked.request is None:
            return None
        asked.echoed = True
        outer, asked.request_id = asked.context.protect(asked.request.copy(echo=echo))
        again = _datagram(wire.CON, (asked.mid + MIDWAY) & 0xFFFF, outer, message.token)
        self._below.send(again, source)
        if message.type == wire.CON:
            self._below.send(wire.acknowledgement(message.mid), source)
        # To the message layer the device has the request, and will answer later.
        return wire.acknowledgement(asked.mid), source

    # --- what is sent --------------------------------------------------------------------------------

    def send(self, data: bytes, to: Source) -> None:
        if to.peer.identity is None or data[1] == wire.EMPTY:
            self._below.send(data, to)
            return
        key = (to.address, data)
        if key not in self._said:
            try:
                sealed = self._sealed(data, to)
            except oscore.ContextUnavailable as problem:
                log.error("OSCORE: not sent", peer=str(to.peer), reason=str(problem))
                return
            self._said[key] = sealed
        # What is repeated must be the same datagram: its number is the message's, not the copy's.
        self._below.send(self._said[key], to)

    def _sealed(self, data: bytes, to: Source) -> bytes:
        message = Message.decode(data)
        message.direction = Direction.OUTGOING
        if message.code.is_request():
            return self._sealed_request(message, to)
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
        outer, request_id = context.protect(message)
        observes = message.opt.observe == 0
        if observes:
            binding = Binding(context.endpoint, request_id.partial_iv, int(outer.code))
            self._contexts.keep(message.token, binding)
        if message.opt.observe != 1 or self._asking.get(message.token) is None:
            self._asking[message.token] = _Asked(context, message, request_id, message.mid, observes)
        else:
            self._asking[message.token].request_id = request_id
        return _datagram(int(message.mtype), message.mid, outer, message.token)

    def _answer(self, message: wire.Message, outer: Any, source: Source) -> None:
        kind = wire.ACK if message.type == wire.CON else wire.NON
        self._below.send(_datagram(kind, message.mid, outer, message.token), source)

    def _refuse(self, message: wire.Message, source: Source, code: Code, reason: bytes) -> None:
        """Without protection: there is none both sides agree on (8.2)."""
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


def _proven(source: Source, context: Context) -> Source:
    return source._replace(peer=source.peer._replace(identity=context.endpoint))


def _count(asked: _Asked, number: int) -> int:
    """The order of notifications follows from their numbers, of up to 40 bits (4.1.3.5.2); the message
    layer gets 24, and an old one as the copy of the newest."""
    if number > asked.newest:
        asked.newest = number
        asked.count = asked.count + 1 & 0xFFFFFF
    return asked.count
