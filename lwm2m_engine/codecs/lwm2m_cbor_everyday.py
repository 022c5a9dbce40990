"""The short way through LwM2M CBOR for what nearly every device sends: plain ids, types known by Object.

``read`` and ``write`` give ``None`` for everything else, which then goes the long way (``lwm2m_cbor``) and
is tolerated or refused there. What they do give is what the long way would have given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from lwm2m_engine.codecs import cbor
from lwm2m_engine.codecs.codec import MOST_CHILDREN, Scope, children, together
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.paths import MAX_ID, Path
from lwm2m_engine.type_lookup import ObjectTypes, TypeLookup
from lwm2m_engine.values import INTEGER_RANGE, PLAIN, UNSIGNED_RANGE, ResourceType, coerce

# --- reading ------------------------------------------------------------------------------------------


Place: TypeAlias = tuple[Path, type | None, ResourceType | None, "_Places | None"]
"""Path, class of values, type, and the places of Resource Instances."""


class _Places(dict[int | tuple[int, int], Place]):
    """What is below an Object Instance or a multiple Resource, by id or two ids."""

    def __init__(self, types: ObjectTypes, parent: tuple[int, ...]) -> None:
        if not all(0 <= id_ <= MAX_ID for id_ in parent) or parent[1] == MAX_ID:
            raise LookupError
        self._types, self._parent = types, parent

    def __missing__(self, key: int | tuple[int, int]) -> Place:
        ids = (*self._parent, *key) if isinstance(key, tuple) else (*self._parent, key)
        if not len(self._parent) < len(ids) <= 4 or not all(0 <= id_ <= MAX_ID for id_ in ids):
            raise LookupError
        path = children(ids[:-1])[ids[-1]]
        type_ = self._types.get(path[2])
        # Members of an instance's Resource only: nothing is below a Resource Instance.
        members = _Places(self._types, ids) if len(path) == 3 else None
        place = path, PLAIN.get(type_), type_, members
        if len(self) < MOST_CHILDREN:
            self[key] = place
        return place


_places = lru_cache(maxsize=1024)(_Places)


def read(tree: Mapping[Any, Any], scope: Scope) -> list[Entry] | None:
    """The entries of a loaded payload without any text before its ids."""
    at, types, strict, *_ = scope
    if types.__class__ is not TypeLookup or strict or len(at) > 2:
        return None
    paths: list[Path] = []
    values: list[Any] = []
    # Keys of a map are different; one path can be there twice by way of an array of ids.
    unique = len(tree) == 1
    try:
        for key, node in tree.items():
            # An Object Instance has one key, or two.
            instances = ((key, node),) if key.__class__ is tuple else _instances(key, node)
            for ids, inner in instances:
                places = _instance(ids, at, types.of)
                if inner.__class__ is not dict:
                    return None
                unique = _read(inner, places, paths.append, values.append) and unique
    except (LookupError, TypeError, ValueRejected):
        return None
    if not paths or not (unique or len(set(paths)) == len(paths)):
        return None
    return together(paths, values)


def _instances(id_: object, node: object) -> list[tuple[tuple[Any, Any], Any]]:
    # In an empty map, nothing would be asked about the id.
    if node.__class__ is not dict or not node:
        raise LookupError
    return [((id_, more), inner) for more, inner in node.items()]


def _instance(ids: tuple[Any, ...], at: Path, of: Callable[[int], ObjectTypes]) -> _Places:
    # To a dict, True and 1.0 are 1.
    if len(ids) != 2 or ids[0].__class__ is not int or ids[1].__class__ is not int:
        raise LookupError
    if ids != at and ids[: len(at)] != at:
        raise LookupError
    return _places(of(ids[0]), ids)


def _read(
    node: Mapping[Any, Any],
    places: _Places,
    keep_path: Callable[[Path], None],
    keep_value: Callable[[Any], None],
) -> bool:
    """What stands in an Object Instance or in a multiple Resource. True if all its keys are ids."""
    plain = True
    for key, value in node.items():
        # To a dict, True and 1.0 are 1.
        if key.__class__ is not int:
            if not _is_ids(key):
                raise LookupError
            plain = False
        path, wanted, type_, members = places[key]
        class_ = value.__class__
        if class_ is int and (value > _HIGHEST or value < _LOWEST):
            raise LookupError
        if class_ is not wanted:
            if class_ is dict:
                if members is None:
                    raise LookupError
                plain = _read(value, members, keep_path, keep_value) and plain
                continue
            if value is not None:
                value = coerce(value, type_)
        keep_path(path)
        keep_value(value)
    return plain


_LOWEST, _HIGHEST = INTEGER_RANGE


def _is_ids(key: object) -> bool:
    return isinstance(key, tuple) and all(part.__class__ is int for part in key)


# --- writing ------------------------------------------------------------------------------------------


_MOST_INTEGERS = 4096


class _Integers(dict[int, bytes]):
    """The items of integers; raises ``LookupError`` for what is out of range."""

    def __init__(self, lowest: int, highest: int) -> None:
        self._lowest, self._highest = lowest, highest

    def __missing__(self, value: int) -> bytes:
        if not self._lowest <= value <= self._highest:
            raise LookupError
        item = cbor.dump(value)
        if len(self) < _MOST_INTEGERS:
            self[value] = item
        return item


_SIGNED, _UNSIGNED = _Integers(*INTEGER_RANGE), _Integers(*UNSIGNED_RANGE)
_id = _UNSIGNED.__getitem__
_WRITERS: dict[type | None, Callable[[Any], bytes]] = {**cbor.DUMPS, int: _SIGNED.__getitem__}

Slot: TypeAlias = tuple[type | None, Callable[[Any], bytes], bytes, bytes | None]
"""Class of values, what writes them, the last id as a key, and that of the Resource of an instance."""


class _Slots(dict[Path, Slot]):
    """What becomes of the value of each path at or below another."""

    def __init__(self, types: ObjectTypes, at: Path) -> None:
        self._types, self._at = types, at

    def __missing__(self, path: Path) -> Slot:
        if path[: len(self._at)] != self._at or not 3 <= len(path) <= 4:
            raise LookupError
        type_ = self._types.get(path[2])
        unsigned = type_ is ResourceType.UNSIGNED_INTEGER
        class_ = int if unsigned else PLAIN.get(type_)
        convert = _UNSIGNED.__getitem__ if unsigned else _WRITERS.get(class_, cbor.dump)
        slot = class_, convert, _id(path[-1]), _id(path[2]) if len(path) == 4 else None
        if len(self) < MOST_CHILDREN:
            self[path] = slot
        return slot


_slots = lru_cache(maxsize=1024)(_Slots)


def write(entries: Sequence[tuple[Path, Any, float | None]], scope: Scope) -> bytes | None:
    """One Object Instance or what is below it, without any text before the ids."""
    at, types, *_ = scope
    if types.__class__ is not TypeLookup or len(at) < 2 or scope.root or len(entries) < 2:
        return None
    slots = _slots(types.of(at[0]), at)
    parts: dict[bytes, bytes] = {}
    members: dict[bytes, bytes] = {}
    containers: list[tuple[bytes, dict[bytes, bytes]]] = []
    resource = None
    try:
        for path, value, time in entries:
            class_, convert, key, above = slots[path]
            if value.__class__ is not class_ or time is not None:
                return None
            if above is None:
                parts[key] = key + convert(value)
                continue
            if above != resource:
                resource, members = above, {}
                containers.append((above, members))
                parts[above] = b""
            members[key] = key + convert(value)
    except LookupError:
        return None
    # What stands there twice, or single and multiple, is here once.
    if len(parts) - len(containers) + sum([len(members) for _, members in containers]) != len(entries):
        return None
    return _assembled(at, parts, containers)


def _assembled(
    at: Path, parts: dict[bytes, bytes], containers: list[tuple[bytes, dict[bytes, bytes]]]
) -> bytes:
    """Ids with nothing beside them share one key."""
    instance = _id(at[0]) + _id(at[1])
    if len(parts) == 1:
        ((above, members),) = containers
        return b"".join((b"\xa1\x83", instance, above, cbor.head(5, len(members)), *members.values()))
    for above, members in containers:
        if len(members) == 1:
            # The member begins with its id, which is the second of the key.
            parts[above] = b"".join((b"\x82", above, *members.values()))
        else:
            parts[above] = b"".join((above, cbor.head(5, len(members)), *members.values()))
    return b"".join((b"\xa1\x82", instance, cbor.head(5, len(parts)), *parts.values()))
