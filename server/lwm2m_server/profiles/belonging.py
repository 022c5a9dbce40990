"""``Belonging``: the device groups that devices are in.

A group is a document that names its members, and there may be thousands of both: to ask each group for each
device of a list would take too long. What is kept here is the other way round, in memory, and made when it is
asked for first. The thread for long reads makes it and keeps it up to date; the event loop says which groups
have changed, and looks itself while none has.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Sequence
from functools import partial
from typing import Final, TypeAlias

import attrs

from lwm2m_server.profiles.groups import NODE
from lwm2m_server.store.expiration import Clock, expires
from lwm2m_server.store.ids import SECOND, ResourceIds
from lwm2m_server.store.protocols import Inventory, Ledger
from lwm2m_server.store.records import Resource
from lwm2m_server.store.transaction import Reader

GROUPS: Final = 10
"""Read at once."""
TURN: Final = 20_000
"""Members looked at before another long read may begin."""
SLICE: Final = 500
"""Members looked at before the event loop may go on."""
SLACK: Final = 50_000
"""Memberships of before that are let be."""
FEW: Final = 2_000
"""Memberships that are looked up on the event loop: some tenths of a millisecond."""
MOST_CHANGED: Final = 10_000
"""Groups that change while nobody asks; with more, all of it is made anew."""

WIDTH: Final = array("I").itemsize
"""Bytes of the number of a group."""

Named: TypeAlias = tuple[str, int]
"""A device by its name and its node."""


@attrs.frozen(slots=True)
class _Group:
    name: str
    size: int
    ends: int | None
    """Microseconds since 1970."""


class Belonging:
    """Says the same as ``Memberships.found`` of each group."""

    def __init__(
        self, inventory: Inventory, ledger: Ledger, ids: ResourceIds, folder: str, clock: Clock = time.time
    ) -> None:
        """``folder`` is the name of what groups lie in."""
        self._inventory, self._ledger, self._ids = inventory, ledger, ids
        self._folder, self._clock = folder, clock
        self._known: dict[str, _Index] = {}

    async def names(self, tenant: str, devices: Sequence[Named]) -> list[list[str]]:
        """Of the groups that each of these devices is in, in order."""
        owner = self._inventory.tenant(tenant)
        if owner is None or not devices:
            return [[] for _ in devices]
        index = self._known.setdefault(tenant, _Index(owner.id, self._folder))
        wanted = [(name, self._ids.ri(node, NODE)) for name, node in devices]
        found = index.glance(wanted, self._now())
        while found is None:
            found = await self._ledger.apart(partial(index.look, wanted, self._now()))
        return found

    def _now(self) -> int:
        return int(self._clock() * SECOND)

    def changed(self, group: int) -> None:
        """A group came, changed or went."""
        for tenant, index in list(self._known.items()):
            index.changed.add(group)
            if len(index.changed) > MOST_CHANGED:
                del self._known[tenant]


class _Index:
    """Of one tenant. Each state of a group has a number of its own: those of before are in no group any more,
    and need not be looked for."""

    def __init__(self, tenant: int, folder: str) -> None:
        self._tenant, self._folder = tenant, folder
        self.changed: set[int] = set()
        self._is_settled = False
        """Whether nobody changes it."""
        self._clear()

    def _clear(self) -> None:
        self._members: dict[str, bytes] = {}
        """Name or id of a device, and the numbers of the groups that have it."""
        self._groups: dict[int, _Group] = {}
        self._numbers: dict[int, int] = {}
        """By id."""
        self._next = self._live = self._former = 0
        self._last: Resource | None = None
        self._is_whole = False

    def glance(self, devices: Sequence[tuple[str, str]], now: int) -> list[list[str]] | None:
        """As ``look``, on the event loop: ``None`` if that may take long, or has to be found out first."""
        # In this order: what is not in ``changed`` any more is settled, or not.
        if self.changed or not self._is_settled:
            return None
        if sum([len(self._members.get(name, b"")) for names in devices for name in names]) > FEW * WIDTH:
            return None
        return [self._of(names, now) for names in devices]

    def look(self, devices: Sequence[tuple[str, str]], now: int, reader: Reader) -> list[list[str]] | None:
        """Names of groups for each device, by its name and its id; ``None`` to be asked again."""
        budget = TURN
        while budget > 0:
            if self._is_whole and not self.changed:
                if self._former <= self._live + SLACK:
                    self._is_settled = True
                    return [self._of(names, now) for names in devices]
                self._is_settled = False
                self._clear()
            self._is_settled = False
            budget -= GROUPS + (self._renew(reader) if self._is_whole else self._read(reader))
        return None

    def _of(self, names: tuple[str, str], now: int) -> list[str]:
        numbers = {number for name in names for number in array("I", self._members.get(name, b""))}
        groups = (self._groups.get(number) for number in numbers)
        return sorted(
            group.name for group in groups if group is not None and (group.ends is None or group.ends > now)
        )

    def _read(self, reader: Reader) -> int:
        """The next groups; how many members they have."""
        folder = reader.child(self._tenant, self._folder)
        rows = reader.children(folder.id, limit=GROUPS, after=self._last) if folder is not None else ()
        if len(rows) < GROUPS:
            self._is_whole = True
        else:
            self._last = attrs.evolve(rows[-1], attributes={})
        return sum([self._enter(one) for one in rows])

    def _renew(self, reader: Reader) -> int:
        id = self.changed.pop()
        folder, group = reader.child(self._tenant, self._folder), reader.resource(id)
        if group is None or folder is None or group.parent != folder.id:
            self._forget(id)
            return 0
        return self._enter(group)

    def _enter(self, group: Resource) -> int:
        self._forget(group.id)
        members = group.attributes.get("nds")
        if members is None:
            return 0
        number, known = self._next, self._members
        self._next += 1
        this = array("I", (number,)).tobytes()
        for start in range(0, len(members), SLICE):
            for member in members[start : start + SLICE]:
                known[member] = known.get(member, b"") + this
            # The interpreter is for whoever waits for it.
            time.sleep(0)
        self._groups[number] = _Group(group.name, len(members), expires(group.attributes))
        self._numbers[group.id] = number
        self._live += len(members)
        return len(members)

    def _forget(self, id: int) -> None:
        number = self._numbers.pop(id, None)
        if number is not None:
            group = self._groups.pop(number)
            self._live -= group.size
            self._former += group.size
