"""What answers tell about a device beyond values: its Object Instances and their attributes."""

from __future__ import annotations

import attrs

from lwm2m_engine.attributes import told_attributes, updated
from lwm2m_engine.coap import CoapReply, is_success
from lwm2m_engine.engine.devices import Device
from lwm2m_engine.engine.events import RegistrationChanged
from lwm2m_engine.engine.turn import Turn
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import DecodeError, PathError, ValueRejected
from lwm2m_engine.links import Link, parse_links
from lwm2m_engine.messages.requests import (
    Create,
    Delete,
    Discover,
    Single,
    Write,
    WriteAttributes,
    WriteComposite,
)
from lwm2m_engine.paths import Path


def learn(device: Device, step: Single, reply: CoapReply, turn: Turn) -> None:
    """A request succeeded. Of end devices behind a gateway nothing is kept."""
    if step.prefix:
        return
    if isinstance(step, Create):
        _set_instances(device, {*_instances(device), *created(step, reply)}, turn)
    elif isinstance(step, Delete):
        _forget(device, step.path)
        _set_instances(device, {*_instances(device)} - {step.path}, turn)
    elif isinstance(step, WriteAttributes):
        own = (device.assigned or {}).get(step.path, ())
        device.assigned = {**(device.assigned or {}), step.path: updated(own, step.attributes)}
    elif isinstance(step, Discover):
        _take_over(device, reply.payload)


def created(step: Single, reply: CoapReply) -> tuple[Path, ...]:
    """The Object Instances a Create made: those it chose, else the one the answer names."""
    if not isinstance(step, Create) or not is_success(reply.code):
        return ()
    if step.instances:
        return step.instances
    try:
        path = Path("/".join(reply.location[-2:]))
    except PathError:
        return ()
    return (path,) if len(path) == 2 and path[0] == step.path[0] else ()


def written(step: Single, created: tuple[Path, ...]) -> tuple[Entry, ...]:
    """The values there are at the device once it has done what was asked."""
    if isinstance(step, (Write, WriteComposite)):
        return step.entries
    if not isinstance(step, Create) or not created:
        return ()
    if step.instances:
        return step.entries
    # Without a chosen id they stand at Instance 0.
    return tuple(entry._replace(path=Path((*created[0], *entry.path[2:]))) for entry in step.entries)


def _instances(device: Device) -> tuple[Path, ...]:
    return device.registration.instances if device.registration is not None else ()


def _set_instances(device: Device, instances: set[Path], turn: Turn) -> None:
    """Clients need not announce at once what the server itself created or deleted."""
    registration = device.registration
    if registration is not None and instances != set(registration.instances):
        device.registration = attrs.evolve(registration, instances=tuple(sorted(instances)))
        turn.tell(RegistrationChanged(device.endpoint, turn.now, device.registration))


def _forget(device: Device, path: Path) -> None:
    """Attributes vanish with what they were attached to."""
    if device.assigned:
        device.assigned = {at: own for at, own in device.assigned.items() if not at.startswith(path)}


def _take_over(device: Device, payload: bytes) -> None:
    """The attributes in a Discover answer; a client that bends the format tells none."""
    root = device.registration.root.rstrip("/") if device.registration is not None else ""
    try:
        links, _ = parse_links(payload)
        told = told_attributes(
            Link(link.target[len(root) :], link.attributes) for link in links if link.target.startswith(root)
        )
    except (DecodeError, ValueRejected):
        return
    if told:
        device.assigned = {**(device.assigned or {}), **told}
