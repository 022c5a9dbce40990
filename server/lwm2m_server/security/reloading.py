"""``Reloading``: certificates that are renewed count from the next handshake on; sessions go on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol, TypeAlias, TypeVar

import structlog

from lwm2m_engine.errors import SettingsError

PERIOD: Final = 5.0
"""Seconds between two looks at the files."""

_log = structlog.get_logger(__name__)

Mark: TypeAlias = tuple[int, int, int] | None


class Reloadable(Protocol):
    """A DTLS engine that reads files."""

    def reload(self) -> None:
        """Raises ``SettingsError`` and goes on as before."""
        ...


E = TypeVar("E", bound=Reloadable)


class Reloading:
    """Watches files for the engines that were made from them."""

    def __init__(self, files: Iterable[Path | None]) -> None:
        self._files = tuple(file for file in files if file is not None)
        self._engines: list[Reloadable] = []
        self._known = self._look()

    def add(self, engine: E) -> E:
        """The same, from now on told when a file is another."""
        self._engines.append(engine)
        return engine

    async def watch(self) -> None:
        """Look now and then, off the loop."""
        while self._files and self._engines:
            await asyncio.sleep(PERIOD)
            self.follow(await asyncio.to_thread(self._look))

    def follow(self, found: tuple[Mark, ...]) -> None:
        """Use what the files hold, if they are others than before; what cannot be used is told once."""
        if found == self._known:
            return
        self._known = found
        for engine in self._engines:
            try:
                engine.reload()
            except SettingsError as error:
                # A certificate may be there before its key: the next look tells.
                _log.error("the files before go on to be used", reason=str(error))
                return
        _log.info("certificates were read anew", files=[str(file) for file in self._files])

    def _look(self) -> tuple[Mark, ...]:
        return tuple(map(_mark, self._files))


def _mark(file: Path) -> Mark:
    """What tells a file from another of the same name."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
