"""``Notices``: who has to hear of a change. Called inside the commit that makes it, by both doors of the
tree; what subscribers get is stored together with the change (TS-0004, 7.5.1.2.2)."""

from __future__ import annotations

import time
from typing import Any, Final, TypeAlias

import attrs
import orjson

from lwm2m_server.onem2m.notify.criteria import (
    CHILD_CREATED,
    CHILD_DELETED,
    DELETED,
    MODIFIED,
    REFERENCE,
    SUBSCRIPTION,
    UPDATED,
    Criteria,
    read_criteria,
)
from lwm2m_server.onem2m.notify.devices import Boxes
from lwm2m_server.onem2m.rendering import CONTENT_INSTANCE, Renderer, named, root_key
from lwm2m_server.security.store import Credentials
from lwm2m_server.settings import Settings
from lwm2m_server.store.ids import SECOND, ResourceIds
from lwm2m_server.store.protocols import Inventory, Ledger
from lwm2m_server.store.records import Lane, Message, Resource, Subscriber, Tenant
from lwm2m_server.store.transaction import Transaction

KNOWN: Final = 10_000
"""Texts of subscriptions whose meaning is kept in memory."""
What: TypeAlias = Resource | Message


@attrs.frozen(slots=True)
class Event:
    """What happened to a resource that somebody subscribed to."""

    type: int
    """``net``"""
    what: What
    """The resource itself, or its child."""
    child_type: int | None = None
    modified: frozenset[str] = frozenset()
    """Names of attributes."""


class Notices:
    """Belongs to the ledger's writer: nothing but the transaction is touched.

    Each call costs one look-up if nobody subscribed.
    """

    def __init__(self, ledger: Ledger, inventory: Inventory, renderer: Renderer) -> None:
        self.watched = ledger.watched
        """Resources that somebody subscribed to, by id."""
        self._watched_closely = ledger.watched_closely
        self._ids = ResourceIds(ledger.installation)
        self._renderer, self._inventory = renderer, inventory
        self._rendering: tuple[Transaction | None, Renderer] = (None, renderer)
        self._criteria: dict[str, Criteria] = {}
        self._boxes = Boxes()

    def created(self, transaction: Transaction, parent: int, child: What) -> None:
        """After the child was stored; ``parent`` is the id of its parent."""
        if parent in self.watched:
            self._tell(transaction, parent, Event(CHILD_CREATED, child, _type(child)))

    def updated(self, transaction: Transaction, before: Resource, after: Resource) -> None:
        """After the change was stored."""
        if after.id in self.watched:
            self._tell(transaction, after.id, Event(UPDATED, after, modified=_modified(before, after)))

    def deleted(self, transaction: Transaction, what: What) -> None:
        """Before it is removed, with all that is below it."""
        if not self.watched:
            return
        parent = what.container if isinstance(what, Message) else what.parent
        if isinstance(what, Resource):
            self._end(transaction, what)
        if parent in self.watched:
            self._tell(transaction, parent, Event(CHILD_DELETED, what, _type(what)))

    def _end(self, transaction: Transaction, resource: Resource) -> None:
        """A resource goes, and all below it."""
        for child in transaction.children(resource.id):
            self._end(transaction, child)
        if resource.id in self.watched:
            self._tell(transaction, resource.id, Event(DELETED, resource))
        if resource.type == SUBSCRIPTION:
            self._say_farewell(transaction, resource)

    def verification(self, subscription: Resource) -> str:
        """What a target is asked before it gets anything."""
        return self._body(subscription, {"vrq": True, "cr": subscription.attributes["cr"]})

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

    def _tell(self, transaction: Transaction, resource: int, event: Event) -> None:
        representation: dict[str, Any] | None = None
        device = None
        # Hardly any of them, and there may be thousands.
        watched = self._watched_closely if event.child_type == SUBSCRIPTION else self.watched
        for subscriber in watched.get(resource, ()):
            criteria = self._criteria_of(subscriber.document)
            if not criteria.concern(event.type, event.child_type, event.modified):
                continue
            if criteria.expires is not None and criteria.expires <= time.time() * SECOND:
                continue
            tenant = self._inventory.tenant(subscriber.tenant)
            if tenant is None:
                # It is being removed with all it has.
                return
            if representation is None:
                representation = self._represent(transaction, event.what, tenant)
                device = self._boxes.device(transaction, resource)
                if device is not None:
                    representation = device.extend(representation, event.what)
            if not criteria.conditions.accept(representation):
                continue
            if criteria.counts and not self._count(transaction, subscriber.id):
                continue
            content = _content(criteria, event, tenant, representation)
            body = self._body(subscriber, {"nev": {"rep": content, "net": event.type}})
            own = subscriber.id if criteria.own_lane else 0
            name = device.name if device is not None else None
            for target in criteria.targets:
                transaction.add_notice(Lane(tenant.name, target, own), subscriber.id, name, body)

    def _represent(self, transaction: Transaction, what: What, tenant: Tenant) -> dict[str, Any]:
        known, renderer = self._rendering
        if known is not transaction:
            renderer = self._renderer.reading(transaction)
            self._rendering = transaction, renderer
        return renderer.represent(what, tenant)

    def _criteria_of(self, document: str) -> Criteria:
        found = self._criteria.get(document)
        if found is None:
            if len(self._criteria) >= KNOWN:
                self._criteria.clear()
            found = self._criteria[document] = read_criteria(document)
        return found

    def _body(self, subscriber: Subscriber | Resource, content: dict[str, Any]) -> str:
        content["sur"] = f"/{subscriber.tenant}/{self._ids.ri(subscriber.id, SUBSCRIPTION)}"
        return orjson.dumps({"m2m:sgn": content}).decode()

    def _count(self, transaction: Transaction, id: int) -> bool:
        """One more of the notices after which the subscription ends; false if it did already."""
        stored = transaction.resource(id)
        if stored is None:
            return False
        left = stored.attributes["exc"] - 1
        if left:
            transaction.change(id, {**stored.attributes, "exc": left}, stored.modified)
        else:
            self._say_farewell(transaction, stored)
            transaction.remove(id)
        return True

    def _say_farewell(self, transaction: Transaction, subscription: Resource) -> None:
        target = subscription.attributes.get("su")
        if target is not None:
            body = self._body(subscription, {"sud": True})
            transaction.add_notice(Lane(subscription.tenant, target), subscription.id, None, body)


def open_notices(
    ledger: Ledger, inventory: Inventory, settings: Settings, credentials: Credentials
) -> Notices:
    resource_ids = ResourceIds(ledger.installation)
    return Notices(ledger, inventory, Renderer(resource_ids, ledger.reader, settings, credentials))


def _type(what: What) -> int:
    return CONTENT_INSTANCE if isinstance(what, Message) else what.type


def _content(
    criteria: Criteria, event: Event, tenant: Tenant, representation: dict[str, Any]
) -> dict[str, Any]:
    """``rep``, as the subscription wants it. Names are the short ones unless the tenant has long ones."""
    if criteria.content == REFERENCE:
        return {"m2m:uri": f"/{tenant.name}/{representation['ri']}"}
    if criteria.content == MODIFIED:
        names = [*sorted(event.modified), "lt"]
        representation = {name: representation.get(name) for name in names}
    long = tenant.names == "long"
    return {root_key(event.what, long): named(representation, long)}


def _modified(before: Resource, after: Resource) -> frozenset[str]:
    names = before.attributes.keys() | after.attributes.keys()
    return frozenset(
        name for name in names if before.attributes.get(name, ...) != after.attributes.get(name, ...)
    )
