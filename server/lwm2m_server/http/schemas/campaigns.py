"""What stands in the bodies of ``/api/v1/campaigns``, as JSON Schema."""

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
    any_of,
    array,
    enum,
    nullable,
    obj,
)
from lwm2m_server.updates.campaign_definition import ACTIONS, APPROVALS
from lwm2m_server.updates.campaign_plan import DeviceState, RunState
from lwm2m_server.updates.campaign_windows import COVERS, DAYS
from lwm2m_server.updates.records import METHODS, SOURCES
from lwm2m_server.updates.versions import COMPARISONS

_PERCENT: Final[Schema] = {"type": "number", "exclusiveMinimum": 0, "maximum": 100}
_SOME: Final[Schema] = {"type": "integer", "minimum": 1}
_STATE: Final = enum("draft", *(state.value for state in RunState))
_COUNTS: Final = obj("*", **{state.value: COUNT for state in DeviceState})

DEFINITION: Final[Schema] = obj(
    "package target",
    description=nullable(STRING),
    package=STRING,
    target={
        **obj(
            devices=array(STRING),
            group=STRING,
            profile=STRING,
            endpoint=STRING,
            manufacturer=STRING,
            model=STRING,
            version=STRING,
        ),
        "description": "those named, in the group, of the profile, and that fit all patterns (* is any text)",
    },
    waves=array(obj(count=_SOME, percent=_PERCENT, completed=_PERCENT)),
    maxInProgress=_SOME,
    failureThreshold=nullable(
        obj(count=nullable(_SOME), percent=nullable(_PERCENT), atLeast=_SOME, action=enum(*ACTIONS))
    ),
    approval=enum(*APPROVALS),
    window=nullable(
        obj(
            "from to",
            **{"from": STRING, "to": STRING},
            days=array(enum(*DAYS)),
            zone=STRING,
            covers=enum(*COVERS),
        )
    ),
    deviceTimeout={"type": "number", "description": "seconds"},
    attempts=_SOME,
    method=enum(*METHODS),
    comparison=enum(*COMPARISONS),
    source=enum(*SOURCES),
    force=BOOLEAN,
    component=nullable(STRING),
    instance=nullable(INTEGER),
    startAt=OFTEN_TIME,
    expiresAt=OFTEN_TIME,
)
NEW_CAMPAIGN: Final[Schema] = {
    **DEFINITION,
    "properties": {"name": STRING, **DEFINITION["properties"]},
    "required": ["name", "package", "target"],
}
CAMPAIGN_ROW: Final = obj(
    "*",
    name=STRING,
    package=STRING,
    state=_STATE,
    reason=nullable(STRING),
    total=nullable(COUNT),
    startedAt=OFTEN_TIME,
    endedAt=OFTEN_TIME,
)
CAMPAIGN: Final = obj(
    "*",
    tenant=STRING,
    name=STRING,
    state=_STATE,
    reason=nullable(STRING),
    definition=DEFINITION,
    startedAt=OFTEN_TIME,
    changedAt=OFTEN_TIME,
    endedAt=OFTEN_TIME,
    expiresAt=OFTEN_TIME,
    total=nullable(COUNT),
    progress={**NUMBER, "description": "the share of its devices that have ended, 0 to 1"},
    counts=_COUNTS,
    updates={**any_of(COUNT), "description": "those that are under way, by the state of their update"},
    awaitingApproval=COUNT,
    wave=nullable(COUNT),
    waves=array(obj("*", wave=COUNT, size=COUNT, approved=BOOLEAN, awaitingApproval=COUNT, counts=_COUNTS)),
    failures=array(obj("*", reason=nullable(STRING), count=COUNT)),
    history=array(obj("*", at=TIME, state=_STATE, reason=nullable(STRING))),
)
CAMPAIGN_PREVIEW: Final = obj(
    "*",
    total=COUNT,
    registered=COUNT,
    waves={**array(COUNT), "description": "devices of each wave"},
    devices={**array(STRING), "description": "names of the first ones"},
)
CAMPAIGN_DEVICE: Final = obj(
    "*",
    device=STRING,
    wave=COUNT,
    state=enum(*(state.value for state in DeviceState)),
    reason=nullable(STRING),
    changedAt=TIME,
    update=nullable(
        obj("*", id=COUNT, state=STRING, progress=nullable(NUMBER), reason=nullable(STRING), attempts=COUNT)
    ),
)
