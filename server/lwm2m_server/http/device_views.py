"""What a device is, as JSON: a row of a list, its details, its objects. Times are milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from lwm2m_engine.attributes import format_attributes
from lwm2m_engine.engine.presence import Presence
from lwm2m_engine.engine.records import Observation, Registration
from lwm2m_engine.errors import PathError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.model.spec import ResourceSpec
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_server.store.records import Device, Message, SealedCredential

_LABELS: Final = {int(one): one.label for one in ContentFormat}


def milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def row(device: Device, state: Presence, profile: str | None) -> dict[str, Any]:
    """What a list tells."""
    registration = device.registration
    return {
        "name": device.name,
        "nodeId": device.node_id,
        "endpoint": device.endpoint,
        "profile": profile,
        "registered": state.registered,
        "registeredAt": milliseconds(device.registered_at),
        "version": registration.version if registration else None,
        "lifetime": registration.lifetime if registration else None,
        "binding": registration.binding if registration else None,
        "queueMode": registration.queue_mode if registration else None,
        "awake": state.awake if registration else None,
        "awakeUntil": milliseconds(state.awake_until),
        "listensAt": milliseconds(state.listens_at),
        "lastSeen": milliseconds(state.heard_at or _last_said(device)),
        "deregisteredAt": milliseconds(device.deregistered_at),
        "expiredAt": milliseconds(device.expired_at),
        "waiting": state.waiting,
        "inFlight": state.in_flight,
        "transferred": _transfer(state.transferred),
    }


def _last_said(device: Device) -> float | None:
    """Of one that was not heard since the server is up: what came last before."""
    moments = device.registered_at, device.updated_at, device.deregistered_at
    return max((moment for moment in moments if moment is not None), default=None)


def _transfer(progress: tuple[int, int] | None) -> dict[str, int] | None:
    return {"bytes": progress[0], "of": progress[1]} if progress is not None else None


def security(row: SealedCredential | None) -> dict[str, Any]:
    return {
        "security": "nosec" if row is None else row.mode,
        "identity": None if row is None else row.public.get("identity"),
    }


def registration(found: Registration) -> dict[str, Any]:
    return {
        "id": found.id,
        "root": found.root,
        "contentFormats": list(found.formats),
        "sms": found.sms,
        "attributes": dict(found.attributes),
        "warnings": list(found.warnings),
    }


def observation(one: Observation, registration: Registration | None) -> dict[str, Any]:
    return {
        "paths": [str(path) for path in one.paths],
        "prefix": one.prefix,
        "attributes": format_attributes(one.attributes),
        "composite": one.composite,
        "since": milliseconds(one.began_at),
        "origin": one.origin,
        # One of another registration is wanted still: the device will be asked again.
        "active": registration is not None and one.registration == registration.id,
    }


def exchanges(messages: Iterable[Message], limit: int) -> list[dict[str, Any]]:
    """What the device said last, and what it did not answer; the newest first."""
    newest = sorted(messages, key=lambda one: one.id, reverse=True)[:limit]
    return [_exchange(one.content) for one in newest]


LONGEST: Final = 200
"""Characters of a text that nobody understands."""
_KINDS: Final = frozenset(("response", "notification", "send", "error"))
_EXCHANGE: Final = {
    "time": "time",
    "messageType": "kind",
    "operation": "operation",
    "resourcePath": "path",
    "resourcePaths": "paths",
    "responseCode": "code",
    "reason": "reason",
    "detail": "detail",
    "requestID": "message",
}


def _exchange(text: str) -> dict[str, Any]:
    """Clients may put there what they like, too."""
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, Mapping) or content.get("messageType") not in _KINDS:
        return {"text": text[:LONGEST]}
    return {name: content[key] for key, name in _EXCHANGE.items() if content.get(key) is not None}


# --- objects -------------------------------------------------------------------------------------------


def objects(registration: Registration, models: ModelView) -> list[dict[str, Any]]:
    """What the device announced, and what its models say can be done with it."""
    return [_object(id, found, models) for id, found in _instances(registration)]


def _instances(registration: Registration) -> list[tuple[int, list[int]]]:
    instances: dict[int, list[int]] = {id: [] for id in registration.objects}
    for path in registration.instances:
        instances.setdefault(path[0], []).append(path[1])
    return sorted(instances.items())


def _object(id: int, instances: list[int], models: ModelView) -> dict[str, Any]:
    spec = models.object(id)
    return {
        "id": id,
        "name": spec.name if spec else None,
        "version": models.version(id),
        "modelVersion": spec.version if spec else None,
        "multiple": spec.multiple if spec else None,
        "instances": instances,
        "resources": [_resource(resource) for resource in spec.resources.values()] if spec else [],
    }


def _resource(spec: ResourceSpec) -> dict[str, Any]:
    return {
        "id": spec.id,
        "name": spec.name,
        "operations": spec.operations,
        "type": spec.type.value,
        "multiple": spec.multiple,
        "mandatory": spec.mandatory,
        "units": spec.units,
        "range": spec.range,
    }


def tree(registration: Registration, models: ModelView) -> dict[str, Any]:
    """The whole list as announced, with the attributes of links and what the models know."""
    attributes = _attributes(registration)
    found = []
    for id, instances in _instances(registration):
        shown = _object(id, instances, models)
        shown["attributes"] = attributes.get(Path((id,)), {})
        shown["instances"] = [
            {"id": one, "path": f"/{id}/{one}", "attributes": attributes.get(Path((id, one)), {})}
            for one in instances
        ]
        found.append(shown)
    return {
        "root": registration.root,
        "contentFormats": _formats(registration.formats),
        "links": [{"target": one.target, "attributes": dict(one.attributes)} for one in registration.links],
        "objects": found,
    }


def _formats(numbers: Sequence[int]) -> list[dict[str, Any]]:
    return [{"id": number, "name": _LABELS.get(number)} for number in numbers]


def _attributes(registration: Registration) -> dict[Path, dict[str, str | None]]:
    """Of links to Objects and their Instances, by path."""
    root = registration.root.rstrip("/")
    found: dict[Path, dict[str, str | None]] = {}
    for link in registration.links:
        try:
            path = Path(link.target.removeprefix(root))
        except PathError:
            continue
        found[path] = dict(link.attributes)
    return found
