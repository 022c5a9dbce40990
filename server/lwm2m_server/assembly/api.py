"""Everything that is served over HTTP, beside the oneM2M tree."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial

from starlette.routing import Route
from starlette.types import ASGIApp

from lwm2m_server.assembly.core import Core
from lwm2m_server.assembly.features import Features
from lwm2m_server.console.site import Console
from lwm2m_server.counts import Counts
from lwm2m_server.http.app import create_http
from lwm2m_server.http.applications import ApplicationApi
from lwm2m_server.http.assignments import profile_routes
from lwm2m_server.http.audit import AuditApi
from lwm2m_server.http.bootstrap import BootstrapApi
from lwm2m_server.http.campaigns import CampaignApi
from lwm2m_server.http.clients import ClientApi
from lwm2m_server.http.counting import Requests
from lwm2m_server.http.credentials import CredentialApi
from lwm2m_server.http.deliveries import DeliveryApi
from lwm2m_server.http.desired import DesiredApi
from lwm2m_server.http.device_bootstrap import DeviceBootstrapApi
from lwm2m_server.http.devices import DeviceApi, DeviceFinder
from lwm2m_server.http.door import Door
from lwm2m_server.http.downloads import DownloadApi
from lwm2m_server.http.enrolment import EnrolmentApi
from lwm2m_server.http.enrolments import RuleApi
from lwm2m_server.http.events import EventApi
from lwm2m_server.http.faults import FaultApi
from lwm2m_server.http.feed import Feed
from lwm2m_server.http.fleet import FleetApi
from lwm2m_server.http.groups import GroupApi
from lwm2m_server.http.health import health_routes
from lwm2m_server.http.imports import ImportApi
from lwm2m_server.http.mappings import MappingApi
from lwm2m_server.http.messages import MessageApi
from lwm2m_server.http.models import ModelApi
from lwm2m_server.http.onlooking import Onlooking
from lwm2m_server.http.openapi import openapi_route
from lwm2m_server.http.openapi_tree import tree_paths
from lwm2m_server.http.packages import PackageApi
from lwm2m_server.http.plugins import PluginApi
from lwm2m_server.http.profile_bootstrap import ProfileBootstrapApi
from lwm2m_server.http.profile_previews import ProfilePreviewApi
from lwm2m_server.http.profiles import ProfileApi
from lwm2m_server.http.queue import QueueApi
from lwm2m_server.http.rpc import RpcApi
from lwm2m_server.http.sources import measured
from lwm2m_server.http.subscriptions import SubscriptionApi
from lwm2m_server.http.telemetry import TelemetryApi
from lwm2m_server.http.tenants import TenantApi
from lwm2m_server.http.tokens import TokenApi
from lwm2m_server.http.traces import TraceApi
from lwm2m_server.http.tree import TreeRequests
from lwm2m_server.http.updates import UpdateApi
from lwm2m_server.lag import Lag
from lwm2m_server.library.library import Library
from lwm2m_server.library.usage import Usage
from lwm2m_server.onem2m.binding import Binding
from lwm2m_server.profiles.defaults import defaults_of
from lwm2m_server.profiles.impact import Impact
from lwm2m_server.telemetry.live import Live
from lwm2m_server.telemetry.readings import Readings


def serve(
    core: Core,
    features: Features,
    counts: Counts,
    bound: Mapping[str, tuple[str, ...]],
    feed: Feed,
    live: Live,
    stack: AsyncExitStack,
) -> ASGIApp:
    """``bound`` is where devices are heard."""
    lag, requests = Lag(), Requests()
    lag.start()
    stack.callback(lag.close)
    features.updating.updates.listen(lambda update: feed.look_soon())
    finder = DeviceFinder(core.inventory, core.ledger.reader, core.settings)
    api = [
        *_of_the_system(core, features),
        *_of_applications(core, features, finder),
        *_of_fleets(core, features, finder, bound),
        *_of_devices(core, features, finder, feed, live),
    ]
    routes = health_routes(lambda: {"ledger": core.hub.problem})
    control = core.control
    routes += TokenApi(control.clients, control.attempts, control.tokens, control.access).routes()
    routes += DownloadApi(features.updating.offers).routes()
    routes.append(
        measured(
            core.hub,
            core.ledger,
            core.bus,
            counts,
            features.deliveries,
            features.updating,
            feed,
            requests,
            lag,
        )
    )
    routes.append(openapi_route(routes, api, tree_paths(core.settings.http_prefix)))
    door = partial(Door, access=core.control.access, audit=core.control.audit, settings=core.settings)
    tree = Binding(features.onem2m, core.answers)
    served = create_http(routes, api=api, tree=tree, door=door)
    return requests.around(Console(served, control, core.settings))


def _of_the_system(core: Core, features: Features) -> list[Route]:
    """Tenants, who may call, and what became of notifications."""
    control, tenant = core.control, core.settings.tenant
    return [
        *TenantApi(features.tenants).routes(),
        *ClientApi(control.clients, control.keys, control.access, tenant).routes(),
        *AuditApi(core.ledger, tenant).routes(),
        *FaultApi(core.problems, core.ledger, tenant).routes(),
        *DeliveryApi(features.deliveries, features.outlets.targets, core.ledger, tenant).routes(),
    ]


def _of_applications(core: Core, features: Features, finder: DeviceFinder) -> list[Route]:
    """Who hears of devices, and of which."""
    inventory, ledger, tree = core.inventory, core.ledger, TreeRequests(features.onem2m)
    targets = features.outlets.targets
    return [
        *ApplicationApi(tree, finder, inventory, ledger, features.deliveries).routes(),
        *GroupApi(tree, features.onem2m.context, finder, inventory, ledger).routes(),
        *SubscriptionApi(tree, finder, inventory, ledger, targets).routes(),
    ]


def _of_fleets(
    core: Core, features: Features, finder: DeviceFinder, bound: Mapping[str, tuple[str, ...]]
) -> list[Route]:
    """Models, profiles, bootstrap, packages: what is said of many devices at once."""
    settings, inventory, profiles, updating = core.settings, core.inventory, core.profiles, features.updating
    library = Library(
        inventory, core.models, core.model_files, Usage(inventory, core.ledger), settings.models
    )
    defaults = defaults_of(settings.dtls, bound)
    editing = ProfileApi(inventory, profiles.editor, profiles.fleet, finder, defaults, settings.tenant)
    return [
        *ModelApi(library, inventory, settings.models, settings.tenant).routes(),
        *PluginApi(finder, core.plugins, core.models).routes(),
        *ProfilePreviewApi(editing, Impact(profiles.fleet, core.wishes), finder).routes(),
        *profile_routes(editing, profiles, finder, settings.tenant),
        *ProfileBootstrapApi(editing, features.bootstrap, core.models, core.ledger.reader).routes(),
        *BootstrapApi(features.bootstrap, core.models, finder).routes(),
        *RuleApi(features.enrolment, finder).routes(),
        *ImportApi(features.enrolment, finder).routes(),
        *PackageApi(updating.packages, updating.files, inventory, settings.tenant).routes(),
        *CampaignApi(features.campaigns, finder, core.ledger, settings.tenant).routes(),
    ]


def _of_devices(core: Core, features: Features, finder: DeviceFinder, feed: Feed, live: Live) -> list[Route]:
    """What is said of one device at a time."""
    ledger, wishes, profiles, calls = core.ledger, core.wishes, core.profiles.profiles, features.calls
    devices = DeviceApi(finder, ledger, wishes, core.profiles)
    readings = Readings(ledger, wishes.models)
    onlooking = Onlooking(ledger, wishes, profiles, live)
    return [
        *devices.routes(),
        *FleetApi(devices, finder, ledger, wishes, core.profiles).routes(),
        *EnrolmentApi(features.enrolment, finder).routes(),
        *CredentialApi(finder, ledger.reader, wishes, core.credentials).routes(),
        *RpcApi(calls, finder, ledger.reader, core.settings.rpc).routes(),
        *QueueApi(finder, ledger.reader, wishes, calls, core.resource_ids, core.notices.remove).routes(),
        *DesiredApi(finder, features.desired, wishes, profiles, readings).routes(),
        *MappingApi(finder, ledger.reader, wishes, core.models, readings).routes(),
        *TelemetryApi(finder, ledger, wishes, profiles, features.keeper, onlooking).routes(),
        *UpdateApi(finder, ledger, features.updating.packages, features.updating.updates, readings).routes(),
        *MessageApi(finder, ledger).routes(),
        *DeviceBootstrapApi(finder, features.bootstrap, core.models).routes(),
        *TraceApi(finder, wishes, core.hub.traces).routes(),
        *EventApi(finder, ledger.reader, feed).routes(),
    ]
