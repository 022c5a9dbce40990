"""What an answer, or its absence, means for the job that asked."""

from __future__ import annotations

import attrs

from lwm2m_engine.coap import CoapReply, Code, is_success
from lwm2m_engine.engine import negotiation, outbox, registrations
from lwm2m_engine.engine.devices import Device, Exchange, Job
from lwm2m_engine.engine.events import ObservationEnded, Observed, RegistrationChanged, Warned
from lwm2m_engine.engine.presence import heard, sleep
from lwm2m_engine.engine.records import Observation
from lwm2m_engine.engine.reports import report
from lwm2m_engine.engine.state import State
from lwm2m_engine.engine.turn import Turn
from lwm2m_engine.errors import PathError
from lwm2m_engine.messages.requests import (
    Cancel,
    CancelComposite,
    Create,
    Observe,
    ObserveComposite,
    Read,
    ReadComposite,
    Single,
)
from lwm2m_engine.paths import Path

VALUED = (Read, ReadComposite, Observe, ObserveComposite, Cancel, CancelComposite)
"""Requests whose answer carries values."""
SILENCE = frozenset({"timeout", "unreachable"})


def answered(state: State, exchange_id: int, reply: CoapReply, turn: Turn) -> None:
    """The final answer to an exchange; ignored when nobody waits for it any more."""
    device = state.by_exchange.get(exchange_id)
    if device is None:
        return
    exchange, job = state.close_exchange(device), device.job
    heard(state, device, turn)
    if exchange is None or job is None:
        return
    if negotiation.refused(device, exchange, reply.code):
        _forget_token(state, device, exchange)
        outbox.advance(state, device, turn)
        return
    step = exchange.request
    _relate(state, device, exchange, job, reply, turn)
    outbox.answered(device, turn, job)
    _report(state, device, step, job, reply, turn)
    if job.message is None:
        registrations.read_done(state, device, turn, step.path)
    if isinstance(step, Create) and reply.code == Code.CREATED:
        _note_instance(device, step, reply, turn)
    outbox.advance(state, device, turn)


def acknowledged(state: State, exchange_id: int, turn: Turn) -> None:
    """An empty ACK: the device has the message, its answer will come separately."""
    device = state.by_exchange.get(exchange_id)
    if device is None or device.job is None:
        return
    heard(state, device, turn)
    if len(device.job.steps) == 1:
        outbox.tell_sent(device, turn, device.job)


def failed(state: State, exchange_id: int, reason: str, turn: Turn) -> None:
    """No answer: ``timeout``, ``unreachable``, ``reset`` or ``undecodable``."""
    device = state.by_exchange.get(exchange_id)
    if device is None:
        return
    exchange, job = state.close_exchange(device), device.job
    if exchange is None or job is None:
        return
    _unrelate(state, device, exchange, turn)
    silent = reason in SILENCE
    if silent and device.queue_mode and not job.sent:
        sleep(device, turn)
        outbox.hold(device, turn, job)
        return
    if silent:
        sleep(device, turn)
    if job.message is None:
        turn.tell(Warned(device.endpoint, turn.now, f"automatic read of {exchange.request.path}: {reason}"))
        registrations.read_done(state, device, turn, exchange.request.path)
    outbox.fail(device, turn, job, _REASONS.get(reason, reason))
    outbox.advance(state, device, turn)


_REASONS = {"unreachable": "timeout", "reset": "refused", "undecodable": "decode"}


def _report(state: State, device: Device, step: Single, job: Job, reply: CoapReply, turn: Turn) -> None:
    paths: tuple[Path, ...] = getattr(step, "paths", ())
    created = _created(step, reply) if isinstance(step, Create) and is_success(reply.code) else None
    report(
        state,
        device,
        turn,
        kind="response",
        path=step.path,
        code=reply.code,
        payload=reply.payload,
        content_format=reply.content_format,
        operation=step.operation,
        message=job.id,
        paths=paths,
        created=created,
        values=isinstance(step, VALUED),
    )


def _relate(state: State, device: Device, exchange: Exchange, job: Job, reply: CoapReply, turn: Turn) -> None:
    """Keep or end the observe relation the answer is about."""
    step, token = exchange.request, exchange.token
    if token is None:
        return
    if isinstance(step, (Cancel, CancelComposite)):
        _end(state, device, token, turn, "cancelled")
    elif is_success(reply.code) and reply.observe is not None:
        _begin(state, device, exchange, job, reply.observe, turn)
    else:
        if is_success(reply.code):
            turn.tell(Warned(device.endpoint, turn.now, f"{step.path}: answered, but not observed"))
        _end(state, device, token, turn, "refused")


def _begin(state: State, device: Device, exchange: Exchange, job: Job, sequence: int, turn: Turn) -> None:
    step, token, registration = exchange.request, exchange.token, device.registration
    if token is None or registration is None:
        return
    composite = isinstance(step, ObserveComposite)
    paths = step.paths if isinstance(step, ObserveComposite) else (step.path,)
    observation = Observation(
        token,
        device.endpoint,
        registration.id,
        paths,
        composite,
        exchange.content_format,
        turn.now,
        job.origin,
    )
    state.remember(device, observation)
    device.sequences[token] = (sequence, turn.now)
    turn.tell(Observed(device.endpoint, turn.now, observation))


def _unrelate(state: State, device: Device, exchange: Exchange, turn: Turn) -> None:
    """An observe or cancel request got no answer: a relation that is wanted stays."""
    if exchange.token is None:
        return
    if isinstance(exchange.request, (Cancel, CancelComposite)) and not device.queue_mode:
        # Passive cancel: the next notification will be answered with a Reset.
        _end(state, device, exchange.token, turn, "cancelled")
    _forget_token(state, device, exchange)


def _forget_token(state: State, device: Device, exchange: Exchange) -> None:
    """Unless a relation has it, nothing will come for the token any more."""
    if exchange.token is not None and exchange.token not in device.observations:
        state.by_token.pop(exchange.token, None)


def _end(state: State, device: Device, token: bytes, turn: Turn, reason: str) -> None:
    observation = state.drop(device, token)
    if observation is not None:
        turn.tell(ObservationEnded(device.endpoint, turn.now, observation, reason))


def _note_instance(device: Device, step: Create, reply: CoapReply, turn: Turn) -> None:
    """Clients need not announce at once an Instance that the server itself created."""
    registration = device.registration
    created = _created(step, reply)
    if registration is None or created is None or created in registration.instances:
        return
    instances = tuple(sorted((*registration.instances, created)))
    device.registration = attrs.evolve(registration, instances=instances)
    turn.tell(RegistrationChanged(device.endpoint, turn.now, device.registration))


def _created(step: Create, reply: CoapReply) -> Path | None:
    if len(step.path) == 2:
        return step.path
    try:
        path = Path("/".join(reply.location[-2:]))
    except PathError:
        return None
    return path if len(path) == 2 and path[0] == step.path[0] else None
