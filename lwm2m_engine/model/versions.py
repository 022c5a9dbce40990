"""Object versions: their order, what a Client means that names none, and the nearest one loaded."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

_VERSION = re.compile(r"([0-9]{1,5})(?:\.([0-9]{1,5}))?")

INITIAL = "1.0"

DEFAULTS = {
    "1.0": {},
    "1.1": {0: "1.1", 1: "1.1", 3: "1.1", 4: "1.2"},
    "1.2": {0: "1.2", 1: "1.2", 2: "1.1", 3: "1.2", 4: "1.3", 5: "1.1", 21: "1.1"},
}
"""Version of each core Object in an enabler release (LwM2M Core 1.2, 7.2.3); of all others it is 1.0."""


def default_version(enabler: str, object_id: int) -> str:
    """The Object version a Client of this enabler version means when it announces none."""
    return DEFAULTS.get(enabler, DEFAULTS["1.1"]).get(object_id, INITIAL)


@lru_cache(maxsize=1024)
def parse_version(text: str) -> tuple[int, int] | None:
    """``"1.2"`` -> ``(1, 2)``, ``"2"`` -> ``(2, 0)``; ``None`` for anything else."""
    found = _VERSION.fullmatch(text)
    return (int(found[1]), int(found[2] or 0)) if found else None


def version_key(text: str) -> tuple[int, int]:
    """Sorts versions by number; what is no version comes first."""
    return parse_version(text) or (-1, -1)


def nearest_version(wanted: str, loaded: Collection[str]) -> str | None:
    """The loaded version to read ``wanted`` with; ``None`` only if nothing is loaded.

    The same if it is there. Else one of the same major version, for these differ only in optional Resources
    (LwM2M Core 1.2, 7.2.2): the next lower, else the next higher. Else the newest.
    """
    if wanted in loaded:
        return wanted
    key = version_key(wanted)
    ordered = sorted(loaded, key=version_key)
    related = [version for version in ordered if version_key(version)[0] == key[0]]
    lower = [version for version in related if version_key(version) <= key]
    if lower:
        return lower[-1]
    return related[0] if related else ordered[-1] if ordered else None
