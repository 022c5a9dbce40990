"""Members of a profile that forms have fields for, and what is typed in them."""

from __future__ import annotations

import re
from typing import Any, Final

import attrs

from lwm2m_server.console.forms import Form

ATTRIBUTES: Final = (
    ("pmin", "minimum period, s"),
    ("pmax", "maximum period, s"),
    ("gt", "greater than"),
    ("lt", "less than"),
    ("st", "step"),
    ("epmin", "minimum evaluation, s"),
    ("epmax", "maximum evaluation, s"),
    ("edge", "edge, 0 or 1"),
    ("con", "confirmable, 0 or 1"),
    ("hqmax", "historical queue"),
)
"""Notification attributes (LwM2M Core 1.2, 7.3.2), in words, with their units."""


_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,15}")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?")


def number(text: str) -> Any:
    """What a field says; what is no number stays a text, for the API to say what is wrong with it."""
    text = text.strip()
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if len(text) <= 40 and _NUMBER.fullmatch(text) else text or None


@attrs.frozen(slots=True)
class Setting:
    """A member of the transport configuration beside what is said of Resources."""

    member: str
    name: str
    label: str
    section: str
    choices: tuple[tuple[str, str], ...] = ()
    """Value and text; without any it is a number or a text."""
    kind: str = "number"
    """``number``, ``text``, ``flag``"""
    hint: str | None = None

    @property
    def place(self) -> str:
        """In the document."""
        return f"{self.member}.{self.name}"

    def read(self, form: Form) -> Any:
        """As it goes into the document."""
        if self.kind == "flag":
            return form.flag(self.name)
        text = form.text(self.name)
        return number(text) if self.kind == "number" else text or None

    def shown(self, value: Any) -> str:
        """In words."""
        if self.kind == "flag":
            return "yes" if value else "no"
        return dict(self.choices).get(str(value), "–" if value is None else str(value))


_OBSERVED: Final = "observeAttr"
_CLIENT: Final = "clientLwM2mSettings"

SETTINGS: Final = (
    Setting(
        _CLIENT,
        "clientOnlyObserveAfterConnect",
        "Strategy after connect",
        "connect",
        (
            ("1", "1 – Only observe; read what is an attribute or telemetry and not observed"),
            ("2", "2 – Read all Object Instances, then observe"),
            ("3", "3 – Read what is an attribute or telemetry, then observe"),
        ),
    ),
    Setting(
        _OBSERVED,
        "observeStrategy",
        "Observe strategy",
        "connect",
        (
            ("SINGLE", "Single – an Observe for each Resource"),
            ("COMPOSITE_ALL", "Composite all – one Observe-Composite for all of them"),
            ("COMPOSITE_BY_OBJECT", "Composite by Object – an Observe-Composite for each Object"),
        ),
        kind="text",
    ),
    Setting(
        _OBSERVED,
        "initAttrTelAsObsStrategy",
        "Read as the strategy observes",
        "connect",
        kind="flag",
        hint="What is not observed is read with composites, too",
    ),
    Setting(
        _CLIENT,
        "powerMode",
        "Power saving mode",
        "power",
        (
            ("DRX", "DRX – listens always"),
            ("PSM", "PSM – listens for a while after it was heard"),
            ("E_DRX", "eDRX – listens once a cycle"),
        ),
        kind="text",
    ),
    Setting(_CLIENT, "psmActivityTimer", "PSM activity timer (ms)", "power"),
    Setting(_CLIENT, "edrxCycle", "eDRX cycle (ms)", "power"),
    Setting(_CLIENT, "pagingTransmissionWindow", "Paging transmission window (ms)", "power"),
    Setting(
        _CLIENT,
        "fwUpdateStrategy",
        "Firmware update strategy",
        "updates",
        (
            ("1", "1 – Write the package to Object 5"),
            ("2", "2 – Write its URI to Object 5"),
            ("3", "3 – Write it to Object 19"),
        ),
    ),
    Setting(
        _CLIENT,
        "fwUpdateResource",
        "Firmware URI",
        "updates",
        kind="text",
        hint="such as coap://host:5683, in place of this server's own",
    ),
    Setting(
        _CLIENT,
        "swUpdateStrategy",
        "Software update strategy",
        "updates",
        (("1", "1 – Write the package to Object 9"), ("2", "2 – Write its URI to Object 9")),
    ),
    Setting(_CLIENT, "swUpdateResource", "Software URI", "updates", kind="text"),
    Setting(
        _CLIENT,
        "useObject19ForOtaInfo",
        "Tell devices in Object 19 what they update to",
        "updates",
        kind="flag",
    ),
    Setting(
        _CLIENT,
        "defaultObjectIDVer",
        "Default Object version",
        "updates",
        kind="text",
        hint="of Objects that a device announces without one",
    ),
)


@attrs.frozen(slots=True)
class ServerField:
    """A member of an entry of ``bootstrap``."""

    name: str
    label: str
    kind: str = "number"
    """``number``, ``text``, ``flag``, ``area``, or ``choice``"""
    choices: tuple[tuple[str, str], ...] = ()
    hint: str | None = None
    of_bootstrap: bool = True
    """Whether the entry of a Bootstrap-Server has it."""
    section: str = "connection"


SERVER: Final = (
    ServerField(
        "securityMode",
        "Security mode",
        "choice",
        (("NO_SEC", "NoSec"), ("PSK", "Pre-shared key"), ("RPK", "Raw public key"), ("X509", "X.509")),
    ),
    ServerField("host", "Host", "text"),
    ServerField("port", "Port"),
    ServerField("shortServerId", "Short identifier", of_bootstrap=False, hint="Short Server ID, 1 to 65534"),
    ServerField("clientHoldOffTime", "Hold off time (s)"),
    ServerField("bootstrapServerAccountTimeout", "Account after timeout (s)", hint="0 for never"),
    ServerField(
        "serverPublicKey",
        "Server public key",
        "area",
        hint="base64 of DER, for RPK and X.509; no secret",
        section="keys",
    ),
    ServerField(
        "serverCertificate", "Server certificate", "area", hint="base64 of DER, for X.509", section="keys"
    ),
    ServerField("lifetime", "Lifetime (s)", of_bootstrap=False, section="server"),
    ServerField(
        "defaultMinPeriod",
        "Minimum period (s)",
        of_bootstrap=False,
        section="server",
        hint="Default Minimum Period between notifications",
    ),
    ServerField(
        "binding",
        "Binding",
        "text",
        of_bootstrap=False,
        section="server",
        hint="U for UDP; letters of U, T, S, N, M, H, Q",
    ),
    ServerField(
        "notifIfDisabled",
        "Store notifications while disabled or offline",
        "flag",
        of_bootstrap=False,
        section="server",
    ),
)
