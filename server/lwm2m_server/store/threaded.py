"""The threaded writer: a thread with group commit, for commits that wait for the disk.

Whoever commits has already built on what it committed, so when a transaction fails, everything asked
for since then must fail too. Jobs carry the *generation* they were asked for in; a failed transaction
ends its generation, and the next one begins when the loop has heard of it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from lwm2m_server.store.checkpoints import Checkpoints
from lwm2m_server.store.transactions import BATCH, Job, Transactions, log_failure, refuse, tell

log = logging.getLogger(__name__)


class ThreadedWriter:
    """While one transaction is being synced, the jobs of the next gather.

    ``failed`` is called on the loop when a transaction could not be stored, before any job of it hears.
    """

    def __init__(
        self, transactions: Transactions, checkpoints: Checkpoints, failed: Callable[[], object]
    ) -> None:
        self._transactions, self._checkpoints, self._failed = transactions, checkpoints, failed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._generation = 0
        self._failed_generation = -1
        self._gathered: list[Job] = []
        self._jobs: SimpleQueue[list[Job] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)
        self._thread.start()

    def add(self, job: Job) -> None:
        """Called on the loop."""
        loop = asyncio.get_running_loop()
        # What one turn of the loop commits goes to the writer together: fewer wake-ups, and the two
        # threads do not fight for the interpreter while the loop drains its socket.
        if not self._gathered or loop is not self._loop:
            self._loop = loop
            loop.call_soon(self._hand_over)
        job.generation = self._generation
        self._gathered.append(job)

    def run(self, job: Job) -> None:
        """Blocks until it is written."""
        job.generation, job.written = self._generation, threading.Event()
        self._jobs.put([job])
        job.written.wait()
        tell([job])

    def finish(self) -> None:
        """Write all that waits, and end."""
        self._hand_over()
        self._jobs.put(None)
        self._thread.join()

    def _hand_over(self) -> None:
        jobs, self._gathered = self._gathered, []
        for start in range(0, len(jobs), BATCH):
            self._jobs.put(jobs[start : start + BATCH])

    # --- the thread ----------------------------------------------------------------------------------

    def _work(self) -> None:
        going = True
        while going:
            jobs, going = self._waiting()
            if jobs:
                self._report(jobs, self._write(jobs))

    def _waiting(self) -> tuple[list[Job], bool]:
        """Wait for jobs, take what waits up to about a batch; False when it is to end."""
        jobs: list[Job] = []
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

    def _write(self, jobs: list[Job]) -> bool:
        """One transaction of the jobs whose generation has not failed yet; True if it fails now."""
        valid = [job for job in jobs if job.generation > self._failed_generation]
        failure: Exception | None = None
        if valid:
            try:
                with self._transactions.lock:
                    self._transactions.write(valid)
                self._checkpoints.wrote(self._transactions.changes)
            except Exception as error:  # noqa: BLE001 - a fault of ours, too
                # Whatever it is, nobody may wait for ever, and the thread goes on.
                log_failure(len(valid), error)
                failure, self._failed_generation = error, valid[0].generation
        refuse(
            [job for job in jobs if job.generation <= self._failed_generation],
            failure or "an earlier transaction failed",
        )
        return failure is not None

    def _report(self, jobs: list[Job], failed: bool) -> None:
        on_loop = [job for job in jobs if job.written is None]
        loop = self._loop
        if loop is not None and (on_loop or failed):
            try:
                loop.call_soon_threadsafe(self._resolve, on_loop, failed)
            except RuntimeError:
                log.warning("ledger: the event loop is closed, nobody hears of %d commits", len(on_loop))
                self._generation += failed
        elif failed:
            self._generation += 1
        for job in jobs:
            if job.written is not None:
                job.written.set()

    def _resolve(self, jobs: list[Job], failed: bool) -> None:
        """On the loop, once per transaction."""
        try:
            if failed:
                self._generation += 1
                self._failed()
        finally:
            tell(jobs)
