"""AEAD cipher suites of DTLS 1.2, and keys from a handshake's secrets (RFC 5246, 5 and 6.3)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import attrs
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM

SALT = 4
"""Bytes of the implicit part of a nonce (RFC 5288, 3; RFC 6655, 3)."""

Aead: TypeAlias = AESCCM | AESGCM


@attrs.frozen
class Suite:
    """What an AEAD suite makes of a record; who exchanged keys how does not matter afterwards."""

    tag: int
    """Bytes by which a record's content grows, beside the explicit nonce."""
    aead: Callable[[bytes], Aead]
    key: int = 16


_CCM_8 = Suite(8, lambda key: AESCCM(key, tag_length=8))
_CCM = Suite(16, AESCCM)
_GCM = Suite(16, AESGCM)

SUITES = {
    0x00A8: _GCM,  # TLS_PSK_WITH_AES_128_GCM_SHA256
    0xC0A4: _CCM,  # TLS_PSK_WITH_AES_128_CCM
    0xC0A8: _CCM_8,  # TLS_PSK_WITH_AES_128_CCM_8
    0xC02B: _GCM,  # TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
    0xC0AC: _CCM,  # TLS_ECDHE_ECDSA_WITH_AES_128_CCM
    0xC0AE: _CCM_8,  # TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8
    0xC02F: _GCM,  # TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
}
"""By their numbers in the IANA registry. All of them use SHA-256 in the pseudorandom function."""


class KeyBlock(NamedTuple):
    """Keys and implicit nonce parts of both directions."""

    client_key: bytes
    server_key: bytes
    client_salt: bytes
    server_salt: bytes


def key_block(suite: Suite, master_secret: bytes, client_random: bytes, server_random: bytes) -> KeyBlock:
    """RFC 5246, 6.3. AEAD suites have no MAC keys."""
    seed = b"key expansion" + server_random + client_random
    block = _expand(master_secret, seed, 2 * (suite.key + SALT))
    ends = (suite.key, 2 * suite.key, 2 * suite.key + SALT)
    return KeyBlock(block[: ends[0]], block[ends[0] : ends[1]], block[ends[1] : ends[2]], block[ends[2] :])


def _expand(secret: bytes, seed: bytes, length: int) -> bytes:
    """``P_SHA256`` (RFC 5246, 5)."""
    out, link = b"", seed
    while len(out) < length:
        link = hmac.digest(secret, link, hashlib.sha256)
        out += hmac.digest(secret, link + seed, hashlib.sha256)
    return out[:length]
