"""``Imports``: tables of devices, let in line by line in turns so small that nobody else waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import Final, Literal, TypeAlias

import attrs
import structlog

from lwm2m_server.enrolment.columns import Table
from lwm2m_server.enrolment.devices import DeviceOffice
from lwm2m_server.enrolment.newdevice import NewDevice
from lwm2m_server.enrolment.reading import Faulty
from lwm2m_server.security.credentials import SIDES, identity_of
from lwm2m_server.store.errors import CommitFailed, Conflict, Gone
from lwm2m_server.store.records import Tenant

MAX_LINES: Final = 10_000
"""Devices in one table."""
MAX_KEPT: Final = 16
"""Reports that are kept, of all tenants."""
TOGETHER: Final = 8
"""Devices that are committed together."""
TURN: Final = 0.002
"""Seconds of work before others may run."""
Outcome: TypeAlias = Literal["created", "unchanged", "refused"]

_log = structlog.get_logger(__name__)


@attrs.frozen(slots=True)
class Line:
    """What came of a line; of one that was only looked at, what would."""

    number: int
    name: str | None
    outcome: Outcome
    reason: str | None = None


@attrs.define(slots=True, eq=False)
class Import:
    """One table, and how far it got."""

    id: int
    tenant: str
    is_dry: bool
    began: float
    """Seconds since 1970-01-01 UTC."""
    lines: int
    """How many there are, about: empty ones count until they were read."""
    ended: float | None = None
    fault: str | None = None
    """Why it did not come to its end."""
    report: list[Line] = attrs.field(factory=list)
    counts: dict[Outcome, int] = attrs.field(factory=lambda: {"created": 0, "unchanged": 0, "refused": 0})
    joins: dict[str, list[str]] = attrs.field(factory=dict)
    """By group the devices that are to be in it."""
    groups: set[str] = attrs.field(factory=set)
    """Those that were there when they were first looked for: a large one takes its time."""

    def note(self, line: Line) -> None:
        self.report.append(line)
        self.counts[line.outcome] += 1


class Imports:
    """Belongs to the event loop. A report is lost with the server; the same table again does the rest."""

    def __init__(self, office: DeviceOffice) -> None:
        self._office = office
        self._imports: dict[int, Import] = {}
        self._ids = count(1)
        self._tasks: set[asyncio.Task[None]] = set()

    def of(self, tenant: str) -> Sequence[Import]:
        """The latest first."""
        return [one for one in reversed(self._imports.values()) if one.tenant == tenant]

    def get(self, tenant: str, id: int) -> Import | None:
        found = self._imports.get(id)
        return found if found is not None and found.tenant == tenant else None

    async def begin(self, tenant: Tenant, text: str, *, dry: bool) -> Import:
        """Raises ``Faulty`` for a table that cannot be used, ``Conflict`` while another one is under way."""
        # Millions of letters take longer to look at than others may wait.
        lines, table = await asyncio.to_thread(_open, text)
        if any(one.ended is None for one in self.of(tenant.name)):
            raise Conflict("an import is under way; one at a time")
        found = Import(next(self._ids), tenant.name, dry, time.time(), lines)
        self._imports[found.id] = found
        for old in [one.id for one in self._imports.values() if one.ended is not None]:
            if len(self._imports) > MAX_KEPT:
                del self._imports[old]
        task = asyncio.get_running_loop().create_task(self._run(tenant, table, found), name="import")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return found

    async def close(self) -> None:
        """What is not done is left undone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, tenant: Tenant, table: Table, found: Import) -> None:
        try:
            if found.is_dry:
                await self._look(tenant, table, found)
            else:
                await self._let_in(tenant, table, found)
        except (Faulty, CommitFailed) as error:
            found.fault = str(error)
        except asyncio.CancelledError:
            found.fault = "the server was stopped"
            raise
        finally:
            found.ended, found.joins, found.groups = time.time(), {}, set()
            found.lines = len(found.report)
            _log.info("devices imported", tenant=tenant.name, dry=found.is_dry, **found.counts)

    async def _let_in(self, tenant: Tenant, table: Table, found: Import) -> None:
        rows = _bounded(table)
        while batch := await _some(rows):
            known = [await self._known(tenant, found, *row) for row in batch]
            new = (row for row, line in zip(batch, known, strict=True) if line is None)
            made = iter(await asyncio.gather(*(self._create(tenant, *row) for row in new)))
            for (_, device), line in zip(batch, known, strict=True):
                found.note(done := line or next(made))
                if done.outcome != "refused" and isinstance(device, NewDevice):
                    for group in device.groups:
                        found.joins.setdefault(group, []).append(device.name)
        for group, names in found.joins.items():
            await self._office.join(tenant, group, names)

    async def _known(
        self, tenant: Tenant, found: Import, number: int, new: NewDevice | Faulty
    ) -> Line | None:
        """What comes of a line for which nothing has to be made; others may run after it."""
        if isinstance(new, Faulty):
            return Line(number, None, "refused", str(new))
        try:
            self._check_groups(tenant, found, new)
            device = self._office.named(tenant, new.name)
            if device is None:
                return None
            await asyncio.sleep(0)
            return Line(number, new.name, self._same(self._office.differences(device, new)))
        except (Faulty, Conflict) as error:
            return Line(number, new.name, "refused", str(error))

    def _check_groups(self, tenant: Tenant, found: Import, new: NewDevice) -> None:
        """Raises ``Faulty``."""
        unseen = set(new.groups) - found.groups
        self._office.groups(tenant, tuple(unseen))
        found.groups |= unseen

    async def _create(self, tenant: Tenant, number: int, new: NewDevice | Faulty) -> Line:
        if isinstance(new, Faulty):
            return Line(number, None, "refused", str(new))
        try:
            await self._office.create(tenant, new, join=False)
        except (Faulty, Conflict, Gone) as error:
            return Line(number, new.name, "refused", str(error))
        return Line(number, new.name, "created")

    def _same(self, differences: Sequence[str]) -> Outcome:
        """Raises ``Conflict``."""
        if differences:
            raise Conflict(f"there is a device of this name with another {', '.join(differences)}")
        return "unchanged"

    # --- only looking --------------------------------------------------------------------------------

    async def _look(self, tenant: Tenant, table: Table, found: Import) -> None:
        seen: dict[tuple[str, str], int] = {}
        began = time.perf_counter()
        for number, new in _bounded(table):
            found.note(self._looked(tenant, found, seen, number, new))
            if time.perf_counter() - began > TURN:
                await asyncio.sleep(0)
                began = time.perf_counter()

    def _looked(
        self,
        tenant: Tenant,
        found: Import,
        seen: dict[tuple[str, str], int],
        number: int,
        new: NewDevice | Faulty,
    ) -> Line:
        if isinstance(new, Faulty):
            return Line(number, None, "refused", str(new))
        try:
            for what, value in _unique(new):
                former = seen.setdefault((what, value), number)
                if former != number:
                    raise Conflict(f"line {former} has the same {what}")
            self._check_groups(tenant, found, new)
            device = self._office.named(tenant, new.name)
            if device is None:
                self._office.check(tenant, new)
                return Line(number, new.name, "created")
            return Line(number, new.name, self._same(self._office.differences(device, new)))
        except (Faulty, Conflict) as error:
            return Line(number, new.name, "refused", str(error))


def _open(text: str) -> tuple[int, Table]:
    """How many lines there are, about; raises ``Faulty``."""
    lines = text.count("\n")
    if lines > 2 * MAX_LINES:
        raise Faulty({"table": f"there are more than {MAX_LINES} devices in it; import it in parts"})
    return lines, Table(text)


def _bounded(table: Table) -> Iterator[tuple[int, NewDevice | Faulty]]:
    for place, row in enumerate(table):
        if place == MAX_LINES:
            raise Faulty(
                {f"line {row[0]}": f"a table has at most {MAX_LINES} devices; the others are not read"}
            )
        yield row


async def _some(
    rows: Iterator[tuple[int, NewDevice | Faulty]],
) -> Sequence[tuple[int, NewDevice | Faulty]]:
    """The next few, read in turns: a certificate takes its time."""
    found: list[tuple[int, NewDevice | Faulty]] = []
    began = time.perf_counter()
    for row in islice(rows, TOGETHER):
        found.append(row)
        if time.perf_counter() - began > TURN:
            await asyncio.sleep(0)
            began = time.perf_counter()
    return found


def _unique(new: NewDevice) -> Iterator[tuple[str, str]]:
    yield "name", new.name
    yield "endpoint", new.credentials.endpoint
    yield "nodeId", new.node_id
    for side, credential in zip(SIDES, (new.credentials.management, new.credentials.bootstrap), strict=True):
        identity = identity_of(credential)
        if identity is not None:
            yield f"identity for {side}", f"{credential.mode} {identity.hex()}"
