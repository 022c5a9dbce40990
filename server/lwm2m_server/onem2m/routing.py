"""``Routes``: what device groups lead to, a subscription for each of their devices and applications.

The group's document is the wish. What it leads to follows in turns, in the background, and only what
differs is touched; so it can be begun anew at any time, and is at each start.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from functools import partial
from itertools import product
from typing import Final, TypeAlias

import attrs

from lwm2m_server.onem2m.behaviours.roots import DEVICE_GROUPS, below
from lwm2m_server.onem2m.chores import Chores
from lwm2m_server.onem2m.devices import Devices
from lwm2m_server.onem2m.origins import PLATFORM
from lwm2m_server.onem2m.rendering import NODE
from lwm2m_server.onem2m.tree import AE
from lwm2m_server.store.ids import Ids, NodeIds, ResourceIds
from lwm2m_server.store.protocols import Inventory
from lwm2m_server.store.records import Application, Resource, Tenant
from lwm2m_server.store.transaction import Reader, Transaction

Route: TypeAlias = tuple[int, int]
"""A node and an application."""

FLEX_CONTAINER, SUBSCRIPTION = 28, 23
GROUP_KEY: Final = "dtiot:devGr"
TURN: Final = 50
"""Members looked at before others may run."""
WRITES: Final = 20
"""Subscriptions made or ended in one commit."""
SOON: Final = 2.0
"""Seconds that a client waits for what its change of a group leads to; what takes longer comes later."""


@attrs.frozen(slots=True)
class Routes:
    """Of all tenants. Belongs to the event loop."""

    inventory: Inventory
    reader: Reader
    devices: Devices
    ids: Ids
    resource_ids: ResourceIds
    chores: Chores
    told: list[Callable[[int], object]] = attrs.field(factory=list)
    """Called with a group that came, changed or went."""
    _missing: dict[tuple[str, str], set[int]] = attrs.field(factory=dict)
    """Tenant and name of members that are not there, and the groups that would have them."""

    # --- who is meant --------------------------------------------------------------------------------

    def node(self, tenant: Tenant, member: str) -> int | None:
        """The device with this name or id."""
        found = self.reader.child(tenant.id, member)
        if found is None:
            id, type = self.resource_ids.parse(member) or (0, 0)
            found = self.reader.resource(id) if type == NODE else None
        is_device = found is not None and found.type == NODE and found.tenant == tenant.name
        return found.id if found is not None and is_device else None

    def application(self, tenant: Tenant, member: str) -> Application | None:
        """The application with this name or id."""
        found = self.inventory.application(tenant.name, member)
        if found is None:
            id, type = self.resource_ids.parse(member) or (0, 0)
            found = self.inventory.application_by_id(id) if type == AE else None
        return found if found is not None and found.tenant == tenant.name else None

    def groups(self, tenant: Tenant) -> Sequence[Resource]:
        root = below(self.reader, tenant, DEVICE_GROUPS)
        return [one for one in self.reader.children(root.id) if one.key == GROUP_KEY]

    # --- what leads to changes -----------------------------------------------------------------------

    def resume(self) -> None:
        """To be called at start: whatever was under way, or was changed while nobody looked."""
        groups = {group.id for tenant in self.inventory.tenants() for group in self.groups(tenant)}
        for group in groups.union(self.reader.routed_groups()):
            self.changed(group)

    def changed(self, group: int) -> asyncio.Future[None]:
        """A group is new, changed, or gone. Done when everything is as it says."""
        for tell in self.told:
            tell(group)
        return self.chores.add(("group", group), partial(self._reconcile, group))

    async def settled(self, group: int) -> None:
        """As ``changed``, awaited for a moment."""
        await asyncio.wait([self.changed(group)], timeout=SOON)

    def arrived(self, tenant: str, name: str) -> None:
        """A device or application was created."""
        for group in self._missing.pop((tenant, name), ()):
            self.changed(group)

    async def left(self, tenant: Tenant, application: Application) -> None:
        """An application was removed."""
        ri = self.resource_ids.ri(application.id, AE)
        for group in self.groups(tenant):
            if not {application.name, ri}.isdisjoint(group.attributes.get("aes", ())):
                await self.settled(group.id)

    def lost(self, tenant: str, name: str, groups: Collection[int]) -> None:
        """A device that these groups connected is gone, and with it all that connected it."""
        if groups:
            self._missing.setdefault((tenant, name), set()).update(groups)

    # --- wish and reality ----------------------------------------------------------------------------

    async def _reconcile(self, id: int) -> AsyncIterator[None]:
        nodes: set[int] = set()
        applications: dict[int, Application] = {}
        group = self.reader.resource(id)
        tenant = None if group is None else self.inventory.tenant(group.tenant)
        if group is not None and tenant is not None:
            applications = self._applications(tenant, group)
            members = group.attributes.get("nds", ()) if applications else ()
            for start in range(0, len(members), TURN):
                nodes |= self._nodes(tenant, group, members[start : start + TURN])
                yield
        async for _ in self._end_others(id, nodes, applications):
            yield
        ordered = sorted(nodes)
        for start in range(0, len(ordered), TURN):
            await self._begin(id, ordered[start : start + TURN], applications)
            yield

    def _applications(self, tenant: Tenant, group: Resource) -> dict[int, Application]:
        found = {}
        for member in group.attributes.get("aes", ()):
            application = self.application(tenant, member)
            if application is not None:
                found[application.id] = application
            else:
                self._missing.setdefault((tenant.name, member), set()).add(group.id)
        return found

    def _nodes(self, tenant: Tenant, group: Resource, members: Sequence[str]) -> set[int]:
        found = set()
        for member in members:
            node = self.node(tenant, member)
            if node is not None:
                found.add(node)
            else:
                self._missing.setdefault((tenant.name, member), set()).add(group.id)
        return found

    async def _end_others(
        self, group: int, nodes: Collection[int], applications: Collection[int]
    ) -> AsyncIterator[None]:
        after = (-1, -1)
        while routes := self.reader.routes(group, after=after, limit=WRITES):
            others = [(node, one) for node, one in routes if node not in nodes or one not in applications]
            if others:
                await self.devices.change(partial(self._disconnect, group, others))
            after = routes[-1]
            yield

    async def _begin(self, group: int, nodes: Sequence[int], applications: dict[int, Application]) -> None:
        known = set(self.reader.routes_between(group, nodes[0], nodes[-1]))
        new = [
            (node, application)
            for node, application in product(nodes, applications.values())
            if (node, application.id) not in known
        ]
        for start in range(0, len(new), WRITES):
            first = self.ids.next(WRITES)
            await self.devices.change(partial(self._connect, group, new[start : start + WRITES], first))

    def _connect(
        self, group: int, routes: Sequence[tuple[int, Application]], first: int, transaction: Transaction
    ) -> None:
        for id, (node, application) in enumerate(routes, first):
            if transaction.resource(node) is None:
                continue
            name = self._name(group, application.id)
            received = NodeIds(node).received
            if transaction.child(received, name) is None:
                attributes = _subscription(application)
                transaction.put(
                    Resource(id, application.tenant, received, name, SUBSCRIPTION, "m2m:sub", attributes, id)
                )
            transaction.put_route(group, node, application.id)

    def _disconnect(self, group: int, routes: Sequence[Route], transaction: Transaction) -> None:
        for node, application in routes:
            found = transaction.child(NodeIds(node).received, self._name(group, application))
            if found is not None:
                transaction.remove(found.id)
            transaction.remove_route(group, node, application)

    def _name(self, group: int, application: int) -> str:
        return f"{self.resource_ids.ri(group, FLEX_CONTAINER)}-{self.resource_ids.ri(application, AE)}"


def _subscription(application: Application) -> dict[str, object]:
    """To everything that happens to a container, for an application. The same for all devices."""
    target = f"{application.tenant}/{application.name}"
    return {"nct": 1, "enc": {"net": [1, 2, 3, 4]}, "nu": [target], "su": target, "cr": PLATFORM}
