"""Attributes of Objects, Instances and Resources: which there are, what they may hold, where they may stand.

There are two classes (LwM2M Core 1.2, 7.3). Those of class Notification say when a device notifies; a server
writes them, and what has none of its own has those of what it lies in. Those of class Properties a device
tells in links.

A set of attributes is a tuple of name and value in the order it was written, values as text, ``None`` for
a name without value, which in a request removes the attribute.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TypeAlias

import attrs

from lwm2m_engine.errors import PathError, ValueRejected
from lwm2m_engine.links import Link
from lwm2m_engine.paths import LEVELS, Path
from lwm2m_engine.values import ResourceType

Attributes: TypeAlias = tuple[tuple[str, str | None], ...]
"""``(("pmin", "10"), ("pmax", None))``"""


@attrs.frozen(slots=True)
class AttributeSpec:
    """What one attribute may hold and where it may stand."""

    value: str
    """What its value is, for a person."""
    pattern: re.Pattern[str]
    levels: tuple[str, ...]
    """Levels of a path it may be attached to."""
    since: str = "1.0"
    """Enabler version that brought it."""
    writable: bool = True
    """False for what only the client tells (class Properties). A writable one may stand without a value."""
    types: frozenset[ResourceType] | None = None
    """Types of Resources it makes sense for; ``None`` for all."""
    objects: frozenset[int] | None = None
    """Objects that have it; ``None`` for all."""


_SECONDS = re.compile(r"[0-9]{1,10}")
_NUMBER = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?")
_STEP = re.compile(r"[0-9]{1,40}(?:\.[0-9]{1,40})?")
_BIT = re.compile(r"[01]")
_BYTE = re.compile(r"0*(?:[0-9]{1,2}|1[0-9]{2}|2[0-4][0-9]|25[0-5])")
_SERVER = re.compile(
    r"0*(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-4])"
)
_VERSION = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")
_TEXT = re.compile(r".+", re.DOTALL)

_BELOW_ROOT = LEVELS[1:]
_VALUES = ("resource", "resource instance")

_NUMERIC = frozenset(
    {ResourceType.INTEGER, ResourceType.UNSIGNED_INTEGER, ResourceType.FLOAT, ResourceType.TIME}
)
_BOOLEAN = frozenset({ResourceType.BOOLEAN})

ATTRIBUTES = {
    "pmin": AttributeSpec("a whole number of seconds", _SECONDS, _BELOW_ROOT),
    "pmax": AttributeSpec("a whole number of seconds", _SECONDS, _BELOW_ROOT),
    "epmin": AttributeSpec("a whole number of seconds", _SECONDS, _BELOW_ROOT, "1.1"),
    "epmax": AttributeSpec("a whole number of seconds", _SECONDS, _BELOW_ROOT, "1.1"),
    "lt": AttributeSpec("a number without exponent", _NUMBER, _VALUES, types=_NUMERIC),
    "gt": AttributeSpec("a number without exponent", _NUMBER, _VALUES, types=_NUMERIC),
    "st": AttributeSpec("a number without sign and exponent", _STEP, _VALUES, types=_NUMERIC),
    "edge": AttributeSpec("0 (falling) or 1 (rising)", _BIT, _VALUES, "1.2", types=_BOOLEAN),
    "con": AttributeSpec("0 or 1", _BIT, _BELOW_ROOT, "1.2"),
    "hqmax": AttributeSpec("a whole number", _SECONDS, _BELOW_ROOT, "1.2"),
    "dim": AttributeSpec("a number from 0 to 255", _BYTE, ("resource",), writable=False),
    "ver": AttributeSpec("a version such as 1.1", _VERSION, ("object",), writable=False),
    "lwm2m": AttributeSpec("a version such as 1.1", _VERSION, ("root",), writable=False),
    "ssid": AttributeSpec(
        "a Short Server ID from 1 to 65534",
        _SERVER,
        ("instance",),
        writable=False,
        objects=frozenset({0, 1, 21}),
    ),
    "uri": AttributeSpec("a URI", _TEXT, ("instance",), "1.1", writable=False, objects=frozenset({0, 21})),
}
"""By name, in the order they are printed in messages."""

_NOTIFICATION = frozenset(name for name, spec in ATTRIBUTES.items() if spec.writable)
_RANGES = (("pmin", "pmax"), ("epmin", "epmax"))
_ORDERED = frozenset({"pmin", "pmax", "epmin", "epmax", "lt", "gt", "st"})


def parse_attributes(query: str | Sequence[str]) -> Attributes:
    """From ``pmin=10&pmax=60`` or one text an attribute; nothing gives an empty set.

    Raises ``ValueRejected`` for an unknown or repeated name, a value that does not fit, and for sets that
    contradict themselves (``pmin`` above ``pmax``, ``lt`` + 2 ``st`` not below ``gt``).
    """
    texts = query.split("&") if isinstance(query, str) else query
    if list(texts) == [""]:
        return ()
    attributes = tuple(_attribute(text) for text in texts)
    check_attributes(attributes)
    return attributes


def format_attributes(attributes: Attributes) -> str:
    """``pmin=10&pmax``, the inverse of ``parse_attributes``."""
    return "&".join(name if value is None else f"{name}={value}" for name, value in attributes)


def _attribute(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    return name, value if equals else None


# --- may a server write this? ----------------------------------------------------------------------


def check_attributes(
    attributes: Attributes,
    path: Path | None = None,
    *,
    kind: ResourceType | None = None,
    version: str | None = None,
) -> None:
    """Raise ``ValueRejected`` for a set that cannot be; with a ``path`` also for what it cannot be given.

    ``kind`` is the type of the Resource at the path, ``version`` the enabler version of the device; what is
    not known is not checked.
    """
    values: dict[str, str | None] = {}
    for name, value in attributes:
        if name in values:
            raise ValueRejected(f"{name} is given more than once", path=path, value=name)
        _check(name, value, path)
        if path is not None:
            _check_writable(name, path)
            _check_place(name, path)
        _check_kind(name, kind, path)
        if version is not None and version < ATTRIBUTES[name].since:
            raise ValueRejected(
                f"{name} came with LwM2M {ATTRIBUTES[name].since}, the device speaks {version}",
                path=path,
                value=name,
            )
        values[name] = value
    _check_together(values, path)


def _check(name: str, value: str | None, path: Path | None) -> None:
    spec = ATTRIBUTES.get(name)
    if spec is None:
        nearest = difflib.get_close_matches(name[:40], ATTRIBUTES, n=1)
        known = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(ATTRIBUTES)}"
        raise ValueRejected(f"{name[:40]!r} is no notification attribute; {known}", path=path, value=name)
    if value is None:
        if not spec.writable:
            raise ValueRejected(f"{name} needs a value", path=path, value=name)
    elif not spec.pattern.fullmatch(value):
        raise ValueRejected(f"{name}={value[:40]} is not {spec.value}", path=path, value=value)


def _check_writable(name: str, path: Path) -> None:
    if not ATTRIBUTES[name].writable:
        raise ValueRejected(f"{name} is told by the device and cannot be written", path=path, value=name)


def _check_place(name: str, path: Path) -> None:
    spec = ATTRIBUTES[name]
    if path.level not in spec.levels:
        raise ValueRejected(
            f"{name} cannot stand on the {path.level}, only on the {' or '.join(spec.levels)}",
            path=path,
            value=name,
        )
    if spec.objects is not None and path.object not in spec.objects:
        places = ", ".join(str(number) for number in sorted(spec.objects))
        raise ValueRejected(f"{name} stands on instances of objects {places}", path=path, value=name)


def _check_kind(name: str, kind: ResourceType | None, path: Path | None) -> None:
    types = ATTRIBUTES[name].types
    if kind is not None and types is not None and kind not in types:
        wanted = "Booleans" if types is _BOOLEAN else "numbers"
        is_ = kind.value or "without a value"
        raise ValueRejected(f"{name} is for {wanted}, and the Resource is {is_}", path=path, value=name)


def _check_together(values: Mapping[str, str | None], path: Path | None) -> None:
    """The rules between attributes; exact, however many digits they have."""
    numbers = {
        name: Fraction(value) for name, value in values.items() if value is not None and name in _ORDERED
    }
    for low, high in _RANGES:
        if low in numbers and high in numbers and numbers[low] > numbers[high]:
            raise ValueRejected(f"{low}={values[low]} is above {high}={values[high]}", path=path)
    if "lt" not in numbers or "gt" not in numbers:
        return
    if numbers["lt"] >= numbers["gt"]:
        raise ValueRejected(f"lt={values['lt']} is not below gt={values['gt']}", path=path)
    if numbers["lt"] + 2 * numbers.get("st", Fraction(0)) >= numbers["gt"]:
        raise ValueRejected(
            f"lt={values['lt']} plus twice st={values['st']} is not below gt={values['gt']}", path=path
        )


# --- what a device has -----------------------------------------------------------------------------


def told_attributes(links: Iterable[Link]) -> dict[Path, Attributes]:
    """The attributes in a Discover answer, by path; what is none of LwM2M's is left out.

    Raises ``ValueRejected`` for one without a value, with one that does not fit, or in the wrong place.
    """
    found: dict[Path, Attributes] = {}
    for link in links:
        attributes = tuple(pair for pair in link.attributes if pair[0] in ATTRIBUTES)
        path = _path(link.target)
        if path is None or not attributes:
            continue
        for name, value in attributes:
            if value is None:
                raise ValueRejected(f"{name} needs a value", path=path, value=name)
            _check(name, value, path)
            _check_place(name, path)
        found[path] = attributes
    return found


def updated(attributes: Attributes, changes: Attributes) -> Attributes:
    """What a Write-Attributes makes of the attributes at its path (LwM2M Core 1.2, 6.3.4).

    A value takes the place of the former one, a name without value removes it. Raises ``ValueRejected`` if
    the result contradicts itself; then nothing is to change.
    """
    merged = dict(attributes) | dict(changes)
    result = tuple((name, value) for name, value in merged.items() if value is not None)
    _check_together(dict(result), None)
    return result


def effective(path: Path, assigned: Mapping[Path, Attributes]) -> Attributes:
    """The notification attributes that count at a path (LwM2M Core 1.2, 7.3.2).

    Each attribute comes from the nearest level that has it: the path itself, else what it lies in, up to the
    Object. Raises ``ValueRejected`` if those of several levels contradict each other; a device then answers
    an Observe with 5.00.
    """
    found: dict[str, str] = {}
    for depth in range(1, len(path) + 1):
        own = assigned.get(Path(path[:depth]), ())
        found |= {name: value for name, value in own if value is not None and name in _NOTIFICATION}
    _check_together(found, path)
    return tuple(found.items())


def _path(target: str) -> Path | None:
    try:
        return Path(target)
    except PathError:
        return None
