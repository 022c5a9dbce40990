"""``Records``: established sessions of pyOpenSSL, without what it wraps around each call of the library.

That costs more than the cryptography of a short message. The names it takes are private to pyOpenSSL.
"""

from __future__ import annotations

from contextlib import suppress

from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL

ROOM = 65536
"""Bytes that may be read at once: more than a flight or a record has."""

_lib, _ffi = Binding.lib, Binding.ffi
_ROOM = _ffi.new("char[]", ROOM)
_READ = _ffi.buffer(_ROOM)
"""What was read last; nothing waits between reading and taking it."""


class Records:
    """From datagrams with one record to messages, and back."""

    __slots__ = ("_connection", "_in", "_out", "_ssl")

    def __init__(self, connection: SSL.Connection) -> None:
        self._connection = connection
        self._ssl, self._in, self._out = connection._ssl, connection._into_ssl, connection._from_ssl

    def open(self, datagram: bytes) -> bytes:
        """What is in it; empty if it is not authentic or was here before. Raises ``SSL.Error``."""
        _lib.BIO_write(self._in, datagram, len(datagram))
        length = _lib.SSL_read(self._ssl, _ROOM, ROOM)
        if length > 0:
            return bytes(_READ[:length])
        with suppress(SSL.WantReadError):
            self._connection._raise_ssl_error(self._ssl, length)
        return b""

    def seal(self, message: bytes) -> bytes:
        """A record; raises ``SSL.Error``."""
        length = _lib.SSL_write(self._ssl, message, len(message))
        if length <= 0:
            self._connection._raise_ssl_error(self._ssl, length)
        return bytes(_READ[: _lib.BIO_read(self._out, _ROOM, ROOM)])
