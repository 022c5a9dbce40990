"""What CoAP codes and reasons of failures mean, in a sentence for who asks why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lwm2m_engine.coap import Code, dotted

_NAMES: Final[Mapping[str, str]] = {dotted(one): one.name.replace("_", " ").capitalize() for one in Code}

_MEANINGS: Final[Mapping[str, str]] = {
    "2.01": "It was created.",
    "2.02": "It was deleted.",
    "2.03": "What was known already is still so.",
    "2.04": "The device did it.",
    "2.05": "The answer holds what was asked for.",
    "2.31": "This block arrived; the next one may come.",
    "4.00": "The other side could not make sense of the request.",
    "4.01": "The device does not allow it: its Access Control Object (/2) gives this server no right to it.",
    "4.02": "The other side does not understand an option of the request that it must understand.",
    "4.03": "It is forbidden.",
    "4.04": "There is no such Object, Object Instance or Resource on the device.",
    "4.05": "The device does not allow this operation there: a Resource may be only readable, or only "
    "executable.",
    "4.06": "The device has no format that was asked for.",
    "4.08": "A block is missing: the transfer has to begin anew.",
    "4.09": "It contradicts the state the device is in.",
    "4.12": "The condition of the request did not hold.",
    "4.13": "The payload is larger than the device can take.",
    "4.15": "The device does not know the format of the payload.",
    "4.22": "The payload could be read, and cannot be carried out.",
    "4.29": "Too many requests in a short time.",
    "5.00": "Something went wrong inside the device.",
    "5.01": "The device does not have this operation.",
    "5.02": "What the device asked on behalf of the server failed.",
    "5.03": "The device cannot do it now; it may later.",
    "5.04": "What the device asked on behalf of the server did not answer in time.",
    "5.05": "The device is no proxy.",
}

_REFUSALS: Final[Mapping[str, str]] = {
    "4.00": "The server could not make sense of what the device sent.",
    "4.03": "The server does not let this device in, or not with these credentials.",
    "4.04": "The server does not know this registration: the device has to register anew.",
    "4.05": "The server does nothing of this kind at that place.",
    "4.06": "The server has no format that the device asked for.",
    "4.12": "The server speaks no LwM2M version that the device asked for.",
    "4.15": "The server does not know the format of the payload.",
    "5.03": "The server could not keep it in this moment; the device may try again.",
}

_REASONS: Final[Mapping[str, str]] = {
    "timeout": "The device did not answer, however often it was asked: it is switched off, asleep without "
    "having said so, or out of reach.",
    "expired": "The device was not heard before the time to live of the message was over.",
    "cancelled": "It was taken back before the device had it.",
    "refused": "The device, or the server on its behalf, refused it.",
    "unknown-outcome": "The server stopped while it was under way. Whether the device did it is not known; "
    "it is not repeated, as that could do it twice.",
    "decode": "The device answered, and its payload could not be read. The raw bytes are kept.",
    "unauthorized": "The Access Control Object of the device (/2) gives this server no right to it.",
}


def title(code: str | None) -> str:
    """``4.04 Not found``; what is no code stays as it is."""
    name = _NAMES.get(code or "")
    return f"{code} {name}" if name is not None else code or ""


def meaning(code: str | None) -> str:
    """A sentence about a response code; empty for a method, or one that nobody knows."""
    return _MEANINGS.get(code or "", "")


def refusal(code: str) -> str:
    """A sentence about a response code of this server to a device."""
    return _REFUSALS.get(code, "")


def reason(word: str | None, code: str | None = None) -> str:
    """Why a message failed. What the code says is closer than that it was refused."""
    if word == "refused" and code and meaning(code):
        return meaning(code)
    return _REASONS.get(word or "", "")


def why(content: Mapping[str, Any]) -> str:
    """Of what lies in a container of a device."""
    code = content.get("responseCode")
    detail = content.get("detail")
    if code is None and isinstance(detail, str):
        code = detail.rpartition(" ")[2]
    word = content.get("reason")
    if isinstance(word, str):
        return reason(word, code if isinstance(code, str) else None)
    return meaning(code) if isinstance(code, str) and not code.startswith("2.") else ""
