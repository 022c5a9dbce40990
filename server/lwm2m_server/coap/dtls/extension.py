"""``ConnectionIds``: the extension ``connection_id`` (RFC 9146, 3) for OpenSSL, which does not have it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import attrs
from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL

from lwm2m_engine.errors import SettingsError

CONNECTION_ID = 54
DECODE_ERROR = 50

C: TypeAlias = Any
"""What cffi gives has no types."""

_lib, _ffi = Binding.lib, Binding.ffi
_PARSE = "int(SSL *, unsigned int, const unsigned char *, size_t, int *, void *)"
_ADD = "int(SSL *, unsigned int, const unsigned char **, size_t *, int *, void *)"
_FREE = "void(SSL *, unsigned int, const unsigned char *, void *)"


@attrs.define
class Offer:
    """What one handshake makes of the extension."""

    cid: bytes
    """The Connection ID the client is given if it asks; empty: none."""
    peer_cid: bytes | None = None
    """What the client wants in records to it; ``None`` if it did not ask for Connection IDs."""
    is_given: bool = False
    """The ServerHello said so: from the first protected record on, both sides have to keep to it."""
    extension: C = attrs.field(default=None, repr=False)


class ConnectionIds:
    """For all handshakes of one engine: OpenSSL calls back while it works on one of them."""

    def __init__(self) -> None:
        self._current: Offer | None = None
        self._parse = _ffi.callback(_PARSE, self._asked)
        self._add = _ffi.callback(_ADD, self._answer)
        self._free = _ffi.callback(_FREE, lambda *_: None)

    def attach(self, context: SSL.Context) -> None:
        """To a context that this object has to outlive; raises ``SettingsError`` where it cannot be."""
        none = _ffi.NULL
        done = _lib.SSL_CTX_add_server_custom_ext(
            context._context, CONNECTION_ID, self._add, self._free, none, self._parse, none
        )
        if done != 1:
            raise SettingsError("dtls: this OpenSSL does not let Connection IDs be added")

    @contextmanager
    def negotiating(self, offer: Offer) -> Iterator[None]:
        """Whatever OpenSSL does meanwhile is about this offer."""
        self._current = offer
        try:
            yield
        finally:
            self._current = None

    def _asked(self, _ssl: C, _kind: int, data: C, size: int, alert: C, _argument: C) -> int:
        """The client's extension: 1 if it can be used."""
        said = bytes(_ffi.buffer(data, size)) if size else b""
        if not said or said[0] != len(said) - 1:
            alert[0] = DECODE_ERROR
            return 0
        if self._current is not None:
            self._current.peer_cid = said[1:]
        return 1

    def _answer(self, _ssl: C, _kind: int, out: C, size: C, _alert: C, _argument: C) -> int:
        """The server's extension: 1 if there is to be one."""
        offer = self._current
        if offer is None or offer.peer_cid is None or not offer.cid:
            return 0
        offer.extension = _ffi.new("unsigned char[]", bytes((len(offer.cid),)) + offer.cid)
        out[0], size[0] = offer.extension, 1 + len(offer.cid)
        offer.is_given = True
        return 1
