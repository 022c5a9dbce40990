"""application/vnd.oma.lwm2m+tlv (11542) (LwM2M Core 1.2, 7.4.6).

Type-length-value elements, at most three levels deep: Object Instances contain Resources, multiple
Resources contain Resource Instances. The kind of an element says where it may stand, so one loop that
knows where the two enclosing elements end reads all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from lwm2m_engine.codecs import tlv_everyday
from lwm2m_engine.codecs.codec import Codec, Scope, children, nothing, outgoing
from lwm2m_engine.codecs.tlv_everyday import INSTANCE as INSTANCE
from lwm2m_engine.codecs.tlv_everyday import KIND, LONG_ID, heads
from lwm2m_engine.codecs.tlv_everyday import MULTIPLE as MULTIPLE
from lwm2m_engine.codecs.tlv_everyday import RESOURCE as RESOURCE
from lwm2m_engine.codecs.tlv_everyday import RESOURCE_INSTANCE as RESOURCE_INSTANCE
from lwm2m_engine.codecs.tlv_values import READERS, WHOLE, WIDTHS, write
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import DecodeError, EncodeError, ValueRejected
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import MAX_ID, Path
from lwm2m_engine.values import ResourceType

_NAMES = {
    INSTANCE: "an Object Instance",
    RESOURCE_INSTANCE: "a Resource Instance",
    MULTIPLE: "a multiple Resource",
    RESOURCE: "a Resource",
}


def decode(payload: bytes, scope: Scope) -> list[Entry]:
    entries = tlv_everyday.read(payload, scope)
    return _decode(payload, scope) if entries is None else entries


def _decode(payload: bytes, scope: Scope) -> list[Entry]:
    at, types, strict, *_ = scope
    depth = len(at)
    if not depth:
        raise DecodeError("TLV does not name Objects: the path of the request is needed")
    if not payload:
        return nothing(scope)
    # Resources without an Object Instance around them belong to that of the path, or to the first.
    object_, default = at[0], at[1] if depth > 1 else 0
    inside = wrapped = False
    resources, members = children((object_, default)), None
    kind: ResourceType | None = None
    size = instance_end = end = len(payload)
    # With the padding the head of a cut-off element can be read; its end then lies outside.
    data = payload + b"\0\0\0\0\0\0"
    entries: list[Entry] = []
    containers: list[Path] = []
    keep, new, readers = entries.append, tuple.__new__, READERS
    position = 0
    while position < size:
        if position == end:
            members, end = None, instance_end
            if position == end:
                inside, instance_end, end = False, size, size
                resources = children((object_, default))
        start = position
        first = data[start]
        if first & LONG_ID:
            id_ = data[start + 1] << 8 | data[start + 2]
            position += 3
        else:
            id_ = data[start + 1]
            position += 2
        width = first >> 3 & 3
        if width == 1:
            length = data[position]
            position += 1
        elif width:
            length = int.from_bytes(data[position : position + width], "big")
            position += width
        else:
            length = first & 7
        stop = position + length
        if stop > end:
            left = max(end - position, 0)
            raise DecodeError(f"an element of {length} bytes where {left} are left", offset=start, path=at)

        element = first & KIND
        if element & MULTIPLE and members is None and (inside or not wrapped):
            # The first Resource that is not wrapped stands for its Instance: no wrapper may follow.
            inside = True
            path = resources[id_]
            if depth > 2 and path != at[:3]:
                raise DecodeError(f"outside the path {at}", offset=start, path=path)
            kind = types(path)
            if element == MULTIPLE:
                if depth == 4 and strict:
                    raise DecodeError("a Resource where its Instance is due", offset=start, path=path)
                containers.append(path)
                members, end = children(path), stop
                continue
            if depth == 4:
                raise DecodeError("a Resource where its Instance is due", offset=start, path=path)
        elif element == RESOURCE_INSTANCE and (members is not None or (depth > 2 and not inside)):
            if members is None:
                # Likewise: Resource Instances alone stand for the Resource of the path.
                inside = True
                members = children(at[:3])
                kind = types(resources[at[2]])
            path = members[id_]
            if depth == 4 and path != at:
                raise DecodeError(f"outside the path {at}", offset=start, path=path)
        elif element == INSTANCE and not inside:
            path = new(Path, (object_, id_))
            if id_ == MAX_ID or (depth > 1 and (strict or id_ != default)):
                raise DecodeError(f"an Object Instance where {at} is due", offset=start, path=path)
            containers.append(path)
            inside = wrapped = True
            resources = children(path)
            instance_end = end = stop
            continue
        else:
            raise DecodeError(f"{_NAMES[element]} cannot stand here", offset=start, path=at)

        if strict and kind in WHOLE and length not in WIDTHS:
            raise DecodeError(f"{length} bytes are no width of an integer", offset=start, path=path)
        try:
            value = readers[kind](data[position:stop])
        except ValueRejected as error:
            raise DecodeError(error.reason, offset=start, path=path) from None
        keep(new(Entry, (path, value, None)))
        position = stop
    _refuse_repeats(containers, entries)
    return entries or nothing(scope)


_PATH = itemgetter(0)


def _refuse_repeats(containers: list[Path], entries: list[Entry]) -> None:
    """Containers can be empty and still stand there twice; a Resource cannot be single and multiple."""
    seen = set(map(_PATH, entries))
    seen.update(containers)
    if len(seen) == len(entries) + len(containers):
        return
    seen.clear()
    for path in (*map(_PATH, entries), *containers):
        if path in seen:
            raise DecodeError("given twice", path=path)
        seen.add(path)


def encode(entries: Sequence[Entry], scope: Scope) -> bytes:
    payload = tlv_everyday.write(entries, scope)
    return _encode(entries, scope) if payload is None else payload


def _encode(entries: Sequence[Entry], scope: Scope) -> bytes:
    at = scope.at
    if not at:
        raise EncodeError("TLV does not name Objects: the path of the request is needed")
    checked = outgoing(entries, scope, times=False)
    if len(at) == 3 and not checked:
        return _element(MULTIPLE, at[2], b"")
    types = scope.types
    # A single Resource is there as a whole, a multiple one as the elements of its instances.
    resources: dict[tuple[int, ...], bytes | list[bytes]] = {}
    for path, value, _ in checked:
        try:
            content = write(value, types, path)
        except ValueRejected as error:
            raise EncodeError(error.reason, path=path) from None
        if len(path) == 3:
            if path in resources:
                raise EncodeError("both single and with instances", path=path)
            resources[path] = _element(RESOURCE, path[2], content)
        else:
            members = resources.setdefault(path[:3], [])
            if members.__class__ is bytes:
                raise EncodeError("both single and with instances", path=path)
            members.append(_element(RESOURCE_INSTANCE, path[3], content))  # type: ignore[union-attr]
    if len(at) == 4:
        return b"".join(resources.get(at[:3], ()))  # type: ignore[arg-type]
    instances: dict[int, list[bytes]] = {}
    for ids, element in resources.items():
        if element.__class__ is list:
            element = _element(MULTIPLE, ids[2], b"".join(element))
        instances.setdefault(ids[1], []).append(element)  # type: ignore[arg-type]
    if len(at) > 1:
        return b"".join(instances.get(at[1], ()))
    return b"".join(_element(INSTANCE, id_, b"".join(content)) for id_, content in instances.items())


def _element(element: int, id_: int, value: bytes) -> bytes:
    try:
        return heads(element, id_)[len(value)] + value
    except OverflowError:
        raise EncodeError(f"{len(value)} bytes are more than a TLV element holds") from None


CODEC = Codec(ContentFormat.TLV, decode, encode)
