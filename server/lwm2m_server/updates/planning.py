"""A new update: what it is to do, and whether there may be one."""

from __future__ import annotations

from collections.abc import Iterable

from lwm2m_server.store.definitions import Package
from lwm2m_server.store.records import Device
from lwm2m_server.store.updates import UpdateRow
from lwm2m_server.updates.course import Course, Patience, Plan, State
from lwm2m_server.updates.objects import ADVANCED, FIRMWARE, SOFTWARE
from lwm2m_server.updates.records import Moment, Options, Update, UpdateRefused


def new_update(
    device: Device, package: Package, campaign: str | None, options: Options, patience: Patience, now: float
) -> Update:
    """Without the number that the store gives it."""
    return Update(
        0,
        device.tenant,
        device.node,
        device.name,
        package.type,
        package.name,
        campaign,
        _plan(package, options, patience),
        options,
        Course(),
        now,
        now,
        size=package.size or None,
        timeline=(Moment(now, State.QUEUED),),
    )


def _plan(package: Package, options: Options, patience: Patience) -> Plan:
    object = SOFTWARE if package.type == "software" else FIRMWARE
    if package.type == "firmware" and (options.component is not None or options.instance is not None):
        object = ADVANCED
    return Plan(
        object,
        package.title or package.name,
        package.version,
        comparison=options.comparison,
        source=options.source,
        needs_approval=options.needs_approval,
        install_after=options.install_after,
        is_forced=options.is_forced,
        activates=options.activates,
        attempts=options.attempts,
        patience=patience,
    )


def refuse_second(update: Update, others: Iterable[UpdateRow]) -> None:
    """Two at a time would take each other's place on the device: of firmware one for each component, of
    software one for each Instance. Raises ``UpdateRefused``."""
    for row in others:
        if row.is_open and row.id != update.id and row.document["kind"] == update.kind:
            place = row.document.get("options", {})
            if _overlaps(update, row.package, place.get("component"), place.get("instance")):
                raise UpdateRefused(f"update {row.id} ({row.package}) of {update.device} is not over")


def _overlaps(update: Update, package: str, component: str | None, instance: int | None) -> bool:
    mine = update.options.component, update.options.instance
    if update.kind == "software" and package != update.package:
        return instance is not None and instance == mine[1]
    return (None, None) in (mine, (component, instance)) or mine == (component, instance)
