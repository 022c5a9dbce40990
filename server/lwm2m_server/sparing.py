"""``Sparing``: devices listen as their profiles say, if nothing was set for them.

Nothing is stored for a device: what its profile says is asked when its engine gets to know it (``Nodes``),
when it registers, and when a profile, or who has which, changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from lwm2m_engine.engine.events import Event, Registered
from lwm2m_engine.engine.records import PowerSaving
from lwm2m_server.bus import Bus
from lwm2m_server.directory import key_of
from lwm2m_server.hub import Hub
from lwm2m_server.profiles.fleet import Fleet
from lwm2m_server.profiles.service import Profiles
from lwm2m_server.store.records import Device
from lwm2m_server.store.transaction import Reader

TURN: Final = 50
"""Devices looked at before others may run."""


class Sparing:
    """Belongs to the event loop."""

    def __init__(self, hub: Hub, reader: Reader, profiles: Profiles, fleet: Fleet, bus: Bus) -> None:
        self._hub, self._reader = hub, reader
        self._profiles, self._fleet = profiles, fleet
        self._tenants: dict[str, None] = {}
        """Those whose devices are to be looked at."""
        self._nodes: dict[int, None] = {}
        self._task: asyncio.Task[None] | None = None
        bus.subscribe(self._registered, Registered)
        profiles.subscribe(self._changed)

    async def close(self) -> None:
        """What is left is found when the engine gets to know its devices again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def power(self, device: Device) -> PowerSaving | None:
        """When a device listens: as was set for it, else as its profile says."""
        return device.power if device.power is not None else self._profiles.power(device)

    # --- what there is to look at ------------------------------------------------------------------

    def _registered(self, tenant: str, event: Event) -> None:
        if self._profiles.assignments(tenant).has_power:
            device = self._reader.device_of_endpoint(event.endpoint)
            if device is not None:
                self._look(device)

    def _changed(self, tenant: str, profile: str | None, nodes: Collection[int] | None) -> None:
        if nodes is None:
            self._tenants[tenant] = None
        else:
            self._nodes |= dict.fromkeys(nodes)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work(), name="power saving of profiles")

    async def _work(self) -> None:
        while self._tenants or self._nodes:
            if self._nodes:
                nodes = list(self._nodes)[:TURN]
                for node in nodes:
                    del self._nodes[node]
                self._look_at(nodes)
                await asyncio.sleep(0)
            else:
                tenant = next(iter(self._tenants))
                del self._tenants[tenant]
                await self._look_at_all(tenant)

    async def _look_at_all(self, tenant: str) -> None:
        """Devices that have what their profile says are not read."""
        assignments, engine = self._profiles.assignments(tenant), self._hub.engine(tenant)
        has_power = assignments.has_power
        async for page in self._fleet.everyone(tenant):
            for start in range(0, len(page), TURN):
                others = []
                for subject, found in page[start : start + TURN]:
                    wanted = assignments.mapping(found.profile).power if found and has_power else None
                    endpoint = subject.endpoint
                    if endpoint is not None and engine.power_saving(endpoint) != wanted:
                        others.append(subject.node)
                self._look_at(others)
                await asyncio.sleep(0)

    # --- one device --------------------------------------------------------------------------------

    def _look_at(self, nodes: Collection[int]) -> None:
        for node in nodes:
            device = self._reader.device(node)
            if device is not None:
                self._look(device)

    def _look(self, device: Device) -> None:
        key, engine = key_of(device), self._hub.engine(device.tenant)
        wanted = self.power(device)
        if self._hub.knows_device(key) and engine.power_saving(key) != wanted:
            self._hub.settle(device.tenant, engine.set_power_saving(key, wanted, self._hub.now()))
