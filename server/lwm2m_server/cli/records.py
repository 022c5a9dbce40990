"""Entries as JSON (``[{"path", "type", "value", "time"}]``) and as rows of a table, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import click

from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import EncodeError, ValueRejected
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ObjLink, ResourceType, Value, coerce, from_text, to_text, type_of
from lwm2m_server.cli.tables import show_table
from lwm2m_server.cli.values import UNITS, literal, quantity


def record(entry: Entry, models: ModelView) -> dict[str, Any]:
    """Opaque values as base64, integers exact; ``null`` where a list has a path only."""
    return {
        "path": str(entry.path),
        "type": kind(entry, models).value,
        "value": _plain(entry.value),
        "time": entry.time,
    }


def kind(entry: Entry, models: ModelView) -> ResourceType:
    """The type of an entry: what the models say, else what the value looks like."""
    known = models.types(entry.path)
    if known not in (None, ResourceType.NONE):
        return known
    return ResourceType.NONE if entry.value is None else type_of(entry.value)


def _plain(value: Value | None) -> object:
    if isinstance(value, (bytes, ObjLink)) or (isinstance(value, float) and not math.isfinite(value)):
        return to_text(value)
    return value


def show(entries: Iterable[Entry], models: ModelView) -> None:
    """A table with the names and units of the models."""
    entries = list(entries)
    timed = any(entry.time is not None for entry in entries)
    heading = ("path", "name", "value", "units", "type", *(("time",) if timed else ()))
    rows = []
    for entry in entries:
        resource = models.resource(entry.path)
        name, units = (resource.name, resource.units) if resource else ("", "")
        cells = (str(entry.path), name, literal(entry.value), UNITS.get(units, units))
        time = () if not timed else ("" if entry.time is None else str(entry.time),)
        rows.append((*cells, kind(entry, models).value, *time))
    show_table(heading, rows)


def describe(entry: Entry, models: ModelView) -> str:
    """An entry in a line: ``/3/0/9 Battery Level = 72 %``."""
    resource = models.resource(entry.path)
    name = f" {resource.name}" if resource else ""
    if entry.value is None:
        return f"{entry.path}{name}"
    time = "" if entry.time is None else f" at {entry.time}"
    return f"{entry.path}{name} = {quantity(entry.value, resource.units if resource else '')}{time}"


class Records:
    """Entries read from JSON; ``types`` then also knows the types given there."""

    def __init__(self, text: bytes, models: ModelView) -> None:
        """Raises ``EncodeError`` for a value that is not of its type, ``ClickException`` for other input."""
        self._models = models
        self._declared: dict[Path, ResourceType] = {}
        self.entries = [self._entry(given) for given in _parse(text)]

    def types(self, path: Path) -> ResourceType | None:
        return self._models.types(path) or self._declared.get(path)

    def _entry(self, given: dict[str, Any]) -> Entry:
        path, value, time = Path(given["path"]), given["value"], given.get("time")
        if time is not None and (isinstance(time, bool) or not isinstance(time, (int, float))):
            raise EncodeError("the time is not a number of seconds", path=path)
        known = self._models.types(path)
        try:
            if known is None and given.get("type"):
                known = self._declared[path] = _type(given["type"])
            return Entry(path, None if value is None else _value(value, known), time)
        except ValueRejected as error:
            raise EncodeError(error.reason, path=path) from error


def _parse(text: bytes) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"the input is not JSON: {error}") from error
    if isinstance(found, list) and all(
        isinstance(given, dict) and isinstance(given.get("path"), str) and "value" in given for given in found
    ):
        return found
    raise click.ClickException('the input is not an array of {"path": "/3/0/9", "value": …}')


def _type(name: object) -> ResourceType:
    try:
        return ResourceType(name)
    except ValueError:
        known = ", ".join(kind.value for kind in ResourceType if kind.value)
        raise ValueRejected(f"{name!r} is no type; types are {known}") from None


def _value(value: object, kind: ResourceType | None) -> Value:
    # JSON has neither bytes nor the floats that are no numbers; both are written as text.
    if isinstance(value, str) and kind in (ResourceType.OPAQUE, ResourceType.FLOAT):
        return from_text(value, kind)
    return coerce(value, kind)
