"""Where definition files come from (the bundled registry, directories, files) and whether they changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

from lwm2m_engine.errors import DDFError
from lwm2m_engine.model.ddf import MAX_BYTES, Definitions, parse
from lwm2m_engine.model.spec import ObjectSpec, Problem

_PACKAGE = Path(__file__).resolve().parent.parent

SYSTEM = Path("/etc/lwm2m/models")
WORKING = Path("models/xml")


def bundled_directory() -> Path:
    """The OMA registry that comes along: package data of a wheel, ``models/xml`` in a checkout."""
    packaged = _PACKAGE / "_models"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "models" / "xml"


def user_directory() -> Path:
    """``lwm2m/models`` in the user's configuration directory (``$XDG_CONFIG_HOME``, else ``~/.config``)."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "lwm2m" / "models"


@attrs.frozen(slots=True)
class _State:
    """What changes when a file does, without reading it."""

    modified: int
    size: int


class Sources:
    """Definition files of several places; a later place replaces the same Object version of an earlier one.

    A place is a file, or a directory that is searched for ``*.xml`` with all below it. It may come into being
    later; until then a ``required`` one is a problem. Files are parsed when they are new or have changed.
    """

    def __init__(self, places: Iterable[str | Path], *, required: Iterable[str | Path] = ()) -> None:
        """``required`` places come after ``places``."""
        self._required = tuple(Path(place) for place in required)
        self.places = (*(Path(place) for place in places), *self._required)
        self._parsed: dict[Path, tuple[_State, Definitions]] = {}
        self._seen: dict[Path, _State] | None = None

    @classmethod
    def standard(
        cls,
        models: Iterable[str | Path] = (),
        *,
        plugins: Iterable[str | Path] = (),
        working: str | Path = WORKING,
    ) -> Sources:
        """The usual places, in order: bundled, ``plugins``, system, user, ``working``, and ``models``."""
        return cls([bundled_directory(), *plugins, SYSTEM, user_directory(), working], required=models)

    def changed(self) -> bool:
        """True if a file came, went or changed since the last ``read``: by name, time of change and size."""
        return self._seen != self._look()

    def read(self) -> Definitions:
        """All definitions, in the order of the places; each file that cannot be used is one problem."""
        self._seen = self._look()
        self._parsed = {path: self._parse(path, state) for path, state in self._seen.items()}
        objects: list[ObjectSpec] = []
        problems = [
            Problem(str(place), None, "no such file or directory", refused=True)
            for place in self._required
            if not place.exists()
        ]
        for place in self.places:
            found = self._place(place)
            objects.extend(found.objects)
            problems.extend(found.problems)
        return Definitions(tuple(objects), tuple(dict.fromkeys(problems)))

    def _look(self) -> dict[Path, _State]:
        return dict(_states(path for place in self.places for path in _files(place)))

    def _parse(self, path: Path, state: _State) -> tuple[_State, Definitions]:
        known = self._parsed.get(path)
        return known if known is not None and known[0] == state else (state, read_file(path))

    def _place(self, place: Path) -> Definitions:
        """In one place nothing is later than the other: two different definitions there are a fault."""
        objects: dict[tuple[int, str], ObjectSpec] = {}
        problems: list[Problem] = []
        for path in _files(place):
            if path not in self._parsed:
                continue
            definitions = self._parsed[path][1]
            problems.extend(definitions.problems)
            for spec in definitions.objects:
                first = objects.setdefault((spec.id, spec.version), spec)
                if first != spec:
                    reason = (
                        f"object {spec.id} version {spec.version} is defined differently in {first.source}"
                    )
                    problems.append(Problem(str(path), None, reason, refused=True))
        return Definitions(tuple(objects.values()), tuple(problems))


def read_file(path: Path) -> Definitions:
    """Parse one file; a fault becomes a problem."""
    try:
        with path.open("rb") as file:
            return parse(file.read(MAX_BYTES + 1), str(path))
    except DDFError as error:
        return Definitions(problems=(Problem(str(path), error.line, error.reason, refused=True),))
    except OSError as error:
        return Definitions(problems=(Problem(str(path), None, error.strerror or str(error), refused=True),))


def _files(place: Path) -> Iterator[Path]:
    """A single file is taken whatever its name."""
    if place.is_file():
        yield place
    for directory, below, names in os.walk(place):
        below[:] = sorted(name for name in below if not name.startswith("."))
        yield from (Path(directory, name) for name in sorted(names) if _is_definition(name))


def _is_definition(name: str) -> bool:
    return name.lower().endswith(".xml") and not name.startswith(".")


def _states(paths: Iterable[Path]) -> Iterator[tuple[Path, _State]]:
    """Regular files only. One that vanishes between listing and look has gone."""
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if stat.S_ISREG(status.st_mode):
            yield path, _State(status.st_mtime_ns, status.st_size)
