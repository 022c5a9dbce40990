"""``MappingTable``: from a device's values to changes of its managed resources, one look-up a value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Mapping as Map
from typing import TypeAlias

import attrs

from lwm2m_engine.entries import Entry, latest
from lwm2m_engine.mapping.compiled import CompiledAction, CompiledRule, CompiledSource, Gathered, Rules
from lwm2m_engine.mapping.compiler import Objects, compile_rules
from lwm2m_engine.mapping.index import Index
from lwm2m_engine.mapping.managed import AttributeValue, ManagedChange, Outcome
from lwm2m_engine.mapping.rules import Mapping
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ObjLink, Value

_VALUE_TYPES = (bool, int, float, str, bytes, ObjLink)

Inputs: TypeAlias = dict[Path, Value]
"""The last value of every Resource that a rule reads."""
Managed: TypeAlias = dict[str, dict[str, AttributeValue]]
"""Attributes by managed resource."""
_Changed: TypeAlias = dict[str, tuple[str, dict[str, AttributeValue]]]
"""By managed resource its kind, and what of it is new."""


@attrs.frozen(slots=True)
class MappingProblem:
    """A function of a rule or an action failed; the attribute keeps its former value."""

    plugin: str
    name: str
    """Of the managed resource."""
    rule: str
    """Or the action."""
    reason: str

    def __str__(self) -> str:
        return f"plugin {self.plugin}: {self.name}: rule {self.rule}: {self.reason}"


class MappingTable:
    """All rules of all plugins, compiled. ``MappingTable()`` maps nothing.

    ``inputs`` and ``managed`` belong to one device and are kept by the caller; ``begin``, ``apply`` and
    ``conclude`` update them.
    """

    __slots__ = ("_by_path", "_index", "_open", "_readers", "reads")

    reads: tuple[int, ...]
    """Objects to read after Register, in order, each once."""

    def __init__(self, compiled: Rules | None = None) -> None:
        compiled = compiled if compiled is not None else Rules()
        self._index = Index(compiled)
        self._by_path, self._open, self._readers = self._index.by_path, self._index.open, self._index.readers
        read = (rule for rule in compiled.rules if rule.mapping.read_at_register)
        self.reads = tuple(dict.fromkeys(path[0] for rule in read for path in rule.paths))

    @classmethod
    def compile(cls, mappings: Iterable[tuple[str, Mapping]], catalog: Objects) -> MappingTable:
        """From pairs of plugin name and mapping; raises ``MappingError``, ``MappingConflict``."""
        return cls(compile_rules(mappings, catalog))

    # --- what is mapped ------------------------------------------------------------------------------

    def is_mapped(self, path: Path) -> bool:
        """True if a rule reads this Resource or Resource Instance, or an action waits for it."""
        return self._index.reads(path)

    def mapped(self, entries: Iterable[Entry]) -> list[Entry]:
        """The entries that are mapped; most payloads have none."""
        by_path, open_objects, reads = self._by_path, self._open, self._index.reads
        return [
            entry
            for entry in entries
            if (path := entry.path) in by_path or (path and path[0] in open_objects and reads(path))
        ]

    def sources(self, name: str, attribute: str) -> tuple[Path, ...]:
        """The Resources an attribute of the managed resource ``name`` is made from."""
        found = self.own(name).get(attribute)
        return found.paths if isinstance(found, CompiledRule) else ()

    def own(self, name: str) -> Map[str, CompiledRule | CompiledAction]:
        """Rules and actions of one managed resource, by attribute."""
        return self._index.own(name)

    @property
    def everything(self) -> tuple[CompiledRule | CompiledAction, ...]:
        """All rules and actions; those with ``each`` stand for one an Object Instance."""
        return self._index.compiled.everything

    def kind(self, name: str) -> str:
        """What a managed resource is in the target system; empty if nothing is mapped to it."""
        return next((one.mapping.target for one in self.own(name).values()), "")

    # --- from the device -----------------------------------------------------------------------------

    def begin(
        self,
        endpoint: str,
        inputs: Inputs,
        managed: Managed,
        problems: list[MappingProblem],
        instances: Iterable[Path] = (),
    ) -> list[ManagedChange]:
        """Run what needs nothing but the endpoint name, or that the device has one of these Object
        Instances; due at every Register."""
        changed: _Changed = {}
        for instance in instances:
            for name in self._index.executable(instance):
                self._bear(name, managed, changed)
        return self._run(self._index.without_values(), endpoint, inputs, managed, problems, changed)

    def apply(
        self,
        endpoint: str,
        inputs: Inputs,
        managed: Managed,
        entries: Iterable[Entry],
        problems: list[MappingProblem],
        *,
        complete: bool = False,
    ) -> list[ManagedChange]:
        """Take in values and run the rules that read them; one change for each resource that differs.

        Of several samples of one path the newest counts. An entry without a value forgets the input
        and leaves the attributes made from it as they are. If the entries are ``complete``, their
        multiple-instance Resources have no other instances. Failures are appended to ``problems``.
        """
        due: dict[CompiledRule, None] = {}
        changed: _Changed = {}
        by_path, readers = self._by_path, self._readers
        news = latest(entries)
        for path, entry in news.items():
            value = entry.value
            if value is None:
                inputs.pop(path, None)
                continue
            rules = by_path.get(path)
            if rules is None:
                rules = readers(path)
                if not rules and path not in by_path:
                    continue
            inputs[path] = value
            for rule in rules:
                if rule.name not in managed:
                    due.update(dict.fromkeys(self._index.endpoint_only(rule.name)))
                    self._bear(rule.name, managed, changed)
                due[rule] = None
        if complete:
            _forget_others(inputs, news)
        return self._run(due, endpoint, inputs, managed, problems, changed)

    # --- to the device -------------------------------------------------------------------------------

    def conclude(
        self, path: Path, outcome: Outcome, managed: Managed, problems: list[MappingProblem]
    ) -> list[ManagedChange]:
        """How it goes with an Execute, as its managed resource tells it."""
        action = self._index.action(path)
        changed: _Changed = {}
        if action is not None and action.action.tell is not None and action.action.status is not None:
            value = _called(action, "tell", action.action.tell, (outcome,), problems)
            if value is not None:
                self._bear(action.name, managed, changed)
                _set(action, action.action.status, value, managed, changed)
        return self._changes(managed, changed)

    def is_ready(self, path: Path, inputs: Map[Path, Value], problems: list[MappingProblem]) -> bool | None:
        """Whether an Execute may be sent; false if it never may, ``None`` if it has to wait."""
        action = self._index.action(path)
        if action is None or action.action.when is None:
            return True
        values = [_argument(source, "", inputs) for source in action.waits_for]
        try:
            return action.action.when.test(*values)
        except Exception as error:  # noqa: BLE001 - a plugin's code may raise anything
            # What is not clear is not done.
            problems.append(_problem(action, _raised("test", values, error)))
            return False

    def waits_for(self, path: Path) -> tuple[Path, ...]:
        """The Resources that say when an Execute may be sent."""
        action = self._index.action(path)
        return action.paths if action is not None else ()

    # --- inner ---------------------------------------------------------------------------------------

    def _bear(self, name: str, managed: Managed, changed: _Changed) -> None:
        """What executes is there from the beginning."""
        if name not in managed:
            for action in self._index.shown(name):
                _set(action, action.target, action.action.shows, managed, changed)

    def _run(
        self,
        rules: Iterable[CompiledRule],
        endpoint: str,
        inputs: Map[Path, Value],
        managed: Managed,
        problems: list[MappingProblem],
        changed: _Changed,
    ) -> list[ManagedChange]:
        for rule in rules:
            value = _evaluate(rule, endpoint, inputs, problems)
            if value is not None:
                _set(rule, rule.rule.target, value, managed, changed)
        return self._changes(managed, changed) if changed else []

    def _changes(self, managed: Managed, changed: _Changed) -> list[ManagedChange]:
        places = self._index.places
        return [
            ManagedChange(kind, name, new, managed[name].copy(), places.get(name, ()))
            for name, (kind, new) in changed.items()
        ]


def _set(
    one: CompiledRule | CompiledAction,
    attribute: str,
    value: AttributeValue,
    managed: Managed,
    changed: _Changed,
) -> None:
    name = one.name
    attributes = managed.get(name)
    if attributes is None:
        attributes = managed[name] = {}
    known = attributes.get(attribute)
    # 1, 1.0 and True are equal to Python and different values here.
    if known != value or known.__class__ is not value.__class__:
        attributes[attribute] = value
        change = changed.get(name)
        if change is None:
            changed[name] = one.mapping.target, {attribute: value}
        else:
            change[1][attribute] = value


def _forget_others(inputs: Inputs, news: Map[Path, Entry]) -> None:
    """Of multiple-instance Resources, the instances that are not there any more."""
    resources = {path[:3] for path in news if len(path) == 4}
    if resources:
        for path in [
            path for path in inputs if len(path) == 4 and path[:3] in resources and path not in news
        ]:
            del inputs[path]


def _argument(
    source: CompiledSource, endpoint: str, inputs: Map[Path, Value]
) -> Value | dict[int, Value] | None:
    if source.__class__ is Path:
        return inputs.get(source)
    return source.of(inputs) if isinstance(source, Gathered) else endpoint


def _evaluate(
    rule: CompiledRule, endpoint: str, inputs: Map[Path, Value], problems: list[MappingProblem]
) -> AttributeValue | None:
    """The attribute's value; ``None`` if a source is unknown, the rule says so, or it failed."""
    arguments: list[Value | dict[int, Value]] = []
    for source in rule.sources:
        argument = _argument(source, endpoint, inputs)
        if argument is None:
            return None
        arguments.append(argument)
    convert = rule.rule.convert
    if convert is None:
        first = arguments[0]
        return list(first.values()) if isinstance(first, dict) else first
    return _called(rule, "convert", convert, arguments, problems)


def _called(
    one: CompiledRule | CompiledAction,
    name: str,
    function: Callable[..., object],
    arguments: Sequence[object],
    problems: list[MappingProblem],
) -> AttributeValue | None:
    """What a plugin's function makes an attribute; ``None`` if it says so, or failed."""
    try:
        value = function(*arguments)
    except Exception as error:  # noqa: BLE001 - a plugin's code may raise anything; it must not stop the step
        reason = _raised(name, arguments, error)
    else:
        if value is None or _is_attribute(value):
            return value  # type: ignore[return-value]
        reason = f"{name} returned {type(value).__name__}, which is no value of an attribute"
    problems.append(_problem(one, reason))
    return None


def _problem(one: CompiledRule | CompiledAction, reason: str) -> MappingProblem:
    return MappingProblem(one.plugin, one.name, one.text, reason)


def _raised(function: str, arguments: Iterable[object], error: Exception) -> str:
    shown = ", ".join(str(one) if isinstance(one, Outcome) else repr(one) for one in arguments)
    return f"{function}({shown}) raised {type(error).__name__}: {error}"


def _is_attribute(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_attribute(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_attribute, value))
    return isinstance(value, _VALUE_TYPES)
