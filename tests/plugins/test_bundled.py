"""Invariants over every bundled plugin: a new file in ``lwm2m_plugins`` is tested before it has a test."""

from __future__ import annotations

import re

import pytest

from lwm2m_engine import Catalog, Mapping, PluginManager
from lwm2m_engine.mapping.examples import run_examples
from lwm2m_engine.mapping.rules import ENDPOINT
from lwm2m_engine.mapping.table import MappingTable
from lwm2m_engine.plugins import loading
from lwm2m_engine.plugins.registry import OFF_BY_DEFAULT

CANDIDATES = list(loading.bundled())
CATALOG = Catalog.bundled()
MANAGER = PluginManager(CANDIDATES, enabled=[candidate.name for candidate in CANDIDATES])
TABLE = MANAGER.table(CATALOG)
MAPPINGS = MANAGER.mappings

every_plugin = pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda candidate: candidate.name)
every_mapping = pytest.mark.parametrize(
    ("plugin", "mapping"), MAPPINGS, ids=[f"{plugin}-{mapping.name}" for plugin, mapping in MAPPINGS]
)


def test_all_of_them_work_together() -> None:
    assert [row for row in MANAGER.report if row.status != "loaded"] == []
    assert {row.name for row in MANAGER.report} >= {"onem2m_device", "onem2m_device_more"}


@every_plugin
def test_it_says_what_it_does(candidate: loading.Candidate) -> None:
    module = loading.run(candidate)
    assert module.__doc__
    assert isinstance(getattr(module, OFF_BY_DEFAULT, False), bool)
    assert re.fullmatch(r"[a-z][a-z0-9_]*", candidate.name)


@every_mapping
def test_it_compiles_alone(plugin: str, mapping: Mapping) -> None:
    MappingTable.compile([(plugin, mapping)], CATALOG)


@every_mapping
def test_its_examples_hold(plugin: str, mapping: Mapping) -> None:
    run_examples(plugin, mapping, CATALOG)


@every_mapping
def test_its_examples_show_every_attribute(plugin: str, mapping: Mapping) -> None:
    shown = {attribute for _, expected in mapping.examples for attribute in expected}
    assert {rule.target for rule in mapping.rules} == shown


@every_mapping
def test_its_commands_show_every_attribute_that_can_be_written(plugin: str, mapping: Mapping) -> None:
    shown = {attribute for changes, _ in mapping.commands for attribute in changes}
    written = {rule.target for rule in mapping.rules if rule.write}
    assert written | {action.target for action in mapping.actions} == shown


@every_mapping
def test_it_names_a_onem2m_resource_and_long_attributes(plugin: str, mapping: Mapping) -> None:
    assert re.fullmatch(r"[a-z0-9]+:[a-zA-Z0-9]+", mapping.target)
    assert re.fullmatch(r"[A-Za-z0-9_.-]+(\{instance\})?", mapping.name)
    for one in (*mapping.rules, *mapping.actions):
        assert re.fullmatch(r"[a-zA-Z][A-Za-z0-9]{2,}", one.target), one


@every_mapping
def test_it_reads_no_security_object(plugin: str, mapping: Mapping) -> None:
    """Keys and credentials (Objects 0, 21, 23) are nobody's attributes."""
    for rule in mapping.rules:
        paths = [str(source) for source in rule.sources if source is not ENDPOINT]
        assert not [path for path in paths if path.split("/")[1] in ("0", "21", "23")]
