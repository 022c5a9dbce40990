"""The short way through LwM2M CBOR for what nearly every device sends: plain ids, types known by Object.

``read`` and ``write`` give ``None`` for everything else, which then goes the long way (``lwm2m_cbor``) and
is tolerated or refused there. What they do give is what the long way would have given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from types import NoneType
from typing import Any, NamedTuple, TypeAlias

from lwm2m_engine.codecs import cbor
from lwm2m_engine.codecs.codec import MOST_CHILDREN, Scope, children, together
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.paths import MAX_ID, Path
from lwm2m_engine.type_lookup import ObjectTypes, TypeLookup
from lwm2m_engine.values import INTEGER_RANGE, PLAIN, UNSIGNED_RANGE, ResourceType, coerce

# --- reading ------------------------------------------------------------------------------------------


class _Form(NamedTuple):
    """What Object Instances with the same ids and the same classes of values have in common."""

    containers: tuple[int, ...]
    """Where maps stand among the members, the last one first: what is in them takes their place."""
    arrays: tuple[int, ...]
    """Where keys are arrays of ids, the last one first."""
    ids: list[int]
    """Of the instance, of the members, and of what each container has."""
    classes: list[type]
    """Of the ids and of the values."""
    paths: list[Path]
    integers: Callable[[list[Any]], tuple[int, ...]]
    """Those of the values that must be in ``INTEGER_RANGE``."""
    others: list[tuple[int, ResourceType | None]]
    """Where values stand that are not of the class of their type."""


_forms: dict[Any, _Form] = {}
"""By types, ids of the instance, and keys of the members: what came last with these keys."""
_MOST_FORMS = 1024


def read(tree: Mapping[Any, Any], scope: Scope) -> list[Entry] | None:
    """The entries of a loaded payload without any text before its ids."""
    at, types = scope.at, scope.types
    if types.__class__ is not TypeLookup or scope.strict or len(at) > 2:
        return None
    found: list[tuple[list[Path], list[Any]]] = []
    try:
        for key, node in tree.items():
            # An Object Instance has one key, or two.
            for ids, members in ((key, node),) if key.__class__ is tuple else _instances(key, node):
                if ids != at and ids[: len(at)] != at:
                    return None
                found.append(_read(ids, members, types.of))
    except (LookupError, ValueRejected):
        return None
    if len(found) == 1:
        return together(*found[0])
    paths = [path for each, _ in found for path in each]
    # One instance can be there twice, by one key and by two.
    if len(set(paths)) < len(paths):
        return None
    return together(paths, [value for _, values in found for value in values])


def _instances(id_: object, node: object) -> list[tuple[tuple[Any, Any], Any]]:
    # In an empty map, nothing would be asked about the id.
    if node.__class__ is not dict or not node:
        raise LookupError
    return [((id_, more), inner) for more, inner in node.items()]


def _read(
    instance: tuple[Any, ...], members: Any, of: Callable[[int], ObjectTypes]
) -> tuple[list[Path], list[Any]]:
    """What stands in an Object Instance; raises ``LookupError`` or ``ValueRejected``."""
    if members.__class__ is not dict:
        raise LookupError
    types = of(instance[0])
    name = (types, instance, *members)
    form = _forms.get(name)
    values = None if form is None else _values(form, instance, members)
    if form is None or values is None:
        form = _form(instance, members, types)
        values = _values(form, instance, members)
        if values is None or len(form.ids) > MOST_CHILDREN:
            raise LookupError
        if len(_forms) >= _MOST_FORMS:
            _forms.clear()
        _forms[name] = form
    integers = form.integers(values)
    if max(integers) > _HIGHEST or min(integers) < _LOWEST:
        raise LookupError
    for place, type_ in form.others:
        values[place] = coerce(values[place], type_)
    return form.paths, values


_LOWEST, _HIGHEST = INTEGER_RANGE


def _values(form: _Form, instance: tuple[Any, ...], members: Mapping[Any, Any]) -> list[Any] | None:
    """The values of the instance, if it is of this form."""
    ids, values = [*instance, *members], [*members.values()]
    for place in form.containers:
        inner = values[place]
        if inner.__class__ is not dict:
            return None
        ids += inner
        values[place : place + 1] = inner.values()
    for place in form.arrays:
        ids[place : place + 1] = ids[place]
    # To a dict and to a list, True and 1.0 are 1.
    if ids != form.ids or [*map(type, ids), *map(type, values)] != form.classes:
        return None
    return values


def _form(instance: tuple[Any, ...], members: Mapping[Any, Any], types: ObjectTypes) -> _Form:
    """The form an instance like this has; raises ``LookupError`` if it has to go the long way."""
    ids, values = [*instance], []
    paths: list[Path] = []
    containers: list[int] = []
    arrays: list[int] = []
    below: list[Mapping[Any, Any]] = []
    for place, (key, value) in enumerate(members.items()):
        parts = key if key.__class__ is tuple else (key,)
        ids += parts
        if key.__class__ is tuple:
            arrays.insert(0, len(instance) + place)
        if value.__class__ is not dict:
            paths.append(_path((*instance, *parts)))
            values.append(value)
            continue
        # In an empty map, nothing would be asked about its key.
        if len(parts) != 1 or not value:
            raise LookupError
        containers.insert(0, place)
        below.insert(0, value)
        paths += [_path((*instance, *parts, member)) for member in value]
        values += value.values()
    if not paths or len(set(paths)) < len(paths):
        raise LookupError
    for inner in below:
        ids += inner
    rules = [types.get(path[2]) for path in paths]
    classes = [value.__class__ for value in values]
    others = [
        (place, rules[place])
        for place, class_ in enumerate(classes)
        if class_ is not PLAIN.get(rules[place]) and class_ is not NoneType
    ]
    integers = [place for place, class_ in enumerate(classes) if class_ is int]
    return _Form(
        tuple(containers),
        tuple(arrays),
        ids,
        [int] * len(ids) + classes,
        paths,
        # Asked for one place, an itemgetter gives no tuple.
        itemgetter(*integers, integers[0]) if integers else _no_integers,
        others,
    )


def _path(ids: tuple[Any, ...]) -> Path:
    if not 3 <= len(ids) <= 4 or not all(id_.__class__ is int and 0 <= id_ <= MAX_ID for id_ in ids):
        raise LookupError
    if ids[1] == MAX_ID:
        raise LookupError
    return children(ids[:-1])[ids[-1]]


def _no_integers(values: list[Any]) -> tuple[int, ...]:
    return (0,)


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
