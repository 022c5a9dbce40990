"""Management objects a client may create: ``device-info`` and ``credentials`` of a node."""

from __future__ import annotations

from typing import Any, Final

from lwm2m_server.onem2m.behaviours.context import Context
from lwm2m_server.onem2m.behaviours.nodes import CREDENTIALS, DEVICE_INFO
from lwm2m_server.onem2m.checks import Draft, require
from lwm2m_server.onem2m.errors import BadRequest, NotFound
from lwm2m_server.onem2m.rendering import MASK, MGMT_OBJ, UNDEFINED
from lwm2m_server.onem2m.tree import Target
from lwm2m_server.security.credentials import NoSec, Removed
from lwm2m_server.store.errors import Gone
from lwm2m_server.store.records import Resource
from lwm2m_server.store.transaction import Transaction

NAMES = {"m2m:dvi": DEVICE_INFO, "m2m:crds": CREDENTIALS}
"""The one name each has below its node."""


async def create_management(context: Context, target: Target, draft: Draft, originator: str) -> Resource:
    """Raises ``Conflict`` if the node has one, or if the identity is another node's."""
    key = draft.type.key
    name = draft.take_name() or NAMES[key]
    if name != NAMES[key]:
        raise BadRequest(f"the {draft.type.long} of a node is named {NAMES[key]}, not {name[:40]!r}")
    draft.attributes["mgd"] = draft.type.mgd
    if key == "m2m:dvi":
        require(draft)
    secrets = take_secrets(draft.attributes) if key == "m2m:crds" else {}
    attributes = {name: value for name, value in draft.attributes.items() if value is not None}
    id = context.ids.next()
    node = target.what.id
    resource = Resource(id, target.tenant.name, node, name, MGMT_OBJ, key, attributes, id)

    def store(transaction: Transaction) -> None:
        transaction.put(resource)
        context.notices.created(transaction, node, resource)
        if key == "m2m:crds":
            begin_secrets(context, transaction, node, secrets)

    await context.credentials.kept(node, context.devices.change(store))
    return resource


async def delete_credentials(context: Context, target: Target) -> None:
    """The device they belong to is unknown to the security layer from now on: its registration ends."""
    credentials = target.resource
    device = context.reader.device(credentials.parent)
    if device is None:
        raise NotFound(f"the node of these {CREDENTIALS} was removed meanwhile")

    def remove(transaction: Transaction) -> None:
        context.notices.deleted(transaction, credentials)
        transaction.remove(credentials.id)
        context.credentials.write(transaction, device, "management", Removed())

    await context.credentials.kept(device.node, context.devices.forget(device, remove))


_SECRETS: Final = {"crid": "identity", "crse": "key"}


def take_secrets(attributes: dict[str, Any]) -> dict[str, Any]:
    """``crid`` and ``crse`` out of a client's attributes, as members of a pre-shared key. ``UNDEFINED``
    and ``null`` remove."""
    taken = {name: attributes.pop(name) for name in _SECRETS if name in attributes}
    return {_SECRETS[name]: None if value == UNDEFINED else value for name, value in taken.items()}


def write_secrets(context: Context, transaction: Transaction, node: int, secrets: dict[str, Any]) -> None:
    """Inside a commit. ``***`` keeps what is stored."""
    if not secrets:
        return
    device = transaction.device(node)
    if device is None:
        raise Gone("the node was removed")
    if secrets.get("key") == MASK:
        row = transaction.credential(node, "management")
        if row is None or row.mode != "psk" or row.sealed is None:
            raise BadRequest(f"crse (credentialSecret): {MASK} keeps the stored secret, and none is stored")
        secrets = {name: value for name, value in secrets.items() if name != "key"}
    context.credentials.change_psk(transaction, device, secrets)


def begin_secrets(context: Context, transaction: Transaction, node: int, secrets: dict[str, Any]) -> None:
    """For new ``credentials``: what was true without them is not any more."""
    device = transaction.device(node)
    if device is None:
        raise Gone("the node was removed")
    context.credentials.write(transaction, device, "management", NoSec())
    write_secrets(context, transaction, node, secrets)
