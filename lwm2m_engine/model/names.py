"""Generated names: the Python attribute a Resource is known by (``Battery Level`` -> ``battery_level``)."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

# Where a CamelCase word begins: after two small letters (CellID), before a capital with a small one behind it
# (OnOff), and at the last capital of an abbreviation (SHAType). LwM2M, IPv4, eNB and QoS stay whole.
_WORD_START = re.compile(
    r"(?<=[a-z][a-z])(?=[A-Z])|(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[A-Z][A-Z])(?=[A-Z][a-z]{2})"
)
_SEPARATORS = re.compile(r"[^a-z0-9]+")
# What typed objects have besides, and the types their stubs name.
_TYPED = {"self", "extra", "bool", "bytes", "dict", "float", "int", "str"}
_RESERVED = frozenset(keyword.kwlist) | _TYPED


def attribute_names(resources: Iterable[tuple[int, str]]) -> dict[int, str]:
    """One unique Python name for each (Resource ID, name) of an Object.

    snake_case of the name. Where several have the same, each gets its id at the end and none keeps the bare
    name: a Resource added by a later version must not take over what a mapping wrote down. Depends on nothing
    but its argument, so a definition always generates the same names.
    """
    plain = {resource_id: snake_case(name) or f"resource_{resource_id}" for resource_id, name in resources}
    count = Counter(plain.values())
    names = {resource_id: name for resource_id, name in plain.items() if count[name] == 1}
    taken = set(names.values())
    for resource_id in sorted(plain.keys() - names.keys()):
        name = f"{plain[resource_id]}_{resource_id}"
        while name in taken:
            name = f"{name}_{resource_id}"
        names[resource_id] = name
        taken.add(name)
    return names


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
