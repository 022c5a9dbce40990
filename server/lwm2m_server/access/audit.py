"""``Audit``: who changed what through which door, and what came of it. No contents, no secrets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import structlog

from lwm2m_server.access.callers import Caller
from lwm2m_server.settings import AuditSettings
from lwm2m_server.store.ids import SECOND
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.records import AuditEntry
from lwm2m_server.store.transaction import Transaction

MAX_TEXT: Final = 300
"""Characters of a target or an origin that are kept."""
PRUNE_EVERY: Final = 1_000
"""Entries between two looks at what is too much."""
DAY: Final = 24 * 3600 * SECOND

_log = structlog.get_logger(__name__)


class Audit:
    """Notes what was done, in the next commit: what happens in one turn of the event loop is one write."""

    def __init__(self, ledger: Ledger, settings: AuditSettings) -> None:
        self._ledger, self._settings = ledger, settings
        self._pending: list[AuditEntry] = []
        self._until_prune = 0

    def note(
        self,
        caller: Caller,
        action: str,
        target: str,
        result: int,
        *,
        tenant: str | None,
        origin: str | None = None,
        **facts: Any,
    ) -> None:
        """``tenant`` whose it is. Called on the event loop."""
        if not self._pending:
            asyncio.get_running_loop().call_soon(self._flush)
        if not target.isascii():
            # A path can hold what UTF-8 cannot.
            target = target.encode("utf-8", "backslashreplace").decode()
        at = int(time.time() * SECOND)
        origin = origin[:MAX_TEXT] if origin is not None else None
        entry = AuditEntry(at, tenant, caller.client, origin, action, target[:MAX_TEXT], result, facts)
        self._pending.append(entry)

    def close(self) -> None:
        """Keep what was noted last."""
        if self._pending:
            entries, self._pending = self._pending, []
            self._ledger.run(lambda transaction: transaction.add_audit(entries))

    def _flush(self) -> None:
        entries, self._pending = self._pending, []
        if not entries:
            return
        self._until_prune -= len(entries)
        prune = self._until_prune <= 0
        if prune:
            self._until_prune = PRUNE_EVERY
        self._ledger.submit(lambda transaction: self._write(transaction, entries, prune), _tell)

    def _write(self, transaction: Transaction, entries: Sequence[AuditEntry], prune: bool) -> None:
        transaction.add_audit(entries)
        if prune:
            since = entries[-1].at - self._settings.days * DAY
            transaction.prune_audit(keep=self._settings.entries, since=since)


def _tell(_: object, error: BaseException | None) -> None:
    if error is not None:
        _log.error("lines of the audit log are lost", reason=str(error))
