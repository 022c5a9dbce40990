"""``Runner``: does what the plan of a campaign decides. All it goes by is stored: a restart goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import attrs
import cattrs
import structlog

from lwm2m_server.store.campaigns import CampaignDevice
from lwm2m_server.store.definitions import Campaign, Package
from lwm2m_server.store.errors import Gone
from lwm2m_server.store.protocols import Collection, Ledger
from lwm2m_server.store.transaction import Reader, Transaction
from lwm2m_server.store.updates import UpdateRow
from lwm2m_server.updates.campaign_definition import Definition
from lwm2m_server.updates.campaign_document import definition_of
from lwm2m_server.updates.campaign_plan import TICK, Decision, DeviceState, Run, RunState, Tally, decide
from lwm2m_server.updates.campaign_targets import Knowledge, targeted
from lwm2m_server.updates.course import State
from lwm2m_server.updates.machine import NotPossible
from lwm2m_server.updates.records import Options, UpdateRefused
from lwm2m_server.updates.service import Updates

Key: TypeAlias = tuple[str, str]
"""Tenant and name of a campaign."""

CHUNK: Final = 200
"""Devices dealt with in one transaction."""

_converter: Final = cattrs.Converter(omit_if_default=True)
_log = structlog.get_logger(__name__)


def run_of(reader: Reader, key: Key) -> Run | None:
    """How far a campaign is; ``None`` if it was never started."""
    document = reader.campaign_run(*key)
    return None if document is None else _converter.structure(document, Run)


def tally_of(reader: Reader, key: Key) -> Tally:
    counts = {(wave, DeviceState(state)): n for (wave, state), n in reader.count_campaign(*key).items()}
    return Tally(counts, reader.parked_in_campaign(*key))


@attrs.frozen(slots=True)
class Preview:
    """Which devices a campaign would be for."""

    total: int
    registered: int
    sizes: tuple[int, ...]
    """Of its waves."""
    first: tuple[str, ...]
    """Names."""


class Runner:
    """One step of one campaign at a time; whoever calls it sees to that."""

    def __init__(
        self,
        ledger: Ledger,
        campaigns: Collection[Campaign],
        packages: Collection[Package],
        updates: Updates,
        knowledge: Knowledge,
        clock: Callable[[], float],
    ) -> None:
        self._ledger, self._reader = ledger, ledger.reader
        self._campaigns, self._packages, self._updates = campaigns, packages, updates
        self._knowledge, self._clock = knowledge, clock
        self._checked: dict[Key, float] = {}
        self.hungry: set[Key] = set()
        """Those that would begin more, if more of their devices were registered."""
        self.on_trouble: Callable[[Key, Run], object] = lambda key, run: None
        """Hears of a campaign that has stopped by itself, or has nothing to do; the run says why."""

    def definition(self, key: Key) -> Definition | None:
        campaign = self._campaigns.get(*key)
        return None if campaign is None else definition_of(campaign.document)

    async def preview(self, tenant: str, definition: Definition, limit: int) -> Preview:
        """The first ``limit`` devices by name."""
        total = registered = 0
        first: list[str] = []
        async for device in targeted(self._reader, tenant, definition.target, self._knowledge):
            total += 1
            registered += device.registration is not None
            if len(first) < limit:
                first.append(device.name)
        return Preview(total, registered, definition.sizes(total), tuple(first))

    async def keep(self, key: Key, run: Run) -> None:
        """Raises ``CommitFailed``."""
        document = _converter.unstructure(run)
        await self._ledger.commit(
            lambda write: write.put_campaign_run(*key, document, is_open=not run.state.is_final)
        )

    async def step(self, key: Key) -> float | None:
        """Do what is due, and say when to look again at the latest; ``None`` if the campaign is over, or
        gone. Raises ``CommitFailed``."""
        run, definition = run_of(self._reader, key), self.definition(key)
        if run is None or definition is None or run.state.is_final:
            return None
        if run.state not in (RunState.SCHEDULED, RunState.PREPARING):
            await self._settle(key)
            await self._look_for_late(key, definition)
        tally = await self._ledger.apart(lambda reader: tally_of(reader, key))
        decision = decide(definition, run, tally, self._clock())
        if decision.run != run:
            await self.keep(key, decision.run)
        if decision.run.state is not run.state and decision.run.reason is not None:
            self.on_trouble(key, decision.run)
        settled = await self._act(key, definition, decision)
        if decision.run.state.is_final:
            return None
        return self._clock() if settled else decision.due

    async def _act(self, key: Key, definition: Definition, decision: Decision) -> bool:
        """Whether devices have ended by that."""
        if decision.prepare:
            await self._prepare(key, definition, decision.run)
        if decision.install:
            await self._install(key, decision)
        self.hungry.discard(key)
        if decision.begin:
            return await self._begin(key, definition, decision)
        return decision.cancel and await self._cancel(key, decision.run)

    # --- the beginning -----------------------------------------------------------------------------

    async def _prepare(self, key: Key, definition: Definition, run: Run) -> None:
        """From the start, if that was interrupted."""
        while await self._ledger.commit(lambda write: write.remove_campaign_devices(*key, CHUNK)):
            continue
        devices = targeted(self._reader, key[0], definition.target, self._knowledge)
        found = [(device.node, device.name) async for device in devices]
        sizes, now = definition.sizes(len(found)), self._clock()
        waves = [wave for wave, size in enumerate(sizes) for _ in range(size)]
        members = [
            CampaignDevice(node, name, wave, DeviceState.WAITING.value, now)
            for (node, name), wave in zip(found, waves, strict=True)
        ]
        for start in range(0, len(members), CHUNK):
            await self._ledger.commit(_adding(key, members[start : start + CHUNK]))
        reason = None if members else "there are no such devices"
        run = attrs.evolve(run, sizes=sizes).became(RunState.RUNNING, now, reason)
        await self.keep(key, run)
        if not members:
            self.on_trouble(key, run)

    # --- devices -----------------------------------------------------------------------------------

    async def _settle(self, key: Key) -> None:
        """Take over what has become of updates."""
        while True:
            found = await self._ledger.apart(
                lambda reader: reader.active_in_campaign(*key, limit=CHUNK, over=True)
            )
            if not found:
                return
            settled = [_settled(device, row, self._clock()) for device, row in found]
            await self._ledger.commit(_putting(key, settled))

    async def _look_for_late(self, key: Key, definition: Definition) -> None:
        """An update that takes too long is called back, if it can be."""
        now, timeout = self._clock(), definition.device_timeout
        if now < self._checked.get(key, 0.0):
            return
        self._checked[key] = now + min(TICK, timeout)
        after = 0
        while found := await self._active(key, after):
            after = found[-1][0].id
            for device, row in found:
                if row is None or now < device.changed_at + timeout or _is_parked(row):
                    continue
                reason = f"not done within {timeout:g} seconds"
                late = attrs.evolve(device, reason=reason)
                await self._ledger.commit(_putting(key, [late]))
                await self._call_back(row.id)

    async def _active(self, key: Key, after: int) -> list[tuple[CampaignDevice, UpdateRow | None]]:
        return list(
            await self._ledger.apart(lambda reader: reader.active_in_campaign(*key, after=after, limit=CHUNK))
        )

    async def _begin(self, key: Key, definition: Definition, decision: Decision) -> bool:
        """Whether one was refused."""
        package = self._packages.get(key[0], definition.package)
        if package is None:
            reason = f"the package {definition.package!r} was deleted"
            run = decision.run.became(RunState.PAUSED, self._clock(), reason)
            await self.keep(key, run)
            self.on_trouble(key, run)
            return False
        limit = min(decision.begin, CHUNK)
        found = await self._ledger.apart(
            lambda reader: reader.waiting_in_campaign(*key, wave=decision.run.wave, limit=limit)
        )
        if len(found) < limit:
            self.hungry.add(key)
        options = Options(
            definition.method,
            needs_approval=True,
            is_forced=definition.is_forced,
            comparison=definition.comparison,
            source=definition.source,
            attempts=definition.attempts,
            instance=definition.instance,
            component=definition.component,
        )
        # Together, as they are stored in one transaction then.
        begun = await asyncio.gather(*(self._begin_one(key, one, package, options) for one in found))
        return not all(begun) or decision.begin > CHUNK

    async def _begin_one(self, key: Key, one: CampaignDevice, package: Package, options: Options) -> bool:
        device, now = self._reader.device(one.node), self._clock()
        if device is None:
            return False

        def store(write: Transaction, id: int) -> None:
            active = attrs.evolve(one, state=DeviceState.ACTIVE.value, update=id, changed_at=now)
            write.put_campaign_device(*key, active)

        try:
            await self._updates.begin(device, package, campaign=key[1], options=options, also=store)
        except UpdateRefused as error:
            refused = attrs.evolve(one, state=DeviceState.FAILED.value, reason=str(error), changed_at=now)
            await self._ledger.commit(_putting(key, [refused]))
            return False
        except Gone:
            # It was removed just now, and with it what waited for it.
            return False
        return True

    async def _install(self, key: Key, decision: Decision) -> None:
        limit = min(decision.install, CHUNK)
        found = await self._ledger.apart(lambda reader: reader.parked_devices(*key, decision.waves, limit))
        released = [attrs.evolve(device, changed_at=self._clock()) for device, _ in found]
        await self._ledger.commit(_putting(key, released))
        await asyncio.gather(*(self._approve(row.id) for _, row in found if row is not None))

    async def _approve(self, id: int) -> None:
        update = self._updates.get(id)
        if update is None or update.is_over:
            return
        try:
            await self._updates.approve(update)
        except NotPossible as error:
            _log.info("an update is not installed", update=id, device=update.device, reason=str(error))

    # --- the end -----------------------------------------------------------------------------------

    async def _cancel(self, key: Key, run: Run) -> bool:
        """Whether any waited."""
        reason, waited = run.reason or "the campaign was aborted", False
        while await self._ledger.commit(
            lambda write: write.cancel_waiting(*key, reason, self._clock(), CHUNK)
        ):
            waited = True
        after = 0
        while found := await self._active(key, after):
            after = found[-1][0].id
            for _, row in found:
                if row is not None:
                    await self._call_back(row.id)
        return waited

    async def _call_back(self, id: int) -> None:
        update = self._updates.get(id)
        if update is None or update.is_over:
            return
        try:
            await self._updates.cancel(update)
        except NotPossible as error:
            _log.info("an update goes on", update=id, device=update.device, reason=str(error))


def _adding(key: Key, devices: Sequence[CampaignDevice]) -> Callable[[Transaction], None]:
    return lambda write: write.add_campaign_devices(*key, devices)


def _putting(key: Key, devices: Sequence[CampaignDevice]) -> Callable[[Transaction], None]:
    def put(write: Transaction) -> None:
        for device in devices:
            write.put_campaign_device(*key, device)

    return put


def _is_parked(row: UpdateRow) -> bool:
    """Its document need not be parsed for that."""
    return row.state == State.AWAITING_APPROVAL.value and not row.document["course"].get("is_approved")


def _settled(device: CampaignDevice, row: UpdateRow | None, now: float) -> CampaignDevice:
    state, reason = _outcome(device, row)
    return attrs.evolve(device, state=state.value, reason=reason, changed_at=now)


def _outcome(device: CampaignDevice, row: UpdateRow | None) -> tuple[DeviceState, str | None]:
    if row is None:
        return DeviceState.CANCELLED, "its update is not known any more"
    course = row.document["course"]
    reason: str | None = course.get("reason")
    if row.state == State.SUCCEEDED.value:
        was_touched = course.get("was_delivered") or course.get("installs") or course.get("attempts")
        return (DeviceState.SUCCEEDED if was_touched else DeviceState.SKIPPED), reason
    if row.state == State.FAILED.value:
        return DeviceState.FAILED, reason
    if device.reason is not None:
        return DeviceState.FAILED, device.reason
    return DeviceState.CANCELLED, reason
