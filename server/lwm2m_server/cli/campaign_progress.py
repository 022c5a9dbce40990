"""How a campaign goes on, as bars on a terminal or as lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import click

FINAL: Final = ("finished", "aborted", "expired")

Campaign = Mapping[str, Any]


def follow(look: Callable[[], Campaign], every: float) -> Campaign:
    """Show it every so many seconds until it is over; returns it then."""
    with _shown() as show:
        while True:
            found = look()
            show(found)
            if found["state"] in FINAL:
                return found
            time.sleep(every)


def line(campaign: Campaign) -> str:
    """All in one line."""
    counts = [f"{count} {state}" for state, count in campaign["counts"].items() if count]
    reason = f" ({campaign['reason']})" if campaign["reason"] else ""
    return f"{campaign['name']} {campaign['state']}{reason} {campaign['progress']:.0%}: {', '.join(counts)}"


@contextmanager
def _shown() -> Iterator[Callable[[Campaign], None]]:
    if not sys.stderr.isatty():
        yield _Lines()
        return
    # Takes longer to import than most commands take to run.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[told]}"),
        console=Console(stderr=True),
    )
    with progress:
        yield _Bars(progress)


class _Lines:
    """One for each change."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, campaign: Campaign) -> None:
        text = line(campaign)
        if text != self._last:
            click.echo(text, err=True)
        self._last = text


class _Bars:
    """One for all of it, and one a wave."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._all = progress.add_task("", total=0, told="")
        self._waves: list[Any] = []

    def __call__(self, campaign: Campaign) -> None:
        total = campaign["total"] or 0
        reason = f": {campaign['reason']}" if campaign["reason"] else ""
        updates = ", ".join(f"{count} {state}" for state, count in campaign["updates"].items())
        told = f"{campaign['state']}{reason} {updates}"
        self._progress.update(
            self._all,
            description=campaign["name"],
            total=total,
            completed=campaign["progress"] * total,
            told=told,
        )
        for number, wave in enumerate(campaign["waves"]):
            if number == len(self._waves):
                self._waves.append(self._progress.add_task("", total=0, told=""))
            self._show_wave(self._waves[number], wave)

    def _show_wave(self, task: Any, wave: Mapping[str, Any]) -> None:
        counts = wave["counts"]
        told = ", ".join(
            f"{counts[state]} {state}" for state in ("failed", "skipped", "cancelled") if counts[state]
        )
        if wave["awaitingApproval"] and not wave["approved"]:
            told = f"{wave['awaitingApproval']} to be approved {told}".rstrip()
        done = wave["size"] - counts["waiting"] - counts["active"]
        self._progress.update(
            task, description=f"  wave {wave['wave']}", total=wave["size"], completed=done, told=told
        )
