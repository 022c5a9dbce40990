"""HTTP requests to strangers: over connections that are kept, to addresses that the guard lets through,
and never longer than it was agreed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import attrs

from lwm2m_server.settings import DeliverySettings
from lwm2m_server.sinks.addresses import AddressGuard
from lwm2m_server.sinks.trust import Trust

if TYPE_CHECKING:
    import aiohttp

ANSWER: Final = 65_536
"""Bytes of an answer that are read; nobody looks at them, but the connection can be used again."""
KEPT: Final = 60.0
"""Seconds a connection is kept for the next request."""
KNOWN: Final = 10_000
"""URLs that are kept as they were understood."""
RESOLVED: Final = 30
"""Seconds a name is not asked for again."""


class NoAnswer(Exception):
    """The text says why."""


@attrs.frozen(slots=True)
class Answered:
    """How a request ended."""

    status: int
    retry_after: float | None
    """Seconds."""


class Posting:
    """Belongs to the event loop."""

    def __init__(self, guard: AddressGuard, settings: DeliverySettings) -> None:
        self._guard, self._settings = guard, settings
        self._trust = Trust(settings)
        self._session: aiohttp.ClientSession | None = None
        self._http: Any = None
        self._urls: dict[str, Any] = {}

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        """Redirects are not followed: they lead who knows where. Raises ``NoAnswer``."""
        session = self._session or await self._open()
        try:
            async with asyncio.timeout(self._settings.answer_timeout):
                # As texts, URLs would be taken apart each time.
                where = self._urls.get(url) or self._parse(url)
                answer = await session.post(where, data=body, headers=headers, allow_redirects=False)
            try:
                await _finish(answer)
            finally:
                # A connection with more to come is closed by that.
                answer.release()
        except TimeoutError:
            raise NoAnswer("did not answer in time") from None
        except (self._http.ClientError, OSError, ValueError) as error:
            # ValueError: a URL with credentials, and an Authorization beside it.
            raise NoAnswer(str(error) or type(error).__name__) from error
        return Answered(answer.status, _wait(answer.headers.get("Retry-After")))

    async def _open(self) -> aiohttp.ClientSession:
        if self._http is None:
            # A quarter of a second for servers that need it, and none for the others.
            self._http = await asyncio.to_thread(import_module, "aiohttp")
        trust = await self._trust.context()
        if self._session is None:
            connector = self._http.TCPConnector(
                limit=0,
                keepalive_timeout=KEPT,
                socket_factory=self._guard.open_socket,
                ttl_dns_cache=RESOLVED,
                ssl=trust,
            )
            self._session = self._http.ClientSession(
                connector=connector,
                cookie_jar=self._http.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("Accept", "Accept-Encoding"),
                headers={"User-Agent": "lwm2m-engine"},
                timeout=self._http.ClientTimeout(
                    total=self._settings.timeout, sock_connect=self._settings.connect_timeout
                ),
            )
        return self._session

    def _parse(self, url: str) -> Any:
        if len(self._urls) >= KNOWN:
            self._urls.clear()
        found = self._urls[url] = import_module("yarl").URL(url)
        return found

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


async def _finish(answer: aiohttp.ClientResponse) -> None:
    """Read it if it is short, so that the connection is free for the next one."""
    left = ANSWER
    while left > 0:
        chunk = await answer.content.read(left)
        if not chunk:
            return
        left -= len(chunk)


def _wait(text: str | None) -> float | None:
    """Seconds that ``Retry-After`` asks for (RFC 9110, 10.2.3)."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except ValueError:
        return None
