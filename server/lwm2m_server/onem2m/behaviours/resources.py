"""What resources of all types in the ledger have in common (TS-0004, 7.2.2 and 7.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lwm2m_server.onem2m.behaviours.context import Context, now
from lwm2m_server.onem2m.checks import Draft, check_name, require
from lwm2m_server.onem2m.errors import InvalidChildType, NotAllowed, NotFound
from lwm2m_server.onem2m.rendering import AE, CONTAINER, CSE_BASE
from lwm2m_server.onem2m.tree import Target
from lwm2m_server.store.errors import Conflict, Gone
from lwm2m_server.store.ids import uuid_name
from lwm2m_server.store.records import Resource
from lwm2m_server.store.transaction import Transaction


async def create_resource(context: Context, target: Target, draft: Draft, originator: str) -> Resource:
    """One that is nothing but its attributes. Raises ``Conflict`` for a taken name."""
    return await add(context, target, drafted(context, target, draft, originator))


def drafted(context: Context, target: Target, draft: Draft, originator: str) -> Resource:
    """What a CREATE asks for. Raises ``BadRequest`` for what is missing."""
    require(draft)
    id = context.ids.next()
    name = draft.take_name()
    name = uuid_name(id) if name is None else check_name(name)
    attributes = {**draft.attributes, "cr": originator}
    if draft.type.mgd is not None:
        attributes["mgd"] = draft.type.mgd
    parent = target.resource
    return Resource(id, target.tenant.name, parent.id, name, draft.type.ty, draft.type.key, attributes, id)


async def add(
    context: Context,
    target: Target,
    resource: Resource,
    check: Callable[[Transaction], object] = lambda transaction: None,
) -> Resource:
    """Store it, if ``check`` raises nothing inside the commit. Raises ``Conflict``, ``Gone``."""
    parent = target.resource

    def store(transaction: Transaction) -> Resource:
        check_parent(transaction, parent)
        check(transaction)
        if parent.type == CONTAINER and transaction.message_named(parent.id, resource.name) is not None:
            raise Conflict(f"the name {resource.name!r} is taken")
        transaction.put(resource)
        context.notices.created(transaction, parent.id, resource)
        return resource

    if parent.type != CSE_BASE:
        return await context.devices.change(store)
    with context.reserve(resource.tenant, resource.name):
        return await context.devices.change(store)


def check_parent(transaction: Transaction, parent: Resource) -> None:
    """Inside a commit. Raises ``Gone`` if the parent was removed meanwhile."""
    if parent.type == CSE_BASE:
        return
    gone = transaction.is_doomed(parent.id) if parent.type == AE else transaction.resource(parent.id) is None
    if gone:
        raise Gone(f"{parent.name} was removed meanwhile")


async def update_resource(context: Context, target: Target, draft: Draft) -> Resource:
    """Given attributes replace stored ones, ``null`` removes. Raises ``NotFound``."""
    return await change(context, target, lambda stored: merged(stored, draft.attributes))


async def change(
    context: Context, target: Target, changed: Callable[[Resource], Mapping[str, Any]]
) -> Resource:
    """Store what becomes of the attributes. Raises ``NotFound``."""
    modified = now()

    def store(transaction: Transaction) -> Resource | None:
        # Read again here, inside the commit: another request may have changed it meanwhile.
        stored = transaction.resource(target.what.id)
        after = None if stored is None else transaction.change(stored.id, changed(stored), modified)
        if stored is not None and after is not None:
            context.notices.updated(transaction, stored, after)
        return after

    found = await context.devices.change(store)
    if found is None:
        raise NotFound(f"{target.what.name} was removed meanwhile")
    return found


def merged(stored: Resource, changes: Mapping[str, Any]) -> dict[str, Any]:
    both = {**stored.attributes, **changes}
    return {name: value for name, value in both.items() if value is not None}


async def delete_resource(context: Context, target: Target) -> None:
    """With all below it."""
    resource = target.resource

    def remove(transaction: Transaction) -> None:
        context.notices.deleted(transaction, resource)
        transaction.remove(resource.id)

    await context.devices.change(remove)


def check_place(target: Target, draft: Draft) -> None:
    """Raises ``InvalidChildType`` where the platform keeps the tree."""
    if target.is_platforms:
        raise InvalidChildType(
            f"{target.what.name} belongs to the platform and takes no {draft.type.long} of a client"
        )


def check_owned(target: Target) -> None:
    """Raises ``NotAllowed`` for what the platform keeps."""
    if target.is_platforms:
        raise NotAllowed(f"{target.what.name} belongs to the platform")
