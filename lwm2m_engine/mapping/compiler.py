"""From the rules plugins write to the rules a table runs: sources resolved, conflicts found."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

import attrs

from lwm2m_engine.errors import MappingConflict, MappingError, ModelError, PathError, UnknownResource
from lwm2m_engine.mapping.rules import ENDPOINT, Mapping, Rule, Source
from lwm2m_engine.model.spec import ObjectSpec, ResourceSpec
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ResourceType


class Objects(Protocol):
    """The part of a ``Catalog`` that rules are resolved against."""

    def __getitem__(self, key: int | tuple[int, str], /) -> ObjectSpec:
        """The newest version, or that one; raises ``UnknownObject``."""

    def versions(self, object_id: int) -> tuple[str, ...]:
        """The loaded versions, oldest first."""


@attrs.frozen(slots=True, eq=False)
class CompiledRule:
    """A rule whose sources are paths; ``None`` stands for the endpoint name."""

    plugin: str
    mapping: Mapping
    rule: Rule
    sources: tuple[Path | None, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The sources that are Resources, in order."""
        return tuple(source for source in self.sources if source is not None)

    def __str__(self) -> str:
        return f"{self.plugin}: {self.mapping.name}: rule {self.rule}"


def compile_rules(mappings: Iterable[tuple[str, Mapping]], objects: Objects) -> list[CompiledRule]:
    """All rules that are to run, in the order of ``mappings``.

    Raises ``MappingError`` for a rule that cannot work, with plugin, rule and the nearest known name,
    and ``MappingConflict`` where two rules write one attribute.
    """
    rules = [rule for plugin, mapping in mappings for rule in _compile_mapping(plugin, mapping, objects)]
    _check_kinds(rules)
    claims: dict[tuple[str, str], list[CompiledRule]] = defaultdict(list)
    for rule in rules:
        claims[rule.mapping.name, rule.rule.target].append(rule)
    losers = {loser for rivals in claims.values() if len(rivals) > 1 for loser in _losers(rivals)}
    return [rule for rule in rules if rule not in losers]


def resolve(source: Source, objects: Objects) -> Path | None:
    """The path a source names, ``None`` for ``ENDPOINT``; raises ``MappingError`` without the place."""
    if source is ENDPOINT:
        return None
    if not isinstance(source, (str, Path)):
        raise MappingError(f"{source!r} is neither a path nor ENDPOINT")
    try:
        return _resolve_path(str(source), objects)
    except (ModelError, PathError) as error:
        raise MappingError(str(error)) from error


def resource_type(path: Path, objects: Objects) -> ResourceType:
    """The type of a Resource or Resource Instance that ``resolve`` returned."""
    return _versions_of(path[0], path[2], objects)[0].type


def _compile_mapping(plugin: str, mapping: Mapping, objects: Objects) -> list[CompiledRule]:
    place = f"{plugin}: {mapping.name}"
    if not mapping.name or not mapping.target or "/" in mapping.name:
        raise MappingError(
            f"{plugin}: a mapping needs a target and a name without a slash, not {mapping.name!r}"
        )
    if not mapping.rules:
        raise MappingError(f"{place}: a mapping needs at least one rule")
    rules = []
    for rule in mapping.rules:
        if not isinstance(rule, Rule):
            raise MappingError(f"{place}: {rule!r} is not a Rule")
        try:
            _check_shape(rule)
            sources = tuple(resolve(source, objects) for source in rule.sources)
        except MappingError as error:
            raise MappingError(f"{place}: rule {rule}: {error}") from error
        rules.append(CompiledRule(plugin, mapping, rule, sources))
    return rules


def _check_shape(rule: Rule) -> None:
    count = len(rule.sources)
    if not isinstance(rule.target, str) or not rule.target:
        raise MappingError("the target must be the name of an attribute")
    if not count:
        raise MappingError("needs at least one source")
    if rule.convert is None:
        if count > 1:
            raise MappingError(f"{count} sources need a convert function that makes one value of them")
        return
    if not callable(rule.convert):
        raise MappingError(f"convert is {rule.convert!r}, not a function")
    try:
        inspect.signature(rule.convert).bind(*rule.sources)
    except TypeError as error:
        raise MappingError(f"convert cannot be called with {count} argument(s): {error}") from error
    except ValueError:
        return  # Some built-in functions do not tell their signature.


def _resolve_path(text: str, objects: Objects) -> Path:
    elements = text.strip("/").split("/")
    if len(elements) not in (3, 4):
        raise MappingError(f"{text!r} is no Resource such as /3/0/9 or /3/0/battery_level")
    instance = Path("/".join(elements[:2]))
    name = elements[2]
    versions = _versions_of(instance[0], int(name) if name.isdecimal() else name, objects)
    path, label = instance / versions[0].id, versions[0].name
    if versions[0].type is ResourceType.NONE:
        raise MappingError(f"{path} ({label}) is executable and has no value")
    multiple = len(elements) == 4
    if all(version.multiple != multiple for version in versions):
        hint = (
            "has no instances; leave the last id out" if multiple else f"has instances: name one, as {path}/0"
        )
        raise MappingError(f"{path} ({label}) {hint}")
    return Path(f"{path}/{elements[3]}") if multiple else path


def _versions_of(object_id: int, resource: int | str, objects: Objects) -> list[ResourceSpec]:
    """A Resource as the versions of its Object define it, newest first.

    Devices bring older versions along: what the newest one has dropped can still be read from them.
    """
    newest = objects[object_id]
    found: list[ResourceSpec] = []
    for version in reversed(objects.versions(object_id)):
        with suppress(UnknownResource):
            found.append(objects[object_id, version][resource])
    if found:
        return found
    if isinstance(resource, int):
        known = ", ".join(map(str, newest.resources))
        raise MappingError(f"object {object_id} has no resource {resource}; it has {known}")
    return [newest[resource]]  # Raises, and names what is nearest.


def _check_kinds(rules: Iterable[CompiledRule]) -> None:
    """One name below a device is one resource of one kind."""
    first: dict[str, CompiledRule] = {}
    for rule in rules:
        known = first.setdefault(rule.mapping.name, rule)
        if known.mapping.target != rule.mapping.target:
            raise MappingConflict(
                f"{rule.mapping.name!r} is {known.mapping.target} in plugin {known.plugin} "
                f"and {rule.mapping.target} in plugin {rule.plugin}"
            )


def _losers(rivals: list[CompiledRule]) -> list[CompiledRule]:
    """Of the rules that write one attribute, those that give way; exactly one may remain."""
    replaced = {rule.mapping.replaces for rule in rivals}
    losers = [rule for rule in rivals if rule.plugin in replaced]
    winners = [rule for rule in rivals if rule.plugin not in replaced]
    if len(winners) == 1:
        return losers
    name, target = rivals[0].mapping.name, rivals[0].rule.target
    who = " and ".join(f"{rule.plugin} ({rule.rule})" for rule in winners or rivals)
    raise MappingConflict(f"{target} of {name!r} is written by {who}; one mapping must say replaces=")
