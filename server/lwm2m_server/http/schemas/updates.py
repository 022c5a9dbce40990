"""What stands in the bodies of ``/packages`` and ``/updates``, as JSON Schema."""

from __future__ import annotations

from typing import Final

from lwm2m_server.http.describing import (
    BOOLEAN,
    COUNT,
    INTEGER,
    OFTEN_TIME,
    STRING,
    TIME,
    Schema,
    array,
    enum,
    nullable,
    obj,
)
from lwm2m_server.updates.course import State
from lwm2m_server.updates.packages import TYPES
from lwm2m_server.updates.records import METHODS, SOURCES
from lwm2m_server.updates.versions import COMPARISONS

STATE: Final = enum(*(state.value for state in State))
_TYPE: Final = enum(*TYPES)
_FITS: Final = {"type": "object", "additionalProperties": STRING}

_PACKAGE: Final = obj(
    "*",
    name=STRING,
    title=STRING,
    version=STRING,
    type=_TYPE,
    tag=nullable(STRING),
    description=STRING,
    fileName=nullable(STRING),
    checksum=nullable(STRING),
    checksumAlgorithm=nullable(STRING),
    size=nullable(COUNT),
    url=nullable(STRING),
    fits=_FITS,
    createdAt=TIME,
    available=BOOLEAN,
)
_ELSEWHERE: Final = obj(
    "version type url",
    name=STRING,
    title=STRING,
    version=STRING,
    type=_TYPE,
    url=STRING,
    checksum=STRING,
    size=COUNT,
    tag=STRING,
    description=STRING,
    fileName=STRING,
    fits=_FITS,
)
_OPTIONS: Final = {
    "method": enum(*METHODS),
    "approval": BOOLEAN,
    "installAfter": OFTEN_TIME,
    "force": BOOLEAN,
    "comparison": enum(*COMPARISONS),
    "versionFrom": enum(*SOURCES),
    "activate": BOOLEAN,
    "attempts": {"type": "integer", "minimum": 1, "maximum": 10},
    "instance": nullable({"type": "integer", "minimum": 0, "maximum": 65534}),
    "component": nullable(STRING),
    "severity": nullable({"type": "integer", "minimum": 0, "maximum": 2}),
    "deferPeriod": nullable({"type": "integer", "minimum": 0, "maximum": 0xFFFFFFFF}),
}
_MOMENT: Final = {**nullable(TIME), "type": ["integer", "string", "null"]}
"""ISO 8601 as well."""
_UPDATE: Final = obj(
    "*",
    id=INTEGER,
    device=STRING,
    type=_TYPE,
    package=STRING,
    title=STRING,
    version=STRING,
    campaign=nullable(STRING),
    state=STATE,
    reason=nullable(STRING),
    progress=nullable({"type": "number", "minimum": 0, "maximum": 100}),
    bytes=COUNT,
    size=nullable(COUNT),
    method=enum("push", "pull"),
    path=nullable(STRING),
    attempts=COUNT,
    approved=BOOLEAN,
    dueAt=OFTEN_TIME,
    createdAt=TIME,
    changedAt=TIME,
    options=obj("*", **_OPTIONS),
    timeline=array(obj("*", at=TIME, state=STATE, reason=nullable(STRING))),
)

COMPONENTS: Final[dict[str, Schema]] = {
    "Package": _PACKAGE,
    "UsedPackage": {
        **_PACKAGE,
        "properties": {**_PACKAGE["properties"], "usedBy": array(STRING)},
        "required": [*_PACKAGE["required"], "usedBy"],
    },
    "PackageElsewhere": _ELSEWHERE,
    "Update": _UPDATE,
    "NewUpdate": obj("package", package=STRING, **{**_OPTIONS, "installAfter": _MOMENT}),
}
