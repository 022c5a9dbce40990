"""The short way through TLV for what nearly every device sends: all as it should be, types known by Object.

``read`` and ``write`` give ``None`` for everything else, which then goes the long way (``tlv``) and is
tolerated or refused there. What they do give is what the long way would have given.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

from lwm2m_engine.codecs.codec import MOST_CHILDREN, Scope, children, together
from lwm2m_engine.codecs.tlv_values import PACK_SIGNED, PACK_UNSIGNED, READERS, UNPACKERS, WRITERS
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import LwM2MError
from lwm2m_engine.paths import MAX_ID, Path
from lwm2m_engine.type_lookup import ObjectTypes, TypeLookup
from lwm2m_engine.values import PLAIN, ResourceType

INSTANCE, RESOURCE_INSTANCE, MULTIPLE, RESOURCE = 0x00, 0x40, 0x80, 0xC0
"""The kinds of element: the upper two bits of its first byte."""
KIND, LONG_ID = 0xC0, 0x20

_HEAD_SIZES = [3 if first & LONG_ID else 2 for first in range(256)]
"""Bytes of kind, width of the length and id, by the first of them."""
_UNUSUAL = (LookupError, LwM2MError, ValueError, TypeError, struct.error)
_PATH = itemgetter(0)

# --- reading ------------------------------------------------------------------------------------------


Element: TypeAlias = tuple[
    Path, int, Callable[[bytes, int], tuple[Any]] | None, Callable[[bytes], Any] | None
]
"""Where it belongs; its length (if negative: the bytes that hold it); and how its value is read: at a
position, or from bytes, or (neither) as a container."""


class _Elements(dict[bytes, Element]):
    """What the first bytes of an element say, at one place of the tree."""

    def __init__(self, types: ObjectTypes, parent: tuple[int, ...], only: int | None) -> None:
        self._types, self._parent, self._only = types, parent, only

    def __missing__(self, head: bytes) -> Element:
        first, *id_ = head
        element = self._element(first, int.from_bytes(bytes(id_), "big"), head)
        if len(self) < MOST_CHILDREN:
            self[head] = element
        return element

    def _element(self, first: int, id_: int, head: bytes) -> Element:
        kind, width = first & KIND, first >> 3 & 3
        depth = len(self._parent)
        usual = {1: (INSTANCE,), 2: (RESOURCE, MULTIPLE), 3: (RESOURCE_INSTANCE,)}[depth]
        if len(head) != _HEAD_SIZES[first] or kind not in usual or self._only not in (None, id_):
            raise LookupError
        if depth == 1 and id_ == MAX_ID:
            raise LookupError
        path = children(self._parent)[id_] if depth > 1 else Path((*self._parent, id_))
        length = -width if width else first & 7
        if kind in (INSTANCE, MULTIPLE):
            return path, length, None, None
        type_ = self._types.get(path[2])
        return path, length, UNPACKERS.get((type_, length)), READERS[type_]


_elements = lru_cache(maxsize=1024)(_Elements)


def read(payload: bytes, scope: Scope) -> list[Entry] | None:
    at, types, strict, *_ = scope
    depth = len(at)
    if types.__class__ is not TypeLookup or strict or not 1 <= depth <= 3:
        return None
    known = types.of(at[0])
    found = Found([], [], [])
    try:
        if depth == 1:
            _read_instances(payload, known, at, found)
        else:
            elements = _elements(known, at[:2], at[2] if depth == 3 else None)
            _read_resources(payload, 0, len(payload), elements, known, found)
    except _UNUSUAL:
        return None
    paths, values, containers = found
    seen = set(paths)
    seen.update(containers)
    if not paths or len(seen) != len(paths) + len(containers):
        return None
    return together(paths, values)


class Found(NamedTuple):
    """Values and their paths, and the paths of what had others in it."""

    paths: list[Path]
    values: list[Any]
    containers: list[Path]


def _read_instances(data: bytes, types: ObjectTypes, at: Path, found: Found) -> None:
    elements = _elements(types, at, None)
    position = 0
    while position < len(data):
        start = position + _HEAD_SIZES[data[position]]
        path, length, _, _ = elements[data[position:start]]
        if length < 0:
            start, length = start - length, int.from_bytes(data[start : start - length], "big")
        position = start + length
        if position > len(data):
            raise LookupError
        found.containers.append(path)
        _read_resources(data, start, position, _elements(types, path, None), types, found)


def _read_resources(
    data: bytes,
    position: int,
    stop: int,
    elements: _Elements,
    types: ObjectTypes,
    found: Found,
) -> None:
    """Those of one Object Instance, from ``position`` to ``stop``."""
    keep_path, keep_value, sizes = found.paths.append, found.values.append, _HEAD_SIZES
    table, end = elements, stop
    while position < stop:
        if position == end:
            table, end = elements, stop
        start = position + sizes[data[position]]
        path, length, unpack, convert = table[data[position:start]]
        if length == -1:
            length = data[start]
            start += 1
        elif length < 0:
            start, length = start - length, int.from_bytes(data[start : start - length], "big")
        position = start + length
        if position > end:
            raise LookupError
        if unpack is not None:
            (value,) = unpack(data, start)
        elif convert is not None:
            value = convert(data[start:position])
        else:
            found.containers.append(path)
            table, end, position = _elements(types, path, None), position, start
            continue
        keep_path(path)
        keep_value(value)


# --- writing ------------------------------------------------------------------------------------------


class Heads(dict[int, bytes]):
    """The first bytes of elements of one kind and id, by the length of what follows."""

    def __init__(self, kind: int, id_: int) -> None:
        self._first = kind | (LONG_ID if id_ > 0xFF else 0)
        self._id = id_.to_bytes(2 if id_ > 0xFF else 1, "big")

    def __missing__(self, length: int) -> bytes:
        """Raises ``OverflowError`` for what no element holds."""
        if length < 8:
            head = bytes((self._first | length,)) + self._id
        else:
            width = 1 if length < 0x100 else 2 if length < 0x10000 else 3
            head = bytes((self._first | width << 3,)) + self._id + length.to_bytes(width, "big")
        if length < 0x100:
            self[length] = head
        return head


heads = lru_cache(maxsize=4096)(Heads)


Slot: TypeAlias = tuple[
    type | None, Sequence[Callable[[int], bytes]] | None, Callable[[Any], bytes] | None, Heads, Path | None
]
"""Class of values; what writes them: integers by bits, or all others; heads; Resource of an instance."""


class _Slots(dict[Path, Slot]):
    """What becomes of the value of each path at or below another."""

    def __init__(self, types: ObjectTypes, at: Path) -> None:
        self._types, self._at = types, at

    def __missing__(self, path: Path) -> Slot:
        if path[: len(self._at)] != self._at or not 3 <= len(path) <= 4:
            raise LookupError
        type_ = self._types.get(path[2])
        whole = PACK_UNSIGNED if type_ is ResourceType.UNSIGNED_INTEGER else PACK_SIGNED
        class_ = int if type_ is ResourceType.UNSIGNED_INTEGER else PLAIN.get(type_)
        single = len(path) == 3
        slot = (
            class_,
            whole if class_ is int else None,
            WRITERS.get(class_),
            heads(RESOURCE if single else RESOURCE_INSTANCE, path[-1]),
            None if single else children(path[:2])[path[2]],
        )
        if len(self) < MOST_CHILDREN:
            self[path] = slot
        return slot


_slots = lru_cache(maxsize=1024)(_Slots)


def write(entries: Sequence[tuple[Path, Any, float | None]], scope: Scope) -> bytes | None:
    at, types, *_ = scope
    if types.__class__ is not TypeLookup or not 2 <= len(at) <= 3 or not entries:
        return None
    slots = _slots(types.of(at[0]), at)
    parts: list[bytes] = []
    members: list[bytes] = []
    containers: list[tuple[Path, int, list[bytes]]] = []
    resource = None
    try:
        for path, value, time in entries:
            class_, packers, convert, head, above = slots[path]
            if value.__class__ is not class_ or time is not None:
                return None
            if packers is not None:
                bits = (value if value >= 0 else ~value).bit_length()  # type: ignore[operator, union-attr]
                content = packers[bits](value)
            else:
                content = convert(value)  # type: ignore[misc]
            if above is None:
                parts.append(head[len(content)] + content)
                continue
            if above != resource:
                resource, members = above, []
                containers.append((above, len(parts), members))
                parts.append(b"")
            members.append(head[len(content)] + content)
        for above, place, members in containers:
            content = b"".join(members)
            parts[place] = heads(MULTIPLE, above[2])[len(content)] + content
    except (*_UNUSUAL, OverflowError):
        return None
    seen = set(map(_PATH, entries))
    seen.update(map(_PATH, containers))
    return b"".join(parts) if len(seen) == len(entries) + len(containers) else None
