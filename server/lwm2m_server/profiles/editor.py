"""``Editor``: device profiles come, change and go, and are assigned."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

import attrs
import structlog

from lwm2m_server.profiles.checks import Versions
from lwm2m_server.profiles.document import Draft, read, tag_of
from lwm2m_server.profiles.groups import Memberships
from lwm2m_server.profiles.service import Profiles
from lwm2m_server.store.definitions import DeviceProfile, Enrolment, ProfileRule
from lwm2m_server.store.errors import CommitFailed, Conflict
from lwm2m_server.store.expiration import Clock
from lwm2m_server.store.ids import SECOND
from lwm2m_server.store.protocols import Inventory, Ledger
from lwm2m_server.store.records import Device
from lwm2m_server.store.transaction import Transaction

MAX_PROFILES: Final = 1_000
"""Of a tenant."""
MOVED: Final = 500
"""Devices that get another profile in one commit."""
SHOWN: Final = 10
"""Devices that a refusal names."""
FEW: Final = 50
"""Devices that listeners are told one by one; of more, that any may have another profile."""

_log = structlog.get_logger(__name__)


class Overtaken(Exception):
    """A profile is not any more what somebody thought when they changed it."""


@attrs.frozen(slots=True)
class Users:
    """Who would miss a profile."""

    devices: Sequence[str]
    """The first of those that it was assigned to by name."""
    groups: Sequence[str]
    rules: int
    is_default: bool
    enrolments: Sequence[str]
    """Names of rules of enrolment that give it to devices."""

    def __bool__(self) -> bool:
        return bool(self.devices or self.groups or self.rules or self.is_default or self.enrolments)

    def __str__(self) -> str:
        devices = f"the devices {', '.join(self.devices)}" if self.devices else ""
        more = " and perhaps more" if len(self.devices) == SHOWN else ""
        groups = f"the groups {', '.join(self.groups)}" if self.groups else ""
        rules = f"{self.rules} rules" if self.rules else ""
        default = "all devices without another one" if self.is_default else ""
        enrolments = f"the enrolment rules {', '.join(self.enrolments)}" if self.enrolments else ""
        return "; ".join(text for text in (devices + more, groups, rules, default, enrolments) if text)


class Editor:
    """One change after the other; each is durable when its coroutine returns, and listeners are told then.

    All raise ``CommitFailed`` if nothing of it is stored.
    """

    def __init__(
        self,
        inventory: Inventory,
        ledger: Ledger,
        profiles: Profiles,
        memberships: Memberships,
        versions: Callable[[str], Versions],
        *,
        clock: Clock = time.time,
    ) -> None:
        """``versions`` gives a tenant's models."""
        self._clock = clock
        self._kept, self._enrolments = inventory.profiles, inventory.enrolments
        self._ledger, self._profiles = ledger, profiles
        self._memberships, self._versions = memberships, versions
        self._changing = asyncio.Lock()
        self._moves: set[asyncio.Task[None]] = set()

    async def read(self, tenant: str, document: object) -> Draft:
        """As it would be kept. Raises ``ProfileRejected``."""
        return await asyncio.to_thread(read, document, self._versions(tenant))

    # --- profiles ------------------------------------------------------------------------------------

    async def add(self, tenant: str, name: str, data: Mapping[str, Any]) -> DeviceProfile:
        """Raises ``Conflict``."""
        async with self._changing:
            self._check_free(tenant, name)
            if len(self._kept.of(tenant)) >= MAX_PROFILES:
                raise Conflict(f"the tenant has {MAX_PROFILES} profiles, and cannot have more")
            profile = DeviceProfile(tenant, name, data, changed_at=self._now())
            await self._kept.add(profile)
        return profile

    async def replace(
        self, tenant: str, name: str, new_name: str, data: Mapping[str, Any], *, expected: str | None = None
    ) -> DeviceProfile:
        """Under another name, if it is one. ``expected`` is the ``tag_of`` the one that is to be replaced.
        Raises ``KeyError``, ``Conflict``, ``Overtaken``."""
        async with self._changing:
            former = self._found(tenant, name)
            if expected is not None and expected != tag_of(former.name, former.document):
                raise Overtaken(name)
            profile = attrs.evolve(former, name=new_name, document=data, changed_at=self._now())
            if new_name != name:
                self._check_free(tenant, new_name)
                profile = attrs.evolve(profile, former=(*former.former, name))
            await self._kept.put(profile)
            if new_name != name:
                await self._rename(profile)
        self._profiles.changed(tenant, new_name)
        return profile

    async def remove(self, tenant: str, name: str) -> None:
        """With what it was assigned. Raises ``KeyError``."""
        async with self._changing:
            profile = self._found(tenant, name)
            await self._kept.put(attrs.evolve(profile, groups=(), rules=(), is_default=False))
            names = (name, *profile.former)
            for known in names:
                await self._move(tenant, known, None)
            await self._enrol(tenant, names, None)
            await self._kept.remove(tenant, name)
        self._profiles.changed(tenant, None)

    def users(self, profile: DeviceProfile) -> Users:
        nodes: list[int] = []
        names = (profile.name, *profile.former)
        for name in names:
            nodes += self._ledger.reader.assigned(profile.tenant or "", name, limit=SHOWN)
        subjects = (self._ledger.reader.subject(node) for node in nodes[:SHOWN])
        devices = [subject.name for subject in subjects if subject is not None]
        enrolments = [one.name for one in self._enrolling(profile.tenant or "", names)]
        return Users(devices, profile.groups, len(profile.rules), profile.is_default, enrolments)

    # --- assignment ----------------------------------------------------------------------------------

    async def assign(self, device: Device, name: str | None) -> None:
        """To one device, or back to what there is for it otherwise. Raises ``KeyError``, ``Gone``."""
        async with self._changing:
            profile = None if name is None else self._found(device.tenant, name)
            await self._ledger.commit(lambda write: write.set_profile(device.node, name))
        self._profiles.changed(device.tenant, None if profile is None else profile.name, (device.node,))

    async def appoint(
        self,
        tenant: str,
        name: str,
        groups: Sequence[str],
        rules: Sequence[ProfileRule],
        is_default: bool,
    ) -> DeviceProfile:
        """To groups, by rules, as the default. Raises ``KeyError``, ``Conflict`` for a group that has
        another one."""
        async with self._changing:
            profile = self._found(tenant, name)
            assignments = self._profiles.assignments(tenant)
            for group in groups:
                other = assignments.of_group(group)
                if other is not None and other.name != name:
                    raise Conflict(f"the profile {other.name!r} is for the group {group!r}")
            changed = attrs.evolve(profile, groups=tuple(groups), rules=tuple(rules), is_default=is_default)
            default = assignments.default if is_default else None
            others = [] if default in (None, profile) else [attrs.evolve(default, is_default=False)]
            await self._kept.put_all([changed, *others])
        self._profiles.changed(tenant, None)
        return changed

    def regrouped(self, group: int) -> None:
        """A device group came, changed or went."""
        found = self._memberships.changed(group)
        if found is None:
            return
        tenant, name, members = found
        if name not in self._profiles.assignments(tenant).groups or not members:
            return
        nodes = None
        if len(members) <= FEW:
            known = (self._memberships.node(tenant, member) for member in members)
            nodes = [node for node in known if node is not None]
        self._profiles.changed(tenant, None, nodes)

    # --- other names ---------------------------------------------------------------------------------

    async def resume(self) -> None:
        """At start: finish renaming."""
        for profile in self._kept.all():
            if profile.former:
                await self._rename(profile)

    async def close(self) -> None:
        """What is not moved yet will be, after the next start."""
        for task in self._moves:
            task.cancel()
        await asyncio.gather(*self._moves, return_exceptions=True)

    async def _rename(self, profile: DeviceProfile) -> None:
        """What has it by a former name gets the one it has. What does not happen any more, does at the next
        start."""
        tenant = profile.tenant or ""
        await self._enrol(tenant, profile.former, profile.name)
        for former in profile.former:
            await self._kept.remove(tenant, former)
        task = asyncio.get_running_loop().create_task(self._follow(profile), name="profile renamed")
        self._moves.add(task)
        task.add_done_callback(self._moves.discard)

    async def _follow(self, profile: DeviceProfile) -> None:
        """Devices it is assigned to by a former name get the one it has."""
        tenant = profile.tenant or ""
        try:
            for former in profile.former:
                await self._move(tenant, former, profile.name)
            async with self._changing:
                kept = self._kept.get(tenant, profile.name)
                if kept is not None:
                    rest = tuple(name for name in kept.former if name not in profile.former)
                    await self._kept.put(attrs.evolve(kept, former=rest))
        except CommitFailed as error:
            # It goes by both names until then.
            hint = "this is done at the next start"
            _log.error("a renamed profile is not moved", profile=profile.name, reason=str(error), hint=hint)

    async def _move(self, tenant: str, former: str, name: str | None) -> None:
        move, moved = partial(_moved, tenant, former, name), MOVED
        while moved == MOVED:
            moved = await self._ledger.commit(move)

    def _enrolling(self, tenant: str, names: Collection[str]) -> Sequence[Enrolment]:
        return [one for one in self._enrolments.of(tenant) if one.document.get("profile") in names]

    async def _enrol(self, tenant: str, names: Collection[str], name: str | None) -> None:
        """Rules of enrolment that have a profile by one of these names have another one, or none."""
        changed = [
            attrs.evolve(one, document={**one.document, "profile": name})
            for one in self._enrolling(tenant, names)
        ]
        if changed:
            await self._enrolments.put_all(changed)

    # --- checks --------------------------------------------------------------------------------------

    def _now(self) -> int:
        return int(self._clock() * SECOND)

    def _found(self, tenant: str, name: str) -> DeviceProfile:
        found = self._kept.get(tenant, name)
        if found is None:
            raise KeyError(name)
        return found

    def _check_free(self, tenant: str, name: str) -> None:
        taken = self._profiles.named(tenant, name)
        if taken is not None and taken.name != name:
            raise Conflict(f"{name!r} was the name of {taken.name!r}, and some devices have it still")
        if taken is not None:
            raise Conflict(f"there is a profile {name!r}")


def _moved(tenant: str, former: str, name: str | None, write: Transaction) -> int:
    return write.move_assigned(tenant, former, name, MOVED)
