"""CoAP messages of a capture: their payloads, and what those are about."""

from __future__ import annotations

from typing import NamedTuple

from lwm2m_engine.errors import DecodeError, PathError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import Path
from lwm2m_server.coap import options, wire


class Content(NamedTuple):
    """A payload and what its message and those before it say about it."""

    payload: bytes
    content_format: int | None = None
    at: Path | None = None
    remark: str = ""
    """Why there is nothing to decode."""


class Conversation:
    """Messages in their order: an answer is about the path of the request that had its token."""

    def __init__(self) -> None:
        self._paths: dict[bytes, Path | None] = {}

    def hear(self, datagram: bytes) -> Content:
        """Raises ``DecodeError`` for what is no CoAP message, and for a part of a payload."""
        try:
            message = wire.decode(datagram)
        except wire.Malformed as error:
            raise DecodeError(str(error)) from None
        if message.is_request:
            self._paths[message.token] = _path(message)
        at = self._paths.get(message.token)
        content_format = options.number(message.options, options.CONTENT_FORMAT)
        return Content(message.payload, content_format, at, _remark(message, content_format, at))


def _path(message: wire.Message) -> Path | None:
    """``None`` for /rd, /dp and /bs, and for composites: their payloads name all of their paths."""
    names = [value for option, value in message.options if option == options.URI_PATH]
    try:
        return Path(b"/".join(names).decode("utf-8", "replace")) or None
    except PathError:
        return None


def _remark(message: wire.Message, content_format: int | None, at: Path | None) -> str:
    for option in (options.BLOCK1, options.BLOCK2):
        # A number above zero, or the flag for more to come (RFC 7959, 2.2).
        if message.payload and (options.number(message.options, option) or 0) & ~7:
            raise DecodeError("one block of a longer payload; blocks are not put together")
    if not message.payload:
        return "no payload"
    if message.code >= 0x80:
        text = message.payload.decode("utf-8", "replace")
        return f"refused with {message.code >> 5}.{message.code & 31:02}: {text!r}"
    if content_format == ContentFormat.LINK_FORMAT and len(at or ()) < 3:
        return f"links, no values: {message.payload.decode('utf-8', 'replace')}"
    return ""
