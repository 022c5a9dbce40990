"""``MappingTable``: from a device's values to changes of its managed resources, one look-up a value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import attrs

from lwm2m_engine.entries import Entry, latest
from lwm2m_engine.mapping.compiler import CompiledRule, Objects, compile_rules
from lwm2m_engine.mapping.managed import ManagedChange
from lwm2m_engine.mapping.rules import Mapping
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ObjLink, Value

_VALUE_TYPES = (bool, int, float, str, bytes, ObjLink)


@attrs.frozen(slots=True)
class MappingProblem:
    """A plugin's ``convert`` failed; the attribute keeps its former value."""

    plugin: str
    name: str
    """Of the managed resource."""
    rule: str
    reason: str

    def __str__(self) -> str:
        return f"plugin {self.plugin}: {self.name}: rule {self.rule}: {self.reason}"


class MappingTable:
    """All rules of all plugins, compiled. Immutable; ``MappingTable()`` maps nothing.

    ``inputs`` (the last value of every Resource a rule reads) and ``managed`` (attributes by managed
    resource) belong to one device and are kept by the caller; ``begin`` and ``apply`` update them.
    """

    __slots__ = ("_beginning", "_by_path", "_endpoint_only", "_sources", "reads")

    reads: tuple[int, ...]
    """Objects to read after Register, in order, each once."""

    def __init__(self, rules: Iterable[CompiledRule] = ()) -> None:
        by_path: dict[Path, list[CompiledRule]] = defaultdict(list)
        endpoint_only: dict[str, list[CompiledRule]] = defaultdict(list)
        reads: dict[int, None] = {}
        self._sources: dict[tuple[str, str], tuple[Path, ...]] = {}
        for rule in rules:
            paths = rule.paths
            self._sources[rule.mapping.name, rule.rule.target] = paths
            for path in dict.fromkeys(paths):
                by_path[path].append(rule)
            if not paths:
                endpoint_only[rule.mapping.name].append(rule)
            if rule.mapping.read_at_register:
                reads.update(dict.fromkeys(path[0] for path in paths))
        self._by_path = {path: tuple(readers) for path, readers in by_path.items()}
        self._endpoint_only = {name: tuple(readers) for name, readers in endpoint_only.items()}
        self._beginning = tuple(rule for rules in self._endpoint_only.values() for rule in rules)
        self.reads = tuple(reads)

    @classmethod
    def compile(cls, mappings: Iterable[tuple[str, Mapping]], catalog: Objects) -> MappingTable:
        """From pairs of plugin name and mapping; raises ``MappingError``, ``MappingConflict``."""
        return cls(compile_rules(mappings, catalog))

    def is_mapped(self, path: Path) -> bool:
        """True if a rule reads this Resource or Resource Instance."""
        return path in self._by_path

    def mapped(self, entries: Iterable[Entry]) -> list[Entry]:
        """The entries that a rule reads; most payloads have none."""
        by_path = self._by_path
        return [entry for entry in entries if entry.path in by_path]

    def sources(self, name: str, attribute: str) -> tuple[Path, ...]:
        """The Resources an attribute of the managed resource ``name`` is made from."""
        return self._sources.get((name, attribute), ())

    def begin(
        self,
        endpoint: str,
        inputs: dict[Path, Value],
        managed: dict[str, dict[str, Value]],
        problems: list[MappingProblem],
    ) -> list[ManagedChange]:
        """Run what needs nothing but the endpoint name; due at every Register."""
        return _run(self._beginning, endpoint, inputs, managed, problems)

    def apply(
        self,
        endpoint: str,
        inputs: dict[Path, Value],
        managed: dict[str, dict[str, Value]],
        entries: Iterable[Entry],
        problems: list[MappingProblem],
    ) -> list[ManagedChange]:
        """Take in values and run the rules that read them; one change for each resource that differs.

        Of several samples of one path the newest counts. An entry without a value forgets the input
        and leaves the attributes made from it as they are. Failures are appended to ``problems``.
        """
        by_path = self._by_path
        due: dict[CompiledRule, None] = {}
        for path, entry in latest(self.mapped(entries)).items():
            if entry.value is None:
                inputs.pop(path, None)
                continue
            inputs[path] = entry.value
            for rule in by_path[path]:
                if rule.mapping.name not in managed:
                    due.update(dict.fromkeys(self._endpoint_only.get(rule.mapping.name, ())))
                due[rule] = None
        return _run(due, endpoint, inputs, managed, problems)


def _run(
    rules: Iterable[CompiledRule],
    endpoint: str,
    inputs: dict[Path, Value],
    managed: dict[str, dict[str, Value]],
    problems: list[MappingProblem],
) -> list[ManagedChange]:
    changed: dict[str, tuple[str, dict[str, Value]]] = {}
    for rule in rules:
        value = _evaluate(rule, endpoint, inputs, problems)
        if value is None:
            continue
        name, target = rule.mapping.name, rule.rule.target
        attributes = managed.setdefault(name, {})
        known = attributes.get(target)
        # 1, 1.0 and True are equal to Python and different values here.
        if known != value or type(known) is not type(value):
            attributes[target] = value
            changed.setdefault(name, (rule.mapping.target, {}))[1][target] = value
    return [ManagedChange(kind, name, new, dict(managed[name])) for name, (kind, new) in changed.items()]


def _evaluate(
    rule: CompiledRule, endpoint: str, inputs: dict[Path, Value], problems: list[MappingProblem]
) -> Value | None:
    """The attribute's value; ``None`` if a source is unknown, the rule says so, or it failed."""
    arguments: list[Value] = []
    for source in rule.sources:
        argument = endpoint if source is None else inputs.get(source)
        if argument is None:
            return None
        arguments.append(argument)
    convert = rule.rule.convert
    if convert is None:
        return arguments[0]
    try:
        value: object = convert(*arguments)
    except Exception as error:  # noqa: BLE001 - a plugin's code may raise anything; it must not stop the step
        reason = f"convert({', '.join(map(repr, arguments))}) raised {type(error).__name__}: {error}"
    else:
        if value is None or isinstance(value, _VALUE_TYPES):
            return value
        reason = f"convert returned {type(value).__name__}, which is no value of an attribute"
    problems.append(MappingProblem(rule.plugin, rule.mapping.name, str(rule.rule), reason))
    return None
