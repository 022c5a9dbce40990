"""``NewDevice``: a device with all that it is to have, in one document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from lwm2m_server.enrolment.document import NewCredentials, read_credentials
from lwm2m_server.enrolment.reading import Faults, Faulty, Members, read_members, reading

TRANSPORT: Final = "LWM2M"
MAX_LABELS: Final = 100
MAX_GROUPS: Final = 20
KNOWN: Final = (
    "name",
    "nodeId",
    "transportType",
    "profile",
    "type",
    "label",
    "labels",
    "groups",
    "credentials",
)
"""Members of a device; ``type`` is another name of ``profile``."""
OF_OTHERS: Final = frozenset(
    {
        "id",
        "createdTime",
        "tenantId",
        "customerId",
        "deviceProfileId",
        "deviceData",
        "additionalInfo",
        "externalId",
        "version",
    }
)
"""Members of a device exported from another platform that mean nothing here."""


@attrs.frozen(slots=True)
class NewDevice:
    """Checked as far as it can be without looking at others."""

    name: str
    node_id: str
    credentials: NewCredentials
    profile: str | None = None
    labels: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@attrs.frozen(slots=True)
class Changes:
    """What is to be different; ``None`` stays as it is."""

    labels: tuple[str, ...] | None = None
    profile: tuple[str | None] | None = None
    """The one it is to have, or that it is to have none."""
    groups: tuple[str, ...] = ()
    """Those it joins."""
    credentials: NewCredentials | None = None


def read_device(given: object) -> NewDevice:
    """A device with its credentials in it, or ``{"device": …, "credentials": …}``. Raises ``Faulty``."""
    with reading() as faults:
        members = _members(given, faults)
        name = members.text("name", faults)
        if name is None:
            faults.add("name", "the name of the device is due")
        credentials = _credentials(members, name or "", faults)
        labels, groups, profile = (
            _labels(members, faults),
            _groups(members, faults),
            _profile(members, faults),
        )
        node_id = members.text("nodeId", faults)
    assert name is not None
    assert credentials is not None
    return NewDevice(name, node_id or credentials.endpoint, credentials, profile, labels, groups)


def read_changes(given: object, name: str, endpoint: str, *, whole: bool) -> Changes:
    """Of the device ``name``. With ``whole`` what is not mentioned is as it is at first; credentials stay, as
    nobody can read them to send them back. Raises ``Faulty``."""
    with reading() as faults:
        members = _members(given, faults)
        if members.get("name", name) != name:
            faults.add("name", "a device cannot be renamed: its name is in the addresses of its resources")
        mentioned = set(members.values)
        labels = _labels(members, faults) if whole or mentioned & {"label", "labels"} else None
        profile = (_profile(members, faults),) if whole or mentioned & {"profile", "type"} else None
        groups = _groups(members, faults)
        if "nodeId" in mentioned:
            faults.add("nodeId", "it is changed with its node (ni)")
        credentials = None
        if members.get("credentials") is not None:
            credentials = _credentials(members, endpoint, faults)
    return Changes(labels, profile, groups, credentials)


def _members(given: object, faults: Faults) -> Members:
    if isinstance(given, Mapping) and isinstance(given.get("device"), Mapping):
        for other in given.keys() - {"device", "credentials"}:
            faults.add(str(other)[:40], "there is no such member")
        credentials = given.get("credentials", given["device"].get("credentials"))
        given = {**given["device"], "credentials": credentials}
    if not isinstance(given, Mapping):
        faults.add("body", "a JSON object is due")
        given = {}
    members = read_members(given, "", KNOWN)
    for name in members.unknown:
        if name not in OF_OTHERS:
            faults.add(name[:40], "there is no such member")
    if members.get("transportType", TRANSPORT) != TRANSPORT:
        faults.add("transportType", f"only {TRANSPORT} is known here")
    return members


def _credentials(members: Members, name: str, faults: Faults) -> NewCredentials | None:
    """Without any, the device has none to show: its name is believed."""
    given: Any = members.get("credentials")
    try:
        return read_credentials({} if given is None else given, name)
    except Faulty as found:
        for place, reason in found.told.items():
            faults.add(place, reason)
        return None


def _profile(members: Members, faults: Faults) -> str | None:
    profile, type = members.text("profile", faults), members.text("type", faults)
    if profile is not None and type is not None and profile != type:
        faults.add("type", "it is another name of profile, and not the same")
    return profile or type


def _labels(members: Members, faults: Faults) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            [*members.texts("label", faults, MAX_LABELS), *members.texts("labels", faults, MAX_LABELS)]
        )
    )


def _groups(members: Members, faults: Faults) -> tuple[str, ...]:
    return members.texts("groups", faults, MAX_GROUPS)
