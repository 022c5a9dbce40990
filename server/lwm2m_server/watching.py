"""Files that are read again when they change."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

PERIOD = 1.0
"""Seconds between two looks."""


async def watch(files: Sequence[Path], changed: Callable[[], Awaitable[None]]) -> None:
    """Call ``changed`` whenever one of the files is another than before, once they have been the same for a
    period: they are replaced one after the other. Runs until it is cancelled."""
    settled = seen = _look(files)
    while True:
        await asyncio.sleep(PERIOD)
        found = _look(files)
        if found == seen != settled:
            settled = found
            await changed()
        seen = found


def _look(files: Sequence[Path]) -> tuple[object, ...]:
    return tuple(_state(file) for file in files)


def _state(file: Path) -> object:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
