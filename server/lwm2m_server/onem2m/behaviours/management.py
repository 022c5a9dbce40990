"""Management objects a client may create: ``device-info`` and ``credentials`` of a node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lwm2m_server.onem2m.behaviours.context import Context
from lwm2m_server.onem2m.behaviours.nodes import CREDENTIALS, DEVICE_INFO
from lwm2m_server.onem2m.checks import Draft, require
from lwm2m_server.onem2m.errors import BadRequest, NotFound, NotImplementedYet
from lwm2m_server.onem2m.rendering import MASK, MGMT_OBJ, UNDEFINED
from lwm2m_server.onem2m.tree import Target
from lwm2m_server.store.protocols import Resource, Transaction

NAMES = {"m2m:dvi": DEVICE_INFO, "m2m:crds": CREDENTIALS}
"""The one name each has below its node."""


async def create_management(context: Context, target: Target, draft: Draft, originator: str) -> Resource:
    """Raises ``Conflict`` if the node has one, or if the identity is another node's."""
    key = draft.type.key
    if key not in NAMES:
        raise NotImplementedYet(
            f"{draft.type.long} cannot be created yet; mapping plugins make it from devices"
        )
    name = draft.take_name() or NAMES[key]
    if name != NAMES[key]:
        raise BadRequest(f"the {draft.type.long} of a node is named {NAMES[key]}, not {name[:40]!r}")
    draft.attributes["mgd"] = draft.type.mgd
    if key == "m2m:dvi":
        require(draft)
        attributes = draft.attributes
    else:
        attributes = credentials({}, draft.attributes)
    id = context.ids.next()
    node = target.what.id
    resource = Resource(id, target.tenant.name, node, name, MGMT_OBJ, key, attributes, id)

    def store(transaction: Transaction) -> None:
        transaction.put(resource)
        if key == "m2m:crds":
            transaction.set_identity(node, attributes.get("crid"))

    await context.devices.change(store)
    return resource


async def delete_credentials(context: Context, credentials: Resource) -> None:
    """The device they belong to is unknown to the security layer from now on: its registration ends."""

    def remove(transaction: Transaction) -> None:
        transaction.remove(credentials.id)
        transaction.set_identity(credentials.parent, None)

    device = context.reader.device(credentials.parent)
    if device is None:
        raise NotFound(f"the node of these {CREDENTIALS} was removed meanwhile")
    await context.devices.forget(device, remove)


def credentials(stored: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of ``credentials`` after a client's changes. ``UNDEFINED`` removes, ``***`` keeps."""
    merged = dict(stored)
    for name, value in changes.items():
        if name == "crse" and value == MASK:
            if "crse" not in stored:
                raise BadRequest(
                    f"crse (credentialSecret): {MASK} keeps the stored secret, and none is stored"
                )
        elif value is None or (value == UNDEFINED and name in ("crid", "crse")):
            merged.pop(name, None)
        else:
            merged[name] = value
    return merged
