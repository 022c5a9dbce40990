"""The short way to the values of nearly every message: of one Object, each given once, without a time.

``values`` gives ``None`` for everything else, which then goes the long way (``content``). What it does give
is what the long way would have given.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from lwm2m_engine.engine.events import Received
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_engine.type_lookup import ObjectTypes, TypeLookup
from lwm2m_engine.values import ResourceType


class _Shape(NamedTuple):
    """What messages with values of the same paths have in common."""

    keys: tuple[str, ...]
    """In the order of the paths."""
    ordered: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    """The values in this order."""
    times: tuple[int, ...]
    """Which of these are of type Time."""


def values(event: Received, models: ModelView) -> orjson.Fragment | None:
    """The member ``dataValue``."""
    types, entries = models.types, event.entries
    if not entries or types.__class__ is not TypeLookup:
        return None
    paths, plain, times = zip(*entries, strict=True)
    shape = _shape(types.of(paths[0][0]), paths)
    if shape is None or times.count(None) < len(times):
        return None
    shown = list(shape.ordered(plain))
    for place in shape.times:
        if shown[place].__class__ is not int:
            return None
        shown[place] *= 1000
    try:
        text = orjson.dumps(dict(zip(shape.keys, shown, strict=True)))
    except TypeError:
        # Bytes, links, text that UTF-8 cannot hold: what JSON has no word for.
        return None
    # It writes so what is no number, or infinite, or not there.
    return None if b"null" in text else orjson.Fragment(text)


@lru_cache(maxsize=1024)
def _shape(types: ObjectTypes, paths: tuple[Path, ...]) -> _Shape | None:
    """``None`` for paths that go the long way."""
    object_id = paths[0][0]
    if len(set(paths)) < len(paths) or any(path[0] != object_id or len(path) < 3 for path in paths):
        return None
    order = sorted(range(len(paths)), key=paths.__getitem__)
    keys = tuple(paths[place].key for place in order)
    times = tuple(at for at, place in enumerate(order) if types.get(paths[place][2]) is ResourceType.TIME)
    # Asked for one place, an itemgetter gives no tuple.
    return _Shape(keys, itemgetter(*order) if len(order) > 1 else tuple, times)
