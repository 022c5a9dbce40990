"""Setting up a device: from what holds at it to what its ``Arrangement`` says, one exchange after the other.

What the device refuses is told and left at that until it registers again. What it does not answer is asked
again when it is heard, what it cannot do at present (5.xx) after its next Update. An observation that an
application asked for counts as well, and is never ended here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import attrs

from lwm2m_engine.attributes import Attributes, format_attributes, told_attributes
from lwm2m_engine.coap import CoapReply, Code, dotted, is_server_error, is_success
from lwm2m_engine.engine import checks
from lwm2m_engine.engine.arrangements import ARRANGED, NOTHING, Arrangement, Group, Request, Setup, Task
from lwm2m_engine.engine.devices import Device
from lwm2m_engine.engine.differences import (
    Standing,
    attributes_at,
    cancel,
    is_observed,
    knows_composites,
    observe,
)
from lwm2m_engine.engine.events import ObservationEnded, RegistrationChanged, Warned
from lwm2m_engine.engine.records import NOT_ARRANGED, Arranged, Observation, Registration
from lwm2m_engine.engine.turn import Turn
from lwm2m_engine.errors import RequestError, ValueRejected
from lwm2m_engine.messages.requests import (
    Cancel,
    CancelComposite,
    Observe,
    ObserveComposite,
    ReadComposite,
    WriteAttributes,
)
from lwm2m_engine.paths import Path

ATTEMPTS: Final = 3
"""How often a device is asked that does not answer."""
NO_COMPOSITES: Final = frozenset(
    {Code.BAD_OPTION, Code.METHOD_NOT_ALLOWED, Code.UNSUPPORTED_CONTENT_FORMAT, Code.NOT_IMPLEMENTED}
)
"""Answers to a composite by which a client shows that it knows none."""
COMPOSITES = (ReadComposite, ObserveComposite)
OBSERVES = (Observe, ObserveComposite)


# --- what is to be done ----------------------------------------------------------------------------


def begin(device: Device) -> None:
    """The device has registered, so all is to be done anew."""
    arrangement = device.arrangement
    if arrangement is not None:
        device.setup = Setup(arrangement.tasks, Arranged(arrangement.digest))


def arrange(device: Device, arrangement: Arrangement | None, turn: Turn) -> None:
    """From now on this is to hold, in this registration and the next ones."""
    former, device.arrangement = device.arrangement, arrangement
    registration = device.registration
    if registration is None:
        _forget_wanted(device, turn)
        return
    if former is None and arrangement is None and not _is_arranged(device, registration):
        return
    if former is not None and arrangement is not None and former.digest == arrangement.digest:
        return
    arranged = device.setup.arranged if device.setup is not None else registration.arranged
    current = device.setup.current if device.setup is not None else None
    wanted = arrangement if arrangement is not None else NOTHING
    if arranged.complete and arranged.digest == wanted.digest:
        # The server has been restarted.
        tasks = tuple(Task(observe(one)) for one in device.wanted if one.origin == ARRANGED)
        if not tasks and device.setup is None:
            return
    else:
        standing = Standing(device, registration, arranged, former, device.setup is None, current)
        tasks = standing.missing(wanted)
        arranged = attrs.evolve(
            arranged, digest=wanted.digest, complete=False, reads=standing.reads_begun(wanted)
        )
        _forget_wanted(device, turn)
    device.setup = setup = Setup(tasks, arranged, current=current, inherited=current is not None)
    if not tasks and current is None:
        _finish(device, setup, turn)


def _is_arranged(device: Device, registration: Registration) -> bool:
    """Whether something is left of an arrangement that nobody knows any more."""
    observations = (*device.observations.values(), *device.wanted)
    return registration.arranged != NOT_ARRANGED or any(one.origin == ARRANGED for one in observations)


def _forget_wanted(device: Device, turn: Turn) -> None:
    """What was observed in a former registration is asked for anew, or not at all."""
    left = tuple(one for one in device.wanted if one.origin != ARRANGED)
    if len(left) < len(device.wanted):
        for one in device.wanted:
            if one.origin == ARRANGED:
                turn.tell(ObservationEnded(device.endpoint, turn.now, one, "replaced"))
        device.wanted = left


# --- one after the other ---------------------------------------------------------------------------


def next_request(device: Device, turn: Turn) -> Request | None:
    """What to ask next; with nothing left the set-up ends."""
    setup, registration = device.setup, device.registration
    if setup is None or registration is None:
        return None
    while (task := setup.take()) is not None:
        if isinstance(task.request, COMPOSITES) and not knows_composites(registration, setup.arranged):
            setup.insert(*task.parts)
            continue
        request = _needed(device, registration, setup, task)
        if request is None:
            _count(setup, task)
            continue
        try:
            checks.check(device, request, assigned=isinstance(request, WriteAttributes))
        except RequestError as error:
            _left_out(device, setup, task, error.reason, turn)
            continue
        setup.current = task if request is task.request else Task(request, task.reads)
        setup.acknowledged = setup.inherited = False
        return request
    if not setup.later:
        _finish(device, setup, turn)
    return None


def _needed(device: Device, registration: Registration, setup: Setup, task: Task) -> Request | None:
    """A task as it is to be asked; ``None`` if there is no need for it, or the device has no such thing."""
    request = task.request
    if isinstance(request, (Cancel, CancelComposite)):
        return request if is_observed(device.observations.values(), request) else None
    paths = request.paths if isinstance(request, COMPOSITES) else (request.path,)
    if not all(_is_there(path, registration) for path in paths):
        if isinstance(request, WriteAttributes):
            # They vanish with what they are attached to.
            _note_attributes(setup, request.path, ())
        return None
    if isinstance(request, WriteAttributes):
        changes = _changes(device, registration, setup.arranged, request.path)
        return WriteAttributes(request.path, changes) if changes else None
    if isinstance(request, OBSERVES):
        wanted = [one for one in device.wanted if one.origin != ARRANGED]
        known = is_observed(device.observations.values(), request) or is_observed(wanted, request)
        return None if known else request
    return request


def _is_there(path: Path, registration: Registration) -> bool:
    """By the list it announced; an Object announced without any Instances may have one."""
    if path[0] not in registration.objects:
        return False
    instances = [one for one in registration.instances if one[0] == path[0]] if len(path) > 1 else ()
    return not instances or Path(path[:2]) in instances


def _changes(device: Device, registration: Registration, arranged: Arranged, path: Path) -> Attributes:
    """What a Write-Attributes must say."""
    wanted = device.arrangement.attributes_of(path) if device.arrangement is not None else ()
    written = dict(attributes_at(arranged, path))
    own = (device.assigned or {}).get(path)
    known = dict(own) if own is not None else _announced(registration).get(path, {}) | written
    changes = [(name, value) for name, value in wanted if known.get(name) != value]
    names = {name for name, _ in wanted}
    return (*changes, *((name, None) for name in written if name not in names))


def _announced(registration: Registration) -> dict[Path, dict[str, str | None]]:
    try:
        told = told_attributes(link for link in registration.links if link.attributes)
    except ValueRejected:
        return {}
    return {path: dict(attributes) for path, attributes in told.items()}


# --- what came of it -------------------------------------------------------------------------------


def answered(device: Device, reply: CoapReply, turn: Turn) -> None:
    """The device answered what was asked of it."""
    setup = device.setup
    task = setup.current if setup is not None else None
    if setup is None or task is None:
        return
    setup.current, setup.attempts = None, 0
    request = task.request
    accepted = is_success(reply.code) and (reply.observe is not None or not isinstance(request, OBSERVES))
    if isinstance(request, (Cancel, CancelComposite)):
        # Whatever the device says to that, the observation is over.
        pass
    elif not accepted and isinstance(request, COMPOSITES):
        _fall_back(setup, task, is_success(reply.code) or reply.code in NO_COMPOSITES)
    elif not accepted and isinstance(request, Observe) and is_server_error(reply.code):
        setup.later = (*setup.later, task)
    elif not accepted:
        _left_out(device, setup, task, f"the device answered {dotted(reply.code)}", turn)
    elif isinstance(request, WriteAttributes):
        own = dict(attributes_at(setup.arranged, request.path)) | dict(request.attributes)
        left = ((name, value) for name, value in own.items() if value is not None)
        _note_attributes(setup, request.path, tuple(left))
    elif not isinstance(request, OBSERVES):
        _count(setup, task)
    elif setup.inherited:
        _cancel_unwanted(device, setup, request)
    keep(device, turn)


def unanswered(device: Device, reason: str, turn: Turn, *, silent: bool) -> None:
    """No answer came. Whoever does not answer is asked again, but not forever."""
    setup = device.setup
    task = setup.current if setup is not None else None
    if setup is None or task is None:
        return
    setup.current = None
    setup.attempts += 1
    request = task.request
    gives_up = setup.attempts >= ATTEMPTS or (setup.acknowledged and isinstance(request, COMPOSITES))
    if silent and not gives_up:
        setup.insert(task)
        setup.paused = True
        return
    setup.attempts = 0
    if isinstance(request, COMPOSITES):
        _fall_back(setup, task, True)
    else:
        _left_out(device, setup, task, reason, turn)
    setup.paused = silent
    keep(device, turn)


def acknowledged(device: Device) -> None:
    """The device has the request; the answer is still to come."""
    if device.setup is not None:
        device.setup.acknowledged = True


def _fall_back(setup: Setup, task: Task, for_all: bool) -> None:
    """One request for each Resource, or Instance, in place of one for all."""
    if for_all:
        setup.arranged = attrs.evolve(setup.arranged, singly=True)
    setup.insert(*task.parts)


def _left_out(device: Device, setup: Setup, task: Task, reason: str, turn: Turn) -> None:
    """The others go on."""
    request = task.request
    if isinstance(request, COMPOSITES):
        setup.insert(*task.parts)
        return
    what = f"{request.operation} of {request.path}"
    if isinstance(request, WriteAttributes):
        what = f"{format_attributes(request.attributes)} on {request.path}"
    text = f"device profile: no {what}: {reason}"
    turn.tell(Warned(device.endpoint, turn.now, text, "profile", (str(request.path),)))
    _count(setup, task)


def _count(setup: Setup, task: Task) -> None:
    if task.reads:
        setup.arranged = attrs.evolve(setup.arranged, reads=task.reads)


def _note_attributes(setup: Setup, path: Path, written: Attributes) -> None:
    others = [one for one in setup.arranged.attributes if one[0] != path]
    attributes = tuple(sorted((*others, (path, written)) if written else others))
    setup.arranged = attrs.evolve(setup.arranged, attributes=attributes)


def _cancel_unwanted(device: Device, setup: Setup, request: Observe | ObserveComposite) -> None:
    """Another arrangement came while the answer was under way."""
    for one in device.observations.values():
        if is_observed((one,), request) and one.origin == ARRANGED and not is_wanted(device, one):
            setup.insert(Task(cancel(one)))
            return


def keep(device: Device, turn: Turn) -> None:
    """What a restart must know."""
    setup, registration = device.setup, device.registration
    if setup is None or registration is None:
        return
    if _progress(setup.arranged) != _progress(registration.arranged):
        device.registration = attrs.evolve(registration, arranged=setup.arranged)
        turn.tell(RegistrationChanged(device.endpoint, turn.now, device.registration))


def _progress(arranged: Arranged) -> tuple[object, ...]:
    """All but which arrangement it is: that alone is not worth a write."""
    return arranged.complete, arranged.reads, arranged.attributes, arranged.singly


def _finish(device: Device, setup: Setup, turn: Turn) -> None:
    device.setup = None
    _forget_wanted(device, turn)
    registration = device.registration
    if registration is None:
        return
    arranged = _shared(attrs.evolve(setup.arranged, complete=True))
    if arranged.digest == NOTHING.digest and not arranged.attributes:
        arranged = NOT_ARRANGED
    if arranged != registration.arranged:
        device.registration = attrs.evolve(registration, arranged=arranged)
        turn.tell(RegistrationChanged(device.endpoint, turn.now, device.registration))


@lru_cache(maxsize=1024)
def _shared(arranged: Arranged) -> Arranged:
    """Thousands of devices are set up alike."""
    return arranged


# --- what others do --------------------------------------------------------------------------------


def is_wanted(device: Device, one: Observation) -> bool:
    """Whether the arrangement has an observation too, as it is or as a part of a composite that is not there
    and will not be."""
    wanted, registration, setup = device.arrangement, device.registration, device.setup
    if wanted is None or registration is None or one.prefix:
        return False
    if Group(one.paths, one.composite) in wanted.observations:
        return True
    covering = [group for group in wanted.observations if group.composite and one.paths[0] in group.paths]
    if one.composite or not covering:
        return False
    if not knows_composites(registration, registration.arranged if setup is None else setup.arranged):
        return True
    there = [other.paths for other in device.observations.values() if other.composite]
    if setup is not None:
        requests = (task.request for task in (*setup.tasks[setup.place :], *setup.later))
        there += [request.paths for request in requests if isinstance(request, ObserveComposite)]
    return any(group.paths not in there for group in covering)


def observe_again(device: Device, one: Observation, *, later: bool) -> None:
    """A wanted observation has ended for others, or for now."""
    registration = device.registration
    if registration is None or not is_wanted(device, one):
        return
    if device.setup is None:
        device.setup = Setup((), registration.arranged)
    task = Task(observe(one))
    if later:
        device.setup.later = (*device.setup.later, task)
    else:
        device.setup.add(task)
