"""Which devices a campaign is for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from fnmatch import translate
from typing import Final, TypeAlias

import attrs

from lwm2m_engine.paths import Path
from lwm2m_server.store.definitions import DeviceProfile
from lwm2m_server.store.records import Device
from lwm2m_server.store.transaction import Reader
from lwm2m_server.updates.campaign_definition import Target

MANUFACTURER: Final = Path((3, 0, 0))
MODEL: Final = Path((3, 0, 1))
FIRMWARE_VERSION: Final = Path((3, 0, 3))
TURN: Final = 10
"""Devices looked at before others may run."""

GroupOf: TypeAlias = Callable[[Device, Collection[str]], str | None]
ProfileOf: TypeAlias = Callable[[Device], DeviceProfile | None]
Known: TypeAlias = Callable[[Device, Path], object]


@attrs.frozen(slots=True)
class Knowledge:
    """What is known of devices, beside their registrations."""

    group_of: GroupOf
    """Which of some groups a device is in, by name."""
    profile_of: ProfileOf
    known: Known
    """The last value of a Resource."""


def told_by(reader: Reader) -> Known:
    """What devices told last."""

    def known(device: Device, path: Path) -> object:
        told = reader.latest_values(device.node).get(path.key)
        return None if told is None else told.value

    return known


async def targeted(
    reader: Reader, tenant: str, target: Target, knowledge: Knowledge
) -> AsyncIterator[Device]:
    """In the order in which they were created, or named."""
    patterns = _patterns(target)
    for number, device in enumerate(_candidates(reader, tenant, target)):
        if _fits(device, target, patterns, knowledge):
            yield device
        if number % TURN == TURN - 1:
            await asyncio.sleep(0)


def _candidates(reader: Reader, tenant: str, target: Target) -> Iterable[Device]:
    if not target.devices:
        return reader.devices(tenant, chunk=TURN)
    named = (reader.device_named(tenant, name) for name in target.devices)
    return (device for device in named if device is not None)


def _fits(
    device: Device, target: Target, patterns: Iterable[tuple[Path, re.Pattern[str]]], knowledge: Knowledge
) -> bool:
    if target.endpoint is not None:
        name = device.endpoint if device.endpoint is not None else device.name
        if re.match(translate(target.endpoint), name) is None:
            return False
    if target.group is not None and knowledge.group_of(device, (target.group,)) is None:
        return False
    if target.profile is not None:
        profile = knowledge.profile_of(device)
        if profile is None or profile.name != target.profile:
            return False
    for path, pattern in patterns:
        value = knowledge.known(device, path)
        if not isinstance(value, str) or pattern.match(value) is None:
            return False
    return True


def _patterns(target: Target) -> list[tuple[Path, re.Pattern[str]]]:
    wanted = ((MANUFACTURER, target.manufacturer), (MODEL, target.model), (FIRMWARE_VERSION, target.version))
    return [(path, re.compile(translate(text))) for path, text in wanted if text is not None]
