"""application/vnd.oma.lwm2m+cbor (11544) (LwM2M Core 1.2, 7.4.7).

Maps from ids to maps, at last to values. A key is an id or an array of them, so ``{3: {0: {9: 100}}}``,
``{[3, 0]: {9: 100}}`` and ``{[3, 0, 9]: 100}`` mean the same. Where the tree belongs to a device behind
a gateway, or lies below an alternate path, texts come before the ids: ``{["dev1", 3, 0, 9]: 100}``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from lwm2m_engine.codecs import cbor, lwm2m_cbor_everyday
from lwm2m_engine.codecs.codec import Codec, Scope, changes, children, nothing, refuse_repeats, typed
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import DecodeError, EncodeError, ValueRejected
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import MAX_ID, Path
from lwm2m_engine.values import INTEGER_RANGE, PLAIN, show

Pair: TypeAlias = tuple[object, object]
"""A key and what stands there."""
Leaf: TypeAlias = tuple[Path, Any]


def decode(payload: bytes, scope: Scope) -> list[Entry]:
    if not payload:
        return nothing(scope)
    tree = cbor.load(payload)
    if tree.__class__ is not dict:
        raise _no_map()
    everyday = None if scope.root else lwm2m_cbor_everyday.read(tree, scope)
    if everyday is not None:
        return everyday
    return _entries(_below_root(tree, scope), scope) or nothing(scope)


def decode_each(payload: bytes, scope_of: Callable[[str], Scope]) -> dict[str, list[Entry]]:
    trees: dict[str, list[Pair]] = {}
    for root, pair in _without_names(_loaded(payload) if payload else {}, ""):
        trees.setdefault(root, []).append(pair)
    return {root: _entries(pairs, scope_of(root)) for root, pairs in trees.items()}


def _entries(pairs: Iterable[Pair], scope: Scope) -> list[Entry]:
    types = scope.types
    lowest, highest = INTEGER_RANGE
    plain, new = PLAIN.get, tuple.__new__
    entries: list[Entry] = []
    keep = entries.append
    for path, value in _leaves(pairs, scope.at):
        if len(path) < 3:
            raise DecodeError("only Resources and Resource Instances have values", path=path)
        if value is not None:
            type_ = types(path)
            kind = value.__class__
            if kind is not plain(type_) or (kind is int and not lowest <= value <= highest):
                try:
                    value = typed(value, type_, scope.strict)
                except ValueRejected as error:
                    raise DecodeError(error.reason, path=path) from None
        keep(new(Entry, (path, value, None)))
    refuse_repeats(entries, DecodeError)
    return entries


def decode_paths(payload: bytes, scope: Scope) -> list[Path]:
    paths = []
    for path, value in _leaves(_below_root(_loaded(payload) if payload else {}, scope), scope.at):
        if value is not None:
            raise DecodeError("a list of paths has null for values", path=path)
        paths.append(path)
    return paths


# --- reading the tree ---------------------------------------------------------------------------------


def _loaded(payload: bytes) -> dict[Any, Any]:
    tree = cbor.load(payload)
    if isinstance(tree, dict):
        return tree
    raise _no_map()


def _no_map() -> DecodeError:
    return DecodeError("an LwM2M CBOR payload is a map", offset=0)


def _leaves(pairs: Iterable[Pair], at: Path) -> list[Leaf]:
    found: list[Leaf] = []
    _walk(pairs, (), at, found)
    return found


def _walk(pairs: Iterable[Pair], parent: tuple[int, ...], at: Path, found: list[Leaf]) -> None:
    depth = len(at)
    # A parent that lies below the path of the request needs no further questions.
    inside = len(parent) >= depth
    known = children(parent) if 1 < len(parent) < 4 else None
    for key, inner in pairs:
        if known is not None and key.__class__ is int and 0 <= key <= MAX_ID:
            path = known[key]
        else:
            path = _extended(parent, key)
        if not inside and path[:depth] != at[: len(path)]:
            raise DecodeError(f"outside the path {at}", path=path)
        if inner.__class__ is dict:
            _walk(inner.items(), path, at, found)
        elif len(path) < depth:
            raise DecodeError(f"a value where {at} is due", path=path)
        else:
            found.append((path, inner))


def _extended(ids: tuple[int, ...], key: object) -> Path:
    more = key if isinstance(key, tuple) else (key,)
    if not more:
        raise DecodeError("an empty array is no key", path=Path(ids))
    for id_ in more:
        # bool is an int to Python; CBOR tells them apart.
        if id_.__class__ is not int or not 0 <= id_ <= MAX_ID:
            raise DecodeError(f"{show(id_)} is no id", path=Path(ids))
    path = (*ids, *more)
    if len(path) > 4:
        raise DecodeError("more than four ids", path=Path(path[:4]))
    if len(path) > 1 and path[1] == MAX_ID:
        raise DecodeError(f"{MAX_ID} is reserved and names no Object Instance", path=Path(path[:1]))
    return tuple.__new__(Path, path)


def _below_root(tree: Mapping[Any, Any], scope: Scope) -> list[Pair]:
    """What belongs to the alternate path or the prefix of the request; all of it must."""
    rooted = list(_without_names(tree, ""))
    roots = {root for root, _ in rooted}
    # A device below an alternate path need not repeat it, but one thing or the other must hold.
    if roots <= {scope.root} or (roots == {""} and not scope.strict):
        return [pair for _, pair in rooted]
    other = min(roots - {scope.root})
    raise DecodeError(f"values of {show(other or '/')} where those of {scope.root or '/'} are due")


def _without_names(tree: Mapping[Any, Any], root: str) -> Iterator[tuple[str, Pair]]:
    """Keys without the texts before their ids, each with these texts as a path."""
    for key, inner in tree.items():
        keys = key if isinstance(key, tuple) else (key,)
        texts = 0
        while texts < len(keys) and keys[texts].__class__ is str:
            texts += 1
        if not texts:
            yield root, (key, inner)
            continue
        below = "/".join((root, *keys[:texts]))
        if texts < len(keys):
            yield below, (keys[texts:], inner)
        elif isinstance(inner, dict):
            yield from _without_names(inner, below)
        else:
            raise DecodeError(f"a value at {show(key)}, which is no path")


# --- writing ------------------------------------------------------------------------------------------


def encode(entries: Sequence[Entry], scope: Scope) -> bytes:
    """Definite lengths, in the order of the entries; ids with nothing beside them share one key.

    A Time is a plain integer: the type is known from the model, and nothing asks for a tag here.
    """
    payload = lwm2m_cbor_everyday.write(entries, scope)
    if payload is not None:
        return payload
    checked = changes(entries, scope, times=False)
    tree: dict[int | str, Any] = {}
    parent: list[int] = []
    node = tree
    for path, value, _ in checked:
        *above, last = path
        if above != parent:
            parent = above
            node = tree
            for id_ in above:
                node = node.setdefault(id_, {})
                if node.__class__ is bytes:
                    raise EncodeError("both single and with instances", path=path)
        if last in node:
            raise EncodeError("both single and with instances", path=path)
        node[last] = cbor.dump(value)
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
    add = parts.append
    for key, inner in node.items():
        if inner.__class__ is bytes:
            add(_id(key))
            add(inner)
            continue
        keys = [key]
        while inner.__class__ is dict and len(inner) == 1:
            ((more, inner),) = inner.items()
            keys.append(more)
        add(_key(keys))
        add(inner if inner.__class__ is bytes else _map(inner))
    return b"".join(parts)


def _key(keys: Sequence[int | str]) -> bytes:
    items = b"".join(map(_id, keys))
    return items if len(keys) == 1 else cbor.head(4, len(keys)) + items


_id = lru_cache(maxsize=1024)(cbor.dump)


CODEC = Codec(ContentFormat.LWM2M_CBOR, decode, encode, decode_paths, encode_paths, decode_each)
