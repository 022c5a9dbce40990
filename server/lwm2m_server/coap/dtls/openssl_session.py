"""``OpensslSession``: one association, in a ``Connection`` of pyOpenSSL that reads and writes memory."""

from __future__ import annotations

from typing import Protocol

from OpenSSL import SSL

from lwm2m_server.coap.dtls.engine import NOTHING, SessionOver, Traffic, Turn
from lwm2m_server.coap.dtls.flights import HEAD, cut, packed
from lwm2m_server.coap.dtls.identities import Secret
from lwm2m_server.coap.dtls.openssl_records import ROOM, Records
from lwm2m_server.coap.dtls.records import APPLICATION_DATA
from lwm2m_server.coap.dtls.suites import SUITES, KeyBlock, key_block

NUMBERS = {
    "PSK-AES128-CCM8": 0xC0A8,
    "PSK-AES128-GCM-SHA256": 0x00A8,
    "ECDHE-ECDSA-AES128-CCM8": 0xC0AE,
    "ECDHE-ECDSA-AES128-GCM-SHA256": 0xC02B,
}
"""What OpenSSL calls the suites whose sessions can go on without it, and their numbers at IANA."""
POSITION = slice(3, 11)
"""Epoch and sequence number in a record."""
FINISHED = bytes((0, 1, 0, 0, 0, 0, 0, 0))
"""The position of the client's Finished, the first record with the new keys."""


class Shaker(Protocol):
    """Who goes on with a handshake."""

    def shake(self, session: OpensslSession) -> str | None: ...


class OpensslSession:
    """See ``Session``."""

    __slots__ = (
        "_is_listening",
        "_mtu",
        "_newest",
        "_records",
        "_sent",
        "_shaker",
        "connection",
        "deadline",
        "endpoint",
        "offered",
        "over",
        "refusal",
    )

    cid = b""

    def __init__(self, shaker: Shaker, connection: SSL.Connection, mtu: int) -> None:
        self._shaker, self.connection, self._mtu = shaker, connection, mtu
        self._records = Records(connection)
        self.endpoint: str | None = None
        self.over: str | None = None
        self.deadline: float | None = None
        self.offered: tuple[bytes, Secret] | None = None
        """The PSK identity the client named, and its secret."""
        self.refusal: str | None = None
        """Why the client was not let in, if that is not for OpenSSL to say."""
        self._is_listening = True
        self._sent, self._newest = b"", FINISHED
        """The last record sent, and the position of the newest received."""

    def receive(self, datagram: bytes, now: float) -> Turn:
        if self.over is not None:
            return NOTHING
        if self.endpoint is not None and datagram[0] == APPLICATION_DATA and _is_one_record(datagram):
            # What nearly always comes: nothing is to be sent because of it.
            return Turn((), self._read_one(datagram))
        self.connection.bio_write(datagram)
        if self.endpoint is None:
            messages = self._read() if self._shake(datagram) else ()
            self._arm(now)
        else:
            messages = self._read()
        return Turn(self._flight(), messages)

    def elapse(self, now: float) -> Turn:
        try:
            self.connection.DTLSv1_handle_timeout()
        except SSL.Error as problem:
            self.over = reason_of(problem)
        self._arm(now)
        return Turn(self._flight())

    def seal(self, message: bytes) -> bytes:
        if self.endpoint is None or self.over is not None:
            raise SessionOver(self.over or "the handshake is not complete")
        try:
            self._sent = self._records.seal(message)
        except SSL.Error as problem:
            raise SessionOver(reason_of(problem)) from problem
        return self._sent

    def close(self) -> Turn:
        if self.over is None:
            self._end("closed")
        return Turn(self._flight())

    def traffic(self) -> Traffic | None:
        found = None if self.endpoint is None or self.over is not None else self.keys()
        if found is None:
            return None
        return Traffic(*found, _number(self._sent[POSITION]) + 1, _number(self._newest))

    @property
    def suite(self) -> int | None:
        """The suite agreed on; ``None`` before, or if it is none of ``suites.SUITES``."""
        return NUMBERS.get(self.connection.get_cipher_name() or "")

    def keys(self) -> tuple[int, KeyBlock] | None:
        """The suite and its keys, from the client's part of the key exchange on; ``None`` before, or
        without a ``suite``."""
        connection, number = self.connection, self.suite
        if number is None:
            return None
        try:
            secrets = connection.master_key(), connection.client_random(), connection.server_random()
        except SSL.Error:
            # There is no master secret yet.
            return None
        return number, key_block(SUITES[number], *(secret or b"" for secret in secrets))

    # --- handshake ---

    def _shake(self, datagram: bytes) -> bool:
        """Go on with the handshake; true when it is complete."""
        try:
            if self._is_listening:
                # It looks for the cookie only. What was looked at is gone, so the handshake gets it again.
                self.connection.DTLSv1_listen()
                self.connection.bio_write(datagram)
                self._is_listening = False
            self.endpoint = self._shaker.shake(self)
            if self.endpoint is None:
                self._end("an identity that is not known any more")
        except SSL.WantReadError:
            if self._is_listening:
                self.over = "no ClientHello"
        except SSL.Error as problem:
            self.over = self.refusal or reason_of(problem)
        return self.endpoint is not None

    def _arm(self, now: float) -> None:
        left = None if self.over is not None else self.connection.DTLSv1_get_timeout()
        self.deadline = None if left is None else now + left

    # --- records ---

    def _read_one(self, datagram: bytes) -> tuple[bytes, ...]:
        try:
            message = self._records.open(datagram)
        except SSL.Error as problem:
            self.over = reason_of(problem)
            return ()
        if not message:
            return ()
        self._newest = max(self._newest, datagram[POSITION])
        return (message,)

    def _read(self) -> tuple[bytes, ...]:
        messages = []
        try:
            while True:
                messages.append(self.connection.recv(ROOM))
        except SSL.WantReadError:
            return tuple(messages)
        except SSL.ZeroReturnError:
            self._end("closed by the device")
        except SSL.Error as problem:
            self.over = reason_of(problem)
        return tuple(messages)

    def _end(self, reason: str) -> None:
        """With a close_notify, after which the session may be resumed."""
        self.over = reason
        try:
            self.connection.shutdown()
        except SSL.Error:
            # The handshake is under way: there is no alert for that here.
            return

    def _flight(self) -> tuple[bytes, ...]:
        try:
            records = cut(self.connection.bio_read(ROOM))
        except SSL.WantReadError:
            return ()
        self._sent = records[-1]
        return packed(records, self._mtu)


def _is_one_record(datagram: bytes) -> bool:
    return len(datagram) == HEAD + int.from_bytes(datagram[11:HEAD], "big")


def _number(position: bytes) -> int:
    return int.from_bytes(position, "big")


def reason_of(problem: SSL.Error) -> str:
    """What OpenSSL says, for people."""
    # A ``SysCallError`` has a number and a text instead.
    errors = problem.args[0] if problem.args else None
    return str(errors[-1][-1]) if isinstance(errors, list) and errors else "an error of OpenSSL"
