"""Query arguments of a request: result content, filter criteria, paging (TS-0004, 6.4; TS-0009, 6.2.2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final
from urllib.parse import parse_qsl

import attrs

from lwm2m_server.onem2m.conditions import (
    NO_CONDITIONS,
    Conditions,
    Operation,
    condition,
    has_attribute,
    has_type,
    number,
)
from lwm2m_server.onem2m.errors import BadRequest, NotImplementedYet
from lwm2m_server.onem2m.moments import seconds_until
from lwm2m_server.onem2m.names import SHORT

MAX_RESULTS: Final = 1000
"""Children in one answer; the rest is a matter of ``offset``."""
UNLIMITED: Final = 10**6
"""Generations below a target, more than there can be."""


class Response(IntEnum):
    """``rt``, responseType."""

    NON_BLOCKING = 1
    """The result lies in a ``<request>`` resource, later."""
    BLOCKING = 3
    FLEXIBLE = 4
    """As the server likes it: blocking."""
    NONE = 5


class Content(IntEnum):
    """``rcn``, resultContent."""

    NOTHING = 0
    ATTRIBUTES = 1
    ADDRESS = 2
    ADDRESS_AND_ATTRIBUTES = 3
    ATTRIBUTES_AND_CHILDREN = 4
    ATTRIBUTES_AND_REFERENCES = 5
    REFERENCES = 6
    CHILDREN = 8
    MODIFIED = 9
    DISCOVERED = 11


CREATE_CONTENT: Final = frozenset(
    {Content.NOTHING, Content.ATTRIBUTES, Content.ADDRESS, Content.ADDRESS_AND_ATTRIBUTES, Content.MODIFIED}
)
UPDATE_CONTENT: Final = frozenset({Content.NOTHING, Content.ATTRIBUTES, Content.MODIFIED})
RETRIEVE_CONTENT: Final = frozenset(
    {
        Content.NOTHING,
        Content.ATTRIBUTES,
        Content.ATTRIBUTES_AND_CHILDREN,
        Content.ATTRIBUTES_AND_REFERENCES,
        Content.REFERENCES,
        Content.CHILDREN,
        Content.DISCOVERED,
    }
)
DELETE_CONTENT: Final = RETRIEVE_CONTENT - {Content.DISCOVERED}
DISCOVERY_CONTENT: Final = frozenset({Content.REFERENCES, Content.DISCOVERED})

# Legal in oneM2M, and refused rather than ignored.
_UNSUPPORTED: Final = """
    da sqi ma clbl palb lbq chty pty catr patr arp smf cfs cfq gmty geom gsf aq ops
"""


@attrs.frozen(slots=True)
class Query:
    """What a request's query asks for."""

    content: Content | None = None
    discovery: bool = False
    """``fu=1``: all generations are searched, and references to what is found are the answer."""
    types: frozenset[int] = frozenset()
    """``ty``, if it must hold whatever else holds."""
    conditions: Conditions = NO_CONDITIONS
    """The other ones."""
    attributes: tuple[str, ...] = ()
    """``atrl``: short names of the attributes to show; all if none."""
    limit: int = MAX_RESULTS
    offset: int = 0
    """From 0."""
    level: int | None = None
    """Generations below the target; ``None`` where the request does not say."""
    by_id: bool = False
    """References are resource ids (``drt=2``) instead of names."""
    response: Response = Response.BLOCKING
    persistence: float | None = None
    """``rp``: for how many seconds the result of a non-blocking request is kept."""


NO_QUERY: Final = Query()


def parse_query(text: str, allowed: frozenset[Content]) -> Query:
    """Raises ``BadRequest`` for unknown or malformed arguments, ``NotImplementedYet`` for legal ones
    this server does not know."""
    if not text:
        return NO_QUERY
    plain: dict[str, Any] = {}
    tests = []
    for name, values in _arguments(text).items():
        if name in _ARGUMENTS:
            field, read = _ARGUMENTS[name]
            plain[field] = read(name, values)
        elif (test := condition(name, values)) is not None:
            tests.append(test)
        elif name in SHORT:
            tests.append(has_attribute(SHORT[name], values))
        elif name in _UNSUPPORTED.split():
            raise NotImplementedYet(f"the query argument {name} is not supported")
        else:
            raise BadRequest(f"{name} is neither a query argument nor an attribute")
    operation = plain.pop("operation", Operation.AND)
    if operation is not Operation.AND and "types" in plain:
        tests.append(has_type(plain.pop("types")))
    query = Query(**plain, conditions=Conditions(tuple(tests), operation))
    _check_content(query, allowed)
    return query


def _arguments(text: str) -> dict[str, list[str]]:
    given: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        # "+" between several values has become a blank.
        given.setdefault(name, []).extend(value.split(" ") if name in ("ty", "lbl", "atrl") else [value])
    return given


def _check_content(query: Query, allowed: frozenset[Content]) -> None:
    if query.discovery and Content.DISCOVERED not in allowed:
        raise BadRequest("discovery (fu=1) is a matter of RETRIEVE")
    if query.content is None:
        return
    if query.content not in (DISCOVERY_CONTENT if query.discovery else allowed):
        raise BadRequest(
            f"rcn={query.content.value} does not go with {'fu=1' if query.discovery else 'this operation'}"
        )
    if query.content is Content.DISCOVERED and not query.discovery:
        raise BadRequest("rcn=11 goes with discovery (fu=1)")
    if query.attributes and query.content is not Content.ATTRIBUTES:
        raise BadRequest(f"atrl goes with rcn=1, not with rcn={query.content.value}")


def _content(name: str, values: Sequence[str]) -> Content:
    wanted = number(name, values)
    for content in Content:
        if content == wanted:
            return content
    if wanted <= 12:
        raise NotImplementedYet(f"rcn={wanted} is not supported")
    raise BadRequest(f"rcn={wanted} does not exist")


def _types(name: str, values: Sequence[str]) -> frozenset[int]:
    return frozenset(number(name, [value]) for value in values)


def _attributes(name: str, values: Sequence[str]) -> tuple[str, ...]:
    unknown = [value for value in values if value not in SHORT]
    if unknown:
        raise BadRequest(f"{name}: {unknown[0][:40]} is no attribute")
    return tuple(SHORT[value] for value in values)


def _limit(name: str, values: Sequence[str]) -> int:
    return min(number(name, values) or MAX_RESULTS, MAX_RESULTS)


def _offset_from_one(name: str, values: Sequence[str]) -> int:
    wanted = number(name, values)
    if wanted == 0:
        raise BadRequest("ofst counts from 1")
    return wanted - 1


def _level(name: str, values: Sequence[str]) -> int:
    return min(max(number(name, values), 1), UNLIMITED)


def _identifier_type(name: str, values: Sequence[str]) -> bool:
    wanted = number(name, values)
    if wanted not in (1, 2):
        raise BadRequest("drt is 1 (names) or 2 (resource ids)")
    return wanted == 2


def _usage(name: str, values: Sequence[str]) -> bool:
    usage = number(name, values)
    if usage in (1, 2):
        return usage == 1
    if usage in (3, 4):
        raise NotImplementedYet("of filterUsage (fu) 1 and 2, discovery and conditions, are supported")
    raise BadRequest(f"fu={usage} does not exist")


def _response(name: str, values: Sequence[str]) -> Response:
    wanted = number(name, values)
    if wanted == 2:
        raise NotImplementedYet("response type 2 (rt), a notification, is not supported; 1, 3, 4 and 5 are")
    try:
        return Response(wanted)
    except ValueError:
        raise BadRequest("rt is 1 (non-blocking), 3 (blocking), 4 (flexible) or 5 (no response)") from None


def _persistence(name: str, values: Sequence[str]) -> float:
    seconds = seconds_until(name, " ".join(values))
    if seconds <= 0:
        raise BadRequest(f"{name}={values[0][:40]} is over")
    return seconds


def _operation(name: str, values: Sequence[str]) -> Operation:
    try:
        return Operation(number(name, values))
    except ValueError:
        raise BadRequest("fo is 1 (and), 2 (or) or 3 (exclusive or)") from None


_ARGUMENTS: Final = {
    "rcn": ("content", _content),
    "fu": ("discovery", _usage),
    "filterUsage": ("discovery", _usage),
    "fo": ("operation", _operation),
    "ty": ("types", _types),
    "atrl": ("attributes", _attributes),
    "lim": ("limit", _limit),
    "limit": ("limit", _limit),
    "ofst": ("offset", _offset_from_one),
    "offset": ("offset", number),
    "lvl": ("level", _level),
    "rt": ("response", _response),
    "rp": ("persistence", _persistence),
    "drt": ("by_id", _identifier_type),
}
