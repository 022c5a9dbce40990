"""``Campaigns``: packages for many devices, wave by wave. Definitions are in the inventory, how far each is
in the ledger."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import attrs
import structlog

from lwm2m_engine.engine.events import Event, Registered
from lwm2m_server.bus import Bus
from lwm2m_server.store.definitions import Campaign, Package
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.protocols import Collection, Ledger
from lwm2m_server.updates import campaign_plan as plan
from lwm2m_server.updates.campaign_definition import Definition
from lwm2m_server.updates.campaign_document import BadCampaign, document_of
from lwm2m_server.updates.campaign_plan import NotNow, Run
from lwm2m_server.updates.campaign_runner import CHUNK, Key, Preview, Runner, run_of, tally_of
from lwm2m_server.updates.campaign_targets import Knowledge
from lwm2m_server.updates.course import State
from lwm2m_server.updates.records import Update
from lwm2m_server.updates.service import Updates

PACE: Final = 0.2
"""Seconds between two looks at one campaign, that many things may have happened to."""
RETRY_AFTER: Final = 1.0
"""Seconds after which the store is tried again."""

_log = structlog.get_logger(__name__)


@attrs.define(eq=False)
class _Driver:
    """Of a campaign that is not over."""

    wake: asyncio.Event = attrs.field(factory=asyncio.Event)
    lock: asyncio.Lock = attrs.field(factory=asyncio.Lock)
    task: asyncio.Task[None] | None = None


class Campaigns:
    """Belongs to the event loop. Call ``start`` when updates have been started."""

    def __init__(
        self,
        ledger: Ledger,
        campaigns: Collection[Campaign],
        packages: Collection[Package],
        updates: Updates,
        bus: Bus,
        knowledge: Knowledge,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger, self._kept, self._packages = ledger, campaigns, packages
        self._updates, self._bus, self._clock = updates, bus, clock
        self._runner = Runner(ledger, campaigns, packages, updates, knowledge, clock)
        self._drivers: dict[Key, _Driver] = {}

    # --- definitions -------------------------------------------------------------------------------

    def of(self, tenant: str) -> Sequence[Campaign]:
        return self._kept.of(tenant)

    def definition(self, tenant: str, name: str) -> Definition | None:
        return self._runner.definition((tenant, name))

    def run(self, tenant: str, name: str) -> Run | None:
        """``None`` for a draft."""
        return run_of(self._ledger.reader, (tenant, name))

    def user_of(self, tenant: str, package: str) -> str | None:
        """A campaign that needs a package, as people call it."""
        for one in self.of(tenant):
            if one.document["package"] == package:
                run = self.run(tenant, one.name)
                if run is None or not run.state.is_final:
                    return f"the campaign {one.name}"
        return None

    async def preview(self, tenant: str, definition: Definition, limit: int) -> Preview:
        """Which devices it would be for now; so many of them by name. Raises ``BadCampaign``."""
        self._check(tenant, definition)
        return await self._runner.preview(tenant, definition, limit)

    async def add(self, tenant: str, name: str, definition: Definition) -> None:
        """Raises ``BadCampaign``, ``Conflict``, ``CommitFailed``."""
        self._check(tenant, definition)
        await self._kept.add(Campaign(tenant, name, document_of(definition)))

    async def change(self, tenant: str, name: str, definition: Definition) -> None:
        """Of a draft. Raises ``BadCampaign``, ``NotNow``, ``CommitFailed``."""
        self._check(tenant, definition)
        if self.run(tenant, name) is not None:
            raise NotNow("the campaign was started; only a draft can be changed")
        await self._kept.put(Campaign(tenant, name, document_of(definition)))

    async def remove(self, tenant: str, name: str) -> None:
        """Raises ``NotNow`` while it goes on, ``CommitFailed``."""
        run = self.run(tenant, name)
        if run is not None and not run.state.is_final:
            raise NotNow(f"the campaign is {run.state.value}; abort it first")
        await self._kept.remove(tenant, name)
        await self._clear((tenant, name))

    def _check(self, tenant: str, definition: Definition) -> None:
        package = self._packages.get(tenant, definition.package)
        if package is None:
            raise BadCampaign(f"package: there is no package {definition.package!r}")
        if package.type == "software" and definition.component is not None:
            raise BadCampaign("component: only firmware has components")
        for name in definition.target.devices:
            if self._ledger.reader.device_named(tenant, name) is None:
                raise BadCampaign(f"target.devices: there is no device {name!r}")

    # --- what operators ask for --------------------------------------------------------------------

    async def begin(self, tenant: str, name: str) -> Run:
        """Raises ``NotNow``, ``CommitFailed``, like those below; ``KeyError`` if there is none."""
        key = tenant, name
        definition = self._runner.definition(key)
        if definition is None:
            raise KeyError(name)
        async with self._driver(key).lock:
            if (run := self.run(tenant, name)) is not None:
                raise NotNow(f"the campaign is {run.state.value}")
            run = plan.started(definition, self._clock())
            await self._runner.keep(key, run)
        self._drive(key)
        return run

    async def pause(self, tenant: str, name: str) -> Run:
        """Nothing is begun and nothing installed any more; what installs goes on."""
        return await self._command((tenant, name), lambda _, run: plan.paused(run, self._clock()))

    async def resume(self, tenant: str, name: str) -> Run:
        tally = await self._ledger.apart(lambda reader: tally_of(reader, (tenant, name)))
        return await self._command((tenant, name), lambda _, run: plan.resumed(run, tally, self._clock()))

    async def abort(self, tenant: str, name: str) -> Run:
        """What installs is let finish."""
        return await self._command((tenant, name), lambda _, run: plan.aborted(run, self._clock()))

    async def approve(self, tenant: str, name: str, wave: int | None = None) -> Run:
        """That devices install: of one wave, from 0, or all."""
        return await self._command(
            (tenant, name), lambda definition, run: plan.approved(definition, run, wave, self._clock())
        )

    async def retry(self, tenant: str, name: str) -> Run:
        """Those that failed are taken for such that wait."""
        key = tenant, name
        run = await self._command(key, lambda _, run: plan.renewed(run, self._clock()), self._renew)
        self._drive(key)
        return run

    async def _renew(self, key: Key) -> None:
        while await self._ledger.commit(lambda write: write.renew_failed(*key, self._clock(), CHUNK)):
            continue

    async def _command(
        self,
        key: Key,
        command: Callable[[Definition, Run], Run],
        then: Callable[[Key], Awaitable[None]] | None = None,
    ) -> Run:
        definition = self._runner.definition(key)
        if definition is None:
            raise KeyError(key[1])
        async with self._driver(key).lock:
            run = self.run(*key)
            if run is None:
                raise NotNow("the campaign was not started")
            run = command(definition, run)
            await self._runner.keep(key, run)
            if then is not None:
                await then(key)
        self._wake(key)
        return run

    # --- what happens ------------------------------------------------------------------------------

    def listen(self, listener: Callable[[Key, Run], object]) -> None:
        """``listener`` hears of campaigns that stop by themselves."""
        self._runner.on_trouble = listener

    async def start(self) -> None:
        """Go on with those that are not over."""
        self._updates.listen(self._moved)
        self._bus.subscribe(self._heard, Registered)
        for tenant, name, _ in self._ledger.reader.campaign_runs():
            if self._kept.get(tenant, name) is None:
                # It was being removed when the server was stopped.
                await self._clear((tenant, name))
        for tenant, name, _ in self._ledger.reader.campaign_runs(is_open=True):
            self._drive((tenant, name))

    async def close(self) -> None:
        """Leave everything as it is."""
        tasks = [driver.task for driver in self._drivers.values() if driver.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _moved(self, update: Update) -> None:
        if update.campaign is not None and (update.is_over or update.state is State.AWAITING_APPROVAL):
            self._wake((update.tenant, update.campaign))

    def _heard(self, tenant: str, event: Event) -> None:
        for key in self._runner.hungry:
            if key[0] == tenant:
                self._wake(key)

    def _wake(self, key: Key) -> None:
        if key in self._drivers:
            self._drivers[key].wake.set()

    def _driver(self, key: Key) -> _Driver:
        return self._drivers.setdefault(key, _Driver())

    def _drive(self, key: Key) -> None:
        driver = self._driver(key)
        if driver.task is None or driver.task.done():
            work = self._go_on(key, driver)
            driver.task = asyncio.get_running_loop().create_task(work, name=f"campaign {key[1]}")

    async def _go_on(self, key: Key, driver: _Driver) -> None:
        while True:
            driver.wake.clear()
            try:
                async with driver.lock:
                    due = await self._runner.step(key)
            except CommitFailed as error:
                _log.error("a campaign could not be stored", campaign=key[1], reason=str(error))
                due = self._clock() + RETRY_AFTER
            if due is None:
                return
            await self._until(driver.wake, due)

    async def _until(self, wake: asyncio.Event, due: float) -> None:
        seconds = due - self._clock()
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await wake.wait()
        except TimeoutError:
            return
        await asyncio.sleep(PACE)

    async def _clear(self, key: Key) -> None:
        while await self._ledger.commit(lambda write: write.remove_campaign_devices(*key, CHUNK)):
            continue
        await self._ledger.commit(lambda write: write.remove_campaign_run(*key))
        self._drivers.pop(key, None)
