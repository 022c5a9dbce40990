"""Device profiles as documents: every accepted form becomes one, the canonical form.

A whole document is ``{"name": …, "transportType": "LWM2M", "profileData": {"transportConfiguration": {…}}}``.
Its ``profileData``, and the transport configuration, are accepted alone as well. In the canonical form all
members are there, ordinals are names, the servers of ``bootstrap`` are a list, and what is null or empty is
left out where nothing is the same as null.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

import attrs
import orjson

from lwm2m_server.profiles.checks import Versions, inspect
from lwm2m_server.profiles.mapping import Strategy
from lwm2m_server.profiles.places import Place
from lwm2m_server.profiles.schema import Fault, ProfileRejected, faults_of, nearest

FOREIGN: Final = frozenset(
    {
        "additionalInfo",
        "alarms",
        "configuration",
        "createdTime",
        "customerId",
        "default",
        "defaultDashboardId",
        "defaultEdgeRuleChainId",
        "defaultQueueName",
        "defaultRuleChainId",
        "description",
        "entityType",
        "externalId",
        "firmwareId",
        "id",
        "image",
        "provisionConfiguration",
        "provisionDeviceKey",
        "provisionType",
        "softwareId",
        "tenantId",
        "type",
        "version",
    }
)
"""Members that other platforms put around a transport configuration, or beside it."""
_TOP: Final = ("name", "transportType", "profileData")
_DATA: Final = ("transportConfiguration",)
_MOST: Final = 100
"""Members around a transport configuration, known or not."""
_LIKE: Final = 0.75
"""From here on a member that is not known is one that is misspelt."""

_RENAMED: Final = {"fwUpdateRecourse": "fwUpdateResource", "swUpdateRecourse": "swUpdateResource"}
"""Members as older profiles have them."""
_OR_NONE: Final = (
    "fwUpdateResource",
    "swUpdateResource",
    "psmActivityTimer",
    "edrxCycle",
    "pagingTransmissionWindow",
)
"""Members of which nothing, and 0, are the same as none."""
_UNUSED: Final = "compositeOperationsSupport"
"""In older profiles; whether a device knows composites is found out by asking it."""

OBSERVED: Final[Mapping[str, Any]] = {
    "keyName": {},
    "observe": [],
    "attribute": [],
    "telemetry": [],
    "attributeLwm2m": {},
    "observeStrategy": "SINGLE",
    "initAttrTelAsObsStrategy": False,
}
SERVER: Final[Mapping[str, Any]] = {
    "shortServerId": None,
    "bootstrapServerIs": False,
    "host": "",
    "port": 0,
    "clientHoldOffTime": 1,
    "bootstrapServerAccountTimeout": 0,
    "serverPublicKey": "",
    "serverCertificate": "",
    "lifetime": 300,
    "defaultMinPeriod": 1,
    "notifIfDisabled": True,
    "binding": "U",
    "securityMode": "NO_SEC",
}
CLIENT: Final[Mapping[str, Any]] = {
    "clientOnlyObserveAfterConnect": 1,
    "powerMode": "DRX",
    "psmActivityTimer": None,
    "edrxCycle": None,
    "pagingTransmissionWindow": None,
    "fwUpdateStrategy": 1,
    "swUpdateStrategy": 1,
    "fwUpdateResource": None,
    "swUpdateResource": None,
    "useObject19ForOtaInfo": False,
    "defaultObjectIDVer": "1.0",
}
"""What holds where a document says nothing."""


@attrs.frozen(slots=True)
class Draft:
    """A document that was understood."""

    name: str | None
    """``None`` for a transport configuration that came alone."""
    data: Mapping[str, Any]
    """``profileData`` in canonical form."""
    notes: tuple[Fault, ...]
    """What was left out or is not as it was written."""


def read(document: object, versions: Versions) -> Draft:
    """``versions`` are those of the tenant. Raises ``ProfileRejected`` with all that is wrong."""
    whole, depth = _whole(document)
    faults: list[Fault] = []
    notes: list[Fault] = []
    whole = _around("", whole, _TOP, faults, notes)
    if isinstance(whole.get("profileData"), dict):
        whole["profileData"] = _around("profileData", whole["profileData"], _DATA, faults, notes)
    faults += faults_of(whole)
    if faults:
        raise ProfileRejected(_lifted(faults, depth))
    configuration = whole["profileData"]["transportConfiguration"]
    notes += _older(configuration.get("clientLwM2mSettings") or {})
    data = {"transportConfiguration": _configuration(configuration)}
    findings = inspect(data, versions)
    if findings.faults:
        raise ProfileRejected(_lifted(findings.faults, depth))
    return Draft(whole.get("name"), data, tuple(_lifted((*notes, *findings.notes), depth)))


def tag_of(name: str, data: Mapping[str, Any]) -> str:
    """Tells apart what a profile says at one time and at another."""
    return blake2b(orjson.dumps(document_of(name, data)), digest_size=12).hexdigest()


def document_of(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The whole document, as it is exported."""
    return {"name": name, "transportType": "LWM2M", "profileData": data}


# --- what is around --------------------------------------------------------------------------------


def _whole(document: object) -> tuple[dict[str, Any], int]:
    """And how many levels were put around what was given."""
    if not isinstance(document, dict):
        raise ProfileRejected([Fault("", "a JSON object is due")])
    if "profileData" not in document and "transportConfiguration" in document:
        return {"profileData": document}, 1
    is_alone = document.get("type") == "LWM2M" or not document.keys().isdisjoint(
        ("observeAttr", "bootstrap", "clientLwM2mSettings")
    )
    if "profileData" not in document and is_alone:
        return {"profileData": {"transportConfiguration": document}}, 2
    return document, 0


def _lifted(faults: Iterable[Fault], depth: int) -> list[Fault]:
    """With their places in what was given."""
    return [attrs.evolve(fault, place=".".join(fault.place.split(".")[depth:])) for fault in faults]


def _around(
    place: str, members: dict[str, Any], known: Sequence[str], faults: list[Fault], notes: list[Fault]
) -> dict[str, Any]:
    """Only members that are known: others are another platform's, if they are not misspelt."""
    if len(members) > _MOST:
        faults.append(Fault(place, f"has more than {_MOST} members"))
        return members
    for name in members.keys() - frozenset(known):
        where = f"{place}.{name[:80]}" if place else name[:80]
        meant = None if name in FOREIGN else nearest(name, known, _LIKE)
        if meant is not None and meant not in members:
            faults.append(Fault(where, f"there is no such member; did you mean {meant!r}?"))
        elif members[name] is not None:
            notes.append(Fault(where, "is not used here and was left out"))
    notes.sort(key=str)
    return {name: members[name] for name in known if name in members}


# --- the configuration -----------------------------------------------------------------------------


def _configuration(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "LWM2M",
        "observeAttr": _observed(given.get("observeAttr") or {}),
        "bootstrapServerUpdateEnable": bool(_updates(given)),
        "bootstrap": [_server(server) for server in servers_of(given.get("bootstrap"))],
        "clientLwM2mSettings": _client(given.get("clientLwM2mSettings") or {}),
    }


def _updates(given: Mapping[str, Any]) -> bool | None:
    """In the older form there was no such member: what it has of a Bootstrap-Server was for devices."""
    if given.get("bootstrapServerUpdateEnable") is None:
        bootstrap = given.get("bootstrap")
        return isinstance(bootstrap, Mapping) and bool(bootstrap.get("bootstrapServer"))
    return bool(given["bootstrapServerUpdateEnable"])


def _observed(given: Mapping[str, Any]) -> dict[str, Any]:
    found = _filled(given, OBSERVED)
    if not isinstance(found["observeStrategy"], str):
        found["observeStrategy"] = list(Strategy)[int(found["observeStrategy"])].value
    for member in ("observe", "attribute", "telemetry"):
        # Versions do not make two places of one.
        places = map(Place.parse, found[member])
        found[member] = list(map(str, dict.fromkeys(places)))
    found["keyName"] = {_place(place): name.strip() for place, name in found["keyName"].items()}
    attributes = {_place(place): _attributes(given) for place, given in found["attributeLwm2m"].items()}
    found["attributeLwm2m"] = {place: given for place, given in attributes.items() if given}
    return found


def _place(text: str) -> str:
    """As it is written here: with a slash, and without zeros before a number."""
    return str(Place.parse(text))


def _attributes(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """A bit is a number."""
    found = {name: value for name, value in (given or {}).items() if value is not None}
    return _plain_numbers(
        {name: int(value) if isinstance(value, bool) else value for name, value in found.items()}
    )


def _plain_numbers(members: Mapping[str, Any]) -> dict[str, Any]:
    """A whole number is one, however it is written."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in members.items()
    }


def _older(client: Mapping[str, Any]) -> Iterator[Fault]:
    if client.get(_UNUSED) is not None:
        place = f"profileData.transportConfiguration.clientLwM2mSettings.{_UNUSED}"
        yield Fault(place, "is not used here and was left out")


def _client(given: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {new: given[old] for old, new in _RENAMED.items() if given.get(old) and not given.get(new)}
    found = _filled({**given, **renamed}, CLIENT)
    if isinstance(found["clientOnlyObserveAfterConnect"], bool):
        found["clientOnlyObserveAfterConnect"] = 1 if found["clientOnlyObserveAfterConnect"] else 2
    for member in _OR_NONE:
        found[member] = found[member] or None
    return _plain_numbers(found)


# --- servers ---------------------------------------------------------------------------------------


def servers_of(bootstrap: object) -> list[Mapping[str, Any]]:
    """In today's form, whichever they came in."""
    if isinstance(bootstrap, list):
        return bootstrap
    if not isinstance(bootstrap, Mapping):
        return []
    servers: list[Mapping[str, Any]] = []
    if bootstrap.get("bootstrapServer"):
        servers.append(_today(bootstrap["bootstrapServer"], {}, is_bootstrap=True))
    if bootstrap.get("lwm2mServer"):
        settings = bootstrap.get("servers") or {}
        servers.append(_today(bootstrap["lwm2mServer"], settings, is_bootstrap=False))
    return servers


def _today(
    server: Mapping[str, Any], settings: Mapping[str, Any], *, is_bootstrap: bool
) -> Mapping[str, Any]:
    short_id = server.get("serverId") if server.get("serverId") is not None else settings.get("shortId")
    rest = {**settings, **server, "bootstrapServerIs": is_bootstrap, "shortServerId": short_id}
    return {name: value for name, value in rest.items() if name in SERVER}


def _server(given: Mapping[str, Any]) -> dict[str, Any]:
    found = _filled(given, SERVER)
    found["host"] = found["host"].strip("[]")
    if found["bootstrapServerIs"]:
        # Only LwM2M servers have one (LwM2M Core 1.2, Appendix E.1, /0/x/10).
        found["shortServerId"] = None
    return _plain_numbers(found)


def _filled(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """In the order of the defaults; null is what holds where nothing is said."""
    said = {name: value for name, value in given.items() if value is not None}
    return {name: said.get(name, default) for name, default in defaults.items()}
