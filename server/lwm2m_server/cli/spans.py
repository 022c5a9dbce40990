"""Which bytes of a payload mean what, for ``lwm2m decode --dump``.

The codecs hand over values and no offsets. TLV, CBOR and JSON can be gone through once more, beside
the entries that came out; what can not be told that way is not told.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from lwm2m_engine.codecs.tlv import INSTANCE, MULTIPLE, RESOURCE, RESOURCE_INSTANCE
from lwm2m_engine.entries import Entry
from lwm2m_engine.formats import ContentFormat


class Span(NamedTuple):
    """Neighbouring bytes, how deep they lie, and what they are."""

    start: int
    stop: int
    depth: int = 0
    text: str = ""
    entry: Entry | None = None


def spans(payload: bytes, content_format: int, entries: Sequence[Entry]) -> list[Span]:
    """All bytes of a payload that was decoded to ``entries``, in order."""
    found = _dissector(content_format)(payload, entries) if payload else _plain(payload, entries)
    if len(entries) == 1 and all(span.entry is None for span in found):
        # Whatever they are in particular, one value was made of them.
        found[0] = found[0]._replace(entry=entries[0])
    return found


def _dissector(content_format: int) -> Callable[[bytes, Sequence[Entry]], list[Span]]:
    if content_format == ContentFormat.TLV:
        return _tlv
    known = {int(format_): format_.media_type for format_ in ContentFormat}
    media_type = known.get(content_format, "")
    if media_type.endswith("cbor"):
        return lambda payload, entries: _Cbor(payload, entries).spans
    return _json if media_type.endswith("json") else _plain


def _plain(payload: bytes, entries: Sequence[Entry]) -> list[Span]:
    return [Span(0, len(payload))]


# --- TLV (LwM2M Core 1.2, 7.4.6) ------------------------------------------------------------------------

_ELEMENTS = {
    INSTANCE: "Object Instance",
    RESOURCE_INSTANCE: "Resource Instance",
    MULTIPLE: "multiple Resource",
    RESOURCE: "Resource",
}


def _tlv(payload: bytes, entries: Sequence[Entry]) -> list[Span]:
    """Heads and values. The codec makes one entry of each element that is no container, in order."""
    found: list[Span] = []
    values = iter(entries)
    ends: list[int] = []
    position = 0
    while position < len(payload):
        while ends and ends[-1] == position:
            ends.pop()
        start, first = position, payload[position]
        position += 3 if first & 0x20 else 2
        id_ = int.from_bytes(payload[start + 1 : position], "big")
        width = first >> 3 & 3
        length = int.from_bytes(payload[position : position + width], "big") if width else first & 7
        position += width
        kind, depth = first & 0xC0, len(ends)
        text = f"{_ELEMENTS[kind]} {id_}, {length} byte{'s' * (length != 1)}"
        if kind in (INSTANCE, MULTIPLE):
            found.append(Span(start, position, depth, text))
            ends.append(position + length)
        elif length:
            found.append(Span(start, position, depth, text))
            found.append(Span(position, position + length, depth + 1, "", next(values)))
            position += length
        else:
            found.append(Span(start, position, depth, text, next(values)))
    return found


# --- JSON -----------------------------------------------------------------------------------------------


def _json(payload: bytes, entries: Sequence[Entry]) -> list[Span]:
    """The records of SenML and LwM2M JSON, and what stands around them. Each record is one entry."""
    records = list(_records(payload))
    if len(records) != len(entries):
        return _plain(payload, entries)
    found: list[Span] = []
    position = 0
    for (start, stop), entry in zip(records, entries, strict=True):
        if start > position:
            found.append(Span(position, start))
        found.append(Span(start, stop, 1, "", entry))
        position = stop
    return [*found, Span(position, len(payload))] if position < len(payload) or not found else found


_JSON = json.JSONDecoder()


def _records(payload: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of the elements of the array that the payload is, or that is its member ``e``."""
    # A character a byte: what JSON is built of is ASCII, and so positions are offsets.
    text = payload.decode("latin-1")
    position = _skip(text, 0)
    if text[position : position + 1] == "{":
        position = _member(text, position + 1)
    position = _skip(text, position + 1)
    while text[position] != "]":
        _, end = _JSON.raw_decode(text, position)
        yield position, end
        position = _skip(text, end, " \t\r\n,")


def _member(text: str, position: int) -> int:
    """Where the array of the member ``e`` starts."""
    while True:
        key, position = _JSON.raw_decode(text, _skip(text, position, " \t\r\n,"))
        position = _skip(text, position, " \t\r\n:")
        if key == "e":
            return position
        _, position = _JSON.raw_decode(text, position)


def _skip(text: str, position: int, blank: str = " \t\r\n") -> int:
    while text[position : position + 1] in blank and position < len(text):
        position += 1
    return position


# --- CBOR (RFC 8949) ------------------------------------------------------------------------------------

_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_NAMES = {20: "false", 21: "true", 22: "null", 23: "undefined"}
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_INDEFINITE = 31


class _Cbor:
    """One CBOR item a line. Records are the elements of an array, or values stand below their ids."""

    def __init__(self, payload: bytes, entries: Sequence[Entry]) -> None:
        self._payload = payload
        self._by_path = {tuple(entry.path): entry for entry in entries}
        self._position = 0
        self.spans: list[Span] = []
        records: list[int] = []
        self._item(0, (), records)
        if len(records) == len(entries):
            for index, entry in zip(records, entries, strict=True):
                self.spans[index] = self.spans[index]._replace(entry=entry)

    def _item(self, depth: int, ids: tuple[int, ...] | None, records: list[int] | None = None) -> Any:
        """Go through one item. ``ids`` lead to it if it may be a value below ids; ``records`` takes where
        the elements of an array begin."""
        start = self._position
        major, info, argument = self._head()
        value: Any
        match major:
            case 4:
                return self._array(start, depth, info, argument, records)
            case 5:
                return self._map(start, depth, info, argument, ids)
            case 6:
                self._add(start, depth, f"tag {argument}", self._by_path.get(ids or ()))
                return self._item(depth + 1, None)
            case 2 | 3:
                value, text = self._string(major, info, argument)
            case 7 if info in _FLOATS:
                value = struct.unpack(_FLOATS[info], self._payload[start + 1 : self._position])[0]
                text = repr(value)
            case 7:
                value, text = _SIMPLE.get(argument), _NAMES.get(argument, f"simple {argument}")
            case _:
                value = argument if major == 0 else -1 - argument
                text = str(value)
        self._add(start, depth, text, self._by_path.get(ids or ()))
        return value

    def _head(self) -> tuple[int, int, int]:
        first = self._payload[self._position]
        self._position += 1
        major, info = first >> 5, first & 31
        if info < 24 or info == _INDEFINITE:
            return major, info, info
        stop = self._position + (1 << info - 24)
        argument = int.from_bytes(self._payload[self._position : stop], "big")
        self._position = stop
        return major, info, argument

    def _string(self, major: int, info: int, argument: int) -> tuple[bytes | str, str]:
        data = b""
        if info == _INDEFINITE:
            while self._payload[self._position] != 0xFF:
                data += self._chunk(self._head()[2])
            self._position += 1
        else:
            data = self._chunk(argument)
        if major == 2:
            return data, f"{len(data)} byte{'s' * (len(data) != 1)}"
        text = data.decode("utf-8", "replace")
        return text, json.dumps(text, ensure_ascii=False)

    def _chunk(self, length: int) -> bytes:
        start = self._position
        self._position += length
        return self._payload[start : self._position]

    def _array(
        self, start: int, depth: int, info: int, count: int, records: list[int] | None
    ) -> tuple[Any, ...]:
        self._add(start, depth, "array" if info == _INDEFINITE else f"array of {count}")
        items = []
        for _ in self._turns(depth, info, count):
            if records is not None:
                records.append(len(self.spans))
            items.append(self._item(depth + 1, None))
        return tuple(items)

    def _map(self, start: int, depth: int, info: int, count: int, ids: tuple[int, ...] | None) -> None:
        self._add(start, depth, "map" if info == _INDEFINITE else f"map of {count}")
        for _ in self._turns(depth, info, count):
            key = self._item(depth + 1, None)
            below = None
            if ids is not None:
                keys = key if isinstance(key, tuple) else (key,)
                # Names before the ids are those of an alternate path.
                below = (*ids, *(id_ for id_ in keys if isinstance(id_, int)))
            self._item(depth + 2, below)

    def _turns(self, depth: int, info: int, count: int) -> Iterator[None]:
        """As often as a container has members; takes its end with it."""
        if info != _INDEFINITE:
            yield from (None for _ in range(count))
            return
        while self._payload[self._position] != 0xFF:
            yield None
        self._position += 1
        self._add(self._position - 1, depth, "end")

    def _add(self, start: int, depth: int, text: str, entry: Entry | None = None) -> None:
        self.spans.append(Span(start, self._position, depth, text, entry))
