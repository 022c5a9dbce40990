"""Writes of the ledger, inside a transaction that somebody else began and will commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import attrs

from lwm2m_engine.engine.records import Liveness, Observation, PowerSaving, Registration
from lwm2m_engine.paths import Path
from lwm2m_engine.values import Value
from lwm2m_server.store.contacts import Contact, Contacts, Mark
from lwm2m_server.store.containers import ContainerWriter
from lwm2m_server.store.credentials import CredentialWriter
from lwm2m_server.store.documents import (
    announcement_to_json,
    dumps,
    inputs_from_json,
    inputs_to_json,
    observation_to_json,
    power_to_json,
    registration_to_json,
)
from lwm2m_server.store.evicted import Evicted
from lwm2m_server.store.protocols import Conflict, Gone, Resource
from lwm2m_server.store.reading import node_id_key

CONTAINER, NODE = 3, 14
"""``ty`` of the two resource types that have rows of their own besides."""

_SUBTREE = """WITH RECURSIVE tree(id) AS (
    VALUES (?) UNION ALL SELECT resource.id FROM tree JOIN resource ON resource.parent = tree.id
) SELECT tree.id, resource.ty FROM tree JOIN resource ON resource.id = tree.id"""

_DELETE_DEVICE = (
    "DELETE FROM device WHERE node = ?",
    "DELETE FROM liveness WHERE node = ?",
    "DELETE FROM inputs WHERE node = ?",
    "DELETE FROM observation WHERE node = ?",
    "DELETE FROM unanswered WHERE node = ?",
    "DELETE FROM credential WHERE node = ?",
)

_UNREGISTER = "UPDATE device SET registration = NULL, announcement = NULL"

_PUT = "INSERT INTO resource VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


class LedgerTransaction(ContainerWriter, CredentialWriter):
    """The ``Transaction`` of ``protocols``. Every method is atomic: it raises before it writes, or undoes."""

    def __init__(self, connection: sqlite3.Connection, contacts: Contacts, evicted: Evicted) -> None:
        super().__init__(connection, contacts.latest, evicted)
        self._contacts = contacts

    # --- what is in memory ---------------------------------------------------------------------------

    def mark(self) -> tuple[Mark, int]:
        """Where ``back_to`` leads when the writes since then were undone."""
        return self._contacts.mark(), self._evicted.mark()

    def back_to(self, mark: tuple[Mark, int]) -> None:
        self._contacts.back_to(mark[0])
        self._evicted.back_to(mark[1])
        self.forget()

    def finish(self) -> None:
        """The last writes, before the commit."""
        self._contacts.write(self._connection)
        self._evicted.write(self._connection)

    def committed(self) -> None:
        self._contacts.committed()
        self._evicted.committed()

    def rolled_back(self) -> None:
        self._contacts.rolled_back()
        self._evicted.rolled_back()
        self.forget()

    # --- oneM2M resources ----------------------------------------------------------------------------

    def put(self, resource: Resource, *, evict: bool = True) -> None:
        try:
            self._execute(_PUT, _row(resource))
        except sqlite3.IntegrityError:
            raise Conflict(f"the name {resource.name!r} is taken") from None
        if resource.type == CONTAINER:
            self._put_containers(((resource, evict),))
        elif resource.type == NODE:
            self._put_device(resource)

    def put_all(self, resources: Sequence[Resource], *, queues: Collection[int] = ()) -> None:
        self._execute("SAVEPOINT put_all")
        try:
            self._connection.executemany(_PUT, [_row(resource) for resource in resources])
            containers = [one for one in resources if one.type == CONTAINER]
            self._put_containers([(one, one.id not in queues) for one in containers])
            for resource in resources:
                if resource.type == NODE:
                    self._put_device(resource)
        except (sqlite3.IntegrityError, Conflict) as error:
            self._execute("ROLLBACK TO put_all")
            self._execute("RELEASE put_all")
            names = ", ".join(resource.name for resource in resources)
            reason = str(error) if isinstance(error, Conflict) else f"a name among {names} is taken"
            raise Conflict(reason) from None
        self._execute("RELEASE put_all")

    def _put_device(self, node: Resource) -> None:
        node_id = node.attributes.get("ni")
        try:
            self._execute(
                "INSERT INTO device (node, tenant, name, ni, ni_key) VALUES (?, ?, ?, ?, ?)",
                (node.id, node.tenant, node.name, node_id, node_id and node_id_key(node_id)),
            )
        except sqlite3.IntegrityError:
            self._execute("DELETE FROM resource WHERE id = ?", (node.id,))
            raise Conflict(f"the name {node.name!r} or node id {node_id!r} is taken") from None

    def change(self, id: int, attributes: Mapping[str, Any], modified: int) -> Resource | None:
        before = self.resource(id)
        if before is None:
            return None
        if before.type == NODE:
            self._change_node_id(id, attributes.get("ni"))
        elif before.type == CONTAINER:
            self._change_container(id, attributes)
        self._execute(
            "UPDATE resource SET attributes = ?, modified = ? WHERE id = ?", (dumps(attributes), modified, id)
        )
        return attrs.evolve(before, attributes=attributes, modified=modified)

    def _change_node_id(self, node: int, node_id: str | None) -> None:
        try:
            self._execute(
                "UPDATE device SET ni = ?, ni_key = ? WHERE node = ?",
                (node_id, node_id and node_id_key(node_id), node),
            )
        except sqlite3.IntegrityError:
            raise Conflict(f"the node id {node_id!r} is taken") from None

    def remove(self, id: int) -> None:
        for child, type in self._execute(_SUBTREE, (id,)).fetchall():
            self._execute("DELETE FROM resource WHERE id = ?", (child,))
            if type == CONTAINER:
                self._remove_container(child)
            elif type == NODE:
                for statement in _DELETE_DEVICE:
                    self._execute(statement, (child,))

    def await_answer(self, node: int, id: int) -> None:
        self._execute(
            """INSERT OR REPLACE INTO unanswered SELECT id, ?, content, cnf, deadline FROM message
            WHERE id = ?""",
            (node, id),
        )

    def end_awaiting(self, id: int) -> None:
        self._execute("DELETE FROM unanswered WHERE message = ?", (id,))

    # --- devices -------------------------------------------------------------------------------------

    def bind_endpoint(self, node: int, endpoint: str) -> None:
        self._change_device("UPDATE device SET endpoint = ? WHERE node = ?", endpoint, node)

    def set_power(self, node: int, power: PowerSaving | None) -> None:
        document = None if power is None else power_to_json(power)
        self._change_device("UPDATE device SET power = ? WHERE node = ?", document, node)

    def put_registration(self, node: int, registration: Registration, liveness: Liveness, at: float) -> None:
        self._change_device(
            """UPDATE device SET registration = ?, announcement = ?, endpoint = ?, registered_at = ?
            WHERE node = ?""",
            registration_to_json(registration),
            self._announce(registration),
            registration.endpoint,
            at,
            node,
        )
        updated_at = self._updated_at(node)
        self._execute(
            """INSERT INTO liveness VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (node) DO UPDATE SET
            host = excluded.host, port = excluded.port, listener = excluded.listener,
            identity = excluded.identity, seen_at = excluded.seen_at, expires_at = excluded.expires_at,
            updated_at = ifnull(excluded.updated_at, updated_at), journal = excluded.journal""",
            (
                node,
                *liveness.peer,
                liveness.seen_at,
                liveness.expires_at,
                updated_at,
                self._contacts.overrule(node),
            ),
        )

    def _updated_at(self, node: int) -> float | None:
        """Where the journal knows it better than the row."""
        if not self._contacts.knows(node):
            return None
        row = self._execute("SELECT journal FROM liveness WHERE node = ?", (node,)).fetchone()
        latest = self._contact(node, row[0]) if row else None
        return latest[0] if latest else None

    def _contact(self, node: int, journal: int) -> Contact | None:
        return self._contacts.pending(node) or super()._contact(node, journal)

    def change_registration(self, node: int, registration: Registration) -> None:
        self._change_device(
            "UPDATE device SET registration = ?, announcement = ? WHERE node = ?",
            registration_to_json(registration),
            self._announce(registration),
            node,
        )

    def _announce(self, registration: Registration) -> bytes:
        """What devices of one type have in common is stored once, under its hash."""
        document = announcement_to_json(registration)
        hash = blake2b(document.encode(), digest_size=16).digest()
        self._execute("INSERT OR IGNORE INTO announcement VALUES (?, ?)", (hash, document))
        return hash

    def touch(self, node: int, liveness: Liveness, at: float) -> None:
        changed = self._execute(
            """UPDATE liveness SET host = ?, port = ?, listener = ?, identity = ?, seen_at = ?,
            expires_at = ?, updated_at = ?, journal = ? WHERE node = ?""",
            (
                *liveness.peer,
                liveness.seen_at,
                liveness.expires_at,
                at,
                self._contacts.overrule(node),
                node,
            ),
        )
        if changed.rowcount == 0:
            raise Gone("the node was removed")

    def renew(self, node: int, at: float, expires_at: float | None) -> None:
        if not self._contacts.renew(node, at, expires_at):
            self._execute(
                "UPDATE liveness SET seen_at = ?1, updated_at = ?1, expires_at = ?2 WHERE node = ?3",
                (at, expires_at, node),
            )

    def end_registration(self, node: int, at: float, *, expired: bool) -> None:
        if expired:
            ended = f"{_UNREGISTER}, expired_at = ? WHERE node = ?"
        else:
            ended = f"{_UNREGISTER}, deregistered_at = ? WHERE node = ?"
        self._execute(ended, (at, node))

    def put_observation(self, node: int, observation: Observation) -> None:
        changed = self._execute(
            "INSERT OR REPLACE INTO observation SELECT node, ?, ? FROM device WHERE node = ?",
            (observation.token, observation_to_json(observation), node),
        )
        if changed.rowcount == 0:
            raise Gone("the node was removed")

    def remove_observation(self, token: bytes) -> None:
        self._execute("DELETE FROM observation WHERE token = ?", (token,))

    def set_inputs(self, node: int, inputs: Mapping[Path, Value]) -> None:
        row = self._execute("SELECT document FROM inputs WHERE node = ?", (node,)).fetchone()
        known = inputs_from_json(row[0]) if row else {}
        changed = self._execute(
            "INSERT OR REPLACE INTO inputs SELECT node, ? FROM device WHERE node = ?",
            (inputs_to_json(known | dict(inputs)), node),
        )
        if changed.rowcount == 0:
            raise Gone("the node was removed")

    def _change_device(self, statement: str, *values: object) -> None:
        try:
            changed = self._execute(statement, values)
        except sqlite3.IntegrityError:
            raise Conflict("the endpoint name is taken") from None
        if changed.rowcount == 0:
            raise Gone("the node was removed")


def _row(one: Resource) -> tuple[object, ...]:
    attributes = dumps(one.attributes)
    return one.id, one.tenant, one.parent, one.name, one.type, one.key, attributes, one.modified
