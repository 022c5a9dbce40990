"""From a desired value to the Write that asks for it, and whether a device reports just that."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping

import orjson

from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.messages.requests import Write
from lwm2m_engine.model.spec import ResourceSpec
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_server.store.desired import DesiredValue
from lwm2m_server.telemetry.values import Whole, from_json, to_json


def checked(path: Path, value: object, models: ModelView) -> str:
    """The JSON text that is kept. Raises ``ValueRejected`` for a Resource that has no model or cannot be
    written, and for a value that is of another type or out of range."""
    spec = _spec(path, models)
    if "W" not in spec.operations:
        raise ValueRejected(f"{spec.name} ({path}) cannot be written")
    return orjson.dumps(to_json(from_json(value, spec), spec)).decode()


def write_of(wanted: DesiredValue, models: ModelView) -> Write:
    """Raises ``ValueRejected`` if the models are others since."""
    path = Path(wanted.path)
    whole = _whole(wanted, _spec(path, models))
    if isinstance(whole, Mapping):
        return Write(path, tuple(Entry(path / id, one) for id, one in whole.items()))
    return Write(path, (Entry(path, whole),))


def is_reported(wanted: DesiredValue, told: Iterable[tuple[Path, object]], models: ModelView) -> bool | None:
    """Whether values at and below the path are the desired ones; ``None`` if nothing is told of it.

    Exactly: but a device that keeps single precision may round to it.
    """
    path = Path(wanted.path)
    values = {place: value for place, value in told if place.startswith(path)}
    if not values:
        return None
    try:
        whole = _whole(wanted, _spec(path, models))
    except ValueRejected:
        return None
    if isinstance(whole, Mapping):
        desired = {path / id: one for id, one in whole.items()}
        return all(place in desired and _is_same(desired[place], value) for place, value in values.items())
    return all(place == path and _is_same(whole, value) for place, value in values.items())


def _spec(path: Path, models: ModelView) -> ResourceSpec:
    spec = models.resource(path)
    if spec is None:
        raise ValueRejected(f"there is no model for {path}: its type is not known")
    return spec


def _whole(wanted: DesiredValue, spec: ResourceSpec) -> Whole:
    return from_json(orjson.loads(wanted.value), spec)


def _is_same(desired: object, told: object) -> bool:
    if isinstance(desired, float) and isinstance(told, (int, float)):
        return told in (desired, _single(desired)) or (math.isnan(desired) and math.isnan(told))
    return desired == told and isinstance(desired, bool) == isinstance(told, bool)


def _single(number: float) -> float:
    """With the precision of 32 bits; what is too large for it stays as it is."""
    try:
        return float(struct.unpack("f", struct.pack("f", number))[0])
    except OverflowError:
        return number
