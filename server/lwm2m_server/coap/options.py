"""CoAP options of requests and replies, between datagrams and plain values (RFC 7252, 5.10; RFC 7641)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lwm2m_engine.coap import CoapReply, CoapRequest, Code
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap.wire import CON, Message, Option

URI_HOST = 3
OBSERVE = 6
URI_PORT = 7
LOCATION_PATH = 8
URI_PATH = 11
CONTENT_FORMAT = 12
URI_QUERY = 15
ACCEPT = 17
BLOCK2 = 23
BLOCK1 = 27
PROXY_URI = 35
PROXY_SCHEME = 39
SIZE1 = 60

UNDERSTOOD = frozenset({URI_HOST, URI_PORT, URI_PATH, URI_QUERY, ACCEPT, BLOCK2, BLOCK1})
"""The critical (odd) options a request may carry. Any name and port is taken for ours."""

UINT_LENGTHS = {OBSERVE: 3, CONTENT_FORMAT: 2, ACCEPT: 2, BLOCK2: 3, BLOCK1: 3}


def uint(value: int) -> bytes:
    """An unsigned integer in as few bytes as it needs (RFC 7252, 3.2)."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def number(options: Iterable[Option], wanted: int) -> int | None:
    """The value of an integer option; ``None`` if it is absent or too long to be one."""
    for option, value in options:
        if option == wanted:
            return int.from_bytes(value, "big") if len(value) <= UINT_LENGTHS.get(wanted, 4) else None
    return None


def request_of(message: Message) -> CoapRequest:
    """Raises ``RequestError`` 4.02 or 5.05 for a critical option that cannot be honoured (5.4.1)."""
    path: list[str] = []
    query: list[str] = []
    for option, value in message.options:
        if option == URI_PATH:
            path.append(_text(option, value))
        elif option == URI_QUERY:
            query.append(_text(option, value))
        elif option & 1:
            _check_critical(option, value)
    options = message.options
    return CoapRequest(
        message.code,
        tuple(path),
        tuple(query),
        message.payload,
        number(options, CONTENT_FORMAT),
        number(options, ACCEPT),
        number(options, OBSERVE),
        message.type == CON,
    )


def _check_critical(option: int, value: bytes) -> None:
    if option in (PROXY_URI, PROXY_SCHEME):
        raise RequestError(Code.PROXYING_NOT_SUPPORTED, "this server is no proxy")
    if option not in UNDERSTOOD:
        raise RequestError(Code.BAD_OPTION, f"option {option} is critical and not understood")
    if len(value) > UINT_LENGTHS.get(option, 255):
        raise RequestError(Code.BAD_OPTION, f"option {option} is too long")


def _text(option: int, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise RequestError(Code.BAD_OPTION, f"option {option} is not UTF-8") from None


def reply_of(message: Message) -> CoapReply:
    """Raises ``RequestError`` for a critical option nobody asked for: such a reply is to be rejected."""
    for option, _ in message.options:
        if option & 1 and option not in (BLOCK1, BLOCK2):
            raise RequestError(Code.BAD_OPTION, f"option {option} is critical and not understood")
    options = message.options
    return CoapReply(
        message.code,
        message.payload,
        number(options, CONTENT_FORMAT),
        tuple(_text(option, value) for option, value in options if option == LOCATION_PATH),
        number(options, OBSERVE),
    )


def request_options(request: CoapRequest) -> tuple[Option, ...]:
    """In order of their numbers."""
    return tuple(_request_options(request))


def _request_options(request: CoapRequest) -> Iterator[Option]:
    if request.observe is not None:
        yield OBSERVE, uint(request.observe)
    for segment in request.path:
        yield URI_PATH, segment.encode()
    if request.content_format is not None:
        yield CONTENT_FORMAT, uint(request.content_format)
    for parameter in request.query:
        yield URI_QUERY, parameter.encode()
    if request.accept is not None:
        yield ACCEPT, uint(request.accept)


def reply_options(reply: CoapReply) -> tuple[Option, ...]:
    """In order of their numbers."""
    return tuple(_reply_options(reply))


def _reply_options(reply: CoapReply) -> Iterator[Option]:
    if reply.observe is not None:
        yield OBSERVE, uint(reply.observe)
    for segment in reply.location:
        yield LOCATION_PATH, segment.encode()
    if reply.content_format is not None:
        yield CONTENT_FORMAT, uint(reply.content_format)
