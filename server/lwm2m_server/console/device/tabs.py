"""The tabs of a device, in their order."""

from __future__ import annotations

from typing import Final

import attrs

from lwm2m_server.access.callers import Role
from lwm2m_server.console.backend import segment
from lwm2m_server.console.viewer import Viewer


@attrs.frozen
class Tab:
    """``place`` is behind the address of the device."""

    label: str
    place: str
    role: Role = Role.READ


TABS: Final[tuple[Tab, ...]] = (
    Tab("Overview", ""),
    Tab("Objects", "/objects"),
    Tab("History", "/history"),
    Tab("Mapping", "/mappings"),
    Tab("Queue", "/queue"),
    Tab("Exchanges", "/exchanges"),
    Tab("Updates", "/updates"),
    Tab("Desired", "/desired"),
    Tab("Profile", "/profile"),
    Tab("Security", "/security"),
    Tab("Bootstrap", "/bootstrap"),
)


def address(name: str, place: str = "") -> str:
    """Of a page of a device."""
    return f"/console/devices/{segment(name)}{place}"


def tabs_of(viewer: Viewer, name: str, current: str) -> list[tuple[str, str, bool]]:
    """Addresses, labels, and whether it is the one that is seen: for the macro ``tabs``."""
    return [
        (address(name, one.place), one.label, one.label == current) for one in TABS if viewer.may(one.role)
    ]
