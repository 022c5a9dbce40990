"""application/vnd.oma.lwm2m+cbor (11544) (LwM2M Core 1.2, 7.4.7).

Maps from ids to maps, at last to values. A key is an id or an array of them, so ``{3: {0: {9: 100}}}``,
``{[3, 0]: {9: 100}}`` and ``{[3, 0, 9]: 100}`` mean the same. Where the tree belongs to a device behind
a gateway, or lies below an alternate path, texts come before the ids: ``{["dev1", 3, 0, 9]: 100}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from lwm2m_engine.codecs import cbor
from lwm2m_engine.codecs.codec import Codec, Scope, changes, nothing, refuse_repeats, refuse_times
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import DecodeError, EncodeError, ValueRejected
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import MAX_ID, Path
from lwm2m_engine.values import INTEGER_RANGE, PLAIN, coerce

Pair: TypeAlias = tuple[object, object]
"""A key and what stands there."""
Leaf: TypeAlias = tuple[Path, Any]


def decode(payload: bytes, scope: Scope) -> list[Entry]:
    at, types, *_ = scope
    depth = len(at)
    lowest, highest = INTEGER_RANGE
    entries: list[Entry] = []
    new = tuple.__new__
    for path, value in _leaves(payload, scope):
        if len(path) < 3:
            raise DecodeError("only Resources and Resource Instances have values", path=path)
        if path[:depth] != at:
            raise DecodeError(f"outside the path {at}", path=path)
        if value is not None:
            type_ = types(path)
            kind = value.__class__
            if kind is not PLAIN.get(type_) or (kind is int and not lowest <= value <= highest):
                try:
                    value = coerce(value, type_)
                except ValueRejected as error:
                    raise DecodeError(error.reason, path=path) from None
        entries.append(new(Entry, (path, value, None)))
    refuse_repeats(entries, DecodeError)
    return entries or nothing(scope)


def decode_paths(payload: bytes, scope: Scope) -> list[Path]:
    paths = []
    for path, value in _leaves(payload, scope):
        if value is not None:
            raise DecodeError("a list of paths has null for values", path=path)
        paths.append(path)
    return paths


# --- reading the tree ---------------------------------------------------------------------------------


def _leaves(payload: bytes, scope: Scope) -> list[Leaf]:
    if not payload:
        return []
    tree = cbor.load(payload)
    if tree.__class__ is not dict:
        raise DecodeError("an LwM2M CBOR payload is a map", offset=0)
    found: list[Leaf] = []
    _walk(_below_root(tree, scope), (), found)
    return found


def _walk(pairs: Iterable[Pair], ids: tuple[int, ...], found: list[Leaf]) -> None:
    inside, new = 1 < len(ids) < 4, tuple.__new__
    for key, inner in pairs:
        if inside and key.__class__ is int and 0 <= key <= MAX_ID:
            path = new(Path, (*ids, key))
        else:
            path = _extended(ids, key)
        if inner.__class__ is dict:
            _walk(inner.items(), path, found)
        else:
            found.append((path, inner))


def _extended(ids: tuple[int, ...], key: object) -> Path:
    more = key if isinstance(key, tuple) else (key,)
    if not more:
        raise DecodeError("an empty array is no key", path=Path(ids))
    for id_ in more:
        # bool is an int to Python; CBOR tells them apart.
        if id_.__class__ is not int or not 0 <= id_ <= MAX_ID:
            raise DecodeError(f"{_short(id_)} is no id", path=Path(ids))
    path = (*ids, *more)
    if len(path) > 4:
        raise DecodeError("more than four ids", path=Path(path[:4]))
    if len(path) > 1 and path[1] == MAX_ID:
        raise DecodeError(f"{MAX_ID} is reserved and names no Object Instance", path=Path(path[:1]))
    return tuple.__new__(Path, path)


def _below_root(tree: Mapping[Any, Any], scope: Scope) -> list[Pair]:
    """What belongs to the alternate path or the prefix of the request; all of it must."""
    rooted = list(_without_names(tree, ()))
    roots = {"".join(f"/{name}" for name in names) for names, _ in rooted}
    # A device below an alternate path need not repeat it, but one thing or the other must hold.
    if roots <= {scope.root} or (roots == {""} and not scope.strict):
        return [pair for _, pair in rooted]
    other = min(roots - {scope.root})
    raise DecodeError(f"values of {_short(other or '/')} where those of {scope.root or '/'} are due")


def _without_names(tree: Mapping[Any, Any], names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Pair]]:
    for key, inner in tree.items():
        keys = key if isinstance(key, tuple) else (key,)
        texts = 0
        while texts < len(keys) and keys[texts].__class__ is str:
            texts += 1
        if not texts:
            yield names, (key, inner)
        elif texts < len(keys):
            yield (*names, *keys[:texts]), (keys[texts:], inner)
        elif inner.__class__ is dict:
            yield from _without_names(inner, (*names, *keys))
        else:
            raise DecodeError(f"a value at {_short(key)}, which is no path")


def _short(item: object) -> str:
    text = repr(item) if not isinstance(item, int) or item.bit_length() < 256 else "a huge integer"
    return text if len(text) <= 60 else text[:57] + "..."


# --- writing ------------------------------------------------------------------------------------------


def encode(entries: Sequence[Entry], scope: Scope) -> bytes:
    """Definite lengths, in the order of the entries; ids with nothing beside them share one key.

    A Time is a plain integer: the type is known from the model, and nothing asks for a tag here.
    """
    checked = changes(entries, scope)
    refuse_times(checked)
    tree: dict[int | str, Any] = {}
    parent: tuple[int, ...] = ()
    node = tree
    for path, value, _ in checked:
        if path[:-1] != parent:
            parent = path[:-1]
            node = tree
            for id_ in parent:
                node = node.setdefault(id_, {})
                if node.__class__ is bytes:
                    raise EncodeError("both single and with instances", path=path)
        if path[-1] in node:
            raise EncodeError("both single and with instances", path=path)
        node[path[-1]] = cbor.dump(value)
    if tree:
        for name in reversed(scope.root.split("/")[1:]):
            tree = {name: tree}
    return _map(tree)


def encode_paths(paths: Sequence[Path], scope: Scope) -> bytes:
    """A flat map: of two paths, one may lie below the other."""
    names = scope.root.split("/")[1:]
    pairs = []
    for path in paths:
        if not path:
            raise EncodeError("this format has no key for all Objects", path=path)
        pairs.append(_key([*names, *path]) + b"\xf6")
    return cbor.head(5, len(pairs)) + b"".join(pairs)


def _map(node: Mapping[int | str, Any]) -> bytes:
    parts = [cbor.head(5, len(node))]
    for key, inner in node.items():
        if inner.__class__ is bytes:
            parts.append((cbor.head(0, key) if key.__class__ is int else cbor.dump(key)) + inner)
            continue
        keys = [key]
        while inner.__class__ is dict and len(inner) == 1:
            ((more, inner),) = inner.items()
            keys.append(more)
        parts.append(_key(keys))
        parts.append(inner if inner.__class__ is bytes else _map(inner))
    return b"".join(parts)


def _key(keys: Sequence[int | str]) -> bytes:
    items = b"".join(map(cbor.dump, keys))
    return items if len(keys) == 1 else cbor.head(4, len(keys)) + items


CODEC = Codec(ContentFormat.LWM2M_CBOR, decode, encode, decode_paths, encode_paths)
