"""Notification attributes: which ones fit a place, and what was entered of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from lwm2m_engine.attributes import ATTRIBUTES
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ResourceType
from lwm2m_server.console.device.fields import Entered

MEANINGS: Final[Mapping[str, str]] = {
    "pmin": "at least so long between two notifications",
    "pmax": "at most so long between two notifications",
    "epmin": "at least so long between two looks at the value",
    "epmax": "at most so long between two looks at the value",
    "lt": "notify when the value crosses this, downwards",
    "gt": "notify when the value crosses this, upwards",
    "st": "notify when the value differs so much from the last",
    "edge": "notify only when the value becomes true or false",
    "con": "notifications are confirmable",
    "hqmax": "values kept while it cannot notify",
}
_SECONDS: Final = frozenset({"pmin", "pmax", "epmin", "epmax"})
_CHOICES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "edge": (("0", "false (falling)"), ("1", "true (rising)")),
    "con": (("1", "yes"), ("0", "no")),
}


@attrs.frozen(slots=True)
class Attribute:
    """One that can be written."""

    name: str
    meaning: str
    units: str
    since: str
    choices: tuple[tuple[str, str], ...]
    step: str
    """``1`` for whole numbers."""
    least: str
    value: str = ""
    """As it is in force, if that is known."""


def attributes_for(
    path: Path, type: ResourceType | None, version: str, known: Mapping[str, str | None]
) -> list[Attribute]:
    """Those that a device of this version of LwM2M may have at a place. ``known`` are in force there."""
    found = []
    for name, spec in ATTRIBUTES.items():
        if not spec.writable or path.level not in spec.levels or not _has(version, spec.since):
            continue
        if spec.types is not None and type not in spec.types:
            continue
        is_whole = name not in ("lt", "gt", "st")
        found.append(
            Attribute(
                name,
                MEANINGS[name],
                "s" if name in _SECONDS else "",
                spec.since,
                _CHOICES.get(name, ()),
                "1" if is_whole else "any",
                "" if name in ("lt", "gt") else "0",
                known.get(name) or "",
            )
        )
    return found


def read_attributes(form: Entered) -> dict[str, Any]:
    """What was entered; ``None`` for what is to be removed. The API judges the values."""
    found: dict[str, Any] = {}
    removed = form.all("remove")
    for name, spec in ATTRIBUTES.items():
        if not spec.writable:
            continue
        text = form.text(f"a.{name}").strip()
        if name in removed:
            found[name] = None
        elif text:
            found[name] = text
    return found


def _has(version: str, since: str) -> bool:
    return _numbers(version) >= _numbers(since)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))
