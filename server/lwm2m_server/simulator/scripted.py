"""A device that says and answers exactly what a test tells it to."""

from __future__ import annotations

import asyncio
import itertools
import socket
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from lwm2m_engine.coap import CoapReply, CoapRequest
from lwm2m_server.coap import wire
from lwm2m_server.coap.options import OBSERVE, number, reply_options, request_of, request_options
from lwm2m_server.coap.wire import ACK, CON, EMPTY, NON, RST, Message, Option

PATIENCE = 3.0
"""Seconds to wait for what is expected."""


class Listening(ABC):
    """What devices on any transport do with what they hear."""

    @abstractmethod
    async def receive(self, seconds: float = PATIENCE) -> Message:
        """The next message; raises ``TimeoutError``."""

    @abstractmethod
    def close(self) -> None:
        """Hear nothing any more."""

    async def expect(self, code: int, path: str, seconds: float = PATIENCE) -> Message:
        """The next message, which must be this request."""
        message = await self.receive(seconds)
        assert message.is_request, f"no request: {message}"
        asked = request_of(message)
        assert (asked.code, asked.path) == (code, segments_of(path)), f"another request: {asked}"
        return message

    async def silent(self, seconds: float) -> None:
        """Nothing may arrive for this long."""
        try:
            message = await self.receive(seconds)
        except TimeoutError:
            return
        raise AssertionError(f"unexpected: {message}")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ScriptedDevice(asyncio.DatagramProtocol, Listening):
    """One UDP socket, no behaviour of its own: nothing is acknowledged or repeated unasked.

    ::

        async with await ScriptedDevice.open(server) as device:
            answer = await device.send(Code.POST, "/rd", "ep=x&lwm2m=1.1", 40, b"</3/0>")
            question = await device.expect(Code.GET, "/3")
            device.reply(question, Code.CONTENT, 0, b"text")
    """

    def __init__(self) -> None:
        self._arrived: asyncio.Queue[Message] = asyncio.Queue()
        self._mids = itertools.count(1)
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls, server: tuple[str, int], *, local: tuple[str, int] | None = None) -> Self:
        """A device whose socket is connected to ``server``."""
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        _, device = await loop.create_datagram_endpoint(
            cls, remote_addr=server, local_addr=local, family=family
        )
        return device

    # --- asyncio.DatagramProtocol ---

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._arrived.put_nowait(wire.decode(data))

    def error_received(self, exc: Exception) -> None:
        """The server is not there (yet): what is missing is noticed by what waits for it."""

    # --- speaking ---

    @property
    def address(self) -> tuple[str, int]:
        host, port, *_ = self._open.get_extra_info("sockname")
        return host, port

    @property
    def _open(self) -> asyncio.DatagramTransport:
        if self._transport is None:
            raise RuntimeError("the device is not open")
        return self._transport

    def raw(self, data: bytes) -> None:
        """Send these bytes."""
        self._open.sendto(data)

    def emit(self, message: Message) -> None:
        """Send this message."""
        self.raw(wire.encode(message))

    def next_mid(self) -> int:
        return next(self._mids) & 0xFFFF

    def request(
        self,
        code: int,
        path: str,
        query: str = "",
        content_format: int | None = None,
        payload: bytes = b"",
        *,
        token: bytes | None = None,
        type: int = CON,
        mid: int | None = None,
        options: Sequence[Option] = (),
    ) -> Message:
        """A request as a message; ``emit`` sends it, as often as wanted."""
        mid = self.next_mid() if mid is None else mid
        asked = CoapRequest(code, segments_of(path), parameters_of(query), payload, content_format)
        token = mid.to_bytes(2, "big") if token is None else token
        return Message(type, code, mid, token, (*request_options(asked), *options), payload)

    async def send(
        self,
        code: int,
        path: str,
        query: str = "",
        content_format: int | None = None,
        payload: bytes = b"",
        *,
        token: bytes | None = None,
        type: int = CON,
        options: Sequence[Option] = (),
    ) -> Message:
        """Send a request and return its response; what arrives before is an error."""
        asked = self.request(
            code, path, query, content_format, payload, token=token, type=type, options=options
        )
        self.emit(asked)
        return await self.response(asked)

    async def response(self, asked: Message) -> Message:
        """The response to this request: piggybacked, or separate (which is then acknowledged)."""
        answer = await self.receive()
        if answer.type == ACK and answer.code == EMPTY:
            answer = await self.receive()
        assert answer.is_response, f"no response: {answer}"
        assert answer.token == asked.token, f"the response to something else: {answer}"
        if answer.type == CON:
            self.emit(Message(ACK, EMPTY, answer.mid))
        return answer

    def notify(
        self,
        token: bytes,
        observe: int | None,
        content_format: int | None = None,
        payload: bytes = b"",
        *,
        code: int = 0x45,
        type: int = CON,
        options: Sequence[Option] = (),
    ) -> Message:
        """Send a notification; returns it, to be repeated with ``emit``."""
        reply = CoapReply(code, payload, content_format, (), observe)
        message = Message(type, code, self.next_mid(), token, (*reply_options(reply), *options), payload)
        self.emit(message)
        return message

    # --- hearing ---

    async def receive(self, seconds: float = PATIENCE) -> Message:
        """The next message; raises ``TimeoutError``."""
        async with asyncio.timeout(seconds):
            return await self._arrived.get()

    def reply(
        self,
        asked: Message,
        code: int,
        content_format: int | None = None,
        payload: bytes = b"",
        *,
        observe: int | None = None,
        location: str = "",
        type: int = ACK,
        options: Sequence[Option] = (),
    ) -> Message:
        """Answer a request: piggybacked (``ACK``), separately (``CON``, ``NON``) or with a ``RST``."""
        if type == RST:
            message = Message(RST, EMPTY, asked.mid)
        else:
            mid = asked.mid if type == ACK else self.next_mid()
            reply = CoapReply(code, payload, content_format, segments_of(location), observe)
            message = Message(type, code, mid, asked.token, (*reply_options(reply), *options), payload)
        self.emit(message)
        return message

    def acknowledge(self, message: Message) -> None:
        """An empty Acknowledgement."""
        self.emit(Message(ACK, EMPTY, message.mid))

    # --- the end ---

    def close(self) -> None:
        self._open.close()


def observe_of(message: Message) -> int | None:
    """The Observe option of a message."""
    return number(message.options, OBSERVE)


def segments_of(path: str) -> tuple[str, ...]:
    """``/rd/1`` as Uri-Path options."""
    return tuple(path.strip("/").split("/")) if path.strip("/") else ()


def parameters_of(query: str) -> tuple[str, ...]:
    """``ep=x&lt=60`` as Uri-Query options."""
    return tuple(query.split("&")) if query else ()


__all__ = ["ACK", "CON", "NON", "RST", "ScriptedDevice", "observe_of", "parameters_of", "segments_of"]
