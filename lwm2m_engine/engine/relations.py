"""Observe relations: how they begin and end, and which of them come back (LwM2M Core 1.2, 6.4; RFC 7641).

What an application observed and did not cancel is *wanted*. A relation lives in one registration; when
that ends, or the device cannot keep it for now, it is wanted still and asked for again: after the next
Register or Update, under a new token. An answer 4.xx ends a wish for good, and so does a cancel. What is
there for the device's ``Arrangement`` is asked for again by that: ``setups``.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from functools import lru_cache

import attrs

from lwm2m_engine.coap import CoapReply, is_server_error, is_success
from lwm2m_engine.engine import setups
from lwm2m_engine.engine.arrangements import ARRANGED
from lwm2m_engine.engine.devices import Device, Exchange, Job
from lwm2m_engine.engine.events import ObservationEnded, Observed, Warned
from lwm2m_engine.engine.records import Observation
from lwm2m_engine.engine.state import GATEWAY, State
from lwm2m_engine.engine.turn import Turn
from lwm2m_engine.messages.requests import (
    Cancel,
    CancelComposite,
    CancelLinks,
    Observe,
    ObserveComposite,
    Request,
    Single,
)
from lwm2m_engine.paths import Path


def place(step: Single) -> tuple[tuple[Path, ...], bool, str] | None:
    """Paths, whether it is a composite, and the end device of the relation a request is about."""
    if isinstance(step, (Observe, Cancel)):
        return (step.path,), False, step.prefix
    if isinstance(step, (ObserveComposite, CancelComposite)):
        return step.paths, True, step.prefix
    return None


def live(device: Device, step: Single) -> Observation | None:
    """The relation a request is about; there is one for the same paths."""
    about = place(step)
    return next((one for one in device.observations.values() if one.place == about), None)


# --- beginning -------------------------------------------------------------------------------------


def begin(state: State, device: Device, exchange: Exchange, job: Job, sequence: int, turn: Turn) -> None:
    """The device observes what the exchange asked for."""
    step, token, registration = exchange.request, exchange.token, device.registration
    if token is None or registration is None or not isinstance(step, (Observe, ObserveComposite)):
        return
    composite = isinstance(step, ObserveComposite)
    observation = Observation(
        token,
        device.endpoint,
        registration.id,
        step.paths if isinstance(step, ObserveComposite) else _alone(step.path),
        composite,
        exchange.content_format,
        turn.now,
        job.origin,
        step.attributes,
        step.prefix,
    )
    _drop_wanted(device, turn, "replaced", lambda one: one.place == observation.place)
    state.remember(device, observation)
    if not exchange.early:
        device.sequences[token] = (sequence, turn.now)
    turn.tell(Observed(device.endpoint, turn.now, observation))


@lru_cache(maxsize=4096)
def _alone(path: Path) -> tuple[Path, ...]:
    """Thousands of devices are observed alike."""
    return (path,)


def begin_early(
    state: State, device: Device, token: bytes, reply: CoapReply, turn: Turn
) -> Observation | None:
    """A notification that overtook the answer to its Observe shows that the device observes."""
    exchange, job = device.exchange, device.job
    if exchange is None or job is None or exchange.token != token or not is_success(reply.code):
        return None
    if reply.observe is not None:
        begin(state, device, exchange, job, reply.observe, turn)
        exchange.early = True
        device.sequences.pop(token, None)
    return device.observations.get(token)


def next_wanted(device: Device) -> Observation | None:
    """What to ask for again; the device must have announced the Objects it is about."""
    registration = device.registration
    if registration is None or device.deferred:
        return None
    for observation in device.wanted:
        if observation.origin != ARRANGED and _is_there(observation, registration.objects):
            return observation
    device.deferred = True
    return None


# --- ending ----------------------------------------------------------------------------------------


def end(state: State, device: Device, token: bytes, turn: Turn, reason: str) -> None:
    """A relation is over for good: ``cancelled`` or ``refused``."""
    observation = state.drop(device, token)
    if observation is not None:
        turn.tell(ObservationEnded(device.endpoint, turn.now, observation, reason))
        if reason == "cancelled" and observation.origin != ARRANGED:
            setups.observe_again(device, observation, later=False)


def suspend(state: State, device: Device, token: bytes, turn: Turn) -> None:
    """A relation is over and still wanted; it is asked for again at the next Update or Register."""
    observation = state.drop(device, token)
    if observation is not None:
        observation = attrs.evolve(observation, registration="")
        device.wanted = (*device.wanted, observation)
        if observation.origin == ARRANGED:
            setups.observe_again(device, observation, later=True)
        else:
            device.deferred = True
        turn.tell(ObservationEnded(device.endpoint, turn.now, observation, "suspended"))


def keep_to(state: State, device: Device, objects: Container[int], turn: Turn) -> None:
    """A new object list: what it names no more notifies no more, until it is back."""
    for token, observation in tuple(device.observations.items()):
        if not _is_there(observation, objects):
            suspend(state, device, token, turn)


def _is_there(observation: Observation, objects: Container[int]) -> bool:
    if observation.prefix:
        return GATEWAY in objects
    return all(not path or path[0] in objects for path in observation.paths)


def disconnect(state: State, device: Device, turn: Turn) -> None:
    """The connection ends, and all relations over it."""
    for token in tuple(device.observations):
        suspend(state, device, token, turn)


def lapse(state: State, device: Device, turn: Turn) -> None:
    """The registration ends, and all relations with it."""
    for token in tuple(device.observations):
        observation = state.drop(device, token)
        if observation is not None:
            device.wanted = (*device.wanted, observation)
            turn.tell(ObservationEnded(device.endpoint, turn.now, observation, "registration"))


def refused(state: State, device: Device, exchange: Exchange, code: int, turn: Turn) -> None:
    """The device answered an Observe, and does not observe."""
    step, token = exchange.request, exchange.token
    if token is None:
        return
    if is_success(code):
        turn.tell(Warned(device.endpoint, turn.now, f"{step.path}: answered, but not observed"))
    if is_server_error(code) and _is_wanted(device, step):
        device.deferred = True
    else:
        _drop_wanted(device, turn, "refused", lambda one: one.place == place(step))
    end(state, device, token, turn, "refused")
    forget_token(state, device, exchange)


def cancelled(state: State, device: Device, turn: Turn, request: Request) -> None:
    """End what a cancel is about, without asking the device: its next notification gets a Reset."""
    meant = [token for token, one in device.observations.items() if _is_meant(one, request)]
    for token in meant:
        end(state, device, token, turn, "cancelled")
    withdraw(device, turn, request)


def withdraw(device: Device, turn: Turn, request: Request) -> None:
    """What is cancelled while it is only wanted needs no word with the device."""
    if device.wanted and isinstance(request, (Cancel, CancelComposite, CancelLinks)):
        _drop_wanted(device, turn, "cancelled", lambda one: _is_meant(one, request))


def unanswered(state: State, device: Device, exchange: Exchange, turn: Turn, *, held: bool) -> None:
    """An Observe or Cancel got no answer; ``held`` if it will be sent again."""
    if exchange.token is None:
        return
    if isinstance(exchange.request, (Cancel, CancelComposite)) and not held:
        # Passive cancel: the next notification will be answered with a Reset.
        end(state, device, exchange.token, turn, "cancelled")
    forget_token(state, device, exchange)


def forget_token(state: State, device: Device, exchange: Exchange) -> None:
    """Unless a relation has it, nothing will come for the token any more."""
    if exchange.token is not None and exchange.token not in device.observations:
        state.by_token.pop(exchange.token, None)


def _is_meant(observation: Observation, request: Request) -> bool:
    if isinstance(request, CancelLinks):
        return observation.origin not in ("", ARRANGED) and request.set in (None, int(observation.origin))
    if isinstance(request, (Cancel, CancelComposite)):
        return observation.place == place(request)
    return False


def _is_wanted(device: Device, step: Single) -> bool:
    return any(one.place == place(step) and one.origin != ARRANGED for one in device.wanted)


def _drop_wanted(device: Device, turn: Turn, reason: str, meant: Callable[[Observation], bool]) -> None:
    for observation in device.wanted:
        if meant(observation):
            turn.tell(ObservationEnded(device.endpoint, turn.now, observation, reason))
    device.wanted = tuple(one for one in device.wanted if not meant(one))
