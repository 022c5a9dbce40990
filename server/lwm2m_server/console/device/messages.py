"""What was said with a device lately, in words and values: of ``/api/v1/devices/{name}/messages``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs
from starlette.requests import Request

from lwm2m_engine.values import ResourceType
from lwm2m_server.console import codes
from lwm2m_server.console.device.frame import path_of
from lwm2m_server.console.device.values import TYPES, Shown, shown
from lwm2m_server.console.viewer import viewer_of

LONGEST: Final = 400
MOST_VALUES: Final = 200
_KINDS: Final = {
    "response": "Answer",
    "notification": "Notification",
    "send": "Send",
    "error": "Failed",
}


@attrs.frozen
class Line:
    """What a message to a device asks for."""

    method: str
    path: str
    body: str = ""


@attrs.frozen
class Told:
    """A value of a payload."""

    path: str
    name: str | None
    units: str | None
    value: Shown


@attrs.frozen
class Message:
    """One that lies in a container of the device."""

    id: str
    container: str
    at: int
    title: str
    """Answer, Notification, Send, Sent or Failed."""
    what: str
    """``read /3/0/9``"""
    code: str = ""
    """``2.05 Content``"""
    reason: str = ""
    why: str = ""
    detail: str = ""
    values: tuple[Told, ...] = ()
    by: str = ""
    raw: str = ""

    @property
    def is_error(self) -> bool:
        return self.container == "error-msg"

    @property
    def kind(self) -> str:
        """Of its mark."""
        if self.is_error or self.code[:1] in ("4", "5"):
            return "bad"
        return "plain" if self.container == "sent-msg" else "good"


Specs = Mapping[tuple[int, int], Mapping[str, Any]]
"""What models say of Resources, by Object ID and Resource ID."""


async def messages_of(request: Request, limit: int, device: Mapping[str, Any] | None = None) -> list[Message]:
    """The newest first. Values have names where the details of the device are given."""
    found = await viewer_of(request).api.get(path_of(request, "/messages"), limit=limit)
    specs = specs_of(device) if device is not None else {}
    return [_message(one, specs) for one in found["messages"]]


def specs_of(device: Mapping[str, Any]) -> Specs:
    return {
        (found["id"], resource["id"]): resource
        for found in device["objects"]
        for resource in found["resources"]
    }


def line_of(content: str) -> Line:
    """``GET /3``, or the same as a JSON object; more lines are the body."""
    try:
        document = json.loads(content)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return _line(document)
    first, _, rest = content.strip().partition("\n")
    method, _, what = first.partition(" ")
    path, _, value = what.partition(" ")
    return Line(method, path, "\n".join(one for one in (value, rest.strip()) if one)[:LONGEST])


def _line(document: Mapping[str, Any]) -> Line:
    value = document.get("value")
    body = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    return Line(str(document.get("method") or ""), str(document.get("path") or ""), body[:LONGEST])


def _message(row: Mapping[str, Any], specs: Specs) -> Message:
    content = row["content"]
    if row["container"] == "sent-msg" or not isinstance(content, Mapping):
        return _sent(row, content)
    code = content.get("responseCode")
    return Message(
        row["id"],
        row["container"],
        row["at"],
        _KINDS.get(str(content.get("messageType")), "Message"),
        _what(content),
        codes.title(code if isinstance(code, str) else None),
        str(content.get("reason") or ""),
        codes.why(content),
        str(content.get("detail") or content.get("diagnostic") or content.get("error") or ""),
        tuple(_values(content, specs)),
        raw=json.dumps(content, indent=2, ensure_ascii=False),
    )


def _sent(row: Mapping[str, Any], content: Any) -> Message:
    line = _line(content) if isinstance(content, Mapping) else line_of(str(content))
    raw = json.dumps(content, indent=2, ensure_ascii=False) if isinstance(content, Mapping) else str(content)
    title = "Sent" if row["container"] == "sent-msg" else "Message"
    what = f"{line.method} {line.path}"
    return Message(row["id"], row["container"], row["at"], title, what, by=row["creator"], raw=raw)


def _what(content: Mapping[str, Any]) -> str:
    paths = content.get("resourcePaths")
    places = paths if isinstance(paths, list) else [content.get("resourcePath") or ""]
    shown = ", ".join(f"/{str(one).lstrip('/')}" for one in places)
    return f"{content.get('operation') or ''} {shown}".strip()


def _values(content: Mapping[str, Any], specs: Specs) -> Iterator[Told]:
    found = content.get("dataValue")
    if isinstance(found, Mapping):
        for path, value in list(found.items())[:MOST_VALUES]:
            yield told(path, value, specs.get(_resource(path), {}))


def told(path: str, value: Any, spec: Mapping[str, Any]) -> Told:
    """``path`` as a payload has it, without its leading slash."""
    kind = TYPES.get(spec.get("type") or "")
    is_time = kind is ResourceType.TIME and isinstance(value, (int, float))
    known = kind if is_time or kind is ResourceType.OPAQUE else None
    return Told(f"/{path}", spec.get("name"), spec.get("units") or None, shown(value, known))


def _resource(path: str) -> tuple[int, int]:
    ids = path.split("/")[:3:2]
    return (int(ids[0]), int(ids[1])) if len(ids) == 2 and all(map(str.isdecimal, ids)) else (-1, -1)
