"""``State``: the engine's devices and the indexes that find them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from lwm2m_engine.coap import Peer
from lwm2m_engine.codecs import Codecs
from lwm2m_engine.deadlines import Deadlines
from lwm2m_engine.engine.devices import Device, Exchange
from lwm2m_engine.engine.hooks import Hooks
from lwm2m_engine.engine.records import Liveness, Observation, Registration
from lwm2m_engine.engine.settings import EngineSettings
from lwm2m_engine.links import Link
from lwm2m_engine.mapping.table import MappingTable
from lwm2m_engine.model.catalog import Catalog, ModelView

GATEWAY = 25
"""OMA object 25, LwM2M Gateway: end devices lie below the prefixes it names."""
MAX_VIEWS = 1024
"""Views of models kept for the next device that announces the same Object versions."""


@attrs.define(slots=True, eq=False)
class State:
    """Everything mutable. Its methods keep the indexes true; the rules live in the other modules."""

    catalog: Catalog
    table: MappingTable
    codecs: Codecs
    hooks: Hooks
    settings: EngineSettings
    tokens: Callable[[], bytes]
    """8 random bytes a call: observation tokens and registration ids."""
    exchanges: Iterator[int]
    unannounced: Callable[[str], str | None]
    """The version of Objects that a device announces without one, if that is not LwM2M's to say."""
    devices: dict[str, Device] = attrs.field(factory=dict)
    by_registration: dict[str, Device] = attrs.field(factory=dict)
    by_peer: dict[Peer, Device] = attrs.field(factory=dict)
    by_token: dict[bytes, Device] = attrs.field(factory=dict)
    by_exchange: dict[int, Device] = attrs.field(factory=dict)
    deadlines: Deadlines[Device] = attrs.field(factory=Deadlines)
    announcements: dict[tuple[tuple[Link, ...], str, str | None], Mapping[str, Any]] = attrs.field(
        init=False, factory=dict
    )
    """What follows from an object list, by its links, the enabler version and that of Objects without one;
    with these models."""
    _views: dict[tuple[str, tuple[tuple[int, str], ...]], ModelView] = attrs.field(init=False, factory=dict)

    def device(self, endpoint: str) -> Device:
        """The device of this name, made on first use."""
        device = self.devices.get(endpoint)
        if device is None:
            device = Device(endpoint, self.view(None), grace=self.settings.grace)
            self.devices[endpoint] = device
        return device

    def view(self, registration: Registration | None) -> ModelView:
        """The models that hold for a registration; the newest ones without."""
        if registration is None:
            return self.catalog
        # One view for all that announced the same: it keeps what it has looked up.
        known = registration.version, tuple(registration.objects.items())
        view = self._views.get(known)
        if view is None:
            if len(self._views) >= MAX_VIEWS:
                self._views.clear()
            versions: Mapping[int, str] = registration.objects
            if GATEWAY in versions:
                # Its end devices do not announce theirs.
                versions = {spec.id: spec.version for spec in self.catalog} | dict(versions)
            view = self._views[known] = self.catalog.view(registration.version, versions)
        return view

    def swap(self, catalog: Catalog, table: MappingTable) -> None:
        """Use other models and mappings from now on."""
        self.catalog, self.table = catalog, table
        self._views.clear()
        self.announcements.clear()
        # Devices that shared a view share the next: what they announced is looked at once.
        moved: dict[ModelView, ModelView] = {}
        for device in self.devices.values():
            view = moved.get(device.view)
            if view is None:
                view = moved[device.view] = self.view(device.registration)
            device.view = view

    def attach(self, device: Device, registration: Registration, liveness: Liveness) -> None:
        """Make ``registration`` the live one of ``device``."""
        device.registration = registration
        device.view = self.view(registration)
        self.by_registration[registration.id] = device
        self.move(device, liveness)

    def move(self, device: Device, liveness: Liveness) -> None:
        """The device was heard from ``liveness.peer``."""
        known = device.liveness
        if known is None or known.peer != liveness.peer:
            self._forget_peer(device)
            self.by_peer[liveness.peer] = device
            if liveness.peer.identity is not None:
                self.by_peer[_anywhere(liveness.peer)] = device
        device.liveness = liveness

    def sender(self, peer: Peer) -> Device | None:
        """The registered device that was last heard from this address; with an identity, from any."""
        device = self.by_peer.get(peer)
        if device is None and peer.identity is not None:
            device = self.by_peer.get(_anywhere(peer))
        return device

    def detach(self, device: Device) -> None:
        """The registration is over; observations and exchange have been ended by the caller."""
        if device.registration is not None:
            self.by_registration.pop(device.registration.id, None)
        self._forget_peer(device)
        device.registration = None
        device.liveness = None
        device.awake_until = device.asleep_since = device.assigned = None
        device.sequences.clear()
        device.view = self.view(None)

    def remember(self, device: Device, observation: Observation) -> None:
        device.observations[observation.token] = observation
        self.by_token[observation.token] = device

    def drop(self, device: Device, token: bytes) -> Observation | None:
        device.sequences.pop(token, None)
        self.by_token.pop(token, None)
        return device.observations.pop(token, None)

    def open_exchange(self, device: Device, exchange: Exchange) -> None:
        device.exchange = exchange
        self.by_exchange[exchange.id] = device

    def close_exchange(self, device: Device) -> Exchange | None:
        exchange, device.exchange = device.exchange, None
        if exchange is not None:
            self.by_exchange.pop(exchange.id, None)
        return exchange

    def _forget_peer(self, device: Device) -> None:
        # Another device may have taken over the address meanwhile (NAT).
        if device.liveness is None:
            return
        for peer in (device.liveness.peer, _anywhere(device.liveness.peer)):
            if self.by_peer.get(peer) is device:
                del self.by_peer[peer]


def _anywhere(peer: Peer) -> Peer:
    return peer._replace(host="", port=0)
