"""``IssuerKeys``: the public keys of external issuers (JWKS, RFC 7517), fetched when they are needed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import attrs
import jwt
import orjson
import structlog

from lwm2m_server.access.grants import Issuer
from lwm2m_server.access.tokens import Unauthenticated

MAX_SIZE: Final = 65_536
"""Bytes of a key set."""
MAX_KEYS: Final = 32
TIMEOUT: Final = 5.0
"""Seconds that fetching may take."""
RETRY_AFTER: Final = 10.0
"""Seconds between two fetches, however many tokens name keys that are not known."""
FRESH: Final = 3600.0
"""Seconds after which keys are fetched anew, while those known go on being used."""
STALE: Final = 24 * 3600.0
"""Seconds after which keys that could not be fetched anew are used no more."""
LEEWAY: Final = 10.0
"""Seconds that the issuer's clock may differ."""
_ALGORITHMS: Final = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
)
_log = structlog.get_logger(__name__)


@attrs.define(slots=True)
class _KeySet:
    keys: Mapping[str, jwt.PyJWK] = attrs.field(factory=dict)
    fetched: float = float("-inf")
    asked: float = float("-inf")
    """When somebody last tried."""


class IssuerKeys:
    """Of all issuers. A token with a key that is known costs no request; one with another waits for one
    fetch, which all that come meanwhile share."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sets: dict[str, _KeySet] = {}
        self._fetching: dict[str, asyncio.Task[None]] = {}

    async def check(self, token: str, key_id: object, issuer: Issuer) -> dict[str, Any]:
        """The claims. Raises ``Unauthenticated``, ``jwt.PyJWTError``."""
        key = await self._key(key_id, issuer)
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            # That of the key, not what the token says: else a public key could be taken for a secret.
            algorithms=[key.algorithm_name],
            audience=issuer.audience,
            issuer=issuer.issuer,
            leeway=LEEWAY,
            options={"require": ["exp", "iss", "aud"]},
        )
        return claims

    async def close(self) -> None:
        for task in self._fetching.values():
            task.cancel()
        await asyncio.gather(*self._fetching.values(), return_exceptions=True)

    async def _key(self, id: object, issuer: Issuer) -> jwt.PyJWK:
        if not isinstance(id, str):
            raise Unauthenticated("the token does not say which key it is signed with (kid)")
        known, now = self._sets.setdefault(issuer.jwks, _KeySet()), self._clock()
        if id not in known.keys or now - known.fetched > STALE:
            await asyncio.shield(self._refresh(issuer.jwks, known, now))
        elif now - known.fetched > FRESH:
            self._refresh(issuer.jwks, known, now)
        if id not in known.keys or self._clock() - known.fetched > STALE:
            raise Unauthenticated("the token is signed with a key that its issuer does not show")
        return known.keys[id]

    def _refresh(self, url: str, known: _KeySet, now: float) -> asyncio.Future[None]:
        task = self._fetching.get(url)
        if task is not None:
            return task
        if now - known.asked < RETRY_AFTER:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            done.set_result(None)
            return done
        known.asked = now
        task = asyncio.get_running_loop().create_task(self._fetch(url, known), name="jwks")
        self._fetching[url] = task
        task.add_done_callback(lambda _: self._fetching.pop(url, None))
        return task

    async def _fetch(self, url: str, known: _KeySet) -> None:
        try:
            known.keys = _usable(orjson.loads(await _get(url)))
            known.fetched = self._clock()
        except (OSError, ValueError) as error:
            _log.error("keys of an issuer cannot be fetched", url=url, reason=str(error) or repr(error))


async def _get(url: str) -> bytes:
    """Raises ``OSError``, ``ValueError``."""
    # It takes a third of a second, which servers without issuers need not wait for.
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    body = bytearray()
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            if answer.status != HTTPStatus.OK:
                raise ValueError(f"the answer is {answer.status}")
            async for chunk in answer.content.iter_chunked(4096):
                body += chunk
                if len(body) > MAX_SIZE:
                    raise ValueError(f"more than {MAX_SIZE} bytes")
    except aiohttp.ClientError as error:
        raise OSError(str(error)) from error
    return bytes(body)


def _usable(document: object) -> dict[str, jwt.PyJWK]:
    """Public keys for signatures that have a name; others are left out."""
    found = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(found, list):
        raise ValueError("no key set")  # noqa: TRY004 - as of what is no JSON
    usable = {}
    for one in found[:MAX_KEYS]:
        if not isinstance(one, dict) or one.get("use", "sig") != "sig" or not isinstance(one.get("kid"), str):
            continue
        try:
            key = jwt.PyJWK(one)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
            _log.info("a key of an issuer cannot be used", kid=one["kid"][:100], reason=str(error))
            continue
        if key.algorithm_name in _ALGORITHMS:
            usable[one["kid"]] = key
    return usable
