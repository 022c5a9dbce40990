"""Which Objects the devices of a tenant announced: devices of one type announce the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

_COUNT: Final = """SELECT announcement, json_extract(registration, '$.version'), count(*) FROM device
    WHERE tenant = ? AND registration IS NOT NULL AND announcement IS NOT NULL GROUP BY 1, 2"""
_NAMES: Final = """SELECT name FROM device WHERE tenant = ? AND announcement = ?
    AND json_extract(registration, '$.version') = ? ORDER BY name LIMIT ?"""


@attrs.frozen(slots=True)
class Announced:
    """What some registered devices have in common."""

    tenant: str
    hash: bytes
    enabler: str
    """Version of LwM2M."""
    objects: Mapping[int, str]
    """Object versions."""
    devices: int


class AnnouncementReader:
    """The part of a ``Reader`` that is about what devices announce."""

    _execute: Callable[..., sqlite3.Cursor]
    _announcement: Callable[[bytes], Mapping[str, Any]]

    def announced(self, tenant: str) -> Sequence[Announced]:
        rows = self._execute(_COUNT, (tenant,)).fetchall()
        return [
            Announced(tenant, hash, enabler, self._announcement(hash)["objects"], devices)
            for hash, enabler, devices in rows
        ]

    def announcing(self, one: Announced, limit: int) -> Sequence[str]:
        rows = self._execute(_NAMES, (one.tenant, one.hash, one.enabler, limit))
        return [name for (name,) in rows.fetchall()]
