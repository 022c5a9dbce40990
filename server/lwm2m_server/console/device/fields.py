"""``Field``: how a value of a Resource is entered, as its definition has it, and what was entered as JSON.

The values are those of the RPC API: points in time are milliseconds, Opaque is ``{"hex": …}`` or base64.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import attrs

from lwm2m_engine.model.ranges import Intervals, Labels, Lengths, Values
from lwm2m_engine.values import ResourceType
from lwm2m_server.console.device.tree import Definition
from lwm2m_server.console.device.values import NUMERIC, is_by_instance

WHOLE: Final = frozenset({ResourceType.INTEGER, ResourceType.UNSIGNED_INTEGER})
BOUNDS: Final = {
    ResourceType.INTEGER: (-(2**63), 2**63 - 1),
    ResourceType.UNSIGNED_INTEGER: (0, 2**64 - 1),
}
SPARE: Final = 3
"""Empty rows of a Resource with instances, for who has no JavaScript to add more."""
SAFE: Final = 2**53
"""Browsers know numbers above this only roughly, and must not judge their range."""


class Entered(Protocol):
    """A form that came back."""

    def text(self, name: str, default: str = "") -> str: ...

    def raw(self, name: str) -> str | None: ...

    def all(self, name: str) -> list[str]: ...


class Unfit(ValueError):
    """What was entered is no value of this type; the text is a sentence."""


@attrs.frozen(slots=True)
class Field:
    """One input. Names of its parts begin with ``name``."""

    name: str
    definition: Definition
    value: str = ""
    required: bool = False
    now: str = ""
    """What is there, where the input is empty as only what is entered is sent."""

    @property
    def id(self) -> str:
        return f"field-{self.name}"

    @property
    def kind(self) -> str:
        """Which input it is."""
        if self.choices:
            return "choice"
        type = self.definition.type
        return "number" if type in NUMERIC else _KINDS.get(type, "text")

    @property
    def choices(self) -> tuple[tuple[str, str], ...]:
        """Values and what they mean, where the definition names each."""
        if self.definition.type is ResourceType.BOOLEAN:
            return ("true", "true"), ("false", "false")
        match self.definition.allowed:
            case Labels(labels):
                return tuple((str(value), f"{value}: {label}") for value, label in labels.items())
            case Values(values):
                return tuple((str(value), str(value)) for value in values)
        return ()

    @property
    def limits(self) -> tuple[str, str]:
        """What a number is at least and at most; empty where that is open."""
        match self.definition.allowed:
            case Intervals(intervals):
                ends = min(one.low for one in intervals), max(one.high for one in intervals)
            case _:
                low, high = BOUNDS.get(self.definition.type, (None, None))
                return "0" if low == 0 else "", "" if high is None or high > SAFE else str(high)
        return tuple(str(end) if abs(end) <= SAFE else "" for end in ends)  # type: ignore[return-value]

    @property
    def step(self) -> str:
        return "1" if self.definition.type in WHOLE else "any"

    @property
    def longest(self) -> int | None:
        """Characters of a text."""
        match self.definition.allowed:
            case Lengths(intervals, "characters") if self.definition.type is ResourceType.STRING:
                return int(max(one.high for one in intervals))
        return None

    @property
    def hint(self) -> str:
        """What is to be entered, for a person."""
        parts = [self.definition.type.value or "no value"]
        if not self.choices and str(self.definition.allowed):
            parts.append(str(self.definition.allowed))
        if self.definition.units:
            parts.append(f"in {self.definition.units}")
        return ", ".join(parts)

    def read(self, form: Entered) -> Any:
        """As the API takes it; ``None`` for nothing. Raises ``Unfit``."""
        if self.definition.type is ResourceType.STRING and not self.choices:
            typed = form.raw(self.name)
            return typed if typed or self.required else None
        text = form.text(self.name)
        if self.kind == "bytes":
            return _opaque(text, form.text(f"{self.name}.as", "hex"))
        if not text:
            return None
        if self.kind == "time":
            return moment(text, form.text(f"{self.name}.offset"))
        return _READERS.get(self.definition.type, str)(text)


_KINDS: Final = {
    ResourceType.TIME: "time",
    ResourceType.OPAQUE: "bytes",
    ResourceType.OBJLNK: "link",
}


def field(name: str, definition: Definition, value: Any = None, *, required: bool = False) -> Field:
    """``value`` is what the API told last."""
    return Field(name, definition, _entered(value, definition.type), required)


def optional(name: str, definition: Definition, value: Any = None, *, required: bool = False) -> Field:
    """Empty at first: of several, only what is entered is sent. A text that is ``required`` may be empty all
    the same, so it is left to the API to miss it."""
    is_text = definition.type is ResourceType.STRING
    return Field(name, definition, "", required and not is_text, _entered(value, definition.type))


def rows(definition: Definition, value: Any) -> Iterator[tuple[str, Field]]:
    """Of a Resource with instances: ids and inputs, those there are and some more."""
    known: Mapping[str, Any] = value if is_by_instance(value) else {}
    for number, (id, one) in enumerate(known.items()):
        yield id, field(f"v{number}", definition, one)
    for number in range(len(known), len(known) + SPARE):
        yield "", field(f"v{number}", definition)


def read_rows(form: Entered, definition: Definition) -> dict[str, Any]:
    """Values by id; rows without a value are left out. Raises ``Unfit``."""
    found: dict[str, Any] = {}
    for number, id in zip(form.all("row"), form.all("id"), strict=False):
        value = field(f"v{number}", definition).read(form)
        if value is None:
            continue
        if not (id.isascii() and id.isdigit() and len(id) <= 5):
            raise Unfit(f"{id[:20]!r} is no id of a Resource Instance: a number from 0 to 65534 is")
        if id in found:
            raise Unfit(f"the Resource Instance {id} stands there twice")
        found[id] = value
    return found


def moment(text: str, offset: str) -> int:
    """Milliseconds; ``offset`` is how many minutes UTC is ahead of what was entered, as JavaScript has it.

    Raises ``Unfit``.
    """
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC) + timedelta(minutes=int(offset or "0"))
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Unfit(f"{text[:40]!r} is no point in time") from None


# --- values into inputs ----------------------------------------------------------------------------------


def _entered(value: Any, type: ResourceType) -> str:
    match value:
        case None | dict() | list():
            return ""
        case bool():
            return str(value).lower()
        case int() if type is ResourceType.TIME:
            return local(value)
        case str() if type is ResourceType.OPAQUE:
            return _hex(value)
        case _:
            return str(value)


def local(milliseconds: int) -> str:
    """As ``datetime-local`` has it, in UTC."""
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return ""
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def _hex(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).hex(" ")
    except (binascii.Error, ValueError):
        return ""


# --- and back --------------------------------------------------------------------------------------------


def _whole(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise Unfit(f"{text[:40]!r} is no whole number") from None
    if not -(2**63) <= number < 2**64:
        raise Unfit(f"{text[:40]} has more than 64 bits")
    return number


def _float(text: str) -> float | str:
    """JSON has no numbers that are not finite: the API takes these words."""
    if text in ("NaN", "Infinity", "-Infinity"):
        return text
    try:
        number = float(text)
    except ValueError:
        raise Unfit(f"{text[:40]!r} is no number") from None
    if not math.isfinite(number):
        raise Unfit(f"{text[:40]!r} is more than a Float can be")
    return number


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise Unfit(f"{text[:40]!r} is not true or false")
    return text == "true"


def _opaque(text: str, encoding: str) -> Any:
    if encoding == "text":
        return base64.b64encode(text.encode()).decode("ascii") if text else None
    packed = "".join(text.split())
    if not packed:
        return None
    return {"hex": packed} if encoding == "hex" else packed


_READERS: Final[Mapping[ResourceType, Any]] = {
    ResourceType.INTEGER: _whole,
    ResourceType.UNSIGNED_INTEGER: _whole,
    ResourceType.FLOAT: _float,
    ResourceType.BOOLEAN: _boolean,
}
