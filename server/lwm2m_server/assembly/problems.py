"""Who tells ``Problems`` what goes wrong: every part of the server in its own words, in one place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import attrs

from lwm2m_engine.bootstrap.events import Failed, Refused
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer, dotted
from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.sources import bundled_directory
from lwm2m_engine.plugins.manager import PluginManager
from lwm2m_server.assembly.core import Core
from lwm2m_server.assembly.features import Features
from lwm2m_server.library.models import Draft
from lwm2m_server.listeners import Rejected
from lwm2m_server.problems import kinds
from lwm2m_server.problems.book import Problems
from lwm2m_server.problems.events import Watch
from lwm2m_server.sinks.targets import masked
from lwm2m_server.store.desired import DesiredValue
from lwm2m_server.store.outbox import FULL
from lwm2m_server.store.problems import KEPT_OF_NOBODY, ProblemFilter
from lwm2m_server.store.records import Lane
from lwm2m_server.updates.campaign_plan import Run
from lwm2m_server.updates.course import State
from lwm2m_server.updates.records import Update

Found = dict[str, tuple[str, Mapping[str, Any]]]
"""By what makes each the same: the sentence and the facts."""

_NAMES: Final = "the endpoint name is not what these credentials are for"


def watch_problems(core: Core, features: Features, stack: AsyncExitStack) -> Rejected:
    """From now on everything is noted. Returns who is to hear of handshakes."""
    told, problems = Teller(core), core.problems
    watch = Watch(problems, core.hub.ref, lambda tenant, endpoint: core.hub.engine(tenant).models(endpoint))
    for end in watch.listen(core.bus):
        stack.callback(end)
    core.nodes.listen(watch.strange, watch.unmapped)
    core.uplink.on_refused = told.registration
    core.hub.commits.on_problem = told.commit
    features.bootstrap.service.on_trouble = told.bootstrap
    features.deliveries.listen(told.target, told.dropped)
    features.updating.updates.listen(told.update)
    features.campaigns.listen(told.campaign)
    features.desired.on_failed = told.desired
    tell_library(core)
    return told.handshake


def tell_library(core: Core) -> None:
    """Faults of models and mappings, at the start and whenever others are in force."""
    tell_plugins(core.problems, core.plugins)
    tell_models(core.problems, core.models.force)
    for tenant in core.inventory.tenants():
        _settle_unknown(core, tenant.name)


def tell_plugins(problems: Problems, plugins: PluginManager) -> None:
    """What became of each, as of now."""
    found: Found = {}
    for row in plugins.report:
        if row.status == "failed":
            facts = {"plugin": row.name, "file": row.file, "error": row.reason}
            found[row.name] = f"the plugin {row.name} is not used: {row.reason}", facts
    problems.replace("", kinds.PLUGIN, found)


def tell_models(problems: Problems, draft: Draft) -> None:
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
    for tenant in {"", *draft.own, *by_tenant}:
        problems.replace(tenant, kinds.MODEL, by_tenant[tenant])


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


@attrs.frozen
class Teller:
    """Each method hears one part of the server."""

    core: Core

    def registration(self, request: CoapRequest, peer: Peer, reply: CoapReply) -> None:
        """A Register that was refused."""
        endpoint, query = _endpoint(request, peer), "&".join(request.query)
        tenant, node, device = self._device(endpoint)
        reason = reply.payload.decode("utf-8", "replace") or dotted(reply.code)
        who = endpoint or "a client without endpoint name"
        self.core.problems.note(
            kinds.REGISTRATION,
            f"{who} may not register: {reason}",
            tenant=tenant,
            same=f"{endpoint} {reason}",
            node=node,
            device=device,
            by=peer.host,
            endpoint=endpoint,
            peer=str(peer),
            identity=peer.identity,
            query=query,
            code=dotted(reply.code),
            reason=_reason(reply.code, reason),
            error=reason,
        )

    def handshake(self, listener: str, peer: str, reason: str) -> None:
        """Whose it was nobody knows: it is the server's own tenant's."""
        host = peer.rpartition(":")[0]
        self.core.problems.note(
            kinds.HANDSHAKE,
            f"a handshake from {peer} failed: {reason}",
            tenant=self.core.settings.tenant,
            same=f"{host} {reason}",
            by=host,
            listener=listener,
            peer=peer,
            error=reason,
        )

    def bootstrap(self, event: Failed | Refused) -> None:
        tenant, node, device = self._device(event.endpoint)
        reason = event.reason if isinstance(event, Refused) else event.cause
        detail = event.detail if isinstance(event, Failed) else ""
        what = "was refused" if isinstance(event, Refused) else "failed"
        self.core.problems.note(
            kinds.BOOTSTRAP,
            f"the bootstrap of {event.endpoint} {what}: {': '.join(filter(None, (reason, detail)))}",
            tenant=tenant,
            same=f"{event.endpoint} {reason}",
            node=node,
            device=device,
            by=event.peer.host if isinstance(event, Refused) else "",
            at=event.at,
            endpoint=event.endpoint,
            peer=str(event.peer) if isinstance(event, Refused) else None,
            code=dotted(event.code) if isinstance(event, Refused) else None,
            session=event.session if isinstance(event, Failed) else None,
            error=reason,
            detail=detail or None,
        )

    def commit(self, reason: str) -> None:
        self.core.problems.note(kinds.LEDGER, f"facts could not be stored: {reason}", error=reason)

    def target(self, lane: Lane, reason: str, dead: int) -> None:
        target = masked(lane.target)
        are = "notification for {} is a dead letter" if dead == 1 else "notifications for {} are dead letters"
        what = f"{dead} {are.format(target)}" if dead else None
        self.core.problems.note(
            kinds.DELIVERY,
            f"{what or f'{target} takes no notifications'}: {reason}",
            tenant=lane.tenant,
            same=f"{target} {'full' if reason is FULL else 'dead' if dead else 'waits'}",
            by=target,
            target=target,
            dead=dead or None,
            reason="full" if reason is FULL else None,
            error=reason,
        )

    def dropped(self, count: int) -> None:
        """Dead letters of any tenant: the oldest go."""
        are = "dead letter is" if count == 1 else "dead letters are"
        self.core.problems.note(
            kinds.DELIVERY,
            f"{count} {are} gone, for there were too many",
            same="dropped",
            dropped=count,
            reason="dropped",
        )

    def update(self, update: Update) -> None:
        if update.state is not State.FAILED:
            return
        self.core.problems.note(
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
        self.core.problems.note(
            kinds.CAMPAIGN,
            f"the campaign {name} is {run.state.value}: {run.reason}",
            tenant=tenant,
            same=f"{name} {run.state.value}",
            at=run.changed_at,
            campaign=name,
            state=run.state.value,
            error=run.reason,
        )

    def desired(self, node: int, value: DesiredValue, reason: str) -> None:
        device = self.core.ledger.reader.device(node)
        if device is None:
            return
        self.core.problems.note(
            kinds.DESIRED,
            f"{value.path} is not what it shall be: {reason}",
            tenant=device.tenant,
            same=value.path,
            node=node,
            device=device.name,
            path=value.path,
            value=value.value,
            error=reason,
        )

    def _device(self, endpoint: str) -> tuple[str, int, str]:
        """Tenant, node and name; of an endpoint name nobody knows the server's own tenant, 0 and itself."""
        ref = self.core.hub.ref(endpoint)
        if ref is not None:
            return ref.tenant, ref.node, ref.name
        device = self.core.ledger.reader.device_of_endpoint(endpoint) if endpoint else None
        if device is not None:
            return device.tenant, device.node, device.name
        return self.core.settings.tenant, 0, endpoint


def _endpoint(request: CoapRequest, peer: Peer) -> str:
    named = (text[3:] for text in request.query if text.startswith("ep="))
    return next(named, "") or peer.identity or ""


def _reason(code: int, text: str) -> str:
    if code == Code.PRECONDITION_FAILED or "version" in text:
        return "version"
    return "identity" if text == _NAMES else "refused"
