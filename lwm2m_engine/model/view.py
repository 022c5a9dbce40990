"""``ModelView``: the object models as one device means them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from lwm2m_engine.model.spec import ObjectSpec, ResourceSpec
from lwm2m_engine.model.versions import default_version, parse_version
from lwm2m_engine.type_lookup import ObjectTypes, TypeLookup
from lwm2m_engine.values import ResourceType


class ModelView(Protocol):
    """What everything that reads or writes values asks about models."""

    def object(self, object_id: int) -> ObjectSpec | None:
        """The definition of an Object, ``None`` if there is none."""
        ...

    def resource(self, path: tuple[int, ...]) -> ResourceSpec | None:
        """The definition of the Resource at a path (of a Resource or one of its instances)."""
        ...

    def types(self, path: tuple[int, ...]) -> ResourceType | None:
        """The type of values at a path: of a Resource or a Resource Instance, ``None`` for all else."""
        ...

    def version(self, object_id: int) -> str:
        """The version of an Object that is meant, loaded or not."""
        ...


class DeviceView:
    """The models of a Client with one enabler version and one set of announced Object versions.

    ``find`` gives the nearest loaded definition of an Object version. Each is looked up once.
    """

    __slots__ = ("__weakref__", "_announced", "_enabler", "_find", "_specs", "types")

    def __init__(
        self, find: Callable[[int, str], ObjectSpec | None], enabler: str, announced: Mapping[int, str]
    ) -> None:
        self._find, self._enabler, self._announced = find, enabler, announced
        self._specs: dict[int, ObjectSpec] = {}
        self.types = TypeLookup(self._types)

    def version(self, object_id: int) -> str:
        """As announced; the enabler's default if nothing, or nothing readable, was announced."""
        announced = self._announced.get(object_id)
        if announced is not None and parse_version(announced) is not None:
            return announced
        return default_version(self._enabler, object_id)

    def object(self, object_id: int) -> ObjectSpec | None:
        spec = self._specs.get(object_id)
        if spec is None:
            spec = self._find(object_id, self.version(object_id))
            if spec is not None:
                self._specs[object_id] = spec
        return spec

    def resource(self, path: tuple[int, ...]) -> ResourceSpec | None:
        if len(path) < 3:
            return None
        spec = self.object(path[0])
        return None if spec is None else spec.resources.get(path[2])

    def _types(self, object_id: int) -> ObjectTypes | None:
        spec = self.object(object_id)
        return None if spec is None else spec.types
