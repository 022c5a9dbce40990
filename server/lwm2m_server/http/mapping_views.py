"""``Sides``: what a device told and what is made of it, side by side, as JSON. Times are milliseconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from lwm2m_engine.mapping.compiled import (
    CompiledAction,
    CompiledRule,
    CompiledSource,
    Gathered,
)
from lwm2m_engine.mapping.table import MappingTable
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_engine.values import Value
from lwm2m_server.http.device_views import milliseconds
from lwm2m_server.onem2m.names import COMMON, LONG, UnknownName, managed, self_defined
from lwm2m_server.store.ids import SECOND
from lwm2m_server.store.records import Device, Resource
from lwm2m_server.telemetry.readings import Reading
from lwm2m_server.telemetry.values import to_json

_EVERY_OBJECT: Final = frozenset((*COMMON, *self_defined("").attributes))
"""Attributes that management objects have whatever they are about; short names."""
_ENDPOINT: Final = "Endpoint Client Name"
_TOLD, _NO_VALUE, _NOT_ANNOUNCED, _MAPPED = "told", "no value", "not announced", "mapped"


class Sides:
    """Of one device, as it is now."""

    def __init__(
        self,
        device: Device,
        models: ModelView,
        table: MappingTable,
        told: Mapping[Path, Reading],
        resources: Iterable[Resource],
    ) -> None:
        """``told`` are the last values of the device, ``resources`` its management objects in the tree."""
        self._device, self._models, self._told = device, models, told
        self._tree = {one.name: one for one in resources}
        self._instances = _instances(device)
        self._rules = table.everything

    def managed(self) -> list[dict[str, Any]]:
        """The management objects that are there, or could be with what the device announced."""
        return [
            self._managed(name, own)
            for name, own in self._by_name().items()
            if name in self._tree or any(self._is_announced(one.objects) for one in own)
        ]

    def unmapped(self) -> dict[str, Any]:
        """Mappings for which the device announced nothing, and Objects that nothing is made of."""
        read = {number for one in self._rules for number in one.objects}
        return {
            "managed": [_not_announced(name, own) for name, own in self._missing().items()],
            "objects": [
                {"id": number, "name": self._object_name(number), "instances": instances}
                for number, instances in self._instances.items()
                if number not in read
            ],
        }

    # --- which there are -----------------------------------------------------------------------------

    def _by_name(self) -> dict[str, list[CompiledRule | CompiledAction]]:
        """Rules and actions by management object, one a Object Instance where that is meant."""
        found: dict[str, list[CompiledRule | CompiledAction]] = defaultdict(list)
        for one in self._rules:
            for own in self._of_device(one):
                found[own.name].append(own)
        return dict(found)

    def _of_device(self, one: CompiledRule | CompiledAction) -> Iterator[CompiledRule | CompiledAction]:
        if one.each is None:
            yield one
        else:
            yield from (one.at(instance) for instance in self._instances.get(one.each, ()))

    def _missing(self) -> dict[str, list[CompiledRule | CompiledAction]]:
        found: dict[str, list[CompiledRule | CompiledAction]] = defaultdict(list)
        for one in self._rules:
            found[one.name].append(one)
        return {
            name: own
            for name, own in found.items()
            if name not in self._tree and not any(self._is_announced(one.objects) for one in own)
        }

    def _is_announced(self, objects: Iterable[int]) -> bool:
        """What needs nothing but the endpoint name is always."""
        return all(number in self._instances for number in objects)

    # --- one management object -----------------------------------------------------------------------

    def _managed(self, name: str, own: list[CompiledRule | CompiledAction]) -> dict[str, Any]:
        resource = self._tree.get(name)
        rows = [self._row(one, resource) for one in own]
        return {
            "name": name,
            "kind": own[0].mapping.target,
            "key": resource.key if resource is not None else None,
            "exists": resource is not None,
            "createdAt": milliseconds(resource.id / SECOND) if resource is not None else None,
            "modifiedAt": milliseconds(resource.modified / SECOND) if resource is not None else None,
            "readAtRegister": any(one.mapping.read_at_register for one in own),
            "plugins": list(dict.fromkeys(one.plugin for one in own)),
            "attributes": [*rows, *self._others(own, resource)],
        }

    def _row(self, one: CompiledRule | CompiledAction, resource: Resource | None) -> dict[str, Any]:
        sources = one.sources if isinstance(one, CompiledRule) else one.waits_for
        shown = [self._source(source) for source in sources]
        executes = self._source(one.path) if isinstance(one, CompiledAction) else None
        value = _attribute(one, resource)
        state, reason = _state(value, [*shown, *([executes] if executes else [])], one)
        return {
            "attribute": LONG.get(one.target, one.target),
            "value": value,
            "state": state,
            "reason": reason,
            "plugin": one.plugin,
            "rule": one.text,
            **(_of_rule(one) if isinstance(one, CompiledRule) else _of_action(one)),
            "writable": one.is_writable,
            "executes": executes,
            "sources": shown,
        }

    def _others(
        self, own: list[CompiledRule | CompiledAction], resource: Resource | None
    ) -> Iterator[dict[str, Any]]:
        """Attributes that no rule makes: how an action goes, and what applications wrote."""
        if resource is None:
            return
        of_rules = {_short(one.mapping.target, one.target) for one in own}
        told_by = {
            _short(one.mapping.target, one.action.status): one
            for one in own
            if isinstance(one, CompiledAction) and one.action.status is not None
        }
        for short, value in resource.attributes.items():
            if short in of_rules or short in _EVERY_OBJECT:
                continue
            action = told_by.get(short)
            yield _other(short, value, action)

    # --- one source ----------------------------------------------------------------------------------

    def _source(self, source: CompiledSource) -> dict[str, Any]:
        if source is None:
            return _of_endpoint(self._device)
        path = source.resource if isinstance(source, Gathered) else source
        spec = self._models.resource(path)
        told = self._last(source)
        return {
            "path": f"{path}/*" if isinstance(source, Gathered) else str(path),
            "object": self._object_name(path[0]),
            "name": spec.name if spec is not None else None,
            "type": spec.type.value if spec is not None else None,
            "units": (spec.units or None) if spec is not None else None,
            "state": self._source_state(path, told),
            "value": to_json(told.value, spec) if told is not None else None,
            "at": milliseconds(told.at) if told is not None else None,
            "by": told.by if told is not None else None,
        }

    def _source_state(self, path: Path, told: _Last | None) -> str:
        if told is not None:
            return _TOLD
        return _NO_VALUE if path[0] in self._instances else _NOT_ANNOUNCED

    def _last(self, source: Path | Gathered) -> _Last | None:
        """What rules go by; the time is that of the reading, if there is one of it still."""
        inputs = self._device.inputs
        if isinstance(source, Gathered):
            values = source.of(inputs)
            if values is None:
                return None
            readings = [self._told.get(Path((*source.resource, id))) for id in values]
            known = [one for one in readings if one is not None]
            newest = max(known, key=lambda one: one.at, default=None)
            return _Last.of(values, newest)
        value = inputs.get(source)
        return _Last.of(value, self._told.get(source)) if value is not None else None

    def _object_name(self, number: int) -> str | None:
        spec = self._models.object(number)
        return spec.name if spec is not None else None


@attrs.frozen(slots=True)
class _Last:
    """The last value of a source; ``at`` is seconds since 1970-01-01 UTC."""

    value: Value | Mapping[int, Value]
    at: float | None
    by: str | None

    @classmethod
    def of(cls, value: Value | Mapping[int, Value], reading: Reading | None) -> _Last:
        return cls(value, None, None) if reading is None else cls(value, reading.at, reading.source)


def _instances(device: Device) -> dict[int, list[int]]:
    if device.registration is None:
        return {}
    found: dict[int, list[int]] = {number: [] for number in device.registration.objects}
    for path in device.registration.instances:
        found.setdefault(path[0], []).append(path[1])
    return dict(sorted(found.items()))


def _state(
    value: Any, sources: list[dict[str, Any]], one: CompiledRule | CompiledAction
) -> tuple[str, str | None]:
    """Of an attribute, and why it is so."""
    if value is not None:
        return _MAPPED, None
    absent = [source["path"] for source in sources if source["state"] == _NOT_ANNOUNCED]
    if absent:
        return _NOT_ANNOUNCED, f"the device has not announced what {' and '.join(absent)} lies in"
    silent = [source["path"] or _ENDPOINT for source in sources if source["state"] == _NO_VALUE]
    if silent and isinstance(one, CompiledRule):
        return _NO_VALUE, f"no value of {' and '.join(silent)} has come yet"
    if isinstance(one, CompiledAction):
        return _NO_VALUE, "the management object is not there yet"
    return "nothing made", "the rule makes nothing of these values, or it failed"


def _attribute(one: CompiledRule | CompiledAction, resource: Resource | None) -> Any:
    if resource is None:
        return None
    return resource.attributes.get(_short(one.mapping.target, one.target))


def _short(kind: str, attribute: str) -> str:
    """As the tree has it; of what no such management object can have, the name itself."""
    try:
        return next(iter(managed(kind, {attribute: ""}).attributes))
    except UnknownName:
        return attribute


def _of_rule(one: CompiledRule) -> dict[str, Any]:
    write = one.rule.write
    return {
        "kind": "rule",
        "convert": _name(one.rule.convert),
        "write": _name(write) if callable(write) else None,
        "condition": None,
        "arguments": None,
        "status": None,
    }


def _of_action(one: CompiledAction) -> dict[str, Any]:
    action = one.action
    return {
        "kind": "action",
        "convert": None,
        "write": None,
        "condition": _name(action.when.test) if action.when is not None else None,
        "arguments": action.arguments or None,
        "status": LONG.get(action.status, action.status) if action.status is not None else None,
    }


def _other(short: str, value: Any, action: CompiledAction | None) -> dict[str, Any]:
    reason = "written by an application" if action is None else f"tells how {action.target} goes"
    return {
        "attribute": LONG.get(short, short),
        "value": value,
        "state": "not of a rule",
        "reason": reason,
        "kind": "other",
        "plugin": action.plugin if action is not None else None,
        "rule": action.text if action is not None else None,
        "convert": None,
        "write": None,
        "condition": None,
        "arguments": None,
        "status": None,
        "writable": False,
        "executes": None,
        "sources": [],
    }


def _of_endpoint(device: Device) -> dict[str, Any]:
    endpoint = device.endpoint
    return {
        "path": None,
        "object": None,
        "name": _ENDPOINT,
        "type": "String",
        "units": None,
        "state": _TOLD if endpoint is not None else _NO_VALUE,
        "value": endpoint,
        "at": milliseconds(device.registered_at) if endpoint is not None else None,
        "by": "register" if endpoint is not None else None,
    }


def _not_announced(name: str, own: list[CompiledRule | CompiledAction]) -> dict[str, Any]:
    objects = list(dict.fromkeys(number for one in own for number in one.objects))
    return {
        "name": name,
        "kind": own[0].mapping.target,
        "plugin": own[0].plugin,
        "objects": objects,
        "reason": "the device has not announced the Object" + ("s" if len(objects) > 1 else ""),
    }


def _name(function: Callable[..., Any] | None) -> str | None:
    """What a plugin's author called it."""
    return None if function is None else getattr(function, "__name__", type(function).__name__)
