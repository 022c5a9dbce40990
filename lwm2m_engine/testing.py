"""Fixtures for people who write plugins; pytest finds them by itself.

The whole test of a plugin's mappings::

    def test_battery(check_plugin):
        check_plugin("plugins/battery.py")
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path

import pytest

from lwm2m_engine.mapping.rules import Mapping
from lwm2m_engine.mapping.table import MappingTable
from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.plugins.checking import check_files


@pytest.fixture(scope="session")
def bundled_catalog() -> Catalog:
    """The OMA registry that comes with the library, loaded once a session."""
    return Catalog.bundled()


@pytest.fixture
def mapping_table(bundled_catalog: Catalog) -> Callable[..., MappingTable]:
    """``mapping_table(mapping, …)`` compiles mappings; a typo is a ``MappingError``."""

    def compile_table(*mappings: Mapping) -> MappingTable:
        return MappingTable.compile([("plugin under test", mapping) for mapping in mappings], bundled_catalog)

    return compile_table


@pytest.fixture
def check_plugin() -> Callable[..., None]:
    """``check_plugin(file, …)`` does what ``lwm2m plugins check`` does and fails with its reasons."""

    def check(*files: str | PathLike[str]) -> None:
        bad = [row.reason for row in check_files(map(Path, files)) if row.status != "loaded"]
        if bad:
            pytest.fail("\n".join(bad), pytrace=False)

    return check
