"""Whether a profile holds together: what no schema says."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import attrs

from lwm2m_engine.attributes import check_attributes, effective
from lwm2m_engine.bootstrap import der
from lwm2m_engine.errors import PathError, ValueRejected
from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.spec import ObjectSpec, ResourceSpec
from lwm2m_engine.paths import Path
from lwm2m_server.profiles.mapping import attributes_of
from lwm2m_server.profiles.places import ANY, Place
from lwm2m_server.profiles.schema import Fault, place_of

Versions: TypeAlias = Callable[[int], Iterable[ObjectSpec]]
"""The definitions of an Object that are loaded, the newest first."""

NOWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - told of
_WHERE: Final = ("profileData", "transportConfiguration")
_KEYS: Final = {"RPK": der.PUBLIC_KEY, "X509": der.CERTIFICATE}
SHORT_IDS: Final = range(1, 65535)


@attrs.frozen(slots=True)
class Findings:
    """About a profile in canonical form."""

    faults: tuple[Fault, ...]
    """It cannot be."""
    notes: tuple[Fault, ...]
    """It can be, and somebody may have meant another thing."""


def versions_of(catalog: Catalog) -> Versions:
    return lambda object: [catalog[object, version] for version in reversed(catalog.versions(object))]


def inspect(data: Mapping[str, Any], versions: Versions) -> Findings:
    """``data`` is ``profileData`` in canonical form."""
    checker = _Checker(versions)
    configuration = data["transportConfiguration"]
    checker.check_observed(configuration["observeAttr"])
    checker.check_servers(configuration["bootstrap"], configuration["bootstrapServerUpdateEnable"])
    checker.check_power(configuration["clientLwM2mSettings"])
    return Findings(tuple(checker.faults), tuple(checker.notes))


class _Checker:
    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self.faults: list[Fault] = []
        self.notes: list[Fault] = []

    # --- Resources -----------------------------------------------------------------------------------

    def check_observed(self, observed: Mapping[str, Any]) -> None:
        for member in ("observe", "attribute", "telemetry"):
            for index, text in enumerate(observed[member]):
                self._check_place(Place.parse(text), "observeAttr", member, index)
        wanted = {Place.parse(text) for text in (*observed["attribute"], *observed["telemetry"])}
        for index, text in enumerate(observed["observe"]):
            if not _covered(Place.parse(text), wanted):
                reason = f"{text} is observed, and is neither an attribute nor telemetry"
                self._fault(reason, "observeAttr", "observe", index)
        self._check_names(observed["keyName"])
        self._check_attributes(observed["attributeLwm2m"])

    def _check_place(self, place: Place, *where: str | int) -> None:
        found = list(self._versions(place.object))
        exact = [spec for spec in found if place.version in (None, spec.version)]
        if not exact:
            loaded = ", ".join(spec.version for spec in found)
            known = f"loaded: {loaded}" if loaded else "none is loaded"
            what = f"Object {place.object}" + (f" {place.version}" if place.version else "")
            self._note(f"there is no definition of {what}; {known}", *where)
            return
        if not exact[0].multiple and place.instance:
            self._note(f"Object {place.object} ({exact[0].name}) has one instance only, 0", *where)
        if place.resource is None:
            return
        resources = (spec.resources.get(place.resource) for spec in exact)
        resource = next((one for one in resources if one is not None), None)
        if resource is None:
            name = exact[0].name
            self._fault(f"Object {place.object} ({name}) has no Resource {place.resource}", *where)
        elif "R" not in resource.operations:
            self._fault(f"{place.resource} ({resource.name}) cannot be read", *where)

    def _check_names(self, names: Mapping[str, str]) -> None:
        """``*`` gives instances above 0 the name with their id. Profiles of other platforms have one name
        for several Resources; then it is not enough to tell one."""
        seen: dict[str, Place] = {}
        places: dict[Place, str] = {}
        of_any = {name: Place.parse(text) for text, name in names.items() if Place.parse(text).is_any}
        for text, name in names.items():
            place, where = Place.parse(text), ("observeAttr", "keyName", text)
            other = seen.setdefault(name, place)
            if places.setdefault(place, name) != name:
                self._fault(f"this Resource is called {places[place]!r} already", *where)
            elif other != place and not _is_first(place, other):
                self._note(f"{name!r} is the name of {other}, too: by path they are told apart", *where)
            else:
                self._check_numbered(name, place, of_any, *where)
            if _is_path(name):
                self._fault(f"{name!r} is a path, and means what is there", *where)

    def _check_numbered(
        self, name: str, place: Place, of_any: Mapping[str, Place], *where: str | int
    ) -> None:
        base = name.rstrip("0123456789")
        any, number = of_any.get(base), name[len(base) :]
        if any is None or not number or number.startswith("0"):
            return
        if place != attrs.evolve(any, instance=int(number)):
            reason = f"{name!r} is the name of instance {number} of {any}, too: by path they are told apart"
            self._note(reason, *where)

    def _check_attributes(self, given: Mapping[str, Mapping[str, Any]]) -> None:
        seen: dict[Place, str] = {}
        assigned = {}
        for text, members in given.items():
            place, where = Place.parse(text), ("observeAttr", "attributeLwm2m", text)
            if place in seen:
                self._fault(f"the same as {seen[place]}, which has attributes already", *where)
                continue
            seen[place] = text
            found = attributes_of(members)
            path, spec = place.at(max(place.instance or 0, 0)), self._resource(place)
            try:
                check_attributes(found, path, kind=spec.type if spec is not None else None)
            except ValueRejected as error:
                self._fault(error.reason, *where)
                continue
            assigned[place] = found
        self._check_inherited(assigned)

    def _check_inherited(self, assigned: Mapping[Place, Any]) -> None:
        """What an Object or its instances have counts for their Resources as well."""
        for place in assigned:
            above = (Place(place.object), Place(place.object, place.instance), place)
            found = {one.at(max(one.instance or 0, 0)): assigned[one] for one in above if one in assigned}
            if len(found) < 2:
                continue
            try:
                effective(place.at(max(place.instance or 0, 0)), found)
            except ValueRejected as error:
                reason = f"together with those of what it lies in: {error.reason}"
                self._fault(reason, "observeAttr", "attributeLwm2m", str(place))

    def _resource(self, place: Place) -> ResourceSpec | None:
        if place.resource is None:
            return None
        found = (spec.resources.get(place.resource) for spec in self._versions(place.object))
        return next((spec for spec in found if spec is not None), None)

    # --- servers -------------------------------------------------------------------------------------

    def check_servers(self, servers: Iterable[Mapping[str, Any]], updates: bool) -> None:
        accounts, short_ids = 0, dict[int, int]()
        for index, server in enumerate(servers):
            where = "bootstrap", index
            if server["bootstrapServerIs"]:
                accounts += 1
                if accounts > 1:
                    self._fault("a device has one Bootstrap-Server", *where)
                elif not updates:
                    reason = "it is not written to devices: bootstrapServerUpdateEnable is false"
                    self._note(reason, *where)
            else:
                self._check_short_id(server["shortServerId"], short_ids, index)
            if server["host"] in NOWHERE:
                reason = (
                    f"{server['host']} is no address that a device can connect to; "
                    "devices cannot bootstrap until there is another one"
                )
                self._note(reason, *where, "host")
            self._check_key(server, index)

    def _check_short_id(self, short_id: object, seen: dict[int, int], index: int) -> None:
        where = "bootstrap", index, "shortServerId"
        if not isinstance(short_id, int) or short_id not in SHORT_IDS:
            self._fault("an LwM2M server has a Short Server ID from 1 to 65534", *where)
        elif short_id in seen:
            self._fault(f"bootstrap[{seen[short_id]}] has the Short Server ID {short_id} already", *where)
        else:
            seen[short_id] = index

    def _check_key(self, server: Mapping[str, Any], index: int) -> None:
        for name in ("serverPublicKey", "serverCertificate"):
            if _decoded(server[name]) is None:
                self._fault("this is not base64", "bootstrap", index, name)
        due = _KEYS.get(server["securityMode"])
        if due is None:
            return
        name = "serverPublicKey"
        if server["securityMode"] == "X509" and server["serverCertificate"]:
            name = "serverCertificate"
        key = _decoded(server[name])
        reason = (
            f"with {server['securityMode']} {due} is due" if key == b"" else der.mismatch(key or b"", due)
        )
        if reason and key is not None:
            self._fault(reason, "bootstrap", index, name)

    # --- power ---------------------------------------------------------------------------------------

    def check_power(self, client: Mapping[str, Any]) -> None:
        cycle, window = client["edrxCycle"], client["pagingTransmissionWindow"]
        where = "clientLwM2mSettings"
        if client["powerMode"] == "E_DRX":
            if cycle is None:
                self._note("without it devices are taken to listen always", where, "edrxCycle")
            elif (window or 0) > cycle:
                self._fault("it is longer than edrxCycle", where, "pagingTransmissionWindow")

    def _fault(self, reason: str, *where: str | int) -> None:
        self.faults.append(Fault(place_of((*_WHERE, *where)), reason))

    def _note(self, reason: str, *where: str | int) -> None:
        self.notes.append(Fault(place_of((*_WHERE, *where)), reason))


def _covered(place: Place, wanted: set[Place]) -> bool:
    """Whether all, or one of those, that a place stands for are wanted."""
    return place in wanted or any(
        one.object == place.object
        and (place.instance in (None, ANY, one.instance) or one.is_any)
        and place.resource in (None, one.resource)
        for one in wanted
    )


def _is_first(one: Place, other: Place) -> bool:
    """Whether one of them is any instance, and the other instance 0 of the same."""
    any, first = (one, other) if one.is_any else (other, one)
    return any.is_any and first == attrs.evolve(any, instance=0)


def _is_path(name: str) -> bool:
    try:
        return len(Path(name)) > 0 and "/" in name
    except PathError:
        return False


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
