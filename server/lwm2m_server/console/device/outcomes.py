"""``Outcome``: what came of something that a device was asked, as it is told beside the button."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from lwm2m_engine.coap import Code, dotted
from lwm2m_server.console.backend import Refusal
from lwm2m_server.console.device.calls import TITLES
from lwm2m_server.console.device.values import Reading, id_of, reading

WAITS: Final = frozenset({"QUEUED", "SENT", "DELIVERED"})
_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "SUCCESSFUL": ("done", "good"),
    "FAILED": ("failed", "bad"),
    "TIMEOUT": ("no answer in time", "bad"),
    "EXPIRED": ("expired", "bad"),
    "CANCELLED": ("taken back", "plain"),
    "REFUSED": ("not sent", "bad"),
    "QUEUED": ("waits until the device wakes", "waiting"),
    "SENT": ("on its way", "busy"),
    "DELIVERED": ("the device has it, and works on it", "busy"),
}
"""By state of an RPC: in words, and the kind of mark."""
MOST_LINKS: Final = 200


@attrs.frozen(slots=True)
class Link:
    """One that a Discover found."""

    path: str
    name: str | None
    attributes: str


@attrs.frozen(slots=True)
class Outcome:
    """Of one RPC; ``rpc`` is ``None`` for what was refused before it became one."""

    method: str
    place: str
    state: str
    rpc: str | None = None
    code: str = ""
    at: int | None = None
    took: int | None = None
    until: int | None = None
    error: str = ""
    notes: Sequence[str] = ()
    readings: tuple[Reading, ...] = ()
    links: tuple[Link, ...] = ()
    location: str = ""
    observing: bool = False
    raw: str = ""
    """Hexadecimal of an answer that could not be read."""

    @property
    def title(self) -> str:
        return TITLES.get(self.method, self.method)

    @property
    def words(self) -> str:
        return _STATES.get(self.state, (self.state.lower(), "plain"))[0]

    @property
    def kind(self) -> str:
        return _STATES.get(self.state, ("", "plain"))[1]

    @property
    def waits(self) -> bool:
        return self.state in WAITS

    @property
    def id(self) -> str:
        return id_of(self.place)


def outcome(rpc: Mapping[str, Any]) -> Outcome:
    """Of an RPC as the API has it."""
    finished, sent = rpc.get("finishedAt"), rpc.get("sentAt")
    return Outcome(
        rpc["method"],
        _place(rpc),
        rpc["state"],
        rpc["id"],
        code=_code(rpc.get("code")),
        at=finished or rpc["createdAt"],
        took=finished - sent if finished is not None and sent is not None else None,
        until=rpc.get("queuedUntil"),
        error=_error(rpc),
        notes=rpc.get("notes", ()),
        readings=_readings(rpc),
        links=_links(rpc),
        location=rpc.get("location") or "",
        observing=bool(rpc.get("observing")),
        raw=_hex(rpc.get("rawPayload")),
    )


def refused(method: str, place: str, refusal: Refusal) -> Outcome:
    """Of a problem: an RPC that came to nothing, or what never became one."""
    if "rpcId" in refusal.members:
        return outcome({**refusal.members, "error": refusal.detail})
    return Outcome(method, place, "REFUSED", error=refusal.detail)


def _place(rpc: Mapping[str, Any]) -> str:
    params = rpc["params"] if isinstance(rpc["params"], Mapping) else {}
    if ("nodes" in params and "id" not in params) or "ids" in params:
        return "/"
    return str(params.get("id") or rpc.get("path") or "/")


def _code(text: str | None) -> str:
    """``2.05 Content``."""
    if not text:
        return ""
    known = next((one for one in Code if dotted(one) == text), None)
    return text if known is None else f"{text} {known.name.replace('_', ' ').capitalize()}"


def _error(rpc: Mapping[str, Any]) -> str:
    return "" if rpc["state"] == "CANCELLED" else str(rpc.get("error") or "")


def _readings(rpc: Mapping[str, Any]) -> tuple[Reading, ...]:
    """The values of an answer, each by itself."""
    at = rpc.get("finishedAt") or rpc["createdAt"]
    rows = (
        {"key": one["path"], "type": None, "source": "read", "at": at, "value": None, **one}
        for one in rpc.get("entries", ())
    )
    return tuple(reading(row) for row in rows)


def _links(rpc: Mapping[str, Any]) -> tuple[Link, ...]:
    if rpc["method"] != "Discover" or not isinstance(rpc.get("value"), list):
        return ()
    return tuple(
        Link(one["path"], one["name"], _attributes(one["attributes"])) for one in rpc["value"][:MOST_LINKS]
    )


def _attributes(found: Mapping[str, str | None]) -> str:
    return ", ".join(name if value is None else f"{name}={value}" for name, value in found.items())


def _hex(text: str | None) -> str:
    try:
        return base64.b64decode(text or "", validate=True).hex(" ")
    except (binascii.Error, ValueError):
        return ""
