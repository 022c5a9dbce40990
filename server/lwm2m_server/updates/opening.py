"""Puts the parts of updates together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import attrs

from lwm2m_engine.coap import Peer
from lwm2m_engine.errors import SettingsError
from lwm2m_engine.paths import Path
from lwm2m_server.asks import Asks
from lwm2m_server.bus import Bus
from lwm2m_server.profiles.places import ANY
from lwm2m_server.profiles.service import Profiles
from lwm2m_server.settings import Settings, UpdateSettings
from lwm2m_server.store.definitions import Package
from lwm2m_server.store.documents import dumps
from lwm2m_server.store.ids import Ids
from lwm2m_server.store.protocols import Collection, Ledger
from lwm2m_server.store.records import Device, DeviceRef
from lwm2m_server.updates.addresses import Addresses
from lwm2m_server.updates.course import Patience
from lwm2m_server.updates.files import FOLDER, PackageFiles
from lwm2m_server.updates.offers import Offers
from lwm2m_server.updates.packages import Packages
from lwm2m_server.updates.performing import Performer
from lwm2m_server.updates.records import Update
from lwm2m_server.updates.service import Updates
from lwm2m_server.uplink import Uplink

Record: TypeAlias = Callable[[DeviceRef, str, str], str]
"""A line of the journal of events: the device, what kind of event, and JSON text."""


@attrs.frozen
class Updating:
    """The parts that others have to do with."""

    updates: Updates
    packages: Packages
    offers: Offers
    files: PackageFiles
    addresses: Addresses


def open_updates(
    settings: Settings,
    ledger: Ledger,
    packages: Collection[Package],
    ids: Ids,
    profiles: Profiles,
    uplink: Uplink,
    asks: Asks,
    bus: Bus,
    record: Record,
) -> Updating:
    """To be started when all listeners are there, and ``addresses`` knows them. Raises ``SettingsError``."""
    wanted = settings.updates
    files = PackageFiles(settings.data / FOLDER)
    try:
        files.sweep({package.digest for package in packages.all()})
    except OSError as error:
        raise SettingsError(f"{files.folder}: {error.strerror}") from error
    offers, addresses = Offers(files), Addresses(wanted.public)

    def is_another(peer: Peer, node: int) -> bool:
        device = uplink.device_at(peer)
        return device is not None and device.node != node

    offers.is_another = is_another
    uplink.serve = offers.serve

    performer = Performer(asks, files, offers, addresses, _Wanted(profiles), lifetime=wanted.token_lifetime)
    updates = Updates(
        ledger, packages, performer, offers, bus, patience=_patience(wanted), told=partial(_told, record)
    )
    kept = Packages(packages, ledger.reader, files, ids, wanted.largest_package)
    return Updating(updates, kept, offers, files, addresses)


def _told(record: Record, update: Update) -> str:
    """What the journal of events has of a new state."""
    message = {
        "nodeResourceName": update.device,
        "time": int(update.changed_at * 1000),
        "update": update.id,
        "package": update.package,
        "version": update.plan.version,
        "campaign": update.campaign,
        "state": update.state.value,
        "reason": update.reason,
    }
    ref = DeviceRef(update.node, update.tenant, update.device, update.device)
    return record(ref, "update", dumps({name: one for name, one in message.items() if one is not None}))


@attrs.frozen
class _Wanted:
    """What ``Performer`` asks of profiles."""

    profiles: Profiles

    def name(self, device: Device) -> str | None:
        profile = self.profiles.of(device)
        return None if profile is None else profile.name

    def strategy(self, device: Device, kind: str) -> int:
        mapping = self.profiles.mapping(device)
        return mapping.software_strategy if kind == "software" else mapping.firmware_strategy

    def observes(self, device: Device, path: Path) -> bool:
        object, instance, resource = path
        return any(
            place.object == object
            and place.instance in (None, ANY, instance)
            and place.resource in (None, resource)
            for place in self.profiles.mapping(device).observe
        )

    def announces(self, device: Device) -> bool:
        return self.profiles.mapping(device).use_object_19

    def uri(self, device: Device, kind: str) -> str | None:
        mapping = self.profiles.mapping(device)
        return mapping.software_resource if kind == "software" else mapping.firmware_resource


def _patience(wanted: UpdateSettings) -> Patience:
    return Patience(
        poll=wanted.poll,
        soon=wanted.soon,
        stall=wanted.stall,
        install=wanted.install,
        settle=wanted.settle,
        retry=wanted.first_retry,
        longest_retry=wanted.longest_retry,
    )
