"""``Tokens``: JSON Web Tokens (RFC 7519) that this server issues to its clients."""

from __future__ import annotations

import time
import uuid
from typing import Any, Final

import jwt

from lwm2m_server.access.callers import Caller, Role
from lwm2m_server.access.keys import SigningKeys
from lwm2m_server.store.records import ApiClient

LIFETIME: Final = 300
"""Seconds."""
ALGORITHM: Final = "ES256"
_REQUIRED: Final = ("exp", "iat", "iss", "aud", "sub", "since")


class Unauthenticated(Exception):
    """A request without proof of who makes it; the text is for the caller, and tells no secret."""


class Tokens:
    """Issues and checks. A token names its client and when that was added: one of the same name, added
    later, is another."""

    def __init__(self, keys: SigningKeys, installation: str) -> None:
        self._keys = keys
        self._issuer = f"urn:lwm2m:{installation}"

    def issue(self, client: ApiClient, scope: str) -> str:
        """May write a file: not for the event loop."""
        now, key = int(time.time()), self._keys.signing()
        claims: dict[str, Any] = {
            "exp": now + LIFETIME,
            "iat": now,
            "jti": str(uuid.uuid4()),
            "iss": self._issuer,
            "aud": self._issuer,
            "sub": client.id,
            "typ": "Bearer",
            "azp": client.id,
            "scope": scope,
            "clientId": client.id,
            "tenants": [client.tenant] if client.tenant is not None else [],
            "role": client.role,
            "since": client.created,
        }
        return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"kid": key.id})

    def is_ours(self, issuer: object) -> bool:
        return issuer == self._issuer

    def check(self, token: str, key_id: object) -> dict[str, Any]:
        """The claims of one of ours. Raises ``Unauthenticated``, ``jwt.PyJWTError``."""
        key = self._keys.public(key_id) if isinstance(key_id, str) else None
        if key is None:
            raise Unauthenticated("the token is signed with a key that is not this server's, or no more")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=self._issuer,
            issuer=self._issuer,
            options={"require": list(_REQUIRED)},
        )
        return claims


def caller_of(client: ApiClient) -> Caller:
    """What a client may do, as it was configured."""
    origins = frozenset(client.origins) if client.origins is not None else None
    return Caller(client.id, client.tenant, Role[client.role.upper()], origins)
