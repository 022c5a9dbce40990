"""``Series``: one Resource of a device, what it is called, and where its values are found."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence

import attrs

from lwm2m_engine.errors import LwM2MError
from lwm2m_engine.model.spec import ResourceSpec
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_server.profiles.keys import Keys
from lwm2m_server.telemetry.readings import divided


class UnknownKey(LwM2MError):
    """The device has no Resource of this name, as far as its profile, its models and its values tell."""

    def __init__(self, key: str, nearest: str | None) -> None:
        super().__init__(key, nearest)
        self.key, self.nearest = key, nearest

    def __str__(self) -> str:
        hint = f"; nearest is {self.nearest!r}" if self.nearest is not None else ""
        return f"the device has no key {self.key[:80]!r}{hint}"


@attrs.frozen(slots=True)
class Series:
    """``places`` are that of the Resource, or those of its instances; none if nothing was told yet."""

    path: Path
    key: str
    spec: ResourceSpec | None
    places: tuple[str, ...] = ()
    prefix: str = ""
    """The end device of a gateway that it is of."""
    kinds: frozenset[str] = frozenset()
    """What the device profile has it for."""

    @property
    def place(self) -> str:
        """As a path, with the prefix before it."""
        return f"/{self.prefix}{self.path}" if self.prefix else str(self.path)


class Selection:
    """All series of a device, and those that are meant by keys and paths."""

    def __init__(self, keys: Keys, models: ModelView, places: Iterable[str]) -> None:
        self._keys, self._models = keys, models
        found: dict[tuple[str, Path], list[str]] = {}
        for place in places:
            prefix, path = divided(place)
            found.setdefault((prefix, Path(path[:3])), []).append(place)
        self.all = [self._series(prefix, path, tuple(sorted(own))) for (prefix, path), own in found.items()]
        self.all.sort(key=lambda series: (series.prefix, series.path))

    def chosen(self, keys: Collection[str], paths: Collection[str]) -> Sequence[Series]:
        """By key name or path, a path with ``*`` for any number of any level; all if nothing is named.

        Raises ``UnknownKey``, ``PathError``.
        """
        if not keys and not paths:
            return self.all
        found: dict[tuple[str, Path], Series] = {}
        for key in keys:
            for series in self._of_key(key):
                found[series.prefix, series.path] = series
        for path in paths:
            for series in self._of_path(path):
                found[series.prefix, series.path] = series
        return list(found.values())

    def matching(self, keys: Collection[str], paths: Collection[str]) -> Sequence[Series]:
        """What ``chosen`` would choose of those there are. Raises ``PathError``."""
        if not keys and not paths:
            return self.all
        found = {(series.prefix, series.path): series for series in self.all if series.key in keys}
        for text in (*paths, *(key for key in keys if "/" in key)):
            for series in self._of_path(text):
                if series.places:
                    found.setdefault((series.prefix, series.path), series)
        return list(found.values())

    def _of_key(self, key: str) -> Sequence[Series]:
        known = [series for series in self.all if series.key == key]
        if known:
            return known
        if "/" in key or key == "*":
            return self._of_path(key)
        # What the device has not told yet has no values, and is no mistake.
        expected = [self._series("", path, ()) for path in self._keys.paths(key)]
        if not expected:
            nearest = difflib.get_close_matches(key, {series.key for series in self.all}, n=1)
            raise UnknownKey(key, nearest[0] if nearest else None)
        return expected

    def _of_path(self, text: str) -> Sequence[Series]:
        levels = text.strip("/").split("/")
        prefix = levels.pop(0) if levels and not levels[0][:1].isdigit() and levels[0] != "*" else ""
        exact = Path("/".join(level.replace("*", "0") for level in levels) if levels else "/")
        found = []
        for series in self.all:
            if series.prefix != prefix:
                continue
            places = tuple(place for place in series.places if _is_below(divided(place)[1], levels))
            if places:
                found.append(attrs.evolve(series, places=places))
        if not found and "*" not in text and len(exact) > 2:
            return [self._series(prefix, Path(exact[:3]), ())]
        return found

    def _series(self, prefix: str, path: Path, places: tuple[str, ...]) -> Series:
        name, spec = self._keys.name(path), self._models.resource(path)
        # A profile is about the device itself, not about those behind it.
        kinds = frozenset[str]() if prefix else self._keys.kind(path)
        return Series(path, _key(prefix, name), spec, places, prefix, kinds)


def _key(prefix: str, name: str) -> str:
    return f"{prefix}/{name.lstrip('/')}" if prefix else name


def _is_below(path: Path, levels: Sequence[str]) -> bool:
    if len(levels) > len(path) and any(levels):
        return False
    return all(level in ("*", "") or level == str(id) for level, id in zip(levels, path, strict=False))
