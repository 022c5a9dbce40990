"""Nodes: a device as oneM2M sees it, with all that every node is born with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from types import MappingProxyType

import attrs

from lwm2m_server.onem2m.behaviours.context import Context
from lwm2m_server.onem2m.behaviours.roots import below
from lwm2m_server.onem2m.checks import PLATFORM_NAMES, Draft, check_name, require
from lwm2m_server.onem2m.errors import NotFound
from lwm2m_server.onem2m.origins import PLATFORM
from lwm2m_server.onem2m.rendering import CONTAINER, MGMT_OBJ, NODE, without_lifecycle
from lwm2m_server.onem2m.tree import COMMUNICATION, Target
from lwm2m_server.settings import MessageSettings
from lwm2m_server.store.ids import NodeIds
from lwm2m_server.store.records import Born, Brood, Device, Resource, Tenant
from lwm2m_server.store.transaction import Transaction

OUTGOING, SENT, RECEIVED, ERRORS, LOGS = "outgoing-msg", "sent-msg", "received-msg", "error-msg", "logs"
CREDENTIALS, DEVICE_INFO = "credentials", "device-info"


@attrs.frozen(slots=True)
class NewNode:
    """A node, and its container below ``device-communication`` with what that is born with."""

    node: Resource
    communication: Resource
    boxes: Brood
    endpoint: str | None = None
    """The Endpoint Client Name it is made for."""


_UNSAFE = re.compile(r"[^A-Za-z0-9_.:-]")


def node_name(endpoint: str, taken: Callable[[str], bool]) -> str:
    """A free ``rn`` made from an endpoint name; characters that no name has become ``_``."""
    stem = _UNSAFE.sub("_", endpoint)[:240] or "_"
    name, count = stem, 1
    while name in PLATFORM_NAMES or taken(name):
        count += 1
        name = f"{stem}-{count}"
    return name


def provision_node(
    ids: NodeIds,
    tenant: Tenant,
    communication: int,
    name: str,
    node_id: str,
    labels: Iterable[str],
    limits: MessageSettings,
    endpoint: str | None = None,
) -> NewNode:
    """A new node and its container; ``communication`` is ``device-communication``."""
    attributes: dict[str, object] = {"ni": node_id}
    labels = without_lifecycle(list(labels))
    if labels:
        attributes["lbl"] = labels
    id, folder = ids.node, ids.communication
    return NewNode(
        Resource(id, tenant.name, tenant.id, name, NODE, "m2m:nod", attributes, id),
        Resource(folder, tenant.name, communication, name, CONTAINER, "m2m:cnt", {"cr": PLATFORM}, folder),
        _boxes(limits),
        endpoint,
    )


def put_node(transaction: Transaction, new: NewNode) -> None:
    """Store what ``provision_node`` made. Raises ``Conflict`` for a name or ``ni`` that is taken."""
    transaction.put(new.node, brood=_MANAGEMENT, endpoint=new.endpoint)
    transaction.put(new.communication, brood=new.boxes)


_FIRST = NodeIds(0)
_MANAGEMENT = Brood(
    (
        Born(_FIRST.credentials, CREDENTIALS, MGMT_OBJ, "m2m:crds", {"dc": "cred", "mgd": 1029}),
        Born(_FIRST.device_info, DEVICE_INFO, MGMT_OBJ, "m2m:dvi", {"mgd": 1007}, named="dlb"),
    )
)
"""What a node is born with."""


def is_born_with(node: str, name: str, key: str, attributes: Mapping[str, object]) -> bool:
    """Whether a node is born with a child of this name that has these attributes already."""
    born = next((one for one in _MANAGEMENT.children if one.name == name), None)
    return (
        born is not None
        and born.key == key
        and all(
            value == (node if attribute == born.named else born.attributes.get(attribute))
            for attribute, value in attributes.items()
        )
    )


@lru_cache(maxsize=16)
def _boxes(limits: MessageSettings) -> Brood:
    """What the container of a node is born with."""
    kept = {"cr": PLATFORM, "mni": limits.mni, "mbs": limits.mbs}
    waiting = {"cr": PLATFORM, "mni": limits.outgoing_mni, "mbs": limits.outgoing_mbs}
    sent = {"cr": PLATFORM, "mni": limits.mni, "mbs": limits.outgoing_mbs}

    def box(id: int, name: str, attributes: dict[str, object]) -> Born:
        return Born(id - _FIRST.communication, name, CONTAINER, "m2m:cnt", attributes, evict=name != OUTGOING)

    return Brood(
        (
            box(_FIRST.outgoing, OUTGOING, waiting),
            box(_FIRST.sent, SENT, sent),
            box(_FIRST.received, RECEIVED, kept),
            box(_FIRST.errors, ERRORS, kept),
            box(_FIRST.logs, LOGS, kept),
        )
    )


def new_node(
    context: Context,
    tenant: Tenant,
    name: str,
    node_id: str,
    labels: Iterable[str],
    more: Mapping[str, object] = MappingProxyType({}),
) -> NewNode:
    """With new ids, and ``more`` attributes. Raises ``BadRequest`` for what is no name."""
    check_name(name)
    root = below(context.reader, tenant, COMMUNICATION)
    ids = NodeIds(context.ids.next(NodeIds.COUNT))
    new = provision_node(ids, tenant, root.id, name, node_id, labels, context.settings.messages)
    return attrs.evolve(new, node=attrs.evolve(new.node, attributes={**new.node.attributes, **more}))


def store_node(context: Context, new: NewNode, transaction: Transaction) -> None:
    """Raises ``Conflict`` for a name or ``ni`` that is taken."""
    put_node(transaction, new)
    context.notices.created(transaction, new.node.parent, new.node)


async def create_node(context: Context, target: Target, draft: Draft, originator: str) -> Resource:
    """Raises ``Conflict`` for a name or ``ni`` that is taken."""
    require(draft)
    tenant = target.tenant
    node_id = draft.attributes["ni"]
    name = draft.take_name()
    if name is None:
        name = node_name(node_id, lambda name: _is_taken(context, tenant, name))
    labels = draft.attributes.pop("lbl", ())
    new = new_node(context, tenant, name, node_id, labels, draft.attributes)
    with context.reserve(tenant.name, name):
        await context.devices.change(partial(store_node, context, new))
    context.routes.arrived(tenant.name, name)
    return new.node


async def delete_node(context: Context, target: Target) -> None:
    """With its containers, registration, waiting messages and observations."""
    device = context.reader.device(target.what.id)
    if device is None:
        raise NotFound(f"{target.what.name} was removed meanwhile")
    await remove_node(context, target.tenant, device)


async def remove_node(
    context: Context,
    tenant: Tenant,
    device: Device,
    also: Callable[[Transaction], object] = lambda transaction: None,
) -> None:
    """``also`` is done in the same commit."""
    folder = NodeIds(device.node).communication
    groups = context.reader.groups_of(device.node)

    def remove(transaction: Transaction) -> None:
        for id in (device.node, folder):
            stored = transaction.resource(id)
            if stored is not None:
                context.notices.deleted(transaction, stored)
                transaction.remove(id)
        also(transaction)

    await context.credentials.kept(device.node, context.devices.forget(device, remove))
    context.tree.forget(tenant, device.name)
    context.routes.lost(tenant.name, device.name, groups)


def _is_taken(context: Context, tenant: Tenant, name: str) -> bool:
    return (
        context.inventory.application(tenant.name, name) is not None
        or context.reader.child(tenant.id, name) is not None
    )
