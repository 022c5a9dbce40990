"""Campaigns over HTTP, with simulated devices on real sockets."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from lwm2m_server.app import Running, run
from lwm2m_server.settings import Address, DeviceSettings, Settings
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.simulator.images import make_image
from lwm2m_server.simulator.updating import UpdateOptions
from lwm2m_server.store.definitions import Package

ANY = Address("127.0.0.1", 0)
IMAGE = make_image("firmware", "2.0", bytes(2000))
DIGEST = hashlib.sha256(IMAGE).hexdigest()
PACKAGE = Package("main", "fw-2.0", "2.0", "firmware", "fw.bin", DIGEST, len(IMAGE), 0, "firmware")


@attrs.define
class Site:
    """A server and its devices."""

    running: Running
    http: httpx.AsyncClient
    stack: AsyncExitStack

    async def device(self, name: str, **options: Any) -> SimulatedDevice:
        host, _, port = self.running.addresses.devices["coap"][0].rpartition(":")
        made = SimulatedDevice(
            name,
            (host, int(port)),
            **{"version": "1.1", "updating": UpdateOptions(install=0.01, reboot=0.01), **options},
        )
        self.stack.push_async_callback(made.stop)
        await made.start()
        await made.registered()
        return made

    async def devices(self, count: int) -> list[SimulatedDevice]:
        return [await self.device(f"dev{number}") for number in range(count)]

    async def call(self, method: str, path: str = "", body: Any = None, status: int = 200) -> Any:
        answer = await self.http.request(method, f"/api/v1/campaigns{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def add(self, name: str = "c", **members: Any) -> None:
        document = {"name": name, "package": "fw-2.0", "target": {"endpoint": "dev*"}, **members}
        await self.call("POST", body=document, status=201)

    async def begin(self, name: str = "c", **members: Any) -> None:
        await self.add(name, **members)
        await self.call("POST", f"/{name}/start")

    async def until(self, condition: Callable[[dict[str, Any]], object], name: str = "c") -> dict[str, Any]:
        for _ in range(1000):
            found: dict[str, Any] = await self.call("GET", f"/{name}")
            if condition(found):
                return found
            await asyncio.sleep(0.02)
        pytest.fail(f"it did not come to that: {found}")

    async def rows(self, name: str = "c", query: str = "") -> dict[str, tuple[str, str | None]]:
        found = await self.call("GET", f"/{name}/devices?{query}")
        return {row["device"]: (row["state"], row["reason"]) for row in found["devices"]}


def is_in(*states: str) -> Callable[[dict[str, Any]], bool]:
    return lambda found: found["state"] in states


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Site]:
    started: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    server = asyncio.create_task(run(settings, ready=started.set_result, stop=stop))
    await asyncio.wait([server, started], return_when=asyncio.FIRST_COMPLETED)
    running = started.result() if started.done() else await server
    assert running is not None
    async with httpx.AsyncClient(base_url=running.addresses.http) as http, AsyncExitStack() as stack:
        yield Site(running, http, stack)
        await stack.aclose()
    stop.set()
    await server


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "data" / "packages"
    folder.mkdir(parents=True)
    (folder / PACKAGE.digest).write_bytes(IMAGE)
    return Settings(coap=(ANY,), http=ANY, data=tmp_path / "data", devices=DeviceSettings(unknown="create"))


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    async with opened(settings) as made:
        await made.running.packages.add(PACKAGE)
        yield made


async def test_a_campaign_from_draft_to_end(site: Site) -> None:
    devices = await site.devices(5)
    await site.device("other")
    await site.add(waves=[{"count": 1}, {"percent": 40}])
    draft = await site.call("GET", "/c")
    assert (draft["state"], draft["total"], draft["progress"]) == ("draft", None, 0.0)
    assert (await site.call("POST", "/c/start"))["state"] in ("scheduled", "preparing")
    done = await site.until(is_in("finished"))
    assert {state: count for state, count in done["counts"].items() if count} == {"succeeded": 5}
    assert [wave["size"] for wave in done["waves"]] == [1, 2, 2]
    assert (done["total"], done["progress"], done["failures"]) == (5, 1.0, [])
    assert [mark["state"] for mark in done["history"]] == ["scheduled", "preparing", "running", "finished"]
    assert [one.get("/3/0/3").content for one in devices] == ["2.0"] * 5
    assert set((await site.rows()).values()) == {("succeeded", None)}
    listed = (await site.call("GET"))["campaigns"]
    assert [(one["name"], one["state"], one["total"]) for one in listed] == [("c", "finished", 5)]
