"""Presence of queue-mode clients (LwM2M Core 1.2, 6.5): awake for a while after each contact."""

from __future__ import annotations

import attrs

from lwm2m_engine.engine.devices import Device
from lwm2m_engine.engine.events import Asleep, Awake
from lwm2m_engine.engine.state import State
from lwm2m_engine.engine.turn import Turn


@attrs.frozen(slots=True)
class Presence:
    """Whether a device can be reached now, and what waits for it."""

    registered: bool
    awake: bool | None
    """``None`` for a client without queue mode."""
    awake_until: float | None
    """Seconds since 1970-01-01 UTC."""
    waiting: int
    in_flight: bool


def of(device: Device) -> Presence:
    awake = device.awake_until is not None if device.queue_mode else None
    return Presence(
        device.registration is not None,
        awake,
        device.awake_until,
        len(device.outbox),
        device.exchange is not None,
    )


def heard(state: State, device: Device, turn: Turn) -> None:
    """A message of the device arrived: its awake window starts anew."""
    if not device.queue_mode:
        device.awake_until = None
        return
    if device.awake_until is None:
        turn.tell(Awake(device.endpoint, turn.now))
    device.awake_until = turn.now + state.settings.awake_window


def sleep(device: Device, turn: Turn) -> None:
    """The device is not reachable any more; said once."""
    if device.awake_until is not None:
        device.awake_until = None
        turn.tell(Asleep(device.endpoint, turn.now))
