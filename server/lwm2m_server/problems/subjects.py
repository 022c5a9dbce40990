"""``Subjects``: whose problem it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

from lwm2m_server.store.records import Device, DeviceRef


class _Devices(Protocol):
    def device(self, node: int) -> Device | None: ...
    def device_of_endpoint(self, endpoint: str) -> Device | None: ...


@attrs.frozen(slots=True)
class Subject:
    """A device; or, with node 0, an endpoint name that nobody has, and the tenant that is to hear of it."""

    tenant: str
    node: int
    name: str


@attrs.frozen
class Subjects:
    """Looks up: in memory first."""

    ref: Callable[[str], DeviceRef | None]
    """The device an engine knows by this endpoint name."""
    reader: _Devices
    default: str
    """The server's own tenant."""

    def at(self, endpoint: str) -> Subject:
        """Of an endpoint name nobody has the server's own tenant."""
        ref = self.ref(endpoint)
        if ref is not None:
            return Subject(ref.tenant, ref.node, ref.name)
        device = self.reader.device_of_endpoint(endpoint) if endpoint else None
        if device is not None:
            return Subject(device.tenant, device.node, device.name)
        return Subject(self.default, 0, endpoint)

    def of(self, node: int) -> Subject | None:
        """Of a device that is there."""
        device = self.reader.device(node)
        return None if device is None else Subject(device.tenant, node, device.name)
