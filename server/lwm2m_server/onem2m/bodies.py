"""JSON bodies from strangers: bounded in size and depth, and every refusal says where."""

from __future__ import annotations

from typing import Any, Final

import orjson

from lwm2m_server.onem2m.errors import BadRequest

MAX_BODY: Final = 2_000_000
"""Bytes."""
MAX_DEPTH: Final = 32
"""Objects and lists inside one another."""


def parse_body(payload: bytes) -> Any:
    """Raises ``BadRequest``, naming line and column of a syntax error."""
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if payload.count(b"{") + payload.count(b"[") > MAX_DEPTH:
        _check_depth(document)
    return document


def _check_depth(document: Any) -> None:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _members(parent) if isinstance(child, (dict, list))]
        if not level:
            return
    raise BadRequest(f"the body is nested more than {MAX_DEPTH} levels deep")


def _members(parent: Any) -> Any:
    if isinstance(parent, dict):
        return parent.values()
    return parent if isinstance(parent, list) else ()
