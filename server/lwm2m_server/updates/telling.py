"""What a device is told before it gets a package, as far as it wants to know.

How urgent it is and how long it may be put off (``/5/0/11``, ``/5/0/13``), that it must not install by itself
(``/5/0/14``), and in object 19 (BinaryAppDataContainer) what is to come. A device that refuses gets the
package all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import orjson

from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import RequestError
from lwm2m_engine.messages.requests import Create, Single, Write
from lwm2m_engine.paths import Path
from lwm2m_engine.values import Value
from lwm2m_server.asks import Asks, NoAnswer, Refused
from lwm2m_server.store.definitions import Package
from lwm2m_server.store.records import Device
from lwm2m_server.updates.objects import Facts
from lwm2m_server.updates.records import Update

DATA: Final = 19
PLACES: Final = {"firmware": 65533, "software": 65534}
"""Instances of object 19, by the type of the package."""


async def tell(asks: Asks, device: Device, update: Update, facts: Facts) -> None:
    """Raises ``CommitFailed``."""
    if update.instance is not None:
        for resource, value in _wishes(update, facts):
            path = Path((update.plan.object, update.instance, resource))
            await _ask(asks, device, Write(path, (Entry(path, value),)))


def _wishes(update: Update, facts: Facts) -> Iterator[tuple[int, Value]]:
    at, options = update.plan.at, update.options
    waits = options.needs_approval or options.install_after is not None
    if at.automatic is not None and facts.is_automatic and waits:
        yield at.automatic, False
    if at.severity is not None and options.severity is not None:
        yield at.severity, options.severity
    if at.defer is not None and options.defer is not None:
        yield at.defer, options.defer


async def announce(asks: Asks, device: Device, update: Update, package: Package) -> None:
    """Write what is to come to object 19. Raises ``CommitFailed``."""
    if device.registration is None or DATA not in device.registration.objects:
        return
    facts = {
        "title": update.plan.title,
        "version": update.plan.version,
        "checksum": package.digest,
        "dataSize": package.size,
        "fileName": package.file_name,
    }
    root = Path((DATA, PLACES[update.kind]))
    entries = (Entry(Path((*root, 0, 0)), orjson.dumps(facts)),)
    is_there = root in device.registration.instances
    await _ask(asks, device, Write(root, entries) if is_there else Create(root, entries))


async def _ask(asks: Asks, device: Device, request: Single) -> None:
    try:
        await asks.ask(device, request)
    except (Refused, RequestError, NoAnswer):
        return
