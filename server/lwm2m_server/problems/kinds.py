"""What kinds of problems there are, and what is to be done about each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

UNDECODABLE: Final = "undecodable"
UNKNOWN: Final = "unknown-model"
REGISTRATION: Final = "registration"
HANDSHAKE: Final = "handshake"
BOOTSTRAP: Final = "bootstrap"
MESSAGE: Final = "message"
MAPPING: Final = "mapping"
PLUGIN: Final = "plugin"
HOOK: Final = "hook"
MODEL: Final = "model"
DELIVERY: Final = "delivery"
UPDATE: Final = "update"
CAMPAIGN: Final = "campaign"
PROFILE: Final = "profile"
DESIRED: Final = "desired"
LEDGER: Final = "ledger"
SERVER: Final = "server"
WARNING: Final = "warning"

KINDS: Final[Mapping[str, str]] = {
    UNDECODABLE: "a payload could not be decoded",
    UNKNOWN: "values of an Object or a Resource without a model",
    REGISTRATION: "a registration was refused",
    HANDSHAKE: "a DTLS or TLS handshake failed, or OSCORE could not open a request",
    BOOTSTRAP: "a bootstrap request was refused, or a session failed",
    MESSAGE: "a message to a device failed, expired, or was refused by the device",
    MAPPING: "a value could not be mapped to a management object",
    PLUGIN: "a plugin is not used, or its mappings are not",
    HOOK: "a plugin failed while it ran",
    MODEL: "a model file has a fault",
    DELIVERY: "a target takes no notifications, or some are dead letters",
    UPDATE: "an update failed",
    CAMPAIGN: "a campaign stopped by itself",
    PROFILE: "a device refused a part of its profile",
    DESIRED: "a device does not take a desired value",
    LEDGER: "facts could not be stored",
    SERVER: "a part of the server failed, or is at its limit",
    WARNING: "something else was tolerated or left out",
}
"""By kind, what it says has happened."""

_ADVICE: Final[Mapping[str, str]] = {
    UNDECODABLE: "Compare the payload with the model of the Object, and upload the right one: what is kept "
    "is decoded again then. `lwm2m decode` explains the bytes; a plugin can rescue them.",
    UNKNOWN: "Upload the model of this Object, in the version the devices announce.",
    REGISTRATION: "Create the device (`lwm2m devices add`), give it the credentials it uses "
    "(`lwm2m credentials add`), or make an enrolment rule for devices like it.",
    HANDSHAKE: "Check the identity and the key, or the certificate and what it is signed with, on the device "
    "and in its credentials.",
    BOOTSTRAP: "Look at the device's bootstrap sessions for the step that failed, and correct its bootstrap "
    "configuration or that of its profile.",
    MESSAGE: "Look whether the device is registered and awake, and whether it has this Object or Resource.",
    MAPPING: "The attribute keeps its former value. Look at the plugin's rule, and at what the device sends.",
    PLUGIN: "Correct the file and restart the server; `lwm2m plugins list` shows what became of each plugin.",
    HOOK: "Look at the plugin's function: the log has the traceback. Correct it and restart the server.",
    MODEL: "Correct the file at this line and upload it again.",
    DELIVERY: "Mend the target, then replay its dead letters.",
    UPDATE: "Mend what the reason says, and retry the update.",
    CAMPAIGN: "Look at the reasons of the devices that failed; then resume, retry or abort the campaign.",
    PROFILE: "Take the Resource out of the profile, or correct the attributes the device does not like.",
    DESIRED: "Correct the value, or withdraw it; `retry` asks the device once more.",
    LEDGER: "Look at the disk of the data folder: its space and its health.",
    SERVER: "Mend what the reason names: a file, a setting, something outside. The server's log says more "
    "at this time; if it shows a traceback, please report it.",
    WARNING: "Nothing has to be done, as long as the device does what it should.",
}
_BY_REASON: Final[Mapping[tuple[str, str], str]] = {
    (MESSAGE, "timeout"): "The device did not answer. Look whether it is registered, awake and reachable; a "
    "message with an expiry waits for a device that sleeps.",
    (MESSAGE, "expired"): "The device was not there in time. Post the message again with a later expiry.",
    (MESSAGE, "unknown-outcome"): "It was on its way when the server stopped. Read the Resource before you "
    "repeat it.",
    (MESSAGE, "unauthorized"): "The device does not allow this server to do that: look at its Access Control "
    "Objects (/2).",
    (
        REGISTRATION,
        "version",
    ): "Let the device announce a version of LwM2M that the server speaks: 1.0 to 1.2.",
    (HOOK, "lwm2m_admit"): "Until the plugin is corrected, those it fails for may not register (5.03). The "
    "log has the traceback.",
    (HOOK, "lwm2m_mgmt_command"): "The change of the management object was refused. Correct the plugin and "
    "restart the server; the log has the traceback.",
    (HOOK, "lwm2m_outgoing"): "Requests are sent as if the plugin were not there. Correct it and restart the "
    "server; the log has the traceback.",
    (HOOK, "lwm2m_rescue_payload"): "The payload was not rescued. Correct the plugin and restart the server; "
    "the log has the traceback.",
    (HOOK, "lwm2m_event"): "The plugin did not take in the event, which nobody repeats. Correct it and "
    "restart the server; the log has the traceback.",
    (DELIVERY, "full"): "Mend the target, then replay its dead letters. `deliveries.waiting` and "
    "`deliveries.waiting_bytes` say how much may wait.",
    (DELIVERY, "dropped"): "Mend the targets, and replay or drop dead letters in time. "
    "`deliveries.dead_letters` and `deliveries.dead_letter_bytes` say how many are kept.",
    (
        HANDSHAKE,
        "oscore",
    ): "Compare the OSCORE credentials on the device with those here: the ids of both sides, "
    "the master secret, the salt and the ID context.",
    (REGISTRATION, "identity"): "Let the device register with the endpoint name its credentials are for, or "
    "give that name the credentials it uses.",
}


def advice(kind: str, facts: Mapping[str, Any]) -> str:
    """What to do next."""
    reason = facts.get("reason") or facts.get("hook", "")
    return _BY_REASON.get((kind, str(reason)), _ADVICE.get(kind, ""))
