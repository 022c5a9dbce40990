"""What aiocoap needs to send requests through our own message layer.

Its token manager matches answers to requests; below it are ``exchanges`` instead of its message manager
and our socket instead of its transports.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

from aiocoap import error, interfaces
from aiocoap.numbers.types import Type
from aiocoap.pipe import Pipe
from aiocoap.protocol import Context
from aiocoap.tokenmanager import TokenManager

from lwm2m_server.coap import wire
from lwm2m_server.coap.datagrams import Datagrams
from lwm2m_server.coap.exchanges import Exchanges, Notice, nobody_minds
from lwm2m_server.coap.message_ids import MessageIds
from lwm2m_server.coap.questions import Address, Question
from lwm2m_server.coap.sockets import SocketAddress, Source

DRAWN = 256
"""Tokens drawn at once: to ask the kernel for eight bytes costs as much as for two thousand."""
END = Pipe.Event(None, None, True)


class Single(Pipe):
    """A pipe for one event, which ``heard`` is called with after all others have heard of it."""

    def __init__(self, request: Question, log: Any, heard: Callable[[Any, Any], None]) -> None:
        self.request = request
        self.log = log
        self._heard = heard
        self._others: list[Callable[[Any], object]] | None = []

    def on_event(self, callback: Callable[[Any], object], is_interest: bool = True) -> None:
        self._listen(callback)

    def on_interest_end(self, callback: Notice) -> None:
        self._listen(lambda event: callback())

    def _listen(self, callback: Callable[[Any], object]) -> None:
        if self._others is None:
            callback(END)
        else:
            self._others.append(callback)

    def stop(self) -> None:
        """Nobody is interested any more."""
        others, self._others = self._others, None
        for other in others or ():
            other(END)

    def _add_event(self, event: Any) -> None:
        if self._others is not None:
            self.stop()
            self._heard(event.message, event.exception)


class Link(interfaces.TokenInterface):
    """Takes what aiocoap wants to send to ``Exchanges``, or straight to the socket if not Confirmable."""

    def __init__(self, udp: Datagrams, exchanges: Exchanges, ids: MessageIds) -> None:
        self._udp = udp
        self._exchanges = exchanges
        self._ids = ids

    def send_message(self, message: Any, monitor: Notice) -> Notice:
        """Returns how to stop retransmitting it; ``monitor`` is called for a Reset."""
        source: Source = message.remote.source
        message.mid = self.message_id(source.address)
        datagram = message.encode()
        if message.mtype is Type.NON:
            self._udp.send(datagram, source)
            return nobody_minds
        outgoing = self._exchanges.send(
            datagram, source, message.mid, reset=monitor, acknowledged=message.acknowledged
        )
        return partial(self._exchanges.withdraw, outgoing)

    def message_id(self, address: SocketAddress) -> int:
        """The next one for this peer that is not under way."""
        mid = self._ids.next(address)
        while self._exchanges.uses(address, mid):
            mid = self._ids.next(address)
        return mid

    async def fill_or_recognize_remote(self, message: Any) -> bool:
        return isinstance(message.remote, Address)

    async def shutdown(self) -> None:
        self._udp.close()


class Tokens(TokenManager):
    """Requests under way, found by token, and by peer when one is given up."""

    token_interface: Link

    def __init__(self, context: Context, link: Link) -> None:
        super().__init__(context)
        self.token_interface = link
        self._pipes: dict[SocketAddress, dict[bytes, Pipe]] = {}
        self._random: list[bytes] = []

    def expects(self, token: bytes, address: SocketAddress) -> bool:
        """True if a request with this token is under way to there."""
        return token in self._pipes.get(address, ())

    def next_token(self) -> bytes:
        # Counted tokens can be guessed by anyone who wants to forge an answer.
        if not self._random:
            drawn = secrets.token_bytes(DRAWN * wire.MAX_TOKEN)
            self._random = [drawn[at : at + wire.MAX_TOKEN] for at in range(0, len(drawn), wire.MAX_TOKEN)]
        return self._random.pop()

    def request(self, request: Pipe) -> None:
        super().request(request)
        address, token = request.request.remote.source.address, request.request.token
        self._pipes.setdefault(address, {})[token] = request
        request.on_interest_end(partial(self._forget, address, token))

    def _forget(self, address: SocketAddress, token: bytes) -> None:
        pipes = self._pipes[address]
        del pipes[token]
        if not pipes:
            del self._pipes[address]

    def fail(self, address: SocketAddress, problem: error.Error) -> None:
        """No request to this peer will be answered. aiocoap looks through those to all peers here."""
        for pipe in tuple(self._pipes.get(address, {}).values()):
            pipe.add_exception(problem)
