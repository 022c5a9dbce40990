"""``Models``: the object models and mappings in force, and the watch over the folders they come from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from lwm2m_engine.errors import LwM2MError
from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.sources import SYSTEM, Sources, bundled_directory, user_directory
from lwm2m_engine.model.spec import ObjectSpec
from lwm2m_engine.plugins.manager import PluginManager
from lwm2m_server.store.records import Model

PERIOD = 1.0
"""Seconds between two looks at the folders."""

_log = structlog.get_logger(__name__)


class Models:
    """``catalog`` and ``table`` are replaced together when a file comes, goes or changes."""

    def __init__(self, plugins: PluginManager, folders: tuple[Path, ...]) -> None:
        self.folders = tuple(dict.fromkeys((SYSTEM, user_directory(), *folders)))
        """Watched, later ones replace the same Object version of earlier ones."""
        self._plugins = plugins
        self._sources = Sources([bundled_directory(), *plugins.models(), *self.folders])
        self.catalog = Catalog.of(self._sources)
        self.table = plugins.table(self.catalog)
        self._tell_problems(Catalog())

    @property
    def index(self) -> list[Model]:
        """Which file defines which version of an Object."""
        return [
            self._row(self.catalog[spec.id, version])
            for spec in self.catalog
            for version in self.catalog.versions(spec.id)
        ]

    async def watch(self, changed: Callable[[], Awaitable[None]]) -> None:
        """Look now and then, off the loop; ``changed`` is called when others are in force."""
        while True:
            await asyncio.sleep(PERIOD)
            if not await asyncio.to_thread(self._sources.changed):
                continue
            catalog = await asyncio.to_thread(Catalog.of, self._sources)
            try:
                table = self._plugins.table(catalog)
            except LwM2MError as error:
                # A strict plugin manager refuses; what was in force stays.
                _log.error("the changed models are not used", reason=str(error))
                continue
            former, self.catalog, self.table = self.catalog, catalog, table
            _log.info("models changed", objects=len(catalog))
            self._tell_problems(former)
            await changed()

    def _row(self, spec: ObjectSpec) -> Model:
        file = Path(spec.source)
        if file.parent == bundled_directory():
            return Model(spec.id, spec.version, file.name, "bundled")
        level = {SYSTEM: "system", user_directory(): "user"}.get(file.parent, "folder")
        return Model(spec.id, spec.version, str(file), level)

    def _tell_problems(self, former: Catalog) -> None:
        for problem in self.catalog.problems:
            if problem.refused and problem not in former.problems:
                _log.warning("model not used", file=problem.file, line=problem.line, reason=problem.reason)
