"""``Rereading``: payloads that became no values are decoded again, with the models there are by now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import structlog

from lwm2m_engine.codecs import Codecs
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import CodecError
from lwm2m_engine.messages.wire import below
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_server.problems.kinds import UNDECODABLE
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.records import Device
from lwm2m_server.store.reports import report
from lwm2m_server.store.transaction import Transaction
from lwm2m_server.store.undecoded import Undecoded
from lwm2m_server.telemetry.recording import is_complete, samples_of

NODES: Final = 64
"""Devices looked up at a time."""
REST: Final = 0.005
"""Seconds between two devices: others come first."""

_log = structlog.get_logger(__name__)


class Rereading:
    """Belongs to the event loop. Say ``soon`` when models changed, and at the start: they may have since."""

    def __init__(self, ledger: Ledger, models: Callable[[Device], ModelView], codecs: Codecs) -> None:
        self._ledger, self._models, self._codecs = ledger, models, codecs
        self._task: asyncio.Task[None] | None = None
        self._again = False

    def soon(self) -> None:
        """What is under way begins anew after its end."""
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work(), name="rereading")

    async def close(self) -> None:
        """What is left is read again at the next start."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        while self._again:
            self._again = False
            try:
                found = await self._all()
            except CommitFailed as error:
                _log.warning("payloads are not read again", reason=str(error))
                return
            if found:
                _log.info("payloads could be decoded with the models there are now", payloads=found)

    async def _all(self) -> int:
        after = found = 0
        while nodes := self._ledger.reader.nodes_undecoded(after=after, limit=NODES):
            after = nodes[-1]
            for node in nodes:
                device = self._ledger.reader.device(node)
                if device is not None:
                    found += await self._reread(device)
                await asyncio.sleep(REST)
        return found

    async def _reread(self, device: Device) -> int:
        """Values at the times they were told, as if the models had been there."""
        models, node = self._models(device), device.node
        lines: dict[int, bytes] = {}
        places: set[str] = set()
        for one in self._ledger.reader.undecoded(node):
            entries = self._decoded(one, device, models)
            if entries:
                places.add(f"{one.prefix}{one.path}")
                samples = samples_of(entries, one.content_format, models)
                complete = is_complete(one.source, one.path, one.paths)
                lines[one.number] = report(
                    one.at, one.source, samples, is_complete=complete, prefix=one.prefix
                )
        if not lines:
            return 0

        def store(transaction: Transaction) -> None:
            for line in lines.values():
                transaction.add_values(node, line)
            transaction.remove_undecoded(node, lines)
            transaction.mend_problems(node, UNDECODABLE, places)

        await self._ledger.commit(store)
        return len(lines)

    def _decoded(self, one: Undecoded, device: Device, models: ModelView) -> Sequence[Entry]:
        """Nothing if it still cannot be."""
        root = device.registration.root if device.registration is not None else "/"
        try:
            entries = self._codecs.decode(
                one.payload,
                one.content_format or 0,
                at=one.path,
                types=models.types,
                now=one.at,
                root=below(root, one.prefix),
                multiple=partial(_is_multiple, models),
            )
        except CodecError:
            return ()
        asked = one.paths or (one.path,)
        return entries if all(any(entry.path.startswith(path) for path in asked) for entry in entries) else ()


def _is_multiple(models: ModelView, path: Path) -> bool | None:
    spec = models.resource(path)
    return None if spec is None else spec.multiple
