"""Packages and updates below ``/api/v1``, and what devices fetch over HTTP."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio

from lwm2m_server.app import Running, run
from lwm2m_server.settings import Address, DeviceSettings, Settings, UpdateSettings
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.simulator.images import make_image
from lwm2m_server.simulator.updating import Delivery, Protocols, UpdateOptions
from lwm2m_server.updates.offers import Offer

ANY = Address("127.0.0.1", 0)
IMAGE = make_image("firmware", "2.0", bytes(range(256)) * 24)
DIGEST = hashlib.sha256(IMAGE).hexdigest()
SAID = {"title": "firmware", "version": "2.0", "type": "firmware"}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """One for all tests: each has packages and a device of its own."""
    settings = Settings(
        coap=(ANY,),
        http=ANY,
        data=tmp_path_factory.mktemp("updates") / "data",
        devices=DeviceSettings(unknown="create"),
        updates=UpdateSettings(largest_package=10_000),
    )
    started: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    server = asyncio.create_task(run(settings, ready=started.set_result, stop=stop))
    await asyncio.wait([server, started], return_when=asyncio.FIRST_COMPLETED)
    yield started.result()
    stop.set()
    await server


@pytest_asyncio.fixture(loop_scope="module")
async def api(running: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{running.addresses.http}/api/v1") as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def tidy(api: httpx.AsyncClient) -> AsyncIterator[None]:
    """No package outlives its test."""
    yield
    for package in (await api.get("/packages")).json()["packages"]:
        assert (await api.delete(f"/packages/{package['name']}")).status_code == 204


async def upload(api: httpx.AsyncClient, image: bytes = IMAGE, **said: str) -> httpx.Response:
    headers = {"content-type": "application/octet-stream"}
    return await api.post("/packages", params={**SAID, **said}, content=image, headers=headers)


@asynccontextmanager
async def device(running: Running, name: str, **options: Any) -> AsyncIterator[SimulatedDevice]:
    host, _, port = running.addresses.devices["coap"][0].rpartition(":")
    updating = UpdateOptions(install=0.01, reboot=0.01, **options)
    simulated = SimulatedDevice(name, (host, int(port)), version="1.1", updating=updating)
    await simulated.start()
    await simulated.registered()
    try:
        yield simulated
    finally:
        await simulated.stop()


async def until(api: httpx.AsyncClient, update: dict[str, Any], *states: str) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for _ in range(500):
        shown = (await api.get(f"/devices/{update['device']}/updates/{update['id']}")).json()
        if shown["state"] in states:
            return shown
        await asyncio.sleep(0.02)
    raise AssertionError(shown)


async def test_a_package_from_its_upload_to_its_end(api: httpx.AsyncClient, running: Running) -> None:
    answer = await upload(api, tag="spring", fileName="fw.bin", model="tank", checksum=DIGEST.upper())
    shown = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, "/api/v1/packages/firmware-2.0")
    assert shown.pop("createdAt") > 0
    assert shown == {
        "name": "firmware-2.0",
        "title": "firmware",
        "version": "2.0",
        "type": "firmware",
        "tag": "spring",
        "description": "",
        "fileName": "fw.bin",
        "checksum": DIGEST,
        "checksumAlgorithm": "SHA256",
        "size": len(IMAGE),
        "url": None,
        "fits": {"model": "tank"},
        "available": True,
    }
    assert [one["name"] for one in (await api.get("/packages")).json()["packages"]] == ["firmware-2.0"]
    assert (await api.get("/packages", params={"type": "software"})).json()["packages"] == []
    downloaded = await api.get("/packages/firmware-2.0/file")
    assert (downloaded.content, downloaded.headers["etag"]) == (IMAGE, f'"{DIGEST}"')
    assert (await api.delete("/packages/firmware-2.0")).status_code == 204
    assert (await api.get("/packages/firmware-2.0")).status_code == 404
    assert (await api.delete("/packages/firmware-2.0")).status_code == 404
    assert (await upload(api)).status_code == 201


async def test_packages_that_are_refused_leave_nothing(api: httpx.AsyncClient, running: Running) -> None:
    folder = running.features.updating.files.folder
    for image, said, status, words in (
        (bytes(10_001), {}, 413, "10000 bytes at most"),
        (IMAGE, {"checksum": "0" * 64}, 400, f"is {DIGEST}, not 000"),
        (IMAGE, {"checksum": "abc"}, 400, "SHA-256"),
        (IMAGE, {"type": "picture"}, 400, "firmware, software"),
        (IMAGE, {"name": "a/b"}, 400, "no name"),
        (IMAGE, {"colour": "red"}, 400, "'colour' is none of"),
        (IMAGE, {"version": ""}, 400, "version"),
        (b"", {}, 400, "no bytes"),
    ):
        answer = await upload(api, image, **said)
        assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
    assert list(folder.glob("*")) == []
    assert (await upload(api)).status_code == 201
    for said in ({}, {"name": "another"}):
        assert (await upload(api, **said)).status_code == 409
    assert [file.name for file in folder.glob("*")] == [DIGEST]


async def test_a_package_that_lies_elsewhere(api: httpx.AsyncClient) -> None:
    url = "https://files.example/fw.bin"
    answer = await api.post("/packages", json={**SAID, "url": url, "size": 7, "fits": {"model": "tank"}})
    assert (answer.status_code, answer.json()["url"], answer.json()["checksum"]) == (201, url, None)
    assert (await api.get("/packages/firmware-2.0/file")).status_code == 409
    for more, words in (
        ({"url": "ftp://files.example"}, "url is to be"),
        ({"url": "http://files.example/a"}, "checksum"),
        ({"url": url, "size": -1}, "size"),
        ({"url": url, "fits": {"colour": "red"}}, "colour"),
        ({}, "url is due"),
    ):
        answer = await api.post("/packages", json={**SAID, "name": "x", "version": "3", **more})
        assert (answer.status_code, words in answer.json()["detail"]) == (400, True), answer.text
    answer = await api.post("/packages", content=b"x", headers={"content-type": "image/png"}, params=SAID)
    assert answer.status_code == 415


async def test_an_update_with_approval(api: httpx.AsyncClient, running: Running) -> None:
    await upload(api)
    async with device(running, "approved") as simulated:
        body = {"package": "firmware-2.0", "approval": True}
        answer = await api.post("/devices/approved/updates", json=body)
        update = answer.json()
        assert (answer.status_code, update["state"], update["progress"]) == (202, "queued", 0)
        waiting = await until(api, update, "awaiting-approval")
        assert (waiting["progress"], waiting["path"], waiting["approved"]) == (100, "/5/0", False)
        assert (await api.post("/devices/approved/updates", json=body)).status_code == 409
        used = await api.delete("/packages/firmware-2.0")
        assert (used.status_code, used.json()["detail"]) == (
            409,
            "firmware-2.0 is used by an update under way",
        )
        path = f"/devices/approved/updates/{update['id']}"
        assert (await api.post(f"{path}/approve")).status_code == 200
        done = await until(api, update, "succeeded")
        assert simulated.get("/3/0/3").content == "2.0"
        assert [one["state"] for one in done["timeline"]][-1] == "succeeded"
        events = (await api.get("/events", params={"kind": "update", "device": "approved"})).json()["events"]
        assert [one["message"]["state"] for one in events] == [one["state"] for one in done["timeline"]]
        assert events[0]["message"]["update"] == update["id"]
        figures = (await api.get(f"{running.addresses.http}/metrics")).text
        assert "lwm2m_downloads 0.0" in figures
        for action in ("approve", "cancel", "retry"):
            assert (await api.post(f"{path}/{action}")).status_code == 409
        again = (await api.post("/devices/approved/updates", json=body)).json()
        assert (await until(api, again, "succeeded"))["reason"] == "2.0 runs already"
        listed = (await api.get("/updates", params={"state": "succeeded", "limit": 1})).json()
        assert ([one["id"] for one in listed["updates"]], listed["next"]) == ([update["id"]], update["id"])
        of_device = (await api.get("/devices/approved/updates")).json()["updates"]
        assert [one["id"] for one in of_device] == [again["id"], update["id"]]


async def test_cancel_and_retry(api: httpx.AsyncClient, running: Running) -> None:
    await upload(api)
    async with device(running, "cancelled") as simulated:
        body = {"package": "firmware-2.0", "approval": True}
        update = (await api.post("/devices/cancelled/updates", json=body)).json()
        await until(api, update, "awaiting-approval")
        path = f"/devices/cancelled/updates/{update['id']}"
        await api.post(f"{path}/cancel")
        assert (await until(api, update, "cancelled"))["reason"] is None
        assert simulated.get("/5/0/3").content == 0
        await api.post(f"{path}/retry")
        await until(api, update, "awaiting-approval")
        await api.post(f"{path}/cancel")
        await until(api, update, "cancelled")


async def test_wrong_wishes(api: httpx.AsyncClient, running: Running) -> None:
    await upload(api)
    async with device(running, "wrong"):
        for more, words in (
            ({"package": "nothing"}, "no package"),
            ({"colour": "red"}, "'colour' is none of"),
            ({"method": "post"}, "auto, push, pull"),
            ({"approval": 1}, "true or false"),
            ({"attempts": 0}, "from 1 to 10"),
            ({"installAfter": "now"}, "installAfter"),
        ):
            answer = await api.post("/devices/wrong/updates", json={"package": "firmware-2.0", **more})
            assert (answer.status_code, words in answer.json()["detail"]) == (400, True), answer.text
        assert (await api.get("/devices/wrong/updates/1")).status_code == 404
        assert (await api.get("/updates", params={"state": "odd"})).status_code == 400


async def test_pull_over_http(api: httpx.AsyncClient, running: Running) -> None:
    await upload(api)
    async with device(running, "fetching", protocols=(Protocols.HTTP,), delivery=Delivery.PULL) as simulated:
        body = {"package": "firmware-2.0", "approval": True}
        update = (await api.post("/devices/fetching/updates", json=body)).json()
        waiting = await until(api, update, "awaiting-approval", "failed")
        assert (waiting["method"], waiting["bytes"]) == ("pull", len(IMAGE))
        uri = str(simulated.get("/5/0/1").content)
        assert uri.startswith(f"{running.addresses.http}/p/")
        # The token was good for this one download.
        assert (await api.get(uri)).status_code == 404
        await api.post(f"/devices/fetching/updates/{update['id']}/approve")
        await until(api, update, "succeeded")


async def test_ranges(api: httpx.AsyncClient, running: Running) -> None:
    await upload(api)
    offer = Offer(1, DIGEST, len(IMAGE), 9e12, 1)
    uri = f"{running.addresses.http}/p/{running.features.updating.offers.make(offer)[0]}"
    for asked, status, part in (
        ({}, 200, IMAGE),
        ({"range": "bytes=100-199"}, 206, IMAGE[100:200]),
        ({"range": "bytes=6000-"}, 206, IMAGE[6000:]),
        ({"range": "bytes=-10"}, 206, IMAGE[-10:]),
        ({"range": "bytes=6000-99999"}, 206, IMAGE[6000:]),
        ({"range": "bytes=5-1"}, 200, IMAGE),
        ({"range": "bytes=0-1,5-6"}, 200, IMAGE),
        ({"range": "bytes=100-", "if-range": '"another"'}, 200, IMAGE),
        ({"range": "bytes=100-", "if-range": f'"{DIGEST}"'}, 206, IMAGE[100:]),
    ):
        answer = await api.get(uri, headers=asked)
        assert (answer.status_code, answer.content) == (status, part), asked
        assert answer.headers["content-length"] == str(len(part))
    assert (await api.get(uri, headers={"range": "bytes=100-199"})).headers["content-range"] == (
        f"bytes 100-199/{len(IMAGE)}"
    )
    beyond = await api.get(uri, headers={"range": f"bytes={len(IMAGE)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(IMAGE)}")
    head = await api.head(uri)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(IMAGE)))
    running.features.updating.offers.end(offer.update)
    assert (await api.get(uri)).status_code == 404
    assert (await api.get(f"{running.addresses.http}/p/{'x' * 22}")).status_code == 404
    refused = await api.put(uri, content=b"x")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


async def test_a_package_whose_file_is_lost(api: httpx.AsyncClient, running: Running) -> None:
    """As after a restore of a backup: the same bytes bring it back, others do not."""
    await upload(api)
    (running.features.updating.files.folder / DIGEST).unlink()
    assert (await api.get("/packages/firmware-2.0")).json()["available"] is False
    assert (await api.get("/packages/firmware-2.0/file")).status_code == 404
    async with device(running, "waiting"):
        refused = await api.post("/devices/waiting/updates", json={"package": "firmware-2.0"})
        assert (refused.status_code, "lost" in refused.json()["detail"]) == (409, True)
    assert (await upload(api, IMAGE + b"x")).status_code == 409
    assert (await upload(api)).json()["available"] is True
    assert (await api.get("/packages/firmware-2.0/file")).content == IMAGE
