"""``Core``: the stores, what is known of devices, and how they are spoken with."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

import attrs
import structlog

from lwm2m_engine.engine.events import Event, Warned
from lwm2m_engine.errors import SettingsError
from lwm2m_engine.plugins.manager import PluginManager
from lwm2m_server.access.opening import AccessControl, open_access
from lwm2m_server.asks import Asks
from lwm2m_server.bus import Bus
from lwm2m_server.engines import Engines
from lwm2m_server.hub import Hub
from lwm2m_server.library.files import MODELS, ModelFiles
from lwm2m_server.library.models import Models
from lwm2m_server.library.shelf import Shelf
from lwm2m_server.onem2m.answers import Answers
from lwm2m_server.onem2m.behaviours.roots import DEVICE_GROUPS
from lwm2m_server.onem2m.notify.notices import Notices, open_notices
from lwm2m_server.onem2m.projection import Nodes
from lwm2m_server.onem2m.projector import Projector
from lwm2m_server.onem2m.rendering import CONTENT_INSTANCE
from lwm2m_server.problems.book import Problems
from lwm2m_server.profiles.opening import ProfileServer, open_profiles
from lwm2m_server.security.admission import Admission
from lwm2m_server.security.opening import open_credentials
from lwm2m_server.security.store import Credentials
from lwm2m_server.settings import Settings, refuse_exposure
from lwm2m_server.store.events import Keep
from lwm2m_server.store.ids import Ids, ResourceIds
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.lock import DataDirectory
from lwm2m_server.store.outbox import Bounds
from lwm2m_server.store.records import Tenant
from lwm2m_server.trail import Trail
from lwm2m_server.uplink import Uplink
from lwm2m_server.wishes import Wishes

_log = structlog.get_logger(__name__)


@attrs.frozen
class Core:
    """What everything else is built on."""

    settings: Settings
    plugins: PluginManager
    ledger: SqliteLedger
    inventory: TinyInventory
    ids: Ids
    resource_ids: ResourceIds
    models: Models
    model_files: ModelFiles
    control: AccessControl
    credentials: Credentials
    admission: Admission
    bus: Bus
    notices: Notices
    answers: Answers
    profiles: ProfileServer
    problems: Problems
    nodes: Nodes
    engines: Engines
    hub: Hub
    uplink: Uplink
    wishes: Wishes
    asks: Asks


async def open_core(settings: Settings, stack: AsyncExitStack) -> Core:
    """Nothing is heard of devices yet. Raises ``SettingsError``, ``CommitFailed``."""
    plugins = PluginManager.default(
        settings.plugins.dirs, strict=settings.strict, enabled=settings.plugins.enabled
    )
    ledger, inventory = _open_stores(settings, stack)
    ids = Ids(floor=max(ledger.highest_id, inventory.highest_id))
    resource_ids = ResourceIds(ledger.installation)
    models, model_files = await _open_models(settings, plugins, inventory)
    _tell_plugins(plugins)
    if inventory.tenant(settings.tenant) is None:
        await inventory.add_tenant(Tenant(ids.next(), settings.tenant))
    control = open_access(settings, inventory, ledger, stack)
    refuse_exposure(settings, has_clients=not control.access.is_open)
    credentials = open_credentials(settings, ledger)
    profiles = await open_profiles(
        inventory, ledger, DEVICE_GROUPS, lambda tenant: models.of(tenant).catalog, stack
    )
    bus, problems = _bus(plugins), Problems(ledger)
    stack.callback(problems.close)
    notices, answers = open_notices(ledger, inventory, settings, credentials), Answers(bus)
    projector, power = Projector(ids, resource_ids, settings, notices, answers), profiles.profiles.power
    nodes = Nodes(projector, inventory, ledger.reader, ids, settings.messages, power)
    admission = Admission(credentials.identities("management"))
    engines = Engines(settings, plugins, models, profiles.profiles.unannounced)
    hub = Hub(ledger, nodes, bus)
    if settings.log.level == "debug":
        hub.trail = Trail(partial(resource_ids.ri, type=CONTENT_INSTANCE))
    stack.push_async_callback(hub.close)
    for tenant in inventory.tenants():
        hub.add_tenant(tenant.name, engines.start(tenant.name))
    return Core(
        settings,
        plugins,
        ledger,
        inventory,
        ids,
        resource_ids,
        models,
        model_files,
        control,
        credentials,
        admission,
        bus,
        notices,
        answers,
        profiles,
        problems,
        nodes,
        engines,
        hub,
        Uplink(hub, ledger.reader, admission, settings.tenant),
        Wishes(hub, nodes, settings.tenant, power),
        Asks(hub, bus),
    )


def _open_stores(settings: Settings, stack: AsyncExitStack) -> tuple[SqliteLedger, TinyInventory]:
    directory = stack.enter_context(DataDirectory(settings.data))
    keep = Keep(settings.events.keep, settings.events.keep_for)
    limits = settings.deliveries
    bounds = Bounds(limits.waiting, limits.waiting_bytes, limits.dead_letters, limits.dead_letter_bytes)
    ledger = SqliteLedger(directory.ledger, power_safe=settings.ledger.power_safe, keep=keep, bounds=bounds)
    stack.callback(ledger.close)
    return ledger, TinyInventory(directory.inventory)


async def _open_models(
    settings: Settings, plugins: PluginManager, inventory: TinyInventory
) -> tuple[Models, ModelFiles]:
    """Without what uploads that were not completed have left."""
    files = ModelFiles(settings.data / MODELS)
    try:
        files.sweep({row.digest for row in inventory.uploads.all()})
    except OSError as error:
        raise SettingsError(f"{files.folder}: {error.strerror}") from error
    models = Models(plugins, settings.models.dirs, Shelf(files), inventory.uploads.all)
    await inventory.set_models(models.index)
    return models, files


def _bus(plugins: PluginManager) -> Bus:
    bus = Bus()
    if plugins.listens:
        bus.subscribe(lambda tenant, event: plugins.event(event))
    bus.subscribe(_log_warning, Warned)
    return bus


def _tell_plugins(plugins: PluginManager) -> None:
    for row in plugins.report:
        if row.status == "failed":
            _log.error("plugin not used", plugin=row.name, file=row.file, reason=row.reason)
        elif row.status == "not loaded":
            _log.info("plugin not loaded", file=row.file, reason=row.reason)


def _log_warning(tenant: str, event: Event) -> None:
    if isinstance(event, Warned):
        _log.warning(event.text, tenant=tenant, endpoint=event.endpoint)
