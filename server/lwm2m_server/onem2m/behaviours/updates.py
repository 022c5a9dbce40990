"""UPDATE of what has attributes of its own in the ledger: nodes and management objects."""

from __future__ import annotations

from typing import Any

from lwm2m_server.onem2m.behaviours.context import Context, now
from lwm2m_server.onem2m.behaviours.management import NAMES, credentials
from lwm2m_server.onem2m.checks import Draft
from lwm2m_server.onem2m.errors import NotFound, NotImplementedYet
from lwm2m_server.onem2m.rendering import MGMT_OBJ, without_lifecycle
from lwm2m_server.store.protocols import Resource, Transaction


async def update_resource(context: Context, resource: Resource, draft: Draft) -> Resource:
    """Given attributes replace stored ones, ``null`` removes.

    Raises ``Conflict``, ``NotFound``, ``NotImplementedYet``.
    """
    changes = draft.attributes
    if resource.type == MGMT_OBJ and resource.key not in NAMES and changes.keys() - {"lbl"}:
        # Stored only, it would look as if the device had been told.
        raise NotImplementedYet(f"a device's {draft.type.long} cannot be written yet, its labels can")
    if changes.get("lbl") is not None:
        changes["lbl"] = without_lifecycle(changes["lbl"]) or None
    modified = now()

    def store(transaction: Transaction) -> Resource | None:
        # Read again here, inside the commit: an event of the device may have changed it meanwhile.
        stored = transaction.resource(resource.id)
        if stored is None:
            return None
        attributes = _merge(stored, changes)
        if stored.key == "m2m:crds":
            transaction.set_identity(stored.parent, attributes.get("crid"))
        return transaction.change(stored.id, attributes, modified)

    changed = await context.devices.change(store)
    if changed is None:
        raise NotFound(f"{resource.name} was removed meanwhile")
    return changed


def _merge(stored: Resource, changes: dict[str, Any]) -> dict[str, Any]:
    if stored.key == "m2m:crds":
        return credentials(stored.attributes, changes)
    merged = {**stored.attributes, **changes}
    return {name: value for name, value in merged.items() if value is not None}
