"""What GnuTLS calls back for: datagrams both ways, keys, and whether a client is known."""

from __future__ import annotations

import errno
from typing import NamedTuple

from lwm2m_server.coap.dtls.gnutls_library import C, ffi, library
from lwm2m_server.coap.dtls.identities import Identities

PEERS, RAWPK = 3, 3
NOT_FROM_AUTHORITY = 1 << 1 | 1 << 6 | 1 << 7
"""All that may be wrong with a certificate known by itself: invalid, as nobody who may has signed it."""


class Refusal(NamedTuple):
    """Why a client is not let in."""

    alert: int
    """RFC 5246, 7.2; RFC 4279, 2."""
    reason: str


UNKNOWN_IDENTITY = Refusal(115, "nobody's PSK identity")
BAD_CERTIFICATE = Refusal(42, "a certificate that the trust store does not vouch for, or not now")
NOBODY = Refusal(46, "nobody's certificate or key")


class Wire:
    """What the library's callbacks reach of a session: datagrams both ways, and who it may be."""

    __slots__ = ("arrived", "endpoint", "identities", "leaving", "refusal")

    def __init__(self, identities: Identities) -> None:
        self.identities = identities
        self.arrived: bytes | None = None
        self.leaving: list[bytes] = []
        self.endpoint: str | None = None
        self.refusal: Refusal | None = None
        """Set where the library would not find the right words itself."""


def _push(handle: C, data: C, size: int) -> int:
    ffi.from_handle(handle).leaving.append(bytes(ffi.buffer(data, size)))
    return size


def _pull(handle: C, room: C, size: int) -> int:
    wire = ffi.from_handle(handle)
    data: bytes | None = wire.arrived
    wire.arrived = None
    if data is None:
        ffi.errno = errno.EAGAIN
        return -1
    ffi.memmove(room, data, min(size, len(data)))
    return min(size, len(data))


def _has_arrived(handle: C, _milliseconds: int) -> int:
    return int(ffi.from_handle(handle).arrived is not None)


def _find_key(session: C, identity: C, key: C) -> int:
    wire = ffi.from_handle(library().gnutls_session_get_ptr(session))
    secret = wire.identities.psk(bytes(ffi.buffer(identity.data, identity.size)))
    if secret is None:
        wire.refusal = UNKNOWN_IDENTITY
        return -1
    # The library frees it.
    key.data = ffi.cast("unsigned char *", library().gnutls_malloc(len(secret.key)))
    key.size = len(secret.key)
    ffi.memmove(key.data, secret.key, len(secret.key))
    wire.endpoint = secret.endpoint
    return 0


def _verify(session: C) -> int:
    """Negative unless the client's certificate or key is that of a device."""
    wire = ffi.from_handle(library().gnutls_session_get_ptr(session))
    count = ffi.new("unsigned int *")
    peers = library().gnutls_certificate_get_peers(session, count)
    if not count[0]:
        return -1
    data = bytes(ffi.buffer(peers[0].data, peers[0].size))
    if library().gnutls_certificate_type_get2(session, PEERS) == RAWPK:
        wire.endpoint = wire.identities.raw_public_key(data)
    else:
        status = ffi.new("unsigned int *")
        if library().gnutls_certificate_verify_peers2(session, status) < 0 or status[0] & ~NOT_FROM_AUTHORITY:
            wire.refusal = BAD_CERTIFICATE
            return -1
        identities = wire.identities
        wire.endpoint = identities.pinned(data) if status[0] else identities.certificate(data)
    if wire.endpoint is None:
        wire.refusal = NOBODY
        return -1
    return 0


# The library keeps pointers to them: they live as long as this module.
PUSH = ffi.callback("ssize_t(void *, const void *, size_t)", _push)
PULL = ffi.callback("ssize_t(void *, void *, size_t)", _pull, error=-1)
HAS_ARRIVED = ffi.callback("int(void *, unsigned int)", _has_arrived)
FIND_KEY = ffi.callback("int(void *, const gnutls_datum_t *, gnutls_datum_t *)", _find_key, error=-1)
VERIFY = ffi.callback("int(void *)", _verify, error=-1)
