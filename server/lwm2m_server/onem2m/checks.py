"""What clients may write: one body against the tables of ``names`` (TS-0004, 6.5 and 7.4)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Container, Iterable, Mapping, Set
from typing import Any, Final

import attrs

from lwm2m_server.onem2m.errors import BadRequest, NotImplementedYet
from lwm2m_server.onem2m.names import (
    ATTRIBUTES,
    BY_CND,
    BY_TY,
    COMMON,
    FLEX_CONTAINER,
    LONG,
    SHORT,
    TYPES,
    Access,
    Kind,
    Type,
    UnknownName,
    self_defined,
    short_name,
    type_of,
)
from lwm2m_server.onem2m.tree import PLATFORM_TREES
from lwm2m_server.store.ids import parse_timestamp

_LEGAL: Final = {type.key: type.attributes.keys() | COMMON.keys() for type in TYPES}
"""By root key: short names of all attributes."""
_NULL_IS_NOTHING: Final = frozenset({2, 13})
"""``ty`` of what may be created with attributes that are null."""
_NOT_AT_CREATE: Final = frozenset({Access.READ_ONLY})
_NOT_AT_UPDATE: Final = _NOT_AT_CREATE | {Access.ONCE, Access.REQUIRED_ONCE}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
MAX_UINT: Final = 2**63 - 1
"""What the store can hold."""
_OWN_NAME: Final = re.compile(r"[A-Za-z]\w{0,63}", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{1,255}")
PLATFORM_NAMES: Final = PLATFORM_TREES | frozenset({"la", "ol", "fopt", "pcu", "~", "_", "-"} | {".", ".."})
"""Names with a meaning of their own; no client's resource has one."""


@attrs.frozen(slots=True)
class Draft:
    """A checked body: the type it is of, and its attributes by short name.

    ``None`` as a value removes the attribute (UPDATE only).
    """

    type: Type
    attributes: dict[str, Any]
    originator: str = ""
    """Who sent it."""

    def take_name(self) -> str | None:
        """``rn`` out of the attributes."""
        name: str | None = self.attributes.pop("rn", None)
        return name


def read_creation(body: object, ty: int) -> Draft:
    """The body of a CREATE of type ``ty``. Raises ``BadRequest``."""
    type, given = _root(body, ty)
    if type.ty != ty:
        raise BadRequest(f"the body is a {type.long} (ty {type.ty}), the Content-Type says ty={ty}")
    attributes = _short_names(type, given)
    # For cr null means "tell who created it" (TS-0004, 7.4), which always is told; of applications and
    # management objects the operator's own client sends null for whatever it has no value for.
    absent = attributes.keys() if ty in _NULL_IS_NOTHING else {"cr"}
    attributes = {
        name: value for name, value in attributes.items() if value is not None or name not in absent
    }
    _check_access(type, attributes, _NOT_AT_CREATE)
    _check_values(type, attributes)
    return Draft(type, attributes)


def read_update(body: object, type: Type) -> Draft:
    """The body of an UPDATE of a resource of ``type``. Raises ``BadRequest``."""
    found, given = _root(body, type.ty)
    if found.key != type.key and found is not BY_TY.get(type.ty):
        raise BadRequest(f"the body is a {found.long}, the resource a {type.long}")
    attributes = _short_names(type, given)
    _check_access(type, attributes, _NOT_AT_UPDATE)
    for name, value in attributes.items():
        if value is None and type.attributes.get(name) is Access.REQUIRED:
            raise BadRequest(f"{_both(name)} cannot be removed from a {type.long}")
    _check_values(type, {name: value for name, value in attributes.items() if value is not None})
    return Draft(type, attributes)


def read_self_defined(body: object, key: str) -> Draft:
    """As ``read_update``, of a management object with attributes of its own. Raises ``BadRequest``."""
    if not isinstance(body, dict) or body.keys() != {key} or not isinstance(body[key], dict):
        raise BadRequest(f'the body must be an object such as {{"{key}": {{…}}}}')
    attributes: dict[str, Any] = {}
    for name, value in body[key].items():
        short = SHORT.get(name, name)
        if short in attributes:
            raise BadRequest(f"{_both(short)} is there twice, under its short and its long name")
        attributes[short] = value
    type = self_defined(key)
    _check_access(type, attributes, _NOT_AT_UPDATE)
    _check_values(type, {name: value for name, value in attributes.items() if value is not None})
    return Draft(type, attributes)


def require(draft: Draft) -> None:
    """All that oneM2M makes mandatory. Raises ``BadRequest`` naming all that is missing."""
    missing = [
        _both(name)
        for name, access in draft.type.attributes.items()
        if access in (Access.REQUIRED, Access.REQUIRED_ONCE) and name not in draft.attributes
    ]
    if missing:
        raise BadRequest(f"a {draft.type.long} needs {', '.join(missing)}")


def check_name(name: str) -> str:
    """A resource name a client chose. Raises ``BadRequest``."""
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"{name[:80]!r} is no resource name: 1 to 255 letters, digits and '_', '.', ':', '-' are"
        )
    if name in PLATFORM_NAMES:
        raise BadRequest(f"the name {name!r} is the platform's own")
    return name


def own_attributes(type: Type, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a flexContainer that its provider named."""
    legal = _legal(type)
    return {name: value for name, value in attributes.items() if name not in legal}


def _legal(type: Type) -> Container[str]:
    if type.key in _LEGAL:
        return _LEGAL[type.key]
    known = BY_TY.get(type.ty)
    return _LEGAL[known.key] if known is not None else type.attributes.keys() | COMMON.keys()


def _root(body: object, ty: int) -> tuple[Type, Mapping[str, Any]]:
    if not isinstance(body, dict) or len(body) != 1:
        raise BadRequest('the body must be an object with one member, such as {"m2m:cin": {…}}')
    ((key, given),) = body.items()
    try:
        type = type_of(ty, key)
    except UnknownName as error:
        raise BadRequest(str(error)) from error
    if type is None:
        raise BadRequest(f"{key[:80]!r} is no resource type this server knows")
    if not isinstance(given, dict):
        raise BadRequest(f"{key} must be an object")
    definition = given.get("cnd", given.get("containerDefinition"))
    if type is BY_TY.get(FLEX_CONTAINER) and isinstance(definition, str):
        type = BY_CND.get(definition, type)
    return type, given


def _short_names(type: Type, given: Mapping[str, Any]) -> dict[str, Any]:
    legal = _legal(type)
    attributes: dict[str, Any] = {}
    for name, value in given.items():
        short = short_name(name, legal)
        if short is None and type.ty == FLEX_CONTAINER and type.cnd is None:
            short = _own_name(name)
        if short is None:
            raise BadRequest(f"{name[:80]!r} is no attribute of {type.long}{_hint(type, name)}")
        if short in attributes:
            raise BadRequest(f"{_both(short)} is there twice, under its short and its long name")
        attributes[short] = value
    return attributes


def _own_name(name: str) -> str:
    if not _OWN_NAME.fullmatch(name):
        raise BadRequest(f"{name[:80]!r} is no name of an attribute: a letter, then letters, digits and '_'")
    return name


def _check_access(type: Type, attributes: Iterable[str], refused: Set[Access]) -> None:
    for name in attributes:
        access = type.attributes.get(name) or COMMON.get(name)
        if access is Access.UNSUPPORTED:
            raise NotImplementedYet(f"{_both(name)} of a {type.long} is not supported")
        if access in refused:
            raise BadRequest(f"{_both(name)} of a {type.long} is not the client's to set here")


def _check_values(type: Type, attributes: Mapping[str, Any]) -> None:
    legal = _legal(type)
    for name, value in attributes.items():
        kind = ATTRIBUTES[name].kind if name in legal else Kind.ANY
        if not _FITS[kind](value):
            raise BadRequest(f"{_both(name)} of {type.long} must be {_MEANS[kind]}, not {_show(value)}")
    if type.mgd is not None and attributes.get("mgd", type.mgd) != type.mgd:
        raise BadRequest(f"mgd (mgmtDefinition) of {type.long} is {type.mgd}, not {attributes['mgd']}")
    if type.cnd is not None and attributes.get("cnd", type.cnd) != type.cnd:
        raise BadRequest(f"cnd (containerDefinition) of {type.key} is {type.cnd}")


def _hint(type: Type, name: str) -> str:
    known = [*type.attributes, *COMMON]
    nearest = difflib.get_close_matches(name, [*known, *(LONG[short] for short in known)], n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


def _both(short: str) -> str:
    return f"{short} ({LONG[short]})" if short in LONG else short


def _show(value: object) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_labels(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) and not _CONTROL.search(one) for one in value)


def _is_uint(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_UINT


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and parse_timestamp(value) > 0
    except ValueError:
        return False


_FITS: Final[dict[Kind, Callable[[object], bool]]] = {
    Kind.TEXT: _is_text,
    Kind.TEXTS: _is_texts,
    Kind.TEXT_OR_TEXTS: lambda value: _is_text(value) or _is_texts(value),
    Kind.LABELS: _is_labels,
    Kind.UINT: _is_uint,
    Kind.UINTS: lambda value: isinstance(value, list) and all(map(_is_uint, value)),
    Kind.NUMBER: lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    Kind.BOOLEAN: lambda value: isinstance(value, bool),
    Kind.TIME: _is_time,
    Kind.OBJECT: lambda value: isinstance(value, dict),
    Kind.ANY: lambda value: value is not None,
}
_MEANS: Final = {
    Kind.TEXT: "a string",
    Kind.TEXTS: "a list of strings",
    Kind.TEXT_OR_TEXTS: "a string or a list of strings",
    Kind.LABELS: "a list of strings without control characters",
    Kind.UINT: "an integer from 0",
    Kind.UINTS: "a list of integers from 0",
    Kind.NUMBER: "a number",
    Kind.BOOLEAN: "true or false",
    Kind.TIME: "a time such as 20251231T235959,000000",
    Kind.OBJECT: "an object",
    Kind.ANY: "a value",
}
