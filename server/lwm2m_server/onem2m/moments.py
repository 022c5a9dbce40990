"""Times of requests, absolute or from now (``m2m:absRelTimestamp``; TS-0004, 6.3.3)."""

from __future__ import annotations

import re
import time
from typing import Final

from lwm2m_server.onem2m.errors import BadRequest
from lwm2m_server.store.ids import SECOND, parse_timestamp

_DURATION: Final = re.compile(
    r"P(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,6})?)S)?)?"
)
_MILLISECONDS: Final = re.compile(r"-?\d{1,15}")
_UNITS: Final = (86_400, 3_600, 60, 1)


def seconds_until(name: str, text: str) -> float:
    """Of a timestamp, an ISO 8601 duration (days to seconds), or milliseconds. Raises ``BadRequest``."""
    if _MILLISECONDS.fullmatch(text):
        return int(text) / 1000
    duration = _DURATION.fullmatch(text)
    if duration is not None and any(duration.groups()):
        return sum(float(part or 0) * unit for part, unit in zip(duration.groups(), _UNITS, strict=True))
    try:
        return parse_timestamp(text) / SECOND - time.time()
    except ValueError as error:
        raise BadRequest(
            f"{name}: {text[:40]!r} is no time (20251231T235959), duration (PT30S) or number of milliseconds"
        ) from error
