"""Token buckets: how often somebody may do something."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

import attrs

MAX_BUCKETS: Final = 10_000


@attrs.define(slots=True)
class Bucket:
    """``burst`` at once, and ``rate`` more a second. Times are those of one clock that never goes back."""

    rate: float
    burst: float
    _left: float = attrs.field(init=False)
    _since: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._left = self.burst

    def take(self, now: float) -> float:
        """0, or the seconds until the next may be had."""
        left = min(self.burst, self._left + (now - self._since) * self.rate)
        self._since = now
        if left >= 1.0:
            self._left = left - 1.0
            return 0.0
        self._left = left
        return (1.0 - left) / self.rate

    def is_empty(self, now: float) -> bool:
        """Whether nothing can be had; takes nothing."""
        return min(self.burst, self._left + (now - self._since) * self.rate) < 1.0


class Buckets:
    """One a name. Bounded: the one that was not asked for longest is forgotten, and is full again then."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: OrderedDict[Hashable, Bucket] = OrderedDict()

    def of(self, name: Hashable) -> Bucket:
        found = self._buckets.get(name)
        if found is None:
            found = self._buckets[name] = Bucket(self._rate, self._burst)
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(name)
        return found
