"""``Index``: which rules read a path, which action executes it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import TypeVar

from lwm2m_engine.mapping.compiled import CompiledAction, CompiledRule, CompiledSource, Gathered, Rules
from lwm2m_engine.mapping.rules import INSTANCE
from lwm2m_engine.paths import Path

MAX_LEARNT = 4096
"""Object Instances and paths that are kept of those devices have chosen."""

T = TypeVar("T")


class Index:
    """Rules of one Object Instance are there from the beginning; those of any are entered when a device
    shows one."""

    __slots__ = (
        "_actions",
        "_by_instance",
        "_each",
        "_endpoint_only",
        "_gathering",
        "_learnt",
        "_shown",
        "_single",
        "by_path",
        "compiled",
        "open",
        "places",
    )

    def __init__(self, compiled: Rules) -> None:
        self.compiled = compiled
        self.by_path: dict[Path, tuple[CompiledRule, ...]] = {}
        self._each: dict[int, list[CompiledRule | CompiledAction]] = defaultdict(list)
        for one in compiled.everything:
            if one.each is not None:
                self._each[one.each].append(one)
        gathered = (
            source for rule in compiled.rules for source in rule.sources if isinstance(source, Gathered)
        )
        self.open = frozenset((*self._each, *(source.resource[0] for source in gathered)))
        """Objects of which not every path that is read is known in advance."""
        self._actions: dict[Path, CompiledAction] = {}
        self._shown: dict[str, tuple[CompiledAction, ...]] = {}
        self._endpoint_only: dict[str, tuple[CompiledRule, ...]] = {}
        self._by_instance: dict[Path, tuple[str, ...]] = {}
        self.places: dict[str, tuple[tuple[str, Path], ...]] = {}
        """URN and path of the Object Instances a managed resource is made from, by its name."""
        self._gathering: dict[tuple[int, ...], tuple[CompiledRule, ...]] = {}
        """Rules that read all instances of a Resource."""
        self._single: dict[Path, tuple[Path, ...]] = {}
        """Of a Resource those instances that rules read by themselves."""
        self._learnt: set[Path] = set()
        self._begin()

    def _begin(self) -> None:
        for known in (
            self.by_path,
            self._actions,
            self._shown,
            self._endpoint_only,
            self._by_instance,
            self.places,
            self._gathering,
            self._single,
        ):
            known.clear()
        self._learnt.clear()
        self._enter(one for one in self.compiled.everything if one.each is None)

    # --- questions -----------------------------------------------------------------------------------

    def reads(self, path: Path) -> bool:
        """Whether the value of a Resource or Resource Instance is of interest to anybody."""
        return bool(self.readers(path)) or path in self.by_path

    def readers(self, path: Path) -> tuple[CompiledRule, ...]:
        """The rules that read a Resource or Resource Instance; none if only actions wait for it."""
        found = self.by_path.get(path)
        if found is not None:
            return found
        if len(path) < 3 or path[0] not in self.open:
            return ()
        self.learn(Path(path[:2]))
        found = self.by_path.get(path, ())
        if not found and len(path) == 4:
            found = self._gathering.get(path[:3], ())
            if found:
                self._keep(path)
                self.by_path[path] = found
        return found

    def action(self, path: Path) -> CompiledAction | None:
        """What executing a Resource means."""
        if len(path) == 3:
            self.learn(Path(path[:2]))
        return self._actions.get(path)

    def endpoint_only(self, name: str) -> tuple[CompiledRule, ...]:
        """The rules of a managed resource that need nothing but the endpoint name."""
        return self._endpoint_only.get(name, ())

    def without_values(self) -> Iterable[CompiledRule]:
        """Those of all managed resources."""
        return (rule for rules in self._endpoint_only.values() for rule in rules)

    def shown(self, name: str) -> tuple[CompiledAction, ...]:
        """What a managed resource has from the beginning: the attributes that execute."""
        return self._shown.get(name, ())

    def executable(self, instance: Path) -> tuple[str, ...]:
        """The managed resources with attributes that execute something in an Object Instance."""
        self.learn(instance)
        return self._by_instance.get(instance, ())

    def own(self, name: str) -> dict[str, CompiledRule | CompiledAction]:
        """Rules and actions of one managed resource, by attribute."""
        found: dict[str, CompiledRule | CompiledAction] = {}
        for one in self.compiled.everything:
            if one.each is None and one.name == name:
                found[one.target] = one
            elif one.each is not None and (instance := _instance_in(name, one.name)) is not None:
                found[one.target] = one.at(instance)
        return found

    # --- entries -------------------------------------------------------------------------------------

    def learn(self, instance: Path) -> None:
        """A device has this Object Instance."""
        if instance[0] in self._each and instance not in self._learnt:
            self._keep(instance)
            self._enter(one.at(instance[1]) for one in self._each[instance[0]])

    def _keep(self, path: Path) -> None:
        """One more that is not known in advance; with too many all are forgotten and learnt anew."""
        if len(self._learnt) >= MAX_LEARNT:
            self._begin()
        self._learnt.add(path)

    def _enter(self, ones: Iterable[CompiledRule | CompiledAction]) -> None:
        for one in ones:
            for number in one.objects:
                places = [
                    (self.compiled.urns[number], Path(path[:2]))
                    for path in _touched(one)
                    if path[0] == number
                ]
                self.places[one.name] = _with(self.places.get(one.name), *places)
            if isinstance(one, CompiledAction):
                instance = Path(one.path[:2])
                self._actions[one.path] = one
                self._shown[one.name] = _with(self._shown.get(one.name), one)
                self._by_instance[instance] = _with(self._by_instance.get(instance), one.name)
                for path in one.paths:
                    self.by_path.setdefault(path, ())
                continue
            for source in one.sources:
                self._enter_source(source, one)
            if not one.paths:
                self._endpoint_only[one.name] = (*self._endpoint_only.get(one.name, ()), one)

    def _enter_source(self, source: CompiledSource, rule: CompiledRule) -> None:
        """A Resource Instance may be read by itself, together with the others, or both."""
        if isinstance(source, Gathered):
            resource = source.resource
            self._gathering[resource] = _with(self._gathering.get(resource), rule)
            for path in self._single.get(resource, ()):
                self.by_path[path] = _with(self.by_path.get(path), rule)
        elif source is not None:
            self.by_path[source] = _with(self.by_path.get(source), rule)
            if len(source) == 4:
                resource = Path(source[:3])
                self._single[resource] = _with(self._single.get(resource), source)
                self.by_path[source] = _with(self.by_path[source], *self._gathering.get(resource, ()))


def _touched(one: CompiledRule | CompiledAction) -> tuple[Path, ...]:
    return (one.path,) if isinstance(one, CompiledAction) else one.paths


def _with(known: tuple[T, ...] | None, *more: T) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*(known or ()), *more)))


def _instance_in(name: str, pattern: str) -> int | None:
    """The Object Instance ID that makes ``name`` of a pattern."""
    before, _, after = pattern.partition(INSTANCE)
    found = re.fullmatch(rf"{re.escape(before)}(0|[1-9]\d{{0,4}}){re.escape(after)}", name)
    return int(found[1]) if found is not None else None
