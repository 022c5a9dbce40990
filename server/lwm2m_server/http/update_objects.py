"""What a device itself says about packages: Objects 5, 9 and 33629, as far as their Resources are known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from lwm2m_engine.paths import Path
from lwm2m_server.http.describing import BOOLEAN, INTEGER, STRING, TIME, enum, nullable, obj
from lwm2m_server.http.device_views import milliseconds
from lwm2m_server.telemetry.readings import Reading
from lwm2m_server.updates.objects import OBJECTS, Kind, Phase, UpdateObject

PLACES: Final = tuple(Path((number,)) for number in OBJECTS)

SEEN: Final = obj(
    "*",
    path=STRING,
    object=INTEGER,
    phase=nullable(enum(*(one.value for one in Phase))),
    result=nullable(INTEGER),
    meaning=nullable(STRING),
    kind=nullable(enum(*(one.value for one in Kind))),
    packageName=nullable(STRING),
    packageVersion=nullable(STRING),
    component=nullable(STRING),
    running=nullable(STRING),
    active=nullable(BOOLEAN),
    at=TIME,
)


def seen(readings: Iterable[Reading]) -> Iterator[dict[str, Any]]:
    """One an Object Instance, in order of their paths."""
    instances: dict[Path, dict[int, Reading]] = defaultdict(dict)
    for one in readings:
        if len(one.path) == 3 and one.path[0] in OBJECTS:
            instances[Path(one.path[:2])][one.path[2]] = one
    for path in sorted(instances):
        yield _seen(path, OBJECTS[path[0]], instances[path])


def _seen(path: Path, numbers: UpdateObject, told: Mapping[int, Reading]) -> dict[str, Any]:
    facts = numbers.facts({id: one.value for id, one in told.items()})
    meaning = numbers.meaning(facts.result) if facts.result is not None else None
    return {
        "path": str(path),
        "object": path[0],
        "phase": facts.phase.value if facts.phase is not None else None,
        "result": facts.result,
        "meaning": meaning.text if meaning is not None else None,
        "kind": meaning.kind.value if meaning is not None else None,
        "packageName": facts.name,
        "packageVersion": facts.version,
        "component": facts.component,
        "running": facts.running,
        "active": facts.is_active,
        "at": milliseconds(max(one.at for one in told.values())),
    }
