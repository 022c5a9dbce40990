"""What stands in the containers of a device: engine events as JSON texts.

Times are milliseconds since 1970-01-01 UTC, in ``time`` and in the values of Resources of type Time.
Opaque is base64, integers are exact.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any

import orjson

from lwm2m_engine.coap import dotted, is_success
from lwm2m_engine.engine.events import Failed, Received
from lwm2m_engine.entries import Entry, latest
from lwm2m_engine.errors import DecodeError
from lwm2m_engine.links import format_links, parse_links
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ObjLink, ResourceType, Value
from lwm2m_server.onem2m import content_everyday

MAX_DIAGNOSTIC = 1024
"""Bytes of a diagnostic payload (RFC 7252, 5.5.2) that are kept."""


def received(
    event: Received, device: str, models: ModelView, request_id: str | None, *, extras: bool = True
) -> str:
    """An answer, notification or Send for ``received-msg``.

    ``device`` is the name of the node, ``request_id`` the ``ri`` of the message this answers. Without
    ``extras`` there are only the keys every message has, and what became no value.
    """
    place = _place(event)
    everyday = None if place else content_everyday.values(event, models)
    content: dict[str, Any] = {
        "nodeResourceName": device,
        "time": milliseconds(event.at),
        "messageType": event.kind,
        "resourcePath": place + _key(event.path),
        "dataValue": everyday or _values(event, models),
    }
    if extras:
        content |= _extras(event, request_id)
    if everyday is None and any(entry.time is not None for entry in event.entries):
        content["samples"] = _samples(event, models)
    if event.error is not None or event.payload:
        content |= _payload(event)
    return dumps(content)


def failed(
    event: Failed | Received, device: str, request_id: str | None, *, reason: str, detail: str = ""
) -> str:
    """A message that got no usable answer, for ``error-msg``."""
    content = {
        "nodeResourceName": device,
        "time": milliseconds(event.at),
        "messageType": "error",
        "operation": event.operation,
        "resourcePath": _place(event) + event.path.key,
        "reason": reason,
        "requestID": request_id,
    }
    return dumps(content | ({"detail": detail} if detail else {}))


def log(device: str, at: float, name: str, text: str) -> str:
    """A line for ``logs``: an event of the device's life by its name, and what a person should know."""
    content = {"nodeResourceName": device, "time": milliseconds(at), "messageType": "log", "event": name}
    return dumps(content | ({"text": text} if text else {}))


def sent(device: str, at: float, request_id: str | None) -> str:
    """A message has left ``outgoing-msg`` for ``sent-msg``."""
    content = {"nodeResourceName": device, "time": milliseconds(at), "messageType": "sent"}
    return dumps(content | {"requestID": request_id})


def managed(device: str, at: float, name: str, key: str, attributes: Mapping[str, Any]) -> str:
    """Attributes of a management object are others now."""
    content = {"nodeResourceName": device, "time": milliseconds(at), "messageType": "managed"}
    return dumps(content | {"resourceName": name, "resourceType": key, "attributes": attributes})


def _place(event: Received | Failed) -> str:
    """What stands before the paths of an end device behind a LwM2M Gateway."""
    return f"{event.prefix}/" if event.prefix else ""


@lru_cache(maxsize=4096)
def _key(path: Path) -> str:
    """Half the cost of a message is spelling the same few paths."""
    return path.key


_path_of = itemgetter(0)


def _values(event: Received, models: ModelView) -> dict[str, Any]:
    place = _place(event)
    return {
        place + _key(path): plain(entry.value, models.types(path))
        for path, entry in sorted(latest(event.entries).items(), key=_path_of)
        if entry.value is not None
    }


def milliseconds(seconds: float) -> float:
    """An integer, unless there are more digits than JSON integers have here: devices with a broken clock."""
    exact = seconds * 1000
    return round(exact) if abs(exact) < _LARGEST else float(exact)


_LARGEST = 2**63


def plain(value: Value, kind: ResourceType | None) -> Any:
    """A value as JSON has it. JSON knows no infinity: these are texts, as in JavaScript."""
    if kind is ResourceType.TIME and isinstance(value, (int, float)) and math.isfinite(value):
        found = milliseconds(value)
        return found if math.isfinite(found) else str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, ObjLink):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return clean(value) if isinstance(value, str) else value


def clean(text: str) -> str:
    """Text that UTF-8 can hold: JSON escapes can smuggle in halves of surrogate pairs."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def dumps(content: Mapping[str, Any]) -> str:
    return orjson.dumps(content).decode("utf-8")


def _extras(event: Received, request_id: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    # A Send is a request of the device: its code is the server's answer.
    if event.kind != "send":
        found["responseCode"] = dotted(event.code)
    if event.operation:
        found["operation"] = event.operation
    if event.paths:
        found["resourcePaths"] = [_place(event) + _key(path) for path in event.paths]
    if event.created is not None:
        found["location"] = _place(event) + _key(event.created)
    if request_id is not None:
        found["requestID"] = request_id
    return found


def _samples(event: Received, models: ModelView) -> list[list[Any]]:
    """Every value with its own time, oldest first; one without a time is of the moment it arrived."""

    def moment(entry: Entry) -> float:
        return event.at if entry.time is None else entry.time

    return [
        [
            milliseconds(moment(entry)),
            _place(event) + _key(entry.path),
            plain(entry.value, models.types(entry.path)),
        ]
        for entry in sorted(event.entries, key=moment)
        if entry.value is not None
    ]


def _payload(event: Received) -> dict[str, Any]:
    """What a payload says that became no entries; nothing a device says is dropped."""
    if event.error is not None:
        return _raw(event) | {"error": clean(event.error)}
    if not is_success(event.code):
        text = event.payload[:MAX_DIAGNOSTIC].decode("utf-8", "replace")
        return {"diagnostic": text}
    if event.operation == "discover":
        return _links(event)
    return _raw(event)


def _links(event: Received) -> dict[str, Any]:
    try:
        found, _ = parse_links(event.payload)
    except DecodeError as error:
        return _raw(event) | {"error": str(error)}
    return {"links": [format_links([link]) for link in found]}


def _raw(event: Received) -> dict[str, Any]:
    raw: dict[str, Any] = {"rawPayload": base64.b64encode(event.payload).decode("ascii")}
    if event.content_format is not None:
        raw["contentFormat"] = event.content_format
    return raw


@lru_cache(maxsize=1024)
def summary(version: str, lifetime: int, queue_mode: bool, objects: tuple[int, ...]) -> str:
    """What a registration is, in a line: ``LwM2M 1.1, lifetime 300 s, queue mode, objects 1 3 6``."""
    life = f"lifetime {lifetime} s" if lifetime else "lifetime unlimited"
    queue = ", queue mode" if queue_mode else ""
    return f"LwM2M {version}, {life}{queue}, objects {' '.join(map(str, sorted(objects)))}"
