"""Rows of a page: Resources of an Object, and what a profile does with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from lwm2m_server.console.profiles.draft import LISTS, Draft
from lwm2m_server.console.profiles.faults import Faults
from lwm2m_server.console.profiles.places import ANY, Place

WHOLE: Final = {None: "The whole Object", True: "The whole Object Instance"}


@attrs.frozen(slots=True)
class Row:
    """One Resource, or an Object or an instance of it as a whole."""

    place: Place
    name: str
    about: str
    """Type, units and range."""
    readable: bool
    is_whole: bool
    ticked: frozenset[str]
    """Of ``observe``, ``attribute``, ``telemetry``."""
    key: str
    """Name that the profile gives."""
    default_key: str
    """Name it has if the profile gives none."""
    attributes: Mapping[str, Any]
    faults: tuple[str, ...]

    @property
    def is_mapped(self) -> bool:
        """Whether the profile says anything of it."""
        return bool(self.ticked or self.key or self.attributes)

    @property
    def told(self) -> str:
        """Its notification attributes, in a line."""
        return " · ".join(f"{name} {value}" for name, value in self.attributes.items())


@attrs.frozen(slots=True)
class Counted:
    """An Object in the list of those of a profile."""

    id: int
    name: str
    version: str | None
    instances: Sequence[str]
    counts: Mapping[str, int]
    faults: int


class Rows:
    """Of one draft."""

    def __init__(self, draft: Draft, faults: Faults) -> None:
        self._draft, self._faults = draft, faults
        observed = draft.observed
        self._ticked = {member: frozenset(map(Place.parse, observed[member])) for member in LISTS}
        self._names = {Place.parse(text): str(name) for text, name in observed["keyName"].items()}
        self._attributes = {Place.parse(text): given for text, given in observed["attributeLwm2m"].items()}
        self._counts = {
            member: Counter(place.object for place in places if place is not None)
            for member, places in self._ticked.items()
        }
        self._named: dict[tuple[int, str | None], dict[int, None]] = {}
        for place in draft.places():
            if place.resource is not None:
                self._named.setdefault((place.object, place.instance), {})[place.resource] = None

    def objects(self, names: Mapping[int, str]) -> list[Counted]:
        """All that the draft shows; ``names`` are those of models."""
        return [
            Counted(
                id,
                names.get(id, f"Object {id}"),
                one.version,
                one.instances,
                {member: counts[id] for member, counts in self._counts.items()},
                self._faults.under(id),
            )
            for id, one in self._draft.shown.items()
        ]

    def of(self, object: int, instance: str, model: Mapping[str, Any] | None) -> list[Row]:
        """Of one instance, as a whole and by its Resources: of the model, and others that the draft names."""
        resources = {one["id"]: one for one in model["resources"]} if model is not None else {}
        named = self._named.get((object, instance), {})
        whole = [
            self._row(self._draft.place(object), None),
            self._row(self._draft.place(object, instance), None),
        ]
        return whole + [
            self._row(self._draft.place(object, instance, id), resources.get(id))
            for id in sorted({*resources, *named})
        ]

    def mapped(self, object: int, model: Mapping[str, Any] | None) -> list[Row]:
        """Of all instances, those that the draft says anything of."""
        rows = [
            row
            for instance in self._draft.shown[object].instances
            for row in self.of(object, instance, model)
        ]
        return list({row.place: row for row in rows if row.is_mapped}.values())

    def _row(self, place: Place, spec: Mapping[str, Any] | None) -> Row:
        return Row(
            place,
            _name(place, spec),
            _about(spec) if spec is not None else "",
            place.resource is None or spec is None or "R" in spec["operations"],
            place.resource is None,
            frozenset(member for member in LISTS if place in self._ticked[member]),
            self._names.get(place, ""),
            _default_key(place, spec),
            self._attributes.get(place) or {},
            tuple(self._faults.at(place)),
        )


def versions_of(models: Iterable[Mapping[str, Any]], object: int) -> list[str]:
    """Those in force, the newest first."""
    known = [one["objectVersion"] for one in models if one["objectId"] == object and one["inForce"]]
    return list(dict.fromkeys(reversed(known)))


def names_of(models: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """Of Objects; the newest version comes last."""
    return {one["objectId"]: one["name"] for one in models if one["name"]}


def _name(place: Place, spec: Mapping[str, Any] | None) -> str:
    if place.resource is None:
        return WHOLE[None if place.instance is None else True]
    return str(spec["name"]) if spec is not None else "not in the model"


def _about(spec: Mapping[str, Any]) -> str:
    kinds = {"R": "read", "W": "write", "E": "execute"}
    operations = ", ".join(word for letter, word in kinds.items() if letter in spec["operations"])
    several = "several values" if spec["multiple"] else ""
    return " · ".join(filter(None, (spec["type"], several, spec["units"], spec["range"], operations)))


def _default_key(place: Place, spec: Mapping[str, Any] | None) -> str:
    """As the API names it: by the model, and above instance 0 with the id of the instance."""
    if spec is None or spec["keyName"] is None:
        return ""
    return str(spec["keyName"]) + (place.instance if place.instance not in (None, "0", ANY) else "")
