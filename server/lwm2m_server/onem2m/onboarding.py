"""Onboarding: what a request asks for, done device by device in the background, and its answer.

Each item is one commit with its outcome in it: after a crash the work goes on with those that have none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final, TypeAlias

import attrs
import orjson

from lwm2m_server.onem2m.behaviours.context import Context
from lwm2m_server.onem2m.behaviours.groups import find_group, join_group
from lwm2m_server.onem2m.behaviours.nodes import NewNode, new_node, remove_node, store_node
from lwm2m_server.onem2m.behaviours.roots import PROVISIONING, RESPONSES, below
from lwm2m_server.onem2m.errors import BadRequest, NotFound, OneM2MError
from lwm2m_server.onem2m.items import Item, read_item, read_name, title
from lwm2m_server.onem2m.names import type_of_key
from lwm2m_server.onem2m.origins import PLATFORM
from lwm2m_server.onem2m.routing import FLEX_CONTAINER
from lwm2m_server.security.credentials import BadCredentials, Psk
from lwm2m_server.store.devices import node_id_key
from lwm2m_server.store.errors import Conflict, Gone
from lwm2m_server.store.ids import NodeIds
from lwm2m_server.store.records import Device, OnboardingItem, Resource, Tenant
from lwm2m_server.store.transaction import Transaction

REQUEST_KEY, RESPONSE_KEY = "dtiot:noPRt", "dtiot:prRRe"
TURN: Final = 20
"""Devices created or removed before others may run."""
PAGE: Final = 200
"""Outcomes counted before others may run."""
ALL, SOME, NONE = 1, 2, 3
"""``resSs``: how many of the devices succeeded."""

Handle: TypeAlias = Callable[[Context, Tenant, OnboardingItem], Awaitable[None]]


@attrs.define
class Tally:
    """What came of a request."""

    total: int = 0
    errors: list[str] = attrs.field(factory=list)
    joins: dict[int, list[str]] = attrs.field(factory=dict)
    """By group the devices that are to be in it."""


def begin(context: Context, request: Resource) -> None:
    """In the background; begun twice, it is done once."""
    context.chores.add(("onboarding", request.id), partial(_turns, context, request))


def sealed_about(request: int, place: int) -> bytes:
    """What the secret of an item belongs to."""
    return f"onboarding/{request}/{place}".encode()


async def _turns(context: Context, request: Resource) -> AsyncIterator[None]:
    tenant = context.inventory.tenant(request.tenant)
    if tenant is None:
        return
    handle = OPERATIONS[request.attributes["opern"]]
    after = -1
    while items := context.reader.onboarding_items(request.id, after=after, limit=TURN):
        await asyncio.gather(*(_settle(context, tenant, handle, item) for item in items))
        after = items[-1].place
        yield
    if context.reader.resource(request.id) is None:
        return
    tally = Tally()
    async for _ in _count(context, tenant, request, tally):
        yield
    for group, names in tally.joins.items():
        await join_group(context, group, names)
        yield
    await _answer(context, tenant, request, tally)


async def _settle(context: Context, tenant: Tenant, handle: Handle, item: OnboardingItem) -> None:
    if item.outcome is not None:
        return
    try:
        await handle(context, tenant, item)
    except (OneM2MError, BadCredentials, Conflict, Gone) as error:
        why = str(error) or "it was removed meanwhile"
        await context.devices.change(lambda write: write.settle_onboarding_item(item, why))


# --- one device --------------------------------------------------------------------------------------


async def _create(context: Context, tenant: Tenant, row: OnboardingItem) -> None:
    item = read_item(orjson.loads(row.short))
    for group in item.groups:
        if find_group(context, tenant, group) is None:
            raise BadRequest(f"nDGr (nodeDeviceGroups): there is no group {group[:80]!r}")
    new = new_node(context, tenant, item.name, item.node_id, item.labels)
    with context.reserve(tenant.name, item.name):
        commit = context.devices.change(partial(_store, context, row, item, new))
        await context.credentials.kept(new.node.id, commit)
    context.routes.arrived(tenant.name, item.name)


def _store(context: Context, row: OnboardingItem, item: Item, new: NewNode, transaction: Transaction) -> None:
    store_node(context, new, transaction)
    node = NodeIds(new.node.id)
    if item.info:
        born = transaction.resource(node.device_info)
        if born is not None:
            transaction.change(born.id, {**born.attributes, **item.info}, born.modified)
    if item.has_key and row.sealed is not None:
        device = transaction.device(node.node)
        if device is not None:
            key = context.credentials.open(row.sealed, sealed_about(row.request, row.place))
            context.credentials.write(transaction, device, "management", Psk(item.identity, key))
    transaction.settle_onboarding_item(row, "")


async def _remove(context: Context, tenant: Tenant, row: OnboardingItem) -> None:
    name, node_id = read_name(orjson.loads(row.short))
    device = _find(context, tenant, name, node_id)
    await remove_node(
        context, tenant, device, lambda transaction: transaction.settle_onboarding_item(row, "")
    )


OPERATIONS: Final[dict[int, Handle]] = {1: _create, 2: _remove}
"""By ``opern``."""


def _find(context: Context, tenant: Tenant, name: str | None, node_id: str | None) -> Device:
    """Raises ``NotFound``."""
    if name is not None:
        device = context.reader.device_named(tenant.name, name)
    else:
        device = context.reader.device_of_endpoint(node_id or "")
    is_meant = node_id is None or (
        device is not None and node_id_key(device.node_id or "") == node_id_key(node_id)
    )
    if device is None or device.tenant != tenant.name or not is_meant:
        told = [f"{key} {value[:80]!r}" for key, value in (("name", name), ("node id", node_id)) if value]
        raise NotFound(f"there is no device with {' and '.join(told)}")
    return device


# --- the answer --------------------------------------------------------------------------------------


async def _count(context: Context, tenant: Tenant, request: Resource, tally: Tally) -> AsyncIterator[None]:
    creates = OPERATIONS[request.attributes["opern"]] is _create
    after = -1
    while items := context.reader.onboarding_items(request.id, after=after, limit=PAGE):
        after, tally.total = items[-1].place, tally.total + len(items)
        for item in items:
            if item.outcome:
                tally.errors.append(f"{title(orjson.loads(item.short))}: {item.outcome}")
            elif creates:
                _join(context, tenant, item, tally)
        yield


def _join(context: Context, tenant: Tenant, row: OnboardingItem, tally: Tally) -> None:
    item = orjson.loads(row.short)
    for member in item.get("nDGr", ()):
        group = find_group(context, tenant, member)
        if group is not None:
            tally.joins.setdefault(group.id, []).append(item["noRNe"])


async def _answer(context: Context, tenant: Tenant, request: Resource, tally: Tally) -> None:
    ri = context.resource_ids.ri(request.id, FLEX_CONTAINER)
    failed = len(tally.errors)
    definition = type_of_key(RESPONSE_KEY)
    attributes = {
        "cnd": definition.cnd if definition is not None else None,
        "reqRD": ri,
        "resSs": ALL if not failed else NONE if failed == tally.total else SOME,
        "geEMe": f"Total to be provisioned: {tally.total}; "
        f"Successfully processed: {tally.total - failed}; Errors: {failed}",
        "inEMs": tally.errors,
        "cr": PLATFORM,
        "tsn": RESPONSE_KEY,
        "st": 0,
    }
    id = context.ids.next()
    parent = below(context.reader, tenant, PROVISIONING, RESPONSES).id
    name = f"responseToRequest-{ri}"
    response = Resource(id, tenant.name, parent, name, FLEX_CONTAINER, RESPONSE_KEY, attributes, id)

    def store(transaction: Transaction) -> None:
        transaction.close_onboarding(request.id)
        if transaction.resource(request.id) is not None:
            transaction.put(response)
            context.notices.created(transaction, parent, response)

    await context.devices.change(store)
