"""``Draft``: a device profile that somebody edits and has not saved."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final

import attrs
import orjson

from lwm2m_server.console.profiles.places import Place

LISTS: Final = ("observe", "attribute", "telemetry")
TABLES: Final = ("keyName", "attributeLwm2m")
FIRST: Final = "0"
"""The instance that an Object begins with."""


@attrs.define(slots=True)
class Shown:
    """An Object of a profile. What nothing is done with yet is shown, and is not in the document."""

    version: str | None
    instances: list[str] = attrs.Factory(list)


@attrs.define(slots=True)
class Draft:
    """Changes are made to what it would be saved as; ``base`` is what was saved when it was begun."""

    base: Mapping[str, Any]
    tag: str
    """``ETag`` of ``base``."""
    name: str
    configuration: dict[str, Any]
    """The transport configuration, in the form that the API shows it in."""
    shown: dict[int, Shown] = attrs.Factory(dict)

    @classmethod
    def of(cls, document: Mapping[str, Any], tag: str) -> Draft:
        """Of what is saved."""
        draft = cls(document, tag, "", {})
        draft.take(document)
        return draft

    # --- as a whole ----------------------------------------------------------------------------------

    def take(self, document: Mapping[str, Any]) -> None:
        """Everything is as in a document, but for who saved what before."""
        copy = orjson.loads(orjson.dumps(document))
        self.name = copy.get("name") or self.name
        self.configuration = copy["profileData"]["transportConfiguration"]
        self.shown = {}
        self._show()

    def document(self) -> dict[str, Any]:
        """To be saved."""
        data = {"transportConfiguration": self.configuration}
        return {"name": self.name, "transportType": "LWM2M", "profileData": data}

    @property
    def is_changed(self) -> bool:
        """Whether there is something to save."""
        return self.document() != self.base

    def dump(self) -> bytes:
        """To be kept in memory, where nothing else can change it."""
        shown = {str(object): [one.version, one.instances] for object, one in self.shown.items()}
        return orjson.dumps([self.base, self.tag, self.name, self.configuration, shown])

    @classmethod
    def load(cls, data: bytes) -> Draft:
        base, tag, name, configuration, shown = orjson.loads(data)
        known = {int(object): Shown(*one) for object, one in shown.items()}
        return cls(base, tag, name, configuration, known)

    # --- Objects and instances -----------------------------------------------------------------------

    @property
    def observed(self) -> dict[str, Any]:
        """What is done with Resources."""
        found: dict[str, Any] = self.configuration["observeAttr"]
        return found

    def places(self) -> Iterator[Place]:
        """All that the document names."""
        for member in (*LISTS, *TABLES):
            for text in self.observed[member]:
                place = Place.parse(text)
                if place is not None:
                    yield place

    def add_object(self, object: int, version: str | None) -> None:
        """With its first instance."""
        self.shown.setdefault(object, Shown(version, [FIRST]))

    def remove_object(self, object: int) -> None:
        self._without(lambda place: place.object == object)
        self.shown.pop(object, None)

    def set_version(self, object: int, version: str | None) -> None:
        """All that is said of an Object is said of another version."""

        def renamed(text: str) -> str:
            place = Place.parse(text)
            if place is None or place.object != object:
                return text
            return str(attrs.evolve(place, version=version))

        for member in LISTS:
            self.observed[member] = [renamed(text) for text in self.observed[member]]
        for member in TABLES:
            self.observed[member] = {renamed(text): value for text, value in self.observed[member].items()}
        if object in self.shown:
            self.shown[object].version = version

    def add_instance(self, object: int, instance: str) -> None:
        one = self.shown[object]
        if instance not in one.instances:
            one.instances.append(instance)
            one.instances.sort(key=_order)

    def remove_instance(self, object: int, instance: str) -> None:
        self._without(lambda place: place.object == object and place.instance == instance)
        one = self.shown.get(object)
        if one is not None and instance in one.instances:
            one.instances.remove(instance)

    def place(self, object: int, instance: str | None = None, resource: int | None = None) -> Place:
        """With the version that the profile names."""
        one = self.shown.get(object)
        return Place(object, instance, resource, None if one is None else one.version)

    # --- Resources -----------------------------------------------------------------------------------

    def tick(self, rows: Collection[Place], ticked: Mapping[str, Collection[Place]]) -> None:
        """``rows`` are those that were shown; of them, those ``ticked`` in each list are in it."""
        for member in LISTS:
            wanted = dict.fromkeys(place for place in ticked[member] if place in rows)
            kept = [text for text in self.observed[member] if _stays(text, rows, wanted)]
            known = {Place.parse(text) for text in kept}
            self.observed[member] = kept + [str(place) for place in wanted if place not in known]

    def call(self, names: Mapping[Place, str]) -> None:
        """Key names; one that is empty is left to the model."""
        kept = _without(self.observed["keyName"], names)
        given = {str(place): name.strip() for place, name in names.items() if name.strip()}
        self.observed["keyName"] = {**kept, **given}

    def set_attributes(self, place: Place, attributes: Mapping[str, Any]) -> None:
        """Notification attributes; without any, the place has none."""
        kept = _without(self.observed["attributeLwm2m"], (place,))
        given = {str(place): dict(attributes)} if attributes else {}
        self.observed["attributeLwm2m"] = {**kept, **given}

    def attributes(self, place: Place) -> Mapping[str, Any]:
        found: Iterable[tuple[str, Mapping[str, Any]]] = self.observed["attributeLwm2m"].items()
        return next((given for text, given in found if Place.parse(text) == place), {})

    # --- inner ---------------------------------------------------------------------------------------

    def _show(self) -> None:
        """Every Object and instance that the document names."""
        for place in self.places():
            one = self.shown.setdefault(place.object, Shown(place.version))
            one.version = one.version or place.version
            if place.instance is not None:
                self.add_instance(place.object, place.instance)
        self.shown = dict(sorted(self.shown.items()))
        for one in self.shown.values():
            one.instances = one.instances or [FIRST]

    def _without(self, is_gone: Callable[[Place], bool]) -> None:
        def stays(text: str) -> bool:
            place = Place.parse(text)
            return place is None or not is_gone(place)

        for member in LISTS:
            self.observed[member] = [text for text in self.observed[member] if stays(text)]
        for member in TABLES:
            table = self.observed[member]
            self.observed[member] = {text: value for text, value in table.items() if stays(text)}


def _stays(text: str, rows: Collection[Place], wanted: Collection[Place]) -> bool:
    place = Place.parse(text)
    return place is None or place not in rows or place in wanted


def _without(table: Mapping[str, Any], places: Collection[Place]) -> dict[str, Any]:
    return {text: value for text, value in table.items() if Place.parse(text) not in places}


def _order(instance: str) -> tuple[bool, int]:
    """Any instance comes first, then by number."""
    return instance.isdigit(), int(instance) if instance.isdigit() else 0
