"""``Mapping`` and ``Rule``: how a plugin says which Resources make which attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import attrs

from lwm2m_engine.values import Value


class _Endpoint:
    """The Endpoint Client Name as a source of a rule."""

    def __repr__(self) -> str:
        return "ENDPOINT"


ENDPOINT: Final = _Endpoint()

Source: TypeAlias = str | _Endpoint
"""``/3/0/9``, ``/3/0/battery_level`` (generated name), or ``ENDPOINT``."""


@attrs.frozen(slots=True)
class Rule:
    """One attribute from one or several sources.

    ``convert`` gets one argument a source, in order, and runs when all of them are known; without it
    a single source's value is taken as it is. Returning ``None`` leaves the attribute alone.
    """

    source: Source | tuple[Source, ...]
    target: str
    convert: Callable[..., Value | None] | None = None


@attrs.frozen(slots=True)
class Mapping:
    """One managed resource of each device.

    ``target`` is its type (``m2m:deviceInfo``), ``name`` its name below the device. With
    ``read_at_register`` the engine reads the Objects its rules name after every Register, if the
    device announced them. ``examples`` are pairs of ``{path: value}`` and ``{attribute: value}``; they
    run as tests and are shown in the docs. ``replaces`` names the plugin whose rules for the same
    attributes give way.
    """

    target: str
    name: str
    rules: Sequence[Rule]
    read_at_register: bool = False
    examples: Sequence[tuple[dict[str, Any], dict[str, Any]]] = ()
    replaces: str | None = None
