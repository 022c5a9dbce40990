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
from lwm2m_server.onem2m.behaviours.channels import POLLING_CHANNEL, create_channel
from lwm2m_server.onem2m.behaviours.containers import create_container, delete_container, update_container
from lwm2m_server.onem2m.behaviours.context import Context
from lwm2m_server.onem2m.behaviours.flexible import create_flexible, update_flexible
from lwm2m_server.onem2m.behaviours.groups import (
    create_device_group,
    delete_device_group,
    update_device_group,
)
from lwm2m_server.onem2m.behaviours.management import (
    create_management,
    delete_credentials,
)
from lwm2m_server.onem2m.behaviours.membership import GROUP, create_group, update_group
from lwm2m_server.onem2m.behaviours.messages import create_message, delete_message
from lwm2m_server.onem2m.behaviours.nodes import create_node, delete_node
from lwm2m_server.onem2m.behaviours.policies import create_policy, update_policy
from lwm2m_server.onem2m.behaviours.provisioning import create_request, delete_request
from lwm2m_server.onem2m.behaviours.resources import create_resource, delete_resource
from lwm2m_server.onem2m.behaviours.updates import update_resource
from lwm2m_server.onem2m.checks import Draft
from lwm2m_server.onem2m.names import FLEX_CONTAINER, REQUEST
from lwm2m_server.onem2m.notify.criteria import SUBSCRIPTION
from lwm2m_server.onem2m.notify.subscriptions import create_subscription, update_subscription
from lwm2m_server.onem2m.policies import POLICY
from lwm2m_server.onem2m.rendering import AE, CONTAINER, CONTENT_INSTANCE, MGMT_OBJ, NODE
from lwm2m_server.onem2m.tree import Target
from lwm2m_server.store.records import Message, Resource

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
    POLICY: Behaviour(create_policy, update_policy, delete_resource),
    AE: Behaviour(create_application, update_application, delete_application),
    CONTAINER: Behaviour(create_container, update_container, delete_container),
    CONTENT_INSTANCE: Behaviour(create_message, delete=delete_message),
    GROUP: Behaviour(create_group, update_group, delete_resource),
    MGMT_OBJ: Behaviour(create_resource, update_resource, delete_resource),
    NODE: Behaviour(create_node, update_resource, delete_node),
    REQUEST: Behaviour(delete=delete_resource),
    POLLING_CHANNEL: Behaviour(create_channel, delete=delete_resource),
    SUBSCRIPTION: Behaviour(create_subscription, update_subscription, delete_resource),
    FLEX_CONTAINER: Behaviour(create_flexible, update_flexible, delete_resource),
}
_BY_KEY: Final[dict[str, Behaviour]] = {
    "m2m:crds": Behaviour(create_management, update_resource, delete_credentials),
    "m2m:dvi": Behaviour(create_management, update_resource, delete_resource),
    "dtiot:noPRt": Behaviour(create_request, delete=delete_request),
    "dtiot:prRRe": Behaviour(delete=delete_resource),
    "dtiot:devGr": Behaviour(create_device_group, update_device_group, delete_device_group),
}
"""By root key in short form, for what differs from others of its ``ty``: ``m2m:crds``, ``dtiot:devGr``."""
_NOTHING: Final = Behaviour()


def behaviour_of(ty: int, key: str) -> Behaviour:
    """``key`` is the root key in short form."""
    return _BY_KEY.get(key) or _BY_TY.get(ty, _NOTHING)
