"""What an answer, or its absence, means for the job that asked."""

from __future__ import annotations

from lwm2m_engine.coap import CoapReply, is_success
from lwm2m_engine.engine import (
    discoveries,
    negotiation,
    outbox,
    presence,
    registrations,
    relations,
    setups,
)
from lwm2m_engine.engine.arrangements import ARRANGED
from lwm2m_engine.engine.devices import Device, Exchange, Job
from lwm2m_engine.engine.events import Progressed, Received, Warned
from lwm2m_engine.engine.presence import heard, sleep
from lwm2m_engine.engine.reports import apply_mappings, read, report, tell_outcome
from lwm2m_engine.engine.state import State
from lwm2m_engine.engine.turn import Turn
from lwm2m_engine.mapping.managed import Outcome
from lwm2m_engine.messages.requests import (
    Cancel,
    CancelComposite,
    Execute,
    Observe,
    ObserveComposite,
    Read,
    ReadAll,
    ReadComposite,
    Single,
    Write,
    WriteComposite,
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
        relations.forget_token(state, device, exchange)
        outbox.advance(state, device, turn)
        return
    step = exchange.request
    _relate(state, device, exchange, job, reply, turn)
    outbox.answered(device, turn, job)
    _report(state, device, step, job, reply, turn)
    if is_success(reply.code):
        discoveries.learn(device, step, reply, turn)
    if job.origin == ARRANGED:
        setups.answered(device, reply, turn)
    elif job.message is None and isinstance(step, Read):
        registrations.read_done(state, device, turn, step.path)
    _conclude(state, device, step, is_success(reply.code), turn)
    _pause(state, device, job, turn)
    outbox.advance(state, device, turn)


def acknowledged(state: State, exchange_id: int, turn: Turn) -> None:
    """An empty ACK: the device has the message, its answer will come separately."""
    device = state.by_exchange.get(exchange_id)
    if device is None or device.job is None:
        return
    heard(state, device, turn)
    if device.job.origin == ARRANGED:
        setups.acknowledged(device)
    if len(device.job.steps) == 1:
        outbox.tell_sent(device, turn, device.job, answered=False)


def progressed(state: State, exchange_id: int, transferred: int, total: int, turn: Turn) -> None:
    """A block of a long request was acknowledged, so the device is there."""
    device = state.by_exchange.get(exchange_id)
    if device is None or device.exchange is None or device.job is None:
        return
    heard(state, device, turn)
    device.exchange.transferred = (transferred, total)
    turn.tell(Progressed(device.endpoint, turn.now, device.job.id, transferred, total))


def failed(state: State, exchange_id: int, reason: str, turn: Turn) -> None:
    """No answer: ``timeout``, ``unreachable``, ``reset`` or ``undecodable``."""
    device = state.by_exchange.get(exchange_id)
    if device is None:
        return
    exchange, job = state.close_exchange(device), device.job
    if exchange is None or job is None:
        return
    silent = reason in SILENCE
    held = silent and device.sleeps and not job.sent
    relations.unanswered(state, device, exchange, turn, held=held)
    still_awake = job.sent and device.awake_until is not None and device.awake_until > turn.now
    if silent and not still_awake:
        sleep(device, turn)
    if job.origin == ARRANGED:
        setups.unanswered(device, reason, turn, silent=silent)
    elif job.message is None and not held:
        _give_up(state, device, exchange.request, reason, turn)
    if held:
        outbox.hold(device, turn, job)
        presence.listen_later(state, device, turn)
        return
    outbox.fail(state, device, turn, job, _REASONS.get(reason, reason), _DETAILS.get((reason, job.sent), ""))
    outbox.advance(state, device, turn)


def _give_up(state: State, device: Device, step: Single, reason: str, turn: Turn) -> None:
    """What the engine asked on its own got no answer: a read is not repeated, a wish waits."""
    if isinstance(step, Read):
        turn.tell(Warned(device.endpoint, turn.now, f"automatic read of {step.path}: {reason}"))
        registrations.read_done(state, device, turn, step.path)
    else:
        turn.tell(Warned(device.endpoint, turn.now, f"{step.path} is not observed again: {reason}"))
        device.deferred = True


def _pause(state: State, device: Device, job: Job, turn: Turn) -> None:
    """A series of requests nobody waits for in particular leaves the device time in between."""
    pacing = state.settings.read_pacing
    if not pacing or (job.message is not None and not isinstance(job.message.request, ReadAll)):
        return
    setup = device.setup
    is_more = device.job is not None or device.unread or (setup is not None and setup.is_due)
    if is_more or relations.next_wanted(device) is not None:
        device.resume_at = turn.now + pacing


_DETAILS = {
    ("timeout", False): "the device did not acknowledge the request",
    ("timeout", True): "the device acknowledged the request and never answered",
}
_REASONS = {"unreachable": "timeout", "reset": "refused", "undecodable": "decode"}


def _report(state: State, device: Device, step: Single, job: Job, reply: CoapReply, turn: Turn) -> None:
    paths: tuple[Path, ...] = getattr(step, "paths", ())
    created = discoveries.created(step, reply)
    if is_success(reply.code) and isinstance(step, VALUED):
        entries, raw, error = read(state, device, turn, reply, step.path, paths, step.prefix)
    else:
        entries, raw, error = (), reply.payload, None
    received = Received(
        device.endpoint,
        turn.now,
        "response",
        step.path,
        reply.code,
        entries,
        operation=step.operation,
        message=job.id,
        content_format=reply.content_format,
        payload=raw,
        error=error,
        paths=paths,
        created=created[0] if len(created) == 1 else None,
        prefix=step.prefix,
        written=discoveries.written(step, created) if is_success(reply.code) else (),
        more=bool(job.steps),
    )
    report(state, device, turn, received)


def _conclude(state: State, device: Device, step: Single, accepted: bool, turn: Turn) -> None:
    """What the device did with a Write or an Execute, for managed resources."""
    if isinstance(step, Execute):
        tell_outcome(state, device, turn, step, Outcome.DONE if accepted else Outcome.FAILED)
    elif isinstance(step, (Write, WriteComposite)) and accepted and not step.prefix:
        # What it accepted is what it has.
        apply_mappings(state, device, turn, step.entries)


def _relate(state: State, device: Device, exchange: Exchange, job: Job, reply: CoapReply, turn: Turn) -> None:
    """Keep or end the observe relation the answer is about."""
    if exchange.token is None:
        return
    if isinstance(exchange.request, (Cancel, CancelComposite)):
        relations.end(state, device, exchange.token, turn, "cancelled")
    elif is_success(reply.code) and reply.observe is not None:
        relations.begin(state, device, exchange, job, reply.observe, turn)
    else:
        relations.refused(state, device, exchange, reply.code, turn)
