"""``Counts``: what has happened where devices reach the server, and what is going on there, in numbers.

The names are a promise: ``docs/reference/counts.md`` says what each counts. What ends in ``_total`` only
grows while the server runs; all others go up and down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

Numbers: TypeAlias = Mapping[str, int | float]
"""By name."""


class Counts:
    """Nothing is kept here: numbers stay with those that count, and are fetched when somebody asks."""

    def __init__(self) -> None:
        self._sources: dict[str, Callable[[], Numbers]] = {}

    def add(self, source: str, read: Callable[[], Numbers]) -> None:
        """``source`` is the name of a listener, as ``Peer.listener`` has it, or ``bootstrap``."""
        self._sources[source] = read

    def read(self) -> dict[str, Numbers]:
        """All numbers, by their source."""
        return {source: read() for source, read in self._sources.items()}
