"""A page of a list of devices: the ledger says who they are, and the engines when they were heard.

What a Register or an Update changes is nowhere in an index: it would cost each of them more than the lists
are worth. The engines have it in memory, and all of it is looked at, some at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, TypeAlias

import attrs

from lwm2m_engine.engine.devices import Client
from lwm2m_server.onem2m.devices import Devices
from lwm2m_server.store.finding import Wanted
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.records import DeviceRef
from lwm2m_server.store.transaction import Reader

Page: TypeAlias = tuple[Sequence[int], int]
"""Nodes, and how many there are in all pages."""
Keys: TypeAlias = list[Any]
"""What some are sorted by: all of one type."""

TURN: Final = 5_000
"""Keys looked at before others may run: some tenths of a millisecond."""
STRETCH: Final = 4
"""Turns until there is a rest."""
REST: Final = 0.001
"""Seconds."""
SAMPLE: Final = 500
MARGIN: Final = 60
"""Places in a sample by which a guess may be wrong; that is five times what it is wrong as a rule."""
FEW: Final = 2_000
"""Sorted as they are."""

Moment: TypeAlias = Literal["lastSeen", "registeredAt"]
_KEYS: Final[Mapping[str, Callable[[Sequence[Client]], Keys]]] = {
    "lastSeen": lambda part: [one.heard_at for one in part],
    "registeredAt": lambda part: [one.registration.registered_at for one in part],
    "endpoint": lambda part: [one.endpoint for one in part],
}


@attrs.frozen(slots=True)
class Asked:
    """Which page of which list."""

    wanted: Wanted
    limit: int
    offset: int = 0
    asleep: bool | None = None
    """Only those registered that are, or that are not."""
    by: Moment | None = None
    """In the order of this; those that are not registered are before all else."""


@attrs.frozen(slots=True)
class Known:
    """Those that are registered, in no order, and what each is to be sorted by."""

    clients: list[Client] = attrs.field(factory=list)
    keys: Keys = attrs.field(factory=list)


class Finder:
    """What takes long is looked for on the thread for long reads."""

    def __init__(self, ledger: Ledger, devices: Devices) -> None:
        self._ledger, self._devices = ledger, devices

    async def page(self, asked: Asked) -> Page:
        wanted, start, stop = asked.wanted, asked.offset, asked.offset + asked.limit
        if asked.asleep is None and (asked.by is None or wanted.registered is False):
            return await self._of_ledger(wanted, start, stop)
        names, absent = await self._split(wanted)
        known = await self._known(asked, names)
        many = len(known.clients)
        if wanted.registered:
            return await self._of_engine(known, start, stop, wanted.descending), many
        # Those that are not registered are before all else.
        if wanted.descending:
            first = await self._of_engine(known, start, stop, True)
            last, others = await self._absent(wanted, absent, start - many, stop - many)
            return [*first, *last], many + others
        nodes, others = await self._absent(wanted, absent, start, stop)
        rest = await self._of_engine(known, start - others, stop - others, False)
        return [*nodes, *rest], many + others

    # --- the ledger --------------------------------------------------------------------------------

    async def _of_ledger(self, wanted: Wanted, start: int, stop: int) -> Page:
        return await self._ledger.apart(partial(_page, wanted, max(start, 0), max(stop, 0)))

    async def _split(self, wanted: Wanted) -> tuple[Sequence[str] | None, Sequence[int] | None]:
        """Endpoint names of those that are registered, and those that are not; ``None`` for all."""
        if not wanted.is_narrow:
            return None, None
        # The engine knows best which are registered.
        among = attrs.evolve(wanted, registered=None)
        return await self._ledger.apart(lambda reader: reader.find_endpoints(among))

    async def _absent(self, wanted: Wanted, absent: Sequence[int] | None, start: int, stop: int) -> Page:
        """A page of those that are not registered, in the order of their creation."""
        if absent is None:
            others = attrs.evolve(wanted, registered=False, sort="created")
            return await self._of_ledger(others, start, stop)
        places = await between(list(absent), start, stop, descending=wanted.descending)
        return [absent[place] for place in places], len(absent)

    # --- the engine --------------------------------------------------------------------------------

    async def _known(self, asked: Asked, names: Sequence[str] | None) -> Known:
        known, keys = Known(), self._keys_of(asked)
        parts = self._devices.clients(asked.wanted.tenant, names, asleep=asked.asleep)
        for number, part in enumerate(parts):
            known.clients.extend(part)
            known.keys.extend(keys(part))
            await _pause(number)
        return known

    def _keys_of(self, asked: Asked) -> Callable[[Sequence[Client]], Keys]:
        found = _KEYS.get(asked.by or asked.wanted.sort)
        if found is not None:
            return found
        is_by_name = asked.wanted.sort == "name"
        return lambda part: [ref.name if is_by_name else ref.node for ref in self._refs(part)]

    def _refs(self, clients: Sequence[Client]) -> list[DeviceRef]:
        found = self._devices.refs([one.endpoint for one in clients])
        return [_NOBODY if ref is None else ref for ref in found]

    async def _of_engine(self, known: Known, start: int, stop: int, descending: bool) -> list[int]:
        places = await between(known.keys, start, stop, descending=descending)
        refs = self._refs([known.clients[place] for place in places])
        return [ref.node for ref in refs if ref is not _NOBODY]


_NOBODY: Final = DeviceRef(0, "", "", "")
"""One that was removed in this moment."""


def _page(wanted: Wanted, start: int, stop: int, reader: Reader) -> Page:
    if not wanted.is_narrow:
        found = reader.find_devices(wanted, limit=stop - start, offset=start)
        return found, reader.count_devices(wanted)
    # It takes a look at every device: once will do.
    found = reader.find_devices(wanted)
    return found[start:stop], len(found)


async def between(keys: Keys, start: int, stop: int, *, descending: bool = False) -> list[int]:
    """The places of those keys that would be at these places if all were sorted, which takes too long."""
    start, stop = min(max(start, 0), len(keys)), min(max(stop, 0), len(keys))
    if descending:
        start, stop = len(keys) - stop, len(keys) - start
    if start >= stop:
        return []
    below, within = await _within(keys, *_guess(keys, start, stop)) if len(keys) > FEW else (0, [])
    if not below <= start < stop <= below + len(within):
        # They are few, or not as guessed.
        below, within = 0, list(range(len(keys)))
    within.sort(key=keys.__getitem__)
    found = within[start - below : stop - below]
    return found[::-1] if descending else found


def _guess(keys: Keys, start: int, stop: int) -> tuple[Any, Any]:
    """What is between these two has those places, as a sample says; ``None`` for no bound."""
    sample = sorted(keys[:: len(keys) // SAMPLE])
    share = len(sample) / len(keys)
    first, last = int(start * share) - MARGIN, int(stop * share) + MARGIN
    return sample[first] if first >= 0 else None, sample[last] if last < len(sample) else None


async def _within(keys: Keys, lowest: Any, highest: Any) -> tuple[int, list[int]]:
    """How many are below, and the places of those that are not, and not above."""
    below, found = 0, list[int]()
    async for first, part in _parts(keys):
        if lowest is None:
            found += [place for place, key in enumerate(part, first) if highest is None or key <= highest]
            continue
        below += sum(map(lowest.__gt__, part))
        if highest is None:
            found += [place for place, key in enumerate(part, first) if key >= lowest]
        else:
            found += [place for place, key in enumerate(part, first) if lowest <= key <= highest]
    return below, found


async def _parts(keys: Keys) -> AsyncIterator[tuple[int, Keys]]:
    for number, first in enumerate(range(0, len(keys), TURN)):
        yield first, keys[first : first + TURN]
        await _pause(number)


async def _pause(number: int) -> None:
    """Others on the loop may run; now and then other threads too, to which it gives the interpreter only
    while it waits for something."""
    await asyncio.sleep(REST if number % STRETCH == STRETCH - 1 else 0)
