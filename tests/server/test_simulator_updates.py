"""Updates of simulated devices: what they do about images, and what goes wrong with them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from aiohttp import web

from lwm2m_engine.coap import CoapReply, Code
from lwm2m_engine.formats import ContentFormat
from lwm2m_server.coap.timing import Timing
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.simulator.images import Fault, Image, ImageRejected, Reception, make_image
from lwm2m_server.simulator.updating import Delivery, UpdateFaults, UpdateOptions

FAST = Timing(ack_timeout=0.05, ack_random_factor=1.0, max_retransmit=3, response_timeout=2.0)
QUICK = UpdateOptions(install=0.01, reboot=0.02)
IMAGE = make_image("tank", "1.1.0", os.urandom(6000))
IDLE, DOWNLOADING, DOWNLOADED, UPDATING = range(4)
Server: TypeAlias = Any
Open: TypeAlias = Callable[..., Awaitable[SimulatedDevice]]


@pytest.fixture
def server(asking: Server) -> Server:
    return asking


@pytest.fixture
async def make(server: Server) -> AsyncIterator[Open]:
    devices = []

    async def make(options: UpdateOptions = QUICK, **more: Any) -> SimulatedDevice:
        device = SimulatedDevice("dev", server.gateway.address, timing=FAST, updating=options, **more)
        devices.append(device)
        await device.start()
        await device.registered()
        return device

    yield make
    for device in devices:
        await device.stop()


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    for _ in range(int(seconds / 0.005)):
        if condition():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it did not happen")


def value(device: SimulatedDevice, path: str) -> Any:
    return device.get(path).content


async def push(server: Server, device: SimulatedDevice, data: bytes, path: str = "/5/0/0") -> CoapReply:
    return await server.ask(device, Code.PUT, path, data, ContentFormat.OPAQUE)


async def pull(server: Server, device: SimulatedDevice, path: str = "/5/0/1", uri: str = "") -> CoapReply:
    host, port = server.gateway.address
    uri = uri or f"coap://{host}:{port}/fw/1?token=x"
    return await server.ask(device, Code.PUT, path, uri.encode(), ContentFormat.TEXT)


async def execute(server: Server, device: SimulatedDevice, path: str, arguments: bytes = b"") -> CoapReply:
    return await server.ask(device, Code.POST, path, arguments, ContentFormat.TEXT if arguments else None)


def test_an_image_is_checked_as_it_comes() -> None:
    reception = Reception()
    for start in range(0, len(IMAGE), 7):
        reception.feed(IMAGE[start : start + 7])
    image = reception.finish()
    assert (image.name, image.version, image.size) == ("tank", "1.1.0", 6000)
    assert image == Image.of("tank", "1.1.0", IMAGE[-6000:])


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", Fault.UNSUPPORTED),
        (b"\x7fELF" + bytes(64), Fault.UNSUPPORTED),
        (b"LWM2M-IMAGE {}\n", Fault.UNSUPPORTED),
        (b"LWM2M-IMAGE " + b"x" * 2000, Fault.UNSUPPORTED),
        (IMAGE[:-1], Fault.CORRUPT),
        (IMAGE[:-1] + bytes([IMAGE[-1] ^ 1]), Fault.CORRUPT),
        (IMAGE + b"x", Fault.CORRUPT),
    ],
)
def test_what_is_no_image_is_rejected(data: bytes, fault: Fault) -> None:
    reception = Reception()
    with pytest.raises(ImageRejected) as caught:
        (reception.feed(data), reception.finish())
    assert caught.value.fault is fault


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
async def test_a_pushed_image_is_installed_and_the_device_comes_back_as_another(
    server: Server, make: Open, version: str
) -> None:
    device = await make(version=version)
    before = device.address
    assert value(device, "/5/0/7") == "1.0.0"
    assert (await push(server, device, IMAGE)).code == Code.CHANGED
    assert [value(device, f"/5/0/{id}") for id in (3, 5, 6, 7)] == [DOWNLOADED, 0, "tank", "1.1.0"]
    assert value(device, "/3/0/3") == "1.0.0"
    assert (await execute(server, device, "/5/0/2")).code == Code.CHANGED
    assert value(device, "/5/0/3") == UPDATING
    await until(lambda: device.registrations == 2)
    assert [value(device, f"/5/0/{id}") for id in (3, 5, 6, 7)] == [IDLE, 1, "tank", "1.1.0"]
    assert value(device, "/3/0/3") == "1.1.0"
    assert device.address != before


@pytest.mark.parametrize("block_size", [1024, 64])
async def test_an_image_fetched_by_coap(server: Server, make: Open, block_size: int) -> None:
    server.files["fw/1"] = CoapReply(Code.CONTENT, IMAGE, ContentFormat.OPAQUE)
    device = await make(block_size=block_size)
    assert (await pull(server, device)).code == Code.CHANGED
    await until(lambda: value(device, "/5/0/3") == DOWNLOADED)
    assert value(device, "/5/0/7") == "1.1.0"


async def test_blocks_as_small_as_the_device_likes(server: Server, make: Open) -> None:
    device = await make(block_size=64)
    assert (await push(server, device, IMAGE)).code == Code.CHANGED
    assert value(device, "/5/0/3") == DOWNLOADED


async def test_one_datagram_in_five_gets_lost_each_way(server: Server, make: Open) -> None:
    server.files["fw/1"] = CoapReply(Code.CONTENT, IMAGE, ContentFormat.OPAQUE)
    device = await make()
    device.faults.random.seed(7)
    device.faults.loss = 0.2
    heard = device.faults.heard
    await device.download("coap://{}:{}/fw/1".format(*server.gateway.address), lambda _: None).run()
    assert device.faults.heard > heard


async def test_an_image_fetched_by_http_goes_on_where_it_was(server: Server, make: Open) -> None:
    ranges = []

    async def serve(request: web.Request) -> web.StreamResponse:
        ranges.append(request.headers.get("Range"))
        start = int(ranges[-1].removeprefix("bytes=").rstrip("-")) if ranges[-1] else 0
        answer = web.StreamResponse(status=206 if start else 200, headers={"ETag": '"a"'})
        answer.content_length = len(IMAGE) - start
        await answer.prepare(request)
        await answer.write(IMAGE[start : start + 2500])
        if start + 2500 < len(IMAGE):
            assert request.transport is not None
            await asyncio.sleep(0.01)
            request.transport.abort()
        return answer

    app = web.Application()
    app.router.add_get("/fw", serve)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    device = await make()
    await pull(server, device, uri="http://{}:{}/fw".format(*runner.addresses[0]))
    await until(lambda: value(device, "/5/0/3") == DOWNLOADED)
    await runner.cleanup()
    assert ranges == [None, "bytes=2500-", "bytes=5000-"]


async def test_a_download_survives_a_power_loss(server: Server, make: Open) -> None:
    server.files["fw/1"] = CoapReply(Code.CONTENT, IMAGE, ContentFormat.OPAQUE)
    device = await make(update_faults=UpdateFaults(power_loss_at=3000))
    await pull(server, device)
    await until(lambda: device.restarts == 1 and value(device, "/5/0/3") == DOWNLOADED)
    fetched = [request for request, _ in server.heard if request.code == Code.GET]
    assert len(fetched) < 2 * (len(IMAGE) // 1024)


async def test_a_forgetful_device_is_idle_after_a_power_loss(server: Server, make: Open) -> None:
    server.files["fw/1"] = CoapReply(Code.CONTENT, IMAGE, ContentFormat.OPAQUE)
    device = await make(update_faults=UpdateFaults(power_loss_at=3000, forgetful=True))
    await pull(server, device)
    await until(lambda: device.registrations == 2)
    assert value(device, "/5/0/3") == IDLE
    await pull(server, device)
    await until(lambda: value(device, "/5/0/3") == DOWNLOADED)


async def test_power_is_lost_in_the_middle_of_a_push(server: Server, make: Open) -> None:
    device = await make(update_faults=UpdateFaults(power_loss_at=3000))
    with pytest.raises(ConnectionError):
        await push(server, device, IMAGE)
    await until(lambda: device.registrations == 2)
    assert value(device, "/5/0/3") == IDLE
    assert (await push(server, device, IMAGE)).code == Code.CHANGED
    assert value(device, "/5/0/3") == DOWNLOADED


@pytest.mark.parametrize("result", [2, 3, 4, 5, 6, 7, 9])
async def test_results_of_a_download_on_demand(server: Server, make: Open, result: int) -> None:
    device = await make(update_faults=UpdateFaults(result=result, times=1))
    await push(server, device, IMAGE)
    assert [value(device, "/5/0/3"), value(device, "/5/0/5")] == [IDLE, result]
    assert value(device, "/5/0/7") == "1.0.0"
    await push(server, device, IMAGE)
    assert [value(device, "/5/0/3"), value(device, "/5/0/5")] == [DOWNLOADED, 0]


@pytest.mark.parametrize(
    ("result", "state"), [(10, IDLE), (11, DOWNLOADED), (12, DOWNLOADED), (13, DOWNLOADED)]
)
async def test_results_instead_of_an_installation(
    server: Server, make: Open, result: int, state: int
) -> None:
    device = await make(version="1.1", update_faults=UpdateFaults(result=result))
    await push(server, device, IMAGE)
    assert (await execute(server, device, "/5/0/2")).code == Code.CHANGED
    assert [value(device, "/5/0/3"), value(device, "/5/0/5")] == [state, result]


@pytest.mark.parametrize(
    ("version", "faults", "after"),
    [
        ("1.0", UpdateFaults(result=8), [DOWNLOADED, 8, "1.0.0"]),
        ("1.1", UpdateFaults(result=8), [IDLE, 8, "1.0.0"]),
        ("1.1", UpdateFaults(power_loss_installing=True), [IDLE, 0, "1.0.0"]),
        ("1.1", UpdateFaults(lying=True), [IDLE, 1, "1.0.0"]),
    ],
)
async def test_installations_that_come_to_nothing(
    server: Server, make: Open, version: str, faults: UpdateFaults, after: list[Any]
) -> None:
    device = await make(version=version, update_faults=faults)
    await push(server, device, IMAGE)
    await execute(server, device, "/5/0/2")
    await until(lambda: device.registrations == 2)
    assert [value(device, path) for path in ("/5/0/3", "/5/0/5", "/3/0/3")] == after


async def test_a_device_that_never_comes_back(server: Server, make: Open) -> None:
    device = await make(update_faults=UpdateFaults(lost=True))
    await push(server, device, IMAGE)
    await execute(server, device, "/5/0/2")
    await until(lambda: not device.powered)
    with pytest.raises(ConnectionError):
        await server.ask(device, Code.GET, "/3/0/3")
    assert (device.registrations, device.restarts) == (1, 0)


async def test_what_cannot_be_fetched(server: Server, make: Open) -> None:
    device = await make()
    for uri, result in [
        ("ftp://host/fw", 9),
        ("coaps://host/fw", 9),
        ("coap:///fw", 7),
        ("coap://{}:{}/nothing".format(*server.gateway.address), 7),
    ]:
        await pull(server, device, uri=uri)
        await until(lambda due=result: value(device, "/5/0/5") == due)
        assert value(device, "/5/0/3") == IDLE
    assert (await pull(server, device, uri="coap://127.0.0.1:9/fw")).code == Code.CHANGED
    assert value(device, "/5/0/3") == DOWNLOADING
    assert (await push(server, device, IMAGE)).code == Code.METHOD_NOT_ALLOWED
    assert (await server.ask(device, Code.PUT, "/5/0/1", b"", ContentFormat.TEXT)).code == Code.CHANGED
    assert value(device, "/5/0/3") == IDLE


async def test_only_what_the_delivery_method_says(server: Server, make: Open) -> None:
    fetching = await make(UpdateOptions(delivery=Delivery.PULL))
    assert (await push(server, fetching, IMAGE)).code == Code.METHOD_NOT_ALLOWED
    written = await make(UpdateOptions(delivery=Delivery.PUSH))
    assert (await pull(server, written)).code == Code.METHOD_NOT_ALLOWED
    assert value(written, "/5/0/9") == 1


async def test_execute_and_cancel_where_they_belong(server: Server, make: Open) -> None:
    device = await make(version="1.1")
    assert (await execute(server, device, "/5/0/2")).code == Code.METHOD_NOT_ALLOWED
    await push(server, device, IMAGE)
    assert (await execute(server, device, "/5/0/10")).code == Code.CHANGED
    assert [value(device, "/5/0/3"), value(device, "/5/0/5"), value(device, "/5/0/7")] == [IDLE, 10, "1.0.0"]
    await push(server, device, IMAGE)
    assert (await push(server, device, b"\0")).code == Code.CHANGED
    assert [value(device, "/5/0/3"), value(device, "/5/0/5")] == [IDLE, 0]


async def test_software_is_installed_instance_by_instance(server: Server, make: Open) -> None:
    device = await make(UpdateOptions(install=0.01, software=2))
    assert (await push(server, device, IMAGE, "/9/1/2")).code == Code.CHANGED
    assert [value(device, f"/9/1/{id}") for id in (0, 1, 7, 9)] == ["tank", "1.1.0", 3, 3]
    assert value(device, "/9/0/7") == 0
    assert (await execute(server, device, "/9/1/10")).code == Code.METHOD_NOT_ALLOWED
    await execute(server, device, "/9/1/4")
    await until(lambda: value(device, "/9/1/7") == 4)
    assert value(device, "/9/1/9") == 2
    await execute(server, device, "/9/1/10")
    assert value(device, "/9/1/12") is True
    await execute(server, device, "/9/1/6", b"1")
    assert [value(device, f"/9/1/{id}") for id in (0, 7, 9)] == ["tank", 0, 0]
    assert device.registrations == 1


@pytest.mark.parametrize(("result", "state"), [(50, 0), (53, 0), (57, 0), (58, 3)])
async def test_results_of_software_on_demand(server: Server, make: Open, result: int, state: int) -> None:
    faults = UpdateFaults(result=result)
    device = await make(UpdateOptions(install=0.01, software=1), update_faults=faults)
    await push(server, device, IMAGE, "/9/0/2")
    if state:
        await execute(server, device, "/9/0/4")
    await until(lambda: value(device, "/9/0/9") == result)
    assert value(device, "/9/0/7") == state


async def test_software_fetched_after_a_power_loss(server: Server, make: Open) -> None:
    server.files["fw/1"] = CoapReply(Code.CONTENT, IMAGE, ContentFormat.OPAQUE)
    device = await make(
        UpdateOptions(install=0.01, reboot=0.02, software=1), update_faults=UpdateFaults(power_loss_at=3000)
    )
    await pull(server, device, "/9/0/3")
    await until(lambda: device.restarts == 1 and value(device, "/9/0/7") == 3)


async def test_components_are_updated_one_by_one(server: Server, make: Open) -> None:
    device = await make(UpdateOptions(install=0.01, reboot=0.02, components=("application", "modem")))
    assert [value(device, f"/33629/{n}/14") for n in (0, 1)] == ["application", "modem"]
    await push(server, device, IMAGE, "/33629/1/0")
    await execute(server, device, "/33629/1/2")
    await until(lambda: device.registrations == 2)
    assert [value(device, f"/33629/{n}/15") for n in (0, 1)] == ["1.0.0", "1.1.0"]
    assert [value(device, "/33629/1/3"), value(device, "/33629/1/5")] == [IDLE, 1]
    assert value(device, "/3/0/3") == "1.0.0"
