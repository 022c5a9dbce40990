"""Surveys: which Object Instance of a device an update is about, and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from lwm2m_engine.entries import Entry
from lwm2m_engine.messages.requests import Create, Read
from lwm2m_engine.paths import Path
from lwm2m_server.asks import Asks, NoAnswer, Refused
from lwm2m_server.store.records import Device
from lwm2m_server.updates.objects import ADVANCED, FIRMWARE, OBJECTS, SOFTWARE, Facts, Phase, UpdateObject
from lwm2m_server.updates.records import Options, Update, UpdateRefused

FIRMWARE_VERSION: Final = Path("/3/0/3")
_FACTS: Final = {
    "manufacturer": Path("/3/0/0"),
    "model": Path("/3/0/1"),
    "hardwareVersion": Path("/3/0/18"),
}
MAX_INSTANCES: Final = 100
"""Of object 9 that are looked at."""


@attrs.frozen(slots=True)
class Survey:
    object: int
    instance: int
    facts: Facts


async def survey(asks: Asks, device: Device, update: Update, patience: float | None) -> Survey:
    """Read what there is to know. Raises ``UpdateRefused``, and what ``Asks.ask`` raises."""
    at = _object_of(device, update)
    if update.instance is None:
        instance, values = await _choose(asks, device, at, update, patience)
    else:
        instance = update.instance
        root = Path((at.id, instance))
        answer = await asks.ask(device, Read(root), patience=patience)
        values = by_instance(answer.entries).get(instance, {})
    facts = at.facts(values)
    if at.running is None and update.kind == "firmware":
        facts = attrs.evolve(facts, running=await _running(asks, device, patience))
    return Survey(at.id, instance, facts)


def _object_of(device: Device, update: Update) -> UpdateObject:
    announced = device.registration.objects if device.registration is not None else {}
    wanted = update.plan.object
    if wanted == FIRMWARE and FIRMWARE not in announced and ADVANCED in announced:
        wanted = ADVANCED
    if wanted not in announced:
        names = {FIRMWARE: "Firmware Update", SOFTWARE: "Software Management", ADVANCED: "Advanced Firmware"}
        raise UpdateRefused(f"the device has no object {wanted} ({names[wanted]})")
    return OBJECTS[wanted]


async def misfit(
    asks: Asks, device: Device, fits: Mapping[str, str], profile: str | None, patience: float | None
) -> str | None:
    """Why a package is not for a device, as far as it says what it is."""
    for name, wanted in fits.items():
        if name == "profile":
            found = profile
        else:
            found = await _text_of(asks, device, _FACTS[name], patience)
        if found != wanted:
            has = "none" if found is None else repr(found)
            return f"the package is for devices with {name} {wanted!r}, and this one has {has}"
    return None


async def _running(asks: Asks, device: Device, patience: float | None) -> str | None:
    """What the device says of its firmware, if it does."""
    return await _text_of(asks, device, FIRMWARE_VERSION, patience)


async def _text_of(asks: Asks, device: Device, path: Path, patience: float | None) -> str | None:
    try:
        answer = await asks.ask(device, Read(path), patience=patience)
    except (Refused, NoAnswer):
        return None
    value = answer.entries[0].value if answer.entries else None
    return value if isinstance(value, str) else None


async def _choose(
    asks: Asks, device: Device, at: UpdateObject, update: Update, patience: float | None
) -> tuple[int, Mapping[int, object]]:
    instances = _announced(device, at.id)
    if instances:
        answer = await asks.ask(device, Read(Path((at.id,))), patience=patience)
        found = by_instance(answer.entries)
    else:
        found = {}
    instance = chosen(at, found, update.options, update.plan.title)
    if instance is not None:
        return instance, found.get(instance, {})
    if at.id != SOFTWARE:
        raise UpdateRefused(f"the device has no Instance of object {at.id} for the package")
    return await _create(asks, device, at, patience), {at.state: 0, at.result: 0}


async def _create(asks: Asks, device: Device, at: UpdateObject, patience: float | None) -> int:
    try:
        answer = await asks.ask(device, Create(Path((at.id,))), patience=patience)
    except Refused as refusal:
        raise UpdateRefused(
            f"no Instance of object {at.id} is free, and none can be made: {refusal}"
        ) from refusal
    if answer.created is None or len(answer.created) < 2:
        raise UpdateRefused(f"the device does not say which Instance of object {at.id} it made")
    return answer.created[1]


def chosen(
    at: UpdateObject, found: Mapping[int, Mapping[int, object]], options: Options, title: str
) -> int | None:
    """The Instance that is meant, has the name, or is free. Raises ``UpdateRefused``."""
    if options.instance is not None:
        if found and options.instance not in found:
            raise UpdateRefused(f"the device has no /{at.id}/{options.instance}")
        return options.instance
    facts = {instance: at.facts(values) for instance, values in sorted(found.items())}
    if at.id == FIRMWARE:
        return next(iter(facts), 0)
    if at.id == ADVANCED:
        return _component(facts, options.component)
    named = [instance for instance, one in facts.items() if one.name == title]
    free = [instance for instance, one in facts.items() if one.phase is Phase.IDLE and not one.name]
    return next(iter(named or free), None)


def _component(facts: Mapping[int, Facts], wanted: str | None) -> int | None:
    if wanted is None:
        if len(facts) > 1:
            names = ", ".join(sorted(one.component or f"/{ADVANCED}/{id}" for id, one in facts.items()))
            raise UpdateRefused(f"the device has several components ({names}): say which")
        return next(iter(facts), None)
    return next((instance for instance, one in facts.items() if one.component == wanted), None)


def by_instance(entries: Iterable[Entry]) -> dict[int, dict[int, object]]:
    """Values of an Object, by Instance and Resource; those of a multiple Resource in a mapping."""
    found: dict[int, dict[int, object]] = {}
    for path, value, _ in entries:
        if len(path) < 3 or value is None:
            continue
        if path[1] not in found and len(found) >= MAX_INSTANCES:
            continue
        resources = found.setdefault(path[1], {})
        if len(path) == 3:
            resources[path[2]] = value
            continue
        several = resources.setdefault(path[2], {})
        if isinstance(several, dict):
            several[path[3]] = value
    return found


def _announced(device: Device, object: int) -> Sequence[int]:
    instances = device.registration.instances if device.registration is not None else ()
    return [path[1] for path in instances if path[0] == object]
