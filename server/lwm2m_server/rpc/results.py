"""What a device answered, as the members of an RPC's answer: typed JSON, with names and units."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lwm2m_engine.coap import Code, dotted, is_success
from lwm2m_engine.engine.events import Failed, Received
from lwm2m_engine.engine.records import Observation, Registration
from lwm2m_engine.entries import Entry, latest
from lwm2m_engine.errors import DecodeError
from lwm2m_engine.links import Link, parse_links
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import ROOT, Path
from lwm2m_server.onem2m.content import MAX_DIAGNOSTIC, clean, milliseconds, plain
from lwm2m_server.store.rpc import State

NUMBERED = ("cancel", "cancel-composite")
"""Operations whose value is how many observations ended."""


def answered(event: Received, models: ModelView, *, observes: bool) -> dict[str, Any]:
    """Members of the answer; with ``error`` if the device refused, or said what cannot be read.

    ``observes`` if the device observes from now on what an Observe was about.
    """
    found: dict[str, Any] = {"result": name_of(event.code), "code": dotted(event.code)}
    if event.paths:
        found["paths"] = list(map(str, event.paths))
    elif event.path:
        found["path"] = str(event.path)
    if not is_success(event.code):
        return found | {"error": refusal(event)}
    if event.error is not None:
        raw = base64.b64encode(event.payload).decode("ascii")
        return found | {
            "error": f"the answer cannot be read: {clean(event.error)}",
            "contentFormat": event.content_format,
            "rawPayload": raw,
        }
    if event.operation in NUMBERED:
        return found | {"value": 1}
    if event.operation == "discover":
        return found | _discovered(event.payload, models)
    if event.operation in ("observe", "observe-composite"):
        found["observing"] = observes
    if event.created is not None:
        found |= {"location": str(event.created), "value": str(event.created)}
    if event.operation.startswith(("read", "observe")):
        found |= _values(event, models)
    return found


def outcome(event: Received | Failed) -> State:
    """What an answer, or its absence, makes of an RPC."""
    if isinstance(event, Received):
        return "SUCCESSFUL" if is_success(event.code) and event.error is None else "FAILED"
    return _OUTCOMES.get(event.reason, "FAILED")


_OUTCOMES: Mapping[str, State] = {"timeout": "TIMEOUT", "expired": "EXPIRED", "cancelled": "CANCELLED"}


def failed(event: Failed) -> dict[str, Any]:
    """Why there is no answer."""
    text = _REASONS.get(event.reason, event.reason)
    found: dict[str, Any] = {"error": f"{text}: {event.detail}" if event.detail else text}
    return found | ({"path": str(event.path)} if event.path else {})


_REASONS = {
    "timeout": "the device did not answer",
    "expired": "it waited until its time was over",
    "cancelled": "it was taken back",
    "refused": "it could not be done",
    "decode": "the answer cannot be read",
    "unknown-outcome": "the device may have done it: the server stopped before there was an answer, and it is"
    " not a request to be repeated",
}


def name_of(code: int) -> str:
    """``CONTENT`` of 2.05; of a code without a name its number."""
    try:
        return Code(code).name
    except ValueError:
        return dotted(code)


def refusal(event: Received) -> str:
    """The sentence for a code that is no success, with the diagnostic."""
    said = event.payload[:MAX_DIAGNOSTIC].decode("utf-8", "replace").strip()
    what = f"the device answered {dotted(event.code)} {name_of(event.code)}"
    return f"{what}: {said}" if said else what


# --- values ------------------------------------------------------------------------------------------


def _values(event: Received, models: ModelView) -> dict[str, Any]:
    values = {
        path: plain(entry.value, models.types(path))
        for path, entry in sorted(latest(event.entries).items(), key=lambda item: item[0])
        if entry.value is not None
    }
    if event.paths or event.path == ROOT:
        value: Any = _by_resource(values, models)
    else:
        value = shaped(event.path, values, models)
    entries = [_entry(one, models) for one in event.entries if one.value is not None]
    return {"value": value, "entries": entries}


def shaped(path: Path, values: Mapping[Path, Any], models: ModelView) -> Any:
    """What lies at a path and below: a value, or objects by the ids below it."""
    if len(path) == 4:
        return values.get(path)
    if len(path) == 3:
        spec = models.resource(path)
        if path in values and not (spec is not None and spec.multiple):
            return values[path]
        if not values and spec is not None and not spec.multiple:
            return None
        return {str(one[3]) if len(one) > 3 else "0": value for one, value in values.items()}
    found: dict[str, Any] = {}
    for child in dict.fromkeys(Path(one[: len(path) + 1]) for one in values):
        below = {one: value for one, value in values.items() if one.startswith(child)}
        found[str(child[-1])] = shaped(child, below, models)
    return found


def _by_resource(values: Mapping[Path, Any], models: ModelView) -> dict[str, Any]:
    """Of several places: each Resource by its path."""
    found: dict[str, Any] = {}
    for resource in dict.fromkeys(Path(one[:3]) for one in values):
        below = {one: value for one, value in values.items() if one.startswith(resource)}
        found[str(resource)] = shaped(resource, below, models)
    return found


def _entry(entry: Entry, models: ModelView) -> dict[str, Any]:
    spec = models.resource(entry.path)
    found: dict[str, Any] = {"path": str(entry.path), "name": None if spec is None else spec.name}
    if entry.value is not None:
        found["value"] = plain(entry.value, models.types(entry.path))
    found["units"] = (spec.units or None) if spec is not None else None
    return found | ({"at": milliseconds(entry.time)} if entry.time is not None else {})


# --- links and observations ---------------------------------------------------------------------------


def _discovered(payload: bytes, models: ModelView) -> dict[str, Any]:
    try:
        links, _ = parse_links(payload)
    except DecodeError as error:
        return {"error": f"the answer cannot be read: {error}", "value": None}
    return {"value": listed(links, models)}


def listed(links: Iterable[Link], models: ModelView) -> list[dict[str, Any]]:
    """Links with their attributes, and what the models call the places they lead to."""
    return [
        {"path": link.target, "name": _name(link.target, models), "attributes": dict(link.attributes)}
        for link in links
    ]


def _name(target: str, models: ModelView) -> str | None:
    try:
        path = Path(target)
    except ValueError:
        return None
    if len(path) > 2:
        spec = models.resource(path)
        return None if spec is None else spec.name
    object = models.object(path[0]) if path else None
    return None if object is None else object.name


def observation(one: Observation, registration: Registration | None) -> dict[str, Any]:
    """A relation that is there, or is to be there again."""
    return {
        "paths": list(map(str, one.paths)),
        "composite": one.composite,
        "since": int(one.began_at * 1000),
        "origin": one.origin,
        "active": registration is not None and one.registration == registration.id,
        **({"prefix": one.prefix} if one.prefix else {}),
    }


def observations(all: Sequence[Observation], registration: Registration | None) -> list[dict[str, Any]]:
    return [observation(one, registration) for one in all]
