"""From a request to the exchanges it takes with one particular device."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from lwm2m_engine.engine.arrangements import ARRANGED
from lwm2m_engine.engine.devices import Device
from lwm2m_engine.entries import Entry
from lwm2m_engine.links import Link, format_links
from lwm2m_engine.messages.requests import (
    VIRTUAL_OBSERVE_NOTIFY,
    Cancel,
    CancelComposite,
    CancelLinks,
    Create,
    Observe,
    ObserveLinks,
    Read,
    ReadAll,
    Request,
    Single,
    Write,
    WriteAttributes,
    WriteObject,
)
from lwm2m_engine.paths import Path

UNREADABLE_OBJECTS = frozenset({0, 21})
"""Security and OSCORE: no server but the bootstrap server may read them (LwM2M Core 1.2, E.1)."""

OBSERVE_LINKS, REPORT = 0, 1
"""Resources of object 22, Virtual Observe Notify."""


def steps(device: Device, request: Request, origin: str = "") -> deque[Single]:
    """The exchanges, in order; none when there is nothing to ask. ``origin`` numbers a set of links."""
    if isinstance(request, Read):
        return deque((request,))
    if isinstance(request, ReadAll):
        return deque(Read(path) for path in _announced_instances(device))
    if isinstance(request, WriteObject):
        return deque(request.instances)
    if isinstance(request, ObserveLinks):
        if has_virtual_observe(device):
            return deque(_report_links(device, request, int(origin or 0)))
        links = (Observe(path, attributes) for path, attributes in request.links)
        return deque(step for link in links for step in _observe(device, link))
    if isinstance(request, CancelLinks):
        return deque(_cancel(device, request))
    if isinstance(request, Observe):
        return deque(_observe(device, request))
    if isinstance(request, (Cancel, CancelComposite)) and not _is_observed(device, request):
        return deque()
    return deque((request,))


def next_set(device: Device) -> str:
    """Number of a new ``ObserveLinks`` set: the lowest one free, with object 22 also its Instance ID."""
    everything = (*device.observations.values(), *device.wanted)
    taken = {observation.origin for observation in everything}
    return next(str(number) for number in range(len(taken) + 1) if str(number) not in taken)


def has_virtual_observe(device: Device) -> bool:
    """Whether the device itself observes what CoRE links name (object 22)."""
    registration = device.registration
    return registration is not None and VIRTUAL_OBSERVE_NOTIFY[0] in registration.objects


def observes_with_attributes(device: Device) -> bool:
    """Whether attributes may stand in the Observe request (LwM2M 1.2)."""
    return device.registration is not None and device.registration.version >= "1.2"


def _announced_instances(device: Device) -> tuple[Path, ...]:
    if device.registration is None:
        return ()
    return tuple(path for path in device.registration.instances if path[0] not in UNREADABLE_OBJECTS)


def _observe(device: Device, request: Observe) -> tuple[Single, ...]:
    """To older clients attributes are written before, so that the first interval already follows them."""
    if not request.attributes or observes_with_attributes(device):
        return (request,)
    return (WriteAttributes(request.path, request.attributes, prefix=request.prefix), request)


def _report_links(device: Device, request: ObserveLinks, number: int) -> Iterator[Single]:
    """The device gathers what the links name in an Instance of object 22; its Report is observed."""
    instance = VIRTUAL_OBSERVE_NOTIFY / number
    links = (format_links([Link(str(path), attributes)]) for path, attributes in request.links)
    resource = instance / OBSERVE_LINKS
    entries = tuple(Entry(resource / place, text) for place, text in enumerate(links))
    if instance in _announced_instances(device):
        yield Write(resource, entries)
    else:
        yield Create(instance, entries)
    yield Observe(instance / REPORT)


def _cancel(device: Device, request: CancelLinks) -> Iterator[Single]:
    wanted = None if request.set is None else str(request.set)
    for observation in device.observations.values():
        if observation.origin not in ("", ARRANGED) and wanted in (None, observation.origin):
            yield Cancel(observation.paths[0])


def _is_observed(device: Device, request: Cancel | CancelComposite) -> bool:
    composite = isinstance(request, CancelComposite)
    paths = request.paths if isinstance(request, CancelComposite) else (request.path,)
    about = paths, composite, request.prefix
    return any(observation.place == about for observation in device.observations.values())
