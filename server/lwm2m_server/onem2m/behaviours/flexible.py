"""flexContainers: resources whose attributes their provider defines (TS-0004, 7.4.38)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from lwm2m_server.onem2m.behaviours.context import Context
from lwm2m_server.onem2m.behaviours.resources import add, change, check_place, drafted, merged
from lwm2m_server.onem2m.checks import Draft, own_attributes
from lwm2m_server.onem2m.names import Type
from lwm2m_server.onem2m.tree import Target
from lwm2m_server.store.records import Resource


async def create_flexible(context: Context, target: Target, draft: Draft, originator: str) -> Resource:
    """Raises ``Conflict`` for a taken name."""
    check_place(target, draft)
    draft.attributes.update(st=0, cs=_size(draft.type, draft.attributes))
    return await add(context, target, drafted(context, target, draft, originator))


async def update_flexible(context: Context, target: Target, draft: Draft) -> Resource:
    """Counts ``st`` up."""

    def changed(stored: Resource) -> Mapping[str, Any]:
        attributes = merged(stored, draft.attributes)
        attributes["st"] = stored.attributes["st"] + 1
        attributes["cs"] = _size(draft.type, attributes)
        return attributes

    return await change(context, target, changed)


def _size(type: Type, attributes: Mapping[str, Any]) -> int:
    """``cs``: bytes of what the provider defined, as compact JSON."""
    return len(orjson.dumps(own_attributes(type, attributes)))
