"""The form of a new device: its fields, the document that they make, and where each fault belongs.

Fields that depend on the security mode have the mode in their names, since all of them are in the form:
``client.PSK.key`` and ``client.RPK.key`` are both ``client.key`` of the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from lwm2m_server.console.forms import Form

CREDENTIALS: Final = "LWM2M_CREDENTIALS"
MODES: Final[Mapping[str, str]] = {
    "NO_SEC": "No Security",
    "PSK": "Pre-Shared Key",
    "RPK": "Raw Public Key",
    "X509": "X.509 Certificate",
    "OSCORE": "OSCORE",
}
SECTIONS: Final[Mapping[str, str]] = {"bootstrapServer": "BOOTSTRAP SERVER", "lwm2mServer": "LWM2M SERVER"}


@attrs.frozen
class Input:
    """One member of credentials of a mode."""

    name: str
    label: str
    hint: str
    is_secret: bool = False
    is_long: bool = False


_HEX: Final = "Hexadecimal digits"
CLIENT: Final[Mapping[str, tuple[Input, ...]]] = {
    "PSK": (
        Input("identity", "Client Identity", "Empty: the security config key"),
        Input("key", "Client Key", f"{_HEX}, 16 bytes or more are good", is_secret=True),
    ),
    "RPK": (Input("key", "Client Public Key", "PEM, or base64 of SubjectPublicKeyInfo", is_long=True),),
    "X509": (
        Input(
            "cert",
            "Client Certificate",
            "PEM, or base64 of DER. Empty: any certificate that a trusted authority gave for the endpoint",
            is_long=True,
        ),
    ),
    "OSCORE": (
        Input("recipientId", "Recipient ID", f"{_HEX}: how the device calls itself"),
        Input("senderId", "Sender ID", f"{_HEX}: how it calls this server"),
        Input("masterSecret", "Master Secret", _HEX, is_secret=True),
        Input("masterSalt", "Master Salt", f"{_HEX}, may be empty", is_secret=True),
        Input("idContext", "ID Context", f"{_HEX}, may be empty"),
    ),
}
_PRIVATE: Final = Input(
    "clientSecretKey", "Client Secret Key", "The private key, base64 of PKCS #8", is_secret=True, is_long=True
)
SERVER: Final[Mapping[str, tuple[Input, ...]]] = {
    "PSK": (
        Input("clientPublicKeyOrId", "Client Public Key or Id", "The PSK identity"),
        Input("clientSecretKey", "Client Secret Key", _HEX, is_secret=True),
    ),
    "RPK": (Input("clientPublicKeyOrId", "Client Public Key or Id", "PEM or base64", is_long=True), _PRIVATE),
    "X509": (
        Input(
            "clientPublicKeyOrId", "Client Public Key or Id", "The certificate, PEM or base64", is_long=True
        ),
        _PRIVATE,
    ),
}
_ALONE: Final = {"client": {"PSK": "key", "OSCORE": "masterSecret"}}
"""Where a fault is told that is about the whole of a section."""


def device_of(form: Form) -> dict[str, Any]:
    """As the API wants it."""
    device: dict[str, Any] = {
        "name": form.text("name"),
        "transportType": form.text("transportType", "LWM2M"),
        "profile": form.text("profile") or None,
        "labels": [line.strip() for line in (form.raw("labels") or "").splitlines() if line.strip()],
        "groups": [one for one in form.all("groups") if one],
    }
    if form.flag("credential"):
        device["credentials"] = {
            "credentialsType": form.text("credentialsType", CREDENTIALS),
            "credentialsId": form.text("credentials.credentialsId") or None,
            "credentialsValue": _value(form),
        }
    return device


def _value(form: Form) -> dict[str, Any]:
    mode = form.text("client.securityConfigClientMode", "NO_SEC")
    client = {"endpoint": form.text("client.endpoint") or None, "securityConfigClientMode": mode}
    value: dict[str, Any] = {"client": client | _members(form, f"client.{mode}", CLIENT.get(mode, ()))}
    if form.flag("bootstraps"):
        value["bootstrap"] = {name: _section(form, name) for name in SECTIONS}
    return value


def _section(form: Form, name: str) -> dict[str, Any]:
    mode = form.text(f"{name}.securityMode", "NO_SEC")
    return {"securityMode": mode} | _members(form, f"{name}.{mode}", SERVER.get(mode, ()))


def _members(form: Form, place: str, inputs: tuple[Input, ...]) -> dict[str, Any]:
    """Of one mode; a key that is to be made is not sent."""
    found: dict[str, Any] = {one.name: form.text(f"{place}.{one.name}") or None for one in inputs}
    if form.flag(f"{place}.generate"):
        found = {one.name: found[one.name] for one in inputs if not one.is_secret} | {"generate": True}
    return found


def fields_of(form: Form) -> dict[str, str]:
    """What was typed, to be shown again; secrets are not."""
    secret = {
        f"{place}.{mode}.{one.name}"
        for place, modes in (("client", CLIENT), *((name, SERVER) for name in SECTIONS))
        for mode, inputs in modes.items()
        for one in inputs
        if one.is_secret
    }
    return {name: form.raw(name) or "" for name in form.names() if name not in secret and name != "csrf"}


def placed(faults: Mapping[str, str], form: Form) -> tuple[dict[str, str], list[str]]:
    """By field what is wrong with it, and sentences about what is no field."""
    wrong, others = dict[str, str](), list[str]()
    known = {"name", "profile", "labels", "groups", "credentials.credentialsId"}
    for place, reason in faults.items():
        name = _field(place, form)
        if name in known or name.partition(".")[0] in ("client", *SECTIONS):
            wrong[name] = reason
        else:
            others.append(f"{place}: {reason}")
    return wrong, others


def _field(place: str, form: Form) -> str:
    """``client.key`` is ``client.PSK.key`` if that is the mode."""
    section, _, member = place.removeprefix("bootstrap.").partition(".")
    asked = "securityConfigClientMode" if section == "client" else "securityMode"
    if (section != "client" and section not in SECTIONS) or member in ("endpoint", asked):
        return place.removeprefix("bootstrap.")
    mode = form.text(f"{section}.{asked}", "NO_SEC")
    if member in ("", "generate"):
        member = _ALONE.get(section, {}).get(mode, "key" if section == "client" else "clientSecretKey")
    return f"{section}.{mode}.{member}"
