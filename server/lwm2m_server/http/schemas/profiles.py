"""Device profiles."""

from __future__ import annotations

from typing import Final

from lwm2m_server.http.describing import (
    BOOLEAN,
    COUNT,
    STRING,
    Schema,
    any_of,
    array,
    enum,
    nullable,
    obj,
    ref,
)

_CHANGES: Final = obj("*", added=array(STRING), removed=array(STRING))

_TABLE_CHANGES: Final = obj("*", added=obj(), removed=obj(), changed=obj())

_RULE: Final = {
    **obj(
        "priority",
        priority={"type": "integer", "minimum": 0, "maximum": 1_000_000},
        endpoint=nullable(STRING),
        manufacturer=nullable(STRING),
        model=nullable(STRING),
    ),
    "description": "devices that fit all patterns, in which * is any text; low numbers are asked first",
}

_WHY: Final = obj(
    "*",
    by=enum("device", "group", "rule", "default"),
    group=nullable(STRING),
    rule=nullable(ref("ProfileRule")),
)

_PROFILE: Final = obj("*", name=STRING, transportType=enum("LWM2M"), profileData=obj())

COMPONENTS: Final[dict[str, Schema]] = {
    "Profile": _PROFILE,
    "NewProfile": {
        "type": "object",
        "description": "a device profile, as `/api/v1/profiles/schema` describes it, or its transport "
        "configuration alone",
    },
    "NotedProfile": {"allOf": [ref("Profile"), obj("*", notes=ref("ProfileNotes"))]},
    "CheckedProfile": obj(
        "*",
        name=nullable(STRING),
        transportType=enum("LWM2M"),
        profileData=obj(),
        notes=ref("ProfileNotes"),
    ),
    "ProfileNotes": array(obj("*", place=STRING, reason=STRING)),
    "ProfileChanges": obj(
        "*",
        observe=_CHANGES,
        attribute=_CHANGES,
        telemetry=_CHANGES,
        keyName=_TABLE_CHANGES,
        attributeLwm2m=_TABLE_CHANGES,
        settings=obj(),
        bootstrap=BOOLEAN,
    ),
    "ProfileDifference": obj(
        "*",
        name=STRING,
        endpoint=nullable(STRING),
        requests=array(obj("*", operation=STRING, paths=array(STRING), attributes=any_of(nullable(STRING)))),
        total=COUNT,
        notes=array(STRING),
    ),
    "ProfileRule": _RULE,
    "ProfileAssignment": obj("*", groups=array(STRING), rules=array(ref("ProfileRule")), default=BOOLEAN),
    "NewProfileAssignment": obj(
        groups=array(STRING), rules=array(ref("ProfileRule")), default=nullable(BOOLEAN)
    ),
    "ProfileDevice": {"allOf": [obj("*", name=STRING, endpoint=nullable(STRING)), _WHY]},
    "AssignedProfile": {"allOf": [obj("*", profile=STRING), _WHY]},
}
