"""``Access``: from the header ``Authorization`` to the ``Caller``. What was checked is remembered."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

import jwt

from lwm2m_server.access.callers import Caller
from lwm2m_server.access.clients import Clients
from lwm2m_server.access.grants import Grants
from lwm2m_server.access.issuers import IssuerKeys
from lwm2m_server.access.limits import Bucket, Buckets
from lwm2m_server.access.tokens import Tokens, Unauthenticated, caller_of
from lwm2m_server.settings import AccessSettings

MAX_TOKEN: Final = 8192
"""Bytes of a token."""
REMEMBERED: Final = 10_000
"""Tokens that need not be checked again."""
LONGEST: Final = 300.0
"""Seconds until the token of another issuer, or an API key, is checked again."""


class Proven(NamedTuple):
    """Who sends a header."""

    caller: Caller
    until: float
    """On the monotonic clock."""
    bucket: Bucket | None
    """What it may still do; ``None`` for any number of requests."""


class Access:
    """Belongs to the event loop."""

    def __init__(
        self,
        clients: Clients,
        tokens: Tokens,
        issuers: IssuerKeys,
        settings: AccessSettings,
        grants: Grants,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clients, self._tokens, self._issuers = clients, tokens, issuers
        self._clock, self._grants = clock, grants
        self._proven: OrderedDict[bytes, Proven] = OrderedDict()
        self._changes = 0
        self._buckets = Buckets(settings.rate, settings.burst) if settings.rate else None
        self.is_open = not (clients or grants)
        """No clients are configured. Once they are it stays closed until the server is started anew, even if
        the last of them goes."""
        clients.changed = self.forget

    def grant(self, grants: Grants) -> None:
        """The access file has changed."""
        self._grants = grants
        self.forget()

    def forget(self) -> None:
        """Clients, keys or issuers have changed: everything is checked anew."""
        self._proven.clear()
        self._changes += 1
        self.is_open = self.is_open and not (self._clients or self._grants)

    def remembered(self, header: bytes, now: float) -> Proven | None:
        """Who sent this before, if that holds still."""
        proven = self._proven.get(header)
        return proven if proven is not None and now < proven.until else None

    async def prove(self, header: bytes) -> Proven:
        """Raises ``Unauthenticated``."""
        changes = self._changes
        scheme, _, token = header.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("a bearer token is due")
        if len(token) > MAX_TOKEN:
            raise Unauthenticated(f"the token is longer than {MAX_TOKEN} bytes")
        caller, until = await self._check(token.strip())
        bucket = self._buckets.of(caller.client) if self._buckets is not None else None
        proven = Proven(caller, until, bucket)
        if changes == self._changes:
            self._remember(header, proven)
        return proven

    def _remember(self, header: bytes, proven: Proven) -> None:
        self._proven[header] = proven
        if len(self._proven) > REMEMBERED:
            self._proven.popitem(last=False)

    async def _check(self, token: str) -> tuple[Caller, float]:
        now = self._clock()
        holder = self._grants.key_holder(token)
        if holder is not None:
            return holder, now + LONGEST
        try:
            key_id, issuer = _named(token)
            if self._tokens.is_ours(issuer):
                caller, seconds = self._own(token, key_id)
            else:
                caller, seconds = await self._foreign(token, key_id, issuer)
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("the token has expired") from None
        except jwt.InvalidAudienceError:
            raise Unauthenticated("the token is for somebody else (aud)") from None
        except (jwt.PyJWTError, RecursionError) as error:
            raise Unauthenticated(f"the token is not good: {error}") from error
        return caller, now + min(seconds, LONGEST)

    def _own(self, token: str, key_id: object) -> tuple[Caller, float]:
        claims = self._tokens.check(token, key_id)
        client = self._clients.get(claims["sub"])
        if client is None or client.created != claims["since"]:
            raise Unauthenticated("the client was revoked")
        return caller_of(client), claims["exp"] - time.time()

    async def _foreign(self, token: str, key_id: object, issuer: object) -> tuple[Caller, float]:
        found = self._grants.issuer(issuer)
        if found is None:
            raise Unauthenticated("the token is of an issuer that is not trusted here")
        name, trusted = found
        claims = await self._issuers.check(token, key_id, trusted)
        caller = trusted.caller(name, claims)
        if caller is None:
            raise Unauthenticated("the token gives no role, or no tenant, of this server")
        return caller, claims["exp"] - time.time()


def _named(token: str) -> tuple[object, object]:
    """Key id and issuer, as the token says; nothing is proven. Raises ``jwt.PyJWTError``."""
    decoded = jwt.api_jwt.decode_complete(token, options={"verify_signature": False})
    return decoded["header"].get("kid"), decoded["payload"].get("iss")
