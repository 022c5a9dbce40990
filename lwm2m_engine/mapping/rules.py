"""``Mapping`` and ``Rule``: how a plugin says which Resources make which attributes."""

from __future__ import annotations

from collections import abc
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

import attrs
from attrs.validators import instance_of

from lwm2m_engine.paths import Path
from lwm2m_engine.values import Value


class _Endpoint:
    """The Endpoint Client Name as a source of a rule."""

    def __repr__(self) -> str:
        return "ENDPOINT"


ENDPOINT: Final = _Endpoint()

Source: TypeAlias = str | Path | _Endpoint
"""``/3/0/9``, ``/3/0/battery_level`` (generated name), ``/3/0/6/1`` (Resource Instance), or ``ENDPOINT``."""

Example: TypeAlias = tuple[abc.Mapping[Source, Any], abc.Mapping[str, Any]]
"""``{source: value}`` of a device that said nothing else, and exactly the attributes made of it."""


@attrs.frozen(slots=True)
class Rule:
    """One attribute from one or several sources.

    ``convert`` gets one argument a source, in order, and runs when all of them are known; without it
    a single source's value is taken as it is. Returning ``None`` leaves the attribute alone.
    """

    source: Source | tuple[Source, ...]
    target: str
    convert: Callable[..., Value | None] | None = None

    @property
    def sources(self) -> tuple[Source, ...]:
        """``source`` as a tuple, also when there is one."""
        # A Path is itself a tuple, of ids.
        if isinstance(self.source, tuple) and not isinstance(self.source, Path):
            return self.source
        return (self.source,)

    def __str__(self) -> str:
        return f"{self.target} <- {' '.join(map(str, self.sources))}"


# Tuples, also of what a generator gives: mappings are compiled more than once.
def _rules(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple(rules)


def _examples(examples: Iterable[Example]) -> tuple[Example, ...]:
    return tuple(examples)


@attrs.frozen(slots=True)
class Mapping:
    """One managed resource of each device.

    ``target`` is its type (``m2m:deviceInfo``), ``name`` its name below the device. With
    ``read_at_register`` the engine reads the Objects its rules name after every Register, if the
    device announced them. ``examples`` are pairs of ``{source: value}`` and ``{attribute: value}``; they
    run as tests and are shown in the docs. ``replaces`` names the plugin whose rules for the same
    attributes give way.
    """

    target: str = attrs.field(validator=instance_of(str))
    name: str = attrs.field(validator=instance_of(str))
    rules: tuple[Rule, ...] = attrs.field(converter=_rules)
    read_at_register: bool = False
    examples: tuple[Example, ...] = attrs.field(default=(), converter=_examples)
    replaces: str | None = None
