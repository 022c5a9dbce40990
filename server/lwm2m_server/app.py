"""The composition root: opens the stores, builds every part, connects them, and takes them down again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial

import attrs
import structlog
from starlette.types import ASGIApp

from lwm2m_engine.engine.events import Event, Warned
from lwm2m_engine.errors import SettingsError
from lwm2m_engine.plugins.manager import PluginManager
from lwm2m_server.access.opening import open_access
from lwm2m_server.asks import Asks
from lwm2m_server.bootstrap.opening import open_bootstrap
from lwm2m_server.bus import Bus
from lwm2m_server.counts import Counts
from lwm2m_server.desired.service import DesiredStates
from lwm2m_server.engines import Engines
from lwm2m_server.enrolment.opening import open_enrolment
from lwm2m_server.http.app import create_http
from lwm2m_server.http.assignments import profile_routes
from lwm2m_server.http.audit import AuditApi
from lwm2m_server.http.bootstrap import BootstrapApi
from lwm2m_server.http.campaigns import CampaignApi
from lwm2m_server.http.clients import ClientApi
from lwm2m_server.http.counting import Requests
from lwm2m_server.http.credentials import CredentialApi
from lwm2m_server.http.deliveries import DeliveryApi
from lwm2m_server.http.desired import DesiredApi
from lwm2m_server.http.devices import DeviceApi, DeviceFinder
from lwm2m_server.http.door import Door
from lwm2m_server.http.downloads import DownloadApi
from lwm2m_server.http.enrolment import EnrolmentApi
from lwm2m_server.http.enrolments import RuleApi
from lwm2m_server.http.events import EventApi
from lwm2m_server.http.feed import Feed
from lwm2m_server.http.fleet import FleetApi
from lwm2m_server.http.health import health_routes
from lwm2m_server.http.imports import ImportApi
from lwm2m_server.http.models import ModelApi
from lwm2m_server.http.onlooking import Onlooking
from lwm2m_server.http.openapi import openapi_route
from lwm2m_server.http.openapi_tree import tree_paths
from lwm2m_server.http.packages import PackageApi
from lwm2m_server.http.profile_bootstrap import ProfileBootstrapApi
from lwm2m_server.http.profiles import ProfileApi
from lwm2m_server.http.queue import QueueApi
from lwm2m_server.http.rpc import RpcApi
from lwm2m_server.http.serving import HttpServer, serve_http
from lwm2m_server.http.sources import measured
from lwm2m_server.http.telemetry import TelemetryApi
from lwm2m_server.http.tenants import TenantApi
from lwm2m_server.http.tls import Certificate
from lwm2m_server.http.tokens import TokenApi
from lwm2m_server.http.traces import TraceApi
from lwm2m_server.http.updates import UpdateApi
from lwm2m_server.hub import Hub
from lwm2m_server.lag import Lag
from lwm2m_server.library.files import MODELS, ModelFiles
from lwm2m_server.library.library import Library
from lwm2m_server.library.models import Draft, Models
from lwm2m_server.library.shelf import Shelf
from lwm2m_server.library.usage import Usage
from lwm2m_server.listeners import listen, listen_for_bootstrap
from lwm2m_server.onem2m.answers import Answers
from lwm2m_server.onem2m.behaviours.roots import DEVICE_GROUPS
from lwm2m_server.onem2m.binding import Binding
from lwm2m_server.onem2m.happenings import record
from lwm2m_server.onem2m.notify.notices import open_notices
from lwm2m_server.onem2m.notify.subscriptions import bundling_of
from lwm2m_server.onem2m.platform import Onem2m
from lwm2m_server.onem2m.projection import Nodes
from lwm2m_server.onem2m.projector import Projector
from lwm2m_server.onem2m.rendering import CONTENT_INSTANCE
from lwm2m_server.profiles.arranging import Arranging
from lwm2m_server.profiles.defaults import defaults_of
from lwm2m_server.profiles.opening import open_profiles
from lwm2m_server.profiles.service import Profiles
from lwm2m_server.rpc.calls import Calls
from lwm2m_server.security.admission import Admission
from lwm2m_server.security.opening import open_credentials
from lwm2m_server.settings import Settings, refuse_exposure
from lwm2m_server.sinks.outlets import Outlets, open_outlets
from lwm2m_server.sinks.plugged import checked
from lwm2m_server.sinks.protocols import SinkFactory
from lwm2m_server.sinks.runner import Deliveries
from lwm2m_server.sinks.targets import OWN_KINDS
from lwm2m_server.sparing import Sparing
from lwm2m_server.store.definitions import Package
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.events import Keep
from lwm2m_server.store.ids import Ids, ResourceIds
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.lock import DataDirectory
from lwm2m_server.store.outbox import Bounds
from lwm2m_server.store.protocols import Collection, Ledger
from lwm2m_server.store.records import Tenant
from lwm2m_server.telemetry.keeping import Keeper
from lwm2m_server.telemetry.live import Live
from lwm2m_server.telemetry.readings import Readings
from lwm2m_server.telemetry.rereading import Rereading
from lwm2m_server.tenants import Tenants
from lwm2m_server.trail import Trail
from lwm2m_server.updates.campaign_targets import Knowledge, told_by
from lwm2m_server.updates.campaigns import Campaigns
from lwm2m_server.updates.opening import Updating, open_updates
from lwm2m_server.updates.service import Updates
from lwm2m_server.watching import watch
from lwm2m_server.wishes import Wishes

_log = structlog.get_logger(__name__)


@attrs.frozen
class Addresses:
    """Where the server listens."""

    http: str
    devices: Mapping[str, tuple[str, ...]]
    """By setting, with ``_`` for a dot: ``coap``, ``coaps_tcp``, ``bootstrap_coap`` …"""

    def as_json(self) -> dict[str, object]:
        """One listener as text, several as a list, none not at all; keys may be added later."""
        shown = {
            key: bound[0] if len(bound) == 1 else list(bound) for key, bound in self.devices.items() if bound
        }
        return {**shown, "http": self.http}


@attrs.frozen
class Running:
    """A started server, as ``ready`` gets it."""

    addresses: Addresses
    bus: Bus
    models: Models
    plugins: PluginManager
    hub: Hub
    wishes: Wishes
    profiles: Profiles
    asks: Asks
    updates: Updates
    packages: Collection[Package]
    updating: Updating
    ledger: Ledger
    ids: Ids
    counts: Counts


async def run(settings: Settings, *, ready: Callable[[Running], None], stop: asyncio.Event) -> None:
    """Serve until ``stop`` is set. ``ready`` is called when every listener is bound.

    Raises ``SettingsError`` for what cannot be used, ``OSError`` for an address that cannot be bound.
    """
    async with AsyncExitStack() as stack:
        running = await _start(settings, stack)
        ready(running)
        await stop.wait()


async def _start(settings: Settings, stack: AsyncExitStack) -> Running:
    plugins = PluginManager.default(
        settings.plugins.dirs, strict=settings.strict, enabled=settings.plugins.enabled
    )
    sinks = {kind: checked(kind, make) for kind, make in plugins.sinks(OWN_KINDS).items()}
    _tell_plugins(plugins)
    ledger, inventory = _open_stores(settings, stack)
    models, model_files = _open_models(settings, plugins, inventory)
    ids = Ids(floor=max(ledger.highest_id, inventory.highest_id))
    if inventory.tenant(settings.tenant) is None:
        await inventory.add_tenant(Tenant(ids.next(), settings.tenant))
    await inventory.set_models(models.index)
    control = open_access(settings, inventory, ledger, stack)
    refuse_exposure(settings, has_clients=not control.access.is_open)
    credentials = open_credentials(settings, ledger)
    opened = await open_profiles(
        inventory, ledger, DEVICE_GROUPS, lambda tenant: models.of(tenant).catalog, stack
    )
    profiles = opened.profiles
    bus = _bus(settings, plugins)
    notices = open_notices(ledger, inventory, settings, credentials)
    answers = Answers(bus)
    resource_ids = ResourceIds(ledger.installation)
    projector = Projector(ids, resource_ids, settings, notices, answers)
    nodes = Nodes(projector, inventory, ledger.reader, ids, settings.messages, profiles.power)
    admission = Admission(credentials.identities("management"))
    hub = Hub(ledger, nodes, bus, default_tenant=settings.tenant, admission=admission)
    if settings.log.level == "debug":
        hub.trail = Trail(partial(resource_ids.ri, type=CONTENT_INSTANCE))
    stack.push_async_callback(hub.close)
    engines = Engines(settings, plugins, models, profiles.unannounced)
    for tenant in inventory.tenants():
        hub.add_tenant(tenant.name, engines.start(tenant.name))
    outlets = open_outlets(ledger, inventory, settings.deliveries)
    stack.push_async_callback(outlets.close)
    deliveries = _deliveries(ledger, outlets, sinks, settings, stack)
    wishes, asks = Wishes(hub, nodes, settings.tenant, profiles.power), Asks(hub, bus)
    arranging = Arranging(profiles, wishes, ledger.reader, bus)
    stack.callback(arranging.close)
    updating = open_updates(settings, ledger, inventory.packages, ids, profiles, hub, asks, bus, record)
    updates = updating.updates
    stack.push_async_callback(updates.close)
    campaigns = Campaigns(
        ledger,
        inventory.campaigns,
        inventory.packages,
        updates,
        bus,
        Knowledge(opened.memberships, profiles.of, told_by(ledger.reader)),
    )
    stack.push_async_callback(campaigns.close)
    desired = DesiredStates(ledger, hub, wishes, asks, ids, bus)
    stack.push_async_callback(desired.close)
    onem2m = Onem2m(inventory, ledger, wishes, ids, settings, credentials, notices, outlets)
    onem2m.context.routes.told.append(opened.editor.regrouped)
    sparing = Sparing(hub, ledger.reader, profiles, opened.fleet, bus)
    stack.push_async_callback(sparing.close)
    await onem2m.prepare()
    calls = Calls(ledger, wishes, ids, profiles.keys, settings, bus, add=notices.add, remove=notices.remove)
    nodes.plan_also(calls.plan)
    await calls.restore()
    stack.push_async_callback(calls.close)
    waiting = hub.restore()
    bootstrap = await open_bootstrap(
        settings,
        inventory,
        ledger.reader,
        credentials,
        wishes.change,
        lambda tenant: models.of(tenant).catalog,
        engines.codecs,
        profiles,
    )
    stack.push_async_callback(bootstrap.close)
    enrolment = open_enrolment(onem2m.context, profiles)
    enrolment.attend("management", admission)
    enrolment.attend("bootstrap", bootstrap.provisioning.admission)
    stack.push_async_callback(enrolment.close)
    counts = Counts()
    bound = await listen(settings, hub, credentials, ledger, counts, stack)
    bound |= await listen_for_bootstrap(settings, bootstrap.service, credentials, ledger, counts, stack)
    hub.resume(waiting)
    await calls.resume()
    arranging.look_at([tenant.name for tenant in inventory.tenants()])
    updating.addresses.bound = bound
    await updates.start()
    await campaigns.start()
    await desired.resume()
    deliveries.start()
    await onem2m.resume()
    stack.push_async_callback(onem2m.close)
    routes = health_routes(lambda: {"ledger": hub.problem})
    routes += TokenApi(control.clients, control.tokens, control.access).routes()
    tenants = Tenants(
        inventory,
        ledger,
        hub,
        engines,
        ids,
        default=settings.tenant,
        prepare=onem2m.prepare,
        removed=control.access.forget,
    )
    keeper = Keeper(ledger, settings.telemetry)
    keeper.start()
    stack.push_async_callback(keeper.close)
    rereading = Rereading(ledger, wishes.models, engines.codecs)
    rereading.soon()
    stack.push_async_callback(rereading.close)
    finder = DeviceFinder(inventory, ledger.reader, settings)
    devices = DeviceApi(finder, ledger, wishes, profiles)
    feed, live = Feed(ledger, bus), Live(bus)
    updates.listen(lambda update: feed.look_soon())
    library = Library(inventory, models, model_files, Usage(inventory, ledger), settings.models)
    defaults = defaults_of(settings.dtls, bound)
    profile_api = ProfileApi(inventory, opened.editor, opened.fleet, finder, defaults, settings.tenant)
    api = [
        *PackageApi(updating.packages, updating.files, inventory, settings.tenant).routes(),
        *UpdateApi(finder, ledger, updating.packages, updates).routes(),
        *devices.routes(),
        *FleetApi(devices, finder, ledger, wishes, opened).routes(),
        *RpcApi(calls, finder, ledger.reader, settings.rpc).routes(),
        *QueueApi(finder, ledger.reader, wishes, calls, resource_ids, notices.remove).routes(),
        *CredentialApi(finder, ledger.reader, wishes, credentials).routes(),
        *DesiredApi(finder, desired, wishes, profiles, Readings(ledger, wishes.models)).routes(),
        *TraceApi(finder, wishes, hub.traces).routes(),
        *EnrolmentApi(enrolment, finder).routes(),
        *RuleApi(enrolment, finder).routes(),
        *profile_routes(profile_api, opened, finder, settings.tenant),
        *ProfileBootstrapApi(profile_api, bootstrap, models, ledger.reader).routes(),
        *BootstrapApi(bootstrap, models, finder).routes(),
        *ModelApi(library, inventory, settings.models, settings.tenant).routes(),
        *TenantApi(tenants).routes(),
        *ClientApi(control.clients, control.keys, control.access, settings.tenant).routes(),
        *AuditApi(ledger, settings.tenant).routes(),
        *DeliveryApi(deliveries, outlets.targets, ledger, settings.tenant).routes(),
        *TelemetryApi(
            finder, ledger, wishes, profiles, keeper, Onlooking(ledger, wishes, profiles, live)
        ).routes(),
        *EventApi(finder, ledger.reader, feed).routes(),
        *CampaignApi(campaigns, finder, ledger, settings.tenant).routes(),
        *ImportApi(enrolment, finder).routes(),
    ]
    routes += DownloadApi(updating.offers).routes()
    lag, requests = Lag(), Requests()
    lag.start()
    stack.callback(lag.close)
    routes.append(measured(hub, ledger, bus, counts, deliveries, updating, feed, requests, lag))
    routes.append(openapi_route(routes, api, tree_paths(settings.http_prefix)))
    door = partial(Door, access=control.access, audit=control.audit, settings=settings)
    served = create_http(routes, api=api, tree=Binding(onem2m, answers), door=door)
    http = await _listen_http(requests.around(served), settings, stack)
    updating.addresses.http = http.url
    # Whoever follows something is told that it is over: the HTTP server waits for open requests.
    stack.callback(hub.traces.close)
    stack.callback(feed.close)
    stack.callback(live.close)
    _watch(models, engines, inventory, rereading, arranging, stack)
    addresses = Addresses(http.url, bound)
    return Running(
        addresses,
        bus,
        models,
        plugins,
        hub,
        wishes,
        profiles,
        asks,
        updates,
        inventory.packages,
        updating,
        ledger,
        ids,
        counts,
    )


def _open_stores(settings: Settings, stack: AsyncExitStack) -> tuple[SqliteLedger, TinyInventory]:
    directory = stack.enter_context(DataDirectory(settings.data))
    keep = Keep(settings.events.keep, settings.events.keep_for)
    limits = settings.deliveries
    bounds = Bounds(limits.waiting, limits.waiting_bytes, limits.dead_letters, limits.dead_letter_bytes)
    ledger = SqliteLedger(directory.ledger, power_safe=settings.ledger.power_safe, keep=keep, bounds=bounds)
    stack.callback(ledger.close)
    return ledger, TinyInventory(directory.inventory)


def _open_models(
    settings: Settings, plugins: PluginManager, inventory: TinyInventory
) -> tuple[Models, ModelFiles]:
    """Without what uploads that were not completed have left."""
    files = ModelFiles(settings.data / MODELS)
    try:
        files.sweep({row.digest for row in inventory.uploads.all()})
    except OSError as error:
        raise SettingsError(f"{files.folder}: {error.strerror}") from error
    return Models(plugins, settings.models.dirs, Shelf(files), inventory.uploads.all), files


def _deliveries(
    ledger: SqliteLedger,
    outlets: Outlets,
    sinks: Mapping[str, SinkFactory],
    settings: Settings,
    stack: AsyncExitStack,
) -> Deliveries:
    """To be started when all is there; ``sinks`` are those of plugins."""
    deliveries = Deliveries(
        ledger,
        outlets.targets,
        {**outlets.factories, **sinks},
        settings.deliveries,
        lambda subscription: bundling_of(ledger.reader.resource(subscription)),
    )
    stack.push_async_callback(deliveries.close)
    outlets.channels.on_poll = deliveries.try_now
    return deliveries


async def _listen_http(served: ASGIApp, settings: Settings, stack: AsyncExitStack) -> HttpServer:
    """With TLS, if there is a certificate: another one takes its place while the server runs."""
    host, port = settings.http
    chain, key = settings.http_cert, settings.http_key_file
    if chain is None or key is None:
        http = await serve_http(served, host, port)
        stack.push_async_callback(http.close)
        return http
    http = await serve_http(served, host, port, Certificate.load(chain, key))
    stack.push_async_callback(http.close)

    async def renew() -> None:
        try:
            await http.renew(Certificate.load(chain, key))
        except (SettingsError, OSError) as error:
            _log.error("the new certificate of the HTTP server is not used", reason=str(error))
        else:
            _log.info("the HTTP server has a new certificate", file=str(chain))

    task = asyncio.get_running_loop().create_task(watch((chain, key), renew), name="http certificate")
    stack.callback(task.cancel)
    return http


def _bus(settings: Settings, plugins: PluginManager) -> Bus:
    bus = Bus()
    if plugins.listens:
        bus.subscribe(lambda tenant, event: plugins.event(event))
    bus.subscribe(_log_warning, Warned)
    return bus


def _watch(
    models: Models,
    engines: Engines,
    inventory: TinyInventory,
    rereading: Rereading,
    arranging: Arranging,
    stack: AsyncExitStack,
) -> None:
    async def swapped(former: Draft) -> None:
        engines.swap()
        arranging.look_at([tenant.name for tenant in inventory.tenants()])
        rereading.soon()
        if former.definitions is models.force.definitions:
            return
        try:
            await inventory.set_models(models.index)
        except CommitFailed as error:
            # The index is there to be read by people; the models themselves are in force.
            _log.error("the model index is not stored", reason=str(error))

    models.swapped = swapped
    task = asyncio.get_running_loop().create_task(models.watch(), name="models")
    stack.callback(task.cancel)


def _tell_plugins(plugins: PluginManager) -> None:
    for row in plugins.report:
        if row.status == "failed":
            _log.error("plugin not used", plugin=row.name, file=row.file, reason=row.reason)
        elif row.status == "not loaded":
            _log.info("plugin not loaded", file=row.file, reason=row.reason)


def _log_warning(tenant: str, event: Event) -> None:
    if isinstance(event, Warned):
        _log.warning(event.text, tenant=tenant, endpoint=event.endpoint)
