"""CoAP options of requests and replies, between datagrams and plain values (RFC 7252, 5.10; RFC 7641)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lwm2m_engine.coap import CoapReply, CoapRequest, Code
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap.wire import CON, Message, Option

URI_HOST = 3
ETAG = 4
OBSERVE = 6
URI_PORT = 7
LOCATION_PATH = 8
URI_PATH = 11
CONTENT_FORMAT = 12
URI_QUERY = 15
ACCEPT = 17
BLOCK2 = 23
BLOCK1 = 27
SIZE2 = 28
PROXY_URI = 35
PROXY_SCHEME = 39
SIZE1 = 60

UNDERSTOOD = frozenset({URI_HOST, URI_PORT, URI_PATH, URI_QUERY, ACCEPT, BLOCK2, BLOCK1})
"""The critical (odd) options a request may carry. Any name and port is taken for ours."""

UINT_LENGTHS = {OBSERVE: 3, CONTENT_FORMAT: 2, ACCEPT: 2, BLOCK2: 3, BLOCK1: 3, SIZE1: 4, SIZE2: 4}

_NUMBERS = frozenset({OBSERVE, CONTENT_FORMAT, ACCEPT})


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
    numbers: dict[int, int] = {}
    try:
        for option, value in message.options:
            if option == URI_PATH:
                path.append(value.decode())
            elif option == URI_QUERY:
                query.append(value.decode())
            elif option in _NUMBERS:
                # The first counts; one too long to be a number is ignored, or refused if it is critical.
                if len(value) <= UINT_LENGTHS[option]:
                    numbers.setdefault(option, int.from_bytes(value, "big"))
                elif option & 1:
                    _check_critical(option, value)
            elif option & 1:
                _check_critical(option, value)
    except UnicodeDecodeError:
        raise RequestError(Code.BAD_OPTION, f"option {option} is not UTF-8") from None
    number = numbers.get
    return CoapRequest(
        message.code,
        tuple(path),
        tuple(query),
        message.payload,
        number(CONTENT_FORMAT),
        number(ACCEPT),
        number(OBSERVE),
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
    content_format = observe = None
    location: tuple[str, ...] = ()
    for option, value in message.options:
        if option == OBSERVE:
            if observe is None and len(value) <= UINT_LENGTHS[option]:
                observe = int.from_bytes(value, "big")
        elif option == CONTENT_FORMAT:
            if content_format is None and len(value) <= UINT_LENGTHS[option]:
                content_format = int.from_bytes(value, "big")
        elif option == LOCATION_PATH:
            location = (*location, _text(option, value))
        elif option & 1 and option not in (BLOCK1, BLOCK2):
            raise RequestError(Code.BAD_OPTION, f"option {option} is critical and not understood")
    return CoapReply(message.code, message.payload, content_format, location, observe)


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
    options: tuple[Option, ...] = ()
    if reply.observe is not None:
        options = ((OBSERVE, uint(reply.observe)),)
    if reply.location:
        options += tuple((LOCATION_PATH, segment.encode()) for segment in reply.location)
    if reply.content_format is not None:
        options += ((CONTENT_FORMAT, uint(reply.content_format)),)
    return options
