"""The ledger: SQLite, one writer thread with group commit, reads on the caller's thread.

Whoever commits has already built on what it committed, so when a transaction fails, everything asked
for since then must fail too. Commits carry the *generation* they were asked for in; a failed
transaction ends its generation, and the next one begins when the loop has heard of it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, TypeVar

import attrs

from lwm2m_server.store.protocols import CommitFailed, Reader, Transaction
from lwm2m_server.store.reading import LedgerReader
from lwm2m_server.store.schema import Connect, connect, open_reader, open_writer, prepare
from lwm2m_server.store.writing import LedgerTransaction

T = TypeVar("T")
Future: TypeAlias = "asyncio.Future[Any] | concurrent.futures.Future[Any]"

BATCH = 512
"""A transaction with so many operations takes no more: bounds how long the first of them waits."""

log = logging.getLogger(__name__)


@attrs.define(slots=True, eq=False)
class _Job:
    operation: Callable[[Transaction], Any]
    future: Future
    generation: int
    result: Any = None
    error: BaseException | None = None

    def resolve(self) -> None:
        """On the future's own loop. Nobody waits for a future that was cancelled."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class SqliteLedger:
    """The ``Ledger`` of ``protocols`` in one file. Used from one event loop at a time.

    ``power_safe`` syncs at each commit, so that facts survive a loss of power and not only of the
    process. ``connect`` opens connections. Raises ``SettingsError`` for an unusable file.
    """

    def __init__(self, file: Path, *, power_safe: bool = False, connect: Connect = connect) -> None:
        prepare(file, connect)
        self.on_failure: Callable[[], object] = lambda: None
        self._open = partial(open_writer, file, connect, power_safe=power_safe)
        self._writer: sqlite3.Connection | None = self._open()
        self._reading = open_reader(file, connect)
        self.reader: Reader = LedgerReader(self._reading)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._generation = 0
        self._failed_generation = -1
        self._closed = False
        self._gathered: list[_Job] = []
        self._jobs: SimpleQueue[list[_Job] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)
        self._thread.start()

    @property
    def installation(self) -> str:
        query = "SELECT value FROM meta WHERE key = 'installation'"
        return str(self._reading.execute(query).fetchone()[0])

    @property
    def highest_id(self) -> int:
        query = """SELECT max(coalesce((SELECT max(id) FROM resource), 0),
            coalesce((SELECT max(id) FROM message), 0))"""
        return int(self._reading.execute(query).fetchone()[0])

    def commit(self, operation: Callable[[Transaction], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        job = self._job(operation, future)
        # What one turn of the loop commits goes to the writer together: fewer wake-ups, and the two
        # threads do not fight for the interpreter while the loop drains its socket.
        if not self._gathered or loop is not self._loop:
            self._loop = loop
            loop.call_soon(self._hand_over)
        self._gathered.append(job)
        return future

    def run(self, operation: Callable[[Transaction], T]) -> T:
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._jobs.put([self._job(operation, future)])
        return future.result()

    def close(self) -> None:
        """Commit what is waiting, then let go of the file."""
        if self._closed:
            return
        self._closed = True
        self._hand_over()
        self._jobs.put(None)
        self._thread.join()
        self._reading.close()
        if self._writer is not None:
            self._writer.close()

    def _job(self, operation: Callable[[Transaction], Any], future: Future) -> _Job:
        if self._closed:
            raise CommitFailed("the ledger is closed")
        return _Job(operation, future, self._generation)

    def _hand_over(self) -> None:
        jobs, self._gathered = self._gathered, []
        for start in range(0, len(jobs), BATCH):
            self._jobs.put(jobs[start : start + BATCH])

    # --- the writer thread ---------------------------------------------------------------------------

    def _work(self) -> None:
        going = True
        while going:
            jobs, going = self._waiting()
            if jobs:
                failed = self._write(jobs)
                self._report(jobs, failed)

    def _waiting(self) -> tuple[list[_Job], bool]:
        """Wait for jobs, take what waits up to about a batch; False when the ledger was closed."""
        jobs: list[_Job] = []
        more = self._jobs.get()
        try:
            while more is not None:
                jobs += more
                if len(jobs) >= BATCH:
                    return jobs, True
                more = self._jobs.get_nowait()
        except Empty:
            return jobs, True
        return jobs, False

    def _write(self, jobs: list[_Job]) -> bool:
        """One transaction of the jobs whose generation has not failed yet; True if it fails now."""
        valid = [job for job in jobs if job.generation > self._failed_generation]
        failure = self._transact(valid) if valid else None
        if failure is not None:
            log.error("ledger: %d operations are not stored: %s", len(valid), failure)
            self._failed_generation = valid[0].generation
        for job in jobs:
            if job.generation <= self._failed_generation:
                job.error = CommitFailed(f"not stored: {failure or 'an earlier transaction failed'}")
        return failure is not None

    def _transact(self, jobs: list[_Job]) -> sqlite3.Error | None:
        """All or nothing; why it is nothing."""
        try:
            connection = self._writer = self._writer or self._open()
            transaction = LedgerTransaction(connection)
            connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                _operate(connection, transaction, job)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._give_up_connection()
            return error
        return None

    def _give_up_connection(self) -> None:
        """Closing rolls back; the next transaction begins with a connection of which all is known."""
        if self._writer is not None:
            try:
                self._writer.close()
            except sqlite3.Error as error:
                log.error("ledger: closing after a failure: %s", error)
            self._writer = None

    def _report(self, jobs: list[_Job], failed: bool) -> None:
        elsewhere = [job for job in jobs if isinstance(job.future, concurrent.futures.Future)]
        on_loop = [job for job in jobs if not isinstance(job.future, concurrent.futures.Future)]
        loop = self._loop
        if loop is not None and (on_loop or failed):
            try:
                loop.call_soon_threadsafe(self._resolve, on_loop, failed)
            except RuntimeError:
                log.warning("ledger: the event loop is closed, nobody hears of %d commits", len(on_loop))
                self._generation += failed
        elif failed:
            self._generation += 1
        for job in elsewhere:
            job.resolve()

    def _resolve(self, jobs: list[_Job], failed: bool) -> None:
        """On the loop, once per transaction."""
        try:
            if failed:
                self._generation += 1
                self.on_failure()
        finally:
            for job in jobs:
                job.resolve()


def _operate(connection: sqlite3.Connection, transaction: LedgerTransaction, job: _Job) -> None:
    """Run one operation in its own savepoint; what it raises is its caller's.

    Except errors of the database itself (full, I/O, corrupt): these are everybody's.
    """
    connection.execute("SAVEPOINT operation")
    try:
        job.result = job.operation(transaction)
    except (sqlite3.OperationalError, sqlite3.InternalError):
        raise
    except BaseException as error:
        if type(error) is sqlite3.DatabaseError:
            raise
        connection.execute("ROLLBACK TO operation")
        job.error = error
    connection.execute("RELEASE operation")
