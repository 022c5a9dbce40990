"""Points in time as people write them: ``24h`` ago, ``2026-03-01T12:00``, milliseconds since 1970."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from lwm2m_server.cli.exits import Misuse

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhdw])")
_MILLISECONDS: Final = re.compile(r"[0-9]{9,15}")


def moment(text: str, now: float) -> int:
    """Milliseconds; a duration counts back from ``now`` (seconds). Raises ``Misuse``."""
    if _DURATION.fullmatch(text):
        return max(int(now * 1000) - duration(text), 0)
    if _MILLISECONDS.fullmatch(text):
        return int(text)
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise Misuse(f"{text!r} is no time: 24h, 2026-03-01T12:00 and milliseconds are") from None


def duration(text: str) -> int:
    """Milliseconds. Raises ``Misuse``."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise Misuse(f"{text!r} is no duration: 90s, 15m, 24h, 7d and 2w are")
    return int(float(found[1]) * _UNITS[found[2]] * 1000)
