"""What every behaviour works with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from lwm2m_server.onem2m.chores import Chores
from lwm2m_server.onem2m.devices import Devices
from lwm2m_server.onem2m.errors import NameTaken
from lwm2m_server.onem2m.notify.notices import Notices
from lwm2m_server.onem2m.routing import Routes
from lwm2m_server.onem2m.tree import Target, Tree
from lwm2m_server.security.store import Credentials
from lwm2m_server.settings import Settings
from lwm2m_server.sinks.outlets import Outlets
from lwm2m_server.store.ids import SECOND, Ids, ResourceIds
from lwm2m_server.store.protocols import Inventory
from lwm2m_server.store.records import Device
from lwm2m_server.store.transaction import Reader


@attrs.frozen(slots=True)
class Context:
    """Stores, devices, and ids for new resources."""

    inventory: Inventory
    reader: Reader
    tree: Tree
    devices: Devices
    ids: Ids
    settings: Settings
    credentials: Credentials
    notices: Notices
    outlets: Outlets
    resource_ids: ResourceIds
    chores: Chores
    routes: Routes
    _reserved: set[tuple[str, str]] = attrs.field(factory=set)

    @contextmanager
    def reserve(self, tenant: str, name: str) -> Iterator[None]:
        """Keep a name directly below the CSEBase from others while it is being stored.

        Applications and nodes share these names but not a store, so that no store can see the clash.
        """
        key = (tenant, name)
        if key in self._reserved or self.inventory.application(tenant, name) is not None:
            raise NameTaken(f"the name {name!r} is taken")
        self._reserved.add(key)
        try:
            yield
        finally:
            self._reserved.discard(key)

    def device(self, target: Target, name: str) -> Device | None:
        return self.reader.device_named(target.tenant.name, name)


def now() -> int:
    """Microseconds since 1970-01-01 UTC."""
    return int(time.time() * SECOND)
