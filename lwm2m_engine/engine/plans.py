"""From a request to the exchanges it takes with one particular device."""

from __future__ import annotations

from collections import deque

from lwm2m_engine.coap import Code
from lwm2m_engine.engine.devices import Device
from lwm2m_engine.errors import RequestError
from lwm2m_engine.messages.requests import (
    Cancel,
    CancelComposite,
    CancelLinks,
    Observe,
    ObserveLinks,
    Read,
    ReadAll,
    Request,
    Single,
    WriteAttributes,
    WriteObject,
)
from lwm2m_engine.paths import Path

UNREADABLE_OBJECTS = frozenset({0, 21})
"""Security and OSCORE: no server but the bootstrap server may read them (LwM2M Core 1.2, E.1)."""


def check(device: Device, request: Request) -> None:
    """Raise ``RequestError`` (4.00) for what this device cannot be asked.

    Checked against the objects it announced last, and the models it announced them with. Which
    Instances exist is the device's to say: clients need not tell about created ones at once.
    """
    for path in _paths(request):
        if device.registration is not None and path and path[0] not in device.registration.objects:
            known = " ".join(f"/{number}" for number in sorted(device.registration.objects))
            raise RequestError(
                Code.BAD_REQUEST, f"{path}: {device.endpoint} has no object {path[0]}; it has {known}"
            )
        spec = device.view.object(path[0]) if path else None
        if spec is None:
            continue
        if not spec.multiple and path.instance not in (None, 0):
            raise RequestError(Code.BAD_REQUEST, f"{path}: object {spec.id} {spec.name} has only instance 0")
        if path.resource is not None and path.resource not in spec.resources:
            raise RequestError(
                Code.BAD_REQUEST, f"{path}: object {spec.id} {spec.name} {spec.version} has no such resource"
            )


def steps(device: Device, request: Request) -> deque[Single]:
    """The exchanges, in order; none when there is nothing to ask."""
    if isinstance(request, ReadAll):
        return deque(Read(path) for path in _announced_instances(device))
    if isinstance(request, WriteObject):
        return deque(request.instances)
    if isinstance(request, ObserveLinks):
        return deque(
            step for path, attributes in request.links for step in _observe(Observe(path, attributes))
        )
    if isinstance(request, CancelLinks):
        return deque(_cancel(device, request))
    if isinstance(request, Observe):
        return deque(_observe(request))
    if isinstance(request, Cancel) and device.observation_of((request.path,), composite=False) is None:
        return deque()
    if isinstance(request, CancelComposite) and device.observation_of(request.paths, composite=True) is None:
        return deque()
    return deque((request,))


def next_set(device: Device) -> str:
    """Number of a new ``ObserveLinks`` set: the lowest one free."""
    taken = {observation.origin for observation in device.observations.values()}
    return next(str(number) for number in range(len(taken) + 1) if str(number) not in taken)


def _announced_instances(device: Device) -> tuple[Path, ...]:
    if device.registration is None:
        return ()
    return tuple(path for path in device.registration.instances if path[0] not in UNREADABLE_OBJECTS)


def _observe(request: Observe) -> tuple[Single, ...]:
    """Attributes are written before observing, so that the first interval already follows them."""
    if not request.attributes:
        return (request,)
    plain = Observe(request.path, (), request.accept)
    return (WriteAttributes(request.path, request.attributes), plain)


def _cancel(device: Device, request: CancelLinks) -> list[Single]:
    wanted = None if request.set is None else str(request.set)
    return [
        Cancel(observation.paths[0])
        for observation in device.observations.values()
        if observation.origin and wanted in (None, observation.origin)
    ]


def _paths(request: Request) -> tuple[Path, ...]:
    if isinstance(request, (ReadAll, CancelLinks)):
        return ()
    if isinstance(request, ObserveLinks):
        return tuple(path for path, _ in request.links)
    paths: tuple[Path, ...] | None = getattr(request, "paths", None)
    if paths is not None:
        return paths
    entries = getattr(request, "entries", ())
    return (request.path, *(entry.path for entry in entries))
