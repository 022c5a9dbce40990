"""``Attempts``: who shows the secret of a client, and how often they may be wrong."""

from __future__ import annotations

import time
from typing import Final

import structlog

from lwm2m_server.access.clients import Clients
from lwm2m_server.access.limits import Buckets
from lwm2m_server.logs import Ration
from lwm2m_server.store.records import ApiClient

FAILURES: Final = (0.5, 20.0)
"""Wrong secrets: how many a second, and at once, an address may send for one client."""

_log = structlog.get_logger(__name__)


class TooManyFailures(Exception):
    """It is not looked at any more for a while."""


class Attempts:
    """At every door together."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._failures = Buckets(*FAILURES)
        self._ration = Ration()

    async def client(self, id: str, secret: str, address: str) -> ApiClient | None:
        """The client, if that is its secret. Raises ``TooManyFailures``, ``Busy``."""
        now = time.monotonic()
        # Of one client alone: behind a proxy all addresses are the same.
        failures = self._failures.of((address, id))
        if failures.is_empty(now):
            raise TooManyFailures
        client = await self._clients.with_secret(id, secret)
        if client is None:
            failures.take(now)
            left_out = self._ration.take(now)
            if left_out is not None:
                _log.warning("wrong client id or secret", client=id[:80], peer=address, left_out=left_out)
        return client
