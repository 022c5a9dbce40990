"""``Catalog``: all loaded object models, by id and version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path as File
from typing import Any, TypeVar, overload

from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import NoSuchVersion, UnknownObject
from lwm2m_engine.model.classes import Classes, ObjectInstance, object_class
from lwm2m_engine.model.sources import Sources, bundled_directory
from lwm2m_engine.model.spec import ObjectSpec, Problem, ResourceSpec
from lwm2m_engine.model.structuring import check_level, class_wanted, structure, unstructure
from lwm2m_engine.model.versions import INITIAL, nearest_version, version_key
from lwm2m_engine.model.view import DeviceView, ModelView
from lwm2m_engine.paths import Path
from lwm2m_engine.type_lookup import ObjectTypes, TypeLookup

T = TypeVar("T")

__all__ = ["Catalog", "ModelView"]


class Catalog:
    """Object definitions keyed by (id, version); does not change once made.

    ``catalog[3]`` is the newest version of Object 3, ``catalog[3, "1.0"]`` another one. Iterating gives the
    newest version of each Object in order of id; ``len`` is the number of Objects. A catalog is itself a
    ``ModelView``: the newest versions.
    """

    def __init__(self, objects: Iterable[ObjectSpec] = (), problems: Iterable[Problem] = ()) -> None:
        """Of two definitions of the same Object version the later one counts."""
        loaded: dict[int, dict[str, ObjectSpec]] = {}
        for spec in objects:
            loaded.setdefault(spec.id, {})[spec.version] = spec
        self._objects = {
            object_id: {
                version: loaded[object_id][version] for version in sorted(loaded[object_id], key=version_key)
            }
            for object_id in sorted(loaded)
        }
        self._newest = {
            object_id: list(versions.values())[-1] for object_id, versions in self._objects.items()
        }
        self._problems = tuple(problems)
        self.types = TypeLookup(self._types)
        """The type of the Resource at a path, by the newest versions."""
        self._classes: dict[tuple[int, str], type[ObjectInstance]] = {}
        self._view = lru_cache(maxsize=1024)(self._new_view)

    @classmethod
    def bundled(cls) -> Catalog:
        """The OMA registry that comes with the library."""
        return cls.of(Sources([bundled_directory()]))

    @classmethod
    def load(cls, *paths: str | File) -> Catalog:
        """The bundled registry and, replacing it where both define the same, the files and directories named.

        A file that cannot be used is a row in ``problems``.
        """
        return cls.of(Sources([bundled_directory()], expected=paths))

    @classmethod
    def of(cls, sources: Sources) -> Catalog:
        """What the files of ``sources`` define now."""
        definitions = sources.read()
        return cls(definitions.objects, definitions.problems)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the files, refused or tolerated."""
        return self._problems

    def __getitem__(self, key: int | tuple[int, str]) -> ObjectSpec:
        """Raises ``UnknownObject`` or ``NoSuchVersion``."""
        object_id, version = key if isinstance(key, tuple) else (key, None)
        versions = self._objects.get(object_id)
        if versions is None:
            raise UnknownObject(object_id)
        if version is None:
            return self._newest[object_id]
        if version not in versions:
            raise NoSuchVersion(object_id, version, tuple(versions))
        return versions[version]

    def __contains__(self, key: object) -> bool:
        if isinstance(key, tuple):
            return len(key) == 2 and key[1] in self._objects.get(key[0], {})
        return key in self._objects

    def __iter__(self) -> Iterator[ObjectSpec]:
        return iter(self._newest.values())

    def __len__(self) -> int:
        return len(self._objects)

    def versions(self, object_id: int) -> tuple[str, ...]:
        """The loaded versions of an Object, oldest first; empty if it is unknown."""
        return tuple(self._objects.get(object_id, ()))

    def nearest(self, object_id: int, version: str) -> ObjectSpec | None:
        """The definition to read an Object version with (see ``nearest_version``); ``None`` without any."""
        versions = self._objects.get(object_id)
        found = nearest_version(version, versions) if versions else None
        return versions[found] if versions and found else None

    def view(self, enabler: str = "1.1", announced: Mapping[int, str] | None = None) -> ModelView:
        """The models as a Client means them: its enabler version, and the Object versions it announced.

        Clients that announce the same share one view.
        """
        return self._view(enabler, frozenset(announced.items()) if announced else frozenset())

    def _new_view(self, enabler: str, announced: frozenset[tuple[int, str]]) -> DeviceView:
        return DeviceView(self.nearest, enabler, dict(announced))

    # --- typed objects ------------------------------------------------------------------------------

    @cached_property
    def classes(self) -> Mapping[str, type[ObjectInstance]]:
        """The classes of typed objects by name: ``classes["Device"]``, ``classes["Device_1_0"]``."""
        specs = (spec for versions in self._objects.values() for spec in versions.values())
        return Classes(specs, self._class)

    @overload
    def structure(self, entries: Iterable[Entry], at: Path) -> Any: ...

    @overload
    def structure(self, entries: Iterable[Entry], at: Path, into: type[T]) -> T: ...

    def structure(self, entries: Iterable[Entry], at: Path, into: Any = None) -> Any:
        """The Object Instance ``at`` as a typed object, or those of the Object ``at`` as a dict by their id.

        ``into`` is the class wanted, which type checkers need, or that of a version: ``Device``,
        ``Device_1_0``, ``dict[int, Server]``. Without it the newest version is taken. Of each path the newest
        entry counts; times are not kept. What the definition does not have goes to ``extra``.

        Raises an ``ExceptionGroup`` with a ``ValueRejected`` for each entry that is not below ``at`` or does
        not fit its Resource; ``UnknownObject``; ``ValueRejected`` when ``into`` does not go with ``at``.
        Ranges are not checked: what a device reports is what it reports.
        """
        check_level(at)
        kind = self._class(self[at[0]]) if into is None else class_wanted(into, at)
        instances = structure(entries, kind, at)
        return instances[at[1]] if len(at) == 2 else instances

    def unstructure(self, value: ObjectInstance | Mapping[int, Any], at: Path) -> list[Entry]:
        """The inverse of ``structure``: entries in order of path, without times. ``None`` gives no entry.

        Raises an ``ExceptionGroup`` with a ``ValueRejected`` for each value that does not fit its Resource
        and a ``PathError`` for each id that is none; ``ValueRejected`` if ``value`` does not go with ``at``.
        """
        return unstructure(value, at)

    def _class(self, spec: ObjectSpec) -> type[ObjectInstance]:
        """Held here, so that it is made once."""
        made = self._classes.get((spec.id, spec.version))
        if made is None:
            made = self._classes[spec.id, spec.version] = object_class(spec)
        return made

    # --- ModelView: the newest versions ------------------------------------------------------------

    def object(self, object_id: int) -> ObjectSpec | None:
        return self._newest.get(object_id)

    def resource(self, path: tuple[int, ...]) -> ResourceSpec | None:
        spec = self._newest.get(path[0]) if len(path) > 2 else None
        return None if spec is None else spec.resources.get(path[2])

    def _types(self, object_id: int) -> ObjectTypes | None:
        spec = self._newest.get(object_id)
        return None if spec is None else spec.types

    def version(self, object_id: int) -> str:
        spec = self._newest.get(object_id)
        return INITIAL if spec is None else spec.version
