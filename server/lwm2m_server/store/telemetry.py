"""What can be asked of the ledger about what devices told, and what can be written of it.

Times are microseconds since 1970-01-01 UTC, ``since`` inclusive, ``until`` exclusive.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import attrs

from lwm2m_server.store.reports import Told
from lwm2m_server.store.series import Point
from lwm2m_server.store.undecoded import Undecoded


@attrs.frozen(slots=True)
class Span:
    """A chunk of a series, without its points; ``until`` is the time of its last one."""

    id: int
    since: int
    until: int
    count: int


class Batch(NamedTuple):
    """Lines of a device that are not history yet; ``size`` are their bytes."""

    number: int
    size: int
    lines: bytes


class Change(NamedTuple):
    """Chunks of a series that go, and points that come, some hundred a chunk."""

    place: str
    remove: Sequence[int] = ()
    add: Sequence[Sequence[Point]] = ()


class TelemetryReads(Protocol):
    """The part of a ``Reader`` that is about what devices told. It sees what is committed, in a transaction
    too."""

    def latest_values(self, node: int) -> dict[str, Told]:
        """What the device told last of each place. May read some tens of kilobytes."""
        ...

    def points(
        self, node: int, place: str, *, since: int = ..., until: int = ..., newest_first: bool = False
    ) -> Iterator[list[Point]]:
        """What it told of one place, some hundred values at a time, in order of time."""
        ...

    def settled_values(self, node: int) -> dict[str, Told]:
        """The latest of what is history already."""
        ...

    def batches(self, node: int, size: int) -> Sequence[Batch]:
        """The oldest that are not history, of so many bytes or a bit more."""
        ...

    def ripe_nodes(self, *, before: float, limit: int) -> Collection[int]:
        """Nodes with enough that is not history, or with some of before then (seconds)."""
        ...

    def spans(self, node: int, place: str, *, since: int = ..., until: int = ...) -> Sequence[Span]:
        """The chunks of a series that have to do with that time, in order."""
        ...

    def span_before(self, node: int, place: str, at: int) -> Span | None:
        """The last that begins before then."""
        ...

    def places(self, node: int) -> Collection[str]:
        """All of which it told anything that is kept. May touch all its chunks."""
        ...

    def has_old_chunks(self, until: int) -> bool:
        """Whether there are any for ``prune_chunks`` or ``clear_forsaken``."""
        ...

    def chunk(self, id: int) -> list[Point]:
        """Its points; none if it is gone."""
        ...

    def undecoded(self, node: int) -> Sequence[Undecoded]:
        """Payloads of the device that became no values, oldest first."""
        ...

    def nodes_undecoded(self, *, after: int, limit: int) -> Sequence[int]:
        """Nodes above ``after`` that have any, in order."""
        ...

    def telemetry_figures(self) -> Mapping[str, int]:
        """How much there is, by table. Touches each row of an index."""
        ...


class TelemetryWrites(Protocol):
    """The part of a ``Transaction`` that is about them. Of a node that is gone nothing is kept."""

    def add_values(self, node: int, line: bytes) -> object:
        """What a device told, a line of ``reports``."""
        ...

    def fold_values(self, devices: int) -> tuple[int, int]:
        """Put what was told by so many devices where it can become history (``Values.fold``)."""
        ...

    def change_chunks(self, node: int, changes: Collection[Change]) -> None:
        """No two chunks of a series may overlap: it is the caller's to see to that."""
        ...

    def settle_values(self, node: int, latest: Mapping[str, Told], through: int) -> None:
        """Batches up to this number are history; this is the latest of it."""
        ...

    def prune_chunks(self, *, until: int, limit: int) -> int:
        """Remove up to so many chunks that end before then; returns how many there were."""
        ...

    def clear_forsaken(self, limit: int) -> bool:
        """Remove up to so many chunks of nodes that are gone; False if there are none."""
        ...

    def add_undecoded(self, node: int, undecoded: Undecoded) -> None:
        """Of a device that has too many of them, the oldest goes."""
        ...

    def remove_undecoded(self, node: int, numbers: Collection[int]) -> None: ...
