"""``Keys``: the keys that templates have made for each client, out of one that is kept."""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path

from lwm2m_engine.errors import SettingsError

LENGTH = 16
"""Bytes of a key for a client: as strong as AES-128, which the cipher suites of LwM2M use."""
_MASTER = 32


class Keys:
    """A key is HMAC-SHA256 of who it is for, so nothing is kept but the file that all are made from.

    The file is made where it is missing, readable by its owner only. Raises ``SettingsError``.
    """

    def __init__(self, file: Path) -> None:
        try:
            self._master = _read(file) if file.exists() else _make(file)
        except OSError as error:
            raise SettingsError(f"{file}: {error.strerror}") from error
        if len(self._master) != _MASTER:
            raise SettingsError(f"{file}: {_MASTER} bytes are due, not {len(self._master)}")

    def key(self, endpoint: str, name: str) -> bytes:
        """The same for as long as the file is."""
        # The length makes one text of two that nothing else is.
        text = f"{len(endpoint)}:{endpoint}{name}"
        return hmac.digest(self._master, text.encode("utf-8", "surrogatepass"), "sha256")[:LENGTH]


def _read(file: Path) -> bytes:
    return file.read_bytes()


def _make(file: Path) -> bytes:
    master = secrets.token_bytes(_MASTER)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as opened:
        opened.write(master)
        opened.flush()
        os.fsync(opened.fileno())
    return master
