"""``Features``: what the server does with devices, each built on the core and beside the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import attrs
import structlog

from lwm2m_server.assembly.core import Core
from lwm2m_server.bootstrap.opening import BootstrapServer, open_bootstrap
from lwm2m_server.desired.service import DesiredStates
from lwm2m_server.enrolment.opening import EnrolmentParts, open_enrolment
from lwm2m_server.library.models import Draft
from lwm2m_server.onem2m.happenings import record
from lwm2m_server.onem2m.notify.subscriptions import bundling_of
from lwm2m_server.onem2m.platform import Onem2m
from lwm2m_server.profiles.arranging import Arranging
from lwm2m_server.rpc.calls import Calls
from lwm2m_server.sinks.kinds import OWN_KINDS
from lwm2m_server.sinks.outlets import Outlets, open_outlets
from lwm2m_server.sinks.plugged import checked
from lwm2m_server.sinks.runner import Deliveries
from lwm2m_server.sparing import Sparing
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.telemetry.keeping import Keeper
from lwm2m_server.telemetry.rereading import Rereading
from lwm2m_server.tenants import Tenants
from lwm2m_server.updates.campaign_targets import Knowledge, told_by
from lwm2m_server.updates.campaigns import Campaigns
from lwm2m_server.updates.opening import Updating, open_updates

_log = structlog.get_logger(__name__)


@attrs.frozen
class Features:
    """All of them are closed with the stack they were opened on."""

    outlets: Outlets
    deliveries: Deliveries
    onem2m: Onem2m
    tenants: Tenants
    calls: Calls
    arranging: Arranging
    updating: Updating
    campaigns: Campaigns
    desired: DesiredStates
    bootstrap: BootstrapServer
    enrolment: EnrolmentParts
    keeper: Keeper
    rereading: Rereading

    async def start(self, core: Core) -> None:
        """Go on with what was under way when the server stopped; devices can be heard by now."""
        await self.calls.resume()
        self.arranging.look_at([tenant.name for tenant in core.inventory.tenants()])
        await self.updating.updates.start()
        await self.campaigns.start()
        await self.desired.resume()
        self.deliveries.start()
        await self.onem2m.resume()
        self.keeper.start()
        self.rereading.soon()


async def open_features(core: Core, stack: AsyncExitStack) -> Features:
    """Nothing is under way yet. Raises ``SettingsError``, ``CommitFailed``."""
    outlets, deliveries = _open_deliveries(core, stack)
    onem2m, tenants = await _open_tree(core, outlets, stack)
    calls = await _open_calls(core, stack)
    arranging = Arranging(core.profiles.profiles, core.wishes, core.ledger.reader, core.bus)
    stack.callback(arranging.close)
    sparing = Sparing(core.hub, core.ledger.reader, core.profiles.profiles, core.profiles.fleet, core.bus)
    stack.push_async_callback(sparing.close)
    updating, campaigns = _open_updates(core, stack)
    desired = DesiredStates(core.ledger, core.hub, core.wishes, core.asks, core.ids, core.bus)
    stack.push_async_callback(desired.close)
    bootstrap, enrolment = await _open_beginnings(core, onem2m, stack)
    keeper = Keeper(core.ledger, core.settings.telemetry)
    stack.push_async_callback(keeper.close)
    rereading = Rereading(core.ledger, core.wishes.models, core.engines.codecs)
    stack.push_async_callback(rereading.close)
    return Features(
        outlets,
        deliveries,
        onem2m,
        tenants,
        calls,
        arranging,
        updating,
        campaigns,
        desired,
        bootstrap,
        enrolment,
        keeper,
        rereading,
    )


def watch_models(core: Core, features: Features, stack: AsyncExitStack, tell: Callable[[], object]) -> None:
    """Whatever changes them, they are in force at once; ``tell`` says what is wrong with them."""
    models = core.models

    async def swapped(former: Draft) -> None:
        core.engines.swap()
        features.arranging.look_at([tenant.name for tenant in core.inventory.tenants()])
        features.rereading.soon()
        tell()
        if former.definitions is models.force.definitions:
            return
        try:
            await core.inventory.set_models(models.index)
        except CommitFailed as error:
            # The index is there to be read by people; the models themselves are in force.
            _log.error("the model index is not stored", reason=str(error))

    models.swapped = swapped
    task = asyncio.get_running_loop().create_task(models.watch(), name="models")
    stack.callback(task.cancel)


def _open_deliveries(core: Core, stack: AsyncExitStack) -> tuple[Outlets, Deliveries]:
    ledger, settings = core.ledger, core.settings
    sinks = {kind: checked(kind, make) for kind, make in core.plugins.sinks(OWN_KINDS).items()}
    outlets = open_outlets(ledger, core.inventory, settings.deliveries)
    stack.push_async_callback(outlets.close)
    deliveries = Deliveries(
        ledger,
        outlets.targets,
        {**outlets.factories, **sinks},
        settings.deliveries,
        lambda subscription: bundling_of(ledger.reader.resource(subscription)),
    )
    stack.push_async_callback(deliveries.close)
    outlets.channels.on_poll = deliveries.try_now
    return outlets, deliveries


async def _open_tree(core: Core, outlets: Outlets, stack: AsyncExitStack) -> tuple[Onem2m, Tenants]:
    onem2m = Onem2m(
        core.inventory,
        core.ledger,
        core.wishes,
        core.ids,
        core.settings,
        core.credentials,
        core.notices,
        outlets,
    )
    onem2m.context.routes.told.extend((core.profiles.editor.regrouped, core.profiles.belonging.changed))
    await onem2m.prepare()
    stack.push_async_callback(onem2m.close)
    tenants = Tenants(
        core.inventory,
        core.ledger,
        core.hub,
        core.engines,
        core.ids,
        default=core.settings.tenant,
        prepare=onem2m.prepare,
        removed=core.control.access.forget,
    )
    return onem2m, tenants


async def _open_calls(core: Core, stack: AsyncExitStack) -> Calls:
    calls = Calls(
        core.ledger,
        core.wishes,
        core.ids,
        core.profiles.profiles.keys,
        core.settings,
        core.bus,
        add=core.notices.add,
        remove=core.notices.remove,
    )
    core.nodes.plan_also(calls.plan)
    await calls.restore()
    stack.push_async_callback(calls.close)
    return calls


def _open_updates(core: Core, stack: AsyncExitStack) -> tuple[Updating, Campaigns]:
    ledger, inventory, profiles = core.ledger, core.inventory, core.profiles
    updating = open_updates(
        core.settings,
        ledger,
        inventory.packages,
        core.ids,
        profiles.profiles,
        core.uplink,
        core.asks,
        core.bus,
        record,
    )
    stack.push_async_callback(updating.updates.close)
    knowledge = Knowledge(profiles.memberships, profiles.profiles.of, told_by(ledger.reader))
    campaigns = Campaigns(
        ledger, inventory.campaigns, inventory.packages, updating.updates, core.bus, knowledge
    )
    stack.push_async_callback(campaigns.close)
    updating.packages.users.append(campaigns.user_of)
    return updating, campaigns


async def _open_beginnings(
    core: Core, onem2m: Onem2m, stack: AsyncExitStack
) -> tuple[BootstrapServer, EnrolmentParts]:
    """How devices get what they need, and how they come into being."""
    bootstrap = await open_bootstrap(
        core.settings,
        core.inventory,
        core.ledger.reader,
        core.credentials,
        core.wishes.change,
        lambda tenant: core.models.of(tenant).catalog,
        core.engines.codecs,
        core.profiles.profiles,
    )
    stack.push_async_callback(bootstrap.close)
    enrolment = open_enrolment(onem2m.context, core.profiles.profiles)
    enrolment.attend("management", core.admission)
    enrolment.attend("bootstrap", bootstrap.provisioning.admission)
    stack.push_async_callback(enrolment.close)
    return bootstrap, enrolment
