"""Values against the models, all faults at once: before they are sent, or after they were read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

import attrs

from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.model.spec import ObjectSpec, ResourceSpec
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import ROOT, Path
from lwm2m_engine.values import ResourceType, coerce

Operation: TypeAlias = Literal["read", "write", "replace", "create", "execute"]
"""``write`` is also Partial Update and Write-Composite, ``replace`` a Write that replaces an Instance."""


@attrs.frozen(slots=True)
class Findings:
    """What is wrong, each with its path, in order of the paths."""

    faults: tuple[ValueRejected, ...] = ()
    doubts: tuple[ValueRejected, ...] = ()
    """Values outside their range: definitions are often wrong there, so this alone is no reason to refuse."""

    def __add__(self, other: Findings) -> Findings:
        return Findings(self.faults + other.faults, self.doubts + other.doubts)

    def verdict(self, what: str, *, strict_ranges: bool = False) -> tuple[ValueRejected, ...]:
        """The doubts. Raises an ``ExceptionGroup`` of all faults, with ``strict_ranges`` of doubts too."""
        faults = self.faults + self.doubts if strict_ranges else self.faults
        if faults:
            raise ExceptionGroup(what, sorted(faults, key=_place))
        return self.doubts


def _place(fault: ValueRejected) -> Path:
    return fault.path if isinstance(fault.path, Path) else ROOT


def inspect(
    entries: Iterable[Entry], models: ModelView, at: Path = ROOT, operation: Operation = "write"
) -> Findings:
    """What is wrong with an operation at ``at`` and what it carries; without entries, with the operation.

    Faults are: unknown Resources, operations that a Resource does not allow, values that are not of its type,
    Resource Instances where there are none or the lack of them, values given twice, and (Create, Replace)
    mandatory Resources that are missing. What no model knows passes.
    """
    entries = tuple(entries)
    faults = sorted(_faults(entries, models, at, operation), key=_place)
    return Findings(tuple(faults), tuple(_doubts(entries, models)))


def validate(
    entries: Iterable[Entry],
    models: ModelView,
    at: Path = ROOT,
    operation: Operation = "write",
    *,
    strict_ranges: bool = False,
) -> tuple[ValueRejected, ...]:
    """As ``inspect``, but faults are raised, together in an ``ExceptionGroup``; doubts are returned.

    ``strict_ranges`` makes a value outside its range a fault.
    """
    findings = inspect(entries, models, at, operation)
    return findings.verdict(f"{operation} {at}", strict_ranges=strict_ranges)


def _faults(
    entries: tuple[Entry, ...], models: ModelView, at: Path, operation: Operation
) -> Iterator[ValueRejected]:
    places = [entry.path for entry in entries] or [at]
    for instance in dict.fromkeys(Path(place[:2]) for place in places):
        yield from _instance_faults(instance, models)
    for resource in dict.fromkeys(Path(place[:3]) for place in places if len(place) > 2):
        yield from _operation_faults(resource, models, operation)
    if not entries:
        yield from _multiplicity_faults(at, models.resource(at), whole=True)
    seen: set[tuple[Path, float | None]] = set()
    for entry in entries:
        if (entry.path, entry.time) in seen:
            yield ValueRejected("given twice", path=entry.path)
        seen.add((entry.path, entry.time))
        yield from _entry_faults(entry, models, at, operation)
    if operation in ("create", "replace"):
        yield from _missing(entries, models, at)


def _instance_faults(path: Path, models: ModelView) -> Iterator[ValueRejected]:
    spec = models.object(path[0]) if path else None
    if spec is not None and not spec.multiple and path.instance not in (None, 0):
        yield ValueRejected(f"object {spec.id} {spec.name} has only instance 0", path=path)


_LETTERS = {"read": "R", "write": "W", "replace": "W", "execute": "E"}
_DONE = {"read": "read", "write": "written", "replace": "written", "execute": "executed"}
_ONLY = {
    "R": "read",
    "W": "written",
    "RW": "read and written",
    "E": "executed",
    "": "set by a bootstrap server",
}


def _operation_faults(path: Path, models: ModelView, operation: Operation) -> Iterator[ValueRejected]:
    spec = models.object(path[0])
    if spec is None:
        return
    resource = spec.resources.get(path[2])
    if resource is None:
        yield ValueRejected(f"object {spec.id} {spec.name} {spec.version} has no such resource", path=path)
    elif operation == "create":
        # What only the device may write later may have a first value from whoever creates it.
        if resource.operations == "E":
            yield ValueRejected(f"{resource.name} can be executed and holds no value", path=path)
    elif _LETTERS[operation] not in resource.operations:
        yield ValueRejected(
            f"{resource.name} cannot be {_DONE[operation]}, only {_ONLY[resource.operations]}", path=path
        )


def _multiplicity_faults(
    path: Path, resource: ResourceSpec | None, *, whole: bool
) -> Iterator[ValueRejected]:
    """``whole`` when the path may stand for all instances of a Resource."""
    if resource is None:
        return
    if len(path) == 4 and not resource.multiple:
        yield ValueRejected(f"{resource.name} is a single value without instances", path=path)
    if len(path) == 3 and resource.multiple and not whole:
        yield ValueRejected(f"{resource.name} has instances, and the path names none", path=path)


def _entry_faults(entry: Entry, models: ModelView, at: Path, operation: Operation) -> Iterator[ValueRejected]:
    path, value, _ = entry
    if not path.startswith(at):
        yield ValueRejected(f"it does not lie below {at}", path=path)
    if len(path) < 3:
        yield ValueRejected("values stand at Resources and Resource Instances", path=path)
        return
    resource = models.resource(path)
    yield from _multiplicity_faults(path, resource, whole=False)
    if value is None:
        # A Write-Composite deletes so, since LwM2M 1.2.
        if operation != "write" or len(path) < 4:
            yield ValueRejected("there is no value", path=path)
        return
    try:
        coerce(value, resource.type if resource is not None else None)
    except ValueRejected as error:
        name = f" ({resource.name})" if resource is not None else ""
        yield ValueRejected(f"{error.reason}{name}", path=path, value=value)


def _missing(entries: tuple[Entry, ...], models: ModelView, at: Path) -> Iterator[ValueRejected]:
    """Mandatory Resources are those a server may write; others are for the device to fill."""
    if len(at) > 2:
        return
    # An Object Instance that nothing is said about lacks them all.
    given: dict[Path, set[int]] = {at: set()} if len(at) == 2 or (at and not entries) else {}
    for entry in entries:
        if len(entry.path) > 2:
            given.setdefault(Path(entry.path[:2]), set()).add(entry.path[2])
    for instance, resources in given.items():
        spec = models.object(instance[0])
        for resource in _required(spec):
            if resource.id not in resources:
                yield ValueRejected(f"{resource.name} (resource {resource.id}) is mandatory", path=instance)


def _required(spec: ObjectSpec | None) -> Iterator[ResourceSpec]:
    if spec is not None:
        for resource in spec.resources.values():
            if resource.mandatory and "W" in resource.operations:
                yield resource


def _doubts(entries: tuple[Entry, ...], models: ModelView) -> Iterator[ValueRejected]:
    for path, value, _ in entries:
        resource = models.resource(path)
        if resource is None or value is None or resource.type is ResourceType.NONE:
            continue
        try:
            fault = resource.allowed.check(coerce(value, resource.type))
        except ValueRejected:
            continue
        if fault is not None:
            yield ValueRejected(f"{fault} ({resource.name})", path=path, value=value)
