"""Subscribers: which resources somebody wants to hear of, in memory; so that a change of any other costs
one look-up."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from lwm2m_server.store.documents import dumps
from lwm2m_server.store.records import Resource, Subscriber

SUBSCRIPTION: Final = 23
"""``ty``"""

VERSION_7: Final = "CREATE INDEX resource_subscription ON resource (id) WHERE ty = 23;"

_ALL = "SELECT id, tenant, parent, attributes FROM resource WHERE ty = 23"
_PAGE = """SELECT id FROM resource INDEXED BY resource_subscription WHERE ty = 23 AND id > ?1 AND tenant = ?2
    AND json_extract(attributes, '$.cr') IS NOT ?3
    AND (?4 IS NULL OR EXISTS (SELECT 1 FROM json_each(attributes, '$.nu')
                               WHERE value IN (SELECT value FROM json_each(?4))))
    ORDER BY id LIMIT ?5"""


class SubscriptionReader:
    """The part of a ``Reader`` that is about subscriptions."""

    _execute: Callable[..., sqlite3.Cursor]

    def subscriptions(
        self,
        tenant: str,
        *,
        targets: Collection[str] | None = None,
        not_by: str | None = None,
        after: int = -1,
        limit: int,
    ) -> Sequence[int]:
        among = None if targets is None else dumps(sorted(targets))
        return [id for (id,) in self._execute(_PAGE, (after, tenant, not_by, among, limit)).fetchall()]


class Subscribers:
    """``watched`` is what is committed: by resource, those who subscribed to it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.watched: dict[int, tuple[Subscriber, ...]] = {}
        for id, tenant, parent, document in connection.execute(_ALL):
            self._enter(parent, Subscriber(id, sys.intern(tenant), sys.intern(document)))
        self._pending: list[tuple[int, int, Subscriber | None]] = []
        """Resource, subscription, and what it is now."""

    def put(self, subscription: Resource, attributes: Mapping[str, Any]) -> None:
        """One is new, or has other attributes now."""
        # Thousands have the same.
        document = sys.intern(dumps(attributes))
        subscriber = Subscriber(subscription.id, sys.intern(subscription.tenant), document)
        self._pending.append((subscription.parent, subscription.id, subscriber))

    def remove(self, resource: int, subscription: int) -> None:
        self._pending.append((resource, subscription, None))

    def mark(self) -> int:
        """For ``back_to``."""
        return len(self._pending)

    def back_to(self, mark: int) -> None:
        """What came after ``mark`` was undone."""
        del self._pending[mark:]

    def committed(self) -> None:
        for resource, subscription, subscriber in self._pending:
            self._leave(resource, subscription)
            if subscriber is not None:
                self._enter(resource, subscriber)
        self.rolled_back()

    def rolled_back(self) -> None:
        if self._pending:
            self._pending = []

    def _enter(self, resource: int, subscriber: Subscriber) -> None:
        self.watched[resource] = (*self.watched.get(resource, ()), subscriber)

    def _leave(self, resource: int, subscription: int) -> None:
        rest = tuple(one for one in self.watched.get(resource, ()) if one.id != subscription)
        if rest:
            self.watched[resource] = rest
        else:
            self.watched.pop(resource, None)
