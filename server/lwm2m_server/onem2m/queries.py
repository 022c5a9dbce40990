"""Query arguments of a request: result content, filter criteria, paging (TS-0004, 6.4; TS-0009, 6.2.2.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, Final
from urllib.parse import parse_qsl

import attrs

from lwm2m_server.onem2m.errors import BadRequest, NotImplementedYet
from lwm2m_server.onem2m.names import SHORT

MAX_RESULTS: Final = 1000
"""Children in one answer; the rest is a matter of ``offset``."""


class Content(IntEnum):
    """``rcn``, resultContent."""

    NOTHING = 0
    ATTRIBUTES = 1
    ATTRIBUTES_AND_CHILDREN = 4
    ATTRIBUTES_AND_REFERENCES = 5
    REFERENCES = 6
    CHILDREN = 8
    MODIFIED = 9


CREATE_CONTENT: Final = frozenset({Content.NOTHING, Content.ATTRIBUTES, Content.MODIFIED})
DELETE_CONTENT: Final = frozenset({Content.NOTHING, Content.ATTRIBUTES})
RETRIEVE_CONTENT: Final = frozenset(Content) - {Content.MODIFIED}

# Legal in oneM2M, and refused rather than ignored.
_UNSUPPORTED: Final = """
    rt rp da sqi atrl ma fo crb cra ms us sts stb exb exa clbl palb lbq chty pty sza szb cty catr patr arp
    smf cfs cfq gmty geom gsf aq ops
"""


@attrs.frozen(slots=True)
class Query:
    """What a request's query asks for. Conditions are AND-ed, the values of one condition OR-ed."""

    content: Content | None = None
    types: frozenset[int] = frozenset()
    labels: frozenset[str] = frozenset()
    equals: tuple[tuple[str, frozenset[str]], ...] = ()
    """Short attribute names and the texts they may have."""
    limit: int = MAX_RESULTS
    offset: int = 0
    """From 0."""
    level: int = 1
    """Generations below the target."""
    by_id: bool = False
    """References are resource ids (``drt=2``) instead of names."""

    @property
    def filters(self) -> bool:
        """True if representations must be looked into."""
        return bool(self.labels or self.equals)

    def accepts(self, representation: Mapping[str, Any]) -> bool:
        """Whether a child, by its short names, meets the conditions (``types`` excepted)."""
        if self.labels and self.labels.isdisjoint(representation.get("lbl", ())):
            return False
        return all(_text(representation.get(name)) in texts for name, texts in self.equals)


NO_QUERY: Final = Query()


def parse_query(text: str, allowed: frozenset[Content]) -> Query:
    """Raises ``BadRequest`` for unknown or malformed arguments, ``NotImplementedYet`` for legal ones
    this server does not know."""
    if not text:
        return NO_QUERY
    given: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        # "+" between several values has become a blank.
        given.setdefault(name, []).extend(value.split(" ") if name in ("ty", "lbl") else [value])
    plain: dict[str, Any] = {}
    equals = []
    for name, values in given.items():
        if name in _ARGUMENTS:
            field, read = _ARGUMENTS[name]
            plain[field] = read(name, values)
        elif name in SHORT:
            equals.append((SHORT[name], frozenset(values)))
        elif name in _UNSUPPORTED.split():
            raise NotImplementedYet(f"the query argument {name} is not supported yet")
        else:
            raise BadRequest(f"{name} is neither a query argument nor an attribute")
    plain.pop("usage", None)
    query = Query(**plain, equals=tuple(equals))
    if query.content is not None and query.content not in allowed:
        raise BadRequest(f"rcn={query.content.value} does not go with this operation")
    return query


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _number(name: str, values: Sequence[str]) -> int:
    if len(values) == 1 and values[0].isascii() and values[0].isdigit() and len(values[0]) <= 18:
        return int(values[0])
    raise BadRequest(f"{name}={' '.join(values)[:40]} is not a number")


def _content(name: str, values: Sequence[str]) -> Content:
    number = _number(name, values)
    for content in Content:
        if content == number:
            return content
    if number <= 12:
        raise NotImplementedYet(f"rcn={number} is not supported yet")
    raise BadRequest(f"rcn={number} does not exist")


def _types(name: str, values: Sequence[str]) -> frozenset[int]:
    return frozenset(_number(name, [value]) for value in values)


def _labels(name: str, values: Sequence[str]) -> frozenset[str]:
    # A label may hold a blank itself: "updates_timestamp: 1738537906296".
    return frozenset(values) | {" ".join(values)}


def _limit(name: str, values: Sequence[str]) -> int:
    return min(_number(name, values) or MAX_RESULTS, MAX_RESULTS)


def _offset_from_one(name: str, values: Sequence[str]) -> int:
    number = _number(name, values)
    if number == 0:
        raise BadRequest("ofst counts from 1")
    return number - 1


def _level(name: str, values: Sequence[str]) -> int:
    return max(_number(name, values), 1)


def _identifier_type(name: str, values: Sequence[str]) -> bool:
    number = _number(name, values)
    if number not in (1, 2):
        raise BadRequest("drt is 1 (names) or 2 (resource ids)")
    return number == 2


def _usage(name: str, values: Sequence[str]) -> None:
    if _number(name, values) != 2:
        raise NotImplementedYet("of filterUsage (fu) only 2, conditional retrieval, is supported yet")


_ARGUMENTS: Final = {
    "rcn": ("content", _content),
    "ty": ("types", _types),
    "lbl": ("labels", _labels),
    "lim": ("limit", _limit),
    "limit": ("limit", _limit),
    "ofst": ("offset", _offset_from_one),
    "offset": ("offset", _number),
    "lvl": ("level", _level),
    "drt": ("by_id", _identifier_type),
    "fu": ("usage", _usage),
}
