"""What one particular device cannot be asked: refused before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable

from lwm2m_engine.attributes import Attributes, check_attributes, effective, updated
from lwm2m_engine.coap import Code
from lwm2m_engine.engine.devices import Device
from lwm2m_engine.engine.state import GATEWAY
from lwm2m_engine.errors import RequestError, ValueRejected
from lwm2m_engine.messages.requests import (
    CancelComposite,
    CancelLinks,
    Delete,
    Discover,
    Observe,
    ObserveComposite,
    ObserveLinks,
    Read,
    ReadAll,
    ReadComposite,
    Request,
    WriteAttributes,
    WriteComposite,
    prefix_of,
)
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import ROOT, Path


def check(device: Device, request: Request, *, assigned: bool = True) -> None:
    """Raise ``RequestError`` (4.00) for what this device cannot be asked.

    Checked against the objects it announced last, the models it announced them with, its enabler version
    and, with ``assigned``, the attributes it is known to have. Which Instances exist is the device's to
    say: clients need not tell about created ones at once.
    """
    prefix = prefix_of(request)
    if device.registration is not None:
        _check_objects(device, request, prefix)
        _check_version(request, device.registration.version)
    for path in _paths(request):
        _check_model(path, device.view)
    for path, attributes in _attributes(request):
        _check_attributes(
            device, path, attributes, isinstance(request, WriteAttributes), assigned and not prefix
        )


def _check_objects(device: Device, request: Request, prefix: str) -> None:
    objects = device.registration.objects if device.registration is not None else {}
    if prefix:
        if GATEWAY not in objects:
            raise _bad(
                f"/{prefix}: {device.endpoint} is no LwM2M Gateway (object {GATEWAY}) with end devices;"
                f" it has {_listed(objects)}"
            )
        return
    for path in _paths(request):
        if path and path[0] not in objects:
            raise _bad(f"{path}: {device.endpoint} has no object {path[0]}; it has {_listed(objects)}")


def _listed(objects: Iterable[int]) -> str:
    return " ".join(f"/{number}" for number in sorted(objects))


def _check_version(request: Request, version: str) -> None:
    what, since = _needs(request)
    if version < since:
        raise _bad(f"{request.operation}: {what} came with LwM2M {since}, the device speaks {version}")


def _needs(request: Request) -> tuple[str, str]:
    """The youngest thing in a request, and the enabler version that brought it."""
    if isinstance(request, Discover) and request.depth is not None:
        return "depth", "1.2"
    if isinstance(request, Delete) and len(request.path) == 4:
        return "the deletion of a Resource Instance", "1.2"
    if isinstance(request, WriteComposite) and any(entry.value is None for entry in request.entries):
        return "the deletion of a Resource Instance", "1.2"
    if isinstance(request, ObserveComposite) and request.attributes:
        return "attributes of the whole", "1.2"
    if isinstance(request, (ReadComposite, ObserveComposite, CancelComposite, WriteComposite)):
        return "a composite", "1.1"
    return "", "1.0"


def _check_model(path: Path, models: ModelView) -> None:
    spec = models.object(path[0]) if path else None
    if spec is None:
        return
    if not spec.multiple and path.instance not in (None, 0):
        raise _bad(f"{path}: object {spec.id} {spec.name} has only instance 0")
    if path.resource is not None and path.resource not in spec.resources:
        raise _bad(f"{path}: object {spec.id} {spec.name} {spec.version} has no such resource")


def _check_attributes(
    device: Device, path: Path, attributes: Attributes, written: bool, assigned: bool
) -> None:
    """``written`` if they replace what is at the path, else they count for one observation."""
    version = device.registration.version if device.registration is not None else None
    try:
        check_attributes(attributes, path or None, version=version)
        if assigned and device.assigned and path:
            own = updated(device.assigned.get(path, ()), attributes)
            known = {**device.assigned, path: own}
            below = [other for other in known if written and other.startswith(path)]
            for place in (path, *below):
                effective(place, known)
    except ValueRejected as error:
        raise _bad(str(error)) from None


def _attributes(request: Request) -> tuple[tuple[Path, Attributes], ...]:
    """Attributes by path; an Observe without any is subject to what is there."""
    if isinstance(request, ObserveLinks):
        return request.links
    if isinstance(request, (WriteAttributes, Observe)):
        return ((request.path, request.attributes),)
    return ((ROOT, request.attributes),) if isinstance(request, ObserveComposite) else ()


def _paths(request: Request) -> tuple[Path, ...]:
    if isinstance(request, Read):
        # The commonest; to look for attributes it does not have costs more than all the rest.
        return (request.path,)
    if isinstance(request, (ReadAll, CancelLinks)):
        return ()
    if isinstance(request, ObserveLinks):
        return tuple(path for path, _ in request.links)
    paths: tuple[Path, ...] | None = getattr(request, "paths", None)
    if paths is not None:
        return paths
    entries = getattr(request, "entries", ())
    return (request.path, *(entry.path for entry in entries))


def _bad(reason: str) -> RequestError:
    return RequestError(Code.BAD_REQUEST, reason)
