"""How a simulated device fetches an image: CoAP with Block2 (RFC 7959) or HTTP, both resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import attrs

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, dotted
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap.blocks import Block
from lwm2m_server.coap.options import BLOCK2, ETAG, number
from lwm2m_server.coap.wire import Message
from lwm2m_server.simulator.datagram import Endpoint, ResetReceived
from lwm2m_server.simulator.images import Image, Reception

if TYPE_CHECKING:
    import aiohttp

ATTEMPTS = 8
"""For each piece of an image, one after the other, before the connection counts as lost."""
PORTS = {"coap": 5683, "coaps": 5684}
CHUNK = 16 * 1024
PATIENCE = 30.0
"""Seconds without a byte over HTTP."""


class InvalidUri(Exception):
    """Nothing is to be had there."""


class UnsupportedProtocol(Exception):
    """The device does not speak it."""


class ConnectionLost(Exception):
    """It could not be fetched, often as that was tried."""


class _Restart(Exception):
    """What is to be had there is another image than what is there already."""


@attrs.define(slots=True)
class Download:
    """An image under way, and where it comes from; it may be broken off, and ``run`` again.

    ``device`` says how: its transport, timing, faults and block size. ``progressed`` hears how many
    bytes are there.
    """

    uri: str
    device: Endpoint
    progressed: Callable[[int], None]
    etag: bytes | str | None = None
    _reception: Reception = attrs.field(factory=Reception)

    async def run(self) -> Image:
        """Raises ``InvalidUri``, ``UnsupportedProtocol``, ``ConnectionLost`` or ``ImageRejected``."""
        parts = _parsed(self.uri)
        if parts.scheme in ("http", "https"):
            fetch = self._fetch_http
        elif parts.scheme in PORTS:
            fetch = self._fetch_coap
        else:
            raise UnsupportedProtocol(parts.scheme)
        while True:
            try:
                await fetch(parts)
            except _Restart:
                self.etag, self._reception = None, Reception()
                continue
            return self._reception.finish()

    def _take(self, data: bytes) -> None:
        self._reception.feed(data)
        self.progressed(self._reception.length)

    # --- CoAP ---

    async def _fetch_coap(self, parts: SplitResult) -> None:
        """Over the connection of the device if that is DTLS, else from a socket of its own."""
        if parts.scheme == "coaps":
            await self._fetch_blocks(self.device, parts)
            return
        socket = _Socket(
            (parts.hostname or "", parts.port or PORTS[parts.scheme]),
            self.device.timing,
            self.device.faults,
            1 << self.device.exponent + 4,
        )
        await socket.open()
        try:
            await self._fetch_blocks(socket, parts)
        finally:
            socket.close()

    async def _fetch_blocks(self, endpoint: Endpoint, parts: SplitResult) -> None:
        request = CoapRequest(
            Code.GET,
            tuple(segment for segment in parts.path.split("/") if segment),
            tuple(part for part in parts.query.split("&") if part),
        )
        exponent = endpoint.exponent
        while self._reception.length & (1 << exponent + 4) - 1:
            exponent -= 1
        while True:
            wanted = Block(self._reception.length >> exponent + 4, False, exponent)
            message = await self._block(endpoint, request, wanted)
            value = number(message.options, BLOCK2)
            block = Block(0, False, exponent) if value is None else Block.unpack(value)
            self._check(message, block)
            self._take(message.payload)
            if not block.more:
                return
            exponent = min(exponent, block.exponent)

    async def _block(self, endpoint: Endpoint, request: CoapRequest, block: Block) -> Message:
        pause = endpoint.timing.ack_timeout
        for _ in range(ATTEMPTS):
            try:
                message = await endpoint.exchange(request, ((BLOCK2, block.pack()),))
            except (TimeoutError, ResetReceived):
                await asyncio.sleep(pause)
                continue
            if message.code != Code.SERVICE_UNAVAILABLE:
                return message
            await asyncio.sleep(pause)
        raise ConnectionLost(self.uri)

    def _check(self, message: Message, block: Block) -> None:
        if message.code == Code.REQUEST_ENTITY_INCOMPLETE:
            raise _Restart
        if message.code != Code.CONTENT:
            raise InvalidUri(f"{dotted(message.code)} {message.payload.decode('utf-8', 'replace')}")
        etag = next((value for option, value in message.options if option == ETAG), None)
        here = self._reception.length
        if here and (etag != self.etag or block.number * block.size != here):
            raise _Restart
        self.etag = etag

    # --- HTTP ---

    async def _fetch_http(self, parts: SplitResult) -> None:
        http = await asyncio.to_thread(import_module, "aiohttp")
        pause = self.device.timing.ack_timeout
        timeout = http.ClientTimeout(total=None, sock_connect=PATIENCE, sock_read=PATIENCE)
        async with http.ClientSession(timeout=timeout) as session:
            for _ in range(ATTEMPTS):
                try:
                    async with session.get(self.uri, headers=self._range()) as answer:
                        await self._receive(answer)
                        return
                except (http.ClientError, TimeoutError):
                    await asyncio.sleep(pause)
        raise ConnectionLost(self.uri)

    def _range(self) -> dict[str, str]:
        if not self._reception.length or not isinstance(self.etag, str):
            return {}
        return {"Range": f"bytes={self._reception.length}-", "If-Range": self.etag}

    async def _receive(self, answer: aiohttp.ClientResponse) -> None:
        if answer.status >= 500:
            raise TimeoutError(f"HTTP {answer.status}")
        if answer.status not in (200, 206):
            raise InvalidUri(f"HTTP {answer.status}")
        if answer.status == 200:
            self._reception = Reception()
        self.etag = answer.headers.get("ETag")
        async for chunk in answer.content.iter_chunked(CHUNK):
            self._take(chunk)


class _Socket(Endpoint):
    """Only asks."""

    def serve(self, request: CoapRequest, token: bytes) -> CoapReply:
        raise RequestError(Code.METHOD_NOT_ALLOWED, "no server here")


def _parsed(uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        # The port is parsed when it is asked for.
        _ = parts.port
    except ValueError as error:
        raise InvalidUri(str(error)) from error
    if not parts.scheme or not parts.hostname:
        raise InvalidUri(uri)
    return parts
