"""The short way through SenML for what nearly every device sends: a few plain values without times, below
the path that was asked for.

``Everyday.read`` gives ``None`` for everything else, which then goes the long way (``senml.resolve``) and
is tolerated or refused there. What it does give is what the long way would have given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter
from types import NoneType
from typing import Any, NamedTuple, TypeAlias

from lwm2m_engine.codecs import senml
from lwm2m_engine.codecs.codec import MOST_CHILDREN, Scope, together
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import DecodeError, ValueRejected
from lwm2m_engine.paths import Path
from lwm2m_engine.type_lookup import TypeLookup
from lwm2m_engine.values import INTEGER_RANGE, PLAIN, ResourceType, coerce

_LOWEST, _HIGHEST = INTEGER_RANGE
_MOST_LAYOUTS, _MOST_FORMS = 256, 1024

_Pick: TypeAlias = Callable[[Sequence[Any]], tuple[Any, ...]]


class _Form(NamedTuple):
    """What packs with the same labels, names and classes of values have in common."""

    paths: list[Path]
    integers: _Pick | None
    """Those of the values that must be in ``INTEGER_RANGE``."""
    others: list[tuple[int, ResourceType | None]]
    """Where values stand that are not of the class of their type."""


class _Layout(NamedTuple):
    """Where names and values stand among all fields of packs with the same labels."""

    number: int
    """Its place among the layouts."""
    names: _Pick
    values: _Pick


class Everyday:
    """For one of the formats that SenML is written in; remembers what its packs looked like."""

    def __init__(self, labels: senml.Labels) -> None:
        self._labels = labels
        self._names = (labels.base_name, labels.name)
        self._values = (labels.number, labels.string, labels.boolean)
        self._layouts: dict[Any, _Layout | None] = {}
        self._forms: dict[Any, _Form] = {}

    def read(self, records: Sequence[Any], scope: Scope) -> list[Entry] | None:
        at, types, strict, _, root, _ = scope
        if types.__class__ is not TypeLookup or not at or root or strict:
            return None
        try:
            labels = tuple(map(len, records)), tuple(chain.from_iterable(records))
            layout = self._layouts[labels] if labels in self._layouts else self._new_layout(*labels)
            if layout is None:
                return None
            number, names, values_of = layout
            fields = tuple(chain.from_iterable(map(dict.values, records)))
            values = list(values_of(fields))
            name = number, types.of(at[0]), at, names(fields), tuple(map(type, values))
            form = self._forms.get(name) or self._new_form(name, records, values, scope)
            if form.integers is not None:
                integers = form.integers(values)
                if max(integers) > _HIGHEST or min(integers) < _LOWEST:
                    return None
            for place, type_ in form.others:
                values[place] = coerce(values[place], type_)
        except (TypeError, LookupError, DecodeError, ValueRejected):
            # A record that is no map, a name that is no text among them.
            return None
        return together(form.paths, values)

    def _new_layout(self, lengths: tuple[int, ...], labels: tuple[Any, ...]) -> _Layout | None:
        """``None`` if packs with these labels go the long way."""
        if len(labels) > MOST_CHILDREN or len(self._layouts) >= _MOST_LAYOUTS:
            return None
        named = [place for place, label in enumerate(labels) if label in self._names]
        valued = [place for place, label in enumerate(labels) if label in self._values]
        layout = None
        if named and len(valued) == len(lengths) and len(named) + len(valued) == len(labels):
            layout = _Layout(len(self._layouts), _pick(named), _pick(valued))
        self._layouts[lengths, labels] = layout
        return layout

    def _new_form(
        self, name: tuple[Any, ...], records: Sequence[Any], values: list[Any], scope: Scope
    ) -> _Form:
        """Raises what the long way raises, and ``LookupError`` where it is to be taken each time."""
        form = self._form(records, values, scope)
        if any(len(text) > senml.LONGEST for text in name[3]):
            raise LookupError
        if len(self._forms) >= _MOST_FORMS:
            self._forms.clear()
        self._forms[name] = form
        return form

    def _form(self, records: Sequence[Any], values: list[Any], scope: Scope) -> _Form:
        """As the long way has it."""
        paths = [path for path, _, _ in senml.resolve(records, self._labels, scope)]
        if any(path[0] != scope.at[0] for path in paths):
            raise LookupError
        rules = [scope.types(path) for path in paths]
        others = [
            (place, rule)
            for place, (value, rule) in enumerate(zip(values, rules, strict=True))
            if value.__class__ is not PLAIN.get(rule) and value.__class__ is not NoneType
        ]
        odd = {place for place, _ in others}
        integers = [
            place for place, value in enumerate(values) if value.__class__ is int and place not in odd
        ]
        return _Form(paths, _pick(integers) if integers else None, others)


def _pick(places: list[int]) -> _Pick:
    """Asked for one place, an itemgetter gives no tuple."""
    return itemgetter(*places) if len(places) > 1 else itemgetter(slice(places[0], places[0] + 1))
