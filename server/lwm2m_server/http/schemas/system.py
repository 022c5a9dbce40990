"""Problems, callers, and what is told of and to others."""

from __future__ import annotations

from typing import Final

from lwm2m_server.http.describing import (
    BOOLEAN,
    COUNT,
    INTEGER,
    NUMBER,
    OFTEN_TIME,
    STRING,
    TIME,
    Schema,
    array,
    nullable,
    obj,
    ref,
)

_EVENT: Final = obj("*", id=COUNT, kind=STRING, endpoint=STRING, message=ref("EventMessage"))

_DEAD_LETTER: Final = obj(
    "*",
    id=STRING,
    target=STRING,
    subscription=STRING,
    device=nullable(STRING),
    at=TIME,
    diedAt=TIME,
    reason=STRING,
    size=COUNT,
)

COMPONENTS: Final[dict[str, Schema]] = {
    "Problem": obj("*", type=STRING, title=STRING, status=INTEGER, detail=STRING),
    "Client": obj(
        "*",
        id=STRING,
        tenant=nullable(STRING),
        role=STRING,
        origins=nullable(array(STRING)),
        created=TIME,
    ),
    "Tenant": obj("*", name=STRING, names=nullable(STRING)),
    "AuditEntry": obj(
        "*",
        number=COUNT,
        at=TIME,
        tenant=nullable(STRING),
        client=STRING,
        origin=nullable(STRING),
        action=STRING,
        target=STRING,
        status=INTEGER,
        facts=obj(),
    ),
    "FoundProblem": obj(
        "*",
        id=COUNT,
        kind=STRING,
        text=STRING,
        tenant=nullable(STRING),
        device=nullable(STRING),
        count=COUNT,
        firstAt=TIME,
        lastAt=TIME,
        advice=STRING,
        facts=obj(),
    ),
    "Delivery": obj(
        "*",
        target=STRING,
        application=nullable(STRING),
        subscription=nullable(STRING),
        waiting=COUNT,
        waitingBytes=COUNT,
        oldestWaiting=OFTEN_TIME,
        delivered=COUNT,
        failed=COUNT,
        dead=COUNT,
        latency=nullable(COUNT),
        paused=BOOLEAN,
        failingSince=OFTEN_TIME,
        lastError=nullable(STRING),
        lastErrorAt=OFTEN_TIME,
        retryAt=OFTEN_TIME,
    ),
    "DeadLetter": _DEAD_LETTER,
    "DeadLetterDetails": {"allOf": [ref("DeadLetter"), obj("*", notification={"type": "object"})]},
    "Event": _EVENT,
    "EventMessage": {
        **obj("nodeResourceName", nodeResourceName=STRING, time=NUMBER, messageType=STRING),
        "description": "what stands in received-msg, error-msg or logs of the device, or looks like it",
    },
}
