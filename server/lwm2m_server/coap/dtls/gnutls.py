"""``GnutlsEngine``: DTLS by the system's GnuTLS, which knows Raw Public Keys (RFC 7250)."""

from __future__ import annotations

from pathlib import Path

from lwm2m_engine.errors import SettingsError
from lwm2m_server.coap.dtls.certificates import Certificates
from lwm2m_server.coap.dtls.engine import NOTHING, SessionOver, Traffic, Turn
from lwm2m_server.coap.dtls.flights import packed
from lwm2m_server.coap.dtls.gnutls_credentials import Credentials
from lwm2m_server.coap.dtls.gnutls_library import C, LibraryMissing, check, ffi, library, text, version
from lwm2m_server.coap.dtls.gnutls_wire import HAS_ARRIVED, NOBODY, PULL, PUSH, Refusal, Wire
from lwm2m_server.coap.dtls.identities import Identities
from lwm2m_server.coap.dtls.records import LARGEST_CONTENT
from lwm2m_server.coap.dtls.renewal import Renewed
from lwm2m_server.coap.dtls.suites import SALT, KeyBlock

NUMBERS = {"AES-128-CCM-8": 0xC0A8, "AES-128-CCM": 0xC0A4, "AES-128-GCM": 0x00A8}
"""Ciphers whose sessions can go on without the library, and a suite of each: after the handshake it does
not matter how keys were exchanged."""

# From gnutls.h: an ABI has no names for numbers.
SERVER, DATAGRAM, NONBLOCK, NO_TICKETS, ENABLE_RAWPK = 1 << 0, 1 << 2, 1 << 3, 1 << 10, 1 << 18
AGAIN, INTERRUPTED, REHANDSHAKE, TIMED_OUT, GOT_FATAL, GOT_WARNING = -28, -52, -37, -319, -12, -16
WRITING = 1
WARNING, FATAL = 1, 2
USER_CANCELED, NO_RENEGOTIATION = 90, 100

AGAIN_AFTER = 1000
"""Milliseconds until a flight is sent again for the first time (RFC 6347, 4.2.4.1)."""
GIVE_UP_AFTER = 60_000
SOONEST = 0.01
"""Seconds: the library counts in milliseconds, and rounds down."""


class GnutlsEngine:
    """Credentials of the server, shared by all handshakes."""

    def __init__(
        self,
        identities: Identities,
        *,
        mtu: int,
        certificates: Certificates | None = None,
        raw_key: Path | None = None,
    ) -> None:
        """``raw_key`` is a private key in PEM, whose public key devices know; Raw Public Keys are used
        only with it, and with clients that ask for them. ``mtu`` is what a datagram may hold.

        Raises ``SettingsError`` if the library or a file cannot be used.
        """
        try:
            self._library = library()
        except LibraryMissing as error:
            raise SettingsError(f"dtls: {error}") from error
        self.identities, self.mtu = identities, mtu
        self._raw_key = raw_key
        files = certificates.files if certificates is not None else ()
        self._renewed = Renewed((*files, raw_key), lambda: Credentials.load(certificates, raw_key))
        self.credentials = self._renewed()
        self.room = ffi.new("unsigned char[]", LARGEST_CONTENT)

    @property
    def name(self) -> str:
        return f"GnuTLS {version(self._library)}"

    def accept(self, cid: bytes = b"") -> GnutlsSession:
        """``cid`` is not used: GnuTLS does not know RFC 9146."""
        return GnutlsSession(self)

    def open(self, handle: C) -> C:
        """A new session of the library, on a handle of its wire."""
        session = ffi.new("session_t *")
        flags = SERVER | DATAGRAM | NONBLOCK | NO_TICKETS | (ENABLE_RAWPK if self._raw_key else 0)
        check(self._library.gnutls_init(session, flags))
        opened = ffi.gc(session[0], self._library.gnutls_deinit)
        self.credentials = self._renewed()
        self.credentials.use(opened)
        self._library.gnutls_session_set_ptr(opened, handle)
        self._library.gnutls_transport_set_ptr(opened, handle)
        self._library.gnutls_transport_set_push_function(opened, PUSH)
        self._library.gnutls_transport_set_pull_function(opened, PULL)
        self._library.gnutls_transport_set_pull_timeout_function(opened, HAS_ARRIVED)
        self._library.gnutls_dtls_set_timeouts(opened, AGAIN_AFTER, GIVE_UP_AFTER)
        self._library.gnutls_dtls_set_mtu(opened, self.mtu)
        return opened


class GnutlsSession:
    """One client of a ``GnutlsEngine``. See ``Session``."""

    __slots__ = (
        "_credentials", "_engine", "_handle", "_is_established", "_library", "_session", "_wire",
        "deadline", "over",
    )  # fmt: skip

    cid = b""

    def __init__(self, engine: GnutlsEngine) -> None:
        self._engine = engine
        self._library = library()
        self._wire = Wire(engine.identities)
        self._handle = ffi.new_handle(self._wire)
        self._session: C = None
        self._is_established = False
        self.over: str | None = None
        self.deadline: float | None = None

    @property
    def endpoint(self) -> str | None:
        return self._wire.endpoint if self._is_established else None

    def receive(self, datagram: bytes, now: float) -> Turn:
        if self.over is not None:
            return NOTHING
        if self._session is None:
            self._begin(datagram)
        self._wire.arrived = datagram
        if not self._is_established:
            self._shake(now)
        messages = self._messages() if self._is_established else ()
        return Turn(self._left(), messages)

    def elapse(self, now: float) -> Turn:
        if self.over is not None or self._is_established or self._session is None:
            return NOTHING
        self._shake(now)
        return Turn(self._left())

    def seal(self, message: bytes) -> bytes:
        if self.over is not None or not self._is_established:
            raise SessionOver(self.over or "the handshake is not complete")
        sent = self._library.gnutls_record_send(self._session, message, len(message))
        if sent != len(message):
            raise SessionOver(text(sent) if sent < 0 else "it does not fit into a record")
        return b"".join(self._left())

    def close(self) -> Turn:
        if self.over is None and self._session is not None:
            if not self._is_established:
                self._library.gnutls_alert_send(self._session, WARNING, USER_CANCELED)
            self._library.gnutls_bye(self._session, WRITING)
            self._end("closed")
        return Turn(self._left())

    def traffic(self) -> Traffic | None:
        if not self._is_established or self.over is not None:
            return None
        cipher: bytes = ffi.string(
            self._library.gnutls_cipher_get_name(self._library.gnutls_cipher_get(self._session))
        )
        suite = NUMBERS.get(cipher.decode())
        if suite is None:
            return None
        client_key, client_salt, expected = self._state(reading=1)
        server_key, server_salt, position = self._state(reading=0)
        keys = KeyBlock(client_key, server_key, client_salt, server_salt)
        return Traffic(suite, keys, position, expected - 1)

    # --- the library ---

    def _begin(self, hello: bytes) -> None:
        """Go on from the HelloVerifyRequest that somebody else sent: after the record number of the
        ClientHello that answered it, and the number of the handshake message."""
        self._session = self._engine.open(self._handle)
        # The library only points to them, and the engine may get others.
        self._credentials = self._engine.credentials
        state = ffi.new("gnutls_dtls_prestate_st *", (hello[10], hello[18], 0))
        self._library.gnutls_dtls_prestate_set(self._session, state)

    def _shake(self, now: float) -> None:
        while True:
            code = self._library.gnutls_handshake(self._session)
            if code == 0:
                self._establish()
                return
            if code in (AGAIN, INTERRUPTED) and self._wire.arrived is None:
                wait = self._library.gnutls_dtls_get_timeout(self._session) / 1000
                self.deadline = now + max(wait, SOONEST)
                return
            if code not in (AGAIN, INTERRUPTED, GOT_WARNING):
                self._fail(code)
                return

    def _establish(self) -> None:
        if self._wire.endpoint is None:
            self._refuse(NOBODY)
            return
        self._is_established = True
        self.deadline = None
        # Its own limit is for handshakes, which it splits; records of messages are as long as these.
        self._library.gnutls_dtls_set_mtu(self._session, LARGEST_CONTENT)

    def _messages(self) -> tuple[bytes, ...]:
        messages, room = [], self._engine.room
        while True:
            size = self._library.gnutls_record_recv(self._session, room, LARGEST_CONTENT)
            if size > 0:
                messages.append(bytes(ffi.buffer(room, size)))
            elif size == 0:
                self._library.gnutls_bye(self._session, WRITING)
                self._end("closed by the client")
                break
            elif size == REHANDSHAKE:
                self._library.gnutls_alert_send(self._session, WARNING, NO_RENEGOTIATION)
            elif size in (AGAIN, INTERRUPTED):
                break
            elif size != GOT_WARNING:
                self._fail(size)
                break
        return tuple(messages)

    def _fail(self, code: int) -> None:
        if code in (GOT_FATAL, TIMED_OUT):
            self._end(text(code))
            return
        alert = self._library.gnutls_error_to_alert(code, ffi.new("int *"))
        self._refuse(self._wire.refusal or Refusal(alert, text(code)))

    def _refuse(self, refusal: Refusal) -> None:
        self._library.gnutls_alert_send(self._session, FATAL, refusal.alert)
        self._end(refusal.reason)

    def _end(self, why: str) -> None:
        self.over, self.deadline = why, None

    def _left(self) -> tuple[bytes, ...]:
        left, self._wire.leaving = self._wire.leaving, []
        return packed(left, self._engine.mtu)

    def _state(self, *, reading: int) -> tuple[bytes, bytes, int]:
        """Key, implicit part of the nonce, and position, of one direction."""
        salt, key = ffi.new("gnutls_datum_t *"), ffi.new("gnutls_datum_t *")
        position = ffi.new("unsigned char[8]")
        check(self._library.gnutls_record_get_state(self._session, reading, ffi.NULL, salt, key, position))
        return (
            bytes(ffi.buffer(key.data, key.size)),
            bytes(ffi.buffer(salt.data, SALT)),
            int.from_bytes(bytes(position), "big"),
        )
