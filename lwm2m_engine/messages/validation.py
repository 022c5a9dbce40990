"""A request against the models: what a device that follows them will refuse."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from lwm2m_engine.attributes import Attributes, check_attributes
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.messages.requests import (
    Create,
    Delete,
    Execute,
    Observe,
    ObserveComposite,
    ObserveLinks,
    Read,
    ReadComposite,
    Request,
    Write,
    WriteAttributes,
    WriteComposite,
    WriteObject,
)
from lwm2m_engine.model.validation import Findings, Operation, inspect
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import ROOT, Path


@attrs.frozen(slots=True)
class _Part:
    """One operation at one place, which can be checked by itself."""

    at: Path
    operation: Operation
    entries: tuple[Entry, ...] = ()
    attributes: Attributes = ()


def validate(
    request: Request, models: ModelView, *, version: str | None = None, strict_ranges: bool = False
) -> tuple[ValueRejected, ...]:
    """Raise an ``ExceptionGroup`` of ``ValueRejected``: what is wrong with values, operations and attributes.

    Returned are values outside their range, which ``strict_ranges`` makes faults. With the enabler
    ``version`` of the device, attributes that it does not know are faults. The engine does not ask this: a
    device may know better than its model, so it is for the caller to decide.
    """
    findings = Findings()
    for part in _parts(request):
        findings += inspect(part.entries, models, part.at, part.operation)
        findings += _inspect_attributes(part, models, version)
    return findings.verdict(f"{request.operation} {request.path}", strict_ranges=strict_ranges)


def _inspect_attributes(part: _Part, models: ModelView, version: str | None) -> Findings:
    try:
        check_attributes(part.attributes, part.at, kind=models.types(part.at), version=version)
    except ValueRejected as fault:
        return Findings((fault,))
    return Findings()


def _parts(request: Request) -> Iterator[_Part]:
    match request:
        case Write(path, entries, replace):
            yield _Part(path, "replace" if replace and len(path) == 2 else "write", entries)
        case WriteObject(instances=writes):
            for write in writes:
                yield from _parts(write)
        case WriteComposite(entries):
            yield _Part(ROOT, "write", entries)
        case Create(path, entries):
            yield _Part(path, "create", entries)
        case Delete(path) if len(path) == 4:
            yield _Part(path, "write")
        case Execute(path):
            yield _Part(path, "execute")
        case Read(path):
            yield _Part(path, "read")
        case Observe(path, attributes) | WriteAttributes(path, attributes):
            yield _Part(path, "read", attributes=attributes)
        case ObserveLinks(links):
            for path, attributes in links:
                yield _Part(path, "read", attributes=attributes)
        case ReadComposite(paths) | ObserveComposite(paths):
            for path in paths:
                yield _Part(path, "read")
