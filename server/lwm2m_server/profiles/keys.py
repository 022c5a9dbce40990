"""``Keys``: what Resources of a device are called, and which Resource a name means."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Final

from lwm2m_engine.errors import PathError
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_server.profiles.mapping import ATTRIBUTE, EMPTY, TELEMETRY, ProfileMapping
from lwm2m_server.profiles.places import ANY, Announced, Place

_WORDS = re.compile(r"[\s_-]+")
_NOTHING: Final[frozenset[str]] = frozenset()


@lru_cache(maxsize=4096)
def camel_case(name: str) -> str:
    """``Battery Level`` -> ``batteryLevel``; spaces, ``-`` and ``_`` divide words."""
    first, *rest = _WORDS.split(name.strip()) if name.strip() else [""]
    return first.lower() + "".join(word[:1].upper() + word[1:].lower() for word in rest)


class Keys:
    """Of one kind of device: its profile, its models, and what it announced.

    A Resource goes by the name that the profile gives it, else by that of its definition in camelCase; of
    an instance above 0, by that and the id of the instance. One without a definition goes by its path.
    """

    def __init__(
        self,
        models: ModelView,
        mapping: ProfileMapping = EMPTY,
        objects: Mapping[int, str] | None = None,
        instances: Collection[Path] = (),
    ) -> None:
        self._models, self._mapping = models, mapping
        self._announced = Announced.of(objects or {}, instances)
        self._names: dict[Path, str] = {}
        self._by_name: Mapping[str, tuple[Path, ...]] | None = None
        self._kinds = [(ATTRIBUTE, frozenset(mapping.attribute)), (TELEMETRY, frozenset(mapping.telemetry))]

    def name(self, path: Path) -> str:
        """Of a Resource, or of the one that a Resource Instance belongs to."""
        known = self._names.get(path)
        if known is None:
            known = self._names[path] = self._name(path)
        return known

    def paths(self, key: str) -> tuple[Path, ...]:
        """The Resources of this name that the device announced, or that the profile names; several if
        definitions of several Objects have the same. A path means itself."""
        if self._by_name is None:
            self._by_name = self._index()
        found = self._by_name.get(key, ())
        if not found and "/" in key:
            try:
                found = (Path(key),)
            except PathError:
                return ()
        return found

    def kind(self, path: Path) -> frozenset[str]:
        """What the profile has a Resource for: ``attribute``, ``telemetry``, both or nothing."""
        if len(path) < 3:
            return _NOTHING
        exact, any = Place(path[0], path[1], path[2]), Place(path[0], ANY, path[2])
        return frozenset(kind for kind, places in self._kinds if exact in places or any in places)

    def _name(self, path: Path) -> str:
        if len(path) < 3:
            return str(path)
        object, instance, resource = path[:3]
        names = self._mapping.names
        given = names.get(Place(object, instance, resource))
        if given is not None:
            return given
        given = names.get(Place(object, ANY, resource))
        if given is None:
            spec = self._models.resource(path)
            given = camel_case(spec.name) if spec is not None else ""
        if not given:
            return str(Path(path[:3]))
        return f"{given}{instance}" if instance else given

    def _index(self) -> Mapping[str, tuple[Path, ...]]:
        """What the profile gives a name goes before what only has it from its definition."""
        given, own = dict[str, dict[Path, None]](), dict[str, dict[Path, None]]()
        for path in self._known():
            place = Place(path[0], path[1], path[2])
            any = Place(path[0], ANY, path[2])
            table = given if place in self._mapping.names or any in self._mapping.names else own
            table.setdefault(self.name(path), {})[path] = None
        return {key: tuple(paths) for key, paths in (own | given).items()}

    def _known(self) -> Iterator[Path]:
        mapping = self._mapping
        for place in (*mapping.names, *mapping.observe, *mapping.attribute, *mapping.telemetry):
            if place.resource is not None and place.instance is not None and not place.is_any:
                yield place.at(place.instance)
        for object, instances in self._announced.instances.items():
            spec = self._models.object(object)
            for resource in spec.resources if spec is not None else ():
                for instance in instances:
                    yield Path((object, instance, resource))
        for place in mapping.names:
            if place.is_any:
                yield from self._announced.paths(place)
