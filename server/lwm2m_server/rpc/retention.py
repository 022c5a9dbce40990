"""RPCs that have an outcome are forgotten after a while."""

from __future__ import annotations

from typing import Final

import structlog

from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.protocols import Ledger

AT_ONCE: Final = 500
"""Rows deleted in one transaction."""

_log = structlog.get_logger(__name__)


async def tidy(ledger: Ledger, before: float) -> None:
    """Those whose outcome is older; seconds since 1970-01-01 UTC."""
    forgotten = AT_ONCE
    try:
        while forgotten == AT_ONCE:
            forgotten = await ledger.commit(lambda write: write.forget_rpcs(before, AT_ONCE))
    except CommitFailed as error:
        _log.warning("old RPCs could not be forgotten", reason=str(error))
