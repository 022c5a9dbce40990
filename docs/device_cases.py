"""What a device is answered: each case with its cause, and requests that lead to it.

The page about the device interface is written from these; a test sends them to a server and compares.
"""

from __future__ import annotations

from typing import NamedTuple

from lwm2m_engine.coap import Code
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.messages.parameters import MAX_NAME_BYTES, MAX_PARAMETERS
from lwm2m_server.coap.blocks import MAX_BODY

LINKS = b"</1/0>,</3/0>"
NAMES = ("ep=known", "lwm2m=1.1")
LOCATION = "{location}"
"""In a path, the id of the registration made last."""


class Example(NamedTuple):
    """A request of a device."""

    method: int
    path: tuple[str, ...]
    query: tuple[str, ...] = ()
    payload: bytes = b""
    content_format: int | None = None
    confirmable: bool = True
    options: tuple[tuple[int, bytes], ...] = ()


class Case(NamedTuple):
    """What leads to an answer. The server knows the endpoint ``known``; the last request gets the code."""

    code: int
    cause: str
    examples: tuple[Example, ...]
    listener: str = "coap"
    """``bootstrap_coap`` for the bootstrap server, which has ``BOOTSTRAP_CONFIGS``."""


def register(*query: str, payload: bytes = LINKS, **more: object) -> Example:
    """A Register; parameters of the same name take the place of the usual ones."""
    named = {text.partition("=")[0] for text in query}
    usual = tuple(text for text in NAMES if text.partition("=")[0] not in named)
    return Example(Code.POST, ("rd",), (*usual, *query), payload, **more)  # type: ignore[arg-type]


def update(*query: str, payload: bytes = b"", **more: object) -> tuple[Example, ...]:
    """A Register, and an Update of that registration."""
    example = Example(Code.POST, ("rd", LOCATION), query, payload, **more)  # type: ignore[arg-type]
    return register(), example


def send(payload: bytes, content_format: int | None = ContentFormat.SENML_JSON) -> tuple[Example, ...]:
    """A Register, and a Send."""
    return register(), Example(Code.POST, ("dp",), (), payload, content_format)


def without(name: str) -> Example:
    """A Register in which a parameter is missing."""
    query = tuple(text for text in NAMES if not text.startswith(f"{name}="))
    return Example(Code.POST, ("rd",), query, LINKS)


def block(number: int, *, more: bool = True, size: int = 6, payload: bytes = bytes(1024)) -> Example:
    """A block of an object list."""
    value = (number << 4 | more << 3 | size).to_bytes(3, "big").lstrip(b"\0")
    return register(payload=payload, options=((27, value),))


def rejected(what: str, *requests: Example) -> tuple[Case, ...]:
    """4.00, a case for each request."""
    return tuple(Case(Code.BAD_REQUEST, what, (request,)) for request in requests)


REGISTER = (
    Case(Code.CREATED, "registered; `Location-Path` is `rd/<id>`. A live registration ends", (register(),)),
    *rejected("the message is not confirmable", register(confirmable=False)),
    *rejected("`lwm2m` is missing, unless `devices.missing_version` says what it is then", without("lwm2m")),
    *rejected("`lt` is no number of seconds, or 0 before LwM2M 1.2", register("lt=x"), register("lt=0")),
    *rejected("`b` has letters its version does not know, or one twice", register("b=X"), register("b=UU")),
    *rejected("`Q` with a value, or in LwM2M 1.0", register("Q=1"), register("Q", "lwm2m=1.0")),
    *rejected("a parameter is given twice or lacks its value", register("lt=9", "lt=9"), register("lt")),
    *rejected(f"more than {MAX_PARAMETERS} parameters", register(*(f"p{n}=" for n in range(MAX_PARAMETERS)))),
    *rejected(
        f"`ep` is longer than {MAX_NAME_BYTES} bytes or not printable",
        Example(Code.POST, ("rd",), ("lwm2m=1.1", "ep=a\0"), LINKS),
        Example(Code.POST, ("rd",), ("lwm2m=1.1", "ep=a\n"), LINKS),
    ),
    *rejected(
        "the object list is missing, is no link-format, or names no LwM2M Object",
        register(payload=b""),
        register(payload=b"</3/0"),
        register(payload=b"</rooms>"),
    ),
    Case(
        Code.FORBIDDEN,
        "the endpoint is not known (`devices.unknown`), or a plugin says no",
        (register("ep=x"),),
    ),
    Case(Code.FORBIDDEN, "there is no `ep`, and no identity to take it from", (without("ep"),)),
    Case(Code.METHOD_NOT_ALLOWED, "the method is not POST", (Example(Code.GET, ("rd",)),)),
    Case(Code.PRECONDITION_FAILED, "`lwm2m` is not 1.0, 1.1 or 1.2", (register("lwm2m=2.0"),)),
    Case(
        Code.UNSUPPORTED_CONTENT_FORMAT,
        "the object list has a Content-Format that is not 40",
        (register(content_format=ContentFormat.SENML_JSON),),
    ),
)

UPDATE = (
    Case(Code.CHANGED, "the lifetime begins anew; what is mentioned is changed", update("lt=600", "b=U")),
    Case(
        Code.DELETED,
        "DELETE: the registration has ended",
        (register(), Example(Code.DELETE, ("rd", LOCATION))),
    ),
    Case(
        Code.BAD_REQUEST,
        "`lt`, `b` or the object list is what it must not be in a Register",
        update("lt=x"),
    ),
    Case(Code.NOT_FOUND, "there is no such registration: Register", (Example(Code.POST, ("rd", "none")),)),
    Case(Code.METHOD_NOT_ALLOWED, "the method is neither POST nor DELETE", (Example(Code.PUT, ("rd", "x")),)),
    Case(
        Code.UNSUPPORTED_CONTENT_FORMAT,
        "the object list has a Content-Format that is not 40",
        update(payload=LINKS, content_format=ContentFormat.TLV),
    ),
)

SEND = (
    Case(Code.CHANGED, "kept", send(b'[{"n":"/3/0/9","v":72}]')),
    Case(Code.BAD_REQUEST, "the payload cannot be decoded; it is kept as it is", send(b"[{]")),
    Case(
        Code.BAD_REQUEST,
        "no registered client has this address",
        (Example(Code.POST, ("dp",), (), b"[]", 110),),
    ),
    Case(
        Code.NOT_FOUND,
        "a value is of an Object that was not announced; the values are kept",
        send(b'[{"n":"/3303/0/5700","v":21.5}]'),
    ),
    Case(Code.METHOD_NOT_ALLOWED, "the method is not POST", (Example(Code.PUT, ("dp",)),)),
    Case(
        Code.UNSUPPORTED_CONTENT_FORMAT,
        "the Content-Format is not one of those below, or missing",
        send(b"\xc1\x09\x48", ContentFormat.TLV),
    ),
)

_SERVER = {"0": 1, "1": 300, "6": True, "7": "U"}
_WRITE = {"/0/1": {"0": "coap://127.0.0.1", "1": False, "2": 3, "10": 1}, "/1/0": _SERVER}
BOOTSTRAP_CONFIGS = {
    "known": {"noSec": True, "write": _WRITE},
    "talkative": {"noSec": True, "write": _WRITE, "read": ["/1"]},
    "secure": {"write": _WRITE},
}


def begin(*query: str, method: int = Code.POST) -> tuple[Example, ...]:
    """A Bootstrap-Request."""
    return (Example(method, ("bs",), query),)


def pack(*query: str, options: tuple[tuple[int, bytes], ...] = ()) -> tuple[Example, ...]:
    """A Bootstrap-Pack-Request."""
    return (Example(Code.GET, ("bspack",), query, options=options),)


def bootstrap(code: int, what: str, *requests: tuple[Example, ...]) -> tuple[Case, ...]:
    """A case for each request to the bootstrap server."""
    return tuple(Case(code, what, request, "bootstrap_coap") for request in requests)


BOOTSTRAP = (
    *bootstrap(
        Code.CHANGED, "`POST /bs`: what there is for the device follows", begin("ep=known", "pct=112")
    ),
    *bootstrap(Code.CONTENT, "`GET /bspack` (LwM2M 1.2): all of it at once", pack("ep=known")),
    *bootstrap(
        Code.BAD_REQUEST,
        "there is nothing for this endpoint name, or no name and no identity to take it from",
        begin("ep=nobody"),
        begin(),
        pack("ep=nobody"),
    ),
    *bootstrap(
        Code.BAD_REQUEST, "the device has to come by `coaps`, with credentials of its own", begin("ep=secure")
    ),
    *bootstrap(Code.BAD_REQUEST, "`pct` is no number, or a parameter is wrong", begin("ep=known", "pct=x")),
    *bootstrap(
        Code.NOT_FOUND,
        "on a listener for bootstrap any other path, on the others these",
        (Example(Code.POST, ("rd",)),),
    ),
    Case(
        Code.NOT_FOUND, "on a listener for bootstrap any other path, on the others these", begin("ep=known")
    ),
    *bootstrap(Code.METHOD_NOT_ALLOWED, "another method", begin("ep=known", method=Code.PUT)),
    *bootstrap(
        Code.NOT_ACCEPTABLE,
        "`GET /bspack`: Accept is none of 110, 112 and 11544",
        pack("ep=known", options=((17, b"\x3c"),)),
    ),
    *bootstrap(
        Code.UNSUPPORTED_CONTENT_FORMAT,
        "`pct` is none of 110, 112, 11542 and 11544",
        begin("ep=known", "pct=60"),
    ),
    *bootstrap(
        Code.NOT_IMPLEMENTED,
        "`GET /bspack`: what there is takes a conversation; `POST /bs` begins it",
        pack("ep=talkative"),
    ),
)

ANYWHERE = (
    Case(Code.CONTINUE, "a block was taken; the next is awaited", (block(0),)),
    Case(Code.BAD_REQUEST, "a block is not as long as it says", (block(0, payload=b"short"),)),
    Case(
        Code.BAD_OPTION, "a critical option is not understood or too long", (register(options=((9, b""),)),)
    ),
    Case(Code.NOT_FOUND, "the path is none of these", (Example(Code.GET, ("nowhere",)),)),
    Case(Code.REQUEST_ENTITY_INCOMPLETE, "a block does not follow the last", (block(5),)),
    Case(
        Code.REQUEST_ENTITY_TOO_LARGE,
        f"the blocks are more than {MAX_BODY // 1024} KiB",
        tuple(block(number) for number in range(MAX_BODY // 1024 + 1)),
    ),
    Case(
        Code.PROXYING_NOT_SUPPORTED,
        "`Proxy-Uri` or `Proxy-Scheme`",
        (register(options=((39, b"coap"),)),),
    ),
)

UNPROVOKED = {
    Code.INTERNAL_SERVER_ERROR: "a fault of the server; the log tells",
    Code.SERVICE_UNAVAILABLE: "it cannot be stored now, or a plugin that admits devices failed: repeat later",
}
"""Answers no request can bring about by itself."""
