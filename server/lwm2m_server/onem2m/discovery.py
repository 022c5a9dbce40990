"""Discovery: what lies below a resource and meets conditions (TS-0004, 7.3.3.14; ``fu=1``).

All generations may be searched, so it runs on a thread, with a connection of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Final

import attrs

from lwm2m_server.onem2m.errors import TooMuch
from lwm2m_server.onem2m.names import TYPES
from lwm2m_server.onem2m.queries import UNLIMITED, Query
from lwm2m_server.onem2m.rendering import CONTENT_INSTANCE, CSE_BASE, Renderer, Sight, shows_instances
from lwm2m_server.onem2m.tree import AE, Target, as_resource
from lwm2m_server.store.protocols import Inventory, Ledger
from lwm2m_server.store.records import Message, Resource
from lwm2m_server.store.transaction import Reader

MAX_INSPECTED: Final = 200_000
"""Resources one search may look at."""
PAGE: Final = 100
"""Children read from the ledger at once."""


@attrs.frozen(slots=True)
class Found:
    """A resource and the names that lead to it from the target."""

    what: Resource | Message
    way: tuple[str, ...]


class Discovery:
    """Searches what requests ask for."""

    def __init__(self, inventory: Inventory, ledger: Ledger, renderer: Renderer) -> None:
        self._inventory, self._ledger, self._renderer = inventory, ledger, renderer

    async def find(
        self, target: Target, query: Query, sees: Sight | None = None
    ) -> tuple[list[Found], int | None]:
        """What was found, parents before children, and where to go on if there is more.

        Raises ``TooMuch`` when ``MAX_INSPECTED`` do not suffice.
        """
        what = target.what
        if isinstance(what, Message):
            return [], None
        applications: list[Resource] = []
        if what.type == CSE_BASE and (not query.types or AE in query.types or _leads(AE, query.types)):
            known = self._inventory.applications(target.tenant.name)
            applications = [as_resource(one, target.tenant) for one in known]

        def search(reader: Reader) -> tuple[list[Found], int | None]:
            sight = None if sees is None else sees.reading(reader)
            candidates = _below(reader, what, applications, query, sight)
            return _page(_matching(candidates, target, query, self._renderer.reading(reader)), query)

        return await self._ledger.apart(search)


def _page(found: Iterator[Found], query: Query) -> tuple[list[Found], int | None]:
    page: list[Found] = []
    for count, one in enumerate(found):
        if count == query.offset + query.limit:
            return page, count
        if count >= query.offset:
            page.append(one)
    return page, None


def _matching(
    candidates: Iterator[Found], target: Target, query: Query, renderer: Renderer
) -> Iterator[Found]:
    for inspected, one in enumerate(candidates):
        if inspected == MAX_INSPECTED:
            raise TooMuch(
                f"more than {MAX_INSPECTED} resources lie below it; begin further down, or say ty or lvl"
            )
        if query.types and _type(one.what) not in query.types:
            continue
        if not query.conditions or query.conditions.accept(renderer.represent(one.what, target.tenant)):
            yield one


def _below(
    reader: Reader,
    start: Resource,
    applications: Sequence[Resource],
    query: Query,
    sees: Sight | None,
) -> Iterator[Found]:
    """Depth first. Branches that cannot hold what is looked for are left out."""
    levels = UNLIMITED if query.level is None else query.level
    first = (Found(one, (one.name,)) for one in applications)
    stack: list[Iterator[Found]] = [chain(first, _children(reader, start, (), query.types))]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
            continue
        what = found.what
        if sees is not None and isinstance(what, Resource) and not sees(what):
            continue
        yield found
        if isinstance(what, Resource) and len(stack) < levels and _leads(what.type, query.types):
            stack.append(_children(reader, what, found.way, query.types))


def _children(
    reader: Reader, parent: Resource, way: tuple[str, ...], types: frozenset[int]
) -> Iterator[Found]:
    after: Resource | None = None
    while page := reader.children(parent.id, limit=PAGE, after=after):
        for child in page:
            if not types or child.type in types or _leads(child.type, types):
                yield Found(child, (*way, child.name))
        after = page[-1]
    if shows_instances(parent) and (not types or CONTENT_INSTANCE in types):
        last = 0
        while messages := reader.messages(parent.id, limit=PAGE, after=last):
            yield from (Found(one, (*way, one.name)) for one in messages)
            last = messages[-1].id


def _type(what: Resource | Message) -> int:
    return CONTENT_INSTANCE if isinstance(what, Message) else what.type


@lru_cache(maxsize=1024)
def _leads(type: int, types: frozenset[int]) -> bool:
    """Whether one of ``types`` (of any, if there are none) may lie below a resource of ``type``."""
    below = _descendants(type)
    return bool(below if not types else below & types)


@lru_cache(maxsize=64)
def _descendants(type: int) -> frozenset[int]:
    found: set[int] = set()
    new = {type}
    while new:
        new = {child for row in TYPES if row.ty in new for child in row.children} - found
        found |= new
    return frozenset(found)
