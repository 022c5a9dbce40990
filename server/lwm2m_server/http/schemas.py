"""What stands in the bodies of ``/api/v1``, as JSON Schema. Components are referred to by name."""

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
    array,
    enum,
    nullable,
    obj,
)
from lwm2m_server.http.update_schemas import COMPONENTS as UPDATES


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def any_of(values: Schema) -> Schema:
    """An object whose members are all alike."""
    return {"type": "object", "additionalProperties": values}


_SECONDS: Final[Schema] = {"type": "number", "exclusiveMinimum": 0, "maximum": 35_712_000}

_SERIES: Final = {
    **obj(
        "key path name type units kinds",
        key=STRING,
        path=STRING,
        name=nullable(STRING),
        type=nullable(STRING),
        units=nullable(STRING),
        kinds=array(enum("attribute", "telemetry")),
        at=TIME,
        received=TIME,
        source=enum("read", "notify", "send", "write"),
        value=ANYTHING,
        values=array(obj("*", at=TIME, value=ANYTHING)),
        next=TIME,
    ),
    "description": "a Resource of a device: its last value, or values of a time; next is the from (in "
    "descending order, the to) of those that are left out",
}
_UNDECODED: Final = obj(
    "*",
    at=TIME,
    source=STRING,
    path=STRING,
    paths=array(STRING),
    contentFormat=nullable(INTEGER),
    payload={"type": "string", "description": "base64; empty if it was too large to be kept"},
    error=STRING,
)
_DEVICE: Final = obj(
    "*",
    name=STRING,
    nodeId=nullable(STRING),
    endpoint=nullable(STRING),
    profile=nullable(STRING),
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
    waiting=COUNT,
    inFlight=BOOLEAN,
    transferred=nullable(obj("*", bytes=COUNT, of=COUNT)),
)

_DETAILS: Final = obj(
    "*",
    tenant=STRING,
    labels=array(STRING),
    security=STRING,
    identity=nullable(STRING),
    updatedAt=OFTEN_TIME,
    deregisteredAt=OFTEN_TIME,
    expiredAt=OFTEN_TIME,
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
    paths=array(STRING),
)

_CREDENTIALS: Final = obj(
    "mode", mode=STRING, endpoint=nullable(STRING), keySet=BOOLEAN, masterSecretSet=BOOLEAN
)

_NEW_CREDENTIALS: Final = {
    **obj(
        "mode",
        mode=enum("nosec", "psk", "rpk", "x509", "oscore"),
        endpoint=nullable(STRING),
        identity=STRING,
        key=STRING,
        publicKey=STRING,
        certificate=nullable(STRING),
        recipientId=STRING,
        senderId=STRING,
        masterSecret=STRING,
        masterSalt=nullable(STRING),
        idContext=nullable(STRING),
    ),
    "description": "psk: identity and key (base64); rpk: publicKey; x509: certificate, or none for any that "
    "a trusted authority has issued; oscore: recipientId, senderId, masterSecret, masterSalt and idContext "
    "(hexadecimal digits)",
}

_SECTION: Final = obj(
    "securityMode", securityMode=STRING, clientPublicKeyOrId=STRING, keySet=BOOLEAN, pending=BOOLEAN
)

_CREDENTIALS_DOCUMENT: Final = {
    **obj(
        "*",
        credentialsType={"const": "LWM2M_CREDENTIALS"},
        credentialsId=STRING,
        credentialsValue=obj(
            "client",
            client=obj(
                "endpoint securityConfigClientMode",
                endpoint=STRING,
                securityConfigClientMode=STRING,
                identity=nullable(STRING),
                key=STRING,
                keySet=BOOLEAN,
                cert=nullable(STRING),
            ),
            bootstrap=obj(bootstrapServer=_SECTION, lwm2mServer=_SECTION),
        ),
    ),
    "description": "credentials as profiles have them, without the secrets; a section that is pending is "
    "given to the device when it bootstraps",
}

_SESSION: Final = obj(
    "*",
    endpoint=STRING,
    session=nullable(INTEGER),
    beganAt=TIME,
    endedAt=OFTEN_TIME,
    peer=STRING,
    attributes=ANYTHING,
    outcome=STRING,
    detail=STRING,
    refused=COUNT,
)

_EVENT: Final = obj("*", id=COUNT, kind=STRING, endpoint=STRING, message=ref("EventMessage"))

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

_MODEL: Final = obj(
    "*",
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
    "*",
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
    **UPDATES,
    "Problem": obj("*", type=STRING, title=STRING, status=INTEGER, detail=STRING),
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
    "Credentials": _CREDENTIALS,
    "NewCredentials": _NEW_CREDENTIALS,
    "CredentialsDocument": _CREDENTIALS_DOCUMENT,
    "BootstrapConfig": obj("name endpoints", name=STRING, endpoints=array(STRING)),
    "NewBootstrapConfig": {
        **obj(endpoints=array(STRING), profile=obj(), credentials=nullable(obj())),
        "description": "the members of a configuration, or the bootstrap settings of a device profile",
    },
    "BootstrapPreview": obj(
        "*",
        endpoint=STRING,
        security=STRING,
        steps=array(obj("operation path", operation=STRING, path=STRING, values=array(obj()))),
        notes=array(STRING),
    ),
    "BootstrapSession": _SESSION,
    "Client": obj(
        "*",
        id=STRING,
        tenant=nullable(STRING),
        role=STRING,
        origins=nullable(array(STRING)),
        created=TIME,
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
        lastError=nullable(STRING),
        lastErrorAt=OFTEN_TIME,
        retryAt=OFTEN_TIME,
    ),
    "DesiredValue": _DESIRED,
    "Series": _SERIES,
    "Undecoded": _UNDECODED,
    "DeadLetter": _DEAD_LETTER,
    "DeadLetterDetails": {"allOf": [ref("DeadLetter"), obj("*", notification={"type": "object"})]},
    "Model": _MODEL,
    "ModelDetails": {"allOf": [ref("Model"), _MODEL_DETAILS]},
    "UploadReport": _UPLOAD_REPORT,
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
    "Profile": _PROFILE,
    "NewProfile": {
        "type": "object",
        "description": "a device profile, as `/api/v1/profiles/schema` describes it, or its transport "
        "configuration alone",
    },
    "NotedProfile": {"allOf": [ref("Profile"), obj("*", notes=ref("ProfileNotes"))]},
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
    "ProfileRule": _RULE,
    "ProfileAssignment": obj("*", groups=array(STRING), rules=array(ref("ProfileRule")), default=BOOLEAN),
    "NewProfileAssignment": obj(
        groups=array(STRING), rules=array(ref("ProfileRule")), default=nullable(BOOLEAN)
    ),
    "ProfileDevice": {"allOf": [obj("*", name=STRING, endpoint=nullable(STRING)), _WHY]},
    "AssignedProfile": {"allOf": [obj("*", profile=STRING), _WHY]},
    "Event": _EVENT,
    "EventMessage": {
        **obj("nodeResourceName", nodeResourceName=STRING, time=NUMBER, messageType=STRING),
        "description": "what stands in received-msg, error-msg or logs of the device, or looks like it",
    },
}
