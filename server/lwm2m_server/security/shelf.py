"""``SessionShelf``: DTLS sessions in sealed files, while the server is down."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import cbor2
import structlog

from lwm2m_engine.errors import SettingsError
from lwm2m_server.coap.dtls.suspension import Suspended
from lwm2m_server.security.identities import KnownIdentities
from lwm2m_server.security.vault import Vault

_log = structlog.get_logger(__name__)


class SessionShelf:
    """A file for each listener: written when the server stops, gone before anything in it is used.

    After a crash there is none, and devices shake hands anew: sequence numbers that may have been used
    must not be used again.
    """

    def __init__(self, folder: Path, vault: Vault, identities: KnownIdentities) -> None:
        self._folder, self._vault, self._identities = folder, vault, identities

    def keep(self, listener: str, sessions: Iterable[Suspended]) -> None:
        """Each with a digest of the credentials it was begun with."""
        rows = [(*session, self._digest(session.endpoint)) for session in sessions]
        file = self._file(listener)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(self._vault.seal(cbor2.dumps(rows), _about(listener)))
        _log.info("DTLS sessions kept for the next start", listener=listener, sessions=len(rows))

    def take(self, listener: str) -> tuple[Suspended, ...]:
        """Those whose credentials are still the same."""
        file = self._file(listener)
        try:
            sealed = file.read_bytes()
        except FileNotFoundError:
            return ()
        self._remove(file)
        try:
            rows = cbor2.loads(self._vault.open(sealed, _about(listener)))
        except SettingsError as error:
            _log.warning("DTLS sessions of the last run are lost", listener=listener, error=str(error))
            return ()
        kept = tuple(Suspended(*row) for *row, digest in rows if digest and digest == self._digest(row[0]))
        _log.info("DTLS sessions of the last run go on", listener=listener, sessions=len(kept))
        return kept

    def _remove(self, file: Path) -> None:
        """So that not even a power failure brings it back."""
        file.unlink()
        if sys.platform != "win32":  # there a directory cannot be opened
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _file(self, listener: str) -> Path:
        return self._folder / f"sessions.{listener}.sealed"

    def _digest(self, endpoint: str) -> bytes:
        known = self._identities.of_endpoint(endpoint)
        if known is None:
            return b""
        told = (known.mode, known.endpoint, known.identity, known.sealed)
        return hashlib.sha256(cbor2.dumps(told)).digest()


def _about(listener: str) -> bytes:
    return f"DTLS sessions of {listener}".encode()
