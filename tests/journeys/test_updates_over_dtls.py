"""A package that a device fetches over its own DTLS session, and goes on with after a reboot."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import httpx
import pytest

from lwm2m_server.settings import Address
from lwm2m_server.simulator.bootstrapping import over_dtls
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.simulator.dtls import PreSharedKey
from lwm2m_server.simulator.images import make_image
from lwm2m_server.simulator.updating import Delivery, Protocols, UpdateFaults, UpdateOptions

pytestmark = pytest.mark.native_stack("below DTLS there is no other")

NAME, KEY = "dtls1", bytes(range(16))
IMAGE = make_image("firmware", "2.0", bytes(6000))


async def test_pull_over_dtls(serve: Any) -> None:
    server = serve("--coaps", "127.0.0.1:0")
    async with httpx.AsyncClient(base_url=f"{server.http}/api/v1", timeout=10.0) as api:
        psk = {"mode": "psk", "identity": NAME, "key": base64.b64encode(KEY).decode()}
        made = await api.post("/devices", json={"name": NAME})
        assert made.status_code == 201, made.text
        put = await api.put(f"/devices/{NAME}/credentials/management", json=psk)
        assert put.status_code == 200, put.text
        said = {"title": "firmware", "version": "2.0", "type": "firmware"}
        octets = {"content-type": "application/octet-stream"}
        await api.post("/packages", params=said, content=IMAGE, headers=octets)
        updating = UpdateOptions(
            protocols=(Protocols.COAPS,), delivery=Delivery.PULL, install=0.01, reboot=0.01
        )
        where = tuple(Address.parse(server.addresses["coaps"]))
        device = SimulatedDevice(
            NAME,
            where,
            version="1.1",
            updating=updating,
            update_faults=UpdateFaults(power_loss_at=3000),
        )
        device.connect = over_dtls(PreSharedKey(NAME.encode(), KEY))
        await device.start()
        try:
            await asyncio.wait_for(device.registered(), 10)
            body = {"package": "firmware-2.0", "approval": True}
            update = (await api.post(f"/devices/{NAME}/updates", json=body)).json()
            path = f"/devices/{NAME}/updates/{update['id']}"
            await reached(api, path, "awaiting-approval")
            assert str(device.get("/5/0/1").content).startswith(f"coaps://{server.addresses['coaps']}/p/")
            await api.post(f"{path}/approve")
            done = await reached(api, path, "succeeded")
            assert (done["method"], done["attempts"], device.restarts) == ("pull", 0, 2)
        finally:
            await device.stop()


async def reached(api: httpx.AsyncClient, path: str, state: str) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for _ in range(600):
        shown = (await api.get(path)).json()
        if shown["state"] == state:
            return shown
        assert shown["state"] != "failed", shown
        await asyncio.sleep(0.05)
    raise AssertionError(shown)
