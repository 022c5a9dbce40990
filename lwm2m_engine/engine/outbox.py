"""The outbox of a device: messages wait, one exchange is in flight, results are facts.

A message is *queued*, then *sent* once the device has acknowledged or answered it; otherwise it is
*failed*. While a device sleeps, is busy or is not registered, its messages wait in order. Automatic
reads after Register go first; a set-up by an ``Arrangement`` takes turns with messages.
"""

from __future__ import annotations

from collections import deque

import attrs

from lwm2m_engine.coap import CoapRequest, Code
from lwm2m_engine.engine import checks, negotiation, plans, presence, relations, setups
from lwm2m_engine.engine.arrangements import ARRANGED
from lwm2m_engine.engine.devices import Device, Exchange, Job
from lwm2m_engine.engine.events import Answered, Failed, Held, Queued, Received, Sent, Started
from lwm2m_engine.engine.records import Observation, Waiting
from lwm2m_engine.engine.reports import tell_outcome, tell_problems
from lwm2m_engine.engine.state import State
from lwm2m_engine.engine.step import Abort, Perform
from lwm2m_engine.engine.turn import Turn
from lwm2m_engine.errors import CodecError, RequestError
from lwm2m_engine.mapping.managed import Outcome
from lwm2m_engine.mapping.table import MappingProblem
from lwm2m_engine.messages.requests import (
    Cancel,
    CancelComposite,
    Create,
    Execute,
    Observe,
    ObserveComposite,
    ObserveLinks,
    Read,
    ReadComposite,
    Single,
    Write,
    WriteComposite,
    prefix_of,
)
from lwm2m_engine.messages.wire import below, coap_request
from lwm2m_engine.paths import Path

COMPOSITES = (ReadComposite, WriteComposite, ObserveComposite, CancelComposite)
NOT_REPEATABLE = (Execute, Create)
"""Requests that must not reach a device twice."""


def submit(state: State, device: Device, turn: Turn, waiting: Waiting) -> None:
    """Accept a message and send it if its turn has come; raises ``RequestError``."""
    request = waiting.request
    # What waits may change what this one is checked against.
    checks.check(device, request, assigned=not device.outbox and device.job is None)
    turn.tell(Queued(device.endpoint, turn.now, waiting))
    relations.withdraw(device, turn, request)
    device.outbox.append(waiting)
    if waiting.deferred:
        # What was true before it is not what it waits for.
        for path in state.table.waits_for(request.path):
            device.inputs.pop(path, None)
    if isinstance(request, (Cancel, CancelComposite)) and request.passive:
        # Nothing is asked of the device, so neither its sleep nor its other messages matter.
        device.outbox.pop()
        relations.cancelled(state, device, turn, request)
        turn.tell(Sent(device.endpoint, turn.now, waiting.id))
        _tell_done(device, turn, waiting)
        advance(state, device, turn)
        return
    advance(state, device, turn)
    if waiting in device.outbox:
        tell_outcome(state, device, turn, request, Outcome.PENDING)


def cancel(state: State, device: Device, turn: Turn, id: int) -> bool:
    """Take a message back; false if it is not in the outbox any more."""
    job = device.job
    if job is not None and job.id == id:
        _abort(state, device, turn)
        device.job = None
        if not job.sent:
            _leave(device, id)
        _fail(state, device, turn, job, "cancelled")
        advance(state, device, turn)
        return True
    waiting = next((one for one in device.outbox if one.id == id), None)
    if waiting is None:
        return False
    device.outbox.remove(waiting)
    tell_failed(state, device, turn, waiting, "cancelled")
    return True


def expire(state: State, device: Device, turn: Turn) -> None:
    """Give up messages whose time to live is over, except the one in flight."""
    busy = device.job.id if device.job is not None else None
    for waiting in tuple(device.outbox):
        if waiting.expires_at is not None and waiting.expires_at <= turn.now and waiting.id != busy:
            device.outbox.remove(waiting)
            tell_failed(state, device, turn, waiting, "expired")


def advance(state: State, device: Device, turn: Turn) -> None:
    """Start the next exchange if the device is reachable and has none."""
    if not device.has_work:
        return
    while device.exchange is None and device.reachable and device.resume_at is None:
        expire(state, device, turn)
        job = device.job or _next_job(state, device, turn)
        if job is None:
            return
        device.job = job
        if job.steps:
            _start(state, device, turn, job, job.steps[0])
        else:
            _finish_without_exchange(device, turn, job)
    presence.listen_later(state, device, turn)


def answered(device: Device, turn: Turn, job: Job) -> None:
    """The first step of the job is answered; with the last one the message has left the outbox."""
    job.steps.popleft()
    if job.steps:
        return
    device.job = None
    message = job.message
    if message is not None and (job.sent or message.sent):
        turn.tell(Answered(device.endpoint, turn.now, message.id))
    tell_sent(device, turn, job)


def tell_sent(device: Device, turn: Turn, job: Job, *, answered: bool = True) -> None:
    """The device has the message: it leaves the outbox. Said once, over restarts too."""
    message = job.message
    if message is None or job.sent:
        return
    job.sent = True
    _leave(device, message.id)
    if not message.sent:
        turn.tell(Sent(device.endpoint, turn.now, message.id, answered))


def fail(state: State, device: Device, turn: Turn, job: Job, reason: str, detail: str = "") -> None:
    """The job ends without a usable answer."""
    device.job = None
    if job.message is not None:
        if not job.sent:
            _leave(device, job.message.id)
        _fail(state, device, turn, job, reason, detail)


def hold(device: Device, turn: Turn, job: Job) -> None:
    """Nothing was heard: the message waits at the head of the outbox for the next contact."""
    device.job = None
    if job.message is not None:
        turn.tell(Held(device.endpoint, turn.now, job.message.id))


def interrupt(state: State, device: Device, turn: Turn) -> None:
    """The registration ends under a running job: repeat it later if that does no harm."""
    job = device.job
    _abort(state, device, turn)
    device.job = None
    if job is None or job.message is None:
        return
    if job.sent:
        _fail(state, device, turn, job, "timeout", "the registration ended before the answer came")
    elif isinstance(job.message.request, NOT_REPEATABLE):
        _leave(device, job.message.id)
        _fail(state, device, turn, job, "unknown-outcome", "the registration ended before the answer came")
    else:
        turn.tell(Held(device.endpoint, turn.now, job.message.id))


def request_of(state: State, device: Device, observation: Observation) -> CoapRequest | None:
    """The Observe or Observe-Composite that began a relation, as it went out."""
    if device.registration is None:
        return None
    return _coap(state, device, _observe(observation), observation.accept, device.registration.root)


def _next_job(state: State, device: Device, turn: Turn) -> Job | None:
    if device.registration is not None and device.registration.unread:
        return Job(deque((Read(device.registration.unread[0]),)))
    wanted = relations.next_wanted(device)
    if wanted is not None:
        return Job(plans.steps(device, _observe(wanted)), None, wanted.origin)
    setup = device.setup
    if setup is None or not setup.is_due:
        return _next_message(state, device, turn)
    # A set-up and messages take turns.
    first, second = _next_of_setup, _next_message
    if setup.polite:
        first, second = second, first
    job = first(state, device, turn) or second(state, device, turn)
    setup.polite = job is not None and job.origin == ARRANGED
    return job


def _next_of_setup(state: State, device: Device, turn: Turn) -> Job | None:
    request = setups.next_request(device, turn)
    return None if request is None else Job(deque((request,)), None, ARRANGED)


def _next_message(state: State, device: Device, turn: Turn) -> Job | None:
    for waiting in tuple(device.outbox):
        if waiting.deferred and not _is_ready(state, device, turn, waiting):
            continue
        last = turn.events[-1] if turn.events else None
        at_once = isinstance(last, Queued) and last.message is waiting
        try:
            if not at_once:
                checks.check(device, waiting.request)
        except RequestError as error:
            # It was posted against an older object list.
            device.outbox.remove(waiting)
            tell_failed(state, device, turn, waiting, "refused", error.reason)
            continue
        origin = plans.next_set(device) if isinstance(waiting.request, ObserveLinks) else ""
        turn.tell(Started(device.endpoint, turn.now, waiting.id, at_once))
        return Job(plans.steps(device, waiting.request, origin), waiting, origin)
    return None


def _is_ready(state: State, device: Device, turn: Turn, waiting: Waiting) -> bool:
    """Whether the action behind a deferred message may go; if it never may, the message is given up."""
    problems: list[MappingProblem] = []
    ready = state.table.is_ready(waiting.request.path, device.inputs, problems)
    tell_problems(device, turn, problems)
    if ready is False:
        device.outbox.remove(waiting)
        why = str(problems[0]) if problems else "what the device tells says that it cannot be done"
        tell_failed(state, device, turn, waiting, "refused", why)
    return bool(ready)


def _observe(observation: Observation) -> Observe | ObserveComposite:
    """The request that makes a relation. Its format is negotiated anew."""
    if observation.composite:
        return ObserveComposite(
            observation.paths, attributes=observation.attributes, prefix=observation.prefix
        )
    return Observe(observation.paths[0], observation.attributes, prefix=observation.prefix)


def _start(state: State, device: Device, turn: Turn, job: Job, step: Single) -> None:
    registration, liveness = device.registration, device.liveness
    if registration is None or liveness is None:
        return
    content_format = negotiation.choose(device, step)
    try:
        request = _coap(state, device, step, content_format, registration.root)
    except (CodecError, RequestError) as error:
        fail(state, device, turn, job, "refused", str(error))
        return
    request = state.hooks.outgoing(device.endpoint, request) or request
    expires_at = turn.now + state.settings.composite_timeout if isinstance(step, COMPOSITES) else None
    exchange = Exchange(next(state.exchanges), step, content_format, _token(state, device, step), expires_at)
    if exchange.token is not None:
        # From now on a notification may arrive at any moment.
        state.by_token[exchange.token] = device
    state.open_exchange(device, exchange)
    turn.do(Perform(device.endpoint, exchange.id, liveness.peer, request, exchange.token))


def _coap(state: State, device: Device, step: Single, content_format: int | None, root: str) -> CoapRequest:
    """The request on the wire; raises ``CodecError`` for values its format cannot carry."""
    types, names = device.view.types, below(root, step.prefix)
    if isinstance(step, (Write, Create, WriteComposite)) and content_format is not None:
        at = _written_at(step)
        payload = state.codecs.encode(step.entries, content_format, at=at, types=types, root=names)
        return coap_request(step, root=root, content_format=content_format, payload=payload)
    if isinstance(step, (ReadComposite, ObserveComposite, CancelComposite)):
        number = content_format if content_format is not None else negotiation.COMPOSITE_DEFAULT
        payload = state.codecs.encode_paths(step.paths, number, root=names)
        return coap_request(step, root=root, accept=number, content_format=number, payload=payload)
    if isinstance(step, Observe) and not plans.observes_with_attributes(device):
        step = attrs.evolve(step, attributes=())
    if isinstance(step, (Write, Create, WriteComposite)):
        raise RequestError(Code.UNSUPPORTED_CONTENT_FORMAT, "the device refused every content format")
    return coap_request(step, root=root, accept=content_format)


def _written_at(step: Write | Create | WriteComposite) -> Path:
    """A Create that leaves the Instance ID to the device writes bare Resources, else the Instance itself."""
    if isinstance(step, Create) and step.entries:
        return Path(step.path[:1]) if step.instances else Path(step.entries[0].path[:2])
    return step.path


def _token(state: State, device: Device, step: Single) -> bytes | None:
    """Observations have tokens of their own; the same paths keep the one they have (RFC 7641, 3.1).

    A new registration has new ones: what a client goes on to send under the old ones gets a Reset.
    """
    if relations.place(step) is None:
        return None
    live = relations.live(device, step)
    return live.token if live is not None else state.tokens()


def _finish_without_exchange(device: Device, turn: Turn, job: Job) -> None:
    """There was nothing to ask (an observation to cancel that does not exist)."""
    device.job = None
    tell_sent(device, turn, job)
    if job.message is not None:
        _tell_done(device, turn, job.message)


def _tell_done(device: Device, turn: Turn, waiting: Waiting) -> None:
    """A message that needed no exchange is answered all the same."""
    request = waiting.request
    turn.tell(
        Received(
            device.endpoint,
            turn.now,
            "response",
            request.path,
            Code.CONTENT,
            operation=request.operation,
            message=waiting.id,
            prefix=prefix_of(request),
        )
    )


def _abort(state: State, device: Device, turn: Turn) -> None:
    exchange = state.close_exchange(device)
    if exchange is not None:
        relations.forget_token(state, device, exchange)
        turn.do(Abort(device.endpoint, exchange.id))


def _leave(device: Device, id: int) -> None:
    for place, waiting in enumerate(device.outbox):
        # Nearly always the first: only deferred messages let others pass.
        if waiting.id == id:
            del device.outbox[place]
            return


def _fail(state: State, device: Device, turn: Turn, job: Job, reason: str, detail: str = "") -> None:
    if job.message is not None:
        tell_failed(state, device, turn, job.message, reason, detail)


def tell_failed(
    state: State, device: Device, turn: Turn, waiting: Waiting, reason: str, detail: str = ""
) -> None:
    """A message has no usable answer and never will have one."""
    request = waiting.request
    turn.tell(
        Failed(
            device.endpoint,
            turn.now,
            waiting.id,
            request.operation,
            request.path,
            reason,
            detail,
            prefix_of(request),
        )
    )
    outcome = Outcome.CANCELLED if reason == "cancelled" else Outcome.FAILED
    tell_outcome(state, device, turn, request, outcome)
