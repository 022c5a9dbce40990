"""Bringing a device back from what a store kept, after a restart or a failed commit."""

from __future__ import annotations

from lwm2m_engine.engine import outbox, presence, setups
from lwm2m_engine.engine.devices import Device
from lwm2m_engine.engine.records import DeviceRecord, Waiting
from lwm2m_engine.engine.state import State
from lwm2m_engine.engine.step import Abort
from lwm2m_engine.engine.turn import Turn


def restore(state: State, record: DeviceRecord, turn: Turn, *, resume: bool) -> Device:
    """Replace the state of one device; sends what waits when ``resume`` is true."""
    former = state.devices.get(record.endpoint)
    _clear(state, record.endpoint, turn)
    device = state.device(record.endpoint)
    device.inputs = dict(record.inputs)
    device.power = record.power
    if record.registration is not None and record.liveness is not None:
        state.attach(device, record.registration, record.liveness)
        presence.resume(state, device, turn)
    _relate(state, device, record)
    device.outbox = _repeatable(state, device, record, turn)
    if former is not None and former.arrangement is not None:
        setups.arrange(device, former.arrangement, turn)
    if not resume:
        device.resume_at = turn.now + state.settings.retry_after
    outbox.advance(state, device, turn)
    state.deadlines.watch(device)
    return device


def _relate(state: State, device: Device, record: DeviceRecord) -> None:
    """Relations of the live registration go on; the others are wanted."""
    live = device.registration.id if device.registration is not None else None
    for observation in record.observations:
        if observation.registration == live:
            state.remember(device, observation)
        else:
            device.wanted = (*device.wanted, observation)


def _clear(state: State, endpoint: str, turn: Turn) -> None:
    device = state.devices.pop(endpoint, None)
    if device is None:
        return
    exchange = state.close_exchange(device)
    if exchange is not None:
        turn.do(Abort(endpoint, exchange.id))
        if exchange.token is not None:
            state.by_token.pop(exchange.token, None)
    for token in tuple(device.observations):
        state.drop(device, token)
    state.detach(device)
    # Its entry in the deadlines is void: no device equals it any more.
    device.due = None


def _repeatable(state: State, device: Device, record: DeviceRecord, turn: Turn) -> list[Waiting]:
    """What was in flight is sent again, except what must not happen twice."""
    kept = []
    for waiting in record.outbox:
        if (waiting.in_flight or waiting.sent) and isinstance(waiting.request, outbox.NOT_REPEATABLE):
            detail = "the server stopped before the answer came"
            outbox.tell_failed(state, device, turn, waiting, "unknown-outcome", detail)
        else:
            kept.append(waiting)
    return kept
