"""Groups of oneM2M: lists of resources (TS-0004, 7.4.14). Device groups of the D2C API are another thing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lwm2m_server.onem2m.addresses import parse_reference
from lwm2m_server.onem2m.behaviours.context import Context
from lwm2m_server.onem2m.behaviours.resources import add, change, check_place, drafted, merged
from lwm2m_server.onem2m.checks import Draft, require
from lwm2m_server.onem2m.errors import BadRequest, MembersInconsistent, NotFound, TooManyMembers
from lwm2m_server.onem2m.rendering import CONTENT_INSTANCE
from lwm2m_server.onem2m.tree import Target
from lwm2m_server.store.records import Message, Resource, Tenant

GROUP: Final = 9
MIXED: Final = 0
"""``mt`` of a group whose members are of any type."""
ABANDON_MEMBER, ABANDON_GROUP, SET_MIXED = 1, 2, 3
"""``csy``: what becomes of a group with members that are not of its type."""
MAX_MEMBERS: Final = 1_000
TURN: Final = 50
"""Members looked for before others may run."""


async def create_group(context: Context, target: Target, draft: Draft, originator: str) -> Resource:
    """Raises ``TooManyMembers``, ``MembersInconsistent``, and ``NotFound`` for a member that there is not."""
    check_place(target, draft)
    require(draft)
    if draft.attributes.get("csy") not in (None, ABANDON_MEMBER, ABANDON_GROUP, SET_MIXED):
        raise BadRequest("csy (consistencyStrategy) is 1, 2 or 3")
    draft.attributes.update(await _members(context, target.tenant, draft.attributes))
    return await add(context, target, drafted(context, target, draft, originator))


async def update_group(context: Context, target: Target, draft: Draft) -> Resource:
    """A new ``mid`` is the whole list. Raises as ``create_group``."""
    changes = draft.attributes
    if changes.keys() & {"mid", "mnm"}:
        changes |= await _members(context, target.tenant, merged(target.resource, changes))
    return await change(context, target, lambda stored: merged(stored, changes))


async def _members(context: Context, tenant: Tenant, group: Mapping[str, Any]) -> dict[str, Any]:
    """What the server makes of ``mid``: each member once, and none that is not of the type ``mt``."""
    members = await _found(context, tenant, group["mid"], group["mnm"])
    wanted = group.get("mt", MIXED)
    strays = [text for text, type in members if wanted not in (MIXED, type)]
    strategy = group.get("csy", ABANDON_MEMBER)
    if strays and strategy == ABANDON_GROUP:
        raise MembersInconsistent(f"{strays[0][:80]} is not of ty {wanted}, as mt wants all members to be")
    if strays and strategy == SET_MIXED:
        wanted = MIXED
    kept = [text for text, type in members if wanted in (MIXED, type)]
    return {"mid": kept, "cnm": len(kept), "mt": wanted, "mtv": True}


async def _found(
    context: Context, tenant: Tenant, texts: Sequence[str], most: int
) -> Sequence[tuple[str, int]]:
    """Each resource once, under the first name it was given, with its ``ty``."""
    found: dict[int, tuple[str, int]] = {}
    for count, text in enumerate(texts):
        if count % TURN == TURN - 1:
            await asyncio.sleep(0)
        member = context.tree.locate(parse_reference(text, tenant.name))
        if member.tenant.id != tenant.id:
            raise NotFound(f"there is no resource {text[:80]!r}")
        what = member.what
        found.setdefault(what.id, (text, CONTENT_INSTANCE if isinstance(what, Message) else what.type))
        if len(found) > min(most, MAX_MEMBERS):
            raise TooManyMembers(f"more than {min(most, MAX_MEMBERS)} members")
    return list(found.values())
