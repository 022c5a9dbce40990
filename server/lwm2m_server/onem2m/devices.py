"""What the oneM2M side asks of the LwM2M side; the hub answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from lwm2m_engine.engine.devices import Client
from lwm2m_engine.engine.presence import Presence
from lwm2m_engine.engine.records import PowerSaving
from lwm2m_engine.mapping.commands import Order
from lwm2m_engine.messages.requests import Request
from lwm2m_engine.model.view import ModelView
from lwm2m_server.ports import Errand
from lwm2m_server.store.records import Device, DeviceRef
from lwm2m_server.store.transaction import Transaction

T = TypeVar("T")


class Devices(Protocol):
    """Wishes to devices. Everything a client writes is committed through here, in one order.

    All of them raise ``CommitFailed`` when the store cannot keep what was asked for, and what
    ``store`` raises.
    """

    def models(self, device: Device) -> ModelView:
        """The object versions the device announced, or the newest ones."""
        ...

    def state(self, device: Device) -> Presence:
        """Whether it can be reached, and what waits for it."""
        ...

    def clients(
        self, tenant: str, endpoints: Iterable[str] | None = None, *, asleep: bool | None = None
    ) -> Iterator[Sequence[Client]]:
        """All that are registered, or those of some endpoint names; only those ``asleep``, or those that are
        not. Some at a time, for a look at many."""
        ...

    def refs(self, endpoints: Iterable[str]) -> list[DeviceRef | None]:
        """Who has each of these endpoint names, if an engine knows it."""
        ...

    async def submit(
        self,
        device: Device,
        request: Request,
        *,
        id: int,
        expires_at: float | None,
        deferred: bool = False,
        store: Callable[[Transaction, bool], T],
    ) -> T:
        """Check and queue a request; ``store`` commits in the same transaction, and is told whether the
        request goes out at once.

        ``expires_at`` is seconds since 1970-01-01 UTC; ``deferred`` as in ``Errand``. Raises ``RequestError``
        and ``ContainerFull``.
        """
        ...

    async def submit_all(
        self,
        device: Device,
        errands: Sequence[Errand],
        store: Callable[[Transaction, Collection[int]], object],
        last: Callable[[Transaction], T],
    ) -> T:
        """The same for several requests, all or none. ``store`` is told the ids of those that go out at once;
        ``last`` sees what has become of it all."""
        ...

    def attributes(self, device: Device, name: str) -> Mapping[str, bool]:
        """What mappings have for a management object of the device, and which of it can be written."""
        ...

    def orders(self, device: Device, name: str, changes: Mapping[str, object]) -> Sequence[Order]:
        """What a change of a management object asks of the device. Raises ``RequestError``."""
        ...

    async def cancel(self, device: Device, id: int, store: Callable[[Transaction], T]) -> T:
        """Take a waiting message out of the queue."""
        ...

    async def save_power(self, device: Device, power: PowerSaving | None) -> None:
        """From now on it can hear when ``power`` says; ``None`` for what it says itself."""
        ...

    async def change(self, store: Callable[[Transaction], T]) -> T:
        """Commit what concerns no device's queue."""
        ...

    async def end(self, device: Device, store: Callable[[Transaction], T]) -> T:
        """Its credentials change: the registration ends, messages go on waiting."""
        ...

    async def forget(self, device: Device, store: Callable[[Transaction], T]) -> T:
        """The node or its credentials go: registration, queue and observations end."""
        ...
