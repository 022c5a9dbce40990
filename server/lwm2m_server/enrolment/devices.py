"""``DeviceOffice``: devices come, change and go with all that belongs to them, each in one commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import attrs

from lwm2m_server.enrolment.newdevice import Changes, NewDevice
from lwm2m_server.enrolment.reading import Faulty
from lwm2m_server.onem2m.behaviours.context import Context, now
from lwm2m_server.onem2m.behaviours.groups import add_members, find_group, join_group
from lwm2m_server.onem2m.behaviours.nodes import NewNode, new_node, remove_node, store_node
from lwm2m_server.onem2m.checks import check_name
from lwm2m_server.onem2m.errors import BadRequest, NameTaken
from lwm2m_server.onem2m.rendering import without_lifecycle
from lwm2m_server.profiles.service import Profiles
from lwm2m_server.security.credentials import SIDES, Credential
from lwm2m_server.security.material import Material
from lwm2m_server.security.store import UNLESS_SAID
from lwm2m_server.store.errors import Conflict, Gone
from lwm2m_server.store.records import Device, Resource, Tenant
from lwm2m_server.store.transaction import Transaction

Also: TypeAlias = Callable[[Transaction], object]


class DeviceOffice:
    """Belongs to the event loop. What it raises says nothing of whose a name is that is taken."""

    def __init__(self, context: Context, material: Material, profiles: Profiles) -> None:
        self._context, self._material, self._profiles = context, material, profiles

    # --- a device comes ------------------------------------------------------------------------------

    async def create(
        self,
        tenant: Tenant,
        new: NewDevice,
        *,
        join: bool = True,
        also: Also = lambda transaction: None,
        proven: bool = False,
    ) -> Device:
        """All of it or nothing. Without ``join`` its groups are for the caller to see to; ``also`` is done in
        the same commit; it may have ``proven`` its credentials already. Raises ``Faulty``, ``Conflict``,
        ``CommitFailed``."""
        context = self._context
        joined = self.groups(tenant, new.groups) if join else []
        self.check_profile(tenant, new.profile)
        try:
            node = new_node(context, tenant, new.name, new.node_id, new.labels)
        except BadRequest as error:
            raise Faulty({"name": str(error)}) from error
        node = attrs.evolve(node, endpoint=new.credentials.endpoint)
        try:
            with context.reserve(tenant.name, new.name):
                commit = context.devices.change(partial(self._store, node, new, joined, also))
                await context.credentials.kept(node.node.id, commit, proven=proven)
        except NameTaken as error:
            raise Conflict(str(error)) from error
        context.routes.arrived(tenant.name, new.name)
        for group in joined:
            context.routes.changed(group.id)
        device = context.reader.device(node.node.id)
        if device is None:
            raise Gone("it was removed meanwhile")
        return device

    def _store(
        self, node: NewNode, new: NewDevice, groups: Sequence[Resource], also: Also, transaction: Transaction
    ) -> None:
        other = transaction.device_of_endpoint(new.credentials.endpoint)
        store_node(self._context, node, transaction)
        if other is not None:
            raise Conflict("the endpoint name is taken")
        device = transaction.device(node.node.id)
        assert device is not None
        self._write(transaction, device, new)
        if new.profile is not None:
            transaction.set_profile(device.node, new.profile)
        for group in groups:
            add_members(self._context, transaction, group.id, (new.name,))
        also(transaction)

    def _write(self, transaction: Transaction, device: Device, new: NewDevice | Changes) -> None:
        given = new.credentials
        if given is None:
            return
        credentials = self._context.credentials
        credentials.write(transaction, device, "management", given.management, given.endpoint)
        credentials.write(transaction, device, "bootstrap", given.bootstrap, given.endpoint)
        self._material.write(transaction, device.node, given.sections)

    async def join(self, tenant: Tenant, group: str, names: Sequence[str]) -> None:
        """Devices that are there are in a group from now on; one that is gone is let be."""
        found = find_group(self._context, tenant, group)
        if found is not None:
            await join_group(self._context, found.id, names)

    def check(self, tenant: Tenant, new: NewDevice) -> None:
        """Whether it could come now, groups apart. Raises ``Faulty``, ``Conflict``."""
        context, given = self._context, new.credentials
        self.check_profile(tenant, new.profile)
        try:
            check_name(new.name)
        except BadRequest as error:
            raise Faulty({"name": str(error)}) from error
        if self.is_taken(tenant, new.name):
            raise Conflict(f"the name {new.name!r} is taken")
        for what, value in (("endpoint name", given.endpoint), ("node id", new.node_id)):
            if context.reader.device_of_endpoint(value) is not None:
                raise Conflict(f"the {what} is taken")
        for side, credential in zip(SIDES, (given.management, given.bootstrap), strict=True):
            if context.credentials.identities(side).is_taken(credential):
                raise Conflict("the security identity is taken")

    def groups(self, tenant: Tenant, names: Sequence[str]) -> list[Resource]:
        """Raises ``Faulty`` for one that there is not."""
        found = []
        for name in names:
            group = find_group(self._context, tenant, name)
            if group is None:
                raise Faulty({"groups": f"there is no group {name[:80]!r}"})
            found.append(group)
        return found

    def check_profile(self, tenant: Tenant, name: str | None) -> None:
        """Raises ``Faulty``."""
        if name is not None and self._profiles.named(tenant.name, name) is None:
            raise Faulty({"profile": f"there is no device profile {name[:80]!r}"})

    # --- a device changes ----------------------------------------------------------------------------

    async def change(self, tenant: Tenant, device: Device, changes: Changes) -> None:
        """Other credentials end the registration. Raises as ``create``, and ``Gone``."""
        context, given = self._context, changes.credentials
        groups = self.groups(tenant, changes.groups)
        profile = changes.profile[0] if changes.profile is not None else device.profile
        self.check_profile(tenant, profile)
        if given is not None and given.management == UNLESS_SAID["management"]:
            self._check_endpoint(device, given.endpoint)

        def store(transaction: Transaction) -> None:
            self._write(transaction, device, changes)
            if changes.labels is not None:
                self._label(transaction, device.node, changes.labels)
            if profile != device.profile:
                transaction.set_profile(device.node, profile)
            for group in groups:
                add_members(context, transaction, group.id, (device.name,))

        if given is not None and self._differs(device, given.management, given.endpoint):
            commit = context.devices.end(device, store)
        else:
            commit = context.devices.change(store)
        await context.credentials.kept(device.node, commit)
        for group in groups:
            context.routes.changed(group.id)
        if profile != device.profile:
            self._profiles.changed(tenant.name, profile, (device.node,))

    def _differs(self, device: Device, management: Credential, endpoint: str) -> bool:
        credentials = self._context.credentials
        row = credentials.row(device.node, "management")
        return credentials.find(device.node, "management") != management or (
            row is not None and row.endpoint != endpoint
        )

    def _check_endpoint(self, device: Device, endpoint: str) -> None:
        """Without a key there is nothing a new name could be proved with."""
        if endpoint not in (device.endpoint, device.name, device.node_id):
            raise Faulty({"client.endpoint": "mode NO_SEC keeps the endpoint name that the device has"})

    def _label(self, transaction: Transaction, node: int, labels: Sequence[str]) -> None:
        stored = transaction.resource(node)
        if stored is None:
            raise Gone("the node was removed")
        rest: Mapping[str, Any] = {name: value for name, value in stored.attributes.items() if name != "lbl"}
        kept = without_lifecycle(list(labels))
        changed = transaction.change(node, {**rest, **({"lbl": kept} if kept else {})}, now())
        if changed is not None:
            self._context.notices.updated(transaction, stored, changed)

    # --- a device goes -------------------------------------------------------------------------------

    async def remove(self, tenant: Tenant, device: Device) -> None:
        """With its messages and its registration."""
        await remove_node(self._context, tenant, device)

    # --- is it the same ------------------------------------------------------------------------------

    def differences(self, device: Device, new: NewDevice) -> list[str]:
        """What of ``new`` a device that is there has not."""
        credentials, given = self._context.credentials, new.credentials
        node = self._context.reader.resource(device.node)
        labels = node.attributes.get("lbl", ()) if node is not None else ()
        stored = self._material.stored(self._context.reader, device.node)
        row = credentials.row(device.node, "management")
        endpoint = row.endpoint if row is not None else device.endpoint
        checks = {
            "nodeId": device.node_id == new.node_id,
            "endpoint": endpoint == given.endpoint,
            "profile": device.profile == new.profile,
            "labels": set(without_lifecycle(list(new.labels))) <= set(labels),
            "client": credentials.find(device.node, "management") == given.management,
            "bootstrap": credentials.find(device.node, "bootstrap") == given.bootstrap
            and stored == dict(given.sections),
        }
        return [name for name, is_same in checks.items() if not is_same]

    def is_taken(self, tenant: Tenant, name: str) -> bool:
        """Whether something directly below the tenant's root has this name."""
        context = self._context
        return (
            context.inventory.application(tenant.name, name) is not None
            or context.reader.child(tenant.id, name) is not None
        )

    def named(self, tenant: Tenant, name: str) -> Device | None:
        return self._context.reader.device_named(tenant.name, name)
