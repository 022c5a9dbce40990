"""``Tree``: what a device has, as it announced it, its models define it and its values show it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from lwm2m_engine.errors import PathError
from lwm2m_engine.model.ranges import Range, parse_range
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ResourceType
from lwm2m_server.console.device.values import TYPES, Reading, id_of, reading


@attrs.frozen(slots=True)
class Definition:
    """What a model says of a Resource."""

    id: int
    name: str
    operations: str
    type: ResourceType
    multiple: bool
    mandatory: bool
    units: str
    range: str

    @property
    def allowed(self) -> Range:
        return parse_range(self.range, self.type)

    @property
    def is_writable(self) -> bool:
        return "W" in self.operations

    @property
    def is_readable(self) -> bool:
        return "R" in self.operations

    @property
    def is_executable(self) -> bool:
        return "E" in self.operations


@attrs.frozen(slots=True)
class Observed:
    """``path`` is what is observed: the place itself, or what it lies in."""

    path: str
    attributes: str
    active: bool
    composite: bool
    origin: str


@attrs.frozen(slots=True)
class Resource:
    path: Path
    definition: Definition | None
    reading: Reading | None = None
    observed: Observed | None = None

    @property
    def id(self) -> str:
        return id_of(self.path)

    @property
    def name(self) -> str:
        if self.definition is not None:
            return self.definition.name
        return (self.reading.name if self.reading is not None else None) or f"Resource {self.path[2]}"

    @property
    def is_executable(self) -> bool:
        return self.definition is not None and self.definition.is_executable

    @property
    def is_known(self) -> bool:
        """Whether the device showed that it has it, or has to; models define much that it need not have."""
        return self.reading is not None or (self.is_executable and self.is_mandatory)

    @property
    def is_mandatory(self) -> bool:
        return self.definition is not None and self.definition.mandatory

    def matches(self, words: Sequence[str]) -> bool:
        key = self.reading.key if self.reading is not None else ""
        return _has(words, f"{self.path} {self.name} {key}")


@attrs.frozen(slots=True)
class Instance:
    path: Path
    attributes: Mapping[str, str | None]
    resources: tuple[Resource, ...]
    observed: Observed | None = None

    @property
    def id(self) -> str:
        return id_of(self.path)

    @property
    def known(self) -> int:
        return sum(one.is_known for one in self.resources)


@attrs.frozen(slots=True)
class Object:
    path: Path
    name: str | None
    version: str
    is_modelled: bool
    multiple: bool
    attributes: Mapping[str, str | None]
    definitions: tuple[Definition, ...]
    instances: tuple[Instance, ...]
    observed: Observed | None = None

    @property
    def id(self) -> str:
        return id_of(self.path)

    @property
    def title(self) -> str:
        return self.name or f"Object {self.path[0]}"


@attrs.frozen(slots=True)
class Tree:
    objects: tuple[Object, ...]
    formats: tuple[tuple[int, str], ...] = ()
    """The content formats the device announced, with their names."""

    def object(self, id: int) -> Object | None:
        return next((one for one in self.objects if one.path[0] == id), None)

    def instance(self, path: Path) -> Instance | None:
        object = self.object(path[0])
        found = object.instances if object is not None else ()
        return next((one for one in found if one.path[1] == path[1]), None)

    def resource(self, path: Path) -> Resource | None:
        """Of the path of a Resource or of an instance of one; also one that only a model knows."""
        instance = self.instance(path)
        if instance is None:
            return None
        return next((one for one in instance.resources if one.path[2] == path[2]), None)

    def resources(self) -> Iterator[Resource]:
        for object in self.objects:
            for instance in object.instances:
                yield from instance.resources

    def known(self) -> Tree:
        """Without what only models know."""
        return attrs.evolve(self, objects=tuple(_known(one) for one in self.objects))

    def found(self, query: str) -> Tree:
        """Only what has all words of ``query`` in its path or name; of an Object or Instance that has them,
        all."""
        words = query.lower().split()
        if not words:
            return self
        objects = (_of_object(object, words) for object in self.objects)
        return attrs.evolve(self, objects=tuple(one for one in objects if one is not None))


def _known(object: Object) -> Object:
    instances = (
        attrs.evolve(one, resources=tuple(each for each in one.resources if each.is_known))
        for one in object.instances
    )
    return attrs.evolve(object, instances=tuple(instances))


def _of_object(object: Object, words: Sequence[str]) -> Object | None:
    if _has(words, f"/{object.path[0]} {object.title}"):
        return object
    instances = []
    for one in object.instances:
        if not _has(words, f"{one.path} {object.title}"):
            one = attrs.evolve(one, resources=tuple(each for each in one.resources if each.matches(words)))
        if one.resources:
            instances.append(one)
    return attrs.evolve(object, instances=tuple(instances)) if instances else None


def _has(words: Sequence[str], text: str) -> bool:
    lower = text.lower()
    return all(word in lower for word in words)


# --- making one ------------------------------------------------------------------------------------------


def tree_of(
    announced: Mapping[str, Any] | None,
    rows: Iterable[Mapping[str, Any]],
    observations: Iterable[Mapping[str, Any]],
) -> Tree:
    """``announced`` as ``/objects`` has it, ``None`` of a device that is not registered: then what is known
    of its values is all there is."""
    readings = _Readings(rows)
    watched = _observed(observations)
    if announced is None:
        return Tree(tuple(_unannounced(id, readings, watched) for id in readings.objects()))
    return Tree(
        tuple(_object(one, readings, watched) for one in announced["objects"]),
        tuple((one["id"], one["name"] or str(one["id"])) for one in announced["contentFormats"]),
    )


def ranges_of(announced: Mapping[str, Any] | None) -> dict[tuple[int, int], str]:
    """RangeEnumerations by Object and Resource."""
    return {
        (object["id"], one["id"]): one["range"]
        for object in (announced or {"objects": ()})["objects"]
        for one in object["resources"]
        if one["range"]
    }


class _Readings:
    """Values by place: those of the device itself, not of end devices behind it."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._by_instance: dict[Path, dict[int, Mapping[str, Any]]] = {}
        for row in rows:
            try:
                path = Path(row["path"])
            except PathError:
                continue
            self._by_instance.setdefault(Path(path[:2]), {})[path[2]] = row

    def of(self, instance: Path) -> Mapping[int, Mapping[str, Any]]:
        return self._by_instance.get(instance, {})

    def objects(self) -> list[int]:
        return sorted({path[0] for path in self._by_instance})

    def instances(self, object: int) -> list[int]:
        return sorted(path[1] for path in self._by_instance if path[0] == object)


def _object(found: Mapping[str, Any], readings: _Readings, watched: Mapping[Path, Observed]) -> Object:
    path = Path((found["id"],))
    definitions = tuple(_definition(one) for one in found["resources"])
    return Object(
        path,
        found["name"],
        found["version"],
        found["modelVersion"] is not None,
        bool(found["multiple"]),
        found["attributes"],
        definitions,
        tuple(
            _instance(path / one["id"], one["attributes"], definitions, readings, watched)
            for one in found["instances"]
        ),
        watched.get(path),
    )


def _unannounced(id: int, readings: _Readings, watched: Mapping[Path, Observed]) -> Object:
    """Of a device that is not registered now."""
    path = Path((id,))
    instances = (_instance(path / one, {}, (), readings, watched) for one in readings.instances(id))
    return Object(path, None, "", False, False, {}, (), tuple(instances), watched.get(path))


def _instance(
    path: Path,
    attributes: Mapping[str, str | None],
    definitions: Sequence[Definition],
    readings: _Readings,
    watched: Mapping[Path, Observed],
) -> Instance:
    rows = readings.of(path)
    defined = {one.id: one for one in definitions}
    resources = []
    for id in sorted({*defined, *rows}):
        definition, row, place = defined.get(id), rows.get(id), path / id
        told = None if row is None else reading(row, definition.range if definition is not None else "")
        seen = watched.get(place) or watched.get(path) or watched.get(Path(path[:1]))
        resources.append(Resource(place, definition, told, seen))
    return Instance(path, attributes, tuple(resources), watched.get(path) or watched.get(Path(path[:1])))


def _definition(found: Mapping[str, Any]) -> Definition:
    return Definition(
        found["id"],
        found["name"],
        found["operations"],
        TYPES.get(found["type"], ResourceType.NONE),
        found["multiple"],
        found["mandatory"],
        found["units"] or "",
        found["range"] or "",
    )


def _observed(observations: Iterable[Mapping[str, Any]]) -> dict[Path, Observed]:
    """By path; of a gateway not those of the end devices behind it."""
    found: dict[Path, Observed] = {}
    for one in observations:
        if one.get("prefix"):
            continue
        for text in one["paths"]:
            seen = Observed(
                text, one["attributes"], one["active"], one["composite"], str(one["origin"] or "")
            )
            found[Path(text)] = seen
    return found
