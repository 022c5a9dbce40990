"""Removals: a resource goes at once, what lies below it a bounded share at a time.

Nothing leads to what lies below a resource that is gone. What could not be deleted together with it is found
by the table ``doomed`` until it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lwm2m_server.store import campaigns, rpc
from lwm2m_server.store.contents import CONTAINER
from lwm2m_server.store.errors import Conflict
from lwm2m_server.store.records import Brood, Resource
from lwm2m_server.store.resources import NODE, ResourceWriter
from lwm2m_server.store.subscribers import SUBSCRIPTION

AT_ONCE: Final = 500
"""Messages deleted together with a resource: all of a node, as a rule."""
COST: Final = 4
"""A resource takes as long as so many messages."""

_ROW = "SELECT id, ty, parent, brood FROM resource WHERE"
_OVER = "SELECT id FROM resource WHERE parent = ? AND name = ? AND expires <= ? AND ty <> ?"
_DELETE_DEVICE = (
    "DELETE FROM device WHERE node = ?",
    "DELETE FROM liveness WHERE node = ?",
    "DELETE FROM inputs WHERE node = ?",
    "DELETE FROM observation WHERE node = ?",
    "DELETE FROM unanswered WHERE node = ?",
    "DELETE FROM credential WHERE node = ?",
    "DELETE FROM bootstrap_material WHERE node = ?",
    "DELETE FROM oscore_number WHERE node = ?",
    "DELETE FROM route WHERE node = ?",
    "DELETE FROM desired WHERE node = ?",
    campaigns.REMOVED,
    "DELETE FROM device_update WHERE node = ?",
    "DELETE FROM report WHERE node = ?",
    "DELETE FROM latest WHERE node = ?",
    "DELETE FROM undecoded WHERE node = ?",
    "DELETE FROM problem WHERE node = ?",
    "INSERT OR IGNORE INTO forsaken VALUES (?)",
    *rpc.DELETE_OF_NODE,
)


class RemovalWriter(ResourceWriter):
    """The part of a ``Transaction`` that is about what goes."""

    def put(
        self,
        resource: Resource,
        *,
        evict: bool = True,
        brood: Brood | None = None,
        endpoint: str | None = None,
    ) -> None:
        try:
            super().put(resource, evict=evict, brood=brood, endpoint=endpoint)
        except Conflict:
            # Nobody sees what is over: its name is free. A node has more to it than the ledger knows.
            over = self._execute(_OVER, (resource.parent, resource.name, self._now(), NODE)).fetchone()
            if over is None:
                raise
            self.remove(over[0])
            super().put(resource, evict=evict, brood=brood, endpoint=endpoint)

    def remove(self, id: int) -> None:
        self._with_row(id)
        row = self._execute(f"{_ROW} id = ?", (id,)).fetchone()
        begun = [id] if row is None else self._strike(*row)
        self._doom(self._clear(begun, AT_ONCE))

    def doom(self, id: int) -> None:
        self._doom([id])

    def spare(self, id: int) -> None:
        self._execute("DELETE FROM doomed WHERE id = ?", (id,))

    def is_doomed(self, id: int) -> bool:
        return self._execute("SELECT 1 FROM doomed WHERE id = ?", (id,)).fetchone() is not None

    def clear(self, ids: Sequence[int], budget: int) -> None:
        left = self._clear(list(ids), budget)
        self._connection.executemany(
            "DELETE FROM doomed WHERE id = ?", [(id,) for id in set(ids).difference(left)]
        )
        self._doom(left)

    def _doom(self, ids: Sequence[int]) -> None:
        self._connection.executemany("INSERT OR IGNORE INTO doomed VALUES (?)", [(id,) for id in ids])

    def _clear(self, begun: list[int], budget: int) -> list[int]:
        """Delete up to so many messages, or as much else, of what lies below resources that are gone;
        returns those below which there may be more."""
        while begun and budget > 0:
            budget = self._clear_messages(begun[-1], budget)
            if budget <= 0:
                break
            limit = max(budget // COST, 1)
            rows = self._execute(f"{_ROW} parent = ? LIMIT ?", (begun[-1], limit)).fetchall()
            if not rows:
                begun.pop()
            for row in rows:
                begun += self._strike(*row)
            budget -= COST * len(rows)
        return begun

    def _strike(self, id: int, type: int, parent: int, brood: int | None) -> list[int]:
        """Delete a resource, and what it was born with; returns those below which there may be more."""
        self._execute("DELETE FROM resource WHERE id = ?", (id,))
        self._families.pop(id, None)
        children = self._brood(brood).children if brood is not None else ()
        containers = [id + one.offset for one in children if one.type == CONTAINER]
        if type == CONTAINER:
            containers.append(id)
        for container in containers:
            self._remove_container(container)
        if type == NODE:
            for statement in _DELETE_DEVICE:
                self._execute(statement, (id,))
        elif type == SUBSCRIPTION:
            self._subscribers.remove(parent, id)
            return []
        return [id, *(id + one.offset for one in children)]
