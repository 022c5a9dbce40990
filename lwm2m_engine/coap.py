"""CoAP requests, replies and peers as plain values (RFC 7252, RFC 7641, RFC 8132); no CoAP library needed."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import attrs


class Code(IntEnum):
    """Method and response codes: ``class << 5 | detail``."""

    GET = 0x01
    POST = 0x02
    PUT = 0x03
    DELETE = 0x04
    FETCH = 0x05
    PATCH = 0x06
    IPATCH = 0x07

    CREATED = 0x41
    DELETED = 0x42
    VALID = 0x43
    CHANGED = 0x44
    CONTENT = 0x45
    CONTINUE = 0x5F
    BAD_REQUEST = 0x80
    UNAUTHORIZED = 0x81
    BAD_OPTION = 0x82
    FORBIDDEN = 0x83
    NOT_FOUND = 0x84
    METHOD_NOT_ALLOWED = 0x85
    NOT_ACCEPTABLE = 0x86
    REQUEST_ENTITY_INCOMPLETE = 0x88
    CONFLICT = 0x89
    PRECONDITION_FAILED = 0x8C
    REQUEST_ENTITY_TOO_LARGE = 0x8D
    UNSUPPORTED_CONTENT_FORMAT = 0x8F
    UNPROCESSABLE_ENTITY = 0x96
    TOO_MANY_REQUESTS = 0x9D
    INTERNAL_SERVER_ERROR = 0xA0
    NOT_IMPLEMENTED = 0xA1
    BAD_GATEWAY = 0xA2
    SERVICE_UNAVAILABLE = 0xA3
    GATEWAY_TIMEOUT = 0xA4
    PROXYING_NOT_SUPPORTED = 0xA5


def dotted(code: int) -> str:
    """``2.05`` for ``0x45``; codes without a name print too."""
    return f"{code >> 5}.{code & 0x1F:02d}"


def is_success(code: int) -> bool:
    """True for the 2.xx class."""
    return code >> 5 == 2


def is_client_error(code: int) -> bool:
    """True for the 4.xx class: the same will not work."""
    return code >> 5 == 4


def is_server_error(code: int) -> bool:
    """True for the 5.xx class: the same may work later."""
    return code >> 5 == 5


@attrs.frozen(slots=True)
class CoapRequest:
    """A request in either direction, complete (block-wise transfer has happened below).

    ``path`` and ``query`` are the Uri-Path and Uri-Query options, one text each. ``observe`` is the
    Observe option (0 register, 1 cancel; RFC 7641).
    """

    code: int
    path: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    payload: bytes = b""
    content_format: int | None = None
    accept: int | None = None
    observe: int | None = None
    confirmable: bool = True


@attrs.frozen(slots=True)
class CoapReply:
    """A response or notification, complete. ``location`` is the Location-Path, one text a segment."""

    code: int
    payload: bytes = b""
    content_format: int | None = None
    location: tuple[str, ...] = ()
    observe: int | None = None


def diagnostic(code: int, text: str) -> CoapReply:
    """A refusal with its reason as Diagnostic Payload (RFC 7252, 5.5.2).

    ``text`` may quote what a device sent, so what UTF-8 has no place for is escaped.
    """
    return CoapReply(code, text.encode(errors="backslashreplace"))


class Peer(NamedTuple):
    """One end of a CoAP association.

    ``listener`` names the server's own endpoint (``coap``, ``coaps`` …): a registration belongs to the
    one it was made through. ``identity`` is what the security layer proved (``None`` without one).
    """

    host: str
    port: int
    listener: str = "coap"
    identity: str | None = None

    @property
    def is_connection(self) -> bool:
        """True over TCP and the like (``coap+tcp``): what was observed ends with the connection."""
        return "+" in self.listener

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.listener}://{host}:{self.port}"
