"""``Models``: the Object models and mappings in force, for each tenant, and the watch over the folders.

Layers, the later replace the same Object version of the earlier: the bundled registry, folders (of plugins,
of the system, of the user, of the settings), uploads for every tenant, uploads of a tenant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs
import structlog

from lwm2m_engine.errors import LwM2MError
from lwm2m_engine.mapping.table import MappingTable
from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.ddf import Definitions
from lwm2m_engine.model.sources import SYSTEM, Sources, bundled_directory, user_directory
from lwm2m_engine.model.spec import ObjectSpec
from lwm2m_engine.plugins.manager import Compiled, PluginManager
from lwm2m_server.library.shelf import Shelf, Uploads
from lwm2m_server.store.definitions import UploadedModel
from lwm2m_server.store.records import Model

PERIOD = 1.0
"""Seconds between two looks at the folders."""
BUNDLED: Final = "bundled"
FOLDER: Final = "folder"

_log = structlog.get_logger(__name__)


@attrs.frozen(eq=False)
class Edition:
    """Models, and the mappings that were compiled with them."""

    catalog: Catalog
    compiled: Compiled
    layers: tuple[tuple[ObjectSpec, ...], ...]
    """What it was made of."""

    @property
    def table(self) -> MappingTable:
        return self.compiled.table


@attrs.frozen(eq=False)
class Draft:
    """What would be in force."""

    definitions: Definitions
    """Of files in folders."""
    uploads: Uploads
    common: Edition
    """Of tenants that have no uploads of their own."""
    own: Mapping[str, Edition]

    def of(self, tenant: str) -> Edition:
        return self.own.get(tenant, self.common)


class Models:
    """Everything in force is replaced together, between two datagrams."""

    def __init__(
        self,
        plugins: PluginManager,
        folders: tuple[Path, ...],
        shelf: Shelf,
        uploads: Callable[[], Sequence[UploadedModel]],
    ) -> None:
        """``uploads`` gives the index. Raises ``PluginError`` if a strict plugin manager refuses."""
        self.folders = tuple(dict.fromkeys((SYSTEM, user_directory(), *folders)))
        """Watched, later ones replace the same Object version of earlier ones."""
        self.changing = asyncio.Lock()
        """Held from the first look at what is in force until others are."""
        self._plugins, self._shelf, self._uploads = plugins, shelf, uploads
        self._sources = Sources([bundled_directory(), *plugins.models(), *self.folders])
        self._force: Draft | None = None
        self.swapped: Callable[[Draft], Awaitable[None]] = _nobody
        """Told what was in force before."""
        self.adopt(self._draft(self._sources.read(), uploads()))

    @property
    def force(self) -> Draft:
        """What is in force."""
        assert self._force is not None
        return self._force

    @property
    def catalog(self) -> Catalog:
        """Of tenants that have no models of their own."""
        return self.force.common.catalog

    @property
    def table(self) -> MappingTable:
        return self.force.common.table

    def of(self, tenant: str) -> Edition:
        return self.force.of(tenant)

    @property
    def index(self) -> list[Model]:
        """Which file in a folder defines which version of an Object."""
        found = {(spec.id, spec.version): spec for spec in self.force.definitions.objects}
        return [_row(found[key]) for key in sorted(found)]

    # --- changing ------------------------------------------------------------------------------------

    def draft(self, uploads: Sequence[UploadedModel]) -> Draft:
        """With another index. Blocks: for a thread. Raises ``PluginError`` if a strict plugin manager
        refuses."""
        return self._draft(self.force.definitions, uploads)

    def forget(self, tenant: str) -> None:
        """It is gone, with its uploads; another one may get its name."""
        force = self.force
        own = {name: edition for name, edition in force.own.items() if name != tenant}
        objects = {name: specs for name, specs in force.uploads.objects.items() if name != tenant}
        self._force = attrs.evolve(force, own=own, uploads=attrs.evolve(force.uploads, objects=objects))

    def adopt(self, draft: Draft) -> None:
        """Put it in force, before anybody looks."""
        former, self._force = self._force, draft
        self._plugins.report_on(draft.common.compiled)
        known = former.common.catalog.problems if former is not None else ()
        for problem in draft.common.catalog.problems:
            if problem.refused and problem not in known:
                _log.warning("model not used", file=problem.file, line=problem.line, reason=problem.reason)

    async def put_in_force(self, draft: Draft) -> None:
        """Put it in force, and let everybody know."""
        former = self.force
        self.adopt(draft)
        await self.swapped(former)

    async def watch(self) -> None:
        """Look at the folders now and then, off the loop."""
        while True:
            await asyncio.sleep(PERIOD)
            if not await asyncio.to_thread(self._sources.changed):
                continue
            async with self.changing:
                try:
                    draft = await asyncio.to_thread(self._reread)
                except LwM2MError as error:
                    # A strict plugin manager refuses; what was in force stays.
                    _log.error("the changed models are not used", reason=str(error))
                    continue
                await self.put_in_force(draft)
                _log.info("models changed", objects=len(self.catalog))

    def _reread(self) -> Draft:
        return self._draft(self._sources.read(), self._uploads())

    def _draft(self, definitions: Definitions, rows: Sequence[UploadedModel]) -> Draft:
        uploads, former = self._shelf.read(rows), self._force
        problems = (*definitions.problems, *uploads.faults.values())

        def edition(known: Edition | None, *layers: tuple[ObjectSpec, ...]) -> Edition:
            if known is not None and _same(known.layers, layers) and known.catalog.problems == problems:
                return known
            catalog = Catalog((spec for layer in layers for spec in layer), problems)
            return Edition(catalog, self._plugins.compile(catalog), layers)

        shared = definitions.objects, uploads.of(None)
        common = edition(former.common if former else None, *shared)
        own = {
            tenant: edition(former.own.get(tenant) if former else None, *shared, objects)
            for tenant, objects in uploads.objects.items()
            if tenant is not None
        }
        return Draft(definitions, uploads, common, own)


async def _nobody(former: Draft) -> None:
    return


def level_of(spec: ObjectSpec) -> str:
    """Of a definition from a file in a folder."""
    return BUNDLED if Path(spec.source).parent == bundled_directory() else FOLDER


def _same(known: tuple[object, ...], layers: tuple[object, ...]) -> bool:
    return len(known) == len(layers) and all(map(_is, known, layers))


def _is(one: object, other: object) -> bool:
    return one is other


def _row(spec: ObjectSpec) -> Model:
    level = level_of(spec)
    return Model(spec.id, spec.version, Path(spec.source).name if level == BUNDLED else spec.source, level)
