"""Object models."""

from __future__ import annotations

from typing import Final

from lwm2m_server.http.describing import (
    BOOLEAN,
    COUNT,
    OFTEN_TIME,
    STRING,
    Schema,
    array,
    enum,
    nullable,
    obj,
    ref,
)

_MODEL: Final = obj(
    "name objectId objectVersion key resourceType level fileName inForce uploadedAt fault",
    name=nullable(STRING),
    objectId=COUNT,
    objectVersion=STRING,
    key=STRING,
    resourceType=enum("LWM2M_MODEL"),
    level=enum("bundled", "folder", "system", "tenant"),
    fileName=STRING,
    inForce=BOOLEAN,
    uploadedAt=OFTEN_TIME,
    usedBy=obj("*", profiles=COUNT, devices=COUNT),
    fault=nullable(STRING),
)

_NAMES: Final = obj("*", count=COUNT, names=array(STRING))

_MODEL_DETAILS: Final = obj(
    "urn lwm2mVersion multiple mandatory resources",
    urn=nullable(STRING),
    lwm2mVersion=nullable(STRING),
    multiple=nullable(BOOLEAN),
    mandatory=nullable(BOOLEAN),
    resources=array(
        obj(
            "*",
            id=COUNT,
            name=STRING,
            operations=STRING,
            type=STRING,
            multiple=BOOLEAN,
            mandatory=BOOLEAN,
            units=STRING,
            range=STRING,
            keyName=nullable(STRING),
        )
    ),
    users=array(obj("*", tenant=STRING, profiles=_NAMES, devices=_NAMES)),
)

_UPLOAD_REPORT: Final = obj(
    "*",
    files=array(
        obj(
            "*",
            fileName=STRING,
            outcome=enum("stored", "replaced", "unchanged", "skipped", "refused"),
            models=array(obj("*", name=STRING, objectId=COUNT, objectVersion=STRING)),
            overrides=array(STRING),
            problems=array(obj("*", line=nullable(COUNT), reason=STRING, severity=enum("error", "warning"))),
        )
    ),
    mappings=array(STRING),
)

COMPONENTS: Final[dict[str, Schema]] = {
    "Model": _MODEL,
    "ModelDetails": {"allOf": [ref("Model"), _MODEL_DETAILS]},
    "UploadReport": _UPLOAD_REPORT,
}
