"""``Fleet``: the devices that a profile is for, of which there may be many."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Final, TypeAlias

from lwm2m_server.profiles.assignment import Assigned, Assignments, GroupOf
from lwm2m_server.profiles.groups import Memberships
from lwm2m_server.profiles.service import Profiles
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.records import Subject
from lwm2m_server.store.transaction import Reader

PAGE: Final = 1_000
"""Devices looked at before another long read may begin."""

FRESH: Final = 10.0
"""Seconds that counts of all profiles are good for."""

Touched: TypeAlias = tuple[Subject, Assigned]


class Fleet:
    """Looks at every device of a tenant, on the thread for long reads."""

    def __init__(
        self,
        ledger: Ledger,
        profiles: Profiles,
        memberships: Memberships,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger, self._profiles, self._memberships = ledger, profiles, memberships
        self._clock = clock
        self._counts: dict[str, tuple[Assignments, float, Counter[str]]] = {}

    async def devices(
        self, tenant: str, profile: str, *, after: int = -1
    ) -> AsyncIterator[Sequence[Touched]]:
        """Those with a node above ``after``, in order of creation, some at a time."""
        async for page in self.everyone(tenant, after=after):
            yield [
                (device, found)
                for device, found in page
                if found is not None and found.profile.name == profile
            ]

    async def everyone(
        self, tenant: str, *, after: int = -1
    ) -> AsyncIterator[Sequence[tuple[Subject, Assigned | None]]]:
        """The same of all devices, with what is for each."""
        assignments = self._profiles.assignments(tenant)
        group_of = self._memberships.copy(tenant, assignments.groups)
        last: int | None = after
        while last is not None:
            look = partial(_page, tenant, assignments, group_of, last)
            found, last = await self._ledger.apart(look)
            yield found

    async def counts(self, tenant: str) -> Counter[str]:
        """Of each profile, in one go; as they were at most ``FRESH`` seconds ago, if the profiles and what
        they are for are the same."""
        assignments, now = self._profiles.assignments(tenant), self._clock()
        known = self._counts.get(tenant)
        if known is not None and known[0] is assignments and now - known[1] < FRESH:
            return known[2]
        found: Counter[str] = Counter()
        async for page in self.everyone(tenant):
            found.update(assigned.profile.name for _, assigned in page if assigned is not None)
        self._counts[tenant] = assignments, now, found
        return found

    async def count(self, tenant: str, profile: str) -> int:
        return sum([len(page) async for page in self.devices(tenant, profile)])


def _page(
    tenant: str, assignments: Assignments, group_of: GroupOf, after: int, reader: Reader
) -> tuple[Sequence[tuple[Subject, Assigned | None]], int | None]:
    """And the last node looked at, if there may be more."""
    rows = reader.subjects(tenant, after=after, limit=PAGE)
    found = [(row, assignments.of(row, group_of, reader.described)) for row in rows]
    return found, rows[-1].node if len(rows) == PAGE else None
