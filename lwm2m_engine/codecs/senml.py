"""SenML records (RFC 8428) as LwM2M uses them, whatever they are written in (LwM2M Core 1.2, 7.4.5).

SenML JSON, SenML CBOR and the older LwM2M JSON differ in their labels and in how bytes are written;
names, base names, times and types are resolved here for all three.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import takewhile
from typing import Any, NamedTuple

from lwm2m_engine.codecs.codec import MOST_CHILDREN, Change, Scope, Whole, refuse_repeats, typed
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import DecodeError, PathError, ValueRejected
from lwm2m_engine.paths import Path
from lwm2m_engine.values import INTEGER_RANGE, PLAIN, ObjLink, ResourceType, Value, from_base64

RELATIVE = 2**28
"""Times below are seconds relative to now (RFC 8428, 4.5.3)."""

_NUMBERS = frozenset({int, float, Whole})

Label = str | int


class Labels(NamedTuple):
    """How a format calls the fields of a record."""

    base_name: Label
    base_time: Label
    name: Label
    time: Label
    number: Label
    string: Label
    boolean: Label
    data: Label | None
    link: Label
    read_data: Callable[[object, bool], bytes]
    """Bytes of a data field (and whether to be strict); raises ``ValueRejected``."""
    null: bool = True
    """Whether a number may be null: that a value is to be deleted (RFC 8790, 3.2; LwM2M 1.2)."""


def resolve(
    records: Sequence[Any], labels: Labels, scope: Scope, base: str = "", base_time: float | None = None
) -> list[Entry]:
    """The entries of a pack, in its order; raises ``DecodeError``.

    Gateways forget to put the prefix of an end device before its names. But where some have it, those
    without it are of the gateway.
    """
    try:
        return _resolve(records, labels, scope, base, base_time)
    except DecodeError:
        if not scope.root or scope.strict or _is_named(records, labels, scope.root, base):
            raise
    return _resolve(records, labels, scope._replace(root=""), base, base_time)


def _is_named(records: Sequence[Any], labels: Labels, root: str, base: str = "") -> bool:
    """Whether any name is below ``root``."""
    return any(f"{name}/".startswith(f"{root}/") for name, _ in _named(records, labels, base))


def _named(records: Sequence[Any], labels: Labels, base: str = "") -> Iterator[tuple[str, dict[Any, Any]]]:
    """Each record with its full name; raises ``DecodeError``."""
    for index, record in enumerate(records):
        if record.__class__ is not dict:
            raise DecodeError(f"record {index} is no map")
        base, name = record.get(labels.base_name, base), record.get(labels.name, "")
        if not (isinstance(base, str) and isinstance(name, str)):
            raise DecodeError(f"record {index}: a name is no text")
        yield base + name, record


def resolve_each(
    records: Sequence[Any], labels: Labels, scope_of: Callable[[str], Scope]
) -> dict[str, list[Entry]]:
    """The entries of all devices in a pack by the prefix of their names; raises ``DecodeError``."""
    packs: dict[str, list[Any]] = {}
    timed: dict[Any, Any] = {}
    for name, record in _named(records, labels):
        prefix = "".join(f"/{text}" for text in takewhile(_is_no_id, name.strip("/").split("/")) if text)
        if labels.base_time in record:
            timed = {labels.base_time: record[labels.base_time]}
        rest = {label: field for label, field in record.items() if label != labels.name}
        packs.setdefault(prefix, []).append(rest | timed | {labels.base_name: name})
    return {prefix: resolve(pack, labels, scope_of(prefix)) for prefix, pack in packs.items()}


def _is_no_id(element: str) -> bool:
    return not element.isdigit()


def _resolve(
    records: Sequence[Any], labels: Labels, scope: Scope, base: str, base_time: float | None
) -> list[Entry]:
    at, types, strict, now, root, _ = scope
    base_name_, base_time_, name_, time_, number_, string_, boolean_, data_, link_, read_data, null = labels
    known = _paths_from(base, at, root, strict)
    (lowest, highest), plain, new = INTEGER_RANGE, PLAIN.get, tuple.__new__
    entries: list[Entry] = []
    keep = entries.append
    timed = base_time is not None
    for record in records:
        if record.__class__ is not dict:
            raise DecodeError(f"record {len(entries)} is no map", path=at)
        name, time, values = "", None, 0
        raw: Any = None
        try:
            # In the order of frequency; the types are part of the question, so that whatever a
            # device makes up ends in the last branch.
            for label, field in record.items():
                kind = field.__class__
                if label == name_ and kind is str:
                    name = field
                elif (label == number_ and kind in _NUMBERS) or (
                    (label == string_ and kind is str) or (label == boolean_ and kind is bool)
                ):
                    raw = field
                    values += 1
                elif label == base_name_ and kind is str:
                    base, known = field, _paths_from(field, at, root, strict)
                elif label == base_time_:
                    base_time, timed = seconds(field), True
                elif label == time_:
                    time, timed = seconds(field), True
                elif label == data_:
                    raw = read_data(field, strict)
                    values += 1
                elif label == link_ and kind is str:
                    raw = ObjLink.parse(field)
                    values += 1
                elif label == number_ and field is None and null:
                    values += 1
                else:
                    _refuse_field(label, field, labels)
            path = known[name]
            if values != 1:
                raise DecodeError("no value" if not values else "more than one value", path=path)
            if raw is not None:
                type_ = types(path)
                kind = raw.__class__
                if kind is not plain(type_) or (kind is int and not lowest <= raw <= highest):
                    if type_ is ResourceType.OPAQUE and data_ is None and kind is str:
                        raw = from_base64(raw)
                    raw = typed(raw, type_, strict)
        except ValueRejected as error:
            reason = f"record {len(entries)}: {error.reason}"
            raise DecodeError(reason, path=_try_locate(base, name, scope)) from None
        keep(new(Entry, (path, raw, _moment(base_time or 0, time or 0, now) if timed else None)))
        timed = base_time is not None
    refuse_repeats(entries, DecodeError)
    return entries


def resolve_paths(records: Sequence[Any], labels: Labels, scope: Scope) -> list[Path]:
    """The paths a pack without values lists (payload of a composite read); raises ``DecodeError``."""
    paths = []
    for index, (name, record) in enumerate(_named(records, labels)):
        if record.keys() - {labels.base_name, labels.name}:
            raise DecodeError(f"record {index}: a list of paths has names and nothing else")
        try:
            paths.append(Path(_below(scope.root, name)))
        except PathError as error:
            raise DecodeError(f"record {index}: {error}") from None
    return paths


# --- names --------------------------------------------------------------------------------------------


class _Paths(dict[str, Path]):
    """Paths by the names that follow a base name; devices send the same ones over and over."""

    def __init__(self, base: str, at: Path, root: str, strict: bool) -> None:
        self._base, self._at, self._root, self._strict = base, at, root, strict

    def __missing__(self, name: str) -> Path:
        """The path that a name is, at best without further ado; raises ``DecodeError``."""
        try:
            path = _resource_below(self._root, self._base + name)
            is_plain = path.startswith(self._at)
        except PathError:
            is_plain = False
        if not is_plain:
            path = locate(self._base, name, self._at, self._root, self._strict)
        if len(self) < MOST_CHILDREN:
            self[name] = path
        return path


_known_paths = lru_cache(maxsize=1024)(_Paths)


def _paths_from(base: str, at: Path, root: str, strict: bool) -> _Paths:
    known = _known_paths if len(base) <= LONGEST else _Paths
    return known(base, at, root, strict)


def _resource(text: str) -> Path:
    path = Path(text)
    if len(path) < 3:
        raise PathError(text, "no Resource")
    return path


def _resource_below(root: str, text: str) -> Path:
    return _resource(_below(root, text))


def _below(root: str, text: str) -> str:
    """A name without the alternate root; raises ``PathError``."""
    if not root or text == root:
        return text[len(root) :]
    if text.startswith(f"{root}/"):
        return text[len(root) :]
    raise PathError(text, f"not below {root}")


@lru_cache(maxsize=1024)
def locate(base: str, name: str, at: Path, root: str, strict: bool) -> Path:
    """The Resource or Resource Instance a record is about; raises ``DecodeError``.

    By RFC 8428 a name is the base name and the name, put together as they are. Real clients forget
    the slash between them, write it twice, or leave out the base name they mean.
    """
    plain = base + name
    spellings = (plain,) if strict or len(plain) > LONGEST + len(root) else _spellings(base, name, at, root)
    for text in spellings:
        with suppress(PathError):
            path = _resource_below(root, text if text.startswith("/") else f"/{text}")
            if path.startswith(at):
                return path
    reason = f"record name {plain[:80]!r} is no Resource"
    raise DecodeError(reason if not at else f"{reason} at or below {at}", path=at)


LONGEST = 2 * len("/65535/65535/65535/65535/")
"""Longer names are nothing to puzzle over, let alone to remember."""


def _spellings(base: str, name: str, at: Path, root: str) -> Iterable[str]:
    yield base + name
    if base and name:
        yield base.rstrip("/") + "/" + name.lstrip("/")
    if not base:
        yield f"{root}{at}/{name}"


def _try_locate(base: str, name: str, scope: Scope) -> Path:
    """The best that can be said about where a record went wrong."""
    try:
        return locate(base, name, scope.at, scope.root, scope.strict)
    except DecodeError:
        return scope.at


# --- fields -------------------------------------------------------------------------------------------


def seconds(field: object) -> int | float:
    """A time field as it is; raises ``ValueRejected`` for what is no usable number."""
    if isinstance(field, (int, float)) and field.__class__ is not bool and abs(field) < 2**62:
        return field
    raise ValueRejected("a time is not a number of seconds", value=field)


def _moment(base: float, time: float, now: float | None) -> float:
    """The time of a record. Microseconds: a sum of decimal fractions is as exact as its parts."""
    moment = base + time
    exact = not base or not time
    if now is not None and moment < RELATIVE:
        moment, exact = moment + now, False
    return moment if exact or moment.__class__ is int else round(moment, 6)


def _refuse_field(label: object, field: object, labels: Labels) -> None:
    """RFC 8428, 4.4: labels nobody knows are ignored unless they end in an underscore."""
    if label in labels[:9]:
        raise ValueRejected(f"field {label!r} has a value of the wrong type", value=field)
    if label in _VERSION and isinstance(field, (int, float)) and field <= VERSION:
        return
    if label in _MEANINGFUL or (isinstance(label, str) and label.endswith("_")):
        raise ValueRejected(f"field {label!r} is not supported", value=field)


VERSION = 10
"""The version of SenML; a pack that names a later one is to be refused (RFC 8428, 4.4)."""
_VERSION = frozenset({"bver", -1})
_MEANINGFUL = frozenset({"bv", "bs", "s", -5, -6, 5}) | _VERSION
"""Base value, base sum and sum change what a value means; LwM2M does not use them."""


# --- packs --------------------------------------------------------------------------------------------


class Pack(NamedTuple):
    """Entries that share a base name and a time."""

    base: str
    time: float | None
    members: list[tuple[str, Value | None]]
    """Name and value; an empty name where the base name says it all."""


def packs(facts: list[Change], scope: Scope) -> list[Pack]:
    """Neighbours of one Object Instance (or multiple-instance Resource) and time, put together.

    A base time holds until the next one, and no record can take it back: entries without a time come
    first.
    """
    facts.sort(key=_is_timed)
    depth = 3 if len(scope.at) == 3 else 2
    made: list[Pack] = []
    ids, moment = None, None
    members: list[Change] = []
    for fact in facts:
        path, _, time = fact
        if path[:depth] != ids or time != moment:
            if members:
                made.append(_pack(members, depth, scope.root))
            ids, moment, members = path[:depth], time, []
        members.append(fact)
    if members:
        made.append(_pack(members, depth, scope.root))
    return made


def _is_timed(fact: Change) -> bool:
    return fact[2] is not None


def _pack(members: Sequence[Change], depth: int, root: str) -> Pack:
    path, value, time = members[0]
    if len(members) == 1:
        return Pack(root + str(path), time, [("", value)])
    base = f"{root}/{'/'.join(map(str, path[:depth]))}/"
    return Pack(base, time, [(relative(path, depth), value) for path, value, _ in members])


@lru_cache(maxsize=8192)
def relative(path: Path, depth: int) -> str:
    """The ids of a path after its first ``depth``, as a name: ``6/0``."""
    return "/".join(map(str, path[depth:]))
