"""What is other in one version of an Object than in another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import attrs

Model: TypeAlias = Mapping[str, Any]
"""``ModelDetails`` of the API."""
Kind: TypeAlias = Literal["added", "removed", "changed"]

_FACTS: Final = {
    "name": "Name",
    "urn": "URN",
    "lwm2mVersion": "LwM2M version",
    "multiple": "Multiple instances",
    "mandatory": "Mandatory",
}
_OF_RESOURCES: Final = {
    "name": "Name",
    "operations": "Operations",
    "multiple": "Multiple instances",
    "mandatory": "Mandatory",
    "type": "Type",
    "range": "Range",
    "units": "Units",
}


@attrs.frozen
class Difference:
    """``was`` and ``now`` are ``None`` of what is there or gone as a whole."""

    kind: Kind
    resource: int | None
    """``None`` of what the Object itself says."""
    what: str
    was: object = None
    now: object = None


def differences(older: Model, newer: Model) -> Sequence[Difference]:
    """The Object first, then its Resources by id."""
    found = [*_changed(None, _FACTS, older, newer)]
    before = {one["id"]: one for one in older["resources"]}
    after = {one["id"]: one for one in newer["resources"]}
    for id in sorted(before.keys() | after.keys()):
        if id not in after:
            found.append(Difference("removed", id, before[id]["name"]))
        elif id not in before:
            found.append(Difference("added", id, after[id]["name"]))
        else:
            found += _changed(id, _OF_RESOURCES, before[id], after[id])
    return found


def _changed(resource: int | None, names: Mapping[str, str], was: Model, now: Model) -> Iterator[Difference]:
    for name, label in names.items():
        if was[name] != now[name]:
            yield Difference("changed", resource, label, was[name], now[name])
