"""Containers of clients (TS-0004, 7.4.6); those of devices are the platform's."""

from __future__ import annotations

from typing import Final

from lwm2m_server.onem2m.behaviours.context import Context
from lwm2m_server.onem2m.behaviours.resources import (
    add,
    change,
    check_owned,
    check_place,
    delete_resource,
    drafted,
    merged,
)
from lwm2m_server.onem2m.checks import Draft
from lwm2m_server.onem2m.tree import Target
from lwm2m_server.store.records import Resource

LIMITS: Final = {"mni": 10_000, "mbs": 100_000_000}
"""What a container has that was made without them."""


async def create_container(context: Context, target: Target, draft: Draft, originator: str) -> Resource:
    """Raises ``Conflict`` for a taken name."""
    check_place(target, draft)
    for name, value in LIMITS.items():
        draft.attributes.setdefault(name, value)
    return await add(context, target, drafted(context, target, draft, originator))


async def update_container(context: Context, target: Target, draft: Draft) -> Resource:
    """Smaller limits evict at once."""
    check_owned(target)
    for name, value in LIMITS.items():
        if name in draft.attributes and draft.attributes[name] is None:
            draft.attributes[name] = value
    return await change(context, target, lambda stored: merged(stored, draft.attributes))


async def delete_container(context: Context, target: Target) -> None:
    """With all below it."""
    check_owned(target)
    await delete_resource(context, target)
