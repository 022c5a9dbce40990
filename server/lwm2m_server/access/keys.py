"""``SigningKeys``: what tokens are signed with (ES256). One file, readable by its owner only."""

from __future__ import annotations

import os
import secrets
import stat
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import attrs
import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from lwm2m_engine.errors import SettingsError
from lwm2m_server.store.jsonfile import replace

FILE: Final = "token.keys"
"""In the data folder."""
AGE: Final = 30 * 24 * 3600.0
"""Seconds after which a new key takes the place of the one that signs."""


@attrs.frozen(slots=True)
class SigningKey:
    """``made`` is in seconds since 1970-01-01 UTC."""

    id: str
    made: float
    private: ec.EllipticCurvePrivateKey = attrs.field(repr=False)

    @classmethod
    def make(cls, now: float) -> SigningKey:
        return cls(secrets.token_hex(8), now, ec.generate_private_key(ec.SECP256R1()))


class SigningKeys:
    """The newest signs. Those before it are good for checking as long as a token may live."""

    def __init__(self, file: Path, lifetime: float) -> None:
        """``lifetime`` of tokens, in seconds. Raises ``SettingsError`` for a file that cannot be used."""
        self._file, self._lifetime = file, lifetime
        self._keys = _load(file)
        self._public = _public(self._keys)
        if not self._keys:
            self.rotate()

    def signing(self) -> SigningKey:
        """The key to sign with; a new one when the time has come. Writes a file then."""
        newest = self._keys[-1]
        return newest if time.time() - newest.made < AGE else self.rotate()

    def public(self, id: str) -> ec.EllipticCurvePublicKey | None:
        return self._public.get(id)

    def rotate(self, *, at_once: bool = False) -> SigningKey:
        """Sign with a new key from now on. ``at_once``: tokens signed with those before are good no more.

        Raises ``SettingsError`` if it cannot be kept.
        """
        now = time.time()
        # A key was signed with until the next one was made.
        former = [key for key, later in pairwise(self._keys) if now - later.made < self._lifetime]
        former = [] if at_once else [*former, *self._keys[-1:]]
        keys = (*former, SigningKey.make(now))
        try:
            replace(self._file, {"keys": {key.id: _document(key) for key in keys}})
        except OSError as error:
            raise SettingsError(f"{self._file}: {error.strerror}") from error
        self._keys, self._public = keys, _public(keys)
        return keys[-1]


def _public(keys: tuple[SigningKey, ...]) -> dict[str, ec.EllipticCurvePublicKey]:
    return {key.id: key.private.public_key() for key in keys}


def _document(key: SigningKey) -> dict[str, Any]:
    pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"made": key.made, "private": pem.decode("ascii")}


def _load(file: Path) -> tuple[SigningKey, ...]:
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            text = opened.read()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise SettingsError(f"{file} can be read by others; 'chmod 600' it")
    try:
        keys = [_key(id, document) for id, document in orjson.loads(text)["keys"].items()]
    except (ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm) as error:
        raise SettingsError(f"{file} holds no keys that tokens were signed with; remove it") from error
    return tuple(sorted(keys, key=lambda key: key.made))


def _key(id: str, document: dict[str, Any]) -> SigningKey:
    private = load_pem_private_key(document["private"].encode(), None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise TypeError(id)
    return SigningKey(id, float(document["made"]), private)
