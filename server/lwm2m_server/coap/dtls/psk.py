"""Pre-shared keys for pyOpenSSL, which has none (RFC 4279).

They are reached through private parts of cryptography, which any release may take away: ``problem`` tries
them out, and what it finds is said before the first device meets it.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL

SERVER_CALLBACK = "unsigned int(SSL *, const char *, unsigned char *, unsigned int)"
CLIENT_CALLBACK = "unsigned int(SSL *, const char *, char *, unsigned int, unsigned char *, unsigned int)"
DTLS_1_2 = 0xFEFD
SUITES = b"TLS_PSK_WITH_AES_128_CCM_8:@SECLEVEL=0"
"""A tag of 8 bytes counts as 64 bits of security, less than OpenSSL allows by default."""
REMEDY = "install the versions of pyOpenSSL and cryptography that lwm2m-engine[server] asks for"

_lib, _ffi = Binding.lib, Binding.ffi


def answer(context: SSL.Context, key_of: Callable[[bytes], bytes | None]) -> None:
    """Let a server's handshakes ask for the key of an identity; ``None`` refuses it (alert 115)."""

    def psk_of(_ssl: object, identity: object, key: object, room: int) -> int:
        found = None if identity == _ffi.NULL else key_of(_ffi.string(identity))
        if found is None or len(found) > room:
            return 0
        _ffi.memmove(key, found, len(found))
        return len(found)

    callback = _ffi.callback(SERVER_CALLBACK, psk_of)
    _lib.SSL_CTX_set_psk_server_callback(context._context, callback)
    # It has to live as long as the context.
    context.set_app_data(callback)


def offer(context: SSL.Context, identity: bytes, key: bytes) -> None:
    """Let a client's handshakes use this key."""

    def psk(_ssl: object, _hint: object, name: object, name_room: int, secret: object, room: int) -> int:
        if len(identity) >= name_room or len(key) > room:
            return 0
        _ffi.memmove(name, identity + b"\0", len(identity) + 1)
        _ffi.memmove(secret, key, len(key))
        return len(key)

    callback = _ffi.callback(CLIENT_CALLBACK, psk)
    _lib.SSL_CTX_set_psk_client_callback(context._context, callback)
    context.set_app_data(callback)


def problem() -> str | None:
    """Why pre-shared keys cannot be used with the libraries installed here, and what to do about it."""
    try:
        is_done = _shake_hands()
    except (AttributeError, TypeError, SSL.Error) as error:
        return f"this cryptography has no pre-shared keys for DTLS ({error!r}); {REMEDY}"
    return None if is_done else f"a handshake with a pre-shared key did not come to its end; {REMEDY}"


def _shake_hands() -> bool:
    identity, key = b"self-test", bytes(range(16))
    contexts = SSL.Context(SSL.DTLS_SERVER_METHOD), SSL.Context(SSL.DTLS_CLIENT_METHOD)
    for context in contexts:
        context.set_min_proto_version(DTLS_1_2)
        context.set_cipher_list(SUITES)
    answer(contexts[0], {identity: key}.get)
    offer(contexts[1], identity, key)
    server, client = (SSL.Connection(context, None) for context in contexts)
    server.set_accept_state()
    client.set_connect_state()
    done = [_goes_on(turn, other) for _ in range(4) for turn, other in ((client, server), (server, client))]
    return done[-2:] == [True, True]


def _goes_on(one: SSL.Connection, other: SSL.Connection) -> bool:
    """Let one side do what it can, and hand what it says to the other; true when its handshake is done."""
    try:
        one.do_handshake()
        done = True
    except SSL.WantReadError:
        done = False
    try:
        other.bio_write(one.bio_read(65536))
    except SSL.WantReadError:
        # It had nothing to say.
        return done
    return done
