"""Where devices fetch packages."""

from __future__ import annotations

from lwm2m_server.store.definitions import Package
from lwm2m_server.store.records import Device
from lwm2m_server.updates.records import Update, UpdateRefused


class Downloads:
    """The place that the package itself names."""

    async def offer(self, update: Update, package: Package, device: Device) -> str:
        """The URI for the device. Raises ``UpdateRefused``."""
        if package.url is None:
            raise UpdateRefused("the package can only be pushed")
        return package.url
