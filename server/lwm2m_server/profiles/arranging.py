"""``Arranging``: devices are set up as their profiles say, when they register and when a profile changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import Final, Protocol, TypeAlias

from lwm2m_engine.engine import Arrangement, Engine, Group, Registration
from lwm2m_engine.engine.events import Event, Registered, RegistrationChanged, Updated
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_server.bus import Bus
from lwm2m_server.profiles.arrangements import Plan, plan
from lwm2m_server.profiles.mapping import EMPTY, ProfileMapping
from lwm2m_server.profiles.service import Profiles
from lwm2m_server.store.records import DeviceRef, Subject
from lwm2m_server.store.transaction import Reader

SLICE: Final = 0.002
"""Seconds of work before others are let in, and until it goes on."""
PAGE: Final = 50
"""Devices read at once when all of a tenant are looked at."""
KINDS: Final = 4096
"""Plans kept in memory: devices with one profile that announce the same have the same."""

DEVICE_INSTANCE: Final = Path("/3/0")
DESCRIPTION: Final = Arrangement(reads=(Group((DEVICE_INSTANCE,)),))
"""Manufacturer and model are there."""

_Kind: TypeAlias = tuple[ProfileMapping, tuple[Path, ...], tuple[tuple[int, str], ...]]


class Devices(Protocol):
    """Those that engines know; ``Wishes`` has them."""

    def known(self, endpoint: str) -> DeviceRef | None: ...
    def engine(self, tenant: str) -> Engine: ...
    def arrange(self, device: DeviceRef, wanted: Arrangement | None, notes: Collection[str]) -> None: ...


class Arranging:
    """Belongs to the event loop and never keeps it for long: devices stand in line.

    What a device has been set up with is in its registration, so a restart makes no difference.
    """

    def __init__(self, profiles: Profiles, devices: Devices, reader: Reader, bus: Bus) -> None:
        self._profiles, self._devices, self._reader = profiles, devices, reader
        self._line: dict[str | int, None] = {}
        """Endpoint names and nodes, the first one next."""
        self._sweeps: dict[str, int] = {}
        """Tenants all of whose devices are looked at, and the last node that was."""
        self._plans: dict[_Kind, tuple[ModelView, Plan]] = {}
        self._instances: dict[int, tuple[Path, ...]] = {}
        """By the ``id`` of an arrangement in a plan, those it was made for."""
        self._timer: asyncio.Handle | None = None
        self._closed = False
        bus.subscribe(self._heard, Registered, Updated, RegistrationChanged)
        profiles.subscribe(self._changed)

    def look_at(self, tenants: Collection[str]) -> None:
        """Devices came back from the ledger, or other models are in force: what is to hold at them may be
        something else than what does."""
        self._sweeps |= dict.fromkeys(tenants, -1)
        self._soon(0.0)

    def close(self) -> None:
        """What is left will be done after the next start."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    # --- who has to be looked at -------------------------------------------------------------------

    def _heard(self, tenant: str, event: Event) -> None:
        assert isinstance(event, (Registered, Updated, RegistrationChanged))
        if isinstance(event, Updated) and not event.changed:
            # Nearly all there is to hear.
            return
        assignments = self._profiles.assignments(tenant)
        if not assignments:
            return
        # Another automatic read may be done, or it is set up farther; else it has other Instances.
        is_progress = isinstance(event, RegistrationChanged) and not assignments.asks_what_they_are
        if not is_progress or not self._is_planned(tenant, event.registration):
            self._line[event.endpoint] = None
            self._soon(0.0)

    def _is_planned(self, tenant: str, registration: Registration) -> bool:
        """Whether its Instances are those that the device is set up for."""
        arrangement = self._devices.engine(tenant).arrangement(registration.endpoint)
        return self._instances.get(id(arrangement)) == registration.instances

    def _changed(self, tenant: str, profile: str | None, nodes: Collection[int] | None) -> None:
        """A profile, or which one is for a device. Those that never registered have nothing to set up."""
        if nodes is None:
            self._sweeps[tenant] = -1
        else:
            self._line |= dict.fromkeys(nodes)
        self._soon(0.0)

    # --- one after the other -----------------------------------------------------------------------

    def _soon(self, delay: float) -> None:
        if self._timer is None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(delay, self._work)

    def _work(self) -> None:
        self._timer = None
        end = time.perf_counter() + SLICE
        while self._line or self._sweeps:
            if self._line:
                first = next(iter(self._line))
                del self._line[first]
                self._look(first)
            else:
                self._look_at_all(next(iter(self._sweeps)))
            if time.perf_counter() >= end:
                self._soon(SLICE)
                return

    def _look(self, device: str | int) -> None:
        known = self._devices.known(device) if isinstance(device, str) else None
        node = device if isinstance(device, int) else None if known is None else known.node
        subject = None if node is None else self._reader.subject(node)
        if subject is not None:
            self._arrange(subject)

    def _look_at_all(self, tenant: str) -> None:
        """Some of them; the sweep goes on after that."""
        subjects = self._reader.subjects(tenant, after=self._sweeps[tenant], limit=PAGE)
        if len(subjects) < PAGE:
            del self._sweeps[tenant]
        else:
            self._sweeps[tenant] = subjects[-1].node
        for subject in subjects:
            self._arrange(subject)

    def _arrange(self, subject: Subject) -> None:
        device = self._devices.known(subject.endpoint) if subject.endpoint is not None else None
        if device is None:
            return
        engine = self._devices.engine(device.tenant)
        registration = engine.registration(device.endpoint)
        if registration is None:
            return
        mapping = self._profiles.mapping(subject)
        if mapping is EMPTY:
            self._devices.arrange(device, self._description(subject, registration), ())
            return
        wanted = self._plan(mapping, registration, engine.models(device.endpoint))
        known = engine.arrangement(device.endpoint)
        if known is not wanted.arrangement:
            is_new = registration.arranged.digest != wanted.arrangement.digest
            self._devices.arrange(device, wanted.arrangement, wanted.notes if is_new else ())

    def _description(self, subject: Subject, registration: Registration) -> Arrangement | None:
        """Some rule may be for a device that has not told what it is, and nobody else asks it."""
        if not self._profiles.assignments(subject.tenant).asks_what_they_are:
            return None
        is_asked = DEVICE_INSTANCE in registration.unread or DEVICE_INSTANCE[0] not in registration.objects
        return None if is_asked or any(self._reader.described(subject.node)) else DESCRIPTION

    def _plan(self, mapping: ProfileMapping, registration: Registration, models: ModelView) -> Plan:
        kind = mapping, registration.instances, tuple(registration.objects.items())
        found = self._plans.get(kind)
        if found is not None and found[0] is models:
            return found[1]
        if len(self._plans) >= KINDS:
            self._plans.clear()
            self._instances.clear()
        made = plan(mapping, registration, models)
        self._plans[kind] = models, made
        self._instances[id(made.arrangement)] = registration.instances
        return made
