"""What a codec is, and the checks every codec shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import repeat
from operator import itemgetter
from typing import NamedTuple, TypeAlias, cast

import attrs

from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import DecodeError, EncodeError, ValueRejected
from lwm2m_engine.paths import ROOT, Path
from lwm2m_engine.type_lookup import ObjectTypes, TypeLookup
from lwm2m_engine.values import INTEGER_RANGE, PLAIN, ResourceType, Value, coerce, show

Types: TypeAlias = Callable[[Path], ResourceType | None]
"""The type of a Resource or Resource Instance; ``None`` where no model knows it."""


def untyped(path: Path) -> ResourceType | None:
    """The ``Types`` of somebody without models."""
    return None


Fact: TypeAlias = tuple[Path, Value, float | None]
"""An entry that certainly has a value, on its way out."""
Change: TypeAlias = tuple[Path, Value | None, float | None]
"""A fact, or (``None``) that there is to be none any more (Write-Composite of LwM2M 1.2)."""


class Scope(NamedTuple):
    """What a codec is told besides the payload or the entries. Fields may be added at the end."""

    at: Path = ROOT
    """The path of the request."""
    types: Types = untyped
    strict: bool = False
    """Refuse what real devices do and the specification does not allow."""
    now: float | None = None
    """Seconds since 1970 UTC, to which relative times are added; without it they stay as they are."""
    root: str = ""
    """The alternate path below which the objects live, or the prefix of an end device behind a gateway, or
    one after the other (``/lwm2m/dev0``), without a trailing slash."""
    multiple: Callable[[Path], bool | None] | None = None
    """Whether a Resource may have instances; ``None`` where no model knows."""


@attrs.frozen(slots=True)
class Codec:
    """One Content-Format: bytes to entries and back.

    ``decode`` raises ``DecodeError``, ``encode`` raises ``EncodeError``; neither needs to name the
    Content-Format. ``decode_paths`` and ``encode_paths`` exist where a format can list paths without
    values, as the payload of composite reads does.
    """

    content_format: int
    decode: Callable[[bytes, Scope], list[Entry]]
    encode: Callable[[Sequence[Entry], Scope], bytes]
    decode_paths: Callable[[bytes, Scope], list[Path]] | None = None
    encode_paths: Callable[[Sequence[Path], Scope], bytes] | None = None
    decode_each: Callable[[bytes, Callable[[str], Scope]], dict[str, list[Entry]]] | None = None
    """Where names can have prefixes: the entries of all end devices in one payload, by ``Scope.root``."""


class Whole(int):
    """A whole number written with a fraction or an exponent: ``1e3``, unlike ``1000``, can be a Float."""

    __slots__ = ()


def typed(value: object, kind: ResourceType | None, strict: bool) -> Value:
    """``coerce``, but to be ``strict`` is to refuse integers for Floats; raises ``ValueRejected``."""
    if strict and kind is ResourceType.FLOAT and value.__class__ is int:
        raise ValueRejected(f"{show(value)} is an integer where a Float is due", value=value)
    return coerce(value, kind)


class Children(dict[int, Path]):
    """The paths one level below another, by id; made once, as devices send the same ones over and over.

    Who asks has made sure that it is an id: to a dict, ``True`` and ``1.0`` are ``1``.
    """

    def __init__(self, parent: tuple[int, ...]) -> None:
        self._parent = parent

    def __missing__(self, id_: int) -> Path:
        path = tuple.__new__(Path, (*self._parent, id_))
        if len(self) < MOST_CHILDREN:
            self[id_] = path
        return path


MOST_CHILDREN = 128
children = lru_cache(maxsize=1024)(Children)
"""The ``Children`` of a path."""


def nothing(scope: Scope) -> list[Entry]:
    """The entries of a payload without values; raises ``DecodeError`` where there must be one."""
    at, multiple = scope.at, scope.multiple
    if len(at) == 4 or (len(at) == 3 and multiple is not None and multiple(at) is False):
        raise DecodeError("a single value is due, and there is none", path=at)
    return []


def together(paths: Iterable[Path], values: Iterable[object]) -> list[Entry]:
    """Entries without times, made without a call in Python for each."""
    return list(map(tuple.__new__, _ENTRIES, zip(paths, values, _NO_TIMES, strict=False)))


_ENTRIES, _NO_TIMES = repeat(Entry), repeat(None)
_PATH, _PATH_AND_TIME = itemgetter(0), itemgetter(0, 2)


def refuse_repeats(entries: Sequence[Change], error: type[DecodeError | EncodeError]) -> None:
    """Raises ``error`` if a path stands there twice for the same time."""
    # The cheap ways to find that nothing is wrong.
    for question in (_PATH, _PATH_AND_TIME):
        if len(set(map(question, entries))) == len(entries):
            return
    seen = set()
    for path, _, time in entries:
        if (path, time) in seen:
            raise error("given twice for the same time", path=path)
        seen.add((path, time))


class _Classes(dict[Path, type | None]):
    """The class of the values of each path at or below another."""

    def __init__(self, types: ObjectTypes, at: Path) -> None:
        self._types, self._at = types, at

    def __missing__(self, path: Path) -> type | None:
        below = path[: len(self._at)] == self._at and len(path) > 2
        class_ = PLAIN.get(self._types.get(path[2])) if below else None
        if len(self) < MOST_CHILDREN:
            self[path] = class_
        return class_


_classes = lru_cache(maxsize=1024)(_Classes)


def _as_wanted(entries: Sequence[Entry], scope: Scope, times: bool) -> list[Change] | None:
    """What ``changes`` gives, if nothing is to be changed or refused, as nearly always."""
    at, types, *_ = scope
    if types.__class__ is not TypeLookup or not at:
        return None
    classes = _classes(types.of(at[0]), at)
    lowest, highest = INTEGER_RANGE
    for path, value, time in entries:
        class_ = value.__class__
        if class_ is not classes[path] or (time is not None and not times):
            return None
        if class_ is int and not lowest <= value <= highest:  # type: ignore[operator]
            return None
    return list(entries) if len(set(map(_PATH, entries))) == len(entries) else None


def changes(
    entries: Sequence[Entry], scope: Scope, *, nulls: bool = True, times: bool = True
) -> list[Change]:
    """The entries as their types want them; raises ``EncodeError`` for one that has no place here.

    ``nulls`` and ``times`` say what the format has; one without nulls takes ``outgoing``.
    """
    known = _as_wanted(entries, scope, times)
    if known is not None:
        return known
    at, types, *_ = scope
    depth = len(at)
    lowest, highest = INTEGER_RANGE
    plain = PLAIN.get
    checked: list[Change] = []
    keep = checked.append
    for path, value, time in entries:
        if depth and path[:depth] != at:
            raise EncodeError(f"not below {at}", path=path)
        if len(path) < 3:
            raise EncodeError("only Resources and Resource Instances have values", path=path)
        if time is not None and not times:
            raise EncodeError("this format carries no times", path=path)
        if value is not None:
            kind = types(path)
            class_ = value.__class__
            if class_ is not plain(kind) or (class_ is int and not lowest <= value <= highest):  # type: ignore[operator]
                try:
                    value = coerce(value, kind)
                except ValueRejected as error:
                    raise EncodeError(error.reason, path=path) from None
        elif not nulls:
            raise EncodeError("no value", path=path)
        keep((path, value, time))
    refuse_repeats(checked, EncodeError)
    return checked


def outgoing(entries: Sequence[Entry], scope: Scope, *, times: bool = True) -> list[Fact]:
    """As ``changes``, for formats that have no null."""
    return cast(list[Fact], changes(entries, scope, nulls=False, times=times))


def outgoing_single(entries: Sequence[Entry], scope: Scope) -> tuple[Path, Value]:
    """Path and value of a format that carries one value."""
    checked = outgoing(entries, scope, times=False)
    if len(checked) != 1:
        raise EncodeError(f"this format carries one value, not {len(checked)}", path=scope.at)
    path, value, _ = checked[0]
    if len(scope.at) == 3 and path != scope.at:
        raise EncodeError("this format cannot carry a multiple-instance Resource", path=scope.at)
    return path, value


def incoming_single(value: object, scope: Scope) -> list[Entry]:
    """The one entry of a format that carries one value, typed; raises ``DecodeError``."""
    at = single_path(scope)
    try:
        return [Entry(at, typed(value, scope.types(at), scope.strict))]
    except ValueRejected as error:
        raise DecodeError(error.reason, path=at) from None


def single_path(scope: Scope) -> Path:
    """The request path, if one value can stand for it; raises ``DecodeError``."""
    if len(scope.at) < 3:
        raise DecodeError(f"one value cannot stand for a path of level {scope.at.level}", path=scope.at)
    return scope.at
