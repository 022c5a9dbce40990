"""Examples of mappings run as tests: what ``lwm2m plugins check`` and plugin authors' tests rest on."""

from __future__ import annotations

from collections import abc
from typing import Any

from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import MappingError, ValueRejected
from lwm2m_engine.mapping.compiler import Objects, resolve, resource_type
from lwm2m_engine.mapping.rules import Example, Mapping, Source
from lwm2m_engine.mapping.table import MappingProblem, MappingTable
from lwm2m_engine.paths import Path
from lwm2m_engine.values import Value, coerce


def run_examples(plugin: str, mapping: Mapping, catalog: Objects) -> None:
    """Run all examples of one mapping; raises ``MappingError`` for the first that does not hold.

    A mapping without examples is refused, and an example value has to fit its Resource's type.
    """
    place = f"{plugin}: {mapping.name}"
    table = MappingTable.compile([(plugin, mapping)], catalog)
    if not mapping.examples:
        raise MappingError(f"{place}: a mapping needs at least one example")
    for number, example in enumerate(mapping.examples, 1):
        try:
            _run(table, mapping, example, catalog)
        except MappingError as error:
            raise MappingError(f"{place}: example {number}: {error}") from error


def _run(table: MappingTable, mapping: Mapping, example: Example, catalog: Objects) -> None:
    given, expected = _halves(example)
    endpoint, entries = _inputs(given, catalog)
    for entry in entries:
        if not table.is_mapped(entry.path):
            raise MappingError(f"{entry.path} is read by no rule")
    made, problems = _attributes(table, mapping, endpoint, entries)
    if problems:
        raise MappingError(f"rule {problems[0].rule}: {problems[0].reason}")
    # By their text: 1, 1.0 and True are equal to Python and different values here.
    differences = [
        f"{name} is {_show(made, name)}, expected {_show(expected, name)}"
        for name in sorted({*made, *expected})
        if repr(made.get(name)) != repr(expected.get(name))
    ]
    if differences:
        raise MappingError("; ".join(differences))


def _halves(example: object) -> Example:
    """An author's slip of the brackets is to be told as one."""
    match example:
        case (abc.Mapping() as given, abc.Mapping() as expected):
            return given, expected
    raise MappingError(f"{example!r} is no pair ({{source: value}}, {{attribute: value}})")


def _inputs(given: abc.Mapping[Source, Any], catalog: Objects) -> tuple[str | None, list[Entry]]:
    endpoint: str | None = None
    entries: list[Entry] = []
    for source, value in given.items():
        path = resolve(source, catalog)
        if path is None:
            endpoint = str(value)
            continue
        try:
            entries.append(Entry(path, coerce(value, resource_type(path, catalog))))
        except ValueRejected as error:
            raise MappingError(f"{path}: {error}") from error
    return endpoint, entries


def _attributes(
    table: MappingTable, mapping: Mapping, endpoint: str | None, entries: list[Entry]
) -> tuple[dict[str, Value], list[MappingProblem]]:
    inputs: dict[Path, Value] = {}
    # An example that names no endpoint is about the other rules: the resource is already there.
    managed: dict[str, dict[str, Value]] = {mapping.name: {}}
    problems: list[MappingProblem] = []
    if endpoint is not None:
        table.begin(endpoint, inputs, managed, problems)
    table.apply(endpoint or "", inputs, managed, entries, problems)
    return managed[mapping.name], problems


def _show(attributes: abc.Mapping[str, Any], name: str) -> str:
    return repr(attributes[name]) if name in attributes else "missing"
