"""``TypeLookup``: the type of the Resource at a path, as decoders and encoders ask for it."""

from __future__ import annotations

from collections.abc import Callable

from lwm2m_engine.values import ResourceType


class ObjectTypes(dict[int, ResourceType]):
    """The types of the Resources of one Object in one version, by id.

    Does not change once made. It is equal to itself alone, so that what is worked out from it once can be
    kept (``functools.lru_cache``), without keeping all the other models.
    """

    __slots__ = ()
    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__
    __ne__ = object.__ne__


NO_TYPES = ObjectTypes()
"""The types of an Object nobody knows."""


class _Objects(dict[int, ObjectTypes]):
    """By id, each looked up once. Of Objects nobody knows, nothing is kept."""

    __slots__ = ("_find",)

    def __init__(self, find: Callable[[int], ObjectTypes | None]) -> None:
        self._find = find

    def __missing__(self, object_id: int) -> ObjectTypes:
        found = self._find(object_id)
        if found is None:
            return NO_TYPES
        self[object_id] = found
        return found


class TypeLookup:
    """Called with a path, gives its type: of a Resource or a Resource Instance, ``None`` for all else.

    ``of(3)`` are the types of a whole Object, which codecs prefer to a call for each value.
    """

    __slots__ = ("of",)

    def __init__(self, find: Callable[[int], ObjectTypes | None]) -> None:
        """``find`` gives the types of an Object; ``None`` for one it does not know."""
        self.of = _Objects(find).__getitem__

    def __call__(self, path: tuple[int, ...]) -> ResourceType | None:
        return self.of(path[0]).get(path[2]) if len(path) > 2 else None
