"""``Commits``: facts on their way into the ledger, and what is held back until they are durable."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

import structlog

from lwm2m_server.store.protocols import CommitFailed, Ledger, Transaction

T = TypeVar("T")
Write = Callable[[Transaction], object]

RETRY_AFTER = 1.0
"""Seconds between two attempts to put a device back after the ledger failed."""

_log = structlog.get_logger(__name__)


class Commits:
    """Commits in order. After a failure the devices concerned are refused until they are healed.

    What the engine did for a device after a commit that fails rests on facts that do not exist. So
    from the failure on everything about the device fails too, and when nothing of it is under way
    any more ``heal`` is called, once, to put it back to what the ledger holds.
    """

    def __init__(self, ledger: Ledger, heal: Callable[[str], None]) -> None:
        self._ledger, self._heal = ledger, heal
        self.problem: str | None = None
        """Why the last commit failed; ``None`` after one that did not."""
        self._under_way: dict[str, int] = {}
        self._broken: set[str] = set()
        self._attempts: Counter[str] = Counter()
        self._open: set[asyncio.Future[Any]] = set()
        ledger.on_failure = self._break_all

    def add(
        self,
        keys: Collection[str],
        writes: Sequence[Write],
        first: Callable[[Transaction], T] | None,
        last: Callable[[Transaction], T] | None,
        then: Callable[[], None],
    ) -> asyncio.Future[T]:
        """Commit; when durable the future is done, and after whoever awaits it, ``then`` runs."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Any] = loop.create_future()
        # An exception nobody awaits (a timer's step) is handled by healing, not lost.
        waiter.add_done_callback(_look)
        if not self._broken.isdisjoint(keys):
            self._break(keys)
            self._mend(keys)
            waiter.set_exception(CommitFailed("the device is being restored"))
            return waiter
        if not writes and first is None and last is None:
            waiter.set_result(None)
            loop.call_soon(then)
            return waiter
        for key in keys:
            self._under_way[key] = self._under_way.get(key, 0) + 1
        commit: asyncio.Future[Any] = self._ledger.commit(_together(writes, first, last))  # type: ignore[assignment]
        self._open.add(commit)

        def finish(commit: asyncio.Future[Any]) -> None:
            self._open.discard(commit)
            for key in keys:
                self._under_way[key] -= 1
            error = commit.exception()
            if error is None or isinstance(error, CommitFailed):
                self.problem = None if error is None else str(error)
            if error is None:
                for key in keys:
                    self._attempts.pop(key, None)
                if not waiter.done():
                    waiter.set_result(commit.result())
                loop.call_soon(then)
            else:
                if not waiter.done():
                    waiter.set_exception(error)
                self._break(keys)
            self._mend(keys)

        commit.add_done_callback(finish)
        return waiter

    def refuse_broken(self, key: str) -> None:
        """Raise ``CommitFailed`` while a device is not what the ledger says."""
        if key in self._broken:
            raise CommitFailed("the device is being restored")

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        while self._open:
            await asyncio.wait(self._open)

    def _break_all(self) -> None:
        """A transaction failed, and all that is under way will; nothing may be built on it from now on."""
        self._break(key for key, count in self._under_way.items() if count > 0)

    def _break(self, keys: Iterable[str]) -> None:
        self._broken.update(keys)

    def _mend(self, keys: Iterable[str]) -> None:
        for key in keys:
            if self._under_way.get(key, 0) == 0:
                self._under_way.pop(key, None)
                if key in self._broken:
                    self._schedule(key)

    def _schedule(self, key: str) -> None:
        """At once the first time; a ledger that goes on failing is not asked in a tight loop."""
        self._attempts[key] += 1
        delay = 0.0 if self._attempts[key] == 1 else RETRY_AFTER
        asyncio.get_running_loop().call_later(delay, self._try, key)

    def _try(self, key: str) -> None:
        if key not in self._broken or key in self._under_way:
            return
        self._broken.discard(key)
        try:
            self._heal(key)
        except CommitFailed as error:
            _log.warning("a device cannot be restored yet", endpoint=key, reason=str(error))
            self._broken.add(key)
            self._schedule(key)


def _together(
    writes: Sequence[Write],
    first: Callable[[Transaction], T] | None,
    last: Callable[[Transaction], T] | None,
) -> Callable[[Transaction], T | None]:
    def run(transaction: Transaction) -> T | None:
        result = first(transaction) if first is not None else None
        for write in writes:
            write(transaction)
        return last(transaction) if last is not None else result

    return run


def _look(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
