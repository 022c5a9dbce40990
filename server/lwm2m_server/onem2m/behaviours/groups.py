"""Device groups: which devices' messages go to which applications (``dtiot:devGr``)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal

import attrs

from lwm2m_server.onem2m.behaviours.context import Context, now
from lwm2m_server.onem2m.behaviours.resources import delete_resource
from lwm2m_server.onem2m.behaviours.roots import DEVICE_GROUPS, below
from lwm2m_server.onem2m.checks import Draft, check_name
from lwm2m_server.onem2m.errors import BadRequest, InvalidChildType, NotFound
from lwm2m_server.onem2m.routing import FLEX_CONTAINER, GROUP_KEY, TURN
from lwm2m_server.onem2m.tree import Target
from lwm2m_server.store.ids import uuid_name
from lwm2m_server.store.records import Resource, Tenant
from lwm2m_server.store.transaction import Reader, Transaction

_SHOWN: Final = 3
"""Members that an error names."""


async def create_device_group(context: Context, target: Target, draft: Draft, originator: str) -> Resource:
    """Raises ``Conflict`` for a name that is taken."""
    tenant = target.tenant
    if target.what != below(context.reader, tenant, DEVICE_GROUPS):
        raise InvalidChildType(f"device groups are created in {DEVICE_GROUPS}")
    id = context.ids.next()
    name = check_name(draft.take_name() or uuid_name(id))
    await _check_members(context, tenant, draft.attributes, {})
    given = {name: value for name, value in draft.attributes.items() if value is not None}
    attributes = {"cnd": draft.type.cnd, "nds": [], "aes": [], **given}
    attributes |= {"cr": originator, "tsn": GROUP_KEY, "st": 0}
    group = Resource(id, tenant.name, target.what.id, name, FLEX_CONTAINER, GROUP_KEY, attributes, id)

    def store(transaction: Transaction) -> None:
        transaction.put(group)
        context.notices.created(transaction, group.parent, group)

    await context.devices.change(store)
    await context.routes.settled(id)
    return group


async def update_device_group(context: Context, target: Target, draft: Draft) -> Resource:
    """Given lists replace stored ones."""
    group = target.resource
    await _check_members(context, target.tenant, draft.attributes, group.attributes)
    changed = await context.devices.change(
        lambda transaction: _change(context, transaction, group.id, draft.attributes)
    )
    if changed is None:
        raise NotFound(f"{group.name} was removed meanwhile")
    await context.routes.settled(group.id)
    return changed


@attrs.frozen(slots=True)
class MemberChange:
    """Who joins a group and who leaves it, devices (``nds``) or applications (``aes``), by name or id."""

    list: Literal["nds", "aes"]
    joining: Collection[str] = ()
    leaving: Collection[str] = ()


async def change_members(
    context: Context, tenant: Tenant, group: Resource, changes: Sequence[MemberChange]
) -> Resource:
    """What others change meanwhile stays changed.

    Raises ``BadRequest`` for a new member that does not exist, ``NotFound``."""
    joining: dict[str, Any] = {change.list: list(change.joining) for change in changes}
    await _check_members(context, tenant, joining, group.attributes)
    changed = await context.devices.change(
        lambda transaction: _join_and_leave(context, transaction, group.id, changes)
    )
    if changed is None:
        raise NotFound(f"{group.name} was removed meanwhile")
    await context.routes.settled(group.id)
    return changed


def _join_and_leave(
    context: Context, transaction: Transaction, group: int, changes: Sequence[MemberChange]
) -> Resource | None:
    stored = transaction.resource(group)
    if stored is None:
        return None
    lists: dict[str, Any] = {}
    for change in changes:
        members = dict.fromkeys([*stored.attributes.get(change.list, ()), *change.joining])
        leaving = set(change.leaving)
        lists[change.list] = [member for member in members if member not in leaving]
    return _change(context, transaction, group, lists)


async def delete_device_group(context: Context, target: Target) -> None:
    await delete_resource(context, target)
    await context.routes.settled(target.what.id)


def device_groups(reader: Reader, tenant: Tenant) -> list[Resource]:
    """All of a tenant. Their documents may be large: for the thread for long reads."""
    root = below(reader, tenant, DEVICE_GROUPS)
    return [one for one in reader.children(root.id) if one.key == GROUP_KEY]


def find_group(context: Context, tenant: Tenant, member: str) -> Resource | None:
    """The group with this name or id."""
    found = context.reader.child(below(context.reader, tenant, DEVICE_GROUPS).id, member)
    if found is None:
        id, type = context.resource_ids.parse(member) or (0, 0)
        found = context.reader.resource(id) if type == FLEX_CONTAINER else None
    is_group = found is not None and found.key == GROUP_KEY and found.tenant == tenant.name
    return found if is_group else None


async def join_group(context: Context, group: int, names: Sequence[str]) -> None:
    """Devices that are not in it yet are in it from now on. One that is gone is let be."""
    await context.devices.change(lambda transaction: add_members(context, transaction, group, names))
    context.routes.changed(group)


def add_members(context: Context, transaction: Transaction, group: int, names: Sequence[str]) -> None:
    """The same in a commit of somebody's, who tells ``context.routes`` afterwards."""
    stored = transaction.resource(group)
    if stored is None:
        return
    members = dict.fromkeys(stored.attributes["nds"])
    if not members.keys() >= set(names):
        _change(context, transaction, group, {"nds": [*(members | dict.fromkeys(names))]})


def _change(
    context: Context, transaction: Transaction, group: int, changes: dict[str, Any]
) -> Resource | None:
    stored = transaction.resource(group)
    if stored is None:
        return None
    counted = {"st": stored.attributes["st"] + 1}
    given = {name: value for name, value in {**stored.attributes, **changes}.items() if value is not None}
    changed = transaction.change(group, {"nds": [], "aes": [], **given, **counted}, now())
    if changed is not None:
        context.notices.updated(transaction, stored, changed)
    return changed


async def _check_members(
    context: Context, tenant: Tenant, given: Mapping[str, Any], stored: Mapping[str, Any]
) -> None:
    """Members that were there before may be gone; new ones must exist. Raises ``BadRequest``."""
    routes = context.routes
    for name, kind, find in (("nds", "device", routes.node), ("aes", "application", routes.application)):
        new = set(given.get(name) or ()).difference(stored.get(name, ()))
        missing = await _missing(sorted(new), partial(find, tenant))
        if missing:
            shown = ", ".join(repr(one[:80]) for one in missing[:_SHOWN])
            more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
            raise BadRequest(f"{name}: there is no {kind} {shown}{more}")


async def _missing(members: Collection[str], find: Callable[[str], object]) -> list[str]:
    missing = []
    for count, member in enumerate(members, 1):
        if find(member) is None:
            missing.append(member)
        if count % TURN == 0:
            await asyncio.sleep(0)
    return missing
