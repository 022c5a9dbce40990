"""Lists in pages: which rows are shown, and where the rows before and behind them are."""

from __future__ import annotations

from typing import Any

import attrs
from starlette.requests import Request

from lwm2m_server.console.pages import url


@attrs.frozen
class Page:
    """Addresses are ``None`` where there is nothing."""

    first: int
    last: int
    total: int
    previous: str | None
    next: str | None


def offset_of(request: Request) -> int:
    """The query argument; what is no number is the beginning."""
    text = request.query_params.get("offset", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else 0


def page_of(request: Request, rows: list[Any], total: int, limit: int) -> Page:
    """Of a list with ``offset``, ``limit`` and ``total``; other query arguments stay."""
    offset = offset_of(request)
    others = {name: value for name, value in request.query_params.items() if name != "offset"}
    path = request.url.path
    before = url(path, **others, offset=max(offset - limit, 0) or None) if offset else None
    behind = offset + len(rows)
    after = url(path, **others, offset=behind) if rows and behind < total else None
    return Page(min(offset + 1, total), behind, total, before, after)
