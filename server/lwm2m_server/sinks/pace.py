"""How many notices a broker is given at once."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from lwm2m_server.sinks.protocols import Refused, Retry
from lwm2m_server.store.records import Notice


@attrs.define(slots=True)
class Pace:
    """As many as a sink can take; but one by one for a while after one of several was refused, so that no
    other shares its fate."""

    most: int
    _careful: int = 0
    """So many go one by one."""

    @property
    def limit(self) -> int:
        return 1 if self._careful else self.most

    def delivered(self, notices: int) -> None:
        self._careful = max(self._careful - notices, 0)

    def stumbled(self) -> None:
        """Something happened that may have been about one of several."""
        self._careful = self.most

    def refused(self, batch: Sequence[Notice], reason: str) -> Retry | Refused:
        """What to raise if a broker will never take one of these."""
        if len(batch) == 1:
            self.delivered(1)
            return Refused(reason)
        self.stumbled()
        return Retry(reason, after=0.0)
