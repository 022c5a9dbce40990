"""The inline writer: what one turn of the event loop gathered is written by the loop itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from lwm2m_server.store.checkpoints import Checkpoints
from lwm2m_server.store.transactions import BATCH, Job, Transactions, log_failure, refuse, tell

PATIENCE = 0.005
"""Seconds of writing after which the loop gets a turn for other things."""

log = logging.getLogger(__name__)


class InlineWriter:
    """Without fsync a transaction is a few system calls: handing it to a thread costs more than doing it.

    ``failed`` is called when a transaction could not be stored, before any job of it hears.
    """

    def __init__(
        self, transactions: Transactions, checkpoints: Checkpoints, failed: Callable[[], object]
    ) -> None:
        self._transactions, self._checkpoints, self._failed = transactions, checkpoints, failed
        self._jobs: list[Job] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        checkpoints.on_release = self._resume

    def add(self, job: Job) -> None:
        """Called on the loop."""
        # Asking which loop is running is a system call; a loop that ended with jobs waiting is rare.
        if not self._jobs or self._loop is None or self._loop.is_closed():
            self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._turn)
        self._jobs.append(job)

    def run(self, job: Job) -> None:
        """Write what waits and this, at once."""
        self._jobs.append(job)
        self.finish()

    def finish(self) -> None:
        """Write all that waits."""
        while self._jobs:
            with self._transactions.lock:
                done, failed = self._write()
            self._report(done, failed)

    def _turn(self) -> None:
        lock = self._transactions.lock
        if not self._jobs or not lock.acquire(blocking=False):
            # A checkpoint is ending: `_resume` comes after it, and the loop does other things meanwhile.
            return
        try:
            done, failed = self._write()
        finally:
            lock.release()
        if self._jobs and self._loop is not None:
            self._loop.call_soon(self._turn)
        self._report(done, failed)

    def _resume(self) -> None:
        """Called on the checkpoints' thread."""
        loop = self._loop
        if self._jobs and loop is not None:
            try:
                loop.call_soon_threadsafe(self._turn)
            except RuntimeError:
                log.warning("ledger: the event loop is closed, %d operations wait", len(self._jobs))

    def _write(self) -> tuple[list[Job], bool]:
        """One transaction: who is to hear of it, and whether it failed."""
        jobs = self._jobs[:BATCH]
        try:
            count = self._transactions.write(jobs, PATIENCE)
        except Exception as error:  # noqa: BLE001 - a fault of ours, too
            # Whoever commits has already built on what it committed: all that waits falls with it. And
            # whatever it is, nobody may wait for ever.
            jobs, self._jobs = self._jobs, []
            log_failure(len(jobs), error)
            refuse(jobs, error)
            return jobs, True
        self._checkpoints.wrote(self._transactions.changes)
        del self._jobs[:count], jobs[count:]
        return jobs, False

    def _report(self, jobs: list[Job], failed: bool) -> None:
        try:
            if failed:
                self._failed()
        finally:
            tell(jobs)
