"""Applications, device groups, and what they subscribe to."""

from __future__ import annotations

from typing import Final

from lwm2m_server.http.describing import (
    BOOLEAN,
    COUNT,
    OFTEN_TIME,
    STRING,
    TIME,
    Schema,
    array,
    enum,
    nullable,
    obj,
)

EVENTS: Final = ("updated", "deleted", "childCreated", "childDeleted")
"""From ``net`` 1 on."""
CONTENTS: Final = ("all", "modified", "reference")
"""From ``nct`` 1 on."""

_APPLICATION: Final = obj(
    "*",
    name=STRING,
    id=STRING,
    aeId=STRING,
    appId=STRING,
    kind=STRING,
    pointsOfAccess=array(STRING),
    headers=array(STRING),
    labels=array(STRING),
    groups=array(STRING),
    paused=BOOLEAN,
    createdAt=TIME,
    modifiedAt=TIME,
    expiresAt=OFTEN_TIME,
)

_GROUP: Final = obj(
    "*",
    name=STRING,
    id=STRING,
    devices=COUNT,
    applications=array(STRING),
    profiles=array(STRING),
    labels=array(STRING),
    createdAt=TIME,
    modifiedAt=TIME,
    expiresAt=OFTEN_TIME,
)

_SUBSCRIPTION: Final = obj(
    "*",
    id=STRING,
    name=STRING,
    resource=STRING,
    device=nullable(STRING),
    targets=array(STRING),
    events=array(enum(*EVENTS)),
    conditional=BOOLEAN,
    content=enum(*CONTENTS),
    batch=nullable(obj(count=COUNT, seconds={"type": "number"})),
    latestOnly=BOOLEAN,
    left=nullable(COUNT),
    creator=STRING,
    createdAt=TIME,
    expiresAt=OFTEN_TIME,
)

COMPONENTS: Final[dict[str, Schema]] = {
    "Application": _APPLICATION,
    "DeviceGroup": _GROUP,
    "GroupMember": obj("*", member=STRING, name=nullable(STRING)),
    "Subscription": _SUBSCRIPTION,
}
