"""``PendingDevices``: who came and waits for somebody's word; in memory, as they come again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import attrs

from lwm2m_server.security.credentials import Credential, Side

MAX_PENDING: Final = 1000
"""Of one tenant."""
MAX_SOURCES: Final = 10_000
BURST: Final = 20.0
"""New devices of one address at a time."""
RATE: Final = 1.0
"""New devices of one address in a second."""


@attrs.frozen(slots=True)
class Pending:
    """A device that fits a rule. The credential is the one it came with."""

    tenant: str
    rule: str
    endpoint: str
    side: Side
    credential: Credential = attrs.field(repr=False)
    address: str
    first: float
    """Seconds since 1970-01-01 UTC."""
    last: float
    attempts: int = 1


class PendingDevices:
    """By tenant and endpoint name. When there are too many, no others are taken."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, Pending]] = {}

    def of(self, tenant: str) -> Sequence[Pending]:
        return list(self._found.get(tenant, {}).values())

    def get(self, tenant: str, endpoint: str) -> Pending | None:
        return self._found.get(tenant, {}).get(endpoint)

    def note(self, pending: Pending) -> bool:
        """It came, perhaps again; false if there is no room."""
        rows = self._found.setdefault(pending.tenant, {})
        known = rows.get(pending.endpoint)
        if known is not None:
            pending = attrs.evolve(pending, first=known.first, attempts=known.attempts + 1)
        elif len(rows) >= MAX_PENDING:
            return False
        rows[pending.endpoint] = pending
        return True

    def remove(self, tenant: str, endpoint: str) -> Pending | None:
        return self._found.get(tenant, {}).pop(endpoint, None)

    def forget(self, tenant: str, rule: str) -> None:
        """Those that came by a rule that is another one now, or gone."""
        rows = self._found.get(tenant, {})
        for endpoint in [one.endpoint for one in rows.values() if one.rule == rule]:
            del rows[endpoint]


class Sources:
    """How many new devices each address may bring: a token bucket for each."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str, now: float) -> bool:
        """False if it has brought too many lately."""
        tokens, at = self._buckets.pop(address, (BURST, now))
        tokens = min(BURST, tokens + max(0.0, now - at) * RATE)
        may = tokens >= 1
        self._buckets[address] = (tokens - 1 if may else tokens), now
        if len(self._buckets) > MAX_SOURCES:
            self._buckets.popitem(last=False)
        return may
