"""One request to all members of a group."""

import pytest

SHORT = {"fullName": "false"}
CIN = {"m2m:cin": {"con": "x"}}


async def responses(answer):
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["m2m:agr"]
    return answer.json()["m2m:agr"]["m2m:rsp"]


@pytest.fixture
async def boxes(api):
    await api.post("", 2, {"m2m:ae": {"rn": "app", "api": "Nx"}}, headers={"X-M2M-Origin": "CTestApp"})
    for name in ("a", "b"):
        await api.post("/app", 3, {"m2m:cnt": {"rn": name}})
    group = {"rn": "both", "mnm": 9, "mid": ["main/app/a", "-/app/b"]}
    assert (await api.post("/app", 9, {"m2m:grp": group})).status_code == 201
    return api


async def test_every_operation_reaches_every_member(boxes):
    made = await responses(await boxes.post("/app/both/fopt", 4, CIN, headers=SHORT))
    assert [(one["rsc"], one["to"], one["rqi"]) for one in made] == [
        (2001, "main/app/a", "123"),
        (2001, "-/app/b", "123"),
    ]
    latest = await responses(await boxes.get("/app/both/fopt/la", headers=SHORT))
    assert [one["pc"]["m2m:cin"]["ri"] for one in latest] == [one["pc"]["m2m:cin"]["ri"] for one in made]
    changed = await boxes.put("/app/both/fopt", {"m2m:cnt": {"mni": 5}}, headers=SHORT)
    assert [one["rsc"] for one in await responses(changed)] == [2004, 2004]
    assert (await boxes.get("/app/b", headers=SHORT)).json()["m2m:cnt"]["mni"] == 5
    gone = await responses(await boxes.delete("/app/both/fopt/la"))
    assert [(one["rsc"], one.get("pc")) for one in gone] == [(2002, None), (2002, None)]


async def test_a_member_that_refuses_stops_no_other(boxes):
    await boxes.post("/app/b", 4, CIN)
    found = await responses(await boxes.get("/app/both/fopt/la", headers=SHORT))
    assert [one["rsc"] for one in found] == [4004, 2000]
    assert "is empty" in found[0]["pc"]["m2m:dbg"]
    await boxes.delete("/app/a")
    found = await responses(await boxes.get("/app/both/fopt"))
    assert [one["rsc"] for one in found] == [4004, 2000]


async def test_devices_are_asked_by_their_group(api):
    for name in ("dev1", "dev2"):
        await api.add_device(name)
    members = [f"main/device-communication/{name}/outgoing-msg" for name in ("dev1", "dev2")]
    await api.post("", 9, {"m2m:grp": {"rn": "fleet", "mnm": 2, "mid": members}})
    made = await responses(await api.post("/fleet/fopt", 4, {"m2m:cin": {"con": "GET /3"}}, headers=SHORT))
    assert [one["rsc"] for one in made] == [2001, 2001]
    assert [len(api.devices.queues[name]) for name in ("dev1", "dev2")] == [1, 1]


async def test_groups_of_groups_and_their_end(boxes):
    outer = {"rn": "outer", "mnm": 9, "mid": ["main/app/both", "main/app/a"]}
    await boxes.post("/app", 9, {"m2m:grp": outer})
    found = await responses(await boxes.get("/app/outer/fopt/fopt", headers=SHORT))
    assert [one["pc"]["m2m:rsp"] if "m2m:rsp" in one["pc"] else list(one["pc"]) for one in found] == [
        ["m2m:agr"],
        ["m2m:dbg"],
    ]
    await boxes.put("/app/both", {"m2m:grp": {"mid": ["main/app/both"]}})
    found = await responses(await boxes.get("/app/both/fopt/fopt", headers=SHORT))
    assert "member of itself" in found[0]["pc"]["m2m:dbg"]


async def test_what_has_no_members(boxes):
    answer = await boxes.get("/app/a/fopt")
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (404, "4004")
    assert (await boxes.get("/app/nothing/fopt")).status_code == 404
    await boxes.post("/app", 9, {"m2m:grp": {"rn": "none", "mnm": 2, "mt": 2, "mid": ["main/app/a"]}})
    answer = await boxes.get("/app/none/fopt")
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (403, "4109")
