"""Packages on their way to simulated devices over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path as File
from random import Random
from typing import Any

import attrs
import pytest
import pytest_asyncio
from aiocoap import GET, Context, Message

from lwm2m_engine.coap import CoapRequest, Code
from lwm2m_engine.paths import Path
from lwm2m_server.app import Running, run
from lwm2m_server.coap.blocks import Block
from lwm2m_server.coap.options import BLOCK2, SIZE2, number
from lwm2m_server.coap.timing import Timing
from lwm2m_server.settings import Address, DeviceSettings, Settings, TransmissionSettings, UpdateSettings
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.simulator.faults import Faults
from lwm2m_server.simulator.images import make_image
from lwm2m_server.simulator.updating import UpdateFaults, UpdateOptions
from lwm2m_server.store.definitions import Package
from lwm2m_server.store.records import Device
from lwm2m_server.updates.course import State
from lwm2m_server.updates.offers import Offer
from lwm2m_server.updates.packages import Description
from lwm2m_server.updates.records import Options, Update

pytestmark = pytest.mark.asyncio(loop_scope="module")

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


QUICK = UpdateSettings(poll=0.5, soon=0.1, first_retry=0.01, settle=0.3, install=3.0)


def settings_in(folder: File) -> Settings:
    return Settings(
        coap=(ANY,),
        coap_tcp=(ANY,),
        http=ANY,
        data=folder / "data",
        devices=DeviceSettings(unknown="create"),
        updates=QUICK,
        transmission=TransmissionSettings(ack_timeout=0.1, response_timeout=5.0),
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """One for all tests: each has a device of its own."""
    async with served(settings_in(tmp_path_factory.mktemp("updates"))) as server:
        yield server


@asynccontextmanager
async def device(
    running: Running,
    name: str,
    *,
    update_faults: UpdateFaults | None = None,
    more: Mapping[str, Any] | None = None,
    port: int = 0,
    **options: Any,
) -> AsyncIterator[SimulatedDevice]:
    host, _, bound = running.addresses.devices["coap"][0].rpartition(":")
    updating = UpdateOptions(**{"install": 0.01, "reboot": 0.01, **options})
    simulated = SimulatedDevice(
        name,
        (host, int(bound)),
        timing=Timing(0.1, 1.5, 6, 5.0),
        updating=updating,
        update_faults=update_faults,
        **{"version": "1.1", **(more or {})},
    )
    await simulated.start()
    await simulated.registered()
    try:
        yield simulated
    finally:
        await simulated.stop()


def known(running: Running, name: str) -> Device:
    found = running.core.ledger.reader.device_named("main", name)
    assert found is not None
    return found


async def packaged(running: Running, image: bytes = IMAGE, **said: Any) -> Package:
    """The same for all that say the same."""
    description = Description(**{"version": "2.0", "type": "firmware", "title": "firmware", **said}).checked()
    found = running.features.updating.packages.get("main", description.name or "")
    if found is not None:
        return found

    async def chunks() -> AsyncIterator[bytes]:
        yield image

    return await running.features.updating.packages.receive("main", description, chunks())


async def until(running: Running, id: int, reached: Callable[[Update], bool]) -> Update:
    done: asyncio.Future[Update] = asyncio.get_running_loop().create_future()

    def look(update: Update) -> None:
        if update.id == id and reached(update) and not done.done():
            done.set_result(update)

    running.features.updating.updates.listen(look)
    known = running.features.updating.updates.get(id)
    assert known is not None
    look(known)
    try:
        return await asyncio.wait_for(done, 20)
    except TimeoutError:
        raise AssertionError(running.features.updating.updates.get(id)) from None


async def updated(running: Running, name: str, package: Package, **options: Any) -> Update:
    """From the beginning to the end."""
    update = await running.features.updating.updates.begin(
        known(running, name), package, options=Options(**options)
    )
    return await until(running, update.id, lambda one: one.is_over)


def states(update: Update) -> list[str]:
    return [moment.state.value for moment in update.timeline]


ENDED_WELL = State.SUCCEEDED, None


async def test_push(running: Running) -> None:
    async with device(running, "push") as simulated:
        update = await updated(running, "push", await packaged(running), method="push")
        assert (update.state, update.reason) == ENDED_WELL
        assert states(update) == ["queued", "transferring", "installing", "verifying", "succeeded"]
        assert simulated.get("/3/0/3").content == "2.0"
        assert (update.progress, update.course.transferred) == (1.0, len(IMAGE))
        assert running.features.updating.updates.of(known(running, "push")) == [update]


@pytest.mark.parametrize("block_size", [16, 64])
async def test_push_in_the_blocks_a_device_wants(running: Running, block_size: int) -> None:
    name = f"small-{block_size}"
    async with device(running, name, more={"block_size": block_size}) as simulated:
        update = await updated(running, name, await packaged(running), method="push")
        assert (update.state, update.reason) == ENDED_WELL
        assert simulated.get("/3/0/3").content == "2.0"


async def test_what_a_device_is_told_before(running: Running) -> None:
    async with device(running, "told") as simulated:
        update = await updated(running, "told", await packaged(running), severity=0, defer=3600)
        assert update.state is State.SUCCEEDED
        assert [simulated.get(f"/5/0/{resource}").content for resource in (11, 13)] == [0, 3600]


async def test_pull(running: Running) -> None:
    async with device(running, "pull") as simulated:
        update = await updated(running, "pull", await packaged(running), method="pull")
        assert (update.state, update.reason) == ENDED_WELL
        assert simulated.get("/3/0/3").content == "2.0"
        assert states(update) == [
            "queued",
            "offered",
            "transferring",
            "installing",
            "verifying",
            "succeeded",
        ]


@pytest.mark.parametrize("method", ["push", "pull"])
async def test_loss(running: Running, method: str) -> None:
    faults, name = Faults(loss=0.1, random=Random(7)), f"loss-{method}"
    async with device(running, name, more={"faults": faults, "block_size": 512}):
        update = await updated(running, name, await packaged(running), method=method)
        assert (update.state, update.reason) == ENDED_WELL


@pytest.mark.parametrize("method", ["push", "pull"])
async def test_power_loss_in_the_middle(running: Running, method: str) -> None:
    faults, name = UpdateFaults(power_loss_at=3000), f"power-{method}"
    async with device(running, name, update_faults=faults) as simulated:
        update = await updated(running, name, await packaged(running), method=method)
        assert (update.state, update.reason) == ENDED_WELL
        assert simulated.restarts == 2


@pytest.mark.parametrize(
    ("faults", "state", "reason", "attempts"),
    [
        (UpdateFaults(result=2), "failed", "not enough flash memory for the package", 0),
        (UpdateFaults(result=5), "failed", "integrity check of the package failed, after 3 attempts", 3),
        (UpdateFaults(result=4, times=1), "succeeded", None, 1),
        (UpdateFaults(result=8), "failed", "the update failed", 0),
        (
            UpdateFaults(lying=True),
            "failed",
            "the device reports success, but 1.0.0 runs after the update, not 2.0",
            0,
        ),
        (UpdateFaults(power_loss_installing=True), "succeeded", None, 1),
    ],
)
async def test_what_goes_wrong(
    running: Running, faults: UpdateFaults, state: str, reason: str | None, attempts: int
) -> None:
    name = f"wrong-{faults.result}-{faults.lying}-{faults.times}"
    async with device(running, name, update_faults=faults):
        update = await updated(running, name, await packaged(running))
        assert (update.state.value, update.reason) == (state, reason)
        assert update.course.attempts == attempts


async def test_a_device_that_does_not_come_back(running: Running) -> None:
    async with device(running, "gone", update_faults=UpdateFaults(lost=True)):
        update = await updated(running, "gone", await packaged(running))
        assert states(update)[-1] == "failed"
        assert update.reason == "the device was not heard of since it was told to install"


async def test_several_softwares(running: Running) -> None:
    """Each has an Instance; another version takes the place of the former."""
    async with device(running, "soft", software=2) as simulated:
        for name, version in (("camera", "1.0"), ("radar", "1.0"), ("camera", "1.1")):
            image = make_image(name, version, bytes(2000))
            package = await packaged(running, image, title=name, version=version, type="software")
            update = await updated(running, "soft", package)
            assert (update.state, update.reason) == ENDED_WELL
        shown = [
            (simulated.get(f"/9/{one}/0").content, simulated.get(f"/9/{one}/1").content) for one in (0, 1)
        ]
        assert shown == [("camera", "1.1"), ("radar", "1.0")]
        assert simulated.get("/9/0/12").content is True


async def test_components(running: Running) -> None:
    image = make_image("radio", "3.0", bytes(2000))
    async with device(running, "parts", components=("main", "radio")) as simulated:
        package = await packaged(running, image, title="radio", version="3.0")
        update = await updated(running, "parts", package, component="radio")
        assert (update.state, update.reason) == ENDED_WELL
        assert str(update.root) == "/33629/1"
        assert simulated.get("/33629/1/15").content == "3.0"
        refused = await updated(running, "parts", package, component="engine")
        assert refused.reason == "the device has no Instance of object 33629 for the package"


async def test_what_is_observed_for_an_update_is_observed_no_more(running: Running) -> None:
    async with device(running, "watched"):
        update = await updated(running, "watched", await packaged(running), method="pull")
        assert update.observed == ("/5/0/3", "/5/0/5")
        node, reader = known(running, "watched").node, running.core.ledger.reader
        async with asyncio.timeout(10):
            while reader.observations(node):  # noqa: ASYNC110 - the cancellation has no event of its own
                await asyncio.sleep(0.02)


async def test_a_device_without_the_object(running: Running) -> None:
    async with device(running, "bare") as simulated:
        package = await packaged(running, title="app", type="software")
        update = await updated(running, "bare", package)
        assert update.reason == "the device has no object 9 (Software Management)"
        assert simulated.executed == []


async def test_a_device_that_is_away_is_updated_when_it_comes(running: Running) -> None:
    async with device(running, "away"):
        pass
    async with device(running, "away") as simulated:
        await simulated.stop(deregister=True)
    package = await packaged(running)
    update = await running.features.updating.updates.begin(known(running, "away"), package)
    await until(running, update.id, lambda one: one.reason == "the device is not registered")
    async with device(running, "away"):
        update = await until(running, update.id, lambda one: one.is_over)
        assert update.state is State.SUCCEEDED


async def test_who_may_fetch(running: Running) -> None:
    offers, package = running.features.updating.offers, await packaged(running)
    async with device(running, "one") as one, device(running, "two") as two:
        offer = Offer(1, package.digest, package.size, 9e12, known(running, "one").node)
        token, _ = offers.make(offer)
        whole = CoapRequest(Code.GET, ("p", token))
        block = (BLOCK2, Block(1, False, 4).pack())
        message = await one.exchange(whole, (block,))
        assert (message.code, message.payload) == (Code.CONTENT, IMAGE[256:512])
        assert number(message.options, SIZE2) is None
        first = await one.exchange(whole, ())
        assert (first.payload, number(first.options, SIZE2)) == (IMAGE[:1024], len(IMAGE))
        beyond = await one.exchange(whole, ((BLOCK2, Block(100, False, 6).pack()),))
        assert beyond.code == Code.BAD_REQUEST
        assert (await two.exchange(whole, (block,))).code == Code.FORBIDDEN
        assert (await one.exchange(attrs.evolve(whole, accept=0), ())).code == Code.NOT_ACCEPTABLE
        assert (await one.exchange(attrs.evolve(whole, code=Code.PUT), ())).code == Code.METHOD_NOT_ALLOWED
        for path in (("p",), ("p", "guess"), ("p", token, "more")):
            assert (await one.exchange(CoapRequest(Code.GET, path), ())).code == Code.NOT_FOUND
        other, _ = offers.make(offer)
        assert (await one.exchange(whole, (block,))).code == Code.NOT_FOUND
        offers.make(attrs.evolve(offer, expires_at=1.0))
        assert (await one.exchange(CoapRequest(Code.GET, ("p", other)), ())).code == Code.NOT_FOUND


async def test_fetching_over_tcp(running: Running) -> None:
    offers, package = running.features.updating.offers, await packaged(running)
    token, _ = offers.make(Offer(2, package.digest, package.size, 9e12, 1))
    context = await Context.create_client_context()
    try:
        uri = f"coap+tcp://{running.addresses.devices['coap_tcp'][0]}/p/{token}"
        answer = await context.request(Message(code=GET, uri=uri)).response
        assert answer.payload == IMAGE
    finally:
        await context.shutdown()


@pytest.mark.parametrize("method", ["push", "pull"])
async def test_the_server_restarts_in_every_state(tmp_path: File, method: str) -> None:
    """And the device is updated all the same, once."""
    settings = settings_in(tmp_path)
    async with served(settings) as first:
        port = Address.parse(first.addresses.devices["coap"][0])
        settings = attrs.evolve(settings, coap=(port,), coap_tcp=())
        package = await packaged(first)
    # What comes after the transfer is the same either way.
    more = (State.AWAITING_APPROVAL, State.INSTALLING) if method == "push" else ()
    async with AsyncExitStack() as stack:
        async with served(settings) as running:
            simulated = await stack.enter_async_context(
                device(running, "dev", install=0.3, more={"block_size": 32})
            )
            options = Options(method=method, needs_approval=bool(more))
            update = await running.features.updating.updates.begin(
                known(running, "dev"), package, options=options
            )
            await until(running, update.id, lambda one: one.state is State.TRANSFERRING)
        for reached in more:
            async with served(settings) as running:
                if reached is State.INSTALLING:
                    await running.features.updating.updates.approve(
                        running.features.updating.updates.get(update.id) or update
                    )
                await until(running, update.id, lambda one, state=reached: one.state is state)
        async with served(settings) as running:
            update = await until(running, update.id, lambda one: one.is_over)
        assert (update.state, update.reason) == ENDED_WELL
        installs = [path for path, _ in simulated.executed if path == Path("/5/0/2")]
        assert len(installs) == 1
