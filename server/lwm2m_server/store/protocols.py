"""What the rest of the server may ask of its two stores, whatever is behind them.

The *inventory* holds small operator documents (tenants, applications, the model index); the *ledger*
holds what grows with the fleet. Ids are microseconds since 1970-01-01 UTC, unique over the
installation, so an id is also a creation time (see ``ids``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import attrs

from lwm2m_engine.engine.records import Liveness, Observation, Registration
from lwm2m_engine.paths import Path
from lwm2m_engine.values import Value

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
    name: str
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
    identity: str | None
    """PSK identity of its credentials."""
    registration: Registration | None
    liveness: Liveness | None
    registered_at: float | None
    updated_at: float | None
    deregistered_at: float | None
    expired_at: float | None
    inputs: Mapping[Path, Value]


class CommitFailed(Exception):
    """The transaction was rolled back; nothing of it, nor of those behind it, is stored."""


class Conflict(Exception):
    """A name or identity is already taken. Aborts only its own operation, not the batch."""


class ContainerFull(Exception):
    """``outgoing-msg`` never evicts. Aborts only its own operation, not the batch."""


class Reader(Protocol):
    """Reads. On the loop they see what is committed; in a transaction also what it has written."""

    def resource(self, id: int) -> Resource | None: ...
    def child(self, parent: int, name: str) -> Resource | None: ...
    def children(
        self, parent: int, *, types: Collection[int] = (), limit: int | None = None, offset: int = 0
    ) -> Sequence[Resource]: ...
    def counters(self, container: int) -> Counters: ...
    def message(self, id: int) -> Message | None: ...
    def message_named(self, container: int, name: str) -> Message | None: ...
    def latest(self, container: int) -> Message | None: ...
    def oldest(self, container: int) -> Message | None: ...
    def messages(self, container: int, *, limit: int | None = None, offset: int = 0) -> Sequence[Message]: ...
    def device(self, node: int) -> Device | None: ...
    def device_named(self, tenant: str, name: str) -> Device | None: ...
    def device_of_endpoint(self, endpoint: str, identity: str | None = None) -> Device | None:
        """The node an endpoint name belongs to, by the rules in decisions: bound endpoint, rn, ni
        (``urn:imei:`` and ``urn:gsma:imei:`` alike), credentials identity."""
        ...

    def devices(self, tenant: str | None = None) -> Iterable[Device]: ...
    def observations(self, node: int) -> Sequence[Observation]: ...


class Transaction(Reader, Protocol):
    """Writes, inside one commit. Every method is O(1) or O(log n) in what is stored."""

    def put(self, resource: Resource) -> None:
        """Insert; a node also gets its ``Device`` row. Raises ``Conflict`` for a taken name or ni."""
        ...

    def change(self, id: int, attributes: Mapping[str, Any], modified: int) -> Resource | None:
        """Replace the attributes of a resource; ``None`` if it is gone."""
        ...

    def remove(self, id: int) -> None:
        """A resource with all below it; of a node also device row and observations."""
        ...

    def add_message(self, message: Message) -> Message:
        """Append; returns it with its ``state_tag``. Evicts the oldest beyond ``mni``/``mbs`` of the
        container, or raises ``ContainerFull`` when the container has ``evict`` false."""
        ...

    def remove_message(self, id: int) -> None: ...
    def move_message(self, id: int, container: int, new_id: int, name: str) -> Message | None:
        """To another container with a new id and name, content and creator kept; ``None`` if gone."""
        ...

    def mark_in_flight(self, id: int, in_flight: bool) -> None: ...
    def bind_endpoint(self, node: int, endpoint: str) -> None: ...
    def set_identity(self, node: int, identity: str | None) -> None:
        """Raises ``Conflict``."""
        ...

    def put_registration(
        self, node: int, registration: Registration, liveness: Liveness, at: float
    ) -> None: ...
    def change_registration(self, node: int, registration: Registration) -> None: ...
    def touch(self, node: int, liveness: Liveness, at: float) -> None:
        """An Update: only the narrow columns."""
        ...

    def end_registration(self, node: int, at: float, *, expired: bool) -> None:
        """Also ends its observations."""
        ...

    def put_observation(self, node: int, observation: Observation) -> None: ...
    def remove_observation(self, token: bytes) -> None: ...
    def set_inputs(self, node: int, inputs: Mapping[Path, Value]) -> None: ...


class Commit(Protocol[T_co]):
    """A commit under way; ``await`` it. Raises ``CommitFailed``, or what its operation raised."""

    def __await__(self) -> Generator[Any, None, T_co]: ...
    def add_done_callback(self, callback: Callable[[Any], object], /) -> None: ...


class Ledger(Protocol):
    """One writer thread with group commit; reads on the caller's thread."""

    @property
    def reader(self) -> Reader: ...
    def commit(self, operation: Callable[[Transaction], T]) -> Commit[T]:
        """Run ``operation`` in the writer, in order of the calls; done when durable.

        ``operation`` runs on another thread and must touch nothing but the transaction and its own
        arguments. If it raises, only its own writes are undone (savepoint)."""
        ...

    def close(self) -> None: ...
