"""Campaigns over HTTP, with simulated devices on real sockets."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import pytest_asyncio
from click.testing import CliRunner

from lwm2m_server.app import Running, run
from lwm2m_server.cli import main
from lwm2m_server.http.campaigns import PREVIEW
from lwm2m_server.settings import Address, DeviceSettings, Settings, TransmissionSettings, UpdateSettings
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.simulator.images import make_image
from lwm2m_server.simulator.updating import UpdateOptions
from lwm2m_server.store.campaigns import CampaignDevice
from lwm2m_server.store.inventory import TinyInventory

ANY = Address("127.0.0.1", 0)
IMAGE = make_image("firmware", "2.0", bytes(2000))
FAST = TransmissionSettings(ack_timeout=0.2, max_retransmit=3, response_timeout=5.0)
OCTETS = {"content-type": "application/octet-stream"}
AT_ONCE = UpdateOptions(install=0.01, reboot=0.01)
QUICK = UpdateSettings(poll=1.0, soon=0.1, settle=1.0, first_retry=0.05, longest_retry=0.1)


_numbers = itertools.count()
pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@attrs.define
class Site:
    """A server, and what a test has there: names begin with ``prefix``."""

    running: Running
    http: httpx.AsyncClient
    stack: AsyncExitStack
    prefix: str = ""

    async def device(self, name: str, **options: Any) -> SimulatedDevice:
        host, _, port = self.running.addresses.devices["coap"][0].rpartition(":")
        made = SimulatedDevice(
            self.prefix + name,
            (host, int(port)),
            **{"version": "1.1", "updating": AT_ONCE, **options},
        )
        self.stack.push_async_callback(made.stop)
        await made.start()
        await made.registered()
        return made

    async def upload(self, name: str = "fw-2.0", image: bytes = IMAGE, version: str = "2.0") -> None:
        query = {"name": name, "title": "firmware", "version": version, "type": "firmware"}
        answer = await self.http.post("/api/v1/packages", params=query, content=image, headers=OCTETS)
        assert answer.status_code == 201, answer.text

    async def devices(self, count: int) -> list[SimulatedDevice]:
        return [await self.device(f"dev{number}") for number in range(count)]

    async def call(self, method: str, path: str = "", body: Any = None, status: int = 200) -> Any:
        path = path.replace("/", f"/{self.prefix}", 1)
        answer = await self.http.request(method, f"/api/v1/campaigns{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def add(self, name: str = "c", **members: Any) -> None:
        target = {"endpoint": f"{self.prefix}dev*"}
        document = {"name": self.prefix + name, "package": "fw-2.0", "target": target, **members}
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
        rows = (await self.call("GET", f"/{name}/devices"))["devices"]
        pytest.fail(f"it did not come to that: {found}, {rows}")

    async def rows(self, name: str = "c", query: str = "") -> dict[str, tuple[str, str | None]]:
        found = await self.call("GET", f"/{name}/devices?{query}")
        return {
            row["device"].removeprefix(self.prefix): (row["state"], row["reason"]) for row in found["devices"]
        }


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


def settings_of(folder: Path) -> Settings:
    return Settings(
        coap=(ANY,),
        http=ANY,
        data=folder / "data",
        devices=DeviceSettings(unknown="create"),
        updates=QUICK,
        transmission=FAST,
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_of(tmp_path)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with opened(settings_of(tmp_path_factory.mktemp("campaigns"))) as made:
        await made.upload()
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def site(server: Site) -> AsyncIterator[Site]:
    """What one test has of it."""
    async with AsyncExitStack() as stack:
        yield attrs.evolve(server, stack=stack, prefix=f"t{next(_numbers)}-")


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
    told = [(one["state"], one["total"]) for one in listed if one["name"] == f"{site.prefix}c"]
    assert told == [("finished", 5)]


async def test_devices_that_run_the_version_are_skipped(site: Site) -> None:
    _, second = await site.devices(2)
    second.set("/3/0/3", "2.0")
    await site.begin()
    await site.until(is_in("finished"))
    rows = await site.rows()
    assert rows == {"dev0": ("succeeded", None), "dev1": ("skipped", "2.0 runs already")}
    assert not second.executed


async def test_nothing_is_installed_before_it_is_approved(site: Site) -> None:
    devices = await site.devices(3)
    await site.begin(waves=[{"count": 1}], approval="wave")
    parked = await site.until(lambda found: found["awaitingApproval"] == 1)
    assert (parked["counts"]["waiting"], parked["updates"]) == (2, {"awaiting-approval": 1})
    assert [wave["approved"] for wave in parked["waves"]] == [False, False]
    await site.call("POST", "/c/approve", {"wave": 1})
    parked = await site.until(lambda found: found["awaitingApproval"] == 2)
    assert (parked["wave"], parked["counts"]["succeeded"]) == (2, 1)
    assert [one.get("/3/0/3").content for one in devices] == ["2.0", "1.0.0", "1.0.0"]
    await site.call("POST", "/c/approve", {})
    await site.until(is_in("finished"))
    assert [one.get("/3/0/3").content for one in devices] == ["2.0"] * 3


async def test_too_many_failures_pause_it_and_it_can_be_resumed_and_retried(site: Site) -> None:
    devices = await site.devices(4)
    devices[0].update_faults.result = 8
    await site.begin(waves=[{"count": 1}], failureThreshold={"count": 1}, attempts=1)
    paused = await site.until(is_in("paused"))
    assert paused["reason"] == "1 devices failed"
    assert paused["failures"] == [{"reason": "the update failed", "count": 1}] or paused["failures"]
    assert paused["counts"]["waiting"] == 3
    found = (await site.http.get("/api/v1/problems", params={"q": f"{site.prefix}"})).json()["problems"]
    told = {one["kind"]: one for one in found}
    assert told["campaign"]["text"] == f"the campaign {site.prefix}c is paused: 1 devices failed"
    assert (told["update"]["device"], told["update"]["count"]) == (f"{site.prefix}dev0", 1)
    await site.call("POST", "/c/resume")
    done = await site.until(is_in("finished"))
    assert (done["counts"]["succeeded"], done["counts"]["failed"]) == (3, 1)
    devices[0].update_faults.result = None
    assert (await site.call("POST", "/c/retry"))["state"] == "running"
    done = await site.until(is_in("finished"))
    assert (done["counts"]["succeeded"], done["counts"]["failed"]) == (4, 0)


async def test_pause_holds_what_is_not_installed_yet(site: Site) -> None:
    devices = await site.devices(2)
    await site.begin(approval="campaign")
    await site.until(lambda found: found["awaitingApproval"] == 2)
    await site.call("POST", "/c/pause")
    await site.call("POST", "/c/approve", {})
    await asyncio.sleep(0.5)
    found = await site.call("GET", "/c")
    assert (found["state"], found["awaitingApproval"]) == ("paused", 2)
    await site.call("POST", "/c/resume")
    await site.until(is_in("finished"))
    assert [one.get("/3/0/3").content for one in devices] == ["2.0"] * 2


async def test_abort_lets_finish_what_installs(site: Site) -> None:
    slow = UpdateOptions(install=1.0, reboot=0.01)
    installing = await site.device("dev0", updating=slow)
    await site.devices(0)
    await site.device("dev1")
    await site.begin(waves=[{"count": 1}])
    await site.until(lambda found: found["updates"].get("installing"))
    assert (await site.call("POST", "/c/abort"))["state"] == "aborting"
    done = await site.until(is_in("aborted"))
    assert done["counts"]["succeeded"] == 1
    assert await site.rows() == {
        "dev0": ("succeeded", None),
        "dev1": ("cancelled", "the campaign was aborted"),
    }
    assert installing.get("/3/0/3").content == "2.0"
    await site.call("POST", "/c/resume", status=409)


async def test_abort_calls_back_what_is_not_installed(site: Site) -> None:
    (device,) = await site.devices(1)
    await site.begin(approval="campaign")
    await site.until(lambda found: found["awaitingApproval"] == 1)
    await site.call("POST", "/c/abort")
    await site.until(is_in("aborted"))
    assert (await site.rows())["dev0"][0] == "cancelled"
    assert [device.get("/5/0/3").content, device.get("/3/0/3").content] == [0, "1.0.0"]


async def test_never_more_at_a_time_than_is_allowed(site: Site) -> None:
    devices = await site.devices(6)
    for one in devices:
        one.faults.delay = 0.01
    await site.begin(maxInProgress=2)
    most = 0
    async with asyncio.timeout(20):
        while (found := await site.call("GET", "/c"))["state"] != "finished":
            most = max(most, found["counts"]["active"])
    assert most == 2
    assert found["counts"]["succeeded"] == 6


async def test_a_device_that_is_not_there_waits_until_it_comes(site: Site) -> None:
    (first,) = await site.devices(1)
    later = await site.device("dev9")
    await later.deregister()
    await later.stop()
    await site.begin()
    found = await site.until(lambda found: found["counts"]["succeeded"] == 1)
    assert (found["state"], found["counts"]["waiting"]) == ("running", 1)
    await site.device("dev9")
    await site.until(is_in("finished"))
    assert first.get("/3/0/3").content == "2.0"


async def test_a_device_that_takes_too_long_fails(site: Site) -> None:
    (device,) = await site.devices(1)
    device.update_faults.lost = True
    await site.device("dev1", updating=None)
    await site.begin(deviceTimeout=0.5)
    found = await site.until(lambda found: found["counts"]["failed"] == 1)
    assert (await site.rows())["dev1"][0] == "failed"
    # That one is installing, for all anybody knows: it is waited for as long as any update is.
    assert found["counts"]["active"] == 1


async def test_it_ends_when_its_time_is_over(site: Site) -> None:
    await site.device("dev0")
    later = await site.device("dev1")
    await later.stop(deregister=True)
    await site.begin(expiresAt=round((time.time() + 1.5) * 1000))
    done = await site.until(is_in("expired"))
    assert (done["reason"], await site.rows()) == (
        "its time is over",
        {"dev0": ("succeeded", None), "dev1": ("cancelled", "its time is over")},
    )


async def test_devices_by_what_they_tell_of_themselves(site: Site) -> None:
    devices = await site.devices(3)
    devices[1].set("/3/0/3", "1.5")
    devices[2].set("/3/0/0", "ACME")
    for number in range(3):
        body = {"method": "Read", "params": {"id": "/3/0"}}
        answer = await site.http.post(f"/api/v1/devices/{site.prefix}dev{number}/rpc", json=body, timeout=20)
        assert answer.status_code == 200, answer.text
    target = {
        "endpoint": f"{site.prefix}*",
        "manufacturer": "My Demo*",
        "model": "Model 5??",
        "version": "1.0.*",
    }
    await site.begin(target=target)
    await site.until(is_in("finished"))
    assert set(await site.rows()) == {"dev0"}


async def test_pages_of_devices(site: Site) -> None:
    for number in range(5):
        await site.device(f"dev{number}")
    await site.begin(approval="campaign", maxInProgress=2)
    await site.until(lambda found: found["awaitingApproval"] == 5)
    seen, after = [], 0
    while after is not None:
        page = await site.call("GET", f"/c/devices?limit=2&after={after}&state=active")
        seen += [row["device"] for row in page["devices"]]
        after = page.get("next")
    assert seen == [f"{site.prefix}dev{number}" for number in range(5)]
    assert (await site.call("GET", "/c/devices?state=failed")) == {"devices": []}
    await site.call("GET", "/c/devices?state=strange", status=400)


async def test_a_draft_is_changed_and_removed(site: Site) -> None:
    await site.add()
    taken = {"name": f"{site.prefix}c", "package": "fw-2.0", "target": {"group": "g"}}
    await site.call("POST", body=taken, status=409)
    changed = {"package": "fw-2.0", "target": {"devices": [f"{site.prefix}dev0"]}}
    assert "dev0" in (await site.call("PUT", "/c", changed, status=400))["detail"]
    await site.device("dev0")
    found = await site.call("PUT", "/c", changed)
    assert found["definition"]["target"] == {"devices": [f"{site.prefix}dev0"]}
    await site.call("POST", "/c/pause", status=409)
    await site.call("POST", "/c/approve", {}, status=409)
    await site.call("DELETE", "/c", status=204)
    await site.call("GET", "/c", status=404)
    await site.call("POST", "/c/start", status=404)


async def test_a_package_stays_while_a_campaign_needs_it(site: Site) -> None:
    name = f"{site.prefix}fw"
    await site.upload(name, version="9.9")
    await site.add(package=name)
    answer = await site.http.delete(f"/api/v1/packages/{name}")
    assert (answer.status_code, f"campaign {site.prefix}c" in answer.text) == (409, True), answer.text
    await site.call("DELETE", "/c", status=204)
    answer = await site.http.delete(f"/api/v1/packages/{name}")
    assert answer.status_code == 204, answer.text


async def test_what_was_started_is_neither_changed_nor_removed(site: Site) -> None:
    await site.device("dev0")
    await site.begin(approval="campaign")
    await site.until(lambda found: found["awaitingApproval"] == 1)
    await site.call("POST", "/c/start", status=409)
    await site.call("PUT", "/c", {"package": "fw-2.0", "target": {"group": "g"}}, status=409)
    assert "abort it first" in (await site.call("DELETE", "/c", status=409))["detail"]
    answer = await site.http.delete("/api/v1/packages/fw-2.0")
    assert answer.status_code == 409
    await site.call("POST", "/c/abort")
    await site.until(is_in("aborted"))
    await site.call("DELETE", "/c", status=204)
    await site.add()
    assert (await site.call("GET", "/c"))["state"] == "draft"
    assert await site.rows() == {}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ([], "name: "),
        ({"name": "a/b"}, "name: "),
        ({"name": PREVIEW, "package": "fw-2.0", "target": {"group": "g"}}, "is a path already"),
        ({"name": "x", "package": "nope", "target": {"group": "g"}}, "there is no package 'nope'"),
        ({"name": "x", "package": "fw-2.0", "target": {"group": "g"}, "wavez": []}, "wavez is not known"),
    ],
)
async def test_refusals_say_what_is_wrong(site: Site, body: Any, problem: str) -> None:
    assert problem in (await site.call("POST", body=body, status=400))["detail"]


async def test_a_campaign_goes_on_after_a_restart(settings: Settings) -> None:
    """In the middle of everything: one is done, one waits for its approval, one was never begun."""
    async with opened(settings) as site:
        await site.upload()
        await site.devices(3)
        await site.begin(waves=[{"count": 1}, {"count": 1}], approval="wave")
        await site.until(lambda found: found["awaitingApproval"] == 1)
        await site.call("POST", "/c/approve", {"wave": 1})
        before = await site.until(lambda found: found["wave"] == 2 and found["awaitingApproval"] == 1)
    async with opened(settings) as site:
        after = await site.call("GET", "/c")
        assert {**after, "changedAt": 0} == {**before, "changedAt": 0}
        devices = await site.devices(3)
        devices[0].set("/3/0/3", "2.0")
        await site.call("POST", "/c/approve", {})
        done = await site.until(is_in("finished"))
        assert done["counts"]["succeeded"] == 3
        assert [one.get("/3/0/3").content for one in devices] == ["2.0"] * 3


async def test_looking_for_devices_begins_anew_after_a_restart(settings: Settings) -> None:
    """The server was stopped when some of them were in the campaign already."""
    half = {"state": "preparing", "started_at": time.time(), "expires_at": time.time() + 60}
    stray = CampaignDevice(4711, "stray", 0, "waiting", 0.0)
    async with opened(settings) as site:
        await site.upload()
        await site.devices(2)
        await site.add()
        ledger = site.running.core.ledger
        await ledger.commit(lambda write: write.put_campaign_run("main", "c", half, is_open=True))
        await ledger.commit(lambda write: write.add_campaign_devices("main", "c", [stray]))
    async with opened(settings) as site:
        await site.devices(2)
        done = await site.until(is_in("finished"))
        assert done["counts"]["succeeded"] == 2
        assert set(await site.rows()) == {"dev0", "dev1"}


async def test_what_was_being_removed_is_gone_after_a_restart(settings: Settings) -> None:
    async with opened(settings) as site:
        await site.upload()
        await site.device("dev0")
        await site.begin()
        await site.until(is_in("finished"))
    inventory = TinyInventory(settings.data / "inventory.json")
    await inventory.campaigns.remove("main", "c")
    async with opened(settings) as site:
        assert site.running.core.ledger.reader.campaign_run("main", "c") is None
        assert site.running.core.ledger.reader.count_campaign("main", "c") == {}


async def test_a_device_that_is_removed_leaves_the_campaign(site: Site) -> None:
    await site.devices(2)
    await site.begin(approval="campaign")
    await site.until(lambda found: found["awaitingApproval"] == 2)
    answer = await site.http.delete(f"/api/v1/devices/{site.prefix}dev1")
    assert answer.status_code == 204, answer.text
    await site.call("POST", "/c/approve", {})
    await site.until(is_in("finished"))
    assert await site.rows() == {
        "dev0": ("succeeded", None),
        "dev1": ("cancelled", "the device was removed"),
    }


async def test_sleepers_are_updated_when_they_are_awake(settings: Settings) -> None:
    awake = attrs.evolve(settings.devices, awake_window=0.3)
    async with opened(attrs.evolve(settings, devices=awake)) as site:
        await site.upload()
        sleepers = [
            await site.device(f"dev{number}", queue_mode=True, awake=0.4, sleep=0.5) for number in range(2)
        ]
        await site.begin(waves=[{"count": 1}])
        done = await site.until(is_in("finished"))
        assert done["counts"]["succeeded"] == 2
        assert [one.get("/3/0/3").content for one in sleepers] == ["2.0"] * 2


async def test_who_may(settings: Settings) -> None:
    """Admins define campaigns, operators run them, readers look; other tenants see nothing."""
    async with opened(settings) as site:
        await site.upload()
        root = await bearer(site, "root", "system", None)
        await site.http.post("/api/v1/tenants", json={"name": "other"}, headers=root)
        boss, app, eye, stranger = [
            await bearer(site, name, role, tenant, root)
            for name, role, tenant in [
                ("boss", "admin", "main"),
                ("app", "operate", "main"),
                ("eye", "read", "main"),
                ("stranger", "admin", "other"),
            ]
        ]
        draft = {"name": "c", "package": "fw-2.0", "target": {"endpoint": "*"}}
        path = "/api/v1/campaigns"
        tried = [
            ("POST", path, app, draft, 403),
            ("POST", path, stranger, draft, 400),
            ("POST", path, boss, draft, 201),
            ("GET", f"{path}/c", stranger, None, 404),
            ("GET", f"{path}/c?tenant=main", stranger, None, 403),
            ("GET", f"{path}/c", eye, None, 200),
            ("POST", f"{path}/c/start", eye, None, 403),
            ("PUT", f"{path}/c", app, draft, 403),
            ("DELETE", f"{path}/c", app, None, 403),
            ("POST", f"{path}/c/start", app, None, 200),
        ]
        for method, place, who, body, status in tried:
            answer = await site.http.request(method, place, headers=who, json=body)
            assert answer.status_code == status, (method, place, answer.text)
        entries = (await site.http.get("/api/v1/audit", headers=boss)).json()["entries"]
        assert ("app", f"{path}/c/start") in [(one["client"], one["target"]) for one in entries]


async def bearer(
    site: Site, name: str, role: str, tenant: str | None, boss: dict[str, str] | None = None
) -> dict[str, str]:
    """A new client, and the header that proves it."""
    draft = {"id": name, "role": role} | ({"tenant": tenant} if tenant else {})
    added = (await site.http.post("/api/v1/clients", json=draft, headers=boss)).json()
    form, credentials = {"grant_type": "client_credentials"}, (added["id"], added["secret"])
    granted = (await site.http.post("/auth/token", data=form, auth=credentials)).json()
    return {"Authorization": f"Bearer {granted['access_token']}"}


# --- by command ------------------------------------------------------------------------------------


async def lwm2m(site: Site, *arguments: str, status: int = 0) -> str:
    """What ``lwm2m campaigns …`` prints."""
    command = ["campaigns", *arguments, "--url", site.running.addresses.http]
    done = await asyncio.to_thread(CliRunner().invoke, main.lwm2m, command)
    assert done.exit_code == status, done.output
    return done.output


async def test_a_campaign_by_command(site: Site) -> None:
    await site.devices(3)
    name, first = f"{site.prefix}c", f"{site.prefix}dev0"
    told = await lwm2m(
        site,
        *("create", name, "--package", "fw-2.0", "--endpoint", f"{site.prefix}dev*", "--wave", "30%"),
        *("--max", "2", "--failures", "10%", "--on-failures", "abort", "--approval", "wave"),
        *("--window", "00:00-00:00 Europe/Berlin", "--attempts", "2", "--expires-at", "2090-01-01"),
    )
    assert told == f"{name} is draft\n"
    definition = (await site.call("GET", "/c"))["definition"]
    assert definition["waves"] == [{"percent": 30.0, "completed": 100.0}, {"completed": 100.0}]
    assert definition["failureThreshold"] == {
        "count": None,
        "percent": 10.0,
        "atLeast": 10,
        "action": "abort",
    }
    assert definition["window"]["days"] == ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    assert json.loads(await lwm2m(site, "start", name, "--json"))["name"] == name
    await site.until(lambda found: found["awaitingApproval"] == 1)
    assert await lwm2m(site, "approve", name, "--wave", "1") == f"{name} is running\n"
    assert await lwm2m(site, "pause", name) == f"{name} is paused\n"
    assert await lwm2m(site, "resume", name) == f"{name} is running\n"
    await lwm2m(site, "approve", name)
    watched = await lwm2m(site, "watch", name, "--every", "0.1")
    assert watched.splitlines()[-1] == f"{name} finished 100%: 3 succeeded"
    shown = await lwm2m(site, "show", name)
    assert "done      100%" in shown
    assert re.search(r"^2 +2 +yes +0 +0 +0 +2 +0 +0 +0$", shown, re.MULTILINE)
    rows = (await lwm2m(site, "devices", name, "--state", "succeeded")).splitlines()
    assert rows[1].split() == [first, "1", "succeeded", "succeeded", "-"]
    assert re.search(rf"{name} +finished +fw-2.0 +3 ", await lwm2m(site, "list"))
    assert "finished" in await lwm2m(site, "resume", name, status=1)
    assert await lwm2m(site, "remove", name) == f"{name} removed\n"
    assert "has no campaign" in await lwm2m(site, "show", name, status=2)


async def test_failures_are_told_and_tried_again_by_command(site: Site, tmp_path: Path) -> None:
    (device,) = await site.devices(1)
    device.update_faults.result = 8
    file = tmp_path / "campaign.json"
    file.write_text(json.dumps({"package": "fw-2.0", "target": {"endpoint": "nobody"}, "attempts": 1}))
    name = f"{site.prefix}c"
    flags = ["--file", str(file), "--device", f"{site.prefix}dev0", "--start"]
    await lwm2m(site, "create", name, *flags)
    assert "1 failed" in await lwm2m(site, "watch", name, "--every", "0.1", status=1)
    assert re.search(r"^1 +.*[a-z]", (await lwm2m(site, "show", name)).splitlines()[-1])
    device.update_faults.result = None
    assert await lwm2m(site, "retry", name) == f"{name} is running\n"
    assert "1 succeeded" in await lwm2m(site, "watch", name, "--every", "0.1")


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--wave", "many"], "neither a number of devices nor a share"),
        (["--window", "at night"], "is not as 'mon,fri 22:00-05:00 Europe/Berlin'"),
        (["--package", "fw-2.0"], "target is due"),
    ],
)
async def test_bad_flags_are_explained(site: Site, flags: list[str], problem: str) -> None:
    assert problem in await lwm2m(site, "create", "x", *flags, status=2)
