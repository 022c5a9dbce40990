"""What the hub needs of the world around it: transports to devices, and the tree its facts are shown in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

import attrs

from lwm2m_engine.engine import DeviceRecord, Engine, Perform
from lwm2m_engine.engine.events import Event
from lwm2m_engine.messages.requests import Request
from lwm2m_engine.model.catalog import ModelView
from lwm2m_server.store.records import Device, DeviceRef
from lwm2m_server.store.transaction import Transaction

Write: TypeAlias = Callable[[Transaction], object]


@attrs.frozen(slots=True)
class Errand:
    """A request to a device, and the message in ``outgoing-msg`` that stands for it."""

    id: int
    """Of the message."""
    request: Request
    expires_at: float | None
    """Seconds since 1970-01-01 UTC."""
    deferred: bool = False
    """It waits until its action may go (``lwm2m_engine.mapping.rules.When``)."""


class Transport(Protocol):
    """What sends requests to devices."""

    def perform(self, effect: Perform) -> None: ...
    def abort(self, exchange: int) -> None: ...


class Projection(Protocol):
    """Facts as writes, and rows back as what the engine knew. Belongs to the oneM2M tree above."""

    @property
    def plan(self) -> Callable[[Event, DeviceRef, Callable[[str], ModelView]], Write | None]:
        """What an event changes in the ledger, told the event, its device, and whom to ask for models."""
        ...

    def admit(self, tenant: str, endpoint: str) -> tuple[DeviceRef, Write]:
        """A node for an endpoint name nobody knew."""
        ...

    def record(self, device: Device, endpoint: str, engine: Engine) -> DeviceRecord:
        """What the engine must know of a device to go on."""
        ...

    def everything(
        self, engines: Mapping[str, Engine], now: float
    ) -> Iterable[tuple[Device, DeviceRecord, Sequence[Event]]]:
        """Each device whose engine is to go on, and events of what cannot."""
        ...

    def waiting(self, node: int) -> int:
        """How many messages wait for the device."""
        ...

    def outgoing_is_full(self, node: int) -> bool:
        """Whether no more messages may wait for it."""
        ...
