"""UPDATE of what has attributes of its own in the ledger: nodes and management objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lwm2m_server.onem2m.behaviours.context import Context, now
from lwm2m_server.onem2m.behaviours.management import NAMES, take_secrets, write_secrets
from lwm2m_server.onem2m.checks import Draft
from lwm2m_server.onem2m.errors import NotFound, NotImplementedYet
from lwm2m_server.onem2m.rendering import MGMT_OBJ, without_lifecycle
from lwm2m_server.onem2m.tree import Target
from lwm2m_server.store.protocols import Resource, Transaction


async def update_resource(context: Context, target: Target, draft: Draft) -> Resource:
    """Given attributes replace stored ones, ``null`` removes.

    Raises ``Conflict``, ``NotFound``, ``NotImplementedYet``.
    """
    resource, changes = target.resource, draft.attributes
    is_devices = resource.type == MGMT_OBJ and resource.key not in NAMES and "cr" not in resource.attributes
    if is_devices and changes.keys() - {"lbl"}:
        # Stored only, it would look as if the device had been told.
        raise NotImplementedYet(f"a device's {draft.type.long} cannot be written yet, its labels can")
    if changes.get("lbl") is not None:
        changes["lbl"] = without_lifecycle(changes["lbl"]) or None
    secrets = take_secrets(changes) if resource.key == "m2m:crds" else {}
    modified = now()

    def store(transaction: Transaction) -> Resource | None:
        # Read again here, inside the commit: an event of the device may have changed it meanwhile.
        stored = transaction.resource(resource.id)
        if stored is None:
            return None
        attributes = _merge(stored, changes)
        write_secrets(context, transaction, stored.parent, secrets)
        changed = transaction.change(stored.id, attributes, modified)
        if changed is not None:
            context.notices.updated(transaction, stored, changed)
        return changed

    changed = await _commit(context, resource, store, ends=bool(secrets))
    if changed is None:
        raise NotFound(f"{resource.name} was removed meanwhile")
    return changed


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
