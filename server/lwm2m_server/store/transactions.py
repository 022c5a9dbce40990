"""The one connection that writes: jobs in transactions, all of a transaction or nothing."""

from __future__ import annotations

import logging
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter
from typing import Any

import attrs

from lwm2m_server.figures import Histogram
from lwm2m_server.store.arrivals import Arrivals
from lwm2m_server.store.contacts import Contacts
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.events import USUAL, Events, Keep
from lwm2m_server.store.evicted import Evicted
from lwm2m_server.store.expiration import Clock
from lwm2m_server.store.names import Names
from lwm2m_server.store.outbox import BOUNDS, Bounds, Outbox
from lwm2m_server.store.reading import LedgerReader
from lwm2m_server.store.subscribers import Subscribers
from lwm2m_server.store.transaction import Transaction
from lwm2m_server.store.values import Values
from lwm2m_server.store.writing import LedgerTransaction

BATCH = 512
"""A transaction with so many operations takes no more: bounds how long the first of them waits."""

log = logging.getLogger(__name__)


@attrs.define(slots=True, eq=False)
class Job:
    """An operation that was asked for, and who is to hear of its end."""

    operation: Callable[[Transaction], Any]
    settled: Callable[[Any, BaseException | None], object]
    generation: int = 0
    result: Any = None
    error: BaseException | None = None
    written: threading.Event | None = None
    """Set when it is done, for a thread that waits."""


@attrs.define
class Written:
    """Since the start: changes, transactions that failed, and the time of those that did not."""

    operations: int = 0
    failures: int = 0
    seconds: Histogram = attrs.field(factory=Histogram)


def tell(jobs: Iterable[Job]) -> None:
    """In order; what one of those who hear raises keeps no other from hearing."""
    waiting = iter(jobs)
    try:
        for job in waiting:
            job.settled(job.result, job.error)
    finally:
        rest = list(waiting)
        if rest:
            tell(rest)


def log_failure(operations: int, error: Exception) -> None:
    """A full disk is no surprise; anything but the database's own errors is a fault of this program."""
    is_surprise = not isinstance(error, sqlite3.Error)
    log.error("ledger: %d operations are not stored: %s", operations, error, exc_info=is_surprise)


def refuse(jobs: Sequence[Job], reason: object) -> None:
    """Nothing of these is stored."""
    for job in jobs:
        job.result, job.error = None, CommitFailed(f"not stored: {reason}")


class Transactions:
    """Writes jobs. ``lock`` is held while it writes; whoever else holds it keeps it from writing."""

    def __init__(
        self,
        open_connection: Callable[[], sqlite3.Connection],
        keep: Keep = USUAL,
        bounds: Bounds = BOUNDS,
        clock: Clock = time.time,
    ) -> None:
        self._clock = clock
        self.lock = threading.Lock()
        self.figures = Written()
        self._open = open_connection
        self._connection: sqlite3.Connection | None = open_connection()
        self._contacts = Contacts(self._connection)
        self._names = Names(self._connection)
        self._evicted = Evicted(self._connection)
        self._arrivals = Arrivals(self._connection, frozenset(self._evicted.waiting))
        self._events = Events(self._connection, keep)
        self.values = Values(self._connection, clock)
        self.outbox = Outbox(self._connection, bounds)
        self.subscribers = Subscribers(self._connection)
        self._use(self._connection)

    def write(self, jobs: Sequence[Job], seconds: float = math.inf) -> int:
        """One transaction of the first jobs, as many as begin within so much time; returns how many.

        Results and errors are in the jobs. Raises ``sqlite3.Error`` when nothing is stored. Call it
        with ``lock`` held.
        """
        transaction, began = self._begin(), perf_counter()
        try:
            count = self._quickly(transaction, jobs, seconds) or self._carefully(transaction, jobs)
        except BaseException:
            self.figures.failures += 1
            self._give_up()
            raise
        self.figures.operations += count
        self.figures.seconds.observe(perf_counter() - began)
        return count

    def reader(self, connection: sqlite3.Connection) -> LedgerReader:
        """Reads what is committed."""
        waiting = self._arrivals.waiting, self.values.waiting
        return LedgerReader(connection, self._contacts.latest, self._names, *waiting, self._clock)

    @property
    def changes(self) -> int:
        """Rows changed since the connection was opened."""
        return self._connection.total_changes if self._connection is not None else 0

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _begin(self) -> LedgerTransaction:
        """After a failure with a new connection, of which all is known."""
        if self._connection is None:
            self._connection = self._open()
            self._use(self._connection)
        return self._transaction

    def _use(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._transaction = LedgerTransaction(
            connection,
            self._contacts,
            self._names,
            self._arrivals,
            self._evicted,
            self._events,
            self.values,
            self.outbox,
            self.subscribers,
            self._clock,
        )

    def _quickly(self, transaction: LedgerTransaction, jobs: Sequence[Job], seconds: float) -> int:
        """Without savepoints; 0, and nothing is stored, if any of the operations raises."""
        end = perf_counter() + seconds
        count = 0
        self._execute("BEGIN IMMEDIATE")
        try:
            for job in jobs:
                job.result = job.operation(transaction)
                count += 1
                if perf_counter() > end:
                    break
        except Exception as error:
            if _is_everybodys(error):
                raise
            self._execute("ROLLBACK")
            self._transaction.rolled_back()
            return 0
        self._commit()
        return count

    def _carefully(self, transaction: LedgerTransaction, jobs: Sequence[Job]) -> int:
        """Each operation in its own savepoint; what it raises is its caller's."""
        self._execute("BEGIN IMMEDIATE")
        for job in jobs:
            self._execute("SAVEPOINT operation")
            mark = transaction.mark()
            try:
                job.result = job.operation(transaction)
            except Exception as error:
                if _is_everybodys(error):
                    raise
                self._execute("ROLLBACK TO operation")
                transaction.back_to(mark)
                job.result, job.error = None, error
            self._execute("RELEASE operation")
        self._commit()
        return len(jobs)

    def _commit(self) -> None:
        self._transaction.finish()
        self._execute("COMMIT")
        self._transaction.committed()

    def _give_up(self) -> None:
        """Closing rolls back."""
        self._transaction.rolled_back()
        try:
            self.close()
        except sqlite3.Error as error:
            log.error("ledger: closing after a failure: %s", error)
            self._connection = None


def _is_everybodys(error: Exception) -> bool:
    """Whether it is the database that failed (full, I/O, corrupt) and not the operation."""
    return isinstance(error, (sqlite3.OperationalError, sqlite3.InternalError)) or (
        type(error) is sqlite3.DatabaseError
    )
