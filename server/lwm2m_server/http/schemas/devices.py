"""Devices, what is said with them, and what they shall be."""

from __future__ import annotations

from typing import Final

from lwm2m_server.http.describing import (
    ANYTHING,
    BOOLEAN,
    COUNT,
    INTEGER,
    NUMBER,
    OFTEN_TIME,
    STRING,
    TIME,
    Schema,
    any_of,
    array,
    enum,
    nullable,
    obj,
    ref,
)

_SECONDS: Final[Schema] = {"type": "number", "exclusiveMinimum": 0, "maximum": 35_712_000}

_DEVICE: Final = obj(
    "*",
    name=STRING,
    nodeId=nullable(STRING),
    endpoint=nullable(STRING),
    profile=nullable(STRING),
    groups=array(STRING),
    registered=BOOLEAN,
    registeredAt=OFTEN_TIME,
    version=nullable(STRING),
    lifetime=nullable(INTEGER),
    binding=nullable(STRING),
    queueMode=nullable(BOOLEAN),
    awake=nullable(BOOLEAN),
    awakeUntil=OFTEN_TIME,
    listensAt=OFTEN_TIME,
    lastSeen=OFTEN_TIME,
    deregisteredAt=OFTEN_TIME,
    expiredAt=OFTEN_TIME,
    security=STRING,
    identity=nullable(STRING),
    waiting=COUNT,
    inFlight=BOOLEAN,
    transferred=nullable(obj("*", bytes=COUNT, of=COUNT)),
)

_DETAILS: Final = obj(
    "*",
    tenant=STRING,
    labels=array(STRING),
    updatedAt=OFTEN_TIME,
    powerSaving=nullable(ref("PowerSaving")),
    expiresAt=OFTEN_TIME,
    address=nullable(STRING),
    registration=nullable(
        obj(
            "*",
            id=STRING,
            root=STRING,
            contentFormats=array(INTEGER),
            sms=nullable(STRING),
            attributes=any_of(STRING),
            warnings=array(STRING),
        )
    ),
    objects=array(ref("DeviceObject")),
    observations=array(ref("Observation")),
    exchanges=array(obj(time=NUMBER, kind=STRING, operation=STRING, path=STRING, code=STRING)),
    messages=array(
        obj("*", id=STRING, content=STRING, createdAt=TIME, expiresAt=OFTEN_TIME, inFlight=BOOLEAN)
    ),
    lastError=nullable(obj()),
)

_OBJECT: Final = obj(
    "*",
    id=INTEGER,
    name=nullable(STRING),
    version=STRING,
    modelVersion=nullable(STRING),
    multiple=nullable(BOOLEAN),
    instances=array(INTEGER),
    resources=array(
        obj(
            "*",
            id=INTEGER,
            name=STRING,
            operations=STRING,
            type=STRING,
            multiple=BOOLEAN,
            mandatory=BOOLEAN,
            units=nullable(STRING),
            range=nullable(STRING),
        )
    ),
)

_LINKED: Final = any_of(nullable(STRING))

_TREE: Final = obj(
    "*",
    device=STRING,
    root=STRING,
    contentFormats=array(obj("*", id=INTEGER, name=nullable(STRING))),
    links=array(obj("*", target=STRING, attributes=_LINKED)),
    objects=array(
        obj(
            "*",
            id=INTEGER,
            name=nullable(STRING),
            version=STRING,
            modelVersion=nullable(STRING),
            multiple=nullable(BOOLEAN),
            attributes=_LINKED,
            instances=array(obj("*", id=INTEGER, path=STRING, attributes=_LINKED)),
            resources=array(obj("id name type", id=INTEGER, name=STRING, type=STRING)),
        )
    ),
)

_OBSERVATION: Final = obj(
    "*",
    paths=array(STRING),
    prefix=STRING,
    attributes=STRING,
    composite=BOOLEAN,
    since=OFTEN_TIME,
    origin=STRING,
    active=BOOLEAN,
)

_POWER: Final = {
    **obj(
        awakeWindow=nullable(_SECONDS),
        psm=nullable(
            {**obj(activeTimer=nullable(_SECONDS), tau=nullable(_SECONDS)), "additionalProperties": False}
        ),
        edrx=nullable(
            {
                **obj("cycle", cycle=_SECONDS, pagingTimeWindow=nullable(_SECONDS)),
                "additionalProperties": False,
            }
        ),
    ),
    "additionalProperties": False,
}

_NOTED: Final = obj(
    "number time direction message path",
    number=COUNT,
    time=TIME,
    direction=enum("up", "down"),
    message=STRING,
    path=STRING,
    query=STRING,
    type=enum("CON", "NON"),
    contentFormat=INTEGER,
    accept=INTEGER,
    observe=INTEGER,
    location=STRING,
    exchange=INTEGER,
    duration=NUMBER,
    peer=STRING,
    payloadSize=COUNT,
    payload=STRING,
    masked=BOOLEAN,
    cut=BOOLEAN,
    text=STRING,
    error=STRING,
    values=obj(),
    names=any_of(STRING),
    types=any_of(STRING),
    units=any_of(STRING),
    paths=array(STRING),
)

_DESIRED: Final = obj(
    "*",
    key=STRING,
    path=STRING,
    name=nullable(STRING),
    units=nullable(STRING),
    value=ANYTHING,
    state=enum("pending", "confirmed", "failed"),
    since=TIME,
    settledAt=OFTEN_TIME,
    attempts=COUNT,
    reason=nullable(STRING),
    reported=nullable(obj("*", value=ANYTHING, at=TIME)),
    same=nullable(BOOLEAN),
)

COMPONENTS: Final[dict[str, Schema]] = {
    "Device": _DEVICE,
    "ObjectTree": _TREE,
    "DeviceDetails": {"allOf": [ref("Device"), _DETAILS]},
    "DeviceObject": _OBJECT,
    "Observation": _OBSERVATION,
    "PowerSaving": _POWER,
    "TraceState": obj("*", tracing=BOOLEAN, since=TIME, dropped=COUNT),
    "Trace": obj(
        "tracing messages",
        tracing=BOOLEAN,
        since=TIME,
        dropped=COUNT,
        messages=array(ref("TracedMessage")),
    ),
    "TracedMessage": _NOTED,
    "DesiredValue": _DESIRED,
}
