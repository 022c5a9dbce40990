"""``Renewed``: what is made of files, made anew once they are others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

import structlog

from lwm2m_engine.errors import SettingsError

T = TypeVar("T")
Marks: TypeAlias = tuple[tuple[int, int] | None, ...]

log = structlog.get_logger(__name__)


class Renewed(Generic[T]):
    """Looks at the files whenever it is called. As long as they cannot be used, what was made before is."""

    def __init__(self, files: Sequence[Path | None], make: Callable[[], T]) -> None:
        """``make`` raises ``SettingsError`` for a file that cannot be used, also here."""
        self._files, self._make = tuple(file for file in files if file is not None), make
        self._marks = self._look()
        self._made = make()

    def __call__(self) -> T:
        marks = self._look()
        if marks != self._marks:
            self._marks = marks
            try:
                self._made = self._make()
            except SettingsError as problem:
                log.error("changed files are not used", reason=str(problem))
        return self._made

    def _look(self) -> Marks:
        return tuple(map(_mark, self._files))


def _mark(file: Path) -> tuple[int, int] | None:
    """What tells a file from others of the same name."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
