"""``Proof``: how a session proves to the API who its viewer is. The proof never reaches the browser."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol

from lwm2m_server.access.authentication import Access
from lwm2m_server.access.callers import OPEN, Caller
from lwm2m_server.access.clients import Clients
from lwm2m_server.access.tokens import LIFETIME, Tokens, Unauthenticated

if TYPE_CHECKING:
    from lwm2m_server.store.records import ApiClient

SCOPE: Final = "console"
RENEWED: Final = LIFETIME * 0.5
"""Seconds after which the next request has a new token."""


class SignedOut(Exception):
    """The session proves nothing any more; the text says why."""


class Proof(Protocol):
    """What stands behind a session."""

    async def header(self) -> bytes | None:
        """The header ``Authorization`` of the next request. Raises ``SignedOut``."""

    async def caller(self) -> Caller:
        """Who that is. Raises ``SignedOut``."""


class NoProof:
    """Good as long as no API clients are configured."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def header(self) -> bytes | None:
        if not self._access.is_open:
            raise SignedOut("API clients are configured now")
        return None

    async def caller(self) -> Caller:
        await self.header()
        return OPEN


class BearerProof:
    """A token or API key that the viewer has brought."""

    def __init__(self, access: Access, token: str) -> None:
        self._access, self._header = access, b"Bearer " + token.encode("utf-8")

    async def header(self) -> bytes | None:
        return self._header

    async def caller(self) -> Caller:
        return await _caller(self._access, self._header)


class ClientProof:
    """Of a client that has shown its secret: tokens of this server, each for a short time."""

    def __init__(self, access: Access, clients: Clients, tokens: Tokens, client: ApiClient) -> None:
        self._access, self._clients, self._tokens = access, clients, tokens
        self._id, self._created = client.id, client.created
        self._header, self._renew_at = b"", float("-inf")

    async def header(self) -> bytes | None:
        return await self._current()

    async def caller(self) -> Caller:
        return await _caller(self._access, await self._current())

    async def _current(self) -> bytes:
        client = self._clients.get(self._id)
        if client is None or client.created != self._created:
            raise SignedOut("the client was revoked")
        if time.monotonic() >= self._renew_at:
            token = await self._clients.apart(lambda: self._tokens.issue(client, SCOPE))
            self._header = b"Bearer " + token.encode("ascii")
            self._renew_at = time.monotonic() + RENEWED
        return self._header


async def _caller(access: Access, header: bytes) -> Caller:
    proven = access.remembered(header, time.monotonic())
    if proven is None:
        try:
            proven = await access.prove(header)
        except Unauthenticated as error:
            raise SignedOut(str(error)) from error
    return proven.caller
