"""``Memberships``: which devices are in the device groups that a profile is for."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Final

import attrs

from lwm2m_server.profiles.assignment import Candidate, GroupOf
from lwm2m_server.store.expiration import Clock, expires
from lwm2m_server.store.finding import Members
from lwm2m_server.store.ids import SECOND, ResourceIds
from lwm2m_server.store.protocols import Inventory
from lwm2m_server.store.records import Resource
from lwm2m_server.store.transaction import Reader

NODE: Final = 14
"""oneM2M's type of what a device is."""


@attrs.frozen(slots=True)
class _Group:
    id: int | None
    """``None`` while there is no such group."""
    members: frozenset[str]
    """Names or ids of devices."""
    ends: int | None
    """Microseconds since 1970."""


class Memberships:
    """Groups are resources of the oneM2M tree; those that are asked for are kept in memory."""

    def __init__(
        self,
        inventory: Inventory,
        reader: Reader,
        ids: ResourceIds,
        folder: str,
        clock: Clock = time.time,
    ) -> None:
        """``folder`` is the name of what groups lie in."""
        self._inventory, self._reader, self._ids = inventory, reader, ids
        self._folder, self._clock = folder, clock
        self._groups: dict[tuple[str, str], _Group] = {}

    def __call__(self, device: Candidate, groups: Collection[str]) -> str | None:
        """The first of these groups, by name, that a device is in."""
        id = self._ids.ri(device.node, NODE)
        for name in sorted(groups):
            members = self.members(device.tenant, name)
            if device.name in members or id in members:
                return name
        return None

    def copy(self, tenant: str, groups: Collection[str]) -> GroupOf:
        """The same for another thread, as of now."""
        members = [(name, frozenset(self.members(tenant, name))) for name in sorted(groups)]
        name_of = self._ids.ri

        def group_of(device: Candidate, groups: Collection[str]) -> str | None:
            id = name_of(device.node, NODE)
            found = (name for name, known in members if device.name in known or id in known)
            return next(found, None)

        return group_of

    def members(self, tenant: str, name: str) -> Collection[str]:
        """Names or ids; nothing if there is no such group."""
        found = self._groups.get((tenant, name))
        if found is None:
            found = self._groups[tenant, name] = self._read(tenant, name)
        if found.ends is not None and found.ends <= self._clock() * SECOND:
            return ()
        return found.members

    def found(self, tenant: str, name: str) -> Members:
        """The same for a store."""
        members = self.members(tenant, name)
        ids = (self._ids.parse(member) for member in members)
        return Members(members, {found[0] for found in ids if found is not None and found[1] == NODE})

    def exists(self, tenant: str, name: str) -> bool:
        return self._read(tenant, name).id is not None

    def changed(self, id: int) -> tuple[str, str, Collection[str]] | None:
        """A group came, changed or went: if it is one that was asked for, its tenant, its name, and who is in
        it and was not, or was and is not."""
        known = next((key for key, group in self._groups.items() if group.id == id), None)
        if known is None and any(group.id is None for group in self._groups.values()):
            # One that is new, and was asked for before.
            resource = self._reader.resource(id)
            known = None if resource is None else (resource.tenant, resource.name)
        former = None if known is None else self._groups.pop(known, None)
        if known is None or former is None:
            return None
        return *known, former.members.symmetric_difference(self.members(*known))

    def node(self, tenant: str, member: str) -> int | None:
        """The device that is meant by a name or an id."""
        found = self._reader.device_named(tenant, member)
        if found is None:
            id, type = self._ids.parse(member) or (0, 0)
            found = self._reader.device(id) if type == NODE else None
        return found.node if found is not None and found.tenant == tenant else None

    def _read(self, tenant: str, name: str) -> _Group:
        owner = self._inventory.tenant(tenant)
        below = self._reader.below(owner.id, (self._folder, name)) if owner is not None else ()
        return _group(below[1] if len(below) == 2 else None)


def _group(resource: Resource | None) -> _Group:
    members = None if resource is None else resource.attributes.get("nds")
    if resource is None or members is None:
        return _Group(None, frozenset(), None)
    return _Group(resource.id, frozenset(members), expires(resource.attributes))


def nobody(device: Candidate, groups: Collection[str]) -> str | None:
    """For where there are no groups."""
    return None
