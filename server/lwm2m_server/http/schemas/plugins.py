"""Plugins, and what their mappings make of a device."""

from __future__ import annotations

from typing import Final

from lwm2m_server.http.describing import (
    ANYTHING,
    BOOLEAN,
    COUNT,
    INTEGER,
    OFTEN_TIME,
    STRING,
    Schema,
    array,
    enum,
    nullable,
    obj,
    ref,
)

_PLUGIN: Final = obj(
    "*",
    name=STRING,
    source=enum("bundled", "entry point", "folder", "enabled"),
    file=STRING,
    version=nullable(STRING),
    status=enum("loaded", "failed", "off", "not loaded"),
    reason=nullable(STRING),
    hooks=array(STRING),
    failures=COUNT,
    mappings=array(
        obj(
            "*",
            name=STRING,
            kind=STRING,
            readAtRegister=BOOLEAN,
            replaces=nullable(STRING),
            rules=array(STRING),
        )
    ),
    conflicts=array(obj("*", hook=STRING, reason=STRING)),
)

_SOURCE: Final = obj(
    "*",
    path=nullable(STRING),
    object=nullable(STRING),
    name=nullable(STRING),
    type=nullable(STRING),
    units=nullable(STRING),
    state=enum("told", "no value", "not announced"),
    value=ANYTHING,
    at=OFTEN_TIME,
    by=nullable(STRING),
)

_RULE: Final = obj(
    "*",
    attribute=STRING,
    value=ANYTHING,
    state=enum("mapped", "no value", "not announced", "nothing made", "not of a rule"),
    reason=nullable(STRING),
    kind=enum("rule", "action", "other"),
    plugin=nullable(STRING),
    rule=nullable(STRING),
    convert=nullable(STRING),
    writable=BOOLEAN,
    write=nullable(STRING),
    condition=nullable(STRING),
    arguments=nullable(STRING),
    status=nullable(STRING),
    executes=nullable(ref("MappedSource")),
    sources=array(ref("MappedSource")),
)

COMPONENTS: Final[dict[str, Schema]] = {
    "Plugin": _PLUGIN,
    "MappedSource": _SOURCE,
    "MappedAttribute": _RULE,
    "ManagedObject": obj(
        "*",
        name=STRING,
        kind=STRING,
        key=nullable(STRING),
        exists=BOOLEAN,
        createdAt=OFTEN_TIME,
        modifiedAt=OFTEN_TIME,
        readAtRegister=BOOLEAN,
        plugins=array(STRING),
        attributes=array(ref("MappedAttribute")),
    ),
    "Unmapped": obj(
        "*",
        managed=array(
            obj("*", name=STRING, kind=STRING, plugin=STRING, objects=array(INTEGER), reason=STRING)
        ),
        objects=array(obj("*", id=INTEGER, name=nullable(STRING), instances=array(INTEGER))),
    ),
}
