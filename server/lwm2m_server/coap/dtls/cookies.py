"""``Cookies``: who begins a handshake shows that datagrams to its address reach it (RFC 6347, 4.2.1).

Nothing is kept before that, and nothing bigger than the ClientHello is sent.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from lwm2m_server.coap.dtls.hello import DTLS_1_0, HELLO_VERIFY_REQUEST, ClientHello

LENGTH = 16
"""Bytes of a cookie: the number of its period, and a part of a MAC."""
PERIOD = 60.0
"""Seconds until a new key is used. The one before is still good."""


class Cookies:
    """Made of a secret of this process, time, the client's address, and what it asks for."""

    def __init__(self, secret: bytes | None = None) -> None:
        self._secret = secrets.token_bytes(32) if secret is None else secret

    def request(self, hello: ClientHello, address: object, now: float) -> bytes:
        """The HelloVerifyRequest for a ClientHello without a good cookie: one datagram."""
        cookie = self._cookie(hello, address, int(now // PERIOD))
        body = DTLS_1_0 + bytes((len(cookie),)) + cookie
        length = len(body).to_bytes(3, "big")
        message = bytes((HELLO_VERIFY_REQUEST,)) + length + bytes(5) + length + body
        return b"\x16" + DTLS_1_0 + hello.position + len(message).to_bytes(2, "big") + message

    def are_good(self, hello: ClientHello, address: object, now: float) -> bool:
        """Whether the ClientHello carries the cookie its sender was given at this address not long ago."""
        if len(hello.cookie) != LENGTH:
            return False
        period = int(now // PERIOD)
        if hello.cookie[0] == (period - 1) & 0xFF:
            period -= 1
        return hmac.compare_digest(hello.cookie, self._cookie(hello, address, period))

    def _cookie(self, hello: ClientHello, address: object, period: int) -> bytes:
        message = b"%d %b %b" % (period, repr(address).encode(), hello.parameters)
        return bytes((period & 0xFF,)) + hmac.digest(self._secret, message, hashlib.sha256)[: LENGTH - 1]
