"""UPDATE of what has attributes of its own in the ledger: nodes and management objects."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any

from lwm2m_server.onem2m.behaviours.commands import OWN, Command, commanded
from lwm2m_server.onem2m.behaviours.context import Context, now
from lwm2m_server.onem2m.behaviours.management import NAMES, take_secrets, write_secrets
from lwm2m_server.onem2m.checks import Draft
from lwm2m_server.onem2m.errors import NotFound
from lwm2m_server.onem2m.rendering import MGMT_OBJ, without_lifecycle
from lwm2m_server.onem2m.tree import Target
from lwm2m_server.store.records import Resource
from lwm2m_server.store.transaction import Transaction


async def update_resource(context: Context, target: Target, draft: Draft) -> Resource:
    """Given attributes replace stored ones, ``null`` removes. The device is asked for what is its own.

    Raises ``Conflict``, ``NotFound``, and ``RequestError`` for what nobody can ask of the device.
    """
    resource, changes = target.resource, draft.attributes
    command = _command(context, resource, draft) if resource.type == MGMT_OBJ else None
    if changes.get("lbl") is not None:
        changes["lbl"] = without_lifecycle(changes["lbl"]) or None
    secrets = take_secrets(changes) if resource.key == "m2m:crds" else {}
    modified = now()

    def store(transaction: Transaction) -> Resource | None:
        # Read again here, inside the commit: an event of the device may have changed it meanwhile.
        stored = transaction.resource(resource.id)
        if stored is None or (command is not None and not changes):
            return stored
        attributes = _merge(stored, changes)
        write_secrets(context, transaction, stored.parent, secrets)
        changed = transaction.change(stored.id, attributes, modified)
        if changed is not None:
            context.notices.updated(transaction, stored, changed)
        return changed

    if command is not None:
        changed = await context.devices.submit_all(command.device, command.errands, command.store, store)
    else:
        changed = await _commit(context, resource, store, ends=bool(secrets))
    if changed is None:
        raise NotFound(f"{resource.name} was removed meanwhile")
    return changed


def _command(context: Context, resource: Resource, draft: Draft) -> Command | None:
    """Takes out of the draft what the device has to be asked for; ``None`` if there is nothing to ask."""
    changes = draft.attributes
    wanted: Set[str]
    if resource.key in NAMES or "cr" in resource.attributes:
        # These are the client's to describe, except what it can have the device change.
        device = context.reader.device(resource.parent)
        wanted = commanded(context, device, resource) if device is not None else frozenset()
    else:
        wanted = changes.keys() - OWN
    taken = {name: changes.pop(name) for name in tuple(changes) if name in wanted}
    if not taken:
        return None
    command = Command(context, resource, taken, draft.originator)
    return command if command.errands else None


async def _commit(
    context: Context, resource: Resource, store: Callable[[Transaction], Resource | None], *, ends: bool
) -> Resource | None:
    """Whoever registered with other credentials has to register anew."""
    device = context.reader.device(resource.parent) if ends else None
    if device is None:
        return await context.devices.change(store)
    return await context.credentials.kept(device.node, context.devices.end(device, store))


def _merge(stored: Resource, changes: dict[str, Any]) -> dict[str, Any]:
    merged = {**stored.attributes, **changes}
    return {name: value for name, value in merged.items() if value is not None}
