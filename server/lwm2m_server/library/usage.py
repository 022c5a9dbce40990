"""``Usage``: who rests on an uploaded Object model, so that nobody takes it away by accident."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs

from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.spec import ObjectSpec
from lwm2m_server.store.announcements import Announced
from lwm2m_server.store.definitions import DeviceProfile
from lwm2m_server.store.protocols import Inventory, Ledger
from lwm2m_server.store.transaction import Reader

SHOWN: Final = 20
"""Users that are named; all are counted."""
_PATH: Final = re.compile(r"/(\d{1,5})(?:_(\d{1,5}\.\d{1,5}))?(?:/.*)?")
NOTHING: Final = Catalog()
Key: TypeAlias = tuple[int, str]
"""Object and version."""


@attrs.frozen(slots=True)
class Users:
    """In one tenant."""

    tenant: str
    profiles: tuple[str, ...] = ()
    devices: int = 0
    device_names: tuple[str, ...] = ()
    """The first of them."""

    def __bool__(self) -> bool:
        return bool(self.profiles or self.devices)


class Usage:
    """A device uses the definition that its values are read with: that of the version it announced, or the
    nearest there is. A profile uses what it names."""

    def __init__(self, inventory: Inventory, ledger: Ledger) -> None:
        self._inventory, self._ledger = inventory, ledger

    async def counts(self, tenant: str, catalog: Catalog) -> Mapping[Key, tuple[int, int]]:
        """How many profiles and devices of a tenant use each definition in force."""
        devices: Counter[Key] = Counter()
        for one in await self._ledger.apart(lambda reader: reader.announced(tenant)):
            for spec in _specs(one, catalog):
                devices[spec.id, spec.version] += one.devices
        profiles: dict[Key, set[str]] = {}
        for (id, version), names in self.profiles(tenant).items():
            for meant in (version,) if version is not None else catalog.versions(id):
                profiles.setdefault((id, meant), set()).update(names)
        return {key: (len(profiles.get(key, ())), devices[key]) for key in {*profiles, *devices}}

    def profiles(self, tenant: str) -> Mapping[tuple[int, str | None], Sequence[str]]:
        """The profiles of a tenant that name an Object, by what they name: with a version or without."""
        found: dict[tuple[int, str | None], list[str]] = {}
        for profile in self._inventory.profiles.of(tenant):
            for named in dict.fromkeys(_named(profile)):
                found.setdefault(named, []).append(profile.name)
        return found

    async def bereft(self, tenant: str, key: Key, before: Catalog, after: Catalog = NOTHING) -> Users:
        """Who uses a definition that would be gone: where ``after`` has the same version, nobody does."""
        if key in after or key not in before:
            return Users(tenant)
        named = self.profiles(tenant)
        names = [*named.get(key, ()), *(named.get((key[0], None), ()) if key[0] not in after else ())]
        devices, shown = await self._ledger.apart(lambda reader: _bereft(reader, tenant, key, before))
        return Users(tenant, tuple(sorted(set(names))), devices, shown)


def _bereft(reader: Reader, tenant: str, key: Key, catalog: Catalog) -> tuple[int, tuple[str, ...]]:
    """On the thread for long reads."""
    count = 0
    names: list[str] = []
    for one in reader.announced(tenant):
        if any((spec.id, spec.version) == key for spec in _specs(one, catalog)):
            count += one.devices
            names += reader.announcing(one, SHOWN)
    return count, tuple(sorted(names)[:SHOWN])


def _specs(one: Announced, catalog: Catalog) -> Iterator[ObjectSpec]:
    view = catalog.view(one.enabler, one.objects)
    for id in one.objects:
        spec = view.object(id)
        if spec is not None:
            yield spec


def _named(profile: DeviceProfile) -> Iterator[tuple[int, str | None]]:
    for text in _texts(profile.document):
        found = _PATH.fullmatch(text)
        if found is not None:
            yield int(found[1]), found[2]


def _texts(value: Any) -> Iterable[str]:
    """All of a document, names of members too: paths stand in both places."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, member in value.items():
            yield name
            yield from _texts(member)
    elif isinstance(value, Sequence):
        for member in value:
            yield from _texts(member)
