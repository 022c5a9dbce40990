"""``Mapping``, ``Rule`` and ``Action``: how a plugin says which Resources make which attributes."""

from __future__ import annotations

from collections import abc
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

import attrs
from attrs.validators import instance_of

from lwm2m_engine.mapping.managed import AttributeValue, Outcome
from lwm2m_engine.paths import Path

INSTANCE: Final = "{instance}"
"""In the name of a mapping: the Object Instance ID that its sources leave open."""


class _Endpoint:
    """The Endpoint Client Name as a source of a rule."""

    def __repr__(self) -> str:
        return "ENDPOINT"


ENDPOINT: Final = _Endpoint()

Source: TypeAlias = str | Path | _Endpoint
"""``/3/0/9``, ``/3/0/battery_level`` (generated name), ``/3/0/6/1`` (Resource Instance), or ``ENDPOINT``.

``*`` stands for any: ``/9/*/0`` is the Resource of each Object Instance, ``/4/0/4/*`` all instances of a
Resource together, which reach ``convert`` as a ``dict`` by id.
"""

Example: TypeAlias = tuple[abc.Mapping[Source, Any], abc.Mapping[str, Any]]
"""``{source: value}`` of a device that said nothing else, and exactly the attributes made of it."""

CommandExample: TypeAlias = tuple[abc.Mapping[str, Any], abc.Sequence[str]]
"""``{attribute: value}`` that an application writes, and exactly the messages to the device it becomes."""


@attrs.frozen(slots=True)
class Rule:
    """One attribute from one or several sources.

    ``convert`` gets one argument a source, in order, and runs when all of them are known; without it
    a single source's value is taken as it is. Returning ``None`` leaves the attribute alone.

    With ``write`` applications may write the attribute: ``True`` writes their value as it is, a function
    makes of it what is written: one value, or a tuple with one a source. What it raises as ``ValueError``
    is told to the application.
    """

    source: Source | tuple[Source, ...]
    target: str
    convert: Callable[..., AttributeValue | None] | None = None
    write: Callable[[Any], Any] | bool = False

    @property
    def sources(self) -> tuple[Source, ...]:
        """``source`` as a tuple, also when there is one."""
        return _tuple(self.source)

    def __str__(self) -> str:
        return f"{self.target} <- {' '.join(map(str, self.sources))}"


@attrs.frozen(slots=True)
class When:
    """What an Execute waits for: ``test`` gets one value a source, ``None`` for what is not known.

    It returns true when it may be sent, false when it never will be, ``None`` while it has to wait. The
    sources are observed meanwhile.
    """

    source: Source | tuple[Source, ...]
    test: Callable[..., bool | None]

    @property
    def sources(self) -> tuple[Source, ...]:
        return _tuple(self.source)


@attrs.frozen(slots=True)
class Action:
    """An attribute that executes a Resource when an application sets it to true.

    It always reads ``shows``. How it goes is told in the attribute ``status``, in the words of ``tell``,
    which returns ``None`` where the attribute is to stay as it is.
    """

    source: str | Path
    target: str
    arguments: str = ""
    status: str | None = None
    tell: Callable[[Outcome], AttributeValue | None] | None = None
    when: When | None = None
    shows: bool = False

    def __str__(self) -> str:
        return f"{self.target} -> {self.source}"


def _tuple(source: Source | tuple[Source, ...]) -> tuple[Source, ...]:
    # A Path is itself a tuple, of ids.
    if isinstance(source, tuple) and not isinstance(source, Path):
        return source
    return (source,)


# Tuples, also of what a generator gives: mappings are compiled more than once.
def _rules(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple(rules)


def _actions(actions: Iterable[Action]) -> tuple[Action, ...]:
    return tuple(actions)


def _examples(examples: Iterable[Example]) -> tuple[Example, ...]:
    return tuple(examples)


def _commands(commands: Iterable[CommandExample]) -> tuple[CommandExample, ...]:
    return tuple(commands)


@attrs.frozen(slots=True)
class Mapping:
    """One managed resource of each device; with ``{instance}`` in its ``name`` one of each Object Instance.

    ``target`` is its type (``m2m:deviceInfo``), ``name`` its name below the device. With
    ``read_at_register`` the engine reads the Objects its rules name after every Register, if the
    device announced them. ``examples`` are pairs of ``{source: value}`` and ``{attribute: value}``, and
    ``commands`` pairs of ``{attribute: value}`` and messages; they run as tests and are shown in the docs.
    ``replaces`` names the plugin whose rules for the same attributes give way.
    """

    target: str = attrs.field(validator=instance_of(str))
    name: str = attrs.field(validator=instance_of(str))
    rules: tuple[Rule, ...] = attrs.field(default=(), converter=_rules)
    read_at_register: bool = False
    examples: tuple[Example, ...] = attrs.field(default=(), converter=_examples)
    replaces: str | None = None
    actions: tuple[Action, ...] = attrs.field(default=(), converter=_actions)
    commands: tuple[CommandExample, ...] = attrs.field(default=(), converter=_commands)

    @property
    def is_of_each_instance(self) -> bool:
        return INSTANCE in self.name
