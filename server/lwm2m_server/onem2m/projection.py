"""``Nodes``: the hub's view of the tree: facts into rows, rows back into what an engine knew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import structlog

from lwm2m_engine.engine import DeviceRecord, Engine, Waiting
from lwm2m_engine.engine.events import Event, Failed
from lwm2m_engine.engine.records import Observation, PowerSaving
from lwm2m_engine.errors import RequestError
from lwm2m_engine.messages.requests import Request
from lwm2m_engine.model.catalog import ModelView
from lwm2m_engine.paths import ROOT, Path
from lwm2m_server.directory import key_of
from lwm2m_server.onem2m.behaviours.messages import is_deferred, request_of
from lwm2m_server.onem2m.behaviours.nodes import node_name, provision_node, put_node
from lwm2m_server.onem2m.projector import Projector
from lwm2m_server.onem2m.tree import COMMUNICATION
from lwm2m_server.settings import MessageSettings
from lwm2m_server.store.ids import SECOND, Ids, NodeIds
from lwm2m_server.store.protocols import Inventory
from lwm2m_server.store.records import Device, DeviceRef, Message, Tenant, Unanswered
from lwm2m_server.store.transaction import Reader, Transaction

Write = Callable[[Transaction], object]
Plan: TypeAlias = Callable[[Event, DeviceRef, Callable[[str], ModelView]], Write | None]

MAX_RESERVED = 1000
"""Names kept in memory before those that are stored by now are dropped."""

_log = structlog.get_logger(__name__)


class Nodes:
    """The hub's ``Projection``."""

    def __init__(
        self,
        projector: Projector,
        inventory: Inventory,
        reader: Reader,
        ids: Ids,
        limits: MessageSettings,
        power: Callable[[Device], PowerSaving | None] = lambda device: None,
    ) -> None:
        """``power`` says when a device can hear for which nothing is set."""
        self._power = power
        self.plan: Plan = projector.plan
        self._projector = projector
        self._inventory, self._reader = inventory, reader
        self._ids, self._limits = ids, limits
        self._admitted: set[tuple[int, str]] = set()
        """CSEBase and name of nodes that may not be stored yet."""
        self._folders: dict[int, int] = {}
        """By CSEBase its ``device-communication``."""

    def listen(
        self,
        strange: Callable[[DeviceRef, Sequence[Path], float], object],
        unmapped: Callable[[DeviceRef, str, str, float], object],
    ) -> None:
        """``strange`` hears of values whose Resources have no model, ``unmapped`` of management objects that
        oneM2M has no place for."""
        self._projector.on_strange, self._projector.on_unmapped = strange, unmapped

    def plan_also(self, plan: Plan) -> None:
        """Commit with an event what ``plan`` makes of it, too."""
        first = self.plan

        def both(event: Event, device: DeviceRef, models: Callable[[str], ModelView]) -> Write | None:
            one, other = first(event, device, models), plan(event, device, models)
            if one is None or other is None:
                return one if other is None else other
            return lambda write: (one(write), other(write))

        self.plan = both

    def admit(self, tenant: str, endpoint: str) -> tuple[DeviceRef, Write]:
        """A node for an endpoint name that no node goes by, named after it."""
        owner = self._inventory.tenant(tenant)
        folder = self._folder(owner) if owner is not None else None
        if owner is None or folder is None:
            raise LookupError(f"tenant {tenant!r} has no {COMMUNICATION}")
        ids = NodeIds(self._ids.next(NodeIds.COUNT))
        name = node_name(endpoint, lambda name: self._is_taken(owner, name, name == endpoint))
        if name != endpoint:
            self._reserve(owner, name)
        new = provision_node(ids, owner, folder, name, endpoint, (), self._limits, endpoint)
        device = DeviceRef(ids.node, tenant, name, endpoint)
        self._projector.admitted(device)

        def store(write: Transaction) -> None:
            put_node(write, new)
            self._projector.made(write, new.node)

        return device, store

    def _folder(self, owner: Tenant) -> int | None:
        """Nobody can remove it."""
        known = self._folders.get(owner.id)
        if known is None:
            found = self._reader.child(owner.id, COMMUNICATION)
            if found is None:
                return None
            known = self._folders[owner.id] = found.id
        return known

    def record(self, device: Device, endpoint: str, engine: Engine) -> DeviceRecord:
        """What the engine must know of a device to go on."""
        waiting, lost = self._waiting(device, engine)
        for id, reason in lost:
            _log.error("a waiting message cannot be read any more", message=id, reason=reason)
        return self._record(device, endpoint, self._reader.observations(device.node), waiting)

    def everything(
        self, engines: Mapping[str, Engine], now: float
    ) -> Iterator[tuple[Device, DeviceRecord, Sequence[Event]]]:
        """Every device that has a registration or messages, and what its engine must know of it; with
        the end of messages that cannot be read any more."""
        queues, awaiting = self._reader.queues(), self._reader.awaiting()
        for device, observations in self._reader.everything():
            has_messages = NodeIds(device.node).outgoing in queues or device.node in awaiting
            if device.registration is None and not has_messages:
                continue
            engine = engines.get(device.tenant)
            if engine is None:
                _log.warning("devices of an unknown tenant are left alone", tenant=device.tenant)
                continue
            endpoint = key_of(device)
            waiting: tuple[Waiting, ...] = ()
            ended: Sequence[Event] = ()
            if has_messages:
                waiting, lost = self._waiting(device, engine)
                ended = [Failed(endpoint, now, id, "", ROOT, "refused", reason) for id, reason in lost]
            yield device, self._record(device, endpoint, observations, waiting), ended

    def _waiting(self, device: Device, engine: Engine) -> tuple[tuple[Waiting, ...], list[tuple[int, str]]]:
        """What the device has and did not answer, then what is still to be sent; and the ids of messages
        that cannot be read any more, with the reason."""
        models = engine.view(device.registration)
        waiting, lost = [], []
        messages: list[Message | Unanswered] = [*self._reader.unanswered(device.node)]
        messages += self._reader.messages(NodeIds(device.node).outgoing)
        for message in messages:
            try:
                request = _request(message, models)
            except RequestError as error:
                lost.append((message.id, error.reason))
                continue
            queued_at = message.id / SECOND
            if isinstance(message, Unanswered):
                waiting.append(Waiting(message.id, request, queued_at, message.deadline, sent=True))
                continue
            deferred = is_deferred(message)
            waiting.append(
                Waiting(
                    message.id, request, queued_at, message.deadline, message.in_flight, deferred=deferred
                )
            )
        return tuple(waiting), lost

    def outgoing_is_full(self, node: int) -> bool:
        """Whether no more messages may wait for the device."""
        return self._reader.is_full(NodeIds(node).outgoing)

    def waiting(self, node: int) -> int:
        """How many messages wait for the device."""
        return self._reader.counters(NodeIds(node).outgoing).instances

    def _record(
        self,
        device: Device,
        endpoint: str,
        observations: Iterable[Observation],
        waiting: tuple[Waiting, ...],
    ) -> DeviceRecord:
        return DeviceRecord(
            endpoint,
            device.registration,
            device.liveness,
            tuple(observations),
            waiting,
            device.inputs,
            device.power if device.power is not None else self._power(device),
        )

    def _is_taken(self, owner: Tenant, name: str, is_no_node: bool) -> bool:
        return (
            (owner.id, name) in self._admitted
            or self._inventory.application(owner.name, name) is not None
            or not (is_no_node or self._reader.child(owner.id, name) is None)
        )

    def _reserve(self, owner: Tenant, name: str) -> None:
        """Two endpoint names may become one node name before either is stored."""
        if len(self._admitted) >= MAX_RESERVED:
            self._admitted = {key for key in self._admitted if self._reader.child(*key) is None}
        self._admitted.add((owner.id, name))


def _request(message: Message | Unanswered, models: ModelView) -> Request:
    """A message was valid when it was posted; if the models have changed, the device decides."""
    try:
        return request_of(message.content, message.content_info, models)
    except RequestError:
        return request_of(message.content, message.content_info, None)
