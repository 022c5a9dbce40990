"""``Chores``: work on thousands of resources, in turns so small that nobody else waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from typing import Final, TypeAlias

import attrs
import structlog

from lwm2m_server.store.errors import CommitFailed

Turns: TypeAlias = Callable[[], AsyncIterator[None]]
"""Begins the work; it yields after each turn. What it does twice it must have done once."""

RETRY_AFTER: Final = 1.0
"""Seconds until work begins anew that the store could not keep."""

_log = structlog.get_logger(__name__)


@attrs.define(eq=False)
class _Chore:
    begin: Turns
    turns: AsyncIterator[None]
    done: asyncio.Future[None]
    again: bool = False
    not_before: float = 0.0


class Chores:
    """One turn of one chore at a time; each gets its turn. Belongs to the event loop."""

    def __init__(self) -> None:
        self._chores: dict[Hashable, _Chore] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, key: Hashable, begin: Turns) -> asyncio.Future[None]:
        """What is under way under the same key is begun anew when it is through. The result is done when
        nothing is left to do; cancelling it changes nothing."""
        chore = self._chores.get(key)
        if chore is not None:
            chore.begin, chore.again = begin, True
            return chore.done
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._chores[key] = _Chore(begin, begin(), done)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work(), name="chores")
        return done

    async def close(self) -> None:
        """What is not done is begun again at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for chore in self._chores.values():
            chore.done.cancel()
        self._chores.clear()

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._chores:
            now = loop.time()
            ready = [key for key, chore in self._chores.items() if chore.not_before <= now]
            for key in ready:
                await self._turn(key, self._chores[key])
                # Whatever waited meanwhile comes first.
                await asyncio.sleep(0)
            if not ready:
                await asyncio.sleep(min(chore.not_before for chore in self._chores.values()) - now)
        self._task = None

    async def _turn(self, key: Hashable, chore: _Chore) -> None:
        try:
            await anext(chore.turns)
        except StopAsyncIteration:
            self._finish(key, chore)
        except CommitFailed as error:
            _log.warning("work in the background is repeated later", work=key, reason=str(error))
            chore.turns = chore.begin()
            chore.not_before = asyncio.get_running_loop().time() + RETRY_AFTER
        except Exception:  # noqa: BLE001 - a fault of ours
            # Other work goes on, and this is tried again at the next start.
            _log.exception("work in the background failed", work=key)
            chore.again = False
            self._finish(key, chore)

    def _finish(self, key: Hashable, chore: _Chore) -> None:
        if chore.again:
            chore.again, chore.turns = False, chore.begin()
            return
        del self._chores[key]
        if not chore.done.done():
            chore.done.set_result(None)
