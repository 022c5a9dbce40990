"""Who waits for what a device says to a message it is sent: ``Prefer: wait=N`` (RFC 7240)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, TypeVar

import attrs

from lwm2m_engine.engine.events import Event, Failed, Received
from lwm2m_server.bus import Bus

T = TypeVar("T")
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]

_PREFERENCE: Final = re.compile(
    r"""\s*(?P<name>[!#$%&'*+.^`|~\w-]+)
    (?:\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<value>[!#$%&'*+.^`|~\w-]*)))?
    (?:\s*;\s*(?:[^",;]|"(?:[^"\\]|\\.)*")*)*\s*(?:,|$)""",
    re.VERBOSE | re.ASCII,
)


@attrs.define
class _Wait:
    done: asyncio.Future[int]
    row: int | None = None
    """The message in ``received-msg`` or ``error-msg``, once it is planned."""


class Answers:
    """By the message that is answered; belongs to the event loop."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: dict[int, _Wait] = {}
        self._unsubscribe: Callable[[], None] | None = None

    @contextmanager
    def expected(self, message: int) -> Iterator[asyncio.Future[int]]:
        """Gives the id of the answer's row when that is durable.

        To be entered before the loop does anything else after the message is stored: see ``Commits.add``.
        """
        wait = self._waiting[message] = _Wait(asyncio.get_running_loop().create_future())
        if self._unsubscribe is None:
            self._unsubscribe = self._bus.subscribe(self._heard, Received, Failed)
        try:
            yield wait.done
        finally:
            del self._waiting[message]
            if not self._waiting and self._unsubscribe is not None:
                self._unsubscribe()
                self._unsubscribe = None

    def planned(self, message: int, row: int) -> None:
        """The answer to a message is about to be stored."""
        wait = self._waiting.get(message)
        if wait is not None:
            wait.row = row

    def _heard(self, tenant: str, event: Event) -> None:
        assert isinstance(event, (Received, Failed))
        if isinstance(event, Received) and event.more:
            return
        wait = self._waiting.get(event.message) if event.message is not None else None
        if wait is not None and wait.row is not None and not wait.done.done():
            wait.done.set_result(wait.row)


async def unless_gone(answer: asyncio.Future[T], receive: Receive, seconds: float) -> T | None:
    """``None`` if it does not come in time, or while the client is there whose request was read."""
    leaving = asyncio.ensure_future(receive())
    try:
        await asyncio.wait((answer, leaving), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return answer.result() if answer.done() else None
    finally:
        leaving.cancel()


def preferred_wait(fields: str) -> int | None:
    """Seconds of ``wait`` in the fields ``Prefer``; what cannot be read is no preference."""
    for name, value in _preferences(fields):
        if name == "wait":
            return int(value) if value.isascii() and value.isdigit() and len(value) <= 9 else None
    return None


def _preferences(fields: str) -> Iterator[tuple[str, str]]:
    """The first of several of a name is the one that counts (RFC 7240, 2)."""
    place = 0
    while (found := _PREFERENCE.match(fields, place)) is not None:
        quoted = found["quoted"]
        value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else found["value"] or ""
        yield found["name"].lower(), value
        if found.end() == place or found.end() == len(fields):
            return
        place = found.end()
