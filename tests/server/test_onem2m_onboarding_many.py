"""Thousands of devices in one request, and in one group: nobody else waits for it."""

import asyncio
import gc
import json
import time
from asyncio.events import Handle

import pytest

BASE = "/device-management-orchestrator/v3/main"
DEVICES = 1_000
"""Of 10,000 the same is true; it takes ten times as long."""
SLICE = 0.05
"""Seconds of CPU. A turn takes a tenth of it, all of it ten times as much."""


@pytest.fixture
def slices(monkeypatch):
    """What each callback of the event loop took, in seconds of CPU: other programs do not count."""
    taken = []
    run = Handle._run

    def measured(handle):
        before = time.thread_time()
        run(handle)
        taken.append(time.thread_time() - before)

    monkeypatch.setattr(Handle, "_run", measured)
    # A server has its collector under control; here it has to look at all that other tests left.
    gc.disable()
    yield taken
    gc.enable()


@pytest.fixture
async def world(api):
    given = {"api": "Napp", "rn": "app", "lbl": ["type:d2c"], "poa": ["http://127.0.0.1:9/"]}
    await api.post("", 2, {"m2m:ae": given}, headers={"X-M2M-Origin": "Capp"})
    await api.post("/device-group", 28, {"dtiot:devGr": {"rn": "group", "aes": ["app"]}})
    return api


def item(n):
    return {
        "ni": f"urn:gsma:imei:{351934546788000 + n}",
        "noRNe": f"device{n}",
        "ICCID": "89882280000004492060",
        "lbl": ["d2c:1.0"],
        "nCr": [f"psk-id:device{n}", "psk:Q3hhc21FTUw3NFNiUlIzUw=="],
        "nodeDeviceGroups": ["group"],
        "ndvi": {"man": "m", "mod": "x", "dty": "d"},
    }


async def test_onboarding_and_routing_in_small_turns(world, slices):
    body = json.dumps({"dtiot:noPRt": {"opern": 1, "reqLt": [item(n) for n in range(DEVICES)]}})
    place = f"{BASE}/device-provisioning/request?rcn=0"
    await asyncio.sleep(0)
    slices.clear()
    answer = await world.client.post(place, content=body, headers={"Content-Type": "application/json;ty=28"})
    assert answer.status_code == 201
    response = f"/device-provisioning/response/responseToRequest-{answer.headers['content-location'][-24:]}"
    group = world.ledger.reader.below(world.inventory.tenant("main").id, ("device-group", "group"))[-1]
    asked = 0
    end = time.monotonic() + 120
    while len(world.ledger.reader.routes(group.id, limit=DEVICES + 1)) < DEVICES:
        # Others are served all the time.
        assert (await world.get("/app")).status_code == 200
        asked += 1
        await asyncio.sleep(0.02)
        assert time.monotonic() < end
    assert asked > 5
    assert max(slices) < SLICE, sorted(slices)[-5:]
    done = (await world.get(response)).json()["flexContainer"]
    assert (done["responseStatus"], done["individualErrorMessages"]) == (1, [])
    members = (await world.get("/device-group/group")).json()["flexContainer"]["nds"]
    assert members == [f"device{n}" for n in range(DEVICES)]
