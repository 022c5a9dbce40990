"""A page of a list of devices: the ledger says who they are, and the engines when they were heard.

What an Update changes is nowhere in an index: it would cost each Update more than the lists are worth. The
engines have it in memory, and all of it is looked at, some at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from operator import attrgetter
from typing import Any, Final, Protocol, TypeAlias, TypeVar

import attrs

from lwm2m_engine.engine.devices import Client
from lwm2m_server.onem2m.devices import Devices
from lwm2m_server.store.finding import Wanted
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.transaction import Reader

Page: TypeAlias = tuple[Sequence[int], int]
"""Nodes, and how many there are in all pages."""
Placed: TypeAlias = tuple[Any, str]
"""What a list is sorted by, and an endpoint name."""
T = TypeVar("T", bound="Comparable")

P = TypeVar("P")


class Comparable(Protocol):
    def __lt__(self, other: Any, /) -> bool: ...
    def __le__(self, other: Any, /) -> bool: ...
    def __ge__(self, other: Any, /) -> bool: ...


TURN: Final = 2_000
"""Devices looked at before others may run: some tenths of a millisecond."""
SAMPLE: Final = 500
MARGIN: Final = 60
"""Places in a sample by which a guess may be wrong; that is five times what it is wrong as a rule."""


@attrs.frozen(slots=True)
class Asked:
    """Which page of which list."""

    wanted: Wanted
    limit: int
    offset: int = 0
    asleep: bool | None = None
    """Only those registered that are, or that are not."""
    by_sight: bool = False
    """In the order in which they were last heard; never is before all else."""


class Finder:
    """What takes long is looked for on the thread for long reads."""

    def __init__(self, ledger: Ledger, devices: Devices) -> None:
        self._ledger, self._devices = ledger, devices

    async def page(self, asked: Asked) -> Page:
        wanted, start, stop = asked.wanted, asked.offset, asked.offset + asked.limit
        if asked.asleep is None and (not asked.by_sight or wanted.registered is False):
            return await self._of_ledger(wanted, start, stop)
        known = await self._known(asked)
        if wanted.registered:
            return await self._of_engine(known, start, stop, wanted.descending), len(known)
        # Those that are not registered are before all else.
        absent = attrs.evolve(wanted, registered=False, sort="created")
        if wanted.descending:
            first = await self._of_engine(known, start, stop, True)
            last, many = await self._of_ledger(absent, start - len(known), stop - len(known))
            return [*first, *last], len(known) + many
        others, many = await self._of_ledger(absent, start, stop)
        rest = await self._of_engine(known, start - many, stop - many, False)
        return [*others, *rest], len(known) + many

    # --- the ledger --------------------------------------------------------------------------------

    async def _of_ledger(self, wanted: Wanted, start: int, stop: int) -> Page:
        return await self._ledger.apart(partial(_page, wanted, max(start, 0), max(stop, 0)))

    async def _endpoints(self, wanted: Wanted) -> Sequence[str] | None:
        """``None`` for all."""
        # The engine knows best which are registered.
        among = attrs.evolve(wanted, registered=None)
        return (
            await self._ledger.apart(lambda reader: reader.find_endpoints(among))
            if wanted.is_narrow
            else None
        )

    # --- the engine --------------------------------------------------------------------------------

    async def _known(self, asked: Asked) -> list[Placed]:
        """Those that are registered, in no order."""
        place, found = self._place_of(asked), list[Placed]()
        endpoints = await self._endpoints(asked.wanted)
        async for part in _parts(self._devices.clients(asked.wanted.tenant, endpoints)):
            there = [one for one in part if one.registration is not None]
            if asked.asleep is not None:
                there = [one for one in there if one.is_asleep is asked.asleep]
            found += [(place(one), one.endpoint) for one in there]
        return found

    def _place_of(self, asked: Asked) -> Callable[[Client], Any]:
        """What to sort by."""
        if asked.by_sight:
            return attrgetter("liveness.seen_at")
        if asked.wanted.sort == "registeredAt":
            return attrgetter("registration.registered_at")
        if asked.wanted.sort == "endpoint":
            return attrgetter("endpoint")
        ref, what = self._devices.ref, attrgetter("node" if asked.wanted.sort == "created" else "name")
        return lambda client: what(ref(client.endpoint))

    async def _of_engine(self, known: list[Placed], start: int, stop: int, descending: bool) -> list[int]:
        places = await between(known, max(start, 0), max(stop, 0), descending=descending)
        refs = map(self._devices.ref, (endpoint for _, endpoint in places))
        return [ref.node for ref in refs if ref is not None]


def _page(wanted: Wanted, start: int, stop: int, reader: Reader) -> Page:
    if not wanted.is_narrow:
        found = reader.find_devices(wanted, limit=stop - start, offset=start)
        return found, reader.count_devices(wanted)
    # It takes a look at every device: once will do.
    found = reader.find_devices(wanted)
    return found[start:stop], len(found)


async def between(all: list[T], start: int, stop: int, *, descending: bool = False) -> list[T]:
    """What ``sorted(all, reverse=descending)[start:stop]`` has, without sorting all of it."""
    if descending:
        start, stop = max(len(all) - stop, 0), max(len(all) - start, 0)
    while len(all) > TURN and start < stop:
        guess = _guess(all, start, stop)
        below, within = await _divided(all, *guess)
        if below > start or below + len(within) < stop or len(within) == len(all):
            break
        all, start, stop = within, start - below, stop - below
    found = sorted(all)[start:stop]
    return found[::-1] if descending else found


def _guess(all: list[T], start: int, stop: int) -> tuple[T | None, T | None]:
    """What is between these two has those places, as a sample says; ``None`` for no bound."""
    sample = sorted(all[:: len(all) // SAMPLE])
    share = len(sample) / len(all)
    first, last = int(start * share) - MARGIN, int(stop * share) + MARGIN
    return sample[first] if first >= 0 else None, sample[last] if last < len(sample) else None


async def _divided(all: list[T], lowest: T | None, highest: T | None) -> tuple[int, list[T]]:
    """How many are below, and those that are between."""
    below, found = 0, list[T]()
    async for part in _parts(all):
        within = part if lowest is None else [one for one in part if one >= lowest]
        below += len(part) - len(within)
        found += within if highest is None else [one for one in within if one <= highest]
    return below, found


async def _parts(all: Iterable[P]) -> AsyncIterator[list[P]]:
    rest = iter(all)
    while part := list(islice(rest, TURN)):
        yield part
        await asyncio.sleep(0)
