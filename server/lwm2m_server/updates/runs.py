"""``Runs``: the updates that are not over, by their ids and by their devices."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import attrs

from lwm2m_server.directory import key_of
from lwm2m_server.store.records import Device
from lwm2m_server.updates.course import Action
from lwm2m_server.updates.records import Update


@attrs.define(eq=False)
class Run:
    """An update that is not over."""

    update: Update
    key: str
    """Of the device, in its engine."""
    task: asyncio.Task[None] | None = None
    """Asks for ``action``."""
    action: Action | None = None
    timer: asyncio.TimerHandle | None = None
    pending: int = 0
    """Commits under way."""

    def stop(self) -> None:
        self.stop_asking()
        self.stop_waiting()

    def stop_asking(self) -> None:
        # What is asked may be over because of what it has come to: then it ends by itself.
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()
        self.task = self.action = None

    def stop_waiting(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Runs:
    def __init__(self) -> None:
        self._runs: dict[int, Run] = {}
        self._by_key: dict[str, set[int]] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(tuple(self._runs.values()))

    def __contains__(self, run: object) -> bool:
        return isinstance(run, Run) and self._runs.get(run.update.id) is run

    def get(self, id: int) -> Run | None:
        return self._runs.get(id)

    def of(self, key: str) -> list[Run]:
        return [self._runs[id] for id in self._by_key.get(key, ())]

    def enter(self, update: Update, device: Device) -> Run:
        run = self._runs[update.id] = Run(update, key_of(device))
        self._by_key.setdefault(run.key, set()).add(update.id)
        return run

    def leave(self, run: Run) -> None:
        run.stop()
        self._runs.pop(run.update.id, None)
        others = self._by_key.get(run.key, set())
        others.discard(run.update.id)
        if not others:
            self._by_key.pop(run.key, None)

    def rename(self, device: Device) -> None:
        """The device goes by another name from now on."""
        key = key_of(device)
        for run in [one for one in self if one.update.node == device.node and one.key != key]:
            others = self._by_key[run.key]
            others.discard(run.update.id)
            if not others:
                del self._by_key[run.key]
            run.key = key
            self._by_key.setdefault(key, set()).add(run.update.id)
