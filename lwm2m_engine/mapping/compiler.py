"""From the rules plugins write to the rules a table runs: sources resolved, conflicts found."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol

from lwm2m_engine.errors import MappingConflict, MappingError, ModelError, PathError, UnknownResource
from lwm2m_engine.mapping.compiled import CompiledAction, CompiledRule, CompiledSource, Gathered, Rules
from lwm2m_engine.mapping.rules import ENDPOINT, INSTANCE, Action, Mapping, Rule, Source
from lwm2m_engine.model.spec import ObjectSpec, ResourceSpec
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ResourceType


class Objects(Protocol):
    """The part of a ``Catalog`` that rules are resolved against."""

    def __getitem__(self, key: int | tuple[int, str], /) -> ObjectSpec:
        """The newest version, or that one; raises ``UnknownObject``."""

    def versions(self, object_id: int) -> tuple[str, ...]:
        """The loaded versions, oldest first."""


def compile_rules(mappings: Iterable[tuple[str, Mapping]], objects: Objects) -> Rules:
    """All rules and actions that are to run, in the order of ``mappings``.

    Raises ``MappingError`` for one that cannot work, with plugin, rule and the nearest known name,
    and ``MappingConflict`` where two write one attribute.
    """
    rules: list[CompiledRule] = []
    actions: list[CompiledAction] = []
    for plugin, mapping in mappings:
        _check_mapping(plugin, mapping)
        rules += (_compile_rule(plugin, mapping, rule, objects) for rule in mapping.rules)
        actions += (_compile_action(plugin, mapping, action, objects) for action in mapping.actions)
    everything: list[CompiledRule | CompiledAction] = [*rules, *actions]
    _check_kinds(everything)
    claims: dict[tuple[str, str], list[CompiledRule | CompiledAction]] = defaultdict(list)
    for one in everything:
        claims[one.name, one.target].append(one)
    losers = {loser for rivals in claims.values() if len(rivals) > 1 for loser in _losers(rivals)}
    return Rules(
        tuple(rule for rule in rules if rule not in losers),
        tuple(action for action in actions if action not in losers),
        {number: _urn(objects[number]) for one in everything for number in one.objects},
    )


def _urn(spec: ObjectSpec) -> str:
    """``urn:oma:lwm2m:oma:3``: which version a device has is not said here."""
    return ":".join(spec.urn.split(":")[:5])


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


def _check_mapping(plugin: str, mapping: Mapping) -> None:
    if not mapping.name or not mapping.target or "/" in mapping.name:
        raise MappingError(
            f"{plugin}: a mapping needs a target and a name without a slash, not {mapping.name!r}"
        )
    if not mapping.rules and not mapping.actions:
        raise MappingError(f"{plugin}: {mapping.name}: a mapping needs at least one rule or action")


def _compile_rule(plugin: str, mapping: Mapping, rule: Rule, objects: Objects) -> CompiledRule:
    place = f"{plugin}: {mapping.name}"
    if not isinstance(rule, Rule):
        raise MappingError(f"{place}: {rule!r} is not a Rule")
    try:
        _check_rule(rule)
        found = [_resolve_any(source, objects) for source in rule.sources]
        sources = tuple(source for source, _ in found)
        _check_writable(rule, sources, objects)
        each = _instances_of(mapping, found)
    except MappingError as error:
        raise MappingError(f"{place}: rule {rule}: {error}") from error
    return CompiledRule(plugin, mapping, rule, sources, mapping.name, each)


def _compile_action(plugin: str, mapping: Mapping, action: Action, objects: Objects) -> CompiledAction:
    place = f"{plugin}: {mapping.name}"
    if not isinstance(action, Action):
        raise MappingError(f"{place}: {action!r} is not an Action")
    try:
        _check_target(action.target)
        if (action.status is None) != (action.tell is None):
            raise MappingError("status and tell belong together")
        wanted = action.when.sources if action.when is not None else ()
        found = [_resolve_any(source, objects) for source in wanted]
        if action.when is not None:
            _check_call("test", action.when.test, wanted)
        path, is_open = _resolve_executable(action.source, objects)
        each = _instances_of(mapping, [(path, is_open), *found])
    except MappingError as error:
        raise MappingError(f"{place}: action {action}: {error}") from error
    sources = tuple(source for source, _ in found)
    return CompiledAction(plugin, mapping, action, path, sources, mapping.name, each)


def _instances_of(mapping: Mapping, found: Iterable[tuple[CompiledSource, bool]]) -> int | None:
    """The Object whose Instances make a managed resource each, if there is one."""
    opens = {(_object(source), is_open) for source, is_open in found if source is not None}
    if not mapping.is_of_each_instance:
        if any(is_open for _, is_open in opens):
            raise MappingError(f"a source of any Object Instance needs {INSTANCE} in the name of the mapping")
        return None
    if len(opens) != 1 or not next(iter(opens))[1]:
        raise MappingError(
            f"with {INSTANCE} in its name each source is of any instance of one Object: /9/*/0"
        )
    return next(iter(opens))[0]


def _object(source: Path | Gathered) -> int:
    return (source.resource if isinstance(source, Gathered) else source)[0]


def _check_target(target: object) -> None:
    if not isinstance(target, str) or not target:
        raise MappingError("the target must be the name of an attribute")


def _check_rule(rule: Rule) -> None:
    count = len(rule.sources)
    _check_target(rule.target)
    if not count:
        raise MappingError("needs at least one source")
    if rule.write is True and (count > 1 or rule.convert is not None):
        raise MappingError("write must be the function that undoes convert")
    if rule.convert is None:
        if count > 1:
            raise MappingError(f"{count} sources need a convert function that makes one value of them")
    else:
        _check_call("convert", rule.convert, rule.sources)
    if not isinstance(rule.write, bool):
        _check_call("write", rule.write, ("value",))


def _check_call(name: str, function: Callable[..., Any], arguments: tuple[Source, ...]) -> None:
    if not callable(function):
        raise MappingError(f"{name} is {function!r}, not a function")
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        raise MappingError(f"{name} cannot be called with {len(arguments)} argument(s): {error}") from error
    except ValueError:
        return  # Some built-in functions do not tell their signature.


def _check_writable(rule: Rule, sources: Iterable[CompiledSource], objects: Objects) -> None:
    """What devices do not let anybody write is no attribute that can be written."""
    if rule.write is False:
        return
    for source in sources:
        if not isinstance(source, Path):
            raise MappingError("only Resources and Resource Instances can be written")
        versions = _versions_of(source[0], source[2], objects)
        if not any("W" in version.operations for version in versions):
            raise MappingError(f"{source} ({versions[0].name}) cannot be written")


def _resolve_any(source: Source, objects: Objects) -> tuple[CompiledSource, bool]:
    """What a source names, and whether it leaves the Object Instance open: then it names instance 0."""
    elements = source.strip("/").split("/") if isinstance(source, str) else []
    if "*" not in elements:
        return resolve(source, objects), False
    is_open = elements[1:2] == ["*"]
    gathers = elements[3:] == ["*"]
    plain = ["0" if element == "*" else element for element in elements]
    if elements.count("*") > is_open + gathers:
        raise MappingError(f"{source!r}: * stands for an Object Instance or for all Resource Instances")
    path = resolve("/" + "/".join(plain), objects)
    assert path is not None
    return (Gathered(Path(path[:3])) if gathers else path), is_open


def _resolve_executable(source: Source, objects: Objects) -> tuple[Path, bool]:
    elements = str(source).strip("/").split("/")
    if len(elements) != 3:
        raise MappingError(f"{str(source)!r} is no Resource such as /3/0/4 or /3/0/reboot")
    is_open = elements[1] == "*"
    try:
        instance = Path(f"{elements[0]}/{'0' if is_open else elements[1]}")
        versions = _versions_of(
            instance[0], int(elements[2]) if elements[2].isdecimal() else elements[2], objects
        )
    except (ModelError, PathError) as error:
        raise MappingError(str(error)) from error
    if versions[0].type is not ResourceType.NONE:
        raise MappingError(f"{instance / versions[0].id} ({versions[0].name}) cannot be executed")
    return instance / versions[0].id, is_open


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


def _check_kinds(rules: Iterable[CompiledRule | CompiledAction]) -> None:
    """One name below a device is one resource of one kind."""
    first: dict[str, CompiledRule | CompiledAction] = {}
    for rule in rules:
        known = first.setdefault(rule.name, rule)
        if known.mapping.target != rule.mapping.target:
            raise MappingConflict(
                f"{rule.name!r} is {known.mapping.target} in plugin {known.plugin} "
                f"and {rule.mapping.target} in plugin {rule.plugin}"
            )


def _losers(rivals: list[CompiledRule | CompiledAction]) -> list[CompiledRule | CompiledAction]:
    """Of what writes one attribute, that which gives way; exactly one may remain."""
    replaced = {rival.mapping.replaces for rival in rivals}
    losers = [rival for rival in rivals if rival.plugin in replaced]
    winners = [rival for rival in rivals if rival.plugin not in replaced]
    if len(winners) == 1:
        return losers
    name, target = rivals[0].name, rivals[0].target
    who = " and ".join(f"{rival.plugin} ({rival.text})" for rival in winners or rivals)
    raise MappingConflict(f"{target} of {name!r} is written by {who}; one mapping must say replaces=")
