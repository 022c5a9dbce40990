"""``Notices``: who has to hear of a change. Called inside the commit that makes it, by both doors of the
tree; what subscribers get is stored together with the change (TS-0004, 7.5.1.2.2)."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import orjson

from lwm2m_server.onem2m.notify.criteria import (
    CHILD_CREATED,
    CHILD_DELETED,
    DELETED,
    MODIFIED,
    REFERENCE,
    UPDATED,
    Criteria,
    read_criteria,
)
from lwm2m_server.onem2m.rendering import CONTENT_INSTANCE, Renderer, named, root_key
from lwm2m_server.security.store import Credentials
from lwm2m_server.settings import Settings
from lwm2m_server.store.ids import ResourceIds
from lwm2m_server.store.protocols import (
    Inventory,
    Lane,
    Ledger,
    Message,
    Resource,
    Subscriber,
    Tenant,
    Transaction,
)

SUBSCRIPTION: Final = 23
KNOWN: Final = 10_000
"""Texts of subscriptions whose meaning is kept in memory."""
What: TypeAlias = Resource | Message


class Notices:
    """Belongs to the ledger's writer: nothing but the transaction is touched.

    Each call costs one look-up if nobody subscribed.
    """

    def __init__(
        self,
        ledger: Ledger,
        inventory: Inventory,
        renderer: Renderer,
    ) -> None:
        self.watched = ledger.watched
        """Resources that somebody subscribed to, by id."""
        self._ids = ResourceIds(ledger.installation)
        self._renderer, self._inventory = renderer, inventory
        self._criteria: dict[str, Criteria] = {}

    def created(self, transaction: Transaction, parent: int, child: What) -> None:
        """After the child was stored; ``parent`` is the id of its parent."""
        if parent in self.watched:
            type = CONTENT_INSTANCE if isinstance(child, Message) else child.type
            self._tell(transaction, parent, CHILD_CREATED, child, child_type=type)

    def updated(self, transaction: Transaction, before: Resource, after: Resource) -> None:
        """After the change was stored."""
        if after.id in self.watched:
            self._tell(transaction, after.id, UPDATED, after, modified=_modified(before, after))

    def deleted(self, transaction: Transaction, what: What) -> None:
        """Before it is removed, with all that is below it."""
        if not self.watched:
            return
        if isinstance(what, Message):
            if what.container in self.watched:
                self._tell(transaction, what.container, CHILD_DELETED, what, child_type=CONTENT_INSTANCE)
            return
        if what.id in self.watched:
            self._tell(transaction, what.id, DELETED, what)
        if what.parent in self.watched:
            self._tell(transaction, what.parent, CHILD_DELETED, what, child_type=what.type)

    # --- the same for messages -----------------------------------------------------------------------

    def add(self, transaction: Transaction, message: Message, *, started: bool = False) -> int:
        """Store a message as ``Transaction.add_message`` does, and tell of it."""
        state_tag = transaction.add_message(message, started=started)
        if message.container in self.watched:
            self.created(transaction, message.container, message.tagged(state_tag))
        return state_tag

    def remove(self, transaction: Transaction, container: int, message: int) -> None:
        """Remove a message as ``Transaction.remove_message`` does, and tell of it."""
        self._gone(transaction, container, message)
        transaction.remove_message(message)

    def move(self, transaction: Transaction, message: int, container: int, target: int, new_id: int) -> bool:
        """Move a message as ``Transaction.move_message`` does, and tell of it."""
        self._gone(transaction, container, message)
        moved = transaction.move_message(message, container, target, new_id)
        if moved and target in self.watched:
            arrived = transaction.message(new_id)
            if arrived is not None:
                self.created(transaction, target, arrived)
        return moved

    def _gone(self, transaction: Transaction, container: int, message: int) -> None:
        found = transaction.message(message) if container in self.watched else None
        if found is not None:
            self.deleted(transaction, found)

    # --- who is told what ----------------------------------------------------------------------------

    def _tell(
        self,
        transaction: Transaction,
        resource: int,
        event: int,
        what: What,
        *,
        child_type: int | None = None,
        modified: frozenset[str] = frozenset(),
    ) -> None:
        representation: dict[str, Any] | None = None
        for subscriber in self.watched[resource]:
            criteria = self._criteria_of(subscriber)
            if not _concerns(criteria, event, child_type, modified):
                continue
            tenant = self._inventory.tenant(subscriber.tenant)
            if tenant is None:
                continue
            if representation is None:
                representation = self._renderer.reading(transaction).represent(what, tenant)
            if criteria.accepts(representation):
                body = self._body(subscriber, criteria, event, what, tenant, representation, modified)
                self._send(transaction, subscriber, criteria, body)

    def _criteria_of(self, subscriber: Subscriber) -> Criteria:
        found = self._criteria.get(subscriber.document)
        if found is None:
            if len(self._criteria) >= KNOWN:
                self._criteria.clear()
            found = self._criteria[subscriber.document] = read_criteria(subscriber.document)
        return found

    def _body(
        self,
        subscriber: Subscriber,
        criteria: Criteria,
        event: int,
        what: What,
        tenant: Tenant,
        representation: dict[str, Any],
        modified: frozenset[str],
    ) -> str:
        long = tenant.names == "long"
        content: dict[str, Any]
        if criteria.content == REFERENCE:
            content = {"m2m:uri": f"/{tenant.name}/{representation['ri']}"}
        else:
            if criteria.content == MODIFIED:
                shown = {name: representation.get(name) for name in (*sorted(modified), "lt")}
            else:
                shown = representation
            content = {root_key(what, long): named(shown, long)}
        reference = f"/{tenant.name}/{self._ids.ri(subscriber.id, SUBSCRIPTION)}"
        return orjson.dumps({"nev": {"rep": content, "net": event}, "sur": reference}).decode()

    def _send(self, transaction: Transaction, subscriber: Subscriber, criteria: Criteria, body: str) -> None:
        own = subscriber.id if criteria.own_lane else 0
        for target in criteria.targets:
            transaction.add_notice(Lane(subscriber.tenant, target, own), subscriber.id, None, body)


def open_notices(
    ledger: Ledger, inventory: Inventory, settings: Settings, credentials: Credentials
) -> Notices:
    resource_ids = ResourceIds(ledger.installation)
    return Notices(ledger, inventory, Renderer(resource_ids, ledger.reader, settings, credentials))


def _concerns(criteria: Criteria, event: int, child_type: int | None, modified: frozenset[str]) -> bool:
    if event not in criteria.events:
        return False
    if child_type is not None and criteria.child_types and child_type not in criteria.child_types:
        return False
    return event != UPDATED or not criteria.attributes or not criteria.attributes.isdisjoint(modified)


def _modified(before: Resource, after: Resource) -> frozenset[str]:
    names = before.attributes.keys() | after.attributes.keys()
    return frozenset(
        name for name in names if before.attributes.get(name, ...) != after.attributes.get(name, ...)
    )
