"""``ProfileMapping``: what a device profile says about Resources, ready for use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any, Final

import attrs

from lwm2m_engine.attributes import Attributes
from lwm2m_engine.engine.records import PowerSaving, Registration
from lwm2m_engine.model.versions import INITIAL
from lwm2m_engine.paths import Path
from lwm2m_server.profiles.places import Announced, Place

ATTRIBUTE: Final = "attribute"
TELEMETRY: Final = "telemetry"


class Strategy(Enum):
    """How many Observe requests there are: one a Resource, one in all, or one an Object."""

    SINGLE = "SINGLE"
    COMPOSITE_ALL = "COMPOSITE_ALL"
    COMPOSITE_BY_OBJECT = "COMPOSITE_BY_OBJECT"


class AfterConnect(Enum):
    """What is done when a device has registered."""

    OBSERVE = 1
    """Observe; read what is an attribute or telemetry and not observed."""
    READ_ALL = 2
    """Read every Object Instance, then observe."""
    READ_MAPPED = 3
    """Read all that is an attribute or telemetry, then observe."""


@attrs.frozen(slots=True)
class Resolved:
    """What a profile means for one device: paths that it has announced, each once, in order."""

    observe: tuple[Path, ...]
    attribute: tuple[Path, ...]
    telemetry: tuple[Path, ...]
    attributes: Mapping[Path, Attributes]
    """Notification attributes by Object, Object Instance or Resource."""
    absent: tuple[Place, ...]
    """What the profile names and the device has not."""
    other_versions: Mapping[int, tuple[str, str]]
    """Objects of which it has another version than the profile names: named, announced."""

    @property
    def read(self) -> tuple[Path, ...]:
        """Attributes and telemetry that are not observed, by themselves or with what they lie in."""
        observed = frozenset(self.observe)
        wanted = dict.fromkeys((*self.attribute, *self.telemetry))
        return tuple(path for path in wanted if path not in observed and not _lies_in(path, observed))


@attrs.frozen(slots=True, eq=False)
class ProfileMapping:
    """The transport configuration of a profile, in its canonical form, as values."""

    observe: tuple[Place, ...] = ()
    attribute: tuple[Place, ...] = ()
    telemetry: tuple[Place, ...] = ()
    names: Mapping[Place, str] = attrs.field(factory=dict)
    """Key names that the profile gives."""
    attributes: Mapping[Place, Attributes] = attrs.field(factory=dict)
    strategy: Strategy = Strategy.SINGLE
    read_as_observed: bool = False
    """Read what is not observed in the way that the strategy observes."""
    after_connect: AfterConnect = AfterConnect.OBSERVE
    power: PowerSaving | None = None
    firmware_strategy: int = 1
    """1 to write the package to Object 5, 2 to write its URI, 3 to write it to Object 19."""
    software_strategy: int = 1
    """1 to write the package, 2 to write its URI."""
    firmware_resource: str | None = None
    """The URI that devices get instead of this server's own, up to the path."""
    software_resource: str | None = None
    use_object_19: bool = False
    """Tell a device what it is updated to in Object 19."""
    default_version: str | None = None
    """Of Objects that a device announces without a version."""

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> ProfileMapping:
        """From a transport configuration in its canonical form (``document``)."""
        observed, client = configuration["observeAttr"], configuration["clientLwM2mSettings"]
        return cls(
            observe=_places(observed["observe"]),
            attribute=_places(observed["attribute"]),
            telemetry=_places(observed["telemetry"]),
            names={Place.parse(place): name for place, name in observed["keyName"].items()},
            attributes={
                Place.parse(place): attributes_of(given)
                for place, given in observed["attributeLwm2m"].items()
            },
            strategy=Strategy(observed["observeStrategy"]),
            read_as_observed=observed["initAttrTelAsObsStrategy"],
            after_connect=AfterConnect(client["clientOnlyObserveAfterConnect"]),
            power=power_of(client),
            firmware_strategy=client["fwUpdateStrategy"],
            software_strategy=client["swUpdateStrategy"],
            firmware_resource=client["fwUpdateResource"],
            software_resource=client["swUpdateResource"],
            use_object_19=client["useObject19ForOtaInfo"],
            default_version=client["defaultObjectIDVer"],
        )

    @property
    def version(self) -> str | None:
        """``default_version``, unless it is what holds anyway: 1.0, but for the Objects of LwM2M itself,
        which are of the enabler version of the device (LwM2M Core 1.2, 7.2.3)."""
        return None if self.default_version == INITIAL else self.default_version

    def resolved(self, registration: Registration) -> Resolved:
        """For a device: what its registration announces decides what ``*`` stands for."""
        announced = Announced.of(registration.objects, registration.instances)
        named = (*self.observe, *self.attribute, *self.telemetry, *self.attributes)
        attributes: dict[Path, Attributes] = {}
        # What is said of one instance goes before what is said of any.
        for place in sorted(self.attributes, key=lambda place: not place.is_any):
            attributes |= dict.fromkeys(announced.paths(place), self.attributes[place])
        return Resolved(
            _outermost(_paths(announced, self.observe)),
            _paths(announced, self.attribute),
            _paths(announced, self.telemetry),
            attributes,
            tuple(dict.fromkeys(place for place in named if not announced.paths(place))),
            {
                place.object: (place.version, announced.objects[place.object])
                for place in named
                if place.version is not None
                and announced.objects.get(place.object, place.version) != place.version
            },
        )


EMPTY: Final = ProfileMapping()
"""That of a device without a profile."""


def attributes_of(given: Mapping[str, Any]) -> Attributes:
    """``{"pmin": 10, "gt": 20.5}`` as a device is told it; members that are null are not there."""
    return tuple((name, _number(value)) for name, value in given.items() if value is not None)


def power_of(client: Mapping[str, Any]) -> PowerSaving | None:
    """When devices of a profile listen; its times are milliseconds. ``None`` for always."""
    mode = client["powerMode"]
    if mode == "PSM":
        return PowerSaving(_seconds(client["psmActivityTimer"]), psm=True)
    if mode == "E_DRX" and client["edrxCycle"] is not None:
        window = _seconds(client["pagingTransmissionWindow"])
        power = PowerSaving(edrx_cycle=_seconds(client["edrxCycle"]))
        return power if window is None else attrs.evolve(power, paging_window=window)
    return None


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _number(value: object) -> str:
    """Without exponent, as attributes are written."""
    if isinstance(value, bool):
        return str(int(value))
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else str(value)


def _places(texts: Iterable[str]) -> tuple[Place, ...]:
    return tuple(map(Place.parse, texts))


def _outermost(paths: Sequence[Path]) -> tuple[Path, ...]:
    """What is observed with what it lies in need not be by itself."""
    known = frozenset(paths)
    return tuple(path for path in paths if not _lies_in(path, known))


def _lies_in(path: Path, others: frozenset[Path]) -> bool:
    return not others.isdisjoint(path[:depth] for depth in range(1, len(path)))


def _paths(announced: Announced, places: Sequence[Place]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(path for place in places for path in announced.paths(place)))
