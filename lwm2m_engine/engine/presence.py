"""Presence of clients that sleep (queue mode, LwM2M Core 1.2, 6.5; PSM, eDRX): awake for a while after each
contact."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, cast

import attrs

from lwm2m_engine.engine.devices import Client, Device
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
    transferred: tuple[int, int] | None = None
    """Of a long request under way: bytes the device has acknowledged, and bytes in all."""
    listens_at: float | None = None
    """When a sleeper is asked next although it does not speak (PSM, eDRX); ``None`` if nothing waits."""
    heard_at: float | None = None
    """When it said something last: see ``Device.heard_at``."""


def of(device: Device) -> Presence:
    awake = device.awake_until is not None if device.sleeps else None
    return Presence(
        device.registration is not None,
        awake,
        device.awake_until,
        sum(not waiting.sent for waiting in device.outbox),
        device.exchange is not None,
        device.exchange.transferred if device.exchange is not None else None,
        device.resume_at if awake is False and device.power is not None and device.power.cycle else None,
        device.heard_at or None,
    )


PART: Final = 2_000
"""Clients looked at in one go: some tenths of a millisecond."""


def clients(
    devices: Mapping[str, Device], endpoints: Iterable[str] | None, asleep: bool | None
) -> Iterator[Sequence[Client]]:
    """``Engine.clients``."""
    # A copy: the next part is asked for when others have come and gone.
    rest = iter(tuple(devices.values())) if endpoints is None else map(devices.get, endpoints)
    while part := list(islice(rest, PART)):
        there = [device for device in part if device is not None and device.registration is not None]
        if asleep is not None:
            there = [device for device in there if (device.awake_until is None and device.sleeps) is asleep]
        yield cast("Sequence[Client]", there)


def heard(state: State, device: Device, turn: Turn) -> None:
    """A message of the device arrived: its awake window starts anew."""
    device.heard_at = turn.now
    _stay_awake(state, device, turn)


def _stay_awake(state: State, device: Device, turn: Turn) -> None:
    if device.setup is not None:
        device.setup.paused = False
    if not device.sleeps:
        device.awake_until = None
        return
    if device.awake_until is None:
        _wake(device, turn)
    device.awake_until = turn.now + _window(state, device)
    device.asleep_since = None


def resume(state: State, device: Device, turn: Turn) -> None:
    """Presence is not stored: it follows from when the device was last heard. Tells nothing."""
    if device.liveness is None:
        return
    device.heard_at = device.liveness.seen_at
    if device.sleeps:
        until = device.heard_at + _window(state, device)
        device.awake_until = until if until > turn.now else None
        device.asleep_since = until if until <= turn.now else None


def follow(state: State, device: Device, turn: Turn) -> None:
    """Other times hold: a device that listens goes on to, one that sleeps sleeps until it is heard."""
    if not device.sleeps:
        if device.asleep_since is not None and device.awake_until is None:
            _wake(device, turn)
        device.awake_until = device.asleep_since = None
    elif device.awake_until is not None or device.asleep_since is None:
        _stay_awake(state, device, turn)


def _window(state: State, device: Device) -> float:
    own = device.power.awake_window if device.power is not None else None
    return state.settings.awake_window if own is None else own


def sleep(device: Device, turn: Turn) -> None:
    """The device is not reachable any more; said once."""
    if device.awake_until is not None:
        device.awake_until = None
        device.asleep_since = turn.now if device.asleep_since is None else device.asleep_since
        turn.tell(Asleep(device.endpoint, turn.now))


def listen_later(state: State, device: Device, turn: Turn) -> None:
    """Some devices listen once a cycle; that is of interest only when something waits for it."""
    cycle = device.power.cycle if device.power is not None else None
    if cycle is None or device.reachable or device.resume_at is not None:
        return
    if device.registration is not None and device.has_work:
        since = device.asleep_since if device.asleep_since is not None else turn.now
        if device.power is not None and device.power.psm:
            # T3412 runs from the last contact, eDRX cycles from the end of the window after it.
            since -= _window(state, device)
        device.resume_at = since + (math.floor((turn.now - since) / cycle) + 1) * cycle


def listens(state: State, device: Device, turn: Turn) -> None:
    """The time it listens of itself has come."""
    power = device.power
    if power is not None and power.cycle is not None and not device.reachable and device.sleeps:
        _wake(device, turn)
        device.awake_until = turn.now + (_window(state, device) if power.psm else power.paging_window)


def _wake(device: Device, turn: Turn) -> None:
    device.resume_at = None
    turn.tell(Awake(device.endpoint, turn.now))
