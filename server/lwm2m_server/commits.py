"""``Commits``: facts on their way into the ledger, and what is held back until they are durable."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any, TypeAlias

import attrs
import structlog

from lwm2m_engine.engine import Step
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.transaction import Transaction

Write: TypeAlias = Callable[[Transaction], object]
Settled: TypeAlias = Callable[[Any, BaseException | None], object]
"""Called with the result, or with why there is none."""

RETRY_AFTER = 1.0
"""Seconds between two attempts to put a device back after the ledger failed."""

_log = structlog.get_logger(__name__)


class Commits:
    """Commits in order. After a failure the devices concerned are refused until they are healed.

    What the engine did for a device after a commit that fails rests on facts that do not exist. So
    from the failure on everything about the device fails too, and when nothing of it is under way
    any more ``heal`` is called, once, to put it back to what the ledger holds. After a commit that
    does not fail comes what the step leads to: ``after``.
    """

    def __init__(
        self, ledger: Ledger, heal: Callable[[str], None], after: Callable[[str, Step], None]
    ) -> None:
        self._ledger, self._heal, self._after = ledger, heal, after
        self.problem: str | None = None
        """Why the last commit failed; ``None`` after one that did not."""
        self.on_problem: Callable[[str], object] = lambda reason: None
        """Hears of each commit that fails."""
        self._under_way: dict[str, int] = {}
        self._broken: set[str] = set()
        self._attempts: Counter[str] = Counter()
        self._open = 0
        self._idle: asyncio.Future[None] | None = None
        ledger.on_failure = self._break_all

    def add(
        self,
        tenant: str,
        step: Step,
        keys: Collection[str],
        writes: Sequence[Write],
        settled: Settled,
        *,
        first: Write | None = None,
        last: Write | None = None,
        awaited: bool = False,
    ) -> None:
        """Write the facts of a step, about the devices ``keys``; ``settled`` is called when they are durable.

        Its result is that of ``first`` or ``last``, which run before and after the writes. If it is
        ``awaited``, ``after`` waits until whoever awaits it went on.
        """
        if self._broken and not self._broken.isdisjoint(keys):
            self._mend(keys)
            settled(None, CommitFailed("the device is being restored"))
            return
        commit = _Commit(self, tenant, step, keys, settled, awaited)
        if first is None and last is None and len(writes) < 2:
            if not writes:
                commit.tell(None, None)
                return
            operation = writes[0]
        else:
            operation = partial(_in_order, first, writes, last)
        try:
            self._ledger.submit(operation, commit.settle)
        except CommitFailed as error:
            settled(None, error)
            return
        self._open += 1
        under_way = self._under_way
        for key in keys:
            under_way[key] = under_way.get(key, 0) + 1

    def _finish(self, keys: Collection[str], error: BaseException | None) -> None:
        """Count a commit off, before anybody hears of it."""
        self._open -= 1
        if not self._open and self._idle is not None:
            self._idle.set_result(None)
            self._idle = None
        under_way = self._under_way
        for key in keys:
            count = under_way[key] - 1
            if count:
                under_way[key] = count
            else:
                del under_way[key]
        if error is None:
            self.problem = None
            if self._attempts:
                for key in keys:
                    self._attempts.pop(key, None)
        else:
            if isinstance(error, CommitFailed):
                self.problem = str(error)
                self.on_problem(self.problem)
            self._broken.update(keys)
        if self._broken:
            self._mend(keys)

    def refuse_broken(self, key: str) -> None:
        """Raise ``CommitFailed`` while a device is not what the ledger says."""
        if key in self._broken:
            raise CommitFailed("the device is being restored")

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        while self._open:
            if self._idle is None:
                self._idle = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._idle)

    def _break_all(self) -> None:
        """A transaction failed, and all that is under way will; nothing may be built on it from now on."""
        self._broken.update(self._under_way)

    def _mend(self, keys: Iterable[str]) -> None:
        for key in keys:
            if key in self._broken and key not in self._under_way:
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


def _in_order(
    first: Write | None, writes: Sequence[Write], last: Write | None, transaction: Transaction
) -> object:
    """One operation; its result is that of ``last`` or ``first``."""
    result = first(transaction) if first is not None else None
    for write in writes:
        write(transaction)
    return last(transaction) if last is not None else result


@attrs.define(slots=True, eq=False)
class _Commit:
    """What waits for facts to be durable; the ledger calls ``settle``."""

    commits: Commits
    tenant: str
    step: Step
    keys: Collection[str]
    settled: Settled
    awaited: bool

    def settle(self, result: object, error: BaseException | None) -> None:
        self.commits._finish(self.keys, error)
        self.tell(result, error)

    def tell(self, result: object, error: BaseException | None) -> None:
        self.settled(result, error)
        if error is not None:
            return
        if self.awaited:
            asyncio.get_running_loop().call_soon(self.commits._after, self.tenant, self.step)
        else:
            self.commits._after(self.tenant, self.step)
