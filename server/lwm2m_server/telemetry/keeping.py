"""``Keeper``: turns what devices told into history, and ends what is too old; in the background, in turns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Final

import structlog

from lwm2m_server.settings import TelemetrySettings
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.histories import EVER
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.reports import SECOND, Told
from lwm2m_server.store.ripening import Retention, Ripe, ripen
from lwm2m_server.store.series import chunks
from lwm2m_server.store.telemetry import Change
from lwm2m_server.store.transaction import Reader, Transaction

PAUSE: Final = 1.0
"""Seconds between two looks when there was nothing to do."""
REST: Final = 0.01
"""Seconds between two devices: others come first."""
NODES: Final = 16
"""Devices found at a time."""
AGE: Final = 86_400.0
"""Seconds after which also what is little becomes history."""
TURN: Final = 16
"""Chunks written, or removed, in one commit: about a millisecond."""
PRUNED: Final = 64
"""Chunks of one commit that go because they are too old; no points are looked at."""
FOLDED: Final = 64
"""Devices of one commit whose lines leave the journal."""

_log = structlog.get_logger(__name__)


class Keeper:
    """Belongs to the event loop."""

    def __init__(
        self, ledger: Ledger, settings: TelemetrySettings, clock: Callable[[], float] = time.time
    ) -> None:
        self._ledger, self._clock = ledger, clock
        self._retention = Retention(settings.keep, settings.series)
        self._keep_for = settings.keep_for
        self._lock = asyncio.Lock()
        """Held by whoever changes chunks."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work(), name="telemetry")

    async def close(self) -> None:
        """What is not done is begun again at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def now(self) -> int:
        """Microseconds."""
        return int(self._clock() * SECOND)

    @property
    def horizon(self) -> int:
        """Microseconds; what is older is not shown."""
        return int((self._clock() - self._keep_for) * SECOND)

    async def settle(self, node: int) -> None:
        """All that is told of a device so far becomes history."""
        done, last = await self._fold()
        while done < last:
            done, _ = await self._fold()
            await asyncio.sleep(0)
        async with self._lock:
            while await self._ripen(node):
                pass

    async def delete(
        self, node: int, places: Collection[str] | None, since: int = EVER[0], until: int = EVER[1]
    ) -> int:
        """Forget what a device told of these places, or of all, at that time (microseconds); the latest, too,
        if it is of that time. Returns how many values of history that were."""
        await self.settle(node)
        async with self._lock:
            found = await self._ledger.apart(lambda reader: _cut(reader, node, places, since, until))
            changes, latest, count = found
            await self._change(node, changes)
            await self._ledger.commit(lambda transaction: transaction.settle_values(node, latest, -1))
        return count

    async def _fold(self) -> tuple[int, int]:
        return await self._ledger.commit(lambda transaction: transaction.fold_values(FOLDED))

    async def _work(self) -> None:
        while True:
            try:
                busy = await self._turn()
            except CommitFailed as error:
                _log.warning("what devices told cannot become history yet", reason=str(error))
                busy = False
            except Exception:  # noqa: BLE001 - a fault of ours
                # It waits where it is, and can be read there.
                _log.exception("what devices told does not become history")
                busy = False
            await asyncio.sleep(REST if busy else PAUSE)

    async def _turn(self) -> bool:
        """Whether there was anything to do."""
        before = self._clock() - AGE
        nodes = self._ledger.reader.ripe_nodes(before=before, limit=NODES)
        for node in nodes:
            async with self._lock:
                await self._ripen(node)
            await asyncio.sleep(REST)
        return await self._prune() or bool(nodes)

    async def _prune(self) -> bool:
        horizon = self.horizon
        if not self._ledger.reader.has_old_chunks(horizon):
            return False

        def prune(transaction: Transaction) -> None:
            transaction.prune_chunks(until=horizon, limit=PRUNED)
            transaction.clear_forsaken(PRUNED)

        async with self._lock:
            await self._ledger.commit(prune)
        return True

    async def _ripen(self, node: int) -> bool:
        """A share of what is not history; False if all is."""
        retention = self._retention
        ripe: Ripe | None = await self._ledger.apart(lambda reader: ripen(reader, node, retention))
        if ripe is None:
            return False
        await self._change(node, ripe.changes)
        latest, through = ripe.latest, ripe.through
        await self._ledger.commit(lambda transaction: transaction.settle_values(node, latest, through))
        if ripe.evicted:
            _log.warning(
                "a device tells of too many Resources, what it told of some is forgotten",
                node=node,
                limit=retention.series,
                forgotten=len(ripe.evicted),
            )
        return True

    async def _change(self, node: int, changes: Collection[Change]) -> None:
        """Each change at once, as many as fit in turns."""
        turn: list[Change] = []
        size = 0
        for change in changes:
            turn.append(change)
            size += 1 + len(change.add)
            if size >= TURN:
                await self._write(node, turn)
                turn, size = [], 0
        if turn:
            await self._write(node, turn)

    async def _write(self, node: int, changes: Collection[Change]) -> None:
        await self._ledger.commit(lambda transaction: transaction.change_chunks(node, changes))
        await asyncio.sleep(0)


def _cut(
    reader: Reader, node: int, places: Collection[str] | None, since: int, until: int
) -> tuple[list[Change], dict[str, Told], int]:
    """What is left without this time: changes of chunks, the latest, and how many values go."""
    changes: list[Change] = []
    count = 0
    for place in sorted(reader.places(node) if places is None else places):
        for span in reader.spans(node, place, since=since, until=until):
            left = [point for point in reader.chunk(span.id) if not since <= point[0] < until]
            count += span.count - len(left)
            changes.append(Change(place, (span.id,), tuple(chunks(left))))
    latest = {
        place: told
        for place, told in reader.settled_values(node).items()
        if not since <= told.at < until or (places is not None and place not in places)
    }
    return changes, latest, count
