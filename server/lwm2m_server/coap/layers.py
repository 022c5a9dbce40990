"""aiocoap's two lower layers with our socket below them.

Its message and token managers are used through subclasses that add random tokens, constant-time work
per Acknowledgement and error, and retransmissions that can be withdrawn.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeAlias

from aiocoap import error, interfaces
from aiocoap.messagemanager import MessageManager
from aiocoap.numbers.constants import TransportTuning
from aiocoap.pipe import Pipe
from aiocoap.protocol import Context
from aiocoap.tokenmanager import TokenManager

from lwm2m_server.coap import wire
from lwm2m_server.coap.sockets import SocketAddress, Source, UdpSocket
from lwm2m_server.coap.timing import Timing

Packet: TypeAlias = Any
"""aiocoap's ``Message``, which is not typed."""

MAX_BLOCK_EXPONENT = 6
"""1,024-byte blocks, the largest of RFC 7959."""


def nobody_minds() -> None:
    """For what may happen to a message without anyone waiting for it."""


ACKNOWLEDGED: ContextVar[Callable[[], None]] = ContextVar("acknowledged", default=nobody_minds)
"""What to call for an empty Acknowledgement of the request that the current task sends.

aiocoap sends requests from tasks of its own, which inherit the context of the one that asked.
"""


class Tuning(TransportTuning):
    """``Timing`` in aiocoap's words."""

    def __init__(self, timing: Timing, reliable: bool) -> None:
        self.ACK_TIMEOUT = timing.ack_timeout
        self.ACK_RANDOM_FACTOR = timing.ack_random_factor
        self.MAX_RETRANSMIT = timing.max_retransmit
        self.reliability = reliable


class Address(interfaces.EndpointAddress):
    """A remote endpoint to aiocoap: what our socket calls its source."""

    scheme = "coap"
    is_multicast = False
    is_multicast_locally = False
    maximum_block_size_exp = MAX_BLOCK_EXPONENT
    uri_base_local = "coap://localhost"

    def __init__(self, source: Source) -> None:
        self.source = source

    def __hash__(self) -> int:
        return hash(self.source.address)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and self.source.address == other.source.address

    @property
    def hostinfo(self) -> str:
        host, port, *_ = self.source.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    hostinfo_local = hostinfo

    @property
    def uri_base(self) -> str:
        return f"coap://{self.hostinfo}"

    @property
    def blockwise_key(self) -> SocketAddress:
        return self.source.address

    def as_response_address(self) -> Address:
        return self


class Transport(interfaces.MessageInterface):
    """aiocoap's lowest layer, on our socket. Names are never resolved: devices have addresses."""

    def __init__(self, udp: UdpSocket) -> None:
        self._udp = udp

    def send(self, message: Packet) -> None:
        self._udp.send(message.encode(), message.remote.source)

    async def recognize_remote(self, remote: object) -> bool:
        return isinstance(remote, Address)

    async def determine_remote(self, message: Packet) -> None:
        return None

    async def shutdown(self) -> None:
        self._udp.close()


class Exchanges(MessageManager):
    """Confirmable messages under way, at most one to each remote (NSTART = 1)."""

    message_interface: Transport

    def send_message(self, message: Packet, monitor: Callable[[], None]) -> Callable[[], None]:
        """Returns how to stop retransmitting it."""
        if message.code.is_request():
            monitor = _Asked(monitor, ACKNOWLEDGED.get())
        super().send_message(message, monitor)
        return partial(self._withdraw, message)

    def _withdraw(self, message: Packet) -> None:
        if not self._active_exchanges:
            return
        active = self._active_exchanges.pop((message.remote, message.mid), None)
        if active is not None:
            active[1].cancel()
            self._continue_backlog(message.remote)
        elif backlog := self._backlogs.get(message.remote):
            backlog[:] = [waiting for waiting in backlog if waiting[0] is not message]

    def _remove_exchange(self, message: Packet) -> None:
        if not self._active_exchanges:
            return
        active = self._active_exchanges.get((message.remote, message.mid))
        super()._remove_exchange(message)
        is_empty = message.mtype == wire.ACK and message.code == wire.EMPTY
        if active is not None and is_empty and isinstance(active[0], _Asked):
            active[0].acknowledged()

    def _continue_backlog(self, remote: Address) -> None:
        # aiocoap looks through the exchanges of all remotes here; with one each there is no need to.
        backlog = self._backlogs.get(remote)
        while backlog:
            message, monitor = backlog.pop(0)
            self._send_initially(message, monitor)
            if message.mtype == wire.CON:
                return
        self._backlogs.pop(remote, None)

    def dispatch_error(self, exception: Exception, remote: Address) -> None:
        # Each request that fails withdraws its message; there is no need to look for the others' here.
        self.token_manager.dispatch_error(exception, remote)


class _Asked:
    """What to call when a request is reset, or acknowledged before it is answered."""

    __slots__ = ("_reset", "acknowledged")

    def __init__(self, reset: Callable[[], None], acknowledged: Callable[[], None]) -> None:
        self._reset = reset
        self.acknowledged = acknowledged

    def __call__(self) -> None:
        self._reset()


class Tokens(TokenManager):
    """Requests under way, found by token; errors of a remote are also told to ``failed``."""

    token_interface: Exchanges

    def __init__(self, context: Context, failed: Callable[[SocketAddress, str], None]) -> None:
        super().__init__(context)
        self._failed = failed
        self._tokens_at: dict[SocketAddress, set[bytes]] = {}

    def next_token(self) -> bytes:
        # Counted tokens can be guessed by anyone who wants to forge an answer.
        return secrets.token_bytes(wire.MAX_TOKEN)

    def request(self, request: Pipe) -> None:
        super().request(request)
        address, token = request.request.remote.source.address, request.request.token
        self._tokens_at.setdefault(address, set()).add(token)
        request.on_interest_end(partial(self._forget, address, token))

    def _forget(self, address: SocketAddress, token: bytes) -> None:
        tokens = self._tokens_at.get(address, set())
        tokens.discard(token)
        if not tokens:
            self._tokens_at.pop(address, None)

    def dispatch_error(self, exception: Exception, remote: Address) -> None:
        # aiocoap looks through the requests to all remotes here.
        address = remote.source.address
        told = exception
        if not isinstance(exception, error.NetworkError):
            told = error.NetworkError(str(exception))
            told.__cause__ = exception
        for token in tuple(self._tokens_at.get(address, ())):
            request = self.outgoing_requests.get((token, remote))
            if request is not None:
                request.add_exception(told)
        self._failed(address, reason_of(exception))


def reason_of(exception: Exception) -> str:
    """The word the engine knows a failed exchange by."""
    if isinstance(exception, error.TimeoutError):
        return "timeout"
    if isinstance(exception, error.MessageError):
        return "reset"
    if isinstance(exception, (error.NetworkError, OSError)):
        return "unreachable"
    return "undecodable"
