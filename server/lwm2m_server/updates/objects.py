"""The Objects by which devices are updated: where they keep what, and what their numbers mean.

Object 5 (Firmware Update), object 9 (Software Management) and object 33629 (Advanced Firmware Update).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

import attrs

FIRMWARE: Final = 5
SOFTWARE: Final = 9
ADVANCED: Final = 33629


class Phase(Enum):
    """What a device does about packages, whatever numbers its Object has for it."""

    IDLE = "idle"
    DOWNLOADING = "downloading"
    DOWNLOADED = "downloaded"
    UPDATING = "updating"
    INSTALLED = "installed"


class Kind(Enum):
    """What a result says of the update."""

    NEUTRAL = "neutral"
    SUCCESS = "success"
    FAILURE = "failure"
    TRANSIENT = "transient"
    """The same may succeed another time."""
    UNSUPPORTED = "unsupported"
    """The way the package was offered; another may do."""
    CANCELLED = "cancelled"
    DEFERRED = "deferred"


@attrs.frozen(slots=True)
class Result:
    """One value of the Resource Update Result."""

    kind: Kind
    text: str


@attrs.frozen(slots=True)
class UpdateObject:
    """Numbers of one Object; Resources it does not have are ``None``."""

    id: int
    state: int
    result: int
    package_name: int
    package_version: int
    package: int
    uri: int
    install: int
    phases: Mapping[int, Phase]
    results: Mapping[int, Result]
    cancel: int | None = None
    protocols: int | None = None
    delivery: int | None = None
    severity: int | None = None
    changed: int | None = None
    defer: int | None = None
    automatic: int | None = None
    """Whether the device installs by itself what it has downloaded."""
    component: int | None = None
    running: int | None = None
    """The version of the component that runs."""
    uninstall: int | None = None
    activate: int | None = None
    active: int | None = None

    def facts(self, values: Mapping[int, object]) -> Facts:
        """What the Resources of an Object Instance say, as far as they were read."""
        state, result = values.get(self.state), values.get(self.result)
        return Facts(
            phase=self.phases.get(state) if isinstance(state, int) else None,
            result=result if isinstance(result, int) else None,
            name=_text(values.get(self.package_name)),
            version=_text(values.get(self.package_version)),
            running=_text(self._of(values, self.running)),
            component=_text(self._of(values, self.component)),
            delivery=_number(self._of(values, self.delivery)),
            protocols=_numbers(self._of(values, self.protocols)),
            defer=_number(self._of(values, self.defer)),
            is_active=_flag(self._of(values, self.active)),
            is_automatic=_flag(self._of(values, self.automatic)),
        )

    def meaning(self, result: int | None) -> Result:
        """Of a result; of one that nobody defined, that it is a failure."""
        if result is None:
            return _NOTHING
        return self.results.get(result) or Result(Kind.FAILURE, f"result {result}, which is not defined")

    def _of(self, values: Mapping[int, object], resource: int | None) -> object:
        return None if resource is None else values.get(resource)


@attrs.frozen(slots=True)
class Facts:
    """What was seen of a device; ``None`` for what was not."""

    phase: Phase | None = None
    result: int | None = None
    name: str | None = None
    version: str | None = None
    """Of the package."""
    running: str | None = None
    """The version that runs, as the device itself says."""
    component: str | None = None
    delivery: int | None = None
    """0 pull, 1 push, 2 both."""
    protocols: tuple[int, ...] | None = None
    """0 coap, 1 coaps, 2 http, 3 https, 4 coap+tcp, 5 coaps+tcp."""
    defer: int | None = None
    """Seconds."""
    is_active: bool | None = None
    is_automatic: bool | None = None

    @property
    def package(self) -> str:
        """What the device calls the package, empty if it does not."""
        return " ".join(filter(None, (self.name, self.version)))


_NOTHING: Final = Result(Kind.NEUTRAL, "nothing yet")

_RESULTS: Final = {
    0: _NOTHING,
    1: Result(Kind.SUCCESS, "updated successfully"),
    2: Result(Kind.FAILURE, "not enough flash memory for the package"),
    3: Result(Kind.FAILURE, "out of RAM during the download"),
    4: Result(Kind.TRANSIENT, "connection lost during the download"),
    5: Result(Kind.TRANSIENT, "integrity check of the package failed"),
    6: Result(Kind.FAILURE, "unsupported package type"),
    7: Result(Kind.FAILURE, "invalid URI"),
    8: Result(Kind.FAILURE, "the update failed"),
    9: Result(Kind.UNSUPPORTED, "unsupported protocol"),
    10: Result(Kind.CANCELLED, "cancelled on the device"),
    11: Result(Kind.DEFERRED, "deferred by the device"),
}
_SOFTWARE_RESULTS: Final = {
    0: _NOTHING,
    1: Result(Kind.NEUTRAL, "downloading"),
    2: Result(Kind.SUCCESS, "installed successfully"),
    3: Result(Kind.NEUTRAL, "downloaded and verified"),
    50: Result(Kind.FAILURE, "not enough storage for the package"),
    51: Result(Kind.FAILURE, "out of memory during the download"),
    52: Result(Kind.TRANSIENT, "connection lost during the download"),
    53: Result(Kind.TRANSIENT, "integrity check of the package failed"),
    54: Result(Kind.FAILURE, "unsupported package type"),
    55: Result(Kind.FAILURE, "result 55, which is reserved"),
    56: Result(Kind.FAILURE, "invalid URI"),
    57: Result(Kind.FAILURE, "an error the device defines"),
    58: Result(Kind.FAILURE, "the installation failed"),
    59: Result(Kind.FAILURE, "the former version could not be uninstalled"),
}
_FIRMWARE_PHASES: Final = {0: Phase.IDLE, 1: Phase.DOWNLOADING, 2: Phase.DOWNLOADED, 3: Phase.UPDATING}

OBJECTS: Final[Mapping[int, UpdateObject]] = {
    FIRMWARE: UpdateObject(
        FIRMWARE,
        state=3,
        result=5,
        package_name=6,
        package_version=7,
        package=0,
        uri=1,
        install=2,
        phases=_FIRMWARE_PHASES,
        results=_RESULTS,
        protocols=8,
        delivery=9,
        cancel=10,
        severity=11,
        changed=12,
        defer=13,
        automatic=14,
    ),
    ADVANCED: UpdateObject(
        ADVANCED,
        state=3,
        result=5,
        package_name=6,
        package_version=7,
        package=0,
        uri=1,
        install=2,
        phases=_FIRMWARE_PHASES,
        results={
            **_RESULTS,
            12: Result(Kind.FAILURE, "in conflict with the update of another component"),
            13: Result(Kind.FAILURE, "a component it depends on is missing or of another version"),
        },
        protocols=8,
        delivery=9,
        cancel=10,
        severity=11,
        changed=12,
        defer=13,
        component=14,
        running=15,
    ),
    SOFTWARE: UpdateObject(
        SOFTWARE,
        state=7,
        result=9,
        package_name=0,
        package_version=1,
        package=2,
        uri=3,
        install=4,
        phases={
            0: Phase.IDLE,
            1: Phase.DOWNLOADING,
            2: Phase.DOWNLOADING,
            3: Phase.DOWNLOADED,
            4: Phase.INSTALLED,
        },
        results=_SOFTWARE_RESULTS,
        uninstall=6,
        activate=10,
        active=12,
    ),
}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _numbers(value: object) -> tuple[int, ...] | None:
    """Of a multiple-instance Resource."""
    if isinstance(value, Mapping):
        value = tuple(value.values())
    return tuple(one for one in value if isinstance(one, int)) if isinstance(value, tuple) else None
