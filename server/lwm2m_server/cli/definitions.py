"""``Definitions``: the newest models, each read when it is asked for. A payload needs one or two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lwm2m_engine.model.sources import Sources, bundled_directory
from lwm2m_engine.model.spec import ObjectSpec, Problem, ResourceSpec
from lwm2m_engine.model.versions import INITIAL, version_key
from lwm2m_engine.values import ResourceType


class Definitions:
    """A ``ModelView`` of what ``Catalog.of(Sources.standard(folders))`` has.

    The file names of the bundled registry say which Object is in them; all other places are read at once.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._bundled = bundled_directory()
        places = (place for place in Sources.standard(folders).places if place != self._bundled)
        found = Sources(places, expected=folders).read()
        self.problems: tuple[Problem, ...] = found.problems
        """What is wrong with the files outside the bundled registry."""
        self._added = found.objects
        self._newest: dict[int, ObjectSpec | None] = {}

    def object(self, object_id: int) -> ObjectSpec | None:
        if object_id not in self._newest:
            self._newest[object_id] = self._find(object_id)
        return self._newest[object_id]

    def _find(self, object_id: int) -> ObjectSpec | None:
        bundled = Sources(self._bundled.glob(f"{object_id}_*.xml")).read().objects
        versions = {spec.version: spec for spec in (*bundled, *self._added) if spec.id == object_id}
        return versions[max(versions, key=version_key)] if versions else None

    def resource(self, path: tuple[int, ...]) -> ResourceSpec | None:
        spec = self.object(path[0]) if len(path) > 2 else None
        return None if spec is None else spec.resources.get(path[2])

    def types(self, path: tuple[int, ...]) -> ResourceType | None:
        spec = self.object(path[0]) if len(path) > 2 else None
        return None if spec is None else spec.types.get(path[2])

    def version(self, object_id: int) -> str:
        spec = self.object(object_id)
        return INITIAL if spec is None else spec.version
