"""``Vault``: secrets sealed at rest with a key from a file (AES-256-GCM).

It protects copies of the ledger (backups, discs that were thrown away), as long as the key does not lie
beside them. It does not protect from who can read the running server's files or memory.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lwm2m_engine.errors import SettingsError

KEY_LENGTH = 32
_NONCE = 12
_SETTING = "credentials.key_file"


class Vault:
    """Seals and opens. Its key is in no text it can be made to print; thread-safe."""

    __slots__ = ("_cipher", "fingerprint", "place")

    def __init__(self, key: bytes, place: str = "") -> None:
        self._cipher = AESGCM(key)
        self.fingerprint = hashlib.blake2b(key, digest_size=8, person=b"lwm2m-vault").hexdigest()
        """Tells keys apart and says nothing about them."""
        self.place = place

    @classmethod
    def load(cls, file: Path) -> Vault:
        """Raises ``SettingsError`` for a file that holds no key or that others may read."""
        try:
            with file.open("rb") as opened:
                mode = os.fstat(opened.fileno()).st_mode
                text = opened.read(1024)
        except OSError as error:
            raise SettingsError(f"{_SETTING}: {file}: {error.strerror}") from error
        if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
            raise SettingsError(f"{_SETTING}: {file} can be read by others; 'chmod 600' it")
        try:
            key = base64.b64decode(text.strip(), validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_LENGTH:
            raise SettingsError(
                f"{_SETTING}: {file} is no key file; 'lwm2m credentials key {file}' makes one"
            )
        return cls(key, str(file))

    def seal(self, secret: bytes, about: bytes) -> bytes:
        """``about`` says what the secret belongs to; moved elsewhere it cannot be opened."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, secret, about)

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """Raises ``SettingsError`` for what was sealed with another key, or for something else."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], about)
        except (InvalidTag, ValueError) as error:
            raise SettingsError(
                f"{_SETTING}: a secret cannot be opened with the key {self.fingerprint} ({self.place})"
            ) from error


def make_key_file(file: Path) -> None:
    """A new key, readable by its owner only. Raises ``SettingsError``, also if there is such a file."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SettingsError(f"{file} exists; what is sealed with the key in it needs that key") from None
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(base64.b64encode(secrets.token_bytes(KEY_LENGTH)) + b"\n")
        opened.flush()
        os.fsync(opened.fileno())
