"""Which resource an address means: tenants and applications from the inventory, the rest from the ledger."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from lwm2m_server.onem2m.addresses import Address
from lwm2m_server.onem2m.errors import NotFound
from lwm2m_server.onem2m.names import TYPES
from lwm2m_server.onem2m.rendering import AE as AE
from lwm2m_server.onem2m.rendering import CONTAINER, CONTENT_INSTANCE, CSE_BASE
from lwm2m_server.store.ids import ResourceIds
from lwm2m_server.store.protocols import Inventory
from lwm2m_server.store.records import Application, Message, Resource, Tenant
from lwm2m_server.store.transaction import Reader

MAX_DEVICES = 10_000
"""Devices whose containers are kept in memory; about 1 KB each that somebody asked for."""
LATEST, OLDEST = "la", "ol"
"""Virtual children of a container."""
COMMUNICATION = "device-communication"
PLATFORM_TREES = frozenset({COMMUNICATION, "device-provisioning", "device-group"})
"""Names below the CSEBase."""
RELEASES = ["2a", "3", "4"]
"""``X-M2M-RVI`` this server understands."""
TYPES_SUPPORTED = sorted({row.ty for row in TYPES})


@attrs.frozen(slots=True)
class Target:
    """A resource that was found, and the address it has."""

    tenant: Tenant
    what: Resource | Message
    root: str
    """HTTP path below which links of this client start."""
    way: tuple[Resource, ...] = ()
    """From the CSEBase (without it) down to the resource, or to the container of the contentInstance."""

    @property
    def is_platforms(self) -> bool:
        """Whether it belongs to a tree that the platform keeps itself."""
        return bool(self.way) and self.way[0].name in PLATFORM_TREES

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
            tenant, way, what = self._start(address)
            names = address.names[1:]
        else:
            tenant, way = self._tenant(address.tenant or ""), []
            what, names = base(tenant), address.names
        while names:
            passed = self._below(what, names) if isinstance(what, Resource) else ()
            if passed:
                way += passed
                what, names = passed[-1], names[len(passed) :]
            if names:
                what, names = self._unlisted(tenant, what, names[0]), names[1:]
                if isinstance(what, Resource):
                    way.append(what)
        return Target(tenant, what, address.root, tuple(way))

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
        """The device container that a resource is, or that a message lies in."""
        way = target.way
        if len(way) != 3 or way[0].name != COMMUNICATION or way[2].type != CONTAINER:
            return None
        return Box(way[2], way[1].name)

    def _tenant(self, name: str) -> Tenant:
        tenant = self._inventory.tenant(name)
        if tenant is None:
            raise NotFound(f"there is no tenant {name!r}")
        return tenant

    def _start(self, address: Address) -> tuple[Tenant, list[Resource], Resource | Message]:
        ri = address.names[0]
        tenant = self._tenant(address.tenant) if address.tenant is not None else self._inventory.tenant(ri)
        if tenant is not None and ri == tenant.name:
            return tenant, [], base(tenant)
        found = self._by_ri(ri)
        if found is None or (tenant is not None and found[0].name != tenant.name):
            raise NotFound(f"there is no resource {ri!r}")
        return found

    def _by_ri(self, ri: str) -> tuple[Tenant, list[Resource], Resource | Message] | None:
        parsed = self._ids.parse(ri)
        if parsed is None:
            return None
        id, type = parsed
        message = self._reader.message(id) if type == CONTENT_INSTANCE else None
        start = message.container if message is not None else id
        resource = self._application(start) or self._reader.resource(start)
        # The type is part of the id: a changed digit must not find a neighbour.
        if resource is None or resource.type != (type if message is None else CONTAINER):
            return None
        tenant = self._tenant(resource.tenant)
        way = self.way(tenant, resource)
        return None if way is None else (tenant, way, message or resource)

    def way(self, tenant: Tenant, resource: Resource) -> list[Resource] | None:
        """From below the CSEBase; ``None`` if it leads there no more, because something above was removed."""
        way = [resource]
        while way[-1].parent != tenant.id:
            id = way[-1].parent
            parent = self._reader.resource(id) or self._application(id)
            if parent is None:
                return None
            way.append(parent)
        return way[::-1]

    def _application(self, id: int) -> Resource | None:
        found = self._inventory.application_by_id(id)
        return None if found is None else as_resource(found, self._tenant(found.tenant))

    def _unlisted(self, tenant: Tenant, parent: Resource | Message, name: str) -> Resource | Message:
        """A child that is no resource of the ledger. Raises ``NotFound``."""
        found: Resource | Message | None = None
        if isinstance(parent, Resource) and parent.type == CONTAINER:
            # The way that is known of a device's container ends at it.
            found = self._message(parent.id, name) or self._reader.child(parent.id, name)
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
