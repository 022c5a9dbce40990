"""``Exchange``: one message of the trace of a device: what was on the wire, and what it says."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from lwm2m_engine.formats import ContentFormat
from lwm2m_server.console import codes
from lwm2m_server.console.device.messages import Told, told

_LABELS: Final = {int(one): one.label for one in ContentFormat}


@attrs.frozen
class Exchange:
    """``options`` are names and values, as CoAP calls them (RFC 7252, 5.10)."""

    number: int
    at: int
    is_up: bool
    """From the device."""
    title: str
    """``GET``, ``2.05 Content``, or why there was none."""
    kind: str
    path: str
    type: str | None
    exchange: int | None
    duration: float | None
    peer: str | None
    options: tuple[tuple[str, str], ...]
    size: int
    hex: str
    is_cut: bool
    is_masked: bool
    values: tuple[Told, ...]
    paths: tuple[str, ...]
    text: str | None
    error: str | None
    meaning: str


def exchange_of(message: Mapping[str, Any]) -> Exchange:
    """Of a message as ``/api/v1/devices/{name}/trace`` has it."""
    said = message["message"]
    is_code = said[:1].isdigit()
    raw = base64.b64decode(message["payload"]) if "payload" in message else b""
    return Exchange(
        message["number"],
        message["time"],
        message["direction"] == "up",
        codes.title(said) if is_code else said,
        _kind(said, is_code),
        message["path"],
        message.get("type"),
        message.get("exchange"),
        message.get("duration"),
        message.get("peer"),
        tuple(_options(message)),
        message.get("payloadSize", 0),
        raw.hex(),
        message.get("cut", False),
        message.get("masked", False),
        tuple(_values(message)),
        tuple(f"/{path}" for path in message.get("paths", ())),
        message.get("text"),
        message.get("error"),
        _meaning(message),
    )


def _meaning(message: Mapping[str, Any]) -> str:
    """Of what went wrong; all else speaks for itself."""
    said = message["message"]
    if not said[:1].isdigit():
        return codes.reason(said)
    if said.startswith("2."):
        return ""
    return codes.meaning(said) if message["direction"] == "up" else codes.refusal(said)


def _kind(said: str, is_code: bool) -> str:
    if not is_code:
        return "plain" if said.isupper() else "busy" if said == "acknowledged" else "bad"
    return {"2": "good", "4": "bad", "5": "bad"}.get(said[0], "plain")


def _options(message: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Uri-Path", message["path"]
    if "query" in message:
        yield "Uri-Query", message["query"]
    for name, member in (("Content-Format", "contentFormat"), ("Accept", "accept")):
        if member in message:
            number = message[member]
            yield name, f"{number} ({_LABELS[number]})" if number in _LABELS else str(number)
    if "observe" in message:
        yield "Observe", str(message["observe"])
    if "location" in message:
        yield "Location-Path", message["location"]


def _values(message: Mapping[str, Any]) -> Iterator[Told]:
    facts = {"name": "names", "type": "types", "units": "units"}
    for path, value in message.get("values", {}).items():
        yield told(path, value, {fact: message.get(name, {}).get(path) for fact, name in facts.items()})
