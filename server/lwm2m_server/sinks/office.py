"""What all carriers work with: the ledger's outbox, sinks, statistics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from lwm2m_server.settings import DeliverySettings
from lwm2m_server.sinks.protocols import Endpoint, Retry, Sink, SinkFactory
from lwm2m_server.sinks.statistics import Statistics
from lwm2m_server.sinks.targets import Targets, masked
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.ids import SECOND
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.outbox import FULL
from lwm2m_server.store.records import Lane, Load, Notice
from lwm2m_server.store.transaction import Reader, Transaction

GATHER: Final = 0.02
"""Seconds in which what was delivered is gathered, to be struck off the ledger together."""
AGAIN: Final = 1.0
"""Seconds until that is tried again."""
AT_ONCE: Final = 512
"""Deliveries under way to all targets together."""

_log = structlog.get_logger(__name__)


class Office:
    """Belongs to the event loop."""

    def __init__(
        self,
        ledger: SqliteLedger,
        targets: Targets,
        factories: Mapping[str, SinkFactory],
        settings: DeliverySettings,
    ) -> None:
        self.reader: Reader = ledger.reader
        self.settings, self.targets = settings, targets
        self.statistics: dict[Lane, Statistics] = {}
        self.doors = asyncio.Semaphore(AT_ONCE)
        self.on_trouble: Callable[[Lane, str, int], object] = lambda lane, reason, dead: None
        """Hears why a target is left alone for a while, and how many notices are dead letters for that."""
        self._ledger, self._factories = ledger, factories
        self._sinks: dict[Endpoint, Sink] = {}
        self._users: dict[Endpoint, int] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._done: list[Notice] = []
        self._gone: dict[int, None] = {}
        """Ids of what left, and is perhaps in the ledger still."""

    # --- the outbox ----------------------------------------------------------------------------------

    def load(self, lane: Lane) -> Load | None:
        return self._ledger.outbox.lanes.get(lane)

    def statistics_of(self, lane: Lane) -> Statistics:
        return self.statistics.setdefault(lane, Statistics())

    def delivered(self, notices: Sequence[Notice]) -> None:
        """They leave the ledger soon; whoever reads it meanwhile asks ``has_left``."""
        if not self._done:
            asyncio.get_running_loop().call_later(GATHER, self.strike_off)
        self._done += notices
        for notice in notices:
            self._gone[notice.id] = None

    @property
    def leaving(self) -> int:
        """How many of those there are."""
        return len(self._gone)

    def has_left(self, notice: Notice) -> bool:
        return notice.id in self._gone

    def strike_off(self) -> None:
        done, self._done = self._done, []
        if done:
            self._leave(done, lambda write: write.remove_notices(done))

    def bury(self, notices: Sequence[Notice], reason: str) -> None:
        for notice in notices:
            self._gone[notice.id] = None
            self.statistics_of(notice.lane).dead += 1
        _log.warning(
            "notifications are dead letters now",
            count=len(notices),
            tenant=notices[0].lane.tenant,
            target=masked(notices[0].lane.target),
            reason=reason,
        )
        self.on_trouble(notices[0].lane, reason, len(notices))
        self._leave(notices, lambda write: write.bury_notices(notices, reason))

    def refused(self, lanes: Mapping[Lane, int]) -> None:
        """So many notices are dead letters, since too much waits already."""
        for lane, count in lanes.items():
            self.statistics_of(lane).dead += count
            self.on_trouble(lane, FULL, count)

    def _leave(self, notices: Sequence[Notice], write: Callable[[Transaction], None]) -> None:
        def settled(_: object, error: BaseException | None) -> None:
            if error is None:
                for notice in notices:
                    self._gone.pop(notice.id, None)
            else:
                asyncio.get_running_loop().call_later(AGAIN, self._leave, notices, write)

        try:
            self._ledger.submit(write, settled)
        except CommitFailed:
            # The ledger is closed: they are delivered once more after the next start.
            return

    # --- sinks ---------------------------------------------------------------------------------------

    def endpoint(self, lane: Lane) -> Endpoint:
        """Where the lane leads at present. Raises ``Retry``."""
        return self.targets.resolve(lane.tenant, lane.target)

    def enter(self, endpoint: Endpoint) -> Sink:
        """The sink of an endpoint, to be given back with ``leave``. Raises ``Refused``, ``Retry``."""
        sink = self._sinks.get(endpoint)
        if sink is None:
            factory = self._factories.get(endpoint.kind)
            if factory is None:
                raise Retry(f"nothing delivers to EndpointType:{endpoint.kind}")
            sink = self._sinks[endpoint] = factory(endpoint)
        self._users[endpoint] = self._users.get(endpoint, 0) + 1
        return sink

    def leave(self, endpoint: Endpoint) -> None:
        self._users[endpoint] -= 1
        if not self._users[endpoint]:
            del self._users[endpoint]
            self._close(self._sinks.pop(endpoint))

    def _close(self, sink: Sink) -> None:
        task = asyncio.get_running_loop().create_task(sink.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        self.strike_off()
        for endpoint in list(self._sinks):
            self._close(self._sinks.pop(endpoint))
        await asyncio.gather(*self._closing, return_exceptions=True)

    # --- time ----------------------------------------------------------------------------------------

    def is_over(self, notice: Notice) -> bool:
        """Whether a notice was tried for long enough."""
        return time.time() - notice.id / SECOND > self.settings.give_up_after
