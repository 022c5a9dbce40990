"""How a route says what it is: ``@described(…)`` beside it, read by ``openapi``.

    @described("A device", query=(TENANT,), answers={200: DEVICE}, problems=(404,))
    async def show_device(self, request: Request) -> Response: ...

Schemas are JSON Schema 2020-12, as OpenAPI 3.1 has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

import attrs

Schema: TypeAlias = Mapping[str, Any]
F = TypeVar("F", bound=Callable[..., Any])

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
NOWHERE: Final[Mapping[Any, Any]] = MappingProxyType({})


@attrs.frozen
class Parameter:
    """One of a query, a path or the headers."""

    name: str
    schema: Schema
    meaning: str
    place: str = "query"
    required: bool = False


@attrs.frozen
class Operation:
    """What one method of a route does."""

    summary: str
    parameters: tuple[Parameter, ...] = ()
    """Besides those in the path."""
    body: Mapping[str, Schema] = NOWHERE
    """By media type."""
    answers: Mapping[int, Schema | None] = NOWHERE
    """By status; ``None`` is an answer without a body."""
    media_type: str = JSON
    """Of the answers."""
    more: Mapping[str, Schema] = NOWHERE
    """Other media types of the first answer."""
    problems: tuple[int, ...] = ()
    """Statuses with problem details, besides those that every route has."""
    is_public: bool = False
    """It is answered without authentication."""
    fault: Schema | None = None
    """How ``problems`` are told, where not as problem details."""


def described(
    summary: str,
    *,
    query: tuple[Parameter, ...] = (),
    body: Schema | None = None,
    form: Schema | None = None,
    files: Sequence[str] = (),
    answers: Mapping[int, Schema | None],
    problems: tuple[int, ...] = (),
    method: str | None = None,
    **more: Any,
) -> Callable[[F], F]:
    """Say what an endpoint does: JSON, a form or ``files`` of these media types in, JSON out. With ``method``
    only what that one does.

    ``more`` are members of ``Operation``.
    """
    if body is not None:
        more["body"] = {JSON: body}
        problems = (*problems, 400, 413)
    if form is not None:
        more["body"] = {FORM: form}
    if files:
        found = {one: _PARTS if one == MULTIPART else BINARY for one in files}
        more["body"] = {**more.get("body", {}), **found}
        problems = (*problems, 400, 413, 415)
    operation = Operation(summary, parameters=query, answers=answers, problems=problems, **more)

    def mark(endpoint: F) -> F:
        known: Mapping[str | None, Operation] = getattr(endpoint, _MARK, {})
        setattr(endpoint, _MARK, {**known, method: operation})
        return endpoint

    return mark


def operation_of(endpoint: object, method: str) -> Operation | None:
    """What was said of an endpoint."""
    known: Mapping[str | None, Operation] = getattr(endpoint, _MARK, {})
    return known.get(method, known.get(None))


_MARK: Final = "__described__"


# --- schemas ------------------------------------------------------------------------------------------


def obj(required: str = "", /, **properties: Schema) -> Schema:
    """An object that may get more members later; ``required`` names those that are always there, in one
    text, ``*`` for all."""
    names = list(properties) if required == "*" else required.split()
    found: dict[str, Any] = {"type": "object", "properties": properties}
    return {**found, "required": names} if names else found


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def nullable(schema: Schema) -> Schema:
    if "type" in schema and isinstance(schema["type"], str):
        values = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
        return {**schema, "type": [schema["type"], "null"], **values}
    return {"anyOf": [schema, {"type": "null"}]}


def enum(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def ref(name: str) -> Schema:
    """One of the components (``schemas``)."""
    return {"$ref": f"#/components/schemas/{name}"}


def any_of(values: Schema) -> Schema:
    """An object whose members are all alike."""
    return {"type": "object", "additionalProperties": values}


STRING: Final[Schema] = {"type": "string"}
INTEGER: Final[Schema] = {"type": "integer"}
NUMBER: Final[Schema] = {"type": "number"}
BOOLEAN: Final[Schema] = {"type": "boolean"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
ANYTHING: Final[Schema] = {}
LATEST: Final = 253_402_300_799_999
"""Milliseconds since 1970-01-01 UTC: the end of the year 9999."""
TIME: Final[Schema] = {"type": "integer", "description": "milliseconds since 1970-01-01 UTC"}
OFTEN_TIME: Final = nullable(TIME)

TEXTS: Final[Schema] = {"type": ["array", "string", "null"], "items": STRING}
"""A list of them; one alone is a list, too."""
BINARY: Final[Schema] = {"type": "string", "format": "binary"}
_PARTS: Final = obj("file", file=array(BINARY))

NODE: Final[Schema] = {**COUNT, "maximum": 999_999_999_999_999_999}
"""The number of a device's node, after which a page begins."""
PLACE: Final[Schema] = {**COUNT, "maximum": 999_999_999_999}
"""What ``number_of`` reads."""

TENANT: Final = Parameter(
    "tenant", STRING, "name of the tenant; without it, the caller's or the server's own"
)
LIMIT: Final = Parameter("limit", PLACE, "at most so many")
