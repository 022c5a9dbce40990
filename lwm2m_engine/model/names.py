"""Generated names: the Python attribute a Resource is known by (``Battery Level`` -> ``battery_level``)."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

# Where a CamelCase word begins: after two small letters (CellID), before a capital with a small one behind it
# (OnOff), and at the last capital of an abbreviation (SHAType). LwM2M, IPv4, eNB and QoS stay whole.
_WORD_START = re.compile(
    r"(?<=[a-z][a-z])(?=[A-Z])|(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[A-Z][A-Z])(?=[A-Z][a-z]{2})"
)
_SEPARATORS = re.compile(r"[^a-z0-9]+")
_RESERVED = frozenset(keyword.kwlist) | {"self"}


def attribute_names(resources: Iterable[tuple[int, str]]) -> dict[int, str]:
    """One unique Python name for each (Resource ID, name) of an Object.

    snake_case of the name; the lowest id keeps a name that several share, the others get ``_<id>``. Depends
    on nothing but its argument, so a definition always generates the same names.
    """
    taken: dict[str, int] = {}
    for resource_id, name in sorted(resources):
        attribute = snake_case(name) or f"resource_{resource_id}"
        while attribute in taken:
            attribute = f"{attribute}_{resource_id}"
        taken[attribute] = resource_id
    return {resource_id: attribute for attribute, resource_id in taken.items()}


@lru_cache(maxsize=4096)
def snake_case(name: str) -> str:
    """A Python identifier: ``IPv4 Name`` -> ``ipv4_name``, ``5QI`` -> ``r_5qi``, ``Class`` -> ``class_``.

    Accents are dropped, everything else that is no ASCII letter or digit separates words. Empty when nothing
    is left.
    """
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    words = _SEPARATORS.sub("_", _WORD_START.sub("_", ascii_name).lower()).strip("_")
    if words[:1].isdigit():
        return f"r_{words}"
    return f"{words}_" if words in _RESERVED else words
