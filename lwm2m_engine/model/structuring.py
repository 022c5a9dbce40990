"""Entries to typed objects and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import TypeGuard, TypeVar, get_args, get_origin

from lwm2m_engine.entries import Entry, latest
from lwm2m_engine.errors import LwM2MError, PathError, ValueRejected
from lwm2m_engine.model.classes import Extra, ObjectInstance, valued
from lwm2m_engine.model.spec import ResourceSpec
from lwm2m_engine.paths import Path
from lwm2m_engine.values import Value, coerce

T = TypeVar("T", bound=ObjectInstance)

_ONE = "an Object Instance is one typed object"
_MANY = "an Object is a dict of typed objects by Object Instance ID"


def class_wanted(into: object, at: Path) -> type[ObjectInstance]:
    """The class in ``into``, which is a class at an Object Instance and ``dict[int, class]`` at an Object.

    Raises ``ValueRejected`` if it does not go with ``at``.
    """
    key, wanted = get_args(into) if get_origin(into) is dict else (None, into)
    if not _is_class(wanted) or key not in (None, int):
        raise ValueRejected(f"{into!r} is neither a typed object's class nor a dict[int, class]", path=at)
    _check_place(at, wanted)
    if (key is int) is not (len(at) == 1):
        raise ValueRejected(_ONE if len(at) == 2 else _MANY, path=at)
    return wanted


def _is_class(wanted: object) -> TypeGuard[type[ObjectInstance]]:
    return isinstance(wanted, type) and hasattr(wanted, "__lwm2m__")


def check_level(at: Path) -> None:
    """Raises ``ValueRejected`` unless ``at`` is an Object or an Object Instance."""
    if len(at) not in (1, 2):
        raise ValueRejected("neither an Object nor an Object Instance", path=at)


def _check_place(at: Path, kind: type[ObjectInstance]) -> None:
    if at[0] != kind.__lwm2m__.id:
        raise ValueRejected(f"{kind.__name__} is Object {kind.__lwm2m__.id}", path=at)


def structure(entries: Iterable[Entry], kind: type[T], at: Path) -> dict[int, T]:
    """Typed objects by Object Instance ID; raises an ``ExceptionGroup`` of ``ValueRejected``."""
    instances: dict[int, T] = {at[1]: kind()} if len(at) == 2 else {}
    faults: list[ValueRejected] = []
    for path, value, _ in latest(entries).values():
        try:
            if not path.startswith(at):
                raise ValueRejected(f"not below {at}", path=path)
            if len(path) < 3 or value is None:
                raise ValueRejected("neither a Resource's value nor one of a Resource Instance", path=path)
            instance = instances.get(path[1])
            if instance is None:
                instance = instances[path[1]] = kind()
            _put(instance, path, value)
        except ValueRejected as fault:
            faults.append(fault)
    if faults:
        raise ExceptionGroup(f"values that are not those of {kind.__name__}", faults)
    return instances


def _put(instance: ObjectInstance, path: Path, value: Value) -> None:
    resource = type(instance).__lwm2m__.resources.get(path[2])
    if resource is None or resource.operations == "E":
        _keep(instance.extra, path, value)
        return
    if resource.multiple is not (len(path) == 4):
        kind = "multiple" if resource.multiple else "single"
        raise ValueRejected(f"{resource.attribute} is a {kind} Resource", path=path, value=value)
    value = _fitting(value, resource, path)
    if not resource.multiple:
        setattr(instance, resource.attribute, value)
    elif (values := getattr(instance, resource.attribute)) is None:
        setattr(instance, resource.attribute, {path[3]: value})
    else:
        values[path[3]] = value


def _keep(extra: dict[int, Extra], path: Path, value: Value) -> None:
    held = extra.setdefault(path[2], {}) if len(path) == 4 else None
    if isinstance(held, dict):
        held[path[3]] = value
    elif held is None and path[2] not in extra:
        extra[path[2]] = value
    else:
        raise ValueRejected("the Resource and an instance of it cannot both have a value", path=path)


def unstructure(value: ObjectInstance | Mapping[int, ObjectInstance], at: Path) -> list[Entry]:
    """The entries of one typed object, or of a dict of them by Object Instance ID, in order of path.

    Raises an ``ExceptionGroup`` of ``ValueRejected`` and ``PathError`` (an id that is none).
    """
    check_level(at)
    if isinstance(value, ObjectInstance) is not (len(at) == 2):
        raise ValueRejected(_ONE if len(at) == 2 else _MANY, path=at)
    instances = {at[1]: value} if isinstance(value, ObjectInstance) else value
    entries: list[Entry] = []
    faults: list[LwM2MError] = []
    for instance_id, instance in instances.items():
        _check_place(at, type(instance))
        for id, held, resource in _held(instance):
            try:
                entries += _entries(Path((at[0], instance_id, id)), held, resource)
            except (ValueRejected, PathError) as fault:
                faults.append(fault)
    if faults:
        raise ExceptionGroup(f"values that are not those of Object {at[0]}", faults)
    return sorted(entries, key=itemgetter(0))


def _held(instance: ObjectInstance) -> Iterator[tuple[int, object, ResourceSpec | None]]:
    """Resource ID, value, and definition if there is one, of all that is set."""
    for resource in valued(type(instance).__lwm2m__):
        value = getattr(instance, resource.attribute)
        if value is not None:
            yield resource.id, value, resource
    for id, value in instance.extra.items():
        yield id, value, None


def _entries(path: Path, value: object, resource: ResourceSpec | None) -> list[Entry]:
    if isinstance(value, Mapping) and (resource is None or resource.multiple):
        return [Entry(path / id, _fitting(one, resource, path / id)) for id, one in value.items()]
    if resource is not None and resource.multiple:
        reason = f"{resource.attribute} is a multiple Resource: its values are a dict by Resource Instance ID"
        raise ValueRejected(reason, path=path, value=value)
    return [Entry(path, _fitting(value, resource, path))]


def _fitting(value: object, resource: ResourceSpec | None, path: Path) -> Value:
    try:
        return coerce(value, None if resource is None else resource.type)
    except ValueRejected as fault:
        raise ValueRejected(fault.reason, path=path, value=value) from None
