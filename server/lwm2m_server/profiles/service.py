"""``Profiles``: the device profiles in force, and which of them is for a device."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, TypeAlias

from lwm2m_engine.engine.records import PowerSaving
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_server.profiles.assignment import Assigned, Assignments, Candidate, GroupOf
from lwm2m_server.profiles.groups import nobody
from lwm2m_server.profiles.keys import Keys
from lwm2m_server.profiles.mapping import EMPTY, ProfileMapping
from lwm2m_server.store.definitions import DeviceProfile
from lwm2m_server.store.protocols import Inventory
from lwm2m_server.store.records import Device
from lwm2m_server.store.transaction import Reader

Listener: TypeAlias = Callable[[str, str | None, Collection[int] | None], object]
"""Told the tenant, the profile that changed (``None``: any may be another one's now), and the nodes it is
about (``None``: all that have the profile). Must return at once."""
_KINDS: Final = 1024
"""Kinds of devices whose names are kept in memory."""
_Kind: TypeAlias = tuple[str, str | None, tuple[Path, ...]]


class Profiles:
    """Belongs to the event loop; nothing here reads more than a row or two."""

    def __init__(self, inventory: Inventory, reader: Reader, *, group_of: GroupOf = nobody) -> None:
        self._kept = inventory.profiles
        self._reader, self._group_of = reader, group_of
        self._listeners: list[Listener] = []
        self._seen: object = None
        self._assignments: dict[str, Assignments] = {}
        self._former: dict[str, Assignments] = {}
        self._keys: dict[_Kind, tuple[ModelView, ProfileMapping, Keys]] = {}

    # --- for devices -------------------------------------------------------------------------------

    def of(self, device: Candidate) -> DeviceProfile | None:
        """The profile that counts for a device."""
        found = self.assigned(device)
        return None if found is None else found.profile

    def assigned(self, device: Candidate) -> Assigned | None:
        """The same, and why."""
        return self.assignments(device.tenant).of(device, self._group_of, self._reader.described)

    def mapping(self, device: Candidate) -> ProfileMapping:
        """What its profile says; that without one is empty. The same object until it says something else."""
        profile = self.of(device)
        return EMPTY if profile is None else self.assignments(device.tenant).mapping(profile)

    def power(self, device: Candidate) -> PowerSaving | None:
        """When it listens, unless that was set for the device itself."""
        if not self.assignments(device.tenant).has_power:
            return None
        return self.mapping(device).power

    def unannounced(self, tenant: str, endpoint: str) -> str | None:
        """The version of Objects that a device announces without one; ``None`` for that of LwM2M."""
        if not self.assignments(tenant).has_versions:
            return None
        device = self._reader.device_of_endpoint(endpoint)
        return None if device is None or device.tenant != tenant else self.mapping(device).version

    def keys(self, device: Device, models: ModelView) -> Keys:
        """What its Resources are called. The same object for devices of one kind."""
        profile, registration = self.of(device), device.registration
        mapping = EMPTY if profile is None else self.assignments(device.tenant).mapping(profile)
        instances = () if registration is None else registration.instances
        kind = device.tenant, None if profile is None else profile.name, instances
        found = self._keys.get(kind)
        if found is not None and found[0] is models and found[1] is mapping:
            return found[2]
        if len(self._keys) >= _KINDS:
            self._keys.clear()
        objects = {} if registration is None else registration.objects
        keys = Keys(models, mapping, objects, instances)
        self._keys[kind] = models, mapping, keys
        return keys

    # --- those there are ---------------------------------------------------------------------------

    def assignments(self, tenant: str) -> Assignments:
        """The profiles of a tenant; another object after each change."""
        if self._kept.all() is not self._seen:
            self._seen = self._kept.all()
            self._former, self._assignments = self._assignments, {}
        found = self._assignments.get(tenant)
        if found is None:
            found = Assignments(self._kept.of(tenant), self._former.get(tenant))
            self._assignments[tenant] = found
        return found

    def named(self, tenant: str, name: str) -> DeviceProfile | None:
        """By its name, or one it had and is still assigned by."""
        return self.assignments(tenant).named(name)

    # --- changes -----------------------------------------------------------------------------------

    def subscribe(self, listener: Listener) -> None:
        """Be told of changes that are durable."""
        self._listeners.append(listener)

    def changed(self, tenant: str, profile: str | None, nodes: Collection[int] | None = None) -> None:
        """Tell those who listen. To be called by whoever changed a profile, or what a device is assigned."""
        for listener in self._listeners:
            listener(tenant, profile, nodes)
