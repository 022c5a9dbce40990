"""``Impact``: what the devices of a profile would be asked, if it were another one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Final, Protocol, TypeAlias

import attrs

from lwm2m_engine.engine import Arrangement, Engine, Group, Registration
from lwm2m_engine.messages.requests import (
    Cancel,
    CancelComposite,
    Observe,
    ObserveComposite,
    Read,
    ReadComposite,
    WriteAttributes,
)
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_server.profiles.arrangements import plan
from lwm2m_server.profiles.fleet import Fleet
from lwm2m_server.profiles.mapping import ProfileMapping
from lwm2m_server.store.records import DeviceRef, Subject

SLICE: Final = 0.002
"""Seconds of work before others are let in."""
LONGEST: Final = 2.0
"""Seconds of work in all; of a fleet that takes longer, only a part is looked at."""

Asked: TypeAlias = (
    Cancel | CancelComposite | WriteAttributes | Observe | ObserveComposite | Read | ReadComposite
)
_Kind: TypeAlias = tuple[int, tuple[Path, ...], tuple[tuple[int, str], ...]]


class Devices(Protocol):
    """Those that engines know; ``Wishes`` has them."""

    def known(self, endpoint: str) -> DeviceRef | None: ...
    def engine(self, tenant: str) -> Engine: ...


@attrs.frozen(slots=True)
class Difference:
    """What one device would be asked, and what of the new profile it cannot do."""

    requests: tuple[Asked, ...]
    notes: tuple[str, ...]


@attrs.frozen(slots=True)
class Touched:
    device: Subject
    difference: Difference


@attrs.define(slots=True)
class Fleetwide:
    """Counts of a profile's devices, and the first of those that would be asked anything."""

    devices: int = 0
    registered: int = 0
    touched: int = 0
    examples: list[Touched] = attrs.Factory(list)
    is_complete: bool = True
    """Whether all that are registered were looked at."""


class Impact:
    """A device that is not registered is asked nothing now: it is set up when it registers."""

    def __init__(self, fleet: Fleet, devices: Devices) -> None:
        self._fleet, self._devices = fleet, devices

    async def of(
        self, tenant: str, profile: str, former: ProfileMapping, wanted: ProfileMapping, *, most: int
    ) -> Fleetwide:
        """``most`` is how many examples there may be."""
        found, look = Fleetwide(), _Look(former, wanted)
        spent, begun = 0.0, time.perf_counter()
        async for page in self._fleet.devices(tenant, profile):
            found.devices += len(page)
            begun = time.perf_counter()
            for device, _ in page:
                if spent > LONGEST:
                    found.is_complete = False
                    break
                self._count(found, look, tenant, device, most)
                if time.perf_counter() - begun > SLICE:
                    spent += time.perf_counter() - begun
                    await asyncio.sleep(0)
                    begun = time.perf_counter()
            spent += time.perf_counter() - begun
        return found

    def _count(self, found: Fleetwide, look: _Look, tenant: str, device: Subject, most: int) -> None:
        known = self._devices.known(device.endpoint) if device.endpoint is not None else None
        engine = self._devices.engine(tenant) if known is not None else None
        registration = engine.registration(known.endpoint) if known is not None and engine else None
        if known is None or engine is None or registration is None:
            return
        found.registered += 1
        difference = look.at(registration, engine.models(known.endpoint))
        if difference.requests:
            found.touched += 1
            if len(found.examples) < most:
                found.examples.append(Touched(device, difference))


class _Look:
    """Devices that announce the same are asked the same."""

    def __init__(self, former: ProfileMapping, wanted: ProfileMapping) -> None:
        self._former, self._wanted = former, wanted
        self._known: dict[_Kind, tuple[ModelView, Difference]] = {}

    def at(self, registration: Registration, models: ModelView) -> Difference:
        kind = id(models), registration.instances, tuple(registration.objects.items())
        found = self._known.get(kind)
        if found is None:
            former = plan(self._former, registration, models).arrangement
            wanted = plan(self._wanted, registration, models)
            difference = Difference(tuple(requests(former, wanted.arrangement)), wanted.notes)
            # With the models, so that no others are at the same place.
            found = self._known[kind] = models, difference
        return found[1]


def requests(former: Arrangement, wanted: Arrangement) -> Iterator[Asked]:
    """What leads from one arrangement, all of which is done, to another; in the order it is asked."""
    for group in _only(former.observations, wanted.observations):
        yield CancelComposite(group.paths) if group.composite else Cancel(group.paths[0])
    for path in dict.fromkeys(path for path, _ in (*wanted.attributes, *former.attributes)):
        was, is_ = former.attributes_of(path), wanted.attributes_of(path)
        if was != is_:
            bare = tuple((name, None) for name, _ in was if name not in dict(is_))
            yield WriteAttributes(path, (*is_, *bare))
    for group in _only(wanted.observations, former.observations):
        yield ObserveComposite(group.paths) if group.composite else Observe(group.paths[0])
    for group in _only(wanted.reads, former.reads):
        yield ReadComposite(group.paths) if group.composite else Read(group.paths[0])


def _only(some: Sequence[Group], others: Sequence[Group]) -> list[Group]:
    known = frozenset(others)
    return [one for one in some if one not in known]
