"""The garbage collector, kept out of the way of a server whose memory is full of what stays.

Looking at all models and devices again and again took a fifth of the CPU time, and with 100,000 devices
one look stops everything for longer than a device waits for its answer.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG, MIDDLE, OLD = 20_000, 5, 10
"""Net allocations before the youngest objects are looked at, and how often each generation waits for
the one below. A look at the middle one is at most 100,000 objects, some milliseconds."""


@contextmanager
def paused() -> Iterator[None]:
    """For a while in which very much is made and nothing thrown away."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def keep() -> None:
    """Take what is there for permanent without a look at it, such as modules."""
    gc.freeze()


def relieve() -> None:
    """Take what is there for permanent, and from now on what survives two collections.

    Reference counting frees nearly everything here at once; cycles die young (an exception with its
    frames, a finished task) and are found in the first two generations. A cycle that was alive at its
    second collection is never freed: those are the requests under way at that moment, and collections
    only happen while the number of objects grows.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
    if _keep not in gc.callbacks:
        gc.callbacks.append(_keep)


def _keep(phase: str, info: dict[str, int]) -> None:
    if phase == "stop" and info["generation"] >= 1:
        gc.freeze()
