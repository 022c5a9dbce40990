"""What the rest of the server may ask of its two stores, whatever is behind them.

The *inventory* holds small operator documents (tenants, applications, the model index); the *ledger*
holds what grows with the fleet. Ids are microseconds since 1970-01-01 UTC, unique over the
installation, so an id is also a creation time (see ``ids``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Generator, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import attrs

from lwm2m_engine.engine.records import Liveness, Observation, PowerSaving, Registration
from lwm2m_engine.paths import Path
from lwm2m_engine.values import Value
from lwm2m_server.store.ids import uuid_name

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@attrs.frozen(slots=True)
class Resource:
    """A oneM2M resource other than a contentInstance. ``attributes`` have short names and hold no
    universal attribute (ri, rn, pi, ty, ct, lt) and no counter."""

    id: int
    tenant: str
    parent: int
    name: str
    type: int
    """``ty``"""
    key: str
    """Short root key, e.g. ``m2m:nod``, ``m2m:dvi``."""
    attributes: Mapping[str, Any]
    modified: int
    """Microseconds since 1970-01-01 UTC."""


@attrs.frozen(slots=True)
class Born:
    """A resource that its parent is born with."""

    offset: int
    """Its id less that of its parent."""
    name: str
    type: int
    key: str
    attributes: Mapping[str, Any]
    named: str | None = None
    """The attribute that holds the name of the parent."""
    evict: bool = True
    """What a container does when it is full."""


@attrs.frozen(slots=True, eq=False)
class Brood:
    """What a resource is born with; parents that share it take next to no room for it."""

    children: tuple[Born, ...]


@attrs.frozen(slots=True)
class Counters:
    """The counters of a container."""

    state_tag: int = 0
    instances: int = 0
    bytes: int = 0


@attrs.frozen(slots=True)
class Message:
    """A contentInstance. ``content`` is text; JSON text when ``content_info`` is application/json:0."""

    id: int
    container: int
    own_name: str | None
    """The one a client gave it."""
    creator: str
    state_tag: int
    content: str
    content_info: str | None
    size: int
    labels: tuple[str, ...] | None = None
    expires: int | None = None
    """``et`` as the client sent it, microseconds; ``None`` when it sent none."""
    deadline: float | None = None
    """Seconds since 1970: when a waiting message is given up. Only in ``outgoing-msg``."""
    in_flight: bool = False

    @property
    def name(self) -> str:
        """``rn``: its own, or the one that is made from its id."""
        return self.own_name or uuid_name(self.id)

    def tagged(self, state_tag: int) -> Message:
        """The same with a ``state_tag``; a tenth of the cost of ``attrs.evolve``, for each message."""
        return Message(
            self.id,
            self.container,
            self.own_name,
            self.creator,
            state_tag,
            self.content,
            self.content_info,
            self.size,
            self.labels,
            self.expires,
            self.deadline,
            self.in_flight,
        )


@attrs.frozen(slots=True)
class Unanswered:
    """A message that a device has acknowledged and not answered."""

    id: int
    """The one it was posted under."""
    content: str
    content_info: str | None
    deadline: float | None
    """Seconds since 1970: when it is given up."""


@attrs.frozen(slots=True)
class DeviceRef:
    """The node an Endpoint Client Name stands for."""

    node: int
    tenant: str
    name: str
    """``rn`` of the node."""
    endpoint: str


@attrs.frozen(slots=True)
class Device:
    """What the ledger knows about a node's LwM2M side."""

    node: int
    tenant: str
    name: str
    """``rn`` of the node."""
    node_id: str | None
    """``ni``"""
    endpoint: str | None
    """Endpoint Client Name it last registered with."""
    registration: Registration | None
    liveness: Liveness | None
    registered_at: float | None
    updated_at: float | None
    deregistered_at: float | None
    expired_at: float | None
    inputs: Mapping[Path, Value]
    power: PowerSaving | None
    """What was set for it; ``None`` for what it says itself."""


class Moments(NamedTuple):
    """Seconds since 1970-01-01 UTC of the latest Update, Register, De-register and expiry of a device."""

    updated: float | None
    registered: float | None
    deregistered: float | None
    expired: float | None


@attrs.frozen(slots=True)
class SealedCredential:
    """One row. ``sealed`` can be opened with the vault's key only."""

    node: int
    side: str
    """``management`` or ``bootstrap``"""
    mode: str
    endpoint: str | None
    """The name a device gets by proving that it has them; ``None`` if there is nothing to prove."""
    identity: bytes | None
    public: Mapping[str, Any]
    sealed: bytes | None


class AuditEntry(NamedTuple):
    """One line of the audit log; each request that changes something makes one."""

    at: int
    """Microseconds since 1970-01-01 UTC."""
    tenant: str | None
    client: str
    origin: str | None
    """``X-M2M-Origin``"""
    action: str
    """``create``, ``update``, ``delete``, or what was done otherwise."""
    target: str
    result: int
    """HTTP status of the answer."""
    facts: Mapping[str, Any] = {}
    number: int = 0
    """Its place in the log; given by the store."""


@attrs.frozen(slots=True)
class OnboardingItem:
    """A device of an onboarding request. The texts are JSON without secrets, in short and in long names."""

    request: int
    place: int
    """In the request, from 0."""
    short: str
    long: str
    sealed: bytes | None = None
    """The pre-shared key, until the item is settled."""
    outcome: str | None = None
    """Why nothing was done, empty if all was; ``None`` until it is settled."""


@attrs.frozen(slots=True)
class Subscriber:
    """A subscription, as whoever looks for those to be told needs it."""

    id: int
    tenant: str
    document: str
    """Its attributes as JSON; one and the same text for all that have the same."""


@attrs.frozen(slots=True)
class Lane:
    """A queue of notices: they leave in the order they came."""

    tenant: str
    target: str
    """As the subscription names it: a URL, or an AE of the tenant."""
    own: int = 0
    """The subscription that has the lane to itself, if one has."""


@attrs.frozen(slots=True)
class Load:
    """How much there is in a lane."""

    number: int
    """Of the lane."""
    notices: int
    bytes: int


@attrs.frozen(slots=True)
class Notice:
    """A oneM2M notification for one target. ``body`` are the members of ``m2m:sgn``, as a JSON object."""

    id: int
    """Microseconds since 1970, unique, and higher than that of any before it."""
    lane: Lane
    subscription: int
    device: str | None
    """``rn`` of the node it is about, if it is about one."""
    body: str

    @property
    def size(self) -> int:
        """About so many bytes."""
        return len(self.body)


@attrs.frozen(slots=True)
class DeadLetter:
    """A notice that is not tried any more."""

    notice: Notice
    reason: str
    died_at: float
    """Seconds since 1970."""


@attrs.frozen(slots=True)
class Tenant:
    """An organization: one oneM2M CSEBase, one engine."""

    id: int
    name: str
    names: Literal["long", "short"] | None = None
    """Attribute names in answers; ``None`` leaves it to the server's setting."""


@attrs.frozen(slots=True)
class ApiClient:
    """A program that may call the HTTP API."""

    id: str
    tenant: str | None
    """``None`` of one with the role ``system``."""
    role: str
    secret: str
    """Hash of its secret, with how it was made."""
    created: int
    """Microseconds since 1970-01-01 UTC."""
    origins: tuple[str, ...] | None = None
    """AE-IDs it may send; ``None`` for any of its tenant."""


@attrs.frozen(slots=True)
class Application:
    """A oneM2M AE. ``attributes`` have short names and hold no universal one, nor ``api`` and ``aei``."""

    id: int
    tenant: str
    name: str
    """``rn``"""
    api: str
    aei: str
    attributes: Mapping[str, Any]
    modified: int
    """Microseconds since 1970-01-01 UTC."""


@attrs.frozen(slots=True)
class BootstrapTemplate:
    """What the bootstrap server has for some clients: ``lwm2m_engine.bootstrap.template``."""

    tenant: str
    name: str
    endpoints: tuple[str, ...]
    """Endpoint names, or patterns of them with ``*``."""
    document: Mapping[str, Any]


@attrs.frozen(slots=True)
class Model:
    """One row of the model index: which file defines a version of an Object."""

    object: int
    version: str
    file: str
    level: str
    """Where it was found, e.g. ``system`` or ``user``; a later level replaces an earlier one."""
    tenant: str | None = None
    """``None`` when it is every tenant's."""


class CommitFailed(Exception):
    """The transaction was rolled back; nothing of it, nor of those behind it, is stored."""


class Conflict(Exception):
    """A name or identity is already taken. Aborts only its own operation, not the batch."""


class ContainerFull(Exception):
    """A container that never evicts is full, or a message alone is larger than its container's ``mbs``.
    Aborts only its own operation, not the batch."""


class Gone(Exception):
    """The container or node to write to was removed meanwhile. Aborts only its own operation."""


class Reader(Protocol):
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

    def node_at(self, tenant: str, place: int) -> int | None:
        """The node of the tenant's device at this place in order of creation, from 0."""
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
    def credential(self, node: int, side: str) -> SealedCredential | None: ...
    def credentials_of(self, node: int) -> Sequence[SealedCredential]: ...
    def oscore_id_context(self, node: int, side: str) -> bytes | None:
        """That of the security context that device and server derived last, if they ever did."""
        ...

    def oscore_request(self, token: bytes) -> tuple[str, bytes, int] | None:
        """Endpoint, partial IV and outer code of the request that began a relation."""
        ...

    def credentials(self, *, after: int = -1) -> Iterable[SealedCredential]:
        """Those of all nodes above ``after``, in order of creation; they may come and go meanwhile."""
        ...

    def audit(
        self, tenants: Sequence[str | None] | None, *, limit: int, before: int | None = None
    ) -> Sequence[AuditEntry]:
        """The newest first, of these tenants (``None`` among them: what is no tenant's) or of all; with a
        number below ``before``. May touch every row."""
        ...

    def open_onboardings(self) -> Collection[int]:
        """Onboarding requests that are not answered yet, oldest first."""
        ...

    def onboarding_items(self, request: int, *, after: int = -1, limit: int) -> Sequence[OnboardingItem]:
        """In order, with a place above ``after``."""
        ...

    def onboarding_text(self, request: int, *, long: bool) -> str:
        """JSON of all items, with commas between."""
        ...

    def routes(
        self, group: int, *, after: tuple[int, int] = (-1, -1), limit: int
    ) -> Sequence[tuple[int, int]]:
        """Nodes and applications that a device group connects, in order."""
        ...

    def routes_between(self, group: int, first: int, last: int) -> Collection[tuple[int, int]]:
        """The same of nodes from ``first`` to ``last``."""
        ...

    def groups_of(self, node: int) -> Collection[int]:
        """The device groups that connect a node with any application."""
        ...

    def routed_groups(self) -> Collection[int]:
        """The device groups that connect any, whether they still exist or not."""
        ...


class Transaction(Reader, Protocol):
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

    def put_credential(self, row: SealedCredential) -> None:
        """Insert or replace those of one node and side. Raises ``Conflict``, ``Gone``."""
        ...

    def remove_credential(self, node: int, side: str) -> None: ...
    def take_oscore_numbers(self, node: int, count: int, at_least: int) -> int:
        """The first of so many sequence numbers that nobody had; 40 bits (RFC 8613, 7.2.1)."""
        ...

    def put_oscore_id_context(self, node: int, side: str, id_context: bytes) -> None:
        """For as long as the credentials stay as they are."""
        ...

    def put_oscore_request(self, token: bytes, endpoint: str, number: bytes, code: int) -> None: ...
    def tidy_oscore_requests(self) -> None:
        """Forget those of relations that are no more."""
        ...

    def add_audit(self, entries: Iterable[AuditEntry]) -> None: ...
    def prune_audit(self, *, keep: int, since: int) -> None:
        """Forget all but so many lines, and those of before ``since`` (microseconds)."""
        ...

    def open_onboarding(self, request: int) -> None:
        """Items may be put from now on, before the resource or with it."""
        ...

    def close_onboarding(self, request: int) -> None:
        """It is answered."""
        ...

    def put_onboarding_items(self, items: Iterable[OnboardingItem]) -> None: ...
    def settle_onboarding_item(self, item: OnboardingItem, outcome: str) -> None:
        """Remember what came of it and forget its secret."""
        ...

    def remove_onboarding_items(self, request: int, count: int) -> bool:
        """Up to so many of them; False if there were none."""
        ...

    def put_route(self, group: int, node: int, application: int) -> None: ...
    def remove_route(self, group: int, node: int, application: int) -> None: ...
    def take_unsealed(self) -> Sequence[tuple[int, str]]:
        """Nodes and secrets of a ledger that had them in clear; they are there no more."""
        ...

    def set_power(self, node: int, power: PowerSaving | None) -> None:
        """Raises ``Gone``."""
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


class Commit(Protocol[T_co]):
    """A commit under way; ``await`` it. Raises ``CommitFailed``, or what its operation raised."""

    def __await__(self) -> Generator[Any, None, T_co]: ...
    def add_done_callback(self, callback: Callable[[Any], object], /) -> None: ...


class Ledger(Protocol):
    """One writer with group commit; reads on the caller's thread."""

    on_failure: Callable[[], object]
    """Called on the loop when a transaction could not be committed, before anyone hears of a commit in
    it. All commits not yet done at this moment fail; those made from here on count again."""

    @property
    def reader(self) -> Reader: ...
    def apart(self, read: Callable[[Reader], T]) -> Awaitable[T]:
        """A read that may touch more than a thousand rows: on a thread, with a connection of its own."""
        ...

    @property
    def watched(self) -> Mapping[int, Sequence[Subscriber]]:
        """Who subscribed, by resource; no others are in it. Changes when subscriptions do."""
        ...

    @property
    def installation(self) -> str:
        """Ten hex digits drawn when the store was made; part of every ``ri``."""
        ...

    @property
    def highest_id(self) -> int:
        """The highest id of any row: a floor for new ones."""
        ...

    def submit(
        self,
        operation: Callable[[Transaction], T],
        settled: Callable[[T | None, BaseException | None], object],
    ) -> None:
        """Run ``operation`` in the writer, in order of the calls, and when it is durable call
        ``settled(result, None)`` on the loop, in the same order; ``settled(None, error)`` if it is not.

        ``operation`` may run on another thread, and once more after its writes were undone: it must
        touch nothing but the transaction, and keep nothing elsewhere. If it raises, only its own writes
        are undone. The error is what it raised, or ``CommitFailed``. Raises ``CommitFailed`` once the
        ledger is closed."""
        ...

    def commit(self, operation: Callable[[Transaction], T]) -> Commit[T]:
        """``submit`` for those who await."""
        ...

    def run(self, operation: Callable[[Transaction], T]) -> T:
        """The same for callers without an event loop: blocks until durable."""
        ...

    def close(self) -> None: ...


class Inventory(Protocol):
    """Small operator documents. Reads come from memory and see only what is durable; each change is
    durable when its coroutine returns, and raises ``CommitFailed`` when nothing of it is stored."""

    @property
    def highest_id(self) -> int:
        """The highest id of any document: a floor for new ones."""
        ...

    def tenants(self) -> Sequence[Tenant]: ...
    def tenant(self, name: str) -> Tenant | None: ...
    async def add_tenant(self, tenant: Tenant) -> None:
        """Raises ``Conflict`` for a taken name."""
        ...

    def applications(self, tenant: str) -> Sequence[Application]: ...
    def application(self, tenant: str, name: str) -> Application | None: ...
    def application_by_id(self, id: int) -> Application | None: ...
    def application_by_aei(self, tenant: str, aei: str) -> Application | None: ...
    def bootstrap_templates(self) -> Sequence[BootstrapTemplate]:
        """Of all tenants; another list after each change."""
        ...

    async def put_bootstrap_template(self, template: BootstrapTemplate) -> None:
        """Insert, or replace the tenant's one of this name."""
        ...

    async def remove_bootstrap_template(self, tenant: str, name: str) -> None: ...
    def next_expiry(self) -> int | None:
        """When the next application is over, or was; microseconds. It is not to be found from then on."""
        ...

    def expired_applications(self) -> Sequence[Application]:
        """Those that are over and not removed, of all tenants."""
        ...

    async def put_application(self, application: Application) -> None:
        """Insert or replace. Raises ``Conflict`` for a name or AE-ID that another of its tenant has."""
        ...

    async def remove_application(self, id: int) -> None: ...
    def clients(self) -> Sequence[ApiClient]: ...
    def client(self, id: str) -> ApiClient | None: ...
    async def add_client(self, client: ApiClient) -> None:
        """Raises ``Conflict`` for a taken id."""
        ...

    async def remove_client(self, id: str) -> None: ...
    async def remove_tenant(self, name: str) -> None:
        """With its clients and bootstrap templates. Raises ``Conflict`` while it has applications."""
        ...

    def models(self) -> Sequence[Model]: ...
    async def set_models(self, models: Sequence[Model]) -> None:
        """Replace the model index."""
        ...
