"""Who tells ``Problems`` what goes wrong: every part of the server is heard here, in words of
``lwm2m_server.problems``."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import attrs

from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.sources import bundled_directory
from lwm2m_engine.plugins.registry import PluginRow
from lwm2m_server.assembly.core import Core
from lwm2m_server.assembly.features import Features
from lwm2m_server.library.models import Draft
from lwm2m_server.listeners import Rejections
from lwm2m_server.problems import kinds
from lwm2m_server.problems.book import Found, Problems
from lwm2m_server.problems.entrance import Entrance
from lwm2m_server.problems.events import Watch
from lwm2m_server.problems.lines import ProblemLines
from lwm2m_server.problems.plugins import PluginFailures, settle_hooks, unused
from lwm2m_server.problems.services import Services
from lwm2m_server.problems.subjects import Subjects
from lwm2m_server.sinks.targets import masked
from lwm2m_server.store.problems import KEPT_OF_NOBODY, ProblemFilter
from lwm2m_server.updates.campaign_plan import Run
from lwm2m_server.updates.course import State
from lwm2m_server.updates.records import Update


def watch_problems(core: Core, features: Features, stack: AsyncExitStack) -> Rejections:
    """From now on everything is noted. Returns who is to hear of those who cannot be let in."""
    problems, hub = core.problems, core.hub
    subjects = Subjects(hub.ref, core.ledger.reader, core.settings.tenant)
    watch = Watch(problems, hub.ref, lambda tenant, endpoint: hub.engine(tenant).models(endpoint))
    for end in watch.listen(core.bus):
        stack.callback(end)
    core.nodes.listen(watch.strange, watch.unmapped)
    core.plugins.on_failure = PluginFailures(problems, subjects).hook
    services, updating = Services(problems, subjects), UpdateProblems(problems)
    hub.commits.on_problem = services.commit
    features.deliveries.listen(
        lambda lane, reason, dead: services.target(lane, masked(lane.target), reason, dead), services.dropped
    )
    features.desired.on_failed = services.desired
    features.updating.updates.listen(updating.update)
    features.campaigns.listen(updating.campaign)
    entrance = Entrance(problems, subjects)
    core.uplink.on_refused = entrance.registration
    features.bootstrap.service.on_trouble = entrance.bootstrap
    lines = ProblemLines(problems, subjects)
    logging.getLogger().addHandler(lines)
    stack.callback(logging.getLogger().removeHandler, lines)
    settle_hooks(problems, core.ledger.reader, _tenants(core), core.plugins.report)
    tell_library(core)
    return entrance


# --- what is wrong with models and plugins now --------------------------------------------------------


def tell_library(core: Core) -> None:
    """Faults of models and mappings, at the start and whenever others are in force."""
    tenants, force = _tenants(core), core.models.force
    usual = core.plugins.report
    core.problems.replace("", kinds.PLUGIN, unused(usual))
    for tenant in tenants:
        core.problems.replace(tenant, kinds.PLUGIN, unused(_of_its_own(core, force, tenant, usual)))
        _settle_unknown(core, tenant)
    _tell_models(core.problems, force, {"", *tenants})


def _tenants(core: Core) -> list[str]:
    return [tenant.name for tenant in core.inventory.tenants()]


def _of_its_own(core: Core, force: Draft, tenant: str, usual: tuple[PluginRow, ...]) -> list[PluginRow]:
    """What became of plugins with the models of a tenant, where that is not what became of them elsewhere."""
    edition = force.own.get(tenant)
    if edition is None:
        return []
    rows = zip(core.plugins.report_with(edition.compiled), usual, strict=True)
    return [own for own, other in rows if own.reason != other.reason]


def _tell_models(problems: Problems, draft: Draft, tenants: set[str]) -> None:
    """Faults of files in folders, and of uploaded ones that cannot be used any more."""
    bundled, by_tenant = bundled_directory(), defaultdict[str, Found](dict)
    for fault in draft.definitions.problems:
        if fault.refused or Path(fault.file).parent != bundled:
            place = f"{fault.file}:{fault.line}"
            facts = {"file": fault.file, "line": fault.line, "error": fault.reason, "used": not fault.refused}
            by_tenant[""][f"{place} {fault.reason}"] = str(fault), facts
    for tenant, (digest, name), fault in draft.uploads.faulty:
        facts = {"file": name, "line": fault.line, "error": fault.reason, "used": False}
        by_tenant[tenant or ""][f"{digest[:16]} {name}"] = str(fault), facts
    for name in tenants:
        problems.replace(name, kinds.MODEL, by_tenant[name])


def _settle_unknown(core: Core, tenant: str) -> None:
    """Models that were missing may be there now."""
    kept = core.ledger.reader.problems(ProblemFilter((tenant,), (kinds.UNKNOWN,)), limit=KEPT_OF_NOBODY)
    if kept:
        catalog = core.models.of(tenant).catalog
        left = {row.problem.same for row in kept if not _is_known(catalog, row.problem.facts)}
        core.problems.settle(tenant, kinds.UNKNOWN, left)


def _is_known(catalog: Catalog, facts: Mapping[str, Any]) -> bool:
    number, resource = facts.get("object"), facts.get("resource")
    if number is None:
        return False
    spec = catalog.view(announced={number: facts["version"]}).object(number)
    return spec is not None and (resource is None or resource in spec.resources)


# --- updates ---------------------------------------------------------------------------------------


@attrs.frozen
class UpdateProblems:
    """Each method hears one of the services."""

    problems: Problems

    def update(self, update: Update) -> None:
        if update.state is not State.FAILED:
            return
        self.problems.note(
            kinds.UPDATE,
            f"the update to {update.package} failed: {update.reason}",
            tenant=update.tenant,
            same=f"{update.package} {update.reason}",
            node=update.node,
            device=update.device,
            at=update.changed_at,
            update=update.id,
            package=update.package,
            campaign=update.campaign,
            error=update.reason,
        )

    def campaign(self, key: tuple[str, str], run: Run) -> None:
        tenant, name = key
        self.problems.note(
            kinds.CAMPAIGN,
            f"the campaign {name} is {run.state.value}: {run.reason}",
            tenant=tenant,
            same=f"{name} {run.state.value}",
            at=run.changed_at,
            campaign=name,
            state=run.state.value,
            error=run.reason,
        )
