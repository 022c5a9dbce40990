"""``Place``: a path in a device profile. It may be of any Object version, and of any instance."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

import attrs

from lwm2m_engine.errors import PathError
from lwm2m_engine.paths import MAX_ID, Path

ANY: Final = -1
"""In place of an instance: all that a device has."""

_PLACE = re.compile(
    r"/?(?P<object>[0-9]{1,5})(?:_(?P<version>[0-9]{1,5}\.[0-9]{1,5}))?"
    r"(?:/(?P<instance>[0-9]{1,5}|\*)(?:/(?P<resource>[0-9]{1,5}))?)?"
)


@attrs.frozen(slots=True)
class Place:
    """An Object, its instances, or a Resource of them. The version is not part of what it is: a device that
    announces another one is meant as well."""

    object: int
    instance: int | None = None
    """Or ``ANY``."""
    resource: int | None = None
    version: str | None = attrs.field(default=None, eq=False)

    @classmethod
    def parse(cls, text: str) -> Place:
        """From ``/3/0/9``, ``/3_1.2/0/9``, ``/3303/*/5700``. Raises ``PathError``."""
        return _parse(text)

    @property
    def is_any(self) -> bool:
        """Whether it stands for every instance."""
        return self.instance == ANY

    @property
    def level(self) -> str:
        """``object``, ``instance`` or ``resource``."""
        if self.instance is None:
            return "object"
        return "instance" if self.resource is None else "resource"

    def at(self, instance: int) -> Path:
        """The path it stands for at an instance; without instance, that of the Object."""
        if self.instance is None:
            return Path((self.object,))
        below = () if self.resource is None else (self.resource,)
        return Path((self.object, instance, *below))

    def __str__(self) -> str:
        version = "" if self.version is None else f"_{self.version}"
        rest = (part for part in (self.instance, self.resource) if part is not None)
        below = "".join(f"/{'*' if part == ANY else part}" for part in rest)
        return f"/{self.object}{version}{below}"


@lru_cache(maxsize=4096)
def _parse(text: str) -> Place:
    found = _PLACE.fullmatch(text)
    if found is None:
        raise PathError(text[:80], "a path such as /3/0/9, /3_1.2/0/9 or /3303/*/5700 is due")
    object, instance, resource = found["object"], found["instance"], found["resource"]
    # Checked by what knows ids, with an instance in the place of any.
    Path("/" + "/".join(part if part != "*" else "0" for part in (object, instance, resource) if part))
    return Place(
        int(object),
        ANY if instance == "*" else None if instance is None else int(instance),
        None if resource is None else int(resource),
        found["version"],
    )


@attrs.frozen(slots=True)
class Announced:
    """The Object Instances a device says it has."""

    objects: Mapping[int, str]
    """And versions."""
    instances: Mapping[int, tuple[int, ...]]
    """By Object."""

    @classmethod
    def of(cls, objects: Mapping[int, str], instances: Iterable[Path]) -> Announced:
        found: dict[int, list[int]] = {}
        for path in instances:
            found.setdefault(path[0], []).append(path[1])
        return cls(objects, {object: tuple(ids) for object, ids in found.items()})

    def paths(self, place: Place) -> tuple[Path, ...]:
        """Those of the device that a place stands for."""
        if place.object not in self.objects and place.object not in self.instances:
            return ()
        if place.instance is None:
            return (place.at(0),)
        instances = self.instances.get(place.object)
        if instances is None:
            # Announced without any: a device with one instance only may leave it out (LwM2M 1.0).
            return (place.at(0),) if place.instance == 0 else ()
        if place.instance == ANY:
            return tuple(place.at(id) for id in instances if id != MAX_ID)
        return (place.at(place.instance),) if place.instance in instances else ()
