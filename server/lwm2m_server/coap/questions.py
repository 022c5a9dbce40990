"""``Question`` and ``Response``: requests to devices and what they answer, as messages of aiocoap."""

# mypy: allow-untyped-calls

from __future__ import annotations

from functools import lru_cache
from typing import Any

from aiocoap import error, interfaces
from aiocoap.message import Direction, Message
from aiocoap.numbers.constants import TransportTuning
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.numbers.types import Type
from aiocoap.options import Options

from lwm2m_engine.coap import CoapReply, CoapRequest
from lwm2m_server.coap import wire
from lwm2m_server.coap.blocks import Block
from lwm2m_server.coap.exchanges import Notice, nobody_minds
from lwm2m_server.coap.options import (
    ACCEPT,
    BLOCK1,
    BLOCK2,
    CONTENT_FORMAT,
    ETAG,
    LOCATION_PATH,
    OBSERVE,
    SIZE1,
    SIZE2,
    UINT_LENGTHS,
    URI_PATH,
    URI_QUERY,
    request_options,
)
from lwm2m_server.coap.sockets import SocketAddress, Source
from lwm2m_server.coap.transfer import Answer, Part
from lwm2m_server.coap.wire import Option

KNOWN = frozenset(
    (ETAG, OBSERVE, LOCATION_PATH, URI_PATH, CONTENT_FORMAT, URI_QUERY, ACCEPT, BLOCK2, BLOCK1, SIZE2, SIZE1)
)
"""Options that mean something here."""
MAX_STRING = 255
"""Bytes of an option that is not a number (RFC 7252, 5.10)."""
CACHED = 1024
"""Sets of options of which it is kept what they mean: most messages say the same."""
MAX_CACHED = 12
"""Options in such a set."""

TUNING = TransportTuning()
"""Never looked at: ``Timing`` goes to ``Exchanges``."""

_TYPES = tuple(Type)


class Address(tuple[Any, ...], interfaces.EndpointAddress):
    """A remote endpoint to aiocoap: what our socket calls its source.

    It is the socket's address, since aiocoap looks it up in tables several times a request.
    """

    scheme = "coap"
    is_multicast = False
    is_multicast_locally = False
    uri_base_local = "coap://localhost"

    source: Source

    def __new__(cls, source: Source) -> Address:
        address = super().__new__(cls, source.address)
        address.source = source
        return address

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


class Question(Message):
    """A request, or one part of it. ``acknowledged`` is called for an empty Acknowledgement."""

    def __init__(self, request: CoapRequest, source: Source, part: Part | None = None) -> None:
        super().__init__(code=request.code, transport_tuning=TUNING)
        self.mtype = Type.CON if request.confirmable else Type.NON
        self.remote = Address(source)
        self.acknowledged: Notice = nobody_minds
        self.payload = request.payload if part is None else part.payload
        if part is None or part.is_whole:
            self.opt, self._options = _asked(
                request.path, request.query, request.content_format, request.accept, request.observe
            )
        else:
            options = request_options(request) + part.options
            self.opt, self._options = _translate(options)[0], wire.encode_options(options)
        self._code, self._kind = request.code, wire.CON if request.confirmable else wire.NON

    def encode(self) -> bytes:
        return wire.assemble(self._kind, self._code, self.mid, self.token, self._options, self.payload)


class Response(Message):
    """A response as aiocoap takes it, with those of its options that are read here."""

    def __init__(self, arrived: wire.Message, source: Source) -> None:
        super().__init__(code=arrived.code, payload=arrived.payload, transport_tuning=TUNING)
        self.mtype, self.mid, self.token = _TYPES[arrived.type], arrived.mid, arrived.token
        self._code = arrived.code
        self.remote, self.direction = Address(source), Direction.INCOMING
        self.opt, self._meaning = _translated(arrived.options)

    def answer(self) -> Answer:
        """What it says, for the transfer it is part of."""
        content_format, location, observe, *rest = self._meaning
        return Answer(CoapReply(self._code, self.payload, content_format, location, observe), *rest)


def reason_of(exception: Exception | type[Exception]) -> str:
    """The word the engine knows a failed exchange by. aiocoap reports a Reset as a class."""
    kind = exception if isinstance(exception, type) else type(exception)
    if issubclass(kind, error.TimeoutError):
        return "timeout"
    if issubclass(kind, error.MessageError):
        return "reset"
    if issubclass(kind, (error.NetworkError, OSError)):
        return "unreachable"
    return "undecodable"


@lru_cache(maxsize=CACHED)
def _asked(
    path: tuple[str, ...],
    query: tuple[str, ...],
    content_format: int | None,
    accept: int | None,
    observe: int | None,
) -> tuple[Options, bytes]:
    """The options of a request as aiocoap has them, and as they are sent."""
    options = request_options(CoapRequest(0, path, query, b"", content_format, accept, observe))
    return _translate(options)[0], wire.encode_options(options)


def _translated(options: tuple[Option, ...]) -> tuple[Options, tuple[Any, ...]]:
    return (_cached if len(options) <= MAX_CACHED else _translate)(options)


def _translate(options: tuple[Option, ...]) -> tuple[Options, tuple[Any, ...]]:
    """As aiocoap has them, and the fields of a reply and an answer that follow from them.

    Messages with the same options share them: they are never changed.
    """
    opt = Options()
    for number, value in options:
        # aiocoap keeps every Content-Format number it ever saw: only those of legal length.
        if number in KNOWN and len(value) <= UINT_LENGTHS.get(number, MAX_STRING):
            opt.add_option(OptionNumber(number).create_option(decode=value))
    content_format = None if opt.content_format is None else int(opt.content_format)
    block1, block2 = (None if block is None else Block(*block) for block in (opt.block1, opt.block2))
    return opt, (
        content_format,
        opt.location_path,
        opt.observe,
        block1,
        block2,
        opt.etag,
        opt.size1,
        opt.size2,
    )


_cached = lru_cache(maxsize=CACHED)(_translate)
