"""``Clients``: programs that may call the HTTP API, each with an id and a secret it shows for a token."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from lwm2m_server.access.callers import Role
from lwm2m_server.access.hashing import hash_secret, is_secret
from lwm2m_server.store.ids import SECOND
from lwm2m_server.store.protocols import Inventory
from lwm2m_server.store.records import ApiClient

T = TypeVar("T")

ROLES: Final = tuple(role.name.lower() for role in Role)
MAX_WAITING: Final = 50
"""Secrets that may wait to be checked: two seconds' worth."""
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,63}")
_ORIGIN: Final = re.compile(r"C[!-~]{0,254}")


class BadClient(Exception):
    """A client that cannot be added; the text says why."""


class Busy(Exception):
    """Too many secrets are being checked."""


class Clients:
    """Those of the inventory. A change is in force when its coroutine returns."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._thread = ThreadPoolExecutor(1, "access")
        self._waiting = 0
        self._took = 0.05
        """Seconds until it was known of a client whether a secret was its own, the last time."""
        self.changed: Callable[[], object] = lambda: None
        """Called when a client was added or revoked."""

    def __bool__(self) -> bool:
        return bool(self._inventory.clients())

    def all(self) -> Sequence[ApiClient]:
        return self._inventory.clients()

    def get(self, id: str) -> ApiClient | None:
        return self._inventory.client(id)

    async def add(
        self, id: str, tenant: str | None, role: str, origins: Collection[str] | None = None
    ) -> tuple[ApiClient, str]:
        """The client, and its secret: it is told this once. Raises ``BadClient``, ``Conflict``."""
        self._check(id, tenant, role, origins)
        secret = secrets.token_urlsafe(32)
        hashed = await self.apart(lambda: hash_secret(secret))
        created = int(time.time() * SECOND)
        listed = tuple(sorted(origins)) if origins is not None else None
        client = ApiClient(id, tenant, role, hashed, created, listed)
        await self._inventory.add_client(client)
        self.changed()
        return client, secret

    async def revoke(self, id: str) -> None:
        """Its tokens are good no more."""
        await self._inventory.remove_client(id)
        self.changed()

    async def with_secret(self, id: str, secret: str) -> ApiClient | None:
        """The client, if that is its secret. Raises ``Busy``."""
        client = self.get(id)
        if client is None:
            # As long as it takes if there is one, and nothing to do: anybody can make up names.
            await asyncio.sleep(self._took)
            return None
        began = time.monotonic()
        fits = await self.apart(lambda: is_secret(secret, client.secret))
        self._took = time.monotonic() - began
        # It may have been revoked meanwhile.
        return client if fits and self.get(id) is client else None

    async def apart(self, work: Callable[[], T]) -> T:
        """On a thread of its own: what takes long. Raises ``Busy``."""
        if self._waiting >= MAX_WAITING:
            raise Busy
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._thread.shutdown()

    def _check(self, id: str, tenant: str | None, role: str, origins: Collection[str] | None) -> None:
        if not _ID.fullmatch(id):
            raise BadClient(f"{id[:80]!r} is no client id: up to 64 of A-Z a-z 0-9 . _ ~ -")
        if role not in ROLES:
            raise BadClient(f"{role[:80]!r} is none of the roles {', '.join(ROLES)}")
        if (role == "system") != (tenant is None):
            raise BadClient("a client has a tenant, unless its role is 'system'")
        if tenant is not None and self._inventory.tenant(tenant) is None:
            raise BadClient(f"there is no tenant {tenant!r}")
        wrong = next((origin for origin in origins or () if not _ORIGIN.fullmatch(origin)), None)
        if wrong is not None:
            raise BadClient(f"{wrong[:80]!r} is no AE-ID: C and up to 254 visible characters")
        if not self and role not in ("admin", "system"):
            raise BadClient("the first client is 'admin' or 'system': somebody has to add the others")


def shown(client: ApiClient) -> dict[str, Any]:
    """As JSON, without the secret. Times are milliseconds."""
    return {
        "id": client.id,
        "tenant": client.tenant,
        "role": client.role,
        "origins": list(client.origins) if client.origins is not None else None,
        "created": client.created // 1000,
    }
