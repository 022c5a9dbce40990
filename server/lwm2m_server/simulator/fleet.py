"""``Fleet``: many simulated devices in one process."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from lwm2m_engine.model.catalog import Catalog
from lwm2m_server.simulator.bootstrapping import FactoryDevice, over_dtls
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.simulator.dtls import PreSharedKey
from lwm2m_server.simulator.updating import UpdateOptions

PACE = 0.002
"""Seconds between two devices that start, so that a thousand of them are no flood."""
SPARE_FILES = 64
DRIFT = 20.0
"""Seconds between two battery levels of a device somebody observes."""


class Fleet:
    """Starts and stops devices together."""

    def __init__(self, devices: Iterable[SimulatedDevice]) -> None:
        self.devices = list(devices)

    @classmethod
    def of(cls, server: tuple[str, int], count: int, *, prefix: str = "device", **options: Any) -> Fleet:
        """``count`` alike: ``device001``, ``device002`` …; ``options`` as of ``SimulatedDevice``."""
        return cls(SimulatedDevice(_name(prefix, number), server, **options) for number in _numbers(count))

    @classmethod
    def bootstrapped(
        cls, server: tuple[str, int], count: int, *, prefix: str = "device", **options: Any
    ) -> Fleet:
        """The same that ask the bootstrap server ``server`` where to register, and for how long."""
        types = Catalog.bundled().types
        return cls(
            FactoryDevice(_name(prefix, number), server, types, **options) for number in _numbers(count)
        )

    @classmethod
    def demo(cls, server: tuple[str, int], count: int, *, awake: float, sleep: float) -> Fleet:
        """A LwM2M 1.0 device, then a sleeper (LwM2M 1.1 in queue mode), and so on in turn."""
        return cls(
            SimulatedDevice(_name("device", number), server, drift=DRIFT, updating=UpdateOptions())
            if number % 2
            else SimulatedDevice(
                _name("device", number),
                server,
                version="1.1",
                queue_mode=True,
                awake=awake,
                sleep=sleep,
                drift=DRIFT,
                updating=UpdateOptions(),
            )
            for number in _numbers(count)
        )

    def secure(self, key: bytes) -> None:
        """By DTLS: each with its endpoint name for an identity, and this pre-shared key."""
        for device in self.devices:
            device.connect = over_dtls(PreSharedKey(device.endpoint.encode(), key))

    async def start(self) -> None:
        """Open all sockets; the devices register on their own."""
        _allow_files(len(self.devices) + SPARE_FILES)
        for device in self.devices:
            await device.start()
            await asyncio.sleep(PACE)

    async def registered(self) -> None:
        """Wait until every device is registered."""
        await asyncio.gather(*(device.registered() for device in self.devices))

    async def stop(self, *, deregister: bool = False) -> None:
        await asyncio.gather(*(device.stop(deregister=deregister) for device in self.devices))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _numbers(count: int) -> range:
    return range(1, count + 1)


def _name(prefix: str, number: int) -> str:
    return f"{prefix}{number:03d}"


def _allow_files(count: int) -> None:
    """One socket a device: raise the process's soft limit as far as that needs and the hard one allows."""
    if sys.platform == "win32":
        return
    import resource  # POSIX only

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
