"""Values and units as people read them."""

from __future__ import annotations

import json
import time

from lwm2m_engine.mapping.managed import AttributeValue
from lwm2m_engine.values import Value

UNITS = {"/100": "%", "Cel": "°C", "lat": "°", "lon": "°"}
"""SenML's spelling of a unit (RFC 8428, 12.1; RFC 8798) -> the usual one."""


def quantity(value: Value | None, units: str) -> str:
    """A value with its unit."""
    return f"{literal(value)} {UNITS.get(units, units)}".rstrip()


def literal(value: AttributeValue | None) -> str:
    """A value as one would type it: text in quotes, a geo URI as it is."""
    if value is None:
        return "nothing"
    if isinstance(value, bytes):
        return f"0x{value.hex()}" if len(value) <= 16 else f"{len(value)} bytes"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, str):
        return value if value.startswith("geo:") else json.dumps(value, ensure_ascii=False)
    return str(value)


def clock(milliseconds: int | None) -> str:
    """A moment of the server as the local time; empty for none."""
    if milliseconds is None:
        return ""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(milliseconds / 1000))
