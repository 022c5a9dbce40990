"""What the rest of the server may ask of its two stores, whatever is behind them.

The *inventory* holds small operator documents (tenants, applications, the model index); the *ledger*
holds what grows with the fleet.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from lwm2m_server.store.definitions import Campaign, DeviceProfile, Enrolment, Package, UploadedModel
from lwm2m_server.store.records import ApiClient, Application, BootstrapTemplate, Model, Subscriber, Tenant
from lwm2m_server.store.transaction import Reader, Transaction

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


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
    def watched_closely(self) -> Mapping[int, Sequence[Subscriber]]:
        """Those among them who want to hear of other subscriptions to the same resource, too."""
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


class Named(Protocol):
    """What can be in a ``Collection``."""

    @property
    def tenant(self) -> str | None:
        """Whose it is; ``None`` for what is every tenant's."""
        ...

    @property
    def name(self) -> str: ...


D = TypeVar("D", bound=Named)


class Collection(Protocol[D]):
    """Documents of one kind, each told by its tenant and its name."""

    def all(self) -> Sequence[D]:
        """Of all tenants; another list after each change."""
        ...

    def of(self, tenant: str | None) -> Sequence[D]:
        """A tenant's own; with ``None`` those of every tenant."""
        ...

    def get(self, tenant: str | None, name: str) -> D | None: ...
    async def add(self, document: D) -> None:
        """Raises ``Conflict`` for a name that the tenant has already."""
        ...

    async def put(self, document: D) -> None:
        """Insert, or replace the one of this tenant and name."""
        ...

    async def put_all(self, documents: Sequence[D]) -> None:
        """The same for several: all of them or none."""
        ...

    async def remove(self, tenant: str | None, name: str) -> None:
        """Nothing, if it is not there."""
        ...


class Inventory(Protocol):
    """Small operator documents. Reads come from memory and see only what is durable; each change is
    durable when its coroutine returns, and raises ``CommitFailed`` when nothing of it is stored."""

    @property
    def highest_id(self) -> int:
        """The highest id of any document: a floor for new ones."""
        ...

    @property
    def profiles(self) -> Collection[DeviceProfile]: ...
    @property
    def uploads(self) -> Collection[UploadedModel]: ...
    @property
    def packages(self) -> Collection[Package]: ...
    @property
    def campaigns(self) -> Collection[Campaign]: ...
    @property
    def enrolments(self) -> Collection[Enrolment]: ...

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
        """With its clients and definitions. Raises ``Conflict`` while it has applications."""
        ...

    def models(self) -> Sequence[Model]: ...
    async def set_models(self, models: Sequence[Model]) -> None:
        """Replace the model index."""
        ...
