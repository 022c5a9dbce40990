"""Hashes of client secrets: scrypt (RFC 7914), with its parameters and salt beside it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

COST, BLOCK_SIZE, PARALLEL = 2**14, 8, 1
"""16 MB and some 40 ms."""
_LENGTH: Final = 32
_LIMIT: Final = 64 * 1024 * 1024


def hash_secret(secret: str) -> str:
    """``scrypt$<n>$<r>$<p>$<salt>$<hash>``. Takes its time: not for the event loop."""
    salt = secrets.token_bytes(16)
    derived = _derive(secret, salt, COST, BLOCK_SIZE, PARALLEL)
    parts = ("scrypt", COST, BLOCK_SIZE, PARALLEL, _text(salt), _text(derived))
    return "$".join(map(str, parts))


def is_secret(secret: str, hashed: str) -> bool:
    """In constant time. Takes as long as ``hash_secret``."""
    _, n, r, p, salt, expected = hashed.split("$")
    derived = _derive(secret, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(derived, base64.b64decode(expected))


def _derive(secret: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(
        secret.encode("utf-8", "surrogateescape"), salt=salt, n=n, r=r, p=p, maxmem=_LIMIT, dklen=_LENGTH
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
