"""``Tenants``: organizations added and removed while the server runs."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal

from lwm2m_server.engines import Engines
from lwm2m_server.hub import Hub
from lwm2m_server.store.errors import Conflict
from lwm2m_server.store.ids import Ids
from lwm2m_server.store.protocols import Inventory, Ledger
from lwm2m_server.store.records import Tenant
from lwm2m_server.store.transaction import Transaction

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
RESERVED: Final = frozenset(("api", "auth", "console", "healthz", "metrics", "openapi.json", "p", "readyz"))
"""Paths of the HTTP server, where a tenant's tree would lie, too."""


class BadTenant(Exception):
    """A name that no tenant can have, or a tenant that has to stay."""


def check_name(name: str) -> None:
    """Raises ``BadTenant``."""
    if not _NAME.fullmatch(name) or name in RESERVED:
        raise BadTenant(f"{name[:80]!r} is no name of a tenant: up to 64 of A-Z a-z 0-9 . _ -")


class Tenants:
    """Each has an engine of its own, and the resources that every tenant has."""

    def __init__(
        self,
        inventory: Inventory,
        ledger: Ledger,
        hub: Hub,
        engines: Engines,
        ids: Ids,
        *,
        default: str,
        prepare: Callable[[], Awaitable[None]],
        removed: Callable[[], object],
    ) -> None:
        """``prepare`` gives every tenant the resources it must have; ``removed`` hears that one is gone, with
        its clients."""
        self._inventory, self._ledger, self._hub, self._ids = inventory, ledger, hub, ids
        self._engines, self._default = engines, default
        self._prepare, self._removed = prepare, removed

    def all(self) -> Sequence[Tenant]:
        return self._inventory.tenants()

    async def add(self, name: str, names: Literal["long", "short"] | None = None) -> Tenant:
        """In service when it returns. Raises ``BadTenant``, ``Conflict``, ``CommitFailed``."""
        check_name(name)
        tenant = Tenant(self._ids.next(), name, names)
        await self._inventory.add_tenant(tenant)
        self._hub.add_tenant(name, self._engines.start(name))
        await self._prepare()
        return tenant

    async def remove(self, name: str) -> None:
        """Raises ``KeyError``, ``BadTenant``, ``Conflict`` while it has devices or applications,
        ``CommitFailed``."""
        tenant = self._inventory.tenant(name)
        if tenant is None:
            raise KeyError(name)
        if name == self._default:
            raise BadTenant(f"{name!r} is the default tenant")
        if next(iter(self._ledger.reader.devices(name, chunk=1)), None) is not None:
            raise Conflict(f"the tenant {name!r} has devices")
        await self._inventory.remove_tenant(name)
        self._hub.remove_tenant(name)
        self._engines.stop(name)
        self._removed()

        def clear(transaction: Transaction) -> None:
            transaction.forget_notices(name)
            transaction.forget_batch_keys(name)
            transaction.forget_problems(name)
            for child in transaction.children(tenant.id):
                transaction.remove(child.id)

        await self._ledger.commit(clear)
