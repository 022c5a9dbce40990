"""``Problems``: takes note of what goes wrong, equal things once, and stores it now and then.

It costs whoever has a problem a look into a dictionary, and others nothing. How much there is to store does
not depend on how often something happens, nor on how many different things one device or stranger makes up.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

import attrs
import structlog

from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.problems import Problem
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.transaction import Transaction

PAUSE: Final = 0.5
"""Seconds in which what is noted is gathered."""
RETRY_AFTER: Final = 5.0
"""Seconds after which what could not be stored is tried again."""
AT_ONCE: Final = 20
"""Rows written in one operation: a millisecond or two where the table is full."""
PENDING: Final = 1_000
"""Different ones that wait; of more, only how many there were."""
WINDOW: Final = 60.0
DIFFERENT: Final = 20
"""So many different ones of one subject in so many seconds; of more, only how many there were."""
STRANGERS: Final = 500
"""So many different ones of one kind that are no device's, in so many seconds: who can lie about where it
sends from has as many subjects as it likes."""
SUBJECTS: Final = 10_000
"""That are told apart in one window."""
TEXT: Final = 500
"""Characters of a sentence or a fact."""
PAYLOAD: Final = 1_024
"""Bytes of a payload."""
MORE: Final = "…"
"""What those are the same as that were not told apart."""

Found: TypeAlias = dict[str, tuple[str, Mapping[str, Any]]]
"""What there is of a kind now: by what makes each the same, the sentence and the facts."""

_log = structlog.get_logger(__name__)


class Problems:
    """Belongs to the event loop."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.time) -> None:
        self._ledger, self._clock = ledger, clock
        self._pending: dict[tuple[int, str, str, str], Problem] = {}
        self._window = float("-inf")
        self._seen: dict[tuple[str, str, str], set[str]] = {}
        """In this window, by subject."""
        self._strangers: Counter[tuple[str, str]] = Counter()
        """In this window, by tenant and kind: those that are no device's."""
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def note(
        self,
        kind: str,
        text: str,
        *,
        tenant: str = "",
        same: str = "",
        node: int = 0,
        device: str = "",
        by: str = "",
        at: float | None = None,
        **facts: Any,
    ) -> None:
        """``same`` is what makes it the same as another one; ``by`` whose doing it is, if not the device's.
        ``at`` is seconds since 1970-01-01 UTC. Facts are JSON, or bytes, which are shown in hexadecimal
        digits; those that are ``None`` are left out."""
        now = self._clock()
        same = _bounded(same)
        if not self._is_told_apart(tenant, kind, node, by or str(node), same, now):
            same, text = MORE, f"{_bounded(text)} (one of many)"
        problem = Problem(
            kind,
            _bounded(text),
            int((now if at is None else at) * 1000),
            tenant,
            same,
            node,
            _bounded(device),
            {name: _clean(value) for name, value in facts.items() if value is not None},
        )
        self._add(problem)
        self._soon(PAUSE)

    def replace(self, tenant: str, kind: str, problems: Found) -> None:
        """These are what there is of a kind now. Others of the kind, if no
        device's, are mended. What was known before is not told as new."""
        now = int(self._clock() * 1000)
        found = [
            Problem(kind, _bounded(text), now, tenant, _bounded(same), facts=_clean(dict(facts)))
            for same, (text, facts) in problems.items()
        ]
        there = {one.same for one in found}

        def write(transaction: Transaction) -> None:
            known = transaction.settle_problems(tenant, kind, but=there)
            transaction.put_problems([one for one in found if one.same not in known])

        self._submit(write)

    def settle(self, tenant: str, kind: str, but: Collection[str]) -> None:
        """Those of a kind that are no device's are mended, except where ``same`` is one of these."""
        self._submit(lambda transaction: transaction.settle_problems(tenant, kind, but=but))

    async def flush(self) -> None:
        """Returns when what was noted before is stored, or cannot be at present."""
        self._store()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settled(_: object, error: BaseException | None) -> None:
            if not done.done():
                done.set_result(None)

        if self._submit(lambda transaction: None, settled):
            await done

    def close(self) -> None:
        """Store what is left."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        rows, self._pending = tuple(self._pending.values()), {}
        if not rows:
            return
        try:
            self._ledger.run(lambda transaction: transaction.put_problems(rows))
        except CommitFailed as error:
            _log.error("problems are not stored", problems=len(rows), reason=str(error))

    # --- how much ----------------------------------------------------------------------------------

    def _is_told_apart(self, tenant: str, kind: str, node: int, by: str, same: str, now: float) -> bool:
        if not self._window <= now < self._window + WINDOW:
            self._window = now
            self._seen.clear()
            self._strangers.clear()
        subject = tenant, kind, by
        seen = self._seen.get(subject)
        if seen is None:
            if len(self._seen) >= SUBJECTS:
                return False
            seen = self._seen[subject] = set()
        if same not in seen:
            if len(seen) >= DIFFERENT or (not node and self._strangers[tenant, kind] >= STRANGERS):
                return False
            self._strangers[tenant, kind] += not node
            seen.add(same)
        return True

    def _add(self, problem: Problem) -> None:
        known = self._pending.get(problem.key)
        if known is None and len(self._pending) >= PENDING:
            problem = attrs.evolve(problem, node=0, same=MORE)
            known = self._pending.get(problem.key)
        self._pending[problem.key] = problem if known is None else known.once_more(problem)

    # --- storing -----------------------------------------------------------------------------------

    def _soon(self, seconds: float) -> None:
        if self._timer is None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._store)

    def _store(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        rows, self._pending = tuple(self._pending.values()), {}
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            self._submit(_putting(some), partial(self._stored, some))

    def _stored(self, rows: tuple[Problem, ...], _: object, error: BaseException | None) -> None:
        if isinstance(error, CommitFailed):
            for one in rows:
                self._add(one)
            self._soon(RETRY_AFTER)
        elif error is not None:
            _log.error("problems are not stored", problems=len(rows), exc_info=error)

    def _submit(
        self,
        write: Callable[[Transaction], object],
        settled: Callable[[Any, BaseException | None], object] | None = None,
    ) -> bool:
        """False if the ledger is closed."""
        try:
            self._ledger.submit(write, settled if settled is not None else _tell)
        except CommitFailed:
            return False
        return True


def _putting(rows: tuple[Problem, ...]) -> Callable[[Transaction], object]:
    return lambda transaction: transaction.put_problems(rows)


def _tell(_: object, error: BaseException | None) -> None:
    if error is not None:
        _log.error("problems are not stored", reason=str(error))


def _bounded(text: str) -> str:
    """Text may quote what a device sent, so what UTF-8 has no place for is escaped."""
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= TEXT else f"{text[: TEXT - 1]}…"


def _clean(value: Any) -> Any:
    match value:
        case str():
            return _bounded(value)
        case bytes():
            return value[:PAYLOAD].hex()
        case dict():
            return {str(name): _clean(one) for name, one in value.items()}
        case list() | tuple():
            return [_clean(one) for one in value]
        case _:
            return value
