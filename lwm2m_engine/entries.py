"""``Entry``: one value at one place and time; the only data shape between codecs, models and stores."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lwm2m_engine.paths import Path
from lwm2m_engine.values import Value


class Entry(NamedTuple):
    """A value at a Resource or Resource Instance.

    ``time`` is in seconds since 1970-01-01 UTC, or ``None`` when the payload gave none. ``value`` is
    ``None`` where a format lists a path without a value (composite reads) or deletes (LwM2M 1.2).
    """

    path: Path
    value: Value | None
    time: float | None = None


def latest(entries: Iterable[Entry]) -> dict[Path, Entry]:
    """The newest entry of each path; an entry without a time counts as newest (it means "now")."""
    newest: dict[Path, Entry] = {}
    for entry in entries:
        known = newest.get(entry.path)
        if known is None or _is_newer(entry, known):
            newest[entry.path] = entry
    return newest


def _is_newer(entry: Entry, known: Entry) -> bool:
    if entry.time is None:
        return True
    return known.time is not None and entry.time >= known.time
