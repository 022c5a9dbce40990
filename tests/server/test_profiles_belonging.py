"""Which groups a device is in: as the filter by group says, whatever becomes of the groups."""

from __future__ import annotations

import random

import pytest

from lwm2m_server.profiles import belonging
from lwm2m_server.store.ids import ResourceIds

END = 3_786_912_000.0
"""20900101T000000"""
NAMES = [f"d{number}" for number in range(12)]


@pytest.fixture
async def fleet(api):
    for name in NAMES:
        await api.add_device(name)
    return api


async def listed(api):
    """The groups of each device, as the list and as the details have them."""
    answer = await api.client.get("/api/v1/devices")
    found = {row["name"]: row["groups"] for row in answer.json()["devices"]}
    details = await api.client.get("/api/v1/devices/d3")
    assert details.json()["groups"] == found["d3"]
    return found


async def filtered(api, *groups):
    """The same, by asking for the devices of each group."""
    found = {name: [] for name in NAMES}
    for group in sorted(groups):
        answer = await api.client.get("/api/v1/devices", params={"group": group})
        for row in answer.json()["devices"]:
            found[row["name"]].append(group)
    return found


def id_of(api, name):
    node = api.ledger.reader.device_named("main", name).node
    return ResourceIds(api.ledger.installation).ri(node, 14)


async def put(api, name, members, **more):
    return await api.client.post("/api/v1/groups", json={"name": name, "devices": members, **more})


async def test_by_name_or_by_id_and_whatever_changes(fleet):
    assert set(map(tuple, (await listed(fleet)).values())) == {()}
    by_id = id_of(fleet, "d3")
    assert (await put(fleet, "b", ["d1", "d3", by_id])).status_code == 201
    assert (await put(fleet, "a", [by_id])).status_code == 201
    found = await listed(fleet)
    assert (found["d3"], found["d1"], found["d2"]) == (["a", "b"], ["b"], [])
    assert found == await filtered(fleet, "a", "b")
    change = {"addDevices": ["d2"], "removeDevices": ["d1"]}
    assert (await fleet.client.patch("/api/v1/groups/b", json=change)).status_code == 200
    found = await listed(fleet)
    assert (found["d3"], found["d1"], found["d2"]) == (["a", "b"], [], ["b"])
    assert (await fleet.client.delete("/api/v1/groups/a")).status_code == 204
    assert (await listed(fleet))["d3"] == ["b"]
    # Its name is another device's now, and the group names members by theirs.
    assert (await fleet.client.delete("/api/v1/devices/d2")).status_code == 204
    await fleet.add_device("d2")
    assert await listed(fleet) == await filtered(fleet, "b")


async def test_who_leaves_is_not_in_it_by_any_name(fleet):
    both = ["d3", id_of(fleet, "d3")]
    for leaving in both:
        await put(fleet, "b", [*both, "d4"])
        answer = await fleet.client.patch("/api/v1/groups/b", json={"removeDevices": [leaving, "gone"]})
        assert answer.json()["devices"] == 1
        assert {name for name, found in (await listed(fleet)).items() if found} == {"d4"}
        await fleet.client.delete("/api/v1/groups/b")


async def test_a_group_that_is_over_has_nobody(fleet):
    await put(fleet, "short", ["d3"])
    assert (await listed(fleet))["d3"] == ["short"]
    found = fleet.profiles.belonging
    # A second before it, and in that second.
    found._clock = lambda: END - 1
    path = "/device-management-orchestrator/v3/main/device-group/short"
    body = {"dtiot:devGr": {"et": "20900101T000000"}}
    headers = {"x-m2m-origin": "CAdmin", "x-m2m-ri": "1", "content-type": "application/json"}
    answer = await fleet.client.put(path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert (await listed(fleet))["d3"] == ["short"]
    found._clock = lambda: END
    assert (await listed(fleet))["d3"] == []


async def test_many_of_both_a_few_at_a_time(fleet, monkeypatch):
    """All is read in pieces, what changes is read again, and what was before is thrown away at last."""
    monkeypatch.setattr(belonging, "GROUPS", 3)
    monkeypatch.setattr(belonging, "TURN", 10)
    monkeypatch.setattr(belonging, "SLICE", 2)
    monkeypatch.setattr(belonging, "SLACK", 40)
    dice, groups = random.Random(3), [f"g{number:02}" for number in range(20)]
    ids = [id_of(fleet, name) for name in NAMES]
    for group in groups:
        await put(fleet, group, dice.sample(NAMES + ids, dice.randrange(9)))
    assert await listed(fleet) == await filtered(fleet, *groups)
    for _ in range(40):
        change = {"addDevices": dice.sample(NAMES, 2), "removeDevices": dice.sample(NAMES + ids, 2)}
        await fleet.client.patch(f"/api/v1/groups/{dice.choice(groups)}", json=change)
        index = fleet.profiles.belonging._known["main"]
        assert index._former <= index._live + 40 + 2 * len(NAMES)
        monkeypatch.setattr(belonging, "FEW", dice.choice((0, 3, 1000)))
        await listed(fleet)
        assert await listed(fleet) == await filtered(fleet, *groups)


async def test_nobody_waits_for_long_reads_while_no_group_changes(fleet):
    await put(fleet, "b", ["d3"])
    assert (await listed(fleet))["d3"] == ["b"]
    kept, found = fleet.profiles.belonging, [("d3", 1), ("d4", 2)]
    kept._ledger, ledger = None, kept._ledger
    assert await kept.names("main", found) == [["b"], []]
    kept._ledger = ledger
    await fleet.client.patch("/api/v1/groups/b", json={"addDevices": ["d4"]})
    assert await kept.names("main", found) == [["b"], ["b"]]


async def test_what_nobody_asks_for_is_forgotten(fleet, monkeypatch):
    monkeypatch.setattr(belonging, "MOST_CHANGED", 2)
    await listed(fleet)
    for name in ("a", "b", "c", "d"):
        await put(fleet, name, ["d3"])
    assert (await listed(fleet))["d3"] == ["a", "b", "c", "d"]


async def test_another_tenants_groups_are_not_its_own(fleet):
    assert await fleet.profiles.belonging.names("nobody", [("d3", 1)]) == [[]]
    assert await fleet.profiles.belonging.names("main", []) == []
