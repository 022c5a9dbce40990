"""The pages of one device, all together."""

from __future__ import annotations

from starlette.routing import Route

from lwm2m_server.console.device.bootstrap import DeviceBootstrapPages
from lwm2m_server.console.device.composites import CompositePages
from lwm2m_server.console.device.deeds import DeedPages
from lwm2m_server.console.device.desired import DesiredPages
from lwm2m_server.console.device.exchanges import ExchangePages
from lwm2m_server.console.device.frame import DevicePages
from lwm2m_server.console.device.history import HistoryPages
from lwm2m_server.console.device.live import LivePages
from lwm2m_server.console.device.mappings import MappingPages
from lwm2m_server.console.device.objects import ObjectPages
from lwm2m_server.console.device.profile import DeviceProfilePages
from lwm2m_server.console.device.queue import QueuePages
from lwm2m_server.console.device.security import SecurityPages
from lwm2m_server.console.device.updates import DeviceUpdatePages


def device_routes() -> list[Route]:
    """Below ``/console``."""
    return [
        *DevicePages().routes(),
        *ObjectPages().routes(),
        *CompositePages().routes(),
        *DeedPages().routes(),
        *HistoryPages().routes(),
        *LivePages().routes(),
        *MappingPages().routes(),
        *QueuePages().routes(),
        *ExchangePages().routes(),
        *DeviceUpdatePages().routes(),
        *DesiredPages().routes(),
        *DeviceProfilePages().routes(),
        *SecurityPages().routes(),
        *DeviceBootstrapPages().routes(),
    ]
