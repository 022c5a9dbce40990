"""The ledger: SQLite, one writer with group commit, reads on the caller's thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from lwm2m_server.store.broods import REACH
from lwm2m_server.store.checkpoints import Checkpoints
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.events import USUAL, Keep
from lwm2m_server.store.expiration import Clock
from lwm2m_server.store.inline import InlineWriter
from lwm2m_server.store.outbox import BOUNDS, Bounds, Outbox
from lwm2m_server.store.records import Subscriber
from lwm2m_server.store.schema import Connect, connect, open_reader, open_writer, prepare
from lwm2m_server.store.threaded import ThreadedWriter
from lwm2m_server.store.transaction import Reader, Transaction
from lwm2m_server.store.transactions import Job, Transactions, Written

T = TypeVar("T")


class SqliteLedger:
    """The ``Ledger`` of ``protocols`` in one file. Used from one event loop at a time.

    ``power_safe`` syncs at each commit, so that facts survive a loss of power and not only of the
    process; a thread waits for the disk then, else the loop itself writes. ``connect`` opens
    connections; ``clock`` tells what is over. Raises ``SettingsError`` for an unusable file.
    """

    def __init__(
        self,
        file: Path,
        *,
        power_safe: bool = False,
        keep: Keep = USUAL,
        bounds: Bounds = BOUNDS,
        connect: Connect = connect,
        clock: Clock = time.time,
    ) -> None:
        prepare(file, connect)
        self._file = file
        self.on_failure: Callable[[], object] = lambda: None
        opening = partial(open_writer, file, connect, power_safe=power_safe)
        self._transactions = Transactions(opening, keep, bounds, clock)
        self._reading = open_reader(file, connect)
        self.reader: Reader = self._transactions.reader(self._reading)
        self._checkpoints = Checkpoints(
            file, open_writer(file, connect, power_safe=power_safe), self._transactions.lock
        )
        writer = ThreadedWriter if power_safe else InlineWriter
        self._writer = writer(self._transactions, self._checkpoints, lambda: self.on_failure())
        self._reading_apart = open_reader(file, connect)
        self._apart = self._transactions.reader(self._reading_apart)
        self._apart_thread = ThreadPoolExecutor(1, "ledger-reader")
        self._closed = False

    def apart(self, read: Callable[[Reader], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._apart_thread, read, self._apart)

    @property
    def outbox(self) -> Outbox:
        return self._transactions.outbox

    @property
    def values_waiting(self) -> int:
        """Bytes of values that are in the journal only."""
        return self._transactions.values.length

    @property
    def watched(self) -> Mapping[int, Sequence[Subscriber]]:
        return self._transactions.subscribers.watched

    @property
    def watched_closely(self) -> Mapping[int, Sequence[Subscriber]]:
        return self._transactions.subscribers.watched_closely

    @property
    def figures(self) -> Written:
        """What it wrote since the start."""
        return self._transactions.figures

    def sizes(self) -> dict[str, int]:
        """Bytes of its files."""
        files = {"ledger": self._file, "wal": self._file.with_name(f"{self._file.name}-wal")}
        return {name: file.stat().st_size for name, file in files.items() if file.exists()}

    @property
    def installation(self) -> str:
        query = "SELECT value FROM meta WHERE key = 'installation'"
        return str(self._reading.execute(query).fetchone()[0])

    @property
    def highest_id(self) -> int:
        # What the last resource was born with comes behind it.
        query = """SELECT max(
            coalesce((SELECT id + iif(brood IS NULL, 0, ?) FROM resource ORDER BY id DESC LIMIT 1), 0),
            coalesce((SELECT max(id) FROM message), 0), coalesce((SELECT max(id) FROM rpc), 0))"""
        return int(self._reading.execute(query, (REACH,)).fetchone()[0])

    def submit(
        self,
        operation: Callable[[Transaction], T],
        settled: Callable[[T | None, BaseException | None], object],
    ) -> None:
        if self._closed:
            raise _closed()
        self._writer.add(Job(operation, settled))

    def commit(self, operation: Callable[[Transaction], T]) -> asyncio.Future[T]:
        if self._closed:
            raise _closed()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._writer.add(Job(operation, partial(_resolve, future)))
        return future

    def run(self, operation: Callable[[Transaction], T]) -> T:
        if self._closed:
            raise _closed()
        outcome: list[Any] = []
        self._writer.run(Job(operation, lambda result, error: outcome.extend((result, error))))
        result, error = outcome
        if error is not None:
            raise error
        found: T = result
        return found

    def close(self) -> None:
        """Commit what is waiting, then let go of the file."""
        if self._closed:
            return
        self._closed = True
        self._writer.finish()
        self._checkpoints.close()
        self._apart_thread.shutdown()
        self._reading_apart.close()
        self._reading.close()
        self._transactions.close()


def _closed() -> CommitFailed:
    return CommitFailed("the ledger is closed")


def _resolve(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    """On the future's own loop. Nobody waits for a future that was cancelled, or whose loop is gone."""
    if future.done() or future.get_loop().is_closed():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
