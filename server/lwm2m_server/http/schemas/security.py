"""What devices prove themselves with, and what bootstrap gives them."""

from __future__ import annotations

from typing import Final

from lwm2m_server.http.describing import (
    ANYTHING,
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

COMPONENTS: Final[dict[str, Schema]] = {
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
}
