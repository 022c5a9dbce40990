"""Writes of the ledger, inside a transaction that somebody else began and will commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable, Mapping
from hashlib import blake2b
from typing import TypeAlias

from lwm2m_engine.engine.records import Liveness, Observation, PowerSaving, Registration
from lwm2m_engine.paths import Path
from lwm2m_engine.values import Value
from lwm2m_server.store.arrivals import Arrivals
from lwm2m_server.store.arrivals import Mark as ArrivalMark
from lwm2m_server.store.audit import AuditWriter
from lwm2m_server.store.campaigns import CampaignWriter
from lwm2m_server.store.contacts import Contact, Contacts
from lwm2m_server.store.contacts import Mark as ContactMark
from lwm2m_server.store.credentials import CredentialWriter
from lwm2m_server.store.desired import DesiredWriter
from lwm2m_server.store.devices import ANNOUNCEMENTS, legible
from lwm2m_server.store.documents import (
    announcement_to_json,
    inputs_from_json,
    inputs_to_json,
    observation_to_json,
    power_to_json,
    registration_to_json,
)
from lwm2m_server.store.enrolment import EnrolmentWriter
from lwm2m_server.store.errors import Conflict, Gone
from lwm2m_server.store.events import Events
from lwm2m_server.store.evicted import Evicted
from lwm2m_server.store.expiration import Clock
from lwm2m_server.store.histories import HistoryWriter
from lwm2m_server.store.names import Names
from lwm2m_server.store.onboarding import OnboardingWriter
from lwm2m_server.store.outbox import Mark as OutboxMark
from lwm2m_server.store.outbox import Outbox
from lwm2m_server.store.problems import ProblemWriter
from lwm2m_server.store.profiles import ProfileWriter
from lwm2m_server.store.records import SealedCredential
from lwm2m_server.store.removals import RemovalWriter
from lwm2m_server.store.rpc import RpcWriter
from lwm2m_server.store.subscribers import Subscribers
from lwm2m_server.store.undecoded import UndecodedWriter
from lwm2m_server.store.updates import UpdateWriter
from lwm2m_server.store.values import Values

# Nearly always under the name it had before, whose index is left alone then.
_REGISTER_BOUND = """UPDATE device SET registration = ?, announcement = ?, registered_at = ?
    WHERE node = ? AND endpoint = ?"""

_UNREGISTER = "UPDATE device SET registration = NULL, announcement = NULL"

Mark: TypeAlias = tuple[ContactMark, ArrivalMark, int, int, OutboxMark, int, int]
Announced: TypeAlias = tuple[Hashable, ...]
"""All that ``announcement_to_json`` writes of a registration."""


class LedgerTransaction(
    RemovalWriter,
    CredentialWriter,
    EnrolmentWriter,
    OnboardingWriter,
    AuditWriter,
    ProblemWriter,
    ProfileWriter,
    CampaignWriter,
    DesiredWriter,
    UpdateWriter,
    UndecodedWriter,
    RpcWriter,
    HistoryWriter,
):
    """The ``Transaction`` of ``protocols``. Every method is atomic: it raises before it writes, or undoes."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        contacts: Contacts,
        names: Names,
        arrivals: Arrivals,
        evicted: Evicted,
        events: Events,
        values: Values,
        outbox: Outbox,
        subscribers: Subscribers,
        clock: Clock,
    ) -> None:
        super().__init__(
            connection, contacts.latest, names, arrivals, values.waiting, evicted, subscribers, clock
        )
        self._contacts, self._events, self._values = contacts, events, values
        self._outbox = outbox
        self.note_event = events.add
        self.add_values, self.fold_values = values.add, values.fold
        self.add_notice, self.remove_notices = outbox.add, outbox.remove
        self.bury_notices, self.forget_notices = outbox.bury, outbox.forget
        self.remove_dead_letters = outbox.unbury
        self._announced: dict[Announced, bytes] = {}

    # --- what is in memory ---------------------------------------------------------------------------

    def mark(self) -> Mark:
        """Where ``back_to`` leads when the writes since then were undone."""
        return (
            self._contacts.mark(),
            self._arrivals.mark(),
            self._evicted.mark(),
            self._events.mark(),
            self._outbox.mark(),
            self._subscribers.mark(),
            self._values.mark(),
        )

    def back_to(self, mark: Mark) -> None:
        self._contacts.back_to(mark[0])
        self._arrivals.back_to(mark[1])
        self._evicted.back_to(mark[2])
        self._events.back_to(mark[3])
        self._outbox.back_to(mark[4])
        self._subscribers.back_to(mark[5])
        self._values.back_to(mark[6])
        self.forget()

    def finish(self) -> None:
        """The last writes, before the commit."""
        self._contacts.write(self._connection)
        self._arrivals.write(self._connection, self._enlist)
        self._evicted.write(self._connection)
        self._events.write(self._connection)
        self._values.write(self._connection)
        self._outbox.write(self._connection)

    def committed(self) -> None:
        self._contacts.committed()
        self._arrivals.committed()
        self._evicted.committed()
        self._events.committed()
        self._values.committed()
        self._subscribers.committed()
        self._outbox.committed()
        self._newborn.clear()
        self._families.clear()

    def rolled_back(self) -> None:
        self._contacts.rolled_back()
        self._arrivals.rolled_back()
        self._evicted.rolled_back()
        self._events.rolled_back()
        self._values.rolled_back()
        self._outbox.rolled_back()
        self._subscribers.rolled_back()
        self.forget()

    def forget(self) -> None:
        super().forget()
        self._announced.clear()

    # --- devices -------------------------------------------------------------------------------------

    def await_answer(self, node: int, id: int) -> None:
        self._execute(
            """INSERT OR REPLACE INTO unanswered SELECT id, ?, content, cnf, deadline FROM message
            WHERE id = ?""",
            (node, id),
        )

    def end_awaiting(self, id: int) -> None:
        self._execute("DELETE FROM unanswered WHERE message = ?", (id,))

    def put_credential(self, row: SealedCredential) -> None:
        self._names.add(row.endpoint)
        super().put_credential(row)

    def bind_endpoint(self, node: int, endpoint: str) -> None:
        self._names.add(endpoint)
        self._change_device("UPDATE device SET endpoint = ? WHERE node = ?", endpoint, node)

    def set_power(self, node: int, power: PowerSaving | None) -> None:
        document = None if power is None else power_to_json(power)
        self._change_device("UPDATE device SET power = ? WHERE node = ?", document, node)

    def set_profile(self, node: int, profile: str | None) -> None:
        self._change_device("UPDATE device SET profile = ? WHERE node = ?", profile, node)

    def put_registration(self, node: int, registration: Registration, liveness: Liveness, at: float) -> None:
        what = registration_to_json(registration), self._announce(registration), at
        bound = self._execute(_REGISTER_BOUND, (*what, node, registration.endpoint))
        if bound.rowcount == 0:
            self.bind_endpoint(node, registration.endpoint)
            self._execute(_REGISTER_BOUND, (*what, node, registration.endpoint))
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
        objects = tuple(registration.objects.items())
        key = registration.root, objects, registration.instances, registration.links, registration.formats
        hash = self._announced.get(key)
        if hash is None:
            document = announcement_to_json(registration)
            hash = blake2b(document.encode(), digest_size=16).digest()
            self._execute("INSERT OR IGNORE INTO announcement VALUES (?, ?)", (hash, document))
            if len(self._announced) >= ANNOUNCEMENTS:
                self._announced.clear()
            self._announced[key] = hash
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

    def set_inputs(self, node: int, inputs: Mapping[Path, Value | None]) -> None:
        row = self._execute("SELECT document FROM inputs WHERE node = ?", (node,)).fetchone()
        known = (legible(node, inputs_from_json, row[0]) if row else None) or {}
        kept = {path: value for path, value in (known | dict(inputs)).items() if value is not None}
        changed = self._execute(
            "INSERT OR REPLACE INTO inputs SELECT node, ? FROM device WHERE node = ?",
            (inputs_to_json(kept), node),
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
