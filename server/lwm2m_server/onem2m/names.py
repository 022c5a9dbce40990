"""Names of oneM2M attributes and resource types (TS-0004, TS-0022): the tables as everything reads them.

Stores and rules use the short names; the long ones exist on the wire only.
"""

from __future__ import annotations

import base64
import difflib
import re
from collections.abc import Container, Iterable, Mapping
from enum import Enum
from string import ascii_letters
from typing import Any, Final

import attrs

from lwm2m_engine.mapping.managed import AttributeValue
from lwm2m_engine.values import ObjLink
from lwm2m_server.onem2m import tables


class UnknownName(LookupError):
    """No such attribute, or no such type; the text names the nearest one that exists."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        nearest = difflib.get_close_matches(name, list(known), n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        super().__init__(f"{name} is no {what}{hint}")


class Kind(Enum):
    """What JSON an attribute takes."""

    TEXT = "text"
    TEXTS = "texts"
    TEXT_OR_TEXTS = "text|texts"
    LABELS = "labels"
    UINT = "uint"
    UINTS = "uints"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIME = "time"
    OBJECT = "object"
    ANY = "any"


@attrs.frozen(slots=True)
class Attribute:
    """One attribute: its short name, its long name and its kind."""

    short: str
    long: str
    kind: Kind


class Access(Enum):
    """Whether a client may give an attribute (TS-0004: optionality at CREATE and UPDATE)."""

    REQUIRED = "!"
    REQUIRED_ONCE = "!="
    OPTIONAL = ""
    ONCE = "="
    """At CREATE only."""
    READ_ONLY = "-"
    UNSUPPORTED = "~"


@attrs.frozen(slots=True)
class Type:
    """A resource type, or a specialisation of mgmtObj.

    ``children`` are the ``ty`` that may lie below it. ``attributes`` are its own ones, besides those
    that every resource has.
    """

    ty: int
    key: str
    """Root key in short form: ``m2m:nod``."""
    long: str
    """Root key in long form: ``node``."""
    attributes: Mapping[str, Access]
    children: frozenset[int] = frozenset()
    mgd: int | None = None
    """``mgmtDefinition`` of a specialisation of mgmtObj."""
    aliases: tuple[str, ...] = ()
    """Other root keys that mean this type."""
    cnd: str | None = None
    """``containerDefinition`` of a specialisation of flexContainer."""


def _attribute(line: str) -> Attribute:
    short, long, kind = line.split()
    return Attribute(short, long, Kind(kind))


def _accesses(names: str) -> dict[str, Access]:
    return {name.rstrip("!=-~"): Access(name.lstrip(ascii_letters)) for name in names.split()}


def _plain_type(line: str) -> Type:
    head, names, children = line.split("|")
    ty, key, long = head.split()
    return Type(int(ty), key, long, _accesses(names), frozenset(map(int, children.split())))


def _mgmt_type(line: str) -> Type:
    head, names, *aliases = line.split("|")
    mgd, key, long = head.split()
    attributes = _accesses(f"{tables.MGMT_COMMON} {names}")
    return Type(13, key, long, attributes, frozenset({23}), int(mgd), tuple(a.strip() for a in aliases))


def _provider_type(line: str) -> Type:
    head, names, children = line.split("|")
    key, cnd = head.split()
    below = frozenset(map(int, children.split()))
    return Type(28, key, "flexContainer", _accesses(names), below, cnd=f"com.telekom.iot.orchestrator.{cnd}")


def _unsupported(line: str) -> tuple[int, str]:
    ty, long = line.split()
    return int(ty), long


def _lines(table: str) -> list[str]:
    return [line for line in table.splitlines() if line.strip()]


ATTRIBUTES: Final = {row.short: row for row in map(_attribute, _lines(tables.ATTRIBUTES))}
"""By short name."""

COMMON: Final = _accesses(tables.COMMON)
"""What every resource has."""

TYPES: Final = (
    *map(_plain_type, _lines(tables.TYPES)),
    *map(_mgmt_type, _lines(tables.MGMT)),
    *map(_provider_type, _lines(tables.PROVIDER)),
)

UNSUPPORTED: Final = dict(map(_unsupported, _lines(tables.UNSUPPORTED)))
"""Long names of types this server does not have, by ``ty``."""

LONG: Final = {row.short: row.long for row in ATTRIBUTES.values()}
_OF_LONG: Final[dict[str, list[str]]] = {}
for _row in ATTRIBUTES.values():
    _OF_LONG.setdefault(_row.long, []).append(_row.short)
SHORT: Final = {long: shorts[0] for long, shorts in _OF_LONG.items()} | {short: short for short in ATTRIBUTES}
"""Short name of either form, where the type is not known."""

# A specialisation of flexContainer has only its short key for itself.
_BY_KEY: Final = {
    key: row for row in reversed(TYPES) for key in (row.key, row.long, f"m2m:{row.long}", *row.aliases)
}
CREATABLE: Final = frozenset().union(*(row.children for row in TYPES))
"""Every ``ty`` that may lie somewhere in this tree."""
BY_TY: Final = {row.ty: row for row in TYPES if row.mgd is None and row.cnd is None}
FLEX_CONTAINER: Final = 28
REQUEST: Final = 17
_LONG_OF_FLEXIBLE: Final = {name: LONG[name] for name in (*COMMON, *BY_TY[FLEX_CONTAINER].attributes)}
_OWN_NAMESPACES: Final = frozenset({"m2m", "dcfg"})
_KEY: Final = re.compile(r"[A-Za-z][\w-]{0,63}", re.ASCII)
BY_MGD: Final = {row.mgd: row for row in TYPES if row.mgd is not None}
BY_CND: Final = {row.cnd: row for row in TYPES if row.cnd is not None}


def type_of_key(key: str) -> Type | None:
    """The type with this root key in either form: ``m2m:dvi``, ``deviceInfo``, ``m2m:deviceInfo``."""
    return _BY_KEY.get(key)


def flexible(key: str) -> Type:
    """The type of flexContainers with a root key that is in no table; a key of oneM2M's own is none.

    Raises ``UnknownName``.
    """
    namespace, _, name = key.partition(":")
    if namespace in _OWN_NAMESPACES or not (_KEY.fullmatch(namespace) and _KEY.fullmatch(name)):
        raise UnknownName("resource type", key, _BY_KEY)
    return attrs.evolve(BY_TY[FLEX_CONTAINER], key=key, aliases=())


def self_defined(key: str) -> Type:
    """The type of management objects of a mapping plugin's own kind; their own attributes are not in it."""
    return Type(13, key, key, _accesses(tables.MGMT_COMMON), frozenset({23}))


def type_of(ty: int, key: str) -> Type | None:
    """The type of a resource; ``None`` for a management object of a mapping plugin's own kind."""
    found = _BY_KEY.get(key)
    return flexible(key) if found is None and ty == FLEX_CONTAINER else found


def short_name(name: str, legal: Container[str]) -> str | None:
    """The one of the ``legal`` short names that a name in either form stands for.

    ``apn`` is an application's name or, in long form, an attribute of mobileNetwork.
    """
    if name in legal:
        return name
    return next((short for short in _OF_LONG.get(name, ()) if short in legal), None)


def long_names(definition: str | None) -> Mapping[str, str]:
    """By short names. Of a flexContainer, known by its ``containerDefinition``, only those of the type:
    the others are its provider's to name."""
    if definition is None or definition in BY_CND:
        return LONG
    return _LONG_OF_FLEXIBLE


def long_key(key: str) -> str:
    """A root key in long form; a foreign one stays what it is."""
    found = _BY_KEY.get(key)
    return found.long if found is not None else key


@attrs.frozen(slots=True)
class Managed:
    """A managed resource as an mgmtObj: root key, mgmtDefinition and attributes by short name."""

    key: str
    mgd: int
    attributes: Mapping[str, Any]


def managed(kind: str, attributes: Mapping[str, AttributeValue]) -> Managed:
    """What a mapping plugin wrote (``m2m:battery``, ``{"batteryLevel": 72}``) as an mgmtObj.

    A kind of a namespace other than ``m2m`` and ``dcfg`` is self-defined (mgmtDefinition 0) and keeps
    its attribute names. Raises ``UnknownName``.
    """
    found = _BY_KEY.get(kind)
    if found is not None and found.mgd is not None:
        return Managed(found.key, found.mgd, {_own(found, n): _json(v) for n, v in attributes.items()})
    if found is not None or kind.partition(":")[0] in (*_OWN_NAMESPACES, kind):
        raise UnknownName("management object", kind, (f"m2m:{row.long}" for row in BY_MGD.values()))
    return Managed(kind, 0, {SHORT.get(name, name): _json(value) for name, value in attributes.items()})


def _own(row: Type, name: str) -> str:
    short = short_name(name, row.attributes)
    if short is None:
        raise UnknownName(f"attribute of {row.long}", name, (LONG[own] for own in row.attributes))
    return short


def _json(value: AttributeValue) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value) if isinstance(value, ObjLink) else value
