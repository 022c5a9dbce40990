"""Sensors and actuators of IPSO (Objects 3300 to 3350) as management objects, all by one rule.

Each Object Instance has one, made of the object's definition: ``temperature-0`` of the kind
``ipso:temperature``. Off by default: what sensors measure is in ``received-msg`` anyway, and each
notification would change one resource more.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

from lwm2m_engine import (
    Action,
    Catalog,
    Mapping,
    ObjectSpec,
    ObjLink,
    ResourceSpec,
    ResourceType,
    Rule,
    hookimpl,
)
from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.values import from_base64

OFF_BY_DEFAULT = True

FIRST, LAST = 3300, 3350
SAMPLES: dict[ResourceType, Any] = {
    ResourceType.STRING: "text",
    ResourceType.CORELNK: "</3/0>",
    ResourceType.INTEGER: 1,
    ResourceType.UNSIGNED_INTEGER: 1,
    ResourceType.FLOAT: 21.5,
    ResourceType.BOOLEAN: True,
    ResourceType.OPAQUE: b"\x01",
    ResourceType.TIME: 1752761133,
    ResourceType.OBJLNK: ObjLink(3, 0),
}


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def seconds(milliseconds: Any) -> int:
    return int(milliseconds) // 1000


def opaque(text: Any) -> bytes:
    if not isinstance(text, str):
        raise ValueRejected("Opaque is written as base64 text")
    return from_base64(text)


@hookimpl
def lwm2m_mappings(catalog: Catalog) -> Iterator[Mapping]:
    for spec in catalog:
        if FIRST <= spec.id <= LAST:
            yield of_object(spec, resources(catalog, spec))


def resources(catalog: Catalog, spec: ObjectSpec) -> list[ResourceSpec]:
    """Those of all versions: devices bring older ones along."""
    found: dict[int, ResourceSpec] = {}
    for version in catalog.versions(spec.id):
        found |= catalog[spec.id, version].resources
    return [found[number] for number in sorted(found)]


def of_object(spec: ObjectSpec, resources: list[ResourceSpec]) -> Mapping:
    values = [resource for resource in resources if resource.type is not ResourceType.NONE]
    single = [resource for resource in values if not resource.multiple]
    writable = [resource for resource in single if "W" in resource.operations]
    executable = [resource for resource in resources if resource.type is ResourceType.NONE]
    words = re.findall(r"[a-z0-9]+", spec.name.lower())
    place = f"/{spec.id}/0"
    return Mapping(
        f"ipso:{camel(words)}",
        name=f"{'-'.join(words)}-{{instance}}",
        rules=[rule(spec.id, resource) for resource in values],
        actions=[Action(f"/{spec.id}/*/{resource.id}", name(resource)) for resource in executable],
        examples=[
            (
                {f"{place}/{one.id}{'/0' if one.multiple else ''}": SAMPLES[one.type] for one in values},
                {name(one): [shown(one)] if one.multiple else shown(one) for one in values},
            )
        ],
        commands=[
            *(({name(one): as_json(one)}, [f"PUT {place}/{one.id} {text(one)}"]) for one in writable),
            *(({name(one): True}, [f"POST {place}/{one.id}"]) for one in executable),
        ],
    )


def rule(object_id: int, resource: ResourceSpec) -> Rule:
    path = f"/{object_id}/*/{resource.id}"
    if resource.multiple:
        return Rule(f"{path}/*", name(resource))
    writable = "W" in resource.operations
    if resource.type is ResourceType.TIME:
        return Rule(path, name(resource), convert=milliseconds, write=seconds if writable else False)
    if resource.type is ResourceType.OPAQUE:
        return Rule(path, name(resource), write=opaque if writable else False)
    return Rule(path, name(resource), write=writable)


def name(resource: ResourceSpec) -> str:
    return camel(resource.attribute.split("_"))


def camel(words: list[str]) -> str:
    """``sensorValue``"""
    head, *tail = words
    return head + "".join(word.capitalize() for word in tail)


def shown(resource: ResourceSpec) -> Any:
    sample = SAMPLES[resource.type]
    is_moment = resource.type is ResourceType.TIME and not resource.multiple
    return milliseconds(sample) if is_moment else sample


def as_json(resource: ResourceSpec) -> Any:
    sample = shown(resource)
    if isinstance(sample, bytes):
        return base64.b64encode(sample).decode()
    return str(sample) if isinstance(sample, ObjLink) else sample


def text(resource: ResourceSpec) -> str:
    sample = as_json(resource)
    return str(sample).lower() if isinstance(sample, bool) else str(sample)
