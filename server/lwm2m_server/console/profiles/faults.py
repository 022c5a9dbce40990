"""``Faults``: what the API finds wrong with a document, by the field of a page that it is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from lwm2m_server.console.profiles.places import Place

WHERE: Final = "profileData.transportConfiguration."
_MEMBER: Final = re.compile(r'observeAttr\.(\w+)(?:\[(\d+)\]|\["([^"]*)"\])(.*)')


@attrs.frozen(slots=True)
class Fault:
    """One sentence, and where in the document."""

    place: str
    """Below the transport configuration."""
    reason: str
    path: Place | None = None
    """The Object, Object Instance or Resource that it is about."""

    @property
    def tab(self) -> str:
        """Of the page it can be mended on."""
        if self.place.startswith("bootstrap"):
            return "bootstrap"
        if self.place == "name":
            return "details"
        is_known = self.path is not None or self.place.startswith(("clientLwM2mSettings", "observeAttr"))
        return "transport" if is_known else "json"


@attrs.frozen(slots=True)
class Faults:
    all: tuple[Fault, ...] = ()

    @classmethod
    def of(cls, found: Iterable[Mapping[str, Any]], configuration: Mapping[str, Any]) -> Faults:
        """As the API tells them, of this transport configuration."""
        return cls(tuple(_faults(found, configuration)))

    def __iter__(self) -> Iterator[Fault]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    def at(self, path: Place) -> list[str]:
        """Those of one Resource, Object Instance or Object."""
        return [fault.reason for fault in self.all if fault.path == path]

    def under(self, object: int, instance: str | None = None) -> int:
        """How many there are below."""
        paths = (fault.path for fault in self.all if fault.path is not None)
        return sum(one.object == object and instance in (None, one.instance) for one in paths)

    def of_field(self, place: str) -> str:
        """Of a member of the document, in one sentence; empty if there is none."""
        return "; ".join(fault.reason for fault in self.all if fault.place == place)


def _faults(found: Iterable[Mapping[str, Any]], configuration: Mapping[str, Any]) -> Iterator[Fault]:
    for one in found:
        place = str(one["place"]).removeprefix(WHERE)
        yield Fault(place, str(one["reason"]), _path(place, configuration["observeAttr"]))


def _path(place: str, observed: Mapping[str, Any]) -> Place | None:
    found = _MEMBER.match(place)
    if found is None:
        return None
    member, index, text = found[1], found[2], found[3]
    if index is not None:
        listed = observed.get(member)
        text = listed[int(index)] if isinstance(listed, list) and int(index) < len(listed) else None
    return Place.parse(text) if isinstance(text, str) else None
