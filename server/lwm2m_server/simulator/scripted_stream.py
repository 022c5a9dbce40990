"""A device on a TCP connection that says and answers exactly what a test tells it to."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Sequence
from typing import Self

from lwm2m_engine.coap import CoapReply, CoapRequest
from lwm2m_server.coap import frames
from lwm2m_server.coap.options import reply_options, request_options, uint
from lwm2m_server.coap.wire import Message, Option
from lwm2m_server.simulator.scripted import PATIENCE, Listening, parameters_of, segments_of

ANJAY_CSM = frames.encode(
    frames.CSM,
    bytes.fromhex("0102030405060708"),
    ((frames.MAX_MESSAGE_SIZE, uint(0xFFFFFFFF)), (frames.BLOCK_WISE, b"")),
)
"""With an 8-byte token and the largest message size there is, as Anjay opens a connection."""


class ScriptedStream(Listening):
    """One connection to a server, no behaviour of its own: nothing is answered unasked.

    ::

        async with await ScriptedStream.open(server) as device:
            answer = await device.send(Code.POST, "/rd", "ep=x&lwm2m=1.1&b=T", 40, b"</3/0>")
            question = await device.expect(Code.GET, "/3")
            device.reply(question, Code.CONTENT, 0, b"text")
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._tokens = itertools.count(1)
        self._buffer = b""
        self.csm: Message | None = None
        """The server's own."""

    @classmethod
    async def open(
        cls,
        server: tuple[str, int],
        *,
        csm: bytes | None = ANJAY_CSM,
        tls: ssl.SSLContext | None = None,
    ) -> Self:
        """Connect, with ``tls`` if given, and exchange CSMs; ``csm=None`` says nothing and hears nothing."""
        device = cls(*await asyncio.open_connection(*server, ssl=tls))
        if csm is not None:
            device.raw(csm)
            try:
                device.csm = await device.receive()
            except BaseException:
                device.close()
                raise
            assert device.csm.code == frames.CSM, f"no CSM: {device.csm}"
        return device

    @property
    def address(self) -> tuple[str, int]:
        host, port, *_ = self._writer.get_extra_info("sockname")
        return host, port

    # --- speaking ---

    def raw(self, data: bytes) -> None:
        """Send these bytes."""
        self._writer.write(data)

    def emit(
        self, code: int, token: bytes = b"", options: Sequence[Option] = (), payload: bytes = b""
    ) -> None:
        """Send this message."""
        self.raw(frames.encode(code, token, options, payload))

    def request(
        self,
        code: int,
        path: str,
        query: str = "",
        content_format: int | None = None,
        payload: bytes = b"",
        *,
        token: bytes | None = None,
        options: Sequence[Option] = (),
    ) -> bytes:
        """Send a request; the result is its token."""
        asked = CoapRequest(code, segments_of(path), parameters_of(query), payload, content_format)
        token = next(self._tokens).to_bytes(2, "big") if token is None else token
        self.emit(code, token, (*request_options(asked), *options), payload)
        return token

    async def send(
        self,
        code: int,
        path: str,
        query: str = "",
        content_format: int | None = None,
        payload: bytes = b"",
        *,
        token: bytes | None = None,
        options: Sequence[Option] = (),
    ) -> Message:
        """Send a request and return its response; what arrives before is an error."""
        token = self.request(code, path, query, content_format, payload, token=token, options=options)
        answer = await self.receive()
        assert answer.is_response, f"no response: {answer}"
        assert answer.token == token, f"the response to something else: {answer}"
        return answer

    def reply(
        self,
        asked: Message,
        code: int,
        content_format: int | None = None,
        payload: bytes = b"",
        *,
        observe: int | None = None,
        options: Sequence[Option] = (),
    ) -> None:
        """Answer a request."""
        self.notify(asked.token, observe, content_format, payload, code=code, options=options)

    def notify(
        self,
        token: bytes,
        observe: int | None,
        content_format: int | None = None,
        payload: bytes = b"",
        *,
        code: int = 0x45,
        options: Sequence[Option] = (),
    ) -> None:
        """Send a notification."""
        reply = CoapReply(code, payload, content_format, (), observe)
        self.emit(code, token, (*reply_options(reply), *options), payload)

    # --- hearing ---

    async def receive(self, seconds: float = PATIENCE) -> Message:
        """The next message; raises ``TimeoutError``, and ``EOFError`` at the end of the connection."""
        async with asyncio.timeout(seconds):
            while True:
                frame = frames.measure(self._buffer, 0)
                if frame is not None and frame.end <= len(self._buffer):
                    message = frames.decode(self._buffer, frame)
                    self._buffer = self._buffer[frame.end :]
                    return message
                more = await self._reader.read(65536)
                if not more:
                    raise EOFError("the server has closed the connection")
                self._buffer += more

    async def closed(self, seconds: float = PATIENCE) -> list[Message]:
        """Wait for the end of the connection; the messages that came before it."""
        before = []
        try:
            while True:
                before.append(await self.receive(seconds))
        except (EOFError, ConnectionResetError):
            return before

    # --- the end ---

    def close(self) -> None:
        self._writer.close()
