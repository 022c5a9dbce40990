"""Desired state: what a Resource shall be is written when the device can hear it, and not lost before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path as File
from typing import Any

import attrs
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine import Catalog, Path
from lwm2m_engine.errors import ValueRejected
from lwm2m_server.app import Running, run
from lwm2m_server.desired.writes import checked, is_reported, write_of
from lwm2m_server.settings import Address, DeviceSettings, Settings
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.store.desired import DesiredValue

MODELS = Catalog.bundled()
ANY = Address("127.0.0.1", 0)
TIMEZONE, OFFSET, LIFETIME = Path("/3/0/15"), Path("/3/0/14"), Path("/1/0/1")
SET_POINT, COUNTER, SETTINGS = Path("/3308/0/5900"), Path("/3300/0/5821"), Path("/3/0/13")


def wanted(path: Path, value: str) -> DesiredValue:
    return DesiredValue(str(path), value, 1, 0.0, "pending", None, None, 0)


# --- values ------------------------------------------------------------------------------------------


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_of_any_size_is_written_exactly(number: int) -> None:
    text = checked(Path("/3442/0/120"), number, MODELS)
    (entry,) = write_of(wanted(Path("/3442/0/120"), text), MODELS).entries
    assert entry.value == number
    assert type(entry.value) is int


@given(st.integers(0, 2**64 - 1))
def test_an_unsigned_integer_too(number: int) -> None:
    path = Path("/3442/0/125")
    (entry,) = write_of(wanted(path, checked(path, number, MODELS)), MODELS).entries
    assert entry.value == number


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (Path("/3/0/9"), 7, "cannot be written"),
        (Path("/3/0/14"), 7, "not a String|text"),
        (Path("/65001/0/1"), 7, "no model"),
        (Path("/3442/0/120"), "many", "many"),
        (Path("/3442/0/120"), 2**63, "9223372036854775808"),
        (Path("/3442/0/120"), {"0": 7}, "no instances"),
    ],
)
def test_what_cannot_be_desired(path: Path, value: object, complaint: str) -> None:
    with pytest.raises(ValueRejected, match=complaint):
        checked(path, value, MODELS)


@pytest.mark.parametrize(
    ("path", "value", "told", "same"),
    [
        (SET_POINT, "21.1", [(SET_POINT, 21.1)], True),
        (SET_POINT, "21.1", [(SET_POINT, 21.100000381469727)], True),
        (SET_POINT, "21.1", [(SET_POINT, 21.2)], False),
        (TIMEZONE, '"Europe/Berlin"', [(TIMEZONE, "Europe/Berlin ")], False),
        (Path("/3442/0/120"), "9007199254740993", [(Path("/3442/0/120"), 9007199254740992)], False),
        (Path("/3442/0/130"), "1.0", [(SET_POINT, 1.0)], None),
        (Path("/3442/0/1110"), '{"0": "a", "1": "b"}', [(Path("/3442/0/1110/1"), "b")], True),
        (Path("/3442/0/1110"), '{"0": "a", "1": "b"}', [(Path("/3442/0/1110/2"), "b")], False),
    ],
)
def test_whether_it_is_reported(path: Path, value: str, told: Any, same: bool | None) -> None:
    assert is_reported(wanted(path, value), told, MODELS) is same


# --- devices -----------------------------------------------------------------------------------------


@attrs.frozen
class House:
    """A server, and how to speak of ``dev1``."""

    running: Running
    client: httpx.AsyncClient
    path: str = "/api/v1/devices/dev1/desired"

    @property
    def coap(self) -> tuple[str, int]:
        host, _, port = self.running.addresses.devices["coap"][0].rpartition(":")
        return host, int(port)

    async def want(self, **values: Any) -> httpx.Response:
        return await self.client.patch(self.path, json=values)

    async def states(self) -> dict[str, tuple[Any, str]]:
        answer = await self.client.get(self.path)
        return {row["key"]: (row["value"], row["state"]) for row in answer.json()["desired"]}

    async def row(self, key: str) -> dict[str, Any]:
        answer = await self.client.get(self.path)
        return next(row for row in answer.json()["desired"] if row["key"] == key)


@pytest.fixture
async def open_house(tmp_path: File) -> AsyncIterator[Callable[[], Awaitable[House]]]:
    """Starts a server on the same data again and again; the one before ends."""
    open_ones: list[tuple[asyncio.Event, asyncio.Task[None], httpx.AsyncClient]] = []

    async def close() -> None:
        stop, server, client = open_ones.pop()
        await client.aclose()
        stop.set()
        await server

    async def start(port: int = 0) -> House:
        if open_ones:
            await close()
        address = Address("127.0.0.1", port)
        settings = Settings(
            coap=(address,), http=ANY, data=tmp_path / "data", devices=DeviceSettings(unknown="create")
        )
        started: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()
        server = asyncio.create_task(run(settings, ready=started.set_result, stop=stop))
        await asyncio.wait([server, started], return_when=asyncio.FIRST_COMPLETED)
        running = started.result()
        client = httpx.AsyncClient(base_url=running.addresses.http)
        open_ones.append((stop, server, client))
        return House(running, client)

    yield start
    if open_ones:
        await close()


async def device_of(house: House, **options: Any) -> SimulatedDevice:
    device = SimulatedDevice("dev1", house.coap, version="1.1", **options)
    await device.open()
    await device.register()
    return device


def value_of(device: SimulatedDevice, path: Path) -> object:
    return device.tree.resource(path).content


async def test_it_is_written_to_a_device_that_listens(open_house: Any, eventually: Any) -> None:
    house = await open_house()
    device = await device_of(house)
    answer = await house.want(timezone="Europe/Kyiv")
    assert answer.status_code == 200, answer.text

    async def confirmed() -> bool:
        return await house.states() == {"timezone": ("Europe/Kyiv", "confirmed")}

    await eventually(confirmed)
    assert value_of(device, TIMEZONE) == "Europe/Kyiv"
    row = await house.row("timezone")
    assert row["reported"]["value"] == "Europe/Kyiv"
    assert row["same"] is True
    device.close()


async def test_it_waits_for_a_sleeper_and_only_the_last_wish_is_written(
    open_house: Any, eventually: Any
) -> None:
    house = await open_house()
    device = await device_of(house, queue_mode=True)
    engine, hub = house.running.core.hub.engine("main"), house.running.core.hub
    hub.settle("main", engine.set_awake_window("dev1", 0.001, hub.now()))

    async def asleep() -> bool:
        return not engine.presence("dev1").awake

    await eventually(asleep)
    for name in ("Europe/Kyiv", "Europe/Berlin", "Europe/Rome"):
        await house.want(timezone=name)
    assert await house.states() == {"timezone": ("Europe/Rome", "pending")}
    await device.update()

    async def confirmed() -> bool:
        return await house.states() == {"timezone": ("Europe/Rome", "confirmed")}

    await eventually(confirmed)
    assert value_of(device, TIMEZONE) == "Europe/Rome"
    assert engine.presence("dev1").waiting == 0
    device.close()


async def test_it_is_not_lost_by_a_restart(open_house: Any, eventually: Any) -> None:
    house = await open_house()
    device = await device_of(house)
    await device.deregister()
    # What an absent device has is not known: by path.
    await house.want(**{"/3/0/15": "Europe/Kyiv", "/3/0/14": "+02"})
    port = house.coap[1]
    house = await open_house(port)
    assert await house.states() == {"timezone": ("Europe/Kyiv", "pending"), "utcOffset": ("+02", "pending")}
    await device.register()

    async def confirmed() -> bool:
        return {state for _, state in (await house.states()).values()} == {"confirmed"}

    await eventually(confirmed)
    assert value_of(device, OFFSET) == "+02"
    device.close()


async def test_a_refusal_says_why_and_is_tried_again_in_the_next_registration(
    open_house: Any, eventually: Any
) -> None:
    house = await open_house()
    device = await device_of(house)
    resource = device.tree.objects[3].instances[0].pop(15)
    await house.want(timezone="Europe/Kyiv")

    async def failed() -> bool:
        return await house.states() == {"timezone": ("Europe/Kyiv", "failed")}

    await eventually(failed)
    assert "4.04" in (await house.row("timezone"))["reason"]
    (told,) = (await house.client.get("/api/v1/problems", params={"kind": "desired"})).json()["problems"]
    assert (told["facts"]["path"], "4.04" in told["text"]) == ("/3/0/15", True)
    device.tree.objects[3].instances[0][15] = resource
    await device.register()

    async def confirmed() -> bool:
        return await house.states() == {"timezone": ("Europe/Kyiv", "confirmed")}

    await eventually(confirmed)
    device.close()


async def test_a_device_that_goes_its_own_way_is_told_once_more(open_house: Any, eventually: Any) -> None:
    house = await open_house()
    device = await device_of(house)
    await house.want(timezone="Europe/Kyiv")

    async def confirmed() -> bool:
        states = await house.states()
        return states["timezone"][1] == "confirmed" and value_of(device, TIMEZONE) == "Europe/Kyiv"

    await eventually(confirmed)
    for end in ("confirmed", "failed"):
        device.tree.resource(TIMEZONE).content = "UTC"
        path = "/device-management-orchestrator/v3/main/device-communication/dev1/outgoing-msg"
        answer = await house.client.post(
            path,
            headers={"Content-Type": "application/json;ty=4", "X-M2M-Origin": "CAdmin", "X-M2M-RI": "1"},
            json={"m2m:cin": {"con": "GET /3/0/15"}},
        )
        assert answer.status_code == 201, answer.text

        async def ended(end: str = end) -> bool:
            state = (await house.states())["timezone"][1]
            return state == end and (end == "failed" or value_of(device, TIMEZONE) == "Europe/Kyiv")

        await eventually(ended)
    assert "reported as another" in (await house.row("timezone"))["reason"]
    device.close()


async def test_a_wish_can_be_given_up(open_house: Any) -> None:
    house = await open_house()
    device = await device_of(house)
    await device.deregister()
    await house.want(timezone="Europe/Kyiv")
    await house.want(timezone=None)
    assert await house.states() == {}
    device.close()


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"batteryLevel": 7}, "cannot be written"),
        ({"timezone": "UTC", "tiemzone": "UTC"}, "'tiemzone' is no key name"),
        ({"/3/0": {}}, "is no key name and no path of a Resource"),
        ({"timezone": 7}, "timezone"),
    ],
)
async def test_what_is_wrong_is_told_and_nothing_is_kept(
    open_house: Any, values: dict[str, Any], complaint: str
) -> None:
    house = await open_house()
    device = await device_of(house)
    answer = await house.want(**values)
    assert answer.status_code == 400
    assert complaint in answer.json()["detail"]
    assert await house.states() == {}
    device.close()


async def test_a_device_that_is_removed_takes_its_wishes_along(open_house: Any) -> None:
    house = await open_house()
    device = await device_of(house)
    await house.want(timezone="Europe/Kyiv")
    answer = await house.client.delete(
        "/device-management-orchestrator/v3/main/dev1", headers={"X-M2M-Origin": "CAdmin", "X-M2M-RI": "1"}
    )
    assert answer.status_code == 200, answer.text
    assert list(house.running.core.ledger.reader.nodes_with_desired()) == []
    assert (await house.client.get(house.path)).status_code == 404
    device.close()
