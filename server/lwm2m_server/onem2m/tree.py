"""Which resource an address means: tenants and applications from the inventory, the rest from the ledger."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from lwm2m_server.onem2m.addresses import Address
from lwm2m_server.onem2m.errors import NotFound
from lwm2m_server.onem2m.rendering import CONTAINER, CONTENT_INSTANCE, CSE_BASE
from lwm2m_server.store.ids import ResourceIds
from lwm2m_server.store.protocols import Application, Inventory, Message, Reader, Resource, Tenant

MAX_DEVICES = 10_000
"""Devices whose containers are kept in memory; about 1 KB each that somebody asked for."""
AE = 2
LATEST, OLDEST = "la", "ol"
"""Virtual children of a container."""
COMMUNICATION = "device-communication"
RELEASES = ["2a", "3", "4"]
"""``X-M2M-RVI`` this server understands."""
TYPES_SUPPORTED = [2, 3, 4, 5, 13, 14]


@attrs.frozen(slots=True)
class Target:
    """A resource that was found, and the address it has."""

    tenant: Tenant
    what: Resource | Message
    root: str
    """HTTP path below which links of this client start."""
    way: tuple[Resource, ...] = ()
    """The resources passed on the way from the CSEBase (without it), if the address begins there."""

    @property
    def resource(self) -> Resource:
        """What was found, where it can be no contentInstance."""
        assert isinstance(self.what, Resource)
        return self.what

    @property
    def message(self) -> Message:
        """What was found, where it can only be a contentInstance."""
        assert isinstance(self.what, Message)
        return self.what


@attrs.frozen(slots=True)
class Box:
    """A container of a device: ``outgoing-msg``, ``received-msg`` …"""

    container: Resource
    device: str
    """``rn`` of its node."""


class Tree:
    """Look-ups only; nothing here writes."""

    def __init__(self, inventory: Inventory, reader: Reader, resource_ids: ResourceIds) -> None:
        self._inventory, self._reader, self._ids = inventory, reader, resource_ids
        self._boxes: dict[tuple[int, str], dict[str, Sequence[Resource]]] = {}
        """By CSEBase and device the ways to its containers. They never change, and go with the node."""

    def locate(self, address: Address) -> Target:
        """Raises ``NotFound``, saying how far the address leads."""
        what: Resource | Message
        if address.by_id:
            tenant, what = self._start(address)
            names = address.names[1:]
        else:
            tenant = self._tenant(address.tenant or "")
            what, names = base(tenant), address.names
        way: list[Resource] = []
        while names:
            passed = self._below(what, names) if isinstance(what, Resource) else ()
            if passed:
                way += passed
                what, names = passed[-1], names[len(passed) :]
            if names:
                what, names = self._unlisted(tenant, what, names[0]), names[1:]
        return Target(tenant, what, address.root, () if address.by_id else tuple(way))

    def _below(self, parent: Resource, names: tuple[str, ...]) -> Sequence[Resource]:
        """As the reader's, which is asked once for a device's containers: every message goes through one."""
        if parent.type != CSE_BASE or len(names) < 3 or names[0] != COMMUNICATION:
            return self._reader.below(parent.id, names)
        device = (parent.id, names[1])
        way = self._boxes.get(device, {}).get(names[2])
        if way is None:
            way = self._reader.below(parent.id, names[:3])
            if len(way) == 3:
                if len(self._boxes) >= MAX_DEVICES:
                    self._boxes.clear()
                self._boxes.setdefault(device, {})[names[2]] = way
        return way

    def forget(self, tenant: Tenant, device: str) -> None:
        """The node of this name is gone."""
        self._boxes.pop((tenant.id, device), None)

    def box(self, target: Target) -> Box | None:
        """The device container a resource is, if it is one."""
        what = target.what
        if isinstance(what, Message) or what.type != CONTAINER:
            return None
        folder = self._above(what, target.way)
        if folder is None or folder.type != CONTAINER:
            return None
        above = self._above(folder, target.way)
        if above is None or above.name != COMMUNICATION or above.parent != target.tenant.id:
            return None
        return Box(what, folder.name)

    def box_of(self, target: Target, message: Message) -> Box | None:
        """The device container a message lies in."""
        container = self._reader.resource(message.container)
        return self.box(attrs.evolve(target, what=container)) if container is not None else None

    def _tenant(self, name: str) -> Tenant:
        tenant = self._inventory.tenant(name)
        if tenant is None:
            raise NotFound(f"there is no tenant {name!r}")
        return tenant

    def _start(self, address: Address) -> tuple[Tenant, Resource | Message]:
        ri = address.names[0]
        tenant = self._tenant(address.tenant) if address.tenant is not None else self._inventory.tenant(ri)
        if tenant is not None and ri == tenant.name:
            return tenant, base(tenant)
        found = self._by_ri(ri)
        if found is None or (tenant is not None and found[0].name != tenant.name):
            raise NotFound(f"there is no resource {ri!r}")
        return found

    def _by_ri(self, ri: str) -> tuple[Tenant, Resource | Message] | None:
        parsed = self._ids.parse(ri)
        if parsed is None:
            return None
        id, type = parsed
        if type == AE:
            application = self._inventory.application_by_id(id)
            if application is None:
                return None
            tenant = self._tenant(application.tenant)
            return tenant, as_resource(application, tenant)
        if type == CONTENT_INSTANCE:
            message = self._reader.message(id)
            container = self._reader.resource(message.container) if message is not None else None
            return (self._tenant(container.tenant), message) if container and message else None
        resource = self._reader.resource(id)
        # The type is part of the id: a changed digit must not find a neighbour.
        if resource is None or resource.type != type:
            return None
        return self._tenant(resource.tenant), resource

    def _above(self, resource: Resource, way: tuple[Resource, ...]) -> Resource | None:
        passed = (one for one in way if one.id == resource.parent)
        return next(passed, None) or self._reader.resource(resource.parent)

    def _unlisted(self, tenant: Tenant, parent: Resource | Message, name: str) -> Resource | Message:
        """A child that is no resource of the ledger. Raises ``NotFound``."""
        found: Resource | Message | None = None
        if isinstance(parent, Resource) and parent.type == CONTAINER:
            found = self._message(parent.id, name)
        elif isinstance(parent, Resource) and parent.type == CSE_BASE:
            application = self._inventory.application(tenant.name, name)
            found = as_resource(application, tenant) if application is not None else None
        if found is None:
            raise NotFound(_missing(parent, name))
        return found

    def _message(self, container: int, name: str) -> Message | None:
        if name == LATEST:
            return self._reader.latest(container)
        return (
            self._reader.oldest(container) if name == OLDEST else self._reader.message_named(container, name)
        )


def base(tenant: Tenant) -> Resource:
    """The CSEBase a tenant is."""
    attributes = {
        "csi": f"/{tenant.name}",
        "cst": 1,
        "srt": TYPES_SUPPORTED,
        "srv": RELEASES,
        "csz": ["application/json"],
    }
    return Resource(tenant.id, tenant.name, 0, tenant.name, CSE_BASE, "m2m:cb", attributes, tenant.id)


def as_resource(application: Application, tenant: Tenant) -> Resource:
    """An application as the AE it is."""
    attributes = {"api": application.api, "aei": application.aei, **application.attributes}
    return Resource(
        application.id,
        tenant.name,
        tenant.id,
        application.name,
        AE,
        "m2m:ae",
        attributes,
        application.modified,
    )


def _missing(parent: Resource | Message, name: str) -> str:
    if isinstance(parent, Resource) and parent.type == CONTAINER and name in (LATEST, OLDEST):
        return f"{parent.name} is empty"
    return f"{parent.name} has no child {name!r}"
