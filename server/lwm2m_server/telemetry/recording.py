"""From what a device said to what is kept of it, whether or not anybody asked for that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from lwm2m_engine.coap import is_success
from lwm2m_engine.engine.events import Received
from lwm2m_engine.entries import Entry
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_server.store.reports import DELETE, Sample, Untyped, report
from lwm2m_server.store.transaction import Transaction
from lwm2m_server.store.undecoded import Undecoded

Write: TypeAlias = Callable[[Transaction], object]

SOURCES: Final[Mapping[str, str]] = {"response": "read", "notification": "notify", "send": "send"}
"""By the kind of an event."""
UNTYPED: Final = frozenset({None, ContentFormat.TEXT, ContentFormat.OPAQUE, ContentFormat.TLV})
"""Formats that do not say what type a value has."""


def record(event: Received, node: int, models: ModelView) -> Write | None:
    """``None`` for what has no values. What could not be decoded is kept as it came."""
    samples: Sequence[Sample] = event.entries
    if samples:
        source, content_format = SOURCES[event.kind], event.content_format
        if content_format in UNTYPED:
            samples = samples_of(event.entries, content_format, models)
        complete = is_complete(source, event.path, event.paths)
        line = report(event.at, source, samples, is_complete=complete, prefix=event.prefix)
    elif event.written:
        line = report(event.at, "write", event.written, prefix=event.prefix)
    elif event.operation == "delete" and is_success(event.code):
        line = report(event.at, DELETE, ((event.path, True, None),), prefix=event.prefix)
    elif event.error is not None and event.payload:
        undecoded = _undecoded(event)
        return lambda write: write.add_undecoded(node, undecoded)
    else:
        return None
    return lambda write: write.add_values(node, line)


def unknown(event: Received, models: ModelView) -> Sequence[Path]:
    """Of values whose Resources have no model.

    A notification of one path tells of Resources that the answer to Observe told before; only its Object is
    looked at, whose model may be gone since.
    """
    is_single = event.kind == "notification" and event.path and not event.paths
    if event.prefix or (is_single and models.object(event.path[0]) is not None):
        return ()
    types = models.types
    return [path for path, _, _ in event.entries if types(path) is None]


def is_complete(source: str, path: Path, paths: Sequence[Path]) -> bool:
    """Whether a message tells all there is at its path; of a composite or a Send nobody knows that."""
    return source != "send" and not paths and len(path) < 4


def samples_of(entries: Sequence[Entry], content_format: int | None, models: ModelView) -> Sequence[Sample]:
    """Of Resources without a model, the format is kept: once there is a model, it tells the type."""
    if content_format not in UNTYPED:
        return entries
    format = ContentFormat.TEXT if content_format is None else content_format
    return [
        (path, Untyped(format, value), time)
        if isinstance(value, (str, bytes)) and models.types(path) is None
        else (path, value, time)
        for path, value, time in entries
    ]


def _undecoded(event: Received) -> Undecoded:
    return Undecoded(
        event.at,
        SOURCES[event.kind],
        event.path,
        event.paths,
        event.prefix,
        event.content_format,
        event.payload,
        event.error or "",
    )
