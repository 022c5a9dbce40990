"""``TinyCollection``: the inventory's documents of one kind, each told by its tenant and its name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

import cattrs
from tinydb import TinyDB, where
from tinydb.queries import QueryInstance, QueryLike

from lwm2m_server.store.errors import Conflict
from lwm2m_server.store.protocols import Named

T = TypeVar("T", bound=Named)
Change: TypeAlias = Callable[[Callable[[TinyDB], None]], Awaitable[None]]


class TinyCollection(Generic[T]):
    """The ``Collection`` of ``protocols``, a table of the inventory."""

    def __init__(self, table: str, kind: type[T], converter: cattrs.Converter, change: Change) -> None:
        """``change`` runs a function on a draft of the inventory, and makes the draft durable."""
        self.table, self.kind = table, kind
        self._converter, self._change = converter, change
        self._all: Sequence[T] = ()
        self._found: dict[tuple[str | None, str], T] = {}

    def read(self, database: TinyDB) -> Sequence[T]:
        """What is in the file; may run on another thread."""
        return [self._converter.structure(row, self.kind) for row in database.table(self.table).all()]

    def show(self, found: Sequence[T]) -> None:
        """From now on it is this."""
        self._all = found
        self._found = {(one.tenant, one.name): one for one in found}

    def all(self) -> Sequence[T]:
        return self._all

    def of(self, tenant: str | None) -> Sequence[T]:
        return [one for one in self._all if one.tenant == tenant]

    def get(self, tenant: str | None, name: str) -> T | None:
        return self._found.get((tenant, name))

    async def add(self, document: T) -> None:
        row: Any = self._converter.unstructure(document)

        def insert(draft: TinyDB) -> None:
            if draft.table(self.table).contains(_told(document.tenant, document.name)):
                raise Conflict(f"the name {document.name!r} is taken")
            draft.table(self.table).insert(row)

        await self._change(insert)

    async def put(self, document: T) -> None:
        await self.put_all((document,))

    async def put_all(self, documents: Sequence[T]) -> None:
        names = {(document.tenant, document.name) for document in documents}

        def replace(draft: TinyDB) -> None:
            _remove(draft, self.table, lambda row: (row["tenant"], row["name"]) in names)
            draft.table(self.table).insert_multiple(map(self._converter.unstructure, documents))

        await self._change(replace)

    async def remove(self, tenant: str | None, name: str) -> None:
        await self._change(lambda draft: _remove(draft, self.table, _told(tenant, name)))


def _remove(draft: TinyDB, table: str, wanted: QueryLike) -> None:
    draft.table(table).remove(wanted)


def _told(tenant: str | None, name: str) -> QueryInstance:
    wanted: QueryInstance = (where("tenant") == tenant) & (where("name") == name)
    return wanted
