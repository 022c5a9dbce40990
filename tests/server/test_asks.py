"""Requests of the server's own: they wait like messages, and leave nothing in the boxes of applications."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path as File
from typing import Any

import pytest

from lwm2m_engine import Entry, Path
from lwm2m_engine.engine.events import Queued
from lwm2m_engine.errors import RequestError
from lwm2m_engine.messages.requests import Read, Write
from lwm2m_server.app import Running, run
from lwm2m_server.asks import NoAnswer, Refused
from lwm2m_server.settings import Address, DeviceSettings, Settings
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.store.ids import NodeIds
from lwm2m_server.store.records import Device

ANY = Address("127.0.0.1", 0)
BATTERY = Read(Path("/3/0/9"))
READ_ONLY = Write(Path("/3/0/9"), (Entry(Path("/3/0/9"), 7),))


@pytest.fixture
async def running(tmp_path: File) -> AsyncIterator[Running]:
    settings = Settings(
        coap=(ANY,), http=ANY, data=tmp_path / "data", devices=DeviceSettings(unknown="create")
    )
    started: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    server = asyncio.create_task(run(settings, ready=started.set_result, stop=stop))
    await asyncio.wait([server, started], return_when=asyncio.FIRST_COMPLETED)
    yield started.result()
    stop.set()
    await server


@pytest.fixture
async def client(running: Running) -> AsyncIterator[SimulatedDevice]:
    host, _, port = running.addresses.devices["coap"][0].rpartition(":")
    device = SimulatedDevice("dev1", (host, int(port)), version="1.1", queue_mode=True)
    await device.open()
    await device.register()
    yield device
    device.close()


def known(running: Running) -> Device:
    device = running.core.ledger.reader.device_named("main", "dev1")
    assert device is not None
    return device


async def asleep(running: Running, request: Any, **more: Any) -> asyncio.Task[Any]:
    """A request that waits, because the device is made to sleep before."""
    device, queued = known(running), asyncio.get_running_loop().create_future()
    engine = running.core.hub.engine("main")
    running.core.hub.settle("main", engine.set_awake_window("dev1", 0.001, running.core.hub.now()))
    while engine.presence("dev1").awake:  # noqa: ASYNC110 - the engine's own timer ends it
        await asyncio.sleep(0.005)
    end = running.core.bus.subscribe(lambda tenant, event: queued.set_result(None), Queued)
    task = asyncio.create_task(running.core.asks.ask(device, request, **more))
    await asyncio.wait_for(queued, 5)
    end()
    return task


async def test_an_answer(running: Running, client: SimulatedDevice) -> None:
    received = await asyncio.wait_for(running.core.asks.ask(known(running), BATTERY), 5)
    assert [entry.path for entry in received.entries] == [Path("/3/0/9")]
    ids, reader = NodeIds(known(running).node), running.core.ledger.reader
    boxes = ids.outgoing, ids.sent, ids.errors
    assert [list(reader.messages(box)) for box in boxes] == [[], [], []]
    received_contents = [message.content for message in reader.messages(ids.received)]
    assert not any('"/3/0/9"' in content for content in received_contents)


async def test_a_refusal(running: Running, client: SimulatedDevice) -> None:
    with pytest.raises(Refused) as refused:
        await asyncio.wait_for(running.core.asks.ask(known(running), READ_ONLY), 5)
    assert str(refused.value) == "the device answered 4.05"
    ids = NodeIds(known(running).node)
    assert list(running.core.ledger.reader.messages(ids.errors)) == []


async def test_what_the_device_cannot_be_asked(running: Running, client: SimulatedDevice) -> None:
    with pytest.raises(RequestError):
        await running.core.asks.ask(known(running), Read(Path("/0/0")))


async def test_it_waits_for_a_sleeper(running: Running, client: SimulatedDevice) -> None:
    task = await asleep(running, BATTERY)
    await client.update()
    assert (await asyncio.wait_for(task, 5)).entries


async def test_it_does_not_wait_longer_than_told(running: Running, client: SimulatedDevice) -> None:
    task = await asleep(running, BATTERY, patience=0.05)
    with pytest.raises(NoAnswer, match="expired"):
        await asyncio.wait_for(task, 5)


async def test_who_stops_waiting_takes_it_back(running: Running, client: SimulatedDevice) -> None:
    task = await asleep(running, BATTERY)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert running.core.hub.engine("main").presence("dev1").waiting == 0


async def test_a_device_that_is_brought_back_from_the_store(
    running: Running, client: SimulatedDevice
) -> None:
    task = await asleep(running, BATTERY)
    running.core.hub._heal("dev1")
    with pytest.raises(NoAnswer, match="forgotten"):
        await asyncio.wait_for(task, 5)


async def test_a_device_that_is_removed(running: Running, client: SimulatedDevice) -> None:
    task = await asleep(running, BATTERY)
    device = known(running)
    await running.core.wishes.forget(device, lambda transaction: transaction.remove(device.node))
    with pytest.raises(NoAnswer, match="cancelled"):
        await asyncio.wait_for(task, 5)
