"""``Reading``: the last known value of a Resource, as a page shows it, or those of its instances.

A page and the stream that keeps it up to date make it of the same rows of ``/api/v1/devices/{name}/values``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from lwm2m_engine.model.ranges import Labels, parse_range
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ResourceType

LONGEST: Final = 160
"""Characters of a value beside others; the page of its Resource has more."""
SOURCES: Final = {
    "read": "Read",
    "notify": "Notify",
    "notification": "Notify",
    "send": "Send",
    "write": "Write",
}
TYPES: Final = {one.value: one for one in ResourceType}
NUMERIC: Final = frozenset({ResourceType.INTEGER, ResourceType.UNSIGNED_INTEGER, ResourceType.FLOAT})

_NOT_IN_IDS: Final = re.compile(r"[^0-9A-Za-z-]")


def id_of(path: Path | str) -> str:
    """Of an element that is about a place, an end device of a gateway before it or not: ``3-0-9``."""
    text = str(path).strip("/").replace("/", "-")
    return _NOT_IN_IDS.sub(lambda found: f"_{ord(found[0]):x}_", text)


@attrs.frozen(slots=True)
class Shown:
    """One value. ``kind`` is how it looks: a number, a time (then ``moment``), bytes, …"""

    text: str
    kind: str
    label: str = ""
    """What the definition calls this number."""
    moment: int | None = None
    """Milliseconds."""
    note: str = ""

    @property
    def short(self) -> str:
        return self.text if len(self.text) <= LONGEST else f"{self.text[:LONGEST]}…"

    @property
    def is_long(self) -> bool:
        return len(self.text) > LONGEST


@attrs.frozen(slots=True)
class Reading:
    """``values`` are one without a name, or those of Resource Instances by their ids."""

    path: str
    key: str
    name: str | None
    units: str | None
    kind: ResourceType | None
    at: int
    source: str
    values: tuple[tuple[str, Shown], ...]
    raw: Any
    """As the API has it."""
    kinds: tuple[str, ...] = ()
    """What the device profile has it for."""

    @property
    def id(self) -> str:
        return id_of(self.path)

    @property
    def is_numeric(self) -> bool:
        return is_numeric(self.kind)

    @property
    def is_multiple(self) -> bool:
        return is_by_instance(self.raw)


def is_numeric(kind: ResourceType | str | None) -> bool:
    """Whether values of a type, or of the name of one, can be drawn."""
    return (TYPES.get(kind) if isinstance(kind, str) else kind) in NUMERIC


def is_by_instance(value: Any) -> bool:
    """Whether it is the value of a Resource with instances, not one that could not be read."""
    return isinstance(value, Mapping) and all(key.isdigit() for key in value)


def reading(row: Mapping[str, Any], range: str = "") -> Reading:
    """``range`` is the RangeEnumeration of the definition: it may have a name for each number."""
    kind = TYPES.get(row["type"] or "") if row["type"] is not None else None
    raw = row["value"]
    found = raw if is_by_instance(raw) else {"": raw}
    return Reading(
        row["path"],
        row["key"],
        row["name"],
        row["units"],
        kind,
        row["at"],
        SOURCES.get(row["source"], row["source"].capitalize()),
        tuple((id, shown(value, kind, range)) for id, value in found.items()),
        raw,
        tuple(row.get("kinds") or ()),
    )


def shown(value: Any, kind: ResourceType | None, range: str = "") -> Shown:
    """A value of the API; whatever it is, there is something to show."""
    match value:
        case None:
            return Shown("no value", "nothing")
        case bool():
            return Shown(str(value).lower(), "boolean")
        case int() if kind is ResourceType.TIME:
            return Shown(str(value), "time", moment=value)
        case int() | float():
            return Shown(str(value), "number", label=_label(value, kind, range))
        case str() if kind is ResourceType.OPAQUE:
            return _bytes(value)
        case str():
            return Shown(value, "text", note="" if value else "empty")
        case {"omitted": size}:
            return Shown(f"{size} bytes, not kept", "nothing")
        case {"raw": str() as raw}:
            return attrs.evolve(_bytes(raw), note="no model tells what these bytes are")
        case _:
            return Shown(str(value), "text")


def _label(value: int | float, kind: ResourceType | None, range: str) -> str:
    if not range or kind is None or not isinstance(value, int):
        return ""
    allowed = parse_range(range, kind)
    return allowed.labels.get(value, "") if isinstance(allowed, Labels) else ""


def _bytes(text: str) -> Shown:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return Shown(text, "text")
    return Shown(data.hex(" "), "bytes", note=f"{len(data)} byte{'' if len(data) == 1 else 's'}")
