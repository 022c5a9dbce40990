"""RETRIEVE: a resource, its children, or references to them (TS-0004, 7.5.2; result content, 7.5.1.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from typing import Any, Final, TypeAlias

import attrs

from lwm2m_server.onem2m.discovery import Discovery
from lwm2m_server.onem2m.errors import BadRequest
from lwm2m_server.onem2m.queries import Content, Query
from lwm2m_server.onem2m.rendering import (
    CONTENT_INSTANCE,
    CSE_BASE,
    Renderer,
    Style,
    named,
    root_key,
    shows_instances,
)
from lwm2m_server.onem2m.tree import AE, Target, as_resource
from lwm2m_server.store.protocols import Inventory, Ledger
from lwm2m_server.store.records import Message, Resource
from lwm2m_server.store.transaction import Reader

FAR: Final = 1000
"""Children that can be passed before it is a matter for another thread."""
PAGE: Final = 50
"""Children read from the ledger at once."""
TURN: Final = 10
"""Children rendered before others may run."""
MAX_TOTAL: Final = 10_000
"""Resources in one answer, all levels together."""

Child: TypeAlias = tuple[Resource | Message, dict[str, Any]]
"""A child and its representation by short names."""


@attrs.frozen(slots=True)
class Result:
    """The body of an answer; ``next_offset`` (from 0) if there is more."""

    body: dict[str, Any] | None
    next_offset: int | None = None


class Budget:
    """What is left of ``MAX_TOTAL``."""

    def __init__(self) -> None:
        self._left = MAX_TOTAL

    def spend(self, count: int) -> None:
        """Raises ``BadRequest`` when it is used up."""
        self._left -= count
        if self._left < 0:
            raise BadRequest(f"more than {MAX_TOTAL} resources; ask for less with lvl, limit or filters")


class Retrieval:
    """Reads what requests ask for."""

    def __init__(self, inventory: Inventory, ledger: Ledger, renderer: Renderer) -> None:
        self._inventory, self._ledger, self._renderer = inventory, ledger, renderer
        self._reader = ledger.reader
        self._discovery = Discovery(inventory, ledger, renderer)

    def attributes(self, target: Target, style: Style, only: Collection[str] = ()) -> dict[str, Any]:
        """``{root key: representation}``, of which ``only`` some attributes may be wanted (``atrl``)."""
        representation = self._renderer.represent(target.what, target.tenant, secrets=style.secrets)
        if only:
            representation = {name: value for name, value in representation.items() if name in only}
        return {root_key(target.what, style.long): named(representation, style.long)}

    async def retrieve(self, target: Target, query: Query, style: Style) -> Result:
        if query.discovery:
            return await self._discover(target, query, style)
        content = Content.ATTRIBUTES if query.content is None else query.content
        if content is Content.NOTHING:
            return Result(None)
        if content is Content.ATTRIBUTES:
            return Result(self.attributes(target, style, query.attributes))
        children, more = await self._children(target, query, style)
        if content is Content.REFERENCES:
            return Result(_references(await self._linked(target, children, query, style), style), more)
        body = self.attributes(target, style) if content is not Content.CHILDREN else {}
        key = root_key(target.what, style.long)
        own = body.setdefault(key, {})
        if content is Content.ATTRIBUTES_AND_REFERENCES:
            own |= named({"ch": await self._linked(target, children, query, style)}, style.long)
        else:
            own |= await self._grouped(target, children, query, style, Budget())
        return Result(body, more)

    async def _discover(self, target: Target, query: Query, style: Style) -> Result:
        """References to all that was found, as a list of addresses unless ``rcn=6`` asks for more."""
        found, more = await self._discovery.find(target, query, style.sees)
        start = self._names(target)
        if query.content is Content.REFERENCES:
            references = [
                self._reference(target, [*start, *one.way], one.what, query, style) for one in found
            ]
            return Result(_references(references, style), more)
        if query.by_id:
            addresses = [self._renderer.ri(one.what, target.tenant) for one in found]
        else:
            addresses = ["/".join([*start, *one.way]) for one in found]
        return Result({"URIList" if style.long else "m2m:uril": addresses}, more)

    def address(self, target: Target) -> str:
        """CSE-relative, by names: ``main/dev1/device-info``."""
        return "/".join(self._names(target))

    async def _grouped(
        self, target: Target, children: list[Child], query: Query, style: Style, budget: Budget
    ) -> dict[str, list[dict[str, Any]]]:
        """Representations by root key; with ``lvl`` above 1 each with its own children."""
        groups: dict[str, list[dict[str, Any]]] = {}
        budget.spend(len(children))
        for count, (child, representation) in enumerate(children):
            if count % TURN == TURN - 1:
                await asyncio.sleep(0)
            own = named(representation, style.long)
            if query.level is not None and query.level > 1:
                below = attrs.evolve(target, what=child)
                narrower = attrs.evolve(query, level=query.level - 1, offset=0)
                grandchildren, _ = await self._children(below, narrower, style)
                own |= await self._grouped(below, grandchildren, narrower, style, budget)
            groups.setdefault(root_key(child, style.long), []).append(own)
        return groups

    async def _children(self, target: Target, query: Query, style: Style) -> tuple[list[Child], int | None]:
        found: list[Child] = []
        skip = query.offset if query.conditions else 0
        walk = await self._walk(target, query.types, query.offset - skip)
        for count, child in enumerate(walk):
            if count % TURN == TURN - 1:
                await asyncio.sleep(0)
            if not style.shows(child):
                continue
            representation = self._renderer.represent(child, target.tenant, secrets=style.secrets)
            if query.conditions and not query.conditions.accept(representation):
                continue
            if skip:
                skip -= 1
            elif len(found) == query.limit:
                return found, query.offset + query.limit
            else:
                found.append((child, representation))
        return found, None

    async def _walk(self, target: Target, types: frozenset[int], skip: int) -> Iterable[Resource | Message]:
        """Children of these types, all if none, in stable order; the first ``skip`` left out."""
        parent = target.what
        if isinstance(parent, Message):
            return ()
        applications: list[Resource] = []
        if parent.type == CSE_BASE and (not types or AE in types):
            found = self._inventory.applications(target.tenant.name)
            applications = [as_resource(one, target.tenant) for one in found]
        after, beyond = await self._pass(parent.id, types, skip - len(applications))
        has_messages = shows_instances(parent) and (not types or CONTENT_INSTANCE in types)
        return chain(
            applications[skip:],
            self._resources(parent.id, types, after) if not beyond else (),
            self._messages(parent.id, beyond) if has_messages else (),
        )

    async def _pass(self, parent: int, types: frozenset[int], skip: int) -> tuple[Resource | None, int]:
        """The last resource to be left out, or how many more things are, because there are not so many."""

        def read(reader: Reader) -> tuple[Resource | None, int]:
            last = reader.children(parent, types=types, limit=1, offset=skip - 1)
            return (last[0], 0) if last else (None, skip - reader.count_children(parent, types))

        if skip <= 0:
            return None, 0
        return read(self._reader) if skip < FAR else await self._ledger.apart(read)

    def _resources(self, parent: int, types: frozenset[int], after: Resource | None) -> Iterator[Resource]:
        while page := self._reader.children(parent, types=types, limit=PAGE, after=after):
            yield from page
            after = page[-1]

    def _messages(self, container: int, skip: int) -> Iterator[Message]:
        page = self._reader.messages(container, limit=PAGE, offset=skip)
        while page:
            yield from page
            page = self._reader.messages(container, limit=PAGE, after=page[-1].id)

    async def _linked(
        self, target: Target, children: list[Child], query: Query, style: Style
    ) -> list[dict[str, Any]]:
        """References to children."""
        names, references = self._names(target), []
        for count, (child, _) in enumerate(children):
            if count % TURN == TURN - 1:
                await asyncio.sleep(0)
            references.append(self._reference(target, [*names, child.name], child, query, style))
        return references

    def _reference(
        self, target: Target, names: list[str], child: Resource | Message, query: Query, style: Style
    ) -> dict[str, Any]:
        ri = self._renderer.ri(child, target.tenant)
        value = ri if query.by_id else "/".join(names)
        type = CONTENT_INSTANCE if isinstance(child, Message) else child.type
        reference = {"nm": child.name, "typ": type, "val": f"/{target.tenant.name}/{value}"}
        if isinstance(child, Resource) and "mgd" in child.attributes:
            reference["spid"] = child.attributes["mgd"]
        return named(reference, style.long)

    def _names(self, target: Target) -> list[str]:
        """Names from the CSEBase down to the target."""
        names: list[str] = []
        what: Resource | Message | None = target.what
        while what is not None and not (isinstance(what, Resource) and what.type == CSE_BASE):
            names.append(what.name)
            above = what.container if isinstance(what, Message) else what.parent
            what = self._above(above) if above != target.tenant.id else None
        return [target.tenant.name, *reversed(names)]

    def _above(self, id: int) -> Resource | None:
        application = self._inventory.application_by_id(id)
        if application is None:
            return self._reader.resource(id)
        tenant = self._inventory.tenant(application.tenant)
        return as_resource(application, tenant) if tenant is not None else None


def _references(references: list[dict[str, Any]], style: Style) -> dict[str, Any]:
    key = "resourceRefList" if style.long else "m2m:rrl"
    return {key: named({"rrf": references}, style.long)}
