"""``Nonces``: the numbers R2 of RFC 8613, Appendix B.2."""

from __future__ import annotations

import hmac
import secrets
from typing import Final

NONCE: Final = 8
"""Bytes of R3, and of each half of R2."""


class Nonces:
    """The numbers R2 that a server has sent, known again without being kept: each ends in a code of its
    beginning, whose key is forgotten with the run that comes to its end."""

    def __init__(self) -> None:
        self._keys: dict[str, bytes] = {}

    def new(self, endpoint: str) -> bytes:
        key = self._keys.setdefault(endpoint, secrets.token_bytes(32))
        return _coded(key, secrets.token_bytes(NONCE))

    def begin(self, endpoint: str, id_context: bytes) -> bool:
        """Whether one of them begins this ID Context, and a number of the device follows."""
        key, nonce = self._keys.get(endpoint), id_context[: 2 * NONCE]
        return (
            key is not None
            and len(id_context) > len(nonce)
            and hmac.compare_digest(_coded(key, nonce[:NONCE]), nonce)
        )

    def forget(self, endpoint: str) -> None:
        self._keys.pop(endpoint, None)


def _coded(key: bytes, beginning: bytes) -> bytes:
    return beginning + hmac.digest(key, beginning, "sha256")[:NONCE]
