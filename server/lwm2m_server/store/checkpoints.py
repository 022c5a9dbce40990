"""Checkpoints: pages of the write-ahead log go into the database file, in a thread of their own."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from lwm2m_server.store.schema import WAL_SIZE

CHANGES = 30_000
"""Rows changed after which a checkpoint begins: each costs about half a page of the write-ahead log."""

log = logging.getLogger(__name__)


class Checkpoints:
    """Copies while the writer goes on, then the rest with the writer held back for that moment.

    So the log begins anew after each, however busy the writer is, and nobody but this thread waits for
    the disk. It keeps its length then: to write over a file is several times cheaper than to grow it.
    ``lock`` is the writer's.
    """

    def __init__(self, file: Path, connection: sqlite3.Connection, lock: threading.Lock) -> None:
        self.on_release: Callable[[], object] = lambda: None
        """Called on the thread when the writer may go on."""
        self._log = f"{file}-wal"
        self._connection, self._lock = connection, lock
        self._changes = self._copied = 0
        self._due = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)
        self._thread.start()

    def wrote(self, changes: int) -> None:
        """A transaction was written; ``changes`` counts rows since the writer was opened."""
        self._changes = changes
        if not self._due.is_set() and self._is_long():
            self._due.set()

    def close(self) -> None:
        """The last connection that is closed makes the last checkpoint."""
        self._closed = True
        self._due.set()
        self._thread.join()
        self._connection.close()

    def _is_long(self) -> bool:
        """A few large rows make it long too; it is cut back to ``WAL_SIZE`` when it begins anew."""
        return abs(self._changes - self._copied) >= CHANGES or os.stat(self._log).st_size > WAL_SIZE

    def _work(self) -> None:
        while not self._closed:
            self._due.wait()
            self._due.clear()
            if not self._closed and self._is_long():
                try:
                    self._checkpoint()
                except sqlite3.Error as error:
                    log.warning("ledger: no checkpoint at this time: %s", error)
                self.on_release()

    def _checkpoint(self) -> None:
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        with self._lock:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            self._copied = self._changes
