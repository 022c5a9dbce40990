"""What the two stores keep, as plain values: rows of the ledger and documents of the inventory.

Ids are microseconds since 1970-01-01 UTC, unique over the installation, so an id is also a creation time
(see ``ids``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import attrs

from lwm2m_engine.engine.records import Liveness, PowerSaving, Registration
from lwm2m_engine.paths import Path
from lwm2m_engine.values import Value
from lwm2m_server.store.ids import uuid_name


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
    profile: str | None = None
    """The name of the device profile that was assigned to it; there may be one for it otherwise."""


class Subject(NamedTuple):
    """What of a device says which profile is for it; a part of what ``Device`` tells."""

    node: int
    tenant: str
    name: str
    endpoint: str | None
    profile: str | None


class Described(NamedTuple):
    """What a device says it is."""

    manufacturer: str | None
    model: str | None


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


@attrs.frozen(slots=True)
class BatchKey:
    """The pre-shared key of a device that is not there yet; opened with the vault's key only."""

    identity: str
    endpoint: str
    tenant: str
    rule: str
    """The enrolment rule it was uploaded for."""
    sealed: bytes = attrs.field(repr=False)


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
    """``bundled`` or ``folder``; the latter replaces the former."""
    tenant: str | None = None
    """``None`` when it is every tenant's."""
