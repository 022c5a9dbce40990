"""The pages of one device, all together."""

from __future__ import annotations

from starlette.routing import Route

from lwm2m_server.console.device import DevicePages
from lwm2m_server.console.device_bootstrap import DeviceBootstrapPages
from lwm2m_server.console.device_composites import CompositePages
from lwm2m_server.console.device_deeds import DeedPages
from lwm2m_server.console.device_desired import DesiredPages
from lwm2m_server.console.device_exchanges import ExchangePages
from lwm2m_server.console.device_history import HistoryPages
from lwm2m_server.console.device_live import LivePages
from lwm2m_server.console.device_mappings import MappingPages
from lwm2m_server.console.device_objects import ObjectPages
from lwm2m_server.console.device_profile import DeviceProfilePages
from lwm2m_server.console.device_queue import QueuePages
from lwm2m_server.console.device_security import SecurityPages
from lwm2m_server.console.device_updates import DeviceUpdatePages


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
