"""Device groups: what they say, and the subscriptions they lead to."""

import asyncio
import time
from contextlib import suppress

import pytest

from lwm2m_server.store.ids import ResourceIds

GROUPS = "/device-group"
CND = "com.telekom.iot.orchestrator.deviceGroup"
SHORT = {"fullName": "false"}


def body(**attributes):
    return {"dtiot:devGr": attributes}


async def add_application(api, name="app"):
    given = {"api": f"N{name}", "rn": name, "lbl": ["type:d2c"], "poa": ["http://127.0.0.1:9/"]}
    answer = await api.post("", 2, {"m2m:ae": given}, headers={"X-M2M-Origin": f"C{name}", **SHORT})
    assert answer.status_code == 201, answer.text
    return answer.json()["m2m:ae"]["ri"]


async def add_group(api, name="group", **attributes):
    answer = await api.post(GROUPS, 28, body(cnd=CND, rn=name, **attributes), headers=SHORT)
    assert answer.status_code == 201, answer.text
    return answer.json()["dtiot:devGr"]


async def update(api, name="group", **attributes):
    answer = await api.put(f"{GROUPS}/{name}", body(**attributes), headers=SHORT)
    assert answer.status_code == 200, answer.text
    return answer.json()["dtiot:devGr"]


async def subscriptions(api, device):
    """Those below its received-msg, by name."""
    path = f"/device-communication/{device}/received-msg?rcn=8&ty=23"
    found = (await api.get(path, headers=SHORT)).json()["m2m:cnt"]
    return {one["rn"]: one for one in found.get("m2m:sub", ())}


async def connected(api, *devices):
    return {device: len(await subscriptions(api, device)) for device in devices}


@pytest.fixture
async def world(api):
    for name in ("dev1", "dev2", "dev3"):
        await api.add_device(name)
    return api


@pytest.fixture
async def apps(world):
    """Their ids."""
    return {name: await add_application(world, name) for name in ("app1", "app2")}


async def test_a_group_answers_as_it_was_stored(world, apps):
    made = await add_group(world, nds=["dev1"], aes=["app1"], lbl=["d2c:1.0", "description:mine"])
    assert made.keys() == {"cnd", "nds", "aes", "lbl", "cr", "tsn", "st", "rn", "ty", "ri", "pi", "ct", "lt"}
    assert (made["ty"], made["tsn"], made["st"], made["cr"]) == (28, "dtiot:devGr", 0, "CTestApp")
    read = await world.get(f"{GROUPS}/group", headers=SHORT)
    assert read.json() == {"dtiot:devGr": made}
    listed = (await world.get(f"{GROUPS}?rcn=4", headers=SHORT)).json()["m2m:ae"]
    assert listed["dtiot:devGr"] == [made]
    by_id = f"/device-management-orchestrator/v3/~/main/{made['ri']}"
    assert (await world.get("", base=by_id, headers=SHORT)).json() == {"dtiot:devGr": made}
    long = (await world.get(f"{GROUPS}/group")).json()["flexContainer"]
    assert (long["resourceName"], long["containerDefinition"], long["nds"]) == ("group", CND, ["dev1"])


async def test_each_pair_is_a_subscription(world, apps):
    group = await add_group(world, nds=["dev1", "dev2"], aes=["app1", "app2"])
    for device in ("dev1", "dev2"):
        found = await subscriptions(world, device)
        assert found.keys() == {f"{group['ri']}-{ri}" for ri in apps.values()}
    one = found[f"{group['ri']}-{apps['app1']}"]
    assert (one["nct"], one["enc"], one["nu"], one["su"]) == (
        1,
        {"net": [1, 2, 3, 4]},
        ["main/app1"],
        "main/app1",
    )
    assert (one["cr"], one["ty"]) == ("CDevice-Provisioning", 23)
    assert await connected(world, "dev3") == {"dev3": 0}


async def test_members_by_id(world, apps):
    node = (await world.get("/dev1", headers=SHORT)).json()["m2m:nod"]["ri"]
    made = await add_group(world, nds=[node], aes=[apps["app1"]])
    assert (made["nds"], made["aes"]) == ([node], [apps["app1"]])
    assert await connected(world, "dev1", "dev2") == {"dev1": 1, "dev2": 0}


async def test_who_leaves_is_disconnected(world, apps):
    await add_group(world, nds=["dev1", "dev2"], aes=["app1", "app2"])
    assert (await update(world, nds=["dev2", "dev3"]))["st"] == 1
    assert await connected(world, "dev1", "dev2", "dev3") == {"dev1": 0, "dev2": 2, "dev3": 2}
    changed = await update(world, aes=["app2"], lbl=["a:b"])
    assert (changed["st"], changed["nds"], changed["aes"], changed["lbl"]) == (
        2,
        ["dev2", "dev3"],
        ["app2"],
        ["a:b"],
    )
    assert await connected(world, "dev2", "dev3") == {"dev2": 1, "dev3": 1}
    assert (await update(world, nds=None))["nds"] == []
    assert await connected(world, "dev2", "dev3") == {"dev2": 0, "dev3": 0}


async def test_a_deleted_group_leaves_nothing_and_its_name_is_free(world, apps):
    await add_group(world, nds=["dev1"], aes=["app1"])
    await add_group(world, "other", nds=["dev1"], aes=["app1"])
    assert await connected(world, "dev1") == {"dev1": 2}
    assert (await world.delete(f"{GROUPS}/group")).status_code == 200
    assert await connected(world, "dev1") == {"dev1": 1}
    await add_group(world, nds=["dev2"], aes=["app1"])
    assert await connected(world, "dev1", "dev2") == {"dev1": 1, "dev2": 1}


async def test_a_device_that_comes_back_is_connected_again(world, apps):
    await add_group(world, nds=["dev1", "dev2"], aes=["app1"])
    await world.delete("/dev1")
    assert (await world.get(f"{GROUPS}/group")).json()["flexContainer"]["nds"] == ["dev1", "dev2"]
    # A member that is gone is no obstacle to changes.
    await update(world, nds=["dev1", "dev2", "dev3"])
    assert await connected(world, "dev2", "dev3") == {"dev2": 1, "dev3": 1}
    await world.add_device("dev1")
    await eventually(lambda: connected(world, "dev1"), {"dev1": 1})


async def test_an_application_that_goes_and_comes_back(world, apps):
    await add_group(world, nds=["dev1", "dev2"], aes=["app1", "app2"])
    assert (await world.delete("/app1")).status_code == 200
    assert await connected(world, "dev1", "dev2") == {"dev1": 1, "dev2": 1}
    await add_application(world, "app1")
    await eventually(lambda: connected(world, "dev1", "dev2"), {"dev1": 2, "dev2": 2})


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({"nds": ["dev1", "nowhere"]}, "nds: there is no device 'nowhere'"),
        ({"nds": ["app1"]}, "there is no device 'app1'"),
        ({"aes": ["dev1"]}, "aes: there is no application 'dev1'"),
        ({"aes": ["device-group"]}, "there is no application"),
        ({"nds": [f"x{n}" for n in range(9)]}, "and 6 more"),
        ({"nds": "dev1"}, "must be a list of strings"),
        ({"cnd": "other"}, CND),
        ({"tsn": "x"}, "not the client's to set"),
        ({"colour": "red"}, "colour"),
        ({"rn": "a/b"}, "no resource name"),
    ],
)
async def test_groups_that_are_none(world, apps, attributes, why):
    answer = await world.post(GROUPS, 28, body(**{"cnd": CND, "rn": "group", **attributes}))
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (400, "4000"), answer.text
    assert why in answer.json()["m2m:dbg"]


async def test_names_and_places(world, apps):
    await add_group(world)
    again = await world.post(GROUPS, 28, body(cnd=CND, rn="group"))
    assert (again.status_code, again.headers["x-m2m-rsc"]) == (409, "4105")
    for place in ("", "/app1", "/device-provisioning/request"):
        elsewhere = await world.post(place, 28, body(cnd=CND, rn="elsewhere"))
        assert (elsewhere.status_code, elsewhere.headers["x-m2m-rsc"]) == (403, "4108")
    assert (await world.put(f"{GROUPS}/group", body(cnd=CND))).status_code == 400


async def test_after_a_restart_what_was_begun_is_finished(start, settings):
    before = await start(settings)
    names = [f"dev{n}" for n in range(120)]
    for name in names:
        await before.add_device(name)
    await add_application(before)
    group = await add_group(before, nds=names)
    # As if the server had ended in the middle of it: the wish is stored, and little of what it leads to.
    id = ResourceIds(before.ledger.installation).parse(group["ri"])[0]
    stored = before.ledger.reader.resource(id)
    before.ledger.run(lambda write: write.change(id, {**stored.attributes, "aes": ["app"]}, id))
    await before.platform.close()
    before.ledger.close()
    after = await start(settings)
    await eventually(lambda: count_routes(after, id), 120)
    assert await connected(after, "dev0", "dev119") == {"dev0": 1, "dev119": 1}
    after.ledger.run(lambda write: write.remove(id))
    await after.platform.close()
    after.ledger.close()
    last = await start(settings)
    await eventually(lambda: count_routes(last, id), 0)
    assert await connected(last, "dev0", "dev119") == {"dev0": 0, "dev119": 0}


async def test_onboarding_into_groups(world, apps):
    by_id = (await add_group(world, "one", aes=["app1"]))["ri"]
    await add_group(world, "two", aes=["app2"], nds=["dev1"])
    items = [
        {"ni": "urn:dev:a", "noRNe": "a", "nodeDeviceGroups": ["two"]},
        {"ni": "urn:dev:b", "noRNe": "b", "nDGr": [by_id, "two"]},
        {"ni": "urn:dev:c", "noRNe": "c"},
    ]
    request = {"dtiot:noPRt": {"opern": 1, "reqLt": items}}
    assert (await world.post("/device-provisioning/request", 28, request)).status_code == 201
    await eventually(lambda: connected(world, "dev1", "b"), {"dev1": 1, "b": 2})
    assert await connected(world, "a", "c") == {"a": 1, "c": 0}
    assert (await world.get(f"{GROUPS}/two")).json()["flexContainer"]["nds"] == ["dev1", "a", "b"]
    assert (await world.get(f"{GROUPS}/one")).json()["flexContainer"]["nds"] == ["b"]


async def count_routes(api, group):
    return len(api.ledger.reader.routes(group, limit=1000))


async def eventually(look, wanted):
    end = time.monotonic() + 20
    found = None
    while time.monotonic() < end:
        with suppress(KeyError):  # not there yet
            found = await look()
        if found == wanted:
            return
        await asyncio.sleep(0.01)
    assert found == wanted
