"""Writes to resources of oneM2M: they come to be, with what they are born with, and change."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from lwm2m_server.store.arrivals import Arrivals
from lwm2m_server.store.broods import born, brood_to_json, named
from lwm2m_server.store.containers import ContainerWriter
from lwm2m_server.store.contents import CONTAINER
from lwm2m_server.store.devices import node_id_key
from lwm2m_server.store.documents import dumps
from lwm2m_server.store.errors import Conflict
from lwm2m_server.store.evicted import Evicted
from lwm2m_server.store.expiration import Clock, expires
from lwm2m_server.store.names import Names
from lwm2m_server.store.records import Brood, Resource
from lwm2m_server.store.subscribers import SUBSCRIPTION, Subscribers

NODE = 14
"""``ty``"""

_PUT = "INSERT INTO resource VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class ResourceWriter(ContainerWriter):
    """The part of a ``Transaction`` that is about resources other than contentInstances."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        latest: Mapping[int, bytes],
        names: Names,
        arrivals: Arrivals,
        told: Mapping[int, Sequence[bytes]],
        evicted: Evicted,
        subscribers: Subscribers,
        clock: Clock,
    ) -> None:
        super().__init__(connection, latest, names, arrivals, told, evicted, clock)
        self._subscribers = subscribers
        self._numbers: dict[Brood, int] = {}
        self._families: dict[int, tuple[Resource, Brood]] = {}
        """Parents with broods that came to be in this transaction."""

    def put(
        self,
        resource: Resource,
        *,
        evict: bool = True,
        brood: Brood | None = None,
        endpoint: str | None = None,
    ) -> None:
        number = None if brood is None else self._number(brood)
        # Who has a brood is not born into one.
        if brood is None and self._born_child(resource.parent, resource.name) is not None:
            raise Conflict(f"the name {resource.name!r} is taken")
        try:
            self._execute(_PUT, _row(resource, number))
        except sqlite3.IntegrityError:
            raise Conflict(f"the name {resource.name!r} is taken") from None
        if resource.type == CONTAINER and not evict:
            self._put_queue(resource)
        elif resource.type == NODE:
            self._put_device(resource, endpoint)
        elif resource.type == SUBSCRIPTION:
            self._subscribers.put(resource, resource.attributes)
        if brood is not None:
            self._families[resource.id] = resource, brood
            for child in brood.children:
                if child.type == CONTAINER:
                    self._newborn[resource.id + child.offset] = child

    def _number(self, brood: Brood) -> int:
        number = self._numbers.get(brood)
        if number is None:
            document = brood_to_json(brood)
            self._execute("INSERT OR IGNORE INTO brood (document) VALUES (?)", (document,))
            row = self._execute("SELECT number FROM brood WHERE document = ?", (document,)).fetchone()
            number = self._numbers[brood] = int(row[0])
        return number

    def forget(self) -> None:
        super().forget()
        self._numbers.clear()
        self._broods.clear()
        self._families.clear()

    def child(self, parent: int, name: str) -> Resource | None:
        """What asks for children of a node while it is made finds them here."""
        family = self._families.get(parent)
        found = None if family is None else named(name, *family)
        return super().child(parent, name) if found is None else found

    def _hatch(self, parent: Resource, brood: Brood) -> None:
        """Rows for what a parent was born with."""
        for child in brood.children:
            resource = born(child, parent)
            self._execute(_PUT, _row(resource, None))
            if child.type == CONTAINER and not child.evict:
                # As the container is now, with the messages that it has.
                self._save(self._container(resource.id))
        self._execute("UPDATE resource SET brood = NULL WHERE id = ?", (parent.id,))
        self._families.pop(parent.id, None)

    def _put_device(self, node: Resource, endpoint: str | None) -> None:
        node_id = node.attributes.get("ni")
        key = node_id and node_id_key(node_id)
        self._names.add(node.name, key, endpoint)
        try:
            self._execute(
                "INSERT INTO device (node, tenant, name, ni, ni_key, endpoint) VALUES (?, ?, ?, ?, ?, ?)",
                (node.id, node.tenant, node.name, node_id, key, endpoint),
            )
        except sqlite3.IntegrityError:
            self._execute("DELETE FROM resource WHERE id = ?", (node.id,))
            raise Conflict(f"the name {node.name!r} or node id {node_id!r} is taken") from None

    def change(self, id: int, attributes: Mapping[str, Any], modified: int) -> Resource | None:
        before = self._with_row(id)
        if before is None:
            return None
        if before.type == NODE:
            self._change_node_id(id, attributes.get("ni"))
        elif before.type == CONTAINER:
            self._change_container(id, attributes)
        elif before.type == SUBSCRIPTION:
            self._subscribers.put(before, attributes)
        self._execute(
            "UPDATE resource SET attributes = ?, modified = ?, expires = ? WHERE id = ?",
            (dumps(attributes), modified, expires(attributes), id),
        )
        return attrs.evolve(before, attributes=attributes, modified=modified)

    def _change_node_id(self, node: int, node_id: str | None) -> None:
        key = node_id and node_id_key(node_id)
        self._names.add(key)
        try:
            self._execute("UPDATE device SET ni = ?, ni_key = ? WHERE node = ?", (node_id, key, node))
        except sqlite3.IntegrityError:
            raise Conflict(f"the node id {node_id!r} is taken") from None

    def _with_row(self, id: int) -> Resource | None:
        """A resource that is about to change."""
        birth = self._birth(id)
        family = None if birth is None else self._family(birth[0].id)
        if family is not None:
            self._hatch(*family)
        return self.resource(id)


def _row(one: Resource, brood: int | None) -> tuple[object, ...]:
    attributes, over = dumps(one.attributes), expires(one.attributes)
    return one.id, one.tenant, one.parent, one.name, one.type, one.key, attributes, one.modified, brood, over
