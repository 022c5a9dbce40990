"""Which content format to use with a device that does not say (LwM2M Core 1.2, 7.4).

1.0 clients must speak TLV, later ones SenML CBOR. What a client announces in ``ct`` comes first; what
it has refused (4.06, 4.15) is remembered and not asked for again.
"""

from __future__ import annotations

from functools import lru_cache

from lwm2m_engine.coap import Code
from lwm2m_engine.engine import relations
from lwm2m_engine.engine.devices import Device, Exchange
from lwm2m_engine.formats import COMPOSITE_FORMATS, ContentFormat
from lwm2m_engine.messages.requests import (
    Cancel,
    CancelComposite,
    Create,
    Observe,
    ObserveComposite,
    Read,
    ReadComposite,
    Single,
    Write,
    WriteComposite,
)

PREFERRED = {
    "1.0": (ContentFormat.TLV, ContentFormat.OMA_JSON),
    "1.1": (ContentFormat.SENML_CBOR, ContentFormat.TLV, ContentFormat.SENML_JSON, ContentFormat.OMA_JSON),
    "1.2": (
        ContentFormat.SENML_CBOR,
        ContentFormat.TLV,
        ContentFormat.SENML_JSON,
        ContentFormat.LWM2M_CBOR,
        ContentFormat.OMA_JSON,
    ),
}
"""By enabler version of the device, the first it has not refused counts."""
COMPOSITE_DEFAULT = ContentFormat.SENML_CBOR
_REFUSALS = frozenset({Code.NOT_ACCEPTABLE, Code.UNSUPPORTED_CONTENT_FORMAT})


def choose(device: Device, request: Single) -> int | None:
    """The format to accept or to write in; ``None`` leaves the choice to the device."""
    if isinstance(request, (Cancel, CancelComposite)):
        # Its options are those of the Observe it ends (RFC 7641, 3.6).
        relation = relations.live(device, request)
        return relation.accept if relation is not None else None
    explicit = _explicit(request)
    if explicit is not None:
        return explicit
    candidates = _candidates(device, request)
    if not device.refused_formats:
        return candidates[0] if candidates else None
    level = _level(request)
    for number in candidates:
        if (level, number) not in device.refused_formats:
            return number
    return None


def refused(device: Device, exchange: Exchange, code: int) -> bool:
    """Note that the device refused the format of an exchange; true if another one is left to try."""
    request = exchange.request
    if isinstance(request, (Cancel, CancelComposite)):
        return False
    if code not in _REFUSALS or _explicit(request) is not None or exchange.content_format is None:
        return False
    device.refused_formats |= {(_level(request), exchange.content_format)}
    # Reads have a last resort: ask without Accept.
    return isinstance(request, (Read, Observe)) or choose(device, request) is not None


def _explicit(request: Single) -> int | None:
    """The format a request names itself; text/plain is 0."""
    named: int | None = getattr(request, "accept", None)
    if named is None:
        named = getattr(request, "content_format", None)
    return None if named is None else int(named)


def _candidates(device: Device, request: Single) -> tuple[int, ...]:
    registration = device.registration
    if isinstance(request, (ReadComposite, ObserveComposite, WriteComposite)):
        return _announced_first(COMPOSITE_FORMATS, registration.formats if registration is not None else ())
    if isinstance(request, Create) and not request.instances:
        # Only TLV can leave the Instance ID to the device: every other format writes out a path.
        return (ContentFormat.TLV,)
    if registration is None or not isinstance(request, (Read, Observe, Write, Create)):
        return ()
    candidates: tuple[int, ...] = PREFERRED[registration.version]
    if isinstance(request, (Write, Create)) and len(request.path) >= 3 and len(request.entries) == 1:
        candidates = (*candidates, ContentFormat.TEXT)
    if registration.version == "1.0":
        # TLV stands in every 1.0 list, announced or not: there the client's own order tells more.
        own = tuple(number for number in registration.formats if number in candidates)
        return (*own, *(number for number in candidates if number not in own))
    return _announced_first(candidates, registration.formats)


@lru_cache(maxsize=1024)
def _announced_first(candidates: tuple[int, ...], announced: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(candidates, key=lambda number: number not in announced))


def _level(request: Single) -> str:
    """Formats are learnt for each path level: a client may do TLV for Instances and text for values."""
    kind = "write" if isinstance(request, (Write, Create, WriteComposite)) else "read"
    return f"{kind} {request.prefix} {request.path.level}"
