"""Undecoded: payloads that became no values, as they came; they are read again when models change."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import attrs
import orjson

from lwm2m_engine.paths import Path
from lwm2m_server.store.reports import LARGEST, SECOND

KEPT: Final = 32
"""Payloads of one device that are kept; the oldest go."""

_PUT = """INSERT OR REPLACE INTO undecoded SELECT node, ?, ? FROM device WHERE node = ?"""
_TRIM = """DELETE FROM undecoded WHERE node = ?1 AND number <
    (SELECT number FROM undecoded WHERE node = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)"""
_OF = "SELECT number, document FROM undecoded WHERE node = ? ORDER BY number"
_NODES = "SELECT DISTINCT node FROM undecoded WHERE node > ? ORDER BY node LIMIT ?"


@attrs.frozen(slots=True)
class Undecoded:
    """A payload, and what has to be known to decode it."""

    at: float
    """Seconds since 1970-01-01 UTC."""
    source: str
    path: Path
    paths: tuple[Path, ...]
    """Those of a composite."""
    prefix: str
    content_format: int | None
    payload: bytes
    """Empty for one that is too large to be kept."""
    error: str
    number: int = 0
    """Of the device's; not one that is stored yet."""


class UndecodedReader:
    """The part of a ``Reader`` that is about payloads that became no values."""

    _execute: Callable[..., sqlite3.Cursor]

    def undecoded(self, node: int) -> Sequence[Undecoded]:
        """Oldest first."""
        return [_undecoded(number, document) for number, document in self._execute(_OF, (node,)).fetchall()]

    def nodes_undecoded(self, *, after: int, limit: int) -> Sequence[int]:
        """Nodes that have some of it."""
        return [node for (node,) in self._execute(_NODES, (after, limit)).fetchall()]


class UndecodedWriter:
    """The part of a ``Transaction`` that is about them."""

    _execute: Callable[..., sqlite3.Cursor]

    def add_undecoded(self, node: int, undecoded: Undecoded) -> None:
        number = int(undecoded.at * SECOND)
        self._execute(_PUT, (number, _document(undecoded), node))
        self._execute(_TRIM, (node, KEPT - 1))

    def remove_undecoded(self, node: int, numbers: Collection[int]) -> None:
        for number in numbers:
            self._execute("DELETE FROM undecoded WHERE node = ? AND number = ?", (node, number))


def _document(undecoded: Undecoded) -> bytes:
    payload = undecoded.payload if len(undecoded.payload) <= LARGEST else b""
    document = {
        "at": undecoded.at,
        "source": undecoded.source,
        "path": str(undecoded.path),
        "paths": [str(path) for path in undecoded.paths],
        "prefix": undecoded.prefix,
        "format": undecoded.content_format,
        "payload": base64.b64encode(payload).decode("ascii"),
        "error": undecoded.error.encode("utf-8", "replace").decode("utf-8"),
    }
    return orjson.dumps(document)


def _undecoded(number: int, document: bytes) -> Undecoded:
    found: dict[str, Any] = orjson.loads(document)
    return Undecoded(
        found["at"],
        found["source"],
        Path(found["path"]),
        tuple(map(Path, found["paths"])),
        found["prefix"],
        found["format"],
        base64.b64decode(found["payload"]),
        found["error"],
        number,
    )
