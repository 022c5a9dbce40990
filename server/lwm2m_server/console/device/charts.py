"""``Chart``: values over time as ``<live-plot>`` draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from lwm2m_server.console.device.values import is_by_instance

Row = Mapping[str, Any]


@attrs.frozen(slots=True)
class Chart:
    """``lines`` have a value, or none, for each of ``times``, which are seconds since 1970."""

    times: tuple[float, ...]
    lines: tuple[tuple[str, tuple[float | None, ...]], ...]
    band: bool = False
    """Whether the first and second line are the least and the most of what the third is the average of."""
    interval: int = 0
    """Milliseconds that one value stands for; 0 where it is itself."""
    is_cut: bool = False
    """Whether there were more values before these."""

    def document(self) -> dict[str, Any]:
        """For JavaScript."""
        return {
            "times": self.times,
            "lines": [{"label": label, "values": values} for label, values in self.lines],
            "band": self.band,
        }


def chart_of(rows: Sequence[Row], name: str, interval: int) -> Chart:
    """One line, or one for each Resource Instance."""
    times = tuple(row["at"] / 1000 for row in rows)
    ids = dict.fromkeys(id for row in rows if is_by_instance(row["value"]) for id in row["value"])
    if not ids:
        values = tuple(_number(row["value"]) for row in rows)
        return Chart(times, ((name or "value", values),), interval=interval)
    lines = tuple(
        (
            f"{name} of {id}" if name else f"instance {id}",
            tuple(_number(row["value"].get(id)) if is_by_instance(row["value"]) else None for row in rows),
        )
        for id in ids
    )
    return Chart(times, lines, interval=interval)


def banded(averages: Sequence[Row], least: Sequence[Row], most: Sequence[Row], interval: int) -> Chart:
    """All three of the same intervals."""
    times = tuple(row["at"] / 1000 for row in averages)
    lines = []
    for label, rows in (("least", least), ("most", most), ("average", averages)):
        by_time = {row["at"] / 1000: _number(row["value"]) for row in rows}
        lines.append((label, tuple(by_time.get(at) for at in times)))
    return Chart(times, tuple(lines), True, interval)


def _number(value: Any) -> float | None:
    """Numbers that are not finite are texts, and nowhere on a chart."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
