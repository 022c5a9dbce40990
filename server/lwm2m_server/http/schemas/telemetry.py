"""What devices told."""

from __future__ import annotations

from typing import Final

from lwm2m_server.http.describing import (
    ANYTHING,
    INTEGER,
    STRING,
    TIME,
    Schema,
    array,
    enum,
    nullable,
    obj,
)

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

COMPONENTS: Final[dict[str, Schema]] = {
    "Series": _SERIES,
    "Undecoded": _UNDECODED,
}
