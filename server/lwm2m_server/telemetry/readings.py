"""``Readings``: what a device told last, typed by its models."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import attrs

from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ResourceType
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.records import Device
from lwm2m_server.store.reports import SECOND, Reported, Told
from lwm2m_server.telemetry.values import typed


@attrs.frozen(slots=True)
class Reading:
    """A value of a Resource or Resource Instance; ``at`` and ``came`` are seconds since 1970-01-01 UTC."""

    path: Path
    at: float
    """The device's own time, if it told one and has a clock."""
    came: float
    source: str
    """``read``, ``notify``, ``send`` or ``write``."""
    value: Reported
    prefix: str = ""
    """The end device of a gateway that it is of."""


class Readings:
    """Belongs to the event loop; reads on a thread."""

    def __init__(self, ledger: Ledger, models: Callable[[Device], ModelView]) -> None:
        self._ledger, self._models = ledger, models

    async def latest(self, device: Device, paths: Collection[Path] | None = None) -> dict[Path, Reading]:
        """What the device itself told last, at or below these paths; of end devices behind it, nothing."""
        found = await self.everything(device)
        return {
            one.path: one
            for one in found
            if not one.prefix and (paths is None or any(one.path.startswith(path) for path in paths))
        }

    async def everything(self, device: Device) -> Sequence[Reading]:
        """The last value of each place, in order."""
        told = await self._ledger.apart(lambda reader: reader.latest_values(device.node))
        types = self._models(device).types
        readings = [_reading(*divided(place), one, types) for place, one in told.items()]
        return sorted(readings, key=lambda one: (one.prefix, one.path))


def divided(place: str) -> tuple[str, Path]:
    """Prefix and path."""
    if place[:1].isdigit():
        return "", Path(place)
    prefix, _, path = place.partition("/")
    return prefix, Path(path)


def _reading(prefix: str, path: Path, told: Told, types: Callable[[Path], ResourceType | None]) -> Reading:
    value = typed(told.value, types(path))
    return Reading(path, told.at / SECOND, told.came / SECOND, told.source, value, prefix)
