"""Is a plugin file good? Loaded beside the bundled plugins, compiled, its examples run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import attrs

from lwm2m_engine.errors import MappingError
from lwm2m_engine.mapping.examples import run_examples
from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.sources import Sources
from lwm2m_engine.plugins import loading
from lwm2m_engine.plugins.manager import PluginManager
from lwm2m_engine.plugins.registry import PluginRow


def check_files(files: Iterable[Path], models: Iterable[Path] = ()) -> tuple[PluginRow, ...]:
    """One row a file; whatever is wrong with it is the reason of a row that says ``failed``.

    ``models`` are further object definitions. The bundled plugins are there too, so that a conflict
    with them shows. Plugins that are off by default are checked as if they were on.
    """
    candidates = [loading.from_file(file) for file in files]
    manager = PluginManager(
        [*loading.bundled(), *candidates], enabled=[candidate.name for candidate in candidates]
    )
    catalog = Catalog.of(Sources.standard(models, plugins=manager.models()))
    manager.sinks()
    manager.table(catalog)
    rows = {row.file: row for row in manager.report}
    return tuple(_check_examples(rows[candidate.file], manager, catalog) for candidate in candidates)


def _check_examples(row: PluginRow, manager: PluginManager, catalog: Catalog) -> PluginRow:
    if row.status != "loaded":
        return row
    faults = []
    for plugin, mapping in manager.mappings:
        if plugin == row.name:
            try:
                run_examples(plugin, mapping, catalog)
            except MappingError as error:
                faults.append(f"{row.file}: {error}")
    return attrs.evolve(row, status="failed", reason="; ".join(faults)) if faults else row
