"""What a table runs: rules and actions whose sources are paths."""

from __future__ import annotations

from collections.abc import Mapping as Map
from typing import TypeAlias

import attrs

from lwm2m_engine.mapping.rules import INSTANCE, Action, Mapping, Rule
from lwm2m_engine.paths import Path
from lwm2m_engine.values import Value


@attrs.frozen(slots=True)
class Gathered:
    """All instances of a Resource together."""

    resource: Path

    def of(self, inputs: Map[Path, Value]) -> dict[int, Value] | None:
        """The known ones by id, ``None`` if there is none."""
        found = {
            path[3]: value for path, value in inputs.items() if len(path) == 4 and path[:3] == self.resource
        }
        return dict(sorted(found.items())) or None


CompiledSource: TypeAlias = Path | Gathered | None
"""``None`` stands for the endpoint name."""


@attrs.frozen(slots=True, eq=False)
class CompiledRule:
    """A rule of one managed resource, or, with ``each``, of one a Object Instance: see ``at``."""

    plugin: str
    mapping: Mapping
    rule: Rule
    sources: tuple[CompiledSource, ...]
    name: str
    """Of the managed resource."""
    each: int | None
    """The Object whose Instances have a managed resource each; its sources name instance 0 then."""

    @property
    def target(self) -> str:
        return self.rule.target

    @property
    def paths(self) -> tuple[Path, ...]:
        """The Resources it reads, in order."""
        return tuple(path for path in map(path_of, self.sources) if path is not None)

    @property
    def objects(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(path[0] for path in self.paths))

    @property
    def is_writable(self) -> bool:
        return self.rule.write is not False

    @property
    def text(self) -> str:
        return str(self.rule)

    def at(self, instance: int) -> CompiledRule:
        """The same for one Object Instance."""
        sources = tuple(_moved(source, instance) for source in self.sources)
        name = self.name.replace(INSTANCE, str(instance))
        return attrs.evolve(self, sources=sources, name=name, each=None)

    def __str__(self) -> str:
        return f"{self.plugin}: {self.name}: rule {self.rule}"


@attrs.frozen(slots=True, eq=False)
class CompiledAction:
    """As ``CompiledRule``."""

    plugin: str
    mapping: Mapping
    action: Action
    path: Path
    waits_for: tuple[CompiledSource, ...]
    name: str
    each: int | None

    @property
    def target(self) -> str:
        return self.action.target

    @property
    def paths(self) -> tuple[Path, ...]:
        """The Resources it waits for."""
        return tuple(path for path in map(path_of, self.waits_for) if path is not None)

    @property
    def objects(self) -> tuple[int, ...]:
        return (self.path[0],)

    @property
    def is_writable(self) -> bool:
        return True

    @property
    def text(self) -> str:
        return str(self.action)

    def at(self, instance: int) -> CompiledAction:
        """The same for one Object Instance."""
        sources = tuple(_moved(source, instance) for source in self.waits_for)
        path = Path((self.path[0], instance, self.path[2]))
        name = self.name.replace(INSTANCE, str(instance))
        return attrs.evolve(self, path=path, waits_for=sources, name=name, each=None)


@attrs.frozen(slots=True)
class Rules:
    """All that was compiled."""

    rules: tuple[CompiledRule, ...] = ()
    actions: tuple[CompiledAction, ...] = ()
    urns: Map[int, str] = attrs.field(factory=dict)
    """Of the Objects they are about."""

    @property
    def everything(self) -> tuple[CompiledRule | CompiledAction, ...]:
        return (*self.rules, *self.actions)


def path_of(source: CompiledSource) -> Path | None:
    return source.resource if isinstance(source, Gathered) else source


def _moved(source: CompiledSource, instance: int) -> CompiledSource:
    if source is None:
        return None
    if isinstance(source, Gathered):
        return Gathered(Path((source.resource[0], instance, source.resource[2])))
    return Path((source[0], instance, *source[2:]))
