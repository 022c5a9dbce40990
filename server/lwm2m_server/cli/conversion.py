"""Entries written in a format other than the one they came in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lwm2m_engine.codecs import Types, encode
from lwm2m_engine.entries import Entry, latest
from lwm2m_engine.errors import EncodeError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import ROOT, Path
from lwm2m_server.cli.reading import format_name


def common_path(entries: Iterable[Entry]) -> Path:
    """The deepest path that has all the entries at or below it."""
    paths = [entry.path for entry in entries]
    if not paths:
        return ROOT
    # Of sorted paths, what the first and the last have in common, all have.
    first, last = min(paths), max(paths)
    depth = 0
    while depth < min(len(first), len(last)) and first[depth] == last[depth]:
        depth += 1
    return Path(first[:depth])


def rewritten(
    entries: Sequence[Entry], target: ContentFormat, at: Path, types: Types, *, newest: bool
) -> bytes:
    """A payload of ``target``; raises ``EncodeError`` for what it cannot carry.

    ``newest`` keeps the newest value of each path, and drops its time where there is no place for one.
    """
    if newest:
        entries = list(latest(entries).values())
    try:
        return encode(entries, target, at=at, types=types)
    except EncodeError:
        if all(entry.time is None for entry in entries):
            raise
    timeless = [entry._replace(time=None) for entry in latest(entries).values()]
    payload = encode(timeless, target, at=at, types=types)
    if newest:
        return payload
    raise EncodeError(
        f"{format_name(target)} carries no times; --latest keeps the newest value of a path, without its time"
    )


def is_text(target: ContentFormat) -> bool:
    """Whether people read the format as it is."""
    return target.media_type.endswith(("+json", "/plain", "/link-format"))
