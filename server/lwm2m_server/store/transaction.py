"""``Reader`` and ``Transaction``: what can be asked of the ledger, and what can be written in one commit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from lwm2m_engine.engine.records import Liveness, Observation, PowerSaving, Registration
from lwm2m_engine.paths import Path
from lwm2m_engine.values import Value
from lwm2m_server.store.announcements import Announced
from lwm2m_server.store.campaigns import CampaignReads, CampaignWrites
from lwm2m_server.store.desired import DesiredReads, DesiredWrites
from lwm2m_server.store.finding import DeviceFinding
from lwm2m_server.store.onboarding import OnboardingReads, OnboardingWrites
from lwm2m_server.store.problems import ProblemReads, ProblemWrites
from lwm2m_server.store.records import (
    AuditEntry,
    Brood,
    Counters,
    DeadLetter,
    Described,
    Device,
    Lane,
    Message,
    Moments,
    Notice,
    Resource,
    Subject,
    Unanswered,
)
from lwm2m_server.store.rpc import RpcReads, RpcWrites
from lwm2m_server.store.secrets import SecretReads, SecretWrites
from lwm2m_server.store.telemetry import TelemetryReads, TelemetryWrites
from lwm2m_server.store.updates import UpdateReads, UpdateWrites


class Reader(
    CampaignReads,
    UpdateReads,
    RpcReads,
    TelemetryReads,
    SecretReads,
    ProblemReads,
    DesiredReads,
    OnboardingReads,
    DeviceFinding,
    Protocol,
):
    """Reads. On the loop they see what is committed; in a transaction also what it has written.

    What has an ``et`` that is over is not there any more, but for ``expired`` and ``expired_messages``;
    counters count it until its row is deleted.
    """

    def resource(self, id: int) -> Resource | None: ...
    def child(self, parent: int, name: str) -> Resource | None: ...
    def below(self, parent: int, names: Sequence[str]) -> Sequence[Resource]:
        """Child, grandchild and so on by these names, as far as they lead."""
        ...

    def children(
        self,
        parent: int,
        *,
        types: Collection[int] = (),
        limit: int | None = None,
        offset: int = 0,
        after: Resource | None = None,
    ) -> Sequence[Resource]:
        """Direct children, of all types or these; sorted by type, then oldest first. To begin behind
        ``after`` costs nothing, behind so many others (``offset``) as much as these are."""
        ...

    def count_children(self, parent: int, types: Collection[int] = ()) -> int: ...

    def next_expiry(self) -> int | None:
        """When the next resource or message is over, or was; microseconds."""
        ...

    def expired(self, limit: int) -> Sequence[Resource]:
        """Resources that are over and not removed, the first to be over first."""
        ...

    def expired_messages(self, limit: int) -> Sequence[Message]: ...
    def doomed(self, limit: int) -> Sequence[int]:
        """Resources that are gone, below which there may be some still."""
        ...

    def counters(self, container: int) -> Counters: ...
    def is_full(self, container: int) -> bool:
        """Whether it has as many messages as it may have."""
        ...

    def message(self, id: int) -> Message | None: ...
    def message_named(self, container: int, name: str) -> Message | None: ...
    def latest(self, container: int) -> Message | None: ...
    def oldest(self, container: int) -> Message | None: ...
    def messages(
        self, container: int, *, limit: int | None = None, offset: int = 0, after: int = 0
    ) -> Sequence[Message]:
        """Oldest first, with an id above ``after``."""
        ...

    def device(self, node: int) -> Device | None: ...
    def moments(self, node: int) -> Moments | None:
        """When a device was last heard; a part of what ``device`` tells, for less."""
        ...

    def device_named(self, tenant: str, name: str) -> Device | None: ...
    def device_of_endpoint(self, endpoint: str) -> Device | None:
        """The node an endpoint name belongs to, by the rules in decisions: bound endpoint, the name its
        credentials are for, rn, ni (``urn:imei:`` and ``urn:gsma:imei:`` alike)."""
        ...

    def devices(self, tenant: str | None = None, *, after: int = -1, chunk: int = 500) -> Iterable[Device]:
        """Those with a node above ``after``, in order of creation, read ``chunk`` at a time: devices may
        come and go meanwhile."""
        ...

    def assigned(self, tenant: str, profile: str, *, after: int = -1, limit: int) -> Sequence[int]:
        """Nodes that a device profile was assigned to by this name, above ``after``."""
        ...

    def announced(self, tenant: str) -> Sequence[Announced]:
        """What the registered devices announced, and how many the same. Touches every device."""
        ...

    def announcing(self, one: Announced, limit: int) -> Sequence[str]:
        """Names of devices that announced this, the first in order of name. Touches every device."""
        ...

    def subjects(self, tenant: str, *, after: int = -1, limit: int) -> Sequence[Subject]:
        """Devices with a node above ``after``, in order of creation."""
        ...

    def subject(self, node: int) -> Subject | None: ...
    def described(self, node: int) -> Described:
        """By the last values that are known of its Device Object."""
        ...

    def observations(self, node: int) -> Sequence[Observation]: ...
    def everything(self) -> Iterable[tuple[Device, Sequence[Observation]]]:
        """As ``devices``, with the observations of each."""
        ...

    def queues(self) -> Collection[int]:
        """The containers that never evict and have messages."""
        ...

    def count_waiting(self) -> int:
        """Messages in all of those; touches each."""
        ...

    def unanswered(self, node: int) -> Sequence[Unanswered]:
        """What the device has acknowledged and not answered, oldest first."""
        ...

    def awaiting(self) -> Collection[int]:
        """The nodes that have some of it."""
        ...

    def events(self, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """Numbers and records of what happened behind ``after``, at most so many."""
        ...

    def event_numbers(self) -> tuple[int, int]:
        """Those of the first and the last event that are kept; the first is one more if there are none."""
        ...

    def notices(self, lane: Lane, number: int, *, after: int, limit: int, size: int) -> Sequence[Notice]:
        """Those of a lane, and of its ``Load``'s number, with an id above ``after``; the last is the one
        with which they have more than so many bytes."""
        ...

    def notices_of(
        self, subscription: int, lane: Lane, number: int, *, after: int, through: int, limit: int, size: int
    ) -> Sequence[Notice]:
        """The same of one subscription, with an id up to ``through``."""
        ...

    def dead_letters(self, tenant: str, *, after: int = 0, limit: int) -> Sequence[DeadLetter]: ...
    def dead_letter(self, id: int) -> DeadLetter | None: ...
    def audit(
        self,
        tenants: Sequence[str | None] | None,
        *,
        limit: int,
        before: int | None = None,
        client: str | None = None,
        action: str | None = None,
        text: str | None = None,
        refused: bool = False,
    ) -> Sequence[AuditEntry]:
        """The newest first, of these tenants (``None`` among them: what is no tenant's) or of all; with a
        number below ``before``. ``text`` is a part of the target; ``refused`` leaves out what was done. May
        touch every row."""
        ...

    def subscriptions(
        self,
        tenant: str,
        *,
        targets: Collection[str] | None = None,
        not_by: str | None = None,
        after: int = -1,
        limit: int,
    ) -> Sequence[int]:
        """Ids above ``after``, of subscriptions to any resource of the tenant: those that name one of the
        targets, as they name it, and that others than ``not_by`` made. May touch every subscription."""
        ...


class Transaction(
    CampaignWrites,
    UpdateWrites,
    RpcWrites,
    TelemetryWrites,
    SecretWrites,
    ProblemWrites,
    DesiredWrites,
    OnboardingWrites,
    Reader,
    Protocol,
):
    """Writes, inside one commit. Every method is O(1) or O(log n) in what is stored."""

    def put(
        self,
        resource: Resource,
        *,
        evict: bool = True,
        brood: Brood | None = None,
        endpoint: str | None = None,
    ) -> None:
        """Insert; a node also gets its ``Device`` row. Raises ``Conflict`` for a taken name or ni.

        A container takes its limits from the attributes ``mni`` and ``mbs`` (100 and 1,000,000 where
        missing); ``evict`` says what it does when full. With a ``brood`` there are its children, too.
        A node may be bound to an ``endpoint`` name from the beginning.
        That the parent exists is the caller's to know: it may lie in the other store.
        """
        ...

    def change(self, id: int, attributes: Mapping[str, Any], modified: int) -> Resource | None:
        """Replace the attributes of a resource; ``None`` if it is gone. Raises ``Conflict`` for a taken
        ni. A container counts its ``st`` up, and smaller limits evict at once."""
        ...

    def remove(self, id: int) -> None:
        """A resource with all below it; of a node also device row and observations.

        What lies below it may be deleted later, by ``clear``.
        """
        ...

    def doom(self, id: int) -> None:
        """What lies below this one goes; it is not in this store itself."""
        ...

    def spare(self, id: int) -> None:
        """It is not doomed any more."""
        ...

    def is_doomed(self, id: int) -> bool: ...
    def clear(self, ids: Sequence[int], budget: int) -> None:
        """Delete up to so many messages, or as much else, below doomed ones; they are doomed until there is
        nothing left."""
        ...

    def add_message(self, message: Message, *, started: bool = False) -> int:
        """Append, in flight already if ``started``; returns its ``state_tag``. Evicts the oldest beyond
        ``mni``/``mbs`` of the container, or raises ``ContainerFull``. Raises ``Conflict`` for a taken
        name, ``Gone``."""
        ...

    def remove_message(self, id: int) -> None: ...
    def expire_message(self, message: Message) -> bool:
        """Remove one that is over; False if its container had evicted it already."""
        ...

    def move_message(self, id: int, container: int, target: int, new_id: int) -> bool:
        """From its container to the end of another, with a new id and neither name nor ``et`` of its own, no
        longer waiting; content, labels and creator are kept. False if it is gone. Raises ``ContainerFull``
        if the other container does not take it: it is then in neither."""
        ...

    def mark_in_flight(self, id: int, in_flight: bool) -> None: ...
    def note_event(self, record: str) -> object:
        """Append a line to the journal of events."""
        ...

    def add_notice(self, lane: Lane, subscription: int, device: str | None, body: str) -> None:
        """To be delivered once this is committed; a dead letter at once if there is no room."""
        ...

    def remove_notices(self, notices: Iterable[Notice]) -> None: ...
    def bury_notices(self, notices: Iterable[Notice], reason: str) -> None:
        """They become dead letters."""
        ...

    def remove_dead_letters(self, ids: Iterable[int]) -> None: ...
    def forget_notices(self, tenant: str) -> None:
        """All of a tenant, dead letters as well."""
        ...

    def await_answer(self, node: int, id: int) -> None:
        """A message is about to leave ``outgoing-msg``, and the device will answer it later."""
        ...

    def end_awaiting(self, id: int) -> None:
        """It has answered, or never will."""
        ...

    def bind_endpoint(self, node: int, endpoint: str) -> None:
        """Raises ``Conflict``, ``Gone``."""
        ...

    def add_audit(self, entries: Iterable[AuditEntry]) -> None: ...
    def prune_audit(self, *, keep: int, since: int) -> None:
        """Forget all but so many lines, and those of before ``since`` (microseconds)."""
        ...

    def take_unsealed(self) -> Sequence[tuple[int, str]]:
        """Nodes and secrets of a ledger that had them in clear; they are there no more."""
        ...

    def set_power(self, node: int, power: PowerSaving | None) -> None:
        """Raises ``Gone``."""
        ...

    def set_profile(self, node: int, profile: str | None) -> None:
        """Assign a device profile by its name, or none. Raises ``Gone``."""
        ...

    def move_assigned(self, tenant: str, former: str, profile: str | None, limit: int) -> int:
        """Up to so many of the devices that one profile was assigned to get another, or none; how many."""
        ...

    def put_registration(self, node: int, registration: Registration, liveness: Liveness, at: float) -> None:
        """A Register; binds the endpoint too. Raises ``Conflict``, ``Gone``."""
        ...

    def change_registration(self, node: int, registration: Registration) -> None:
        """Raises ``Gone``."""
        ...

    def touch(self, node: int, liveness: Liveness, at: float) -> None:
        """An Update from a new address: only the narrow columns. Raises ``Gone``."""
        ...

    def renew(self, node: int, at: float, expires_at: float | None) -> None:
        """An Update from the address known: nothing but the times. Of a node that was removed, nothing."""
        ...

    def end_registration(self, node: int, at: float, *, expired: bool) -> None:
        """Its observations stay: they are wanted in the next registration too."""
        ...

    def put_observation(self, node: int, observation: Observation) -> None:
        """Raises ``Gone``."""
        ...

    def remove_observation(self, token: bytes) -> None: ...
    def set_inputs(self, node: int, inputs: Mapping[Path, Value | None]) -> None:
        """Remember these values, forget where there is none; those of other paths stay. Raises ``Gone``."""
        ...
