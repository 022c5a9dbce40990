"""What clients can do to each resource type: one row a type, one function an operation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import attrs

from lwm2m_server.onem2m.behaviours.applications import (
    create_application,
    delete_application,
    update_application,
)
from lwm2m_server.onem2m.behaviours.context import Context
from lwm2m_server.onem2m.behaviours.management import (
    create_management,
    delete_credentials,
    delete_management,
)
from lwm2m_server.onem2m.behaviours.messages import create_message, delete_message
from lwm2m_server.onem2m.behaviours.nodes import create_node, delete_node
from lwm2m_server.onem2m.behaviours.updates import update_resource
from lwm2m_server.onem2m.checks import Draft
from lwm2m_server.onem2m.rendering import CONTENT_INSTANCE, MGMT_OBJ, NODE
from lwm2m_server.onem2m.tree import AE, Target
from lwm2m_server.store.protocols import Message, Resource

Create: TypeAlias = Callable[[Context, Target, Draft, Any], Awaitable[Resource | Message]]
"""Below a target, from a draft, by an originator; what was made. All three raise ``OneM2MError``."""
Update: TypeAlias = Callable[[Context, Target, Draft], Awaitable[Resource]]
Delete: TypeAlias = Callable[[Context, Target], Awaitable[None]]


@attrs.frozen(slots=True)
class Behaviour:
    """``None`` is what clients cannot do to resources of a type."""

    create: Create | None = None
    update: Update | None = None
    delete: Delete | None = None


_BY_TY: Final[dict[int, Behaviour]] = {
    AE: Behaviour(create_application, update_application, delete_application),
    CONTENT_INSTANCE: Behaviour(create_message, delete=delete_message),
    MGMT_OBJ: Behaviour(create_management, update_resource, delete_management),
    NODE: Behaviour(create_node, update_resource, delete_node),
}
_BY_KEY: Final[dict[str, Behaviour]] = {
    "m2m:crds": Behaviour(create_management, update_resource, delete_credentials),
}
"""By root key in short form, for what differs from others of its ``ty``: ``m2m:crds``, ``dtiot:devGr``."""
_NOTHING: Final = Behaviour()


def behaviour_of(ty: int, key: str) -> Behaviour:
    """``key`` is the root key in short form."""
    return _BY_KEY.get(key) or _BY_TY.get(ty, _NOTHING)
