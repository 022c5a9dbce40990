"""Where definition files come from (the bundled registry, directories, files) and whether they changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from lwm2m_engine.errors import DDFError
from lwm2m_engine.model.bundle import DIRECTORY, read
from lwm2m_engine.model.ddf import Definitions, check_size, parse
from lwm2m_engine.model.spec import ObjectSpec, Problem

SYSTEM = Path("/etc/lwm2m/models")
WORKING = Path("models/xml")

State: TypeAlias = tuple[int, int]
"""Time of the last change (ns) and size (bytes) of a file."""


def bundled_directory() -> Path:
    """The OMA registry that comes along: package data of a wheel, ``models/xml`` in a checkout."""
    return Path(DIRECTORY)


def user_directory() -> Path:
    """``lwm2m/models`` in the user's configuration directory (``$XDG_CONFIG_HOME``, else ``~/.config``)."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "lwm2m" / "models"


class Sources:
    """Definition files of several places; a later place replaces the same Object version of an earlier one.

    A place is a file, or a directory that is searched for ``*.xml`` with all below it. It may come into being
    later; until then an ``expected`` one is a problem. A place named again stays where it was first named.
    Files are parsed when they are new or have changed.
    """

    def __init__(self, places: Iterable[str | Path], *, expected: Iterable[str | Path] = ()) -> None:
        """``expected`` places come after ``places``."""
        self._expected = tuple(Path(place) for place in expected)
        unique: dict[Path, Path] = {}
        for place in (*map(Path, places), *self._expected):
            unique.setdefault(place.resolve(), place)
        self.places = tuple(unique.values())
        self._seen: list[dict[str, State]] | None = None
        self._parsed: dict[str, tuple[State, Definitions]] = {}

    @classmethod
    def standard(
        cls,
        models: Iterable[str | Path] = (),
        *,
        plugins: Iterable[str | Path] = (),
        working: str | Path = WORKING,
    ) -> Sources:
        """The usual places, in order: bundled, ``plugins``, system, user, ``working``, and ``models``."""
        return cls([bundled_directory(), *plugins, SYSTEM, user_directory(), working], expected=models)

    def changed(self) -> bool:
        """True if a file came, went or changed since the last ``read``: by name, time of change and size."""
        return self._seen != self._look()

    @property
    def files(self) -> Mapping[str, Definitions]:
        """What each file says by itself, as of the last ``read``."""
        return {path: definitions for path, (_, definitions) in self._parsed.items()}

    def read(self) -> Definitions:
        """All definitions, in the order of the places; each file that cannot be used is one problem."""
        seen = self._look()
        self._parsed = {path: self._parse(path, state) for files in seen for path, state in files.items()}
        self._seen = seen
        objects: list[ObjectSpec] = []
        problems = [
            Problem(str(place), None, "no such file or directory")
            for place in self._expected
            if not place.exists()
        ]
        for files in seen:
            found = self._merge(files)
            objects += found.objects
            problems += found.problems
        return Definitions(tuple(objects), tuple(dict.fromkeys(problems)))

    def _look(self) -> list[dict[str, State]]:
        return [dict(_files(place)) for place in self.places]

    def _parse(self, path: str, state: State) -> tuple[State, Definitions]:
        known = self._parsed.get(path)
        return known if known is not None and known[0] == state else (state, read_file(path, size=state[1]))

    def _merge(self, files: Mapping[str, State]) -> Definitions:
        """In one place nothing is later than the other: two different definitions there are a fault."""
        objects: dict[tuple[int, str], ObjectSpec] = {}
        problems: list[Problem] = []
        for path in files:
            definitions = self._parsed[path][1]
            problems += definitions.problems
            for spec in definitions.objects:
                first = objects.setdefault((spec.id, spec.version), spec)
                if first is not spec and first != spec:
                    reason = f"object {spec.id} version {spec.version} differs from that in {first.source}"
                    problems.append(Problem(path, None, reason, refused=True))
        return Definitions(tuple(objects.values()), tuple(problems))


def read_file(path: str, *, size: int) -> Definitions:
    """Parse one file of ``size`` bytes; a fault becomes a problem."""
    try:
        check_size(size, path)
        with open(path, "rb") as file:
            data = file.read()
        # The bundled ones need no XML parser.
        spec = read(data, path) if os.path.dirname(path) == DIRECTORY else None
        return parse(data, path) if spec is None else Definitions((spec,))
    except DDFError as error:
        return Definitions(problems=(Problem(path, error.line, error.reason, refused=True),))
    except OSError as error:
        return Definitions(problems=(Problem(path, None, error.strerror or str(error), refused=True),))


def _files(place: Path) -> Iterator[tuple[str, State]]:
    """A single file is taken whatever its name. What is hidden, or no regular file, is not looked at."""
    if place.is_file():
        yield from _state(str(place))
    for directory, below, names in os.walk(place):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(".xml") and not name.startswith("."):
                yield from _state(os.path.join(directory, name))


def _state(path: str) -> Iterator[tuple[str, State]]:
    """Nothing for a file that vanished after it was listed."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return
    if stat.S_ISREG(status.st_mode):
        yield path, (status.st_mtime_ns, status.st_size)
