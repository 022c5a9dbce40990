"""Packages on their way to simulated devices over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path as File
from typing import Any

import attrs
import pytest

from lwm2m_server.app import Running, run
from lwm2m_server.settings import Address, DeviceSettings, Settings
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.simulator.images import make_image
from lwm2m_server.simulator.updating import UpdateOptions
from lwm2m_server.store.definitions import Package
from lwm2m_server.store.records import Device
from lwm2m_server.updates.course import State
from lwm2m_server.updates.records import Options, Update

ANY = Address("127.0.0.1", 0)
IMAGE = make_image("firmware", "2.0", bytes(range(256)) * 24)


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[Running]:
    started: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    server = asyncio.create_task(run(settings, ready=started.set_result, stop=stop))
    await asyncio.wait([server, started], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield started.result()
    finally:
        stop.set()
        await server


@pytest.fixture
def settings(tmp_path: File) -> Settings:
    return Settings(coap=(ANY,), http=ANY, data=tmp_path / "data", devices=DeviceSettings(unknown="create"))


@pytest.fixture
async def running(settings: Settings) -> AsyncIterator[Running]:
    async with served(settings) as server:
        yield server


@asynccontextmanager
async def device(running: Running, name: str = "dev1", **options: Any) -> AsyncIterator[SimulatedDevice]:
    host, _, port = running.addresses.devices["coap"][0].rpartition(":")
    updating = UpdateOptions(install=0.01, reboot=0.01, **options)
    simulated = SimulatedDevice(name, (host, int(port)), version="1.1", updating=updating)
    await simulated.start()
    await simulated.registered()
    try:
        yield simulated
    finally:
        await simulated.stop()


def known(running: Running, name: str = "dev1") -> Device:
    found = running.ledger.reader.device_named("main", name)
    assert found is not None
    return found


def packaged(settings: Settings, image: bytes = IMAGE, **more: Any) -> Package:
    """A package whose bytes lie where the server looks for them."""
    digest = hashlib.sha256(image).hexdigest()
    folder = settings.data / "packages"
    folder.mkdir(exist_ok=True)
    (folder / digest).write_bytes(image)
    package = Package("main", "firmware-2.0", "2.0", "firmware", "fw.bin", digest, len(image), 0, "firmware")
    return attrs.evolve(package, **more)


async def until(running: Running, id: int, reached: Callable[[Update], bool]) -> Update:
    done: asyncio.Future[Update] = asyncio.get_running_loop().create_future()

    def look(update: Update) -> None:
        if update.id == id and reached(update) and not done.done():
            done.set_result(update)

    running.updates.listen(look)
    known = running.updates.get(id)
    assert known is not None
    look(known)
    try:
        return await asyncio.wait_for(done, 10)
    except TimeoutError:
        raise AssertionError(running.updates.get(id)) from None


async def test_push(running: Running, settings: Settings) -> None:
    package = packaged(settings)
    await running.packages.add(package)
    async with device(running) as simulated:
        update = await running.updates.begin(known(running), package, options=Options(method="push"))
        update = await until(running, update.id, lambda one: one.is_over)
        assert (update.state, update.reason) == (State.SUCCEEDED, None)
        assert [moment.state.value for moment in update.timeline] == [
            "queued",
            "transferring",
            "installing",
            "verifying",
            "succeeded",
        ]
        assert simulated.get("/3/0/3").content == "2.0"
        assert update.progress == 1.0
        assert running.updates.of(known(running)) == [update]


async def test_pull_over_coap(running: Running, settings: Settings) -> None:
    package = packaged(settings)
    await running.packages.add(package)
    async with device(running) as simulated:
        update = await running.updates.begin(known(running), package, options=Options(method="pull"))
        update = await until(running, update.id, lambda one: one.is_over)
        assert (update.state, update.reason) == (State.SUCCEEDED, None)
        assert simulated.get("/3/0/3").content == "2.0"
        assert [moment.state.value for moment in update.timeline] == [
            "queued",
            "offered",
            "transferring",
            "installing",
            "verifying",
            "succeeded",
        ]
