"""What is different between two documents of a profile, for whoever is about to replace one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lwm2m_server.profiles.places import Place

LISTS: Final = ("observe", "attribute", "telemetry")
TABLES: Final = ("keyName", "attributeLwm2m")
SETTINGS: Final = ("observeStrategy", "initAttrTelAsObsStrategy")


def differences(former: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """``profileData`` of both, in canonical form. Versions of Objects make no difference."""
    one, other = former["transportConfiguration"], data["transportConfiguration"]
    was, is_ = one["observeAttr"], other["observeAttr"]
    settings = {
        **_changed({name: was[name] for name in SETTINGS}, {name: is_[name] for name in SETTINGS}),
        **_changed(one["clientLwM2mSettings"], other["clientLwM2mSettings"]),
    }
    bootstrap = ("bootstrap", "bootstrapServerUpdateEnable")
    return {
        **{name: _lists(was[name], is_[name]) for name in LISTS},
        **{name: _tables(was[name], is_[name]) for name in TABLES},
        "settings": settings,
        "bootstrap": any(one[name] != other[name] for name in bootstrap),
    }


def _lists(former: Sequence[str], new: Sequence[str]) -> dict[str, Any]:
    was, is_ = _places(former), _places(new)
    return {
        "added": [text for place, text in is_.items() if place not in was],
        "removed": [text for place, text in was.items() if place not in is_],
    }


def _tables(former: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    was, is_ = _places(former), _places(new)
    return {
        "added": {text: new[text] for place, text in is_.items() if place not in was},
        "removed": {text: former[text] for place, text in was.items() if place not in is_},
        "changed": {
            text: {"from": former[was[place]], "to": new[text]}
            for place, text in is_.items()
            if place in was and former[was[place]] != new[text]
        },
    }


def _places(texts: Sequence[str] | Mapping[str, Any]) -> dict[Place, str]:
    return {Place.parse(text): text for text in texts}


def _changed(former: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {"from": former[name], "to": value} for name, value in new.items() if former[name] != value}
