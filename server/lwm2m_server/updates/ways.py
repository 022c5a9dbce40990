"""How a device gets a package: which ways there are, and which is tried first."""

from __future__ import annotations

from typing import Final

from lwm2m_server.store.definitions import Package
from lwm2m_server.updates.objects import Facts
from lwm2m_server.updates.records import UpdateRefused

PUSH, PULL = "push", "pull"
_PULL_ONLY, _PUSH_ONLY = 0, 1
_STRATEGIES: Final = {1: PUSH, 2: PULL, 3: PULL}


def ways_of(package: Package, method: str, strategy: int, facts: Facts) -> tuple[str, ...]:
    """In the order they are tried. What the device says of its delivery methods counts more than what its
    profile wants (``strategy``), and less than what was asked for (``method``).

    Raises ``UpdateRefused``.
    """
    if package.url is not None:
        if facts.delivery == _PUSH_ONLY:
            raise UpdateRefused("the device fetches no packages, and this one lies elsewhere")
        return (PULL,)
    if method != "auto":
        return (method,)
    if facts.delivery in (_PULL_ONLY, _PUSH_ONLY):
        return (PUSH,) if facts.delivery == _PUSH_ONLY else (PULL,)
    first = _STRATEGIES.get(strategy, PUSH)
    return (PUSH, PULL) if first == PUSH else (PULL, PUSH)
