"""Examples of mappings run as tests: what ``lwm2m plugins check`` and plugin authors' tests rest on."""

from __future__ import annotations

from collections import abc
from typing import Any

from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import MappingError, RequestError, ValueRejected
from lwm2m_engine.mapping.commands import Order, orders
from lwm2m_engine.mapping.compiler import resolve, resource_type
from lwm2m_engine.mapping.managed import AttributeValue, ManagedCommand
from lwm2m_engine.mapping.rules import INSTANCE, CommandExample, Example, Mapping, Source
from lwm2m_engine.mapping.table import Inputs, Managed, MappingProblem, MappingTable
from lwm2m_engine.messages.text import parse
from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.values import coerce


def run_examples(plugin: str, mapping: Mapping, catalog: Catalog) -> None:
    """Run all examples of one mapping; raises ``MappingError`` for the first that does not hold.

    A mapping without examples is refused, and an example value has to fit its Resource's type.
    """
    place = f"{plugin}: {mapping.name}"
    table = MappingTable.compile([(plugin, mapping)], catalog)
    if not mapping.examples and (mapping.rules or not mapping.commands):
        raise MappingError(f"{place}: a mapping needs at least one example")
    for number, example in enumerate(mapping.examples, 1):
        try:
            _run(table, mapping, example, catalog)
        except MappingError as error:
            raise MappingError(f"{place}: example {number}: {error}") from error
    for number, command in enumerate(mapping.commands, 1):
        try:
            _command(table, mapping, command, catalog)
        except (MappingError, RequestError) as error:
            raise MappingError(f"{place}: command {number}: {error}") from error


def _command(table: MappingTable, mapping: Mapping, example: CommandExample, catalog: Catalog) -> None:
    """Of a mapping of each Object Instance: what is written to that of instance 0."""
    match example:
        case (abc.Mapping() as changes, list() | tuple() as messages):
            pass
        case _:
            raise MappingError(f"{example!r} is no pair ({{attribute: value}}, [message, …])")
    name = mapping.name.replace(INSTANCE, "0")
    made = orders(table, ManagedCommand("", mapping.target, name, changes), catalog)
    expected = [parse(message, catalog) for message in messages]
    if [order.request for order in made] != expected:
        raise MappingError(
            f"it becomes {', '.join(map(_told, made)) or 'nothing'}, expected {', '.join(messages)}"
        )


def _told(order: Order) -> str:
    return f"{order.request.operation} {order.request.path}"


def _run(table: MappingTable, mapping: Mapping, example: Example, catalog: Catalog) -> None:
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


def _inputs(given: abc.Mapping[Source, Any], catalog: Catalog) -> tuple[str | None, list[Entry]]:
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
) -> tuple[dict[str, AttributeValue], list[MappingProblem]]:
    inputs: Inputs = {}
    # An example is about rules that it has values for: the resource is already there.
    instances = {entry.path[1] for entry in entries} if mapping.is_of_each_instance else {0}
    if len(instances) > 1:
        raise MappingError("it is about several Object Instances, and each has a managed resource of its own")
    name = mapping.name.replace(INSTANCE, str(next(iter(instances), 0)))
    managed: Managed = {name: {}}
    problems: list[MappingProblem] = []
    if endpoint is not None:
        table.begin(endpoint, inputs, managed, problems)
    table.apply(endpoint or "", inputs, managed, entries, problems)
    return managed[name], problems


def _show(attributes: abc.Mapping[str, Any], name: str) -> str:
    return repr(attributes[name]) if name in attributes else "missing"
