"""Lists in pages: ``limit`` and ``offset`` in the query, ``total`` and ``nextOffset`` in the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import attrs
from starlette.requests import Request

from lwm2m_server.http.describing import COUNT, LIMIT, PLACE, Parameter, Schema, array, obj
from lwm2m_server.http.devices import MAX_ROWS, number_of

T = TypeVar("T")

PAGED: Final = (LIMIT, Parameter("offset", PLACE, "leave out so many"))


def pages_of(name: str, row: Schema, **first: Schema) -> Schema:
    """Of what ``Page.document`` makes."""
    required = " ".join([*first, name, "total"])
    return obj(required, **first, **{name: array(row)}, total=COUNT, nextOffset=COUNT)


@attrs.frozen
class Page:
    """Which rows are asked for."""

    limit: int
    offset: int

    @classmethod
    def asked(cls, request: Request, usual: int = MAX_ROWS) -> Page:
        """``usual`` is how many if the request does not say. Raises ``Problem``."""
        limit = max(1, min(number_of(request, "limit", usual), MAX_ROWS))
        return cls(limit, number_of(request, "offset", 0))

    def of(self, rows: Sequence[T]) -> Sequence[T]:
        return rows[self.offset : self.offset + self.limit]

    def document(self, name: str, rows: Sequence[object], total: int, **first: Any) -> dict[str, Any]:
        """``rows`` are those of this page, ``total`` counts those of all."""
        document = {**first, name: rows, "total": total}
        if self.offset + self.limit < total:
            document["nextOffset"] = self.offset + self.limit
        return document
