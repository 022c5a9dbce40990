"""The pages of one device, all together."""

from __future__ import annotations

from starlette.routing import Route

from lwm2m_server.console.device import DevicePages
from lwm2m_server.console.device_composites import CompositePages
from lwm2m_server.console.device_deeds import DeedPages
from lwm2m_server.console.device_history import HistoryPages
from lwm2m_server.console.device_live import LivePages
from lwm2m_server.console.device_objects import ObjectPages


def device_routes() -> list[Route]:
    """Below ``/console``."""
    return [
        *DevicePages().routes(),
        *ObjectPages().routes(),
        *CompositePages().routes(),
        *DeedPages().routes(),
        *HistoryPages().routes(),
        *LivePages().routes(),
    ]
