"""Subscribers: which resources somebody wants to hear of, in memory; so that a change of any other costs
one look-up."""

from __future__ import annotations

import sqlite3
import sys
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import orjson

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
    """Who subscribed to which resource, as it is committed; those of one resource in order of their ids."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.watched: dict[int, list[Subscriber]] = {}
        self.watched_closely: dict[int, list[Subscriber]] = {}
        """Those among them who want to hear of other subscriptions, too."""
        for id, tenant, parent, document in connection.execute(_ALL):
            self._settle(parent, id, Subscriber(id, sys.intern(tenant), sys.intern(document)))
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
        for pending in self._pending:
            self._settle(*pending)
        self.rolled_back()

    def rolled_back(self) -> None:
        if self._pending:
            self._pending = []

    def _settle(self, resource: int, subscription: int, subscriber: Subscriber | None) -> None:
        _settle(self.watched, resource, subscription, subscriber)
        close = subscriber if subscriber is not None and _watches_closely(subscriber) else None
        _settle(self.watched_closely, resource, subscription, close)


def _watches_closely(subscriber: Subscriber) -> bool:
    if '"chty"' not in subscriber.document:
        return False
    return SUBSCRIPTION in orjson.loads(subscriber.document).get("enc", {}).get("chty", ())


_id = attrgetter("id")


def _settle(
    watched: dict[int, list[Subscriber]], resource: int, subscription: int, subscriber: Subscriber | None
) -> None:
    """There may be thousands for one resource: the place of one is searched for, not walked to."""
    others = watched.get(resource)
    if others is None:
        if subscriber is not None:
            watched[resource] = [subscriber]
        return
    place = bisect_left(others, subscription, key=_id)
    after = place + 1 if place < len(others) and others[place].id == subscription else place
    others[place:after] = () if subscriber is None else (subscriber,)
    if not others:
        del watched[resource]
