"""Discovery, the conditions of filterCriteria, and the rarer result contents."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_server.onem2m import discovery
from lwm2m_server.onem2m.conditions import Conditions, Operation

SHORT = {"fullName": "false"}
IN = "device-communication/dev1/received-msg"
BOX = f"/{IN}"


@pytest.fixture
async def fleet(api):
    for number in range(4):
        await api.add_device(f"dev{number}", lbl=[f"room:{number % 2}"])
    await api.post(
        "", 2, {"m2m:ae": {"rn": "app", "api": "Nx", "lbl": ["room:1"]}}, headers={"X-M2M-Origin": "CApp"}
    )
    for size in range(1, 4):
        content = {"con": "x" * size, "cnf": f"text/plain:{size % 2}", "rn": f"m{size}"}
        await api.post(BOX, 4, {"m2m:cin": content})
    return api


async def found(api, query, path=""):
    answer = await api.get(f"{path}?fu=1&{query}", headers=SHORT)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["m2m:uril"]
    return answer.json()["m2m:uril"]


async def test_all_generations_below_the_target_and_not_the_target(fleet):
    below = await found(fleet, "", "/dev0")
    assert below == ["main/dev0/credentials", "main/dev0/device-info"]
    everything = await found(fleet, "")
    # An application, five of the platform, and of each device a node with two children, a folder with five.
    assert len(everything) == len(set(everything)) == 1 + 5 + 4 * (3 + 6) + 3
    assert "main/device-communication/dev1/received-msg/m2" in everything
    assert everything.index("main/dev1") < everything.index("main/dev1/credentials")


async def test_each_address_leads_to_what_was_found(fleet):
    for name in await found(fleet, ""):
        (body,) = (await fleet.get(f"/{name.partition('/')[2]}", headers=SHORT)).json().values()
        assert body["rn"] == name.rpartition("/")[2]
    ids = await found(fleet, "drt=2&ty=13")
    assert [len(one) for one in ids] == [24] * 8
    for ri in ids:
        assert (await fleet.get(f"/~/main/{ri}", base="")).status_code == 200


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("ty=14", ["dev0", "dev1", "dev2", "dev3"]),
        ("ty=14&lbl=room:1", ["dev1", "dev3"]),
        ("lbl=room:1", ["app", "dev1", "dev3"]),
        ("ty=2", ["app", "device-group", "device-provisioning"]),
        ("ty=13&mgd=1007&lvl=1", []),
        ("rn=device-i*&dlb=dev2", ["dev2/device-info"]),
        ("ty=14&rn=d*v*3&rn=dev1", ["dev1", "dev3"]),
        (
            "ty=4&sza=2",
            [f"{IN}/m2", f"{IN}/m3"],
        ),
        ("ty=4&szb=2", [f"{IN}/m1"]),
        ("ty=4&stb=1&sts=3", [f"{IN}/m2"]),
        ("cty=text/plain:0", [f"{IN}/m2"]),
        (
            "fo=2&ty=2&cty=text/plain:0&lbl=room:0",
            ["app", f"{IN}/m2", "dev0", "dev2", "device-group", "device-provisioning"],
        ),
        ("fo=3&ty=14&lbl=room:1", ["app", "dev0", "dev2"]),
        ("crb=20200101T000000", []),
        ("cra=29990101T000000", []),
        ("ty=14&ms=20200101T000000&us=29990101T000000", ["dev0", "dev1", "dev2", "dev3"]),
        ("exa=20200101T000000", []),
        ("ty=4", [f"{IN}/m{n}" for n in (1, 2, 3)]),
    ],
)
async def test_conditions(fleet, query, names):
    assert sorted(await found(fleet, query)) == sorted(f"main/{name}" for name in names)


async def test_creation_and_expiry_compare_with_six_digits(fleet):
    answer = await fleet.post(BOX, 4, {"m2m:cin": {"con": "x", "et": "29990101T000000"}}, headers=SHORT)
    message = answer.json()["m2m:cin"]
    assert await found(fleet, f"ty=4&cra={message['ct']}") == []
    whole = message["ct"].partition(",")[0]
    assert f"main{BOX}/{message['rn']}" in await found(fleet, f"ty=4&cra={whole}")
    assert await found(fleet, "exb=29990101T000000,000001") == [f"main{BOX}/{message['rn']}"]
    assert await found(fleet, "exb=29990101T000000") == []


async def test_pages(fleet):
    everything, seen, offset = await found(fleet, ""), [], 1
    while True:
        answer = await fleet.get(f"?fu=1&lim=4&ofst={offset}", headers=SHORT)
        seen += answer.json()["m2m:uril"]
        if "x-m2m-cto" not in answer.headers:
            break
        offset = int(answer.headers["x-m2m-cto"])
    assert seen == everything


async def test_references_and_long_names(fleet):
    answer = (await fleet.get("?fu=1&rcn=6&ty=13&mgd=1029", headers=SHORT)).json()
    assert answer["m2m:rrl"]["rrf"][0] == {
        "nm": "credentials",
        "typ": 13,
        "val": "/main/main/dev0/credentials",
        "spid": 1029,
    }
    assert (await fleet.get("/dev0?fu=1")).json() == {
        "URIList": ["main/dev0/credentials", "main/dev0/device-info"]
    }


async def test_a_search_has_an_end(fleet, monkeypatch):
    monkeypatch.setattr(discovery, "MAX_INSPECTED", 10)
    answer = await fleet.get("?fu=1")
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (400, "4137")
    assert len(await found(fleet, "ty=14")) == 4


async def test_others_are_served_meanwhile(fleet):
    """The search runs on a thread: a request made after it is answered before it."""
    order = []

    async def search():
        await found(fleet, "lbl=nothing")
        order.append("search")

    async def read():
        await fleet.get("/dev0")
        order.append("read")

    await asyncio.gather(search(), read())
    assert order == ["read", "search"]


async def test_some_attributes_only(fleet):
    body = (await fleet.get("/dev1?atrl=rn+labels&atrl=ty", headers=SHORT)).json()["m2m:nod"]
    assert body == {"rn": "dev1", "lbl": ["room:1"], "ty": 14}


async def test_what_a_creation_answers(fleet):
    body = {"m2m:cin": {"con": "x", "rn": "new"}}
    answer = await fleet.post(f"{BOX}?rcn=2", 4, body, headers=SHORT)
    assert answer.json() == {"m2m:uri": f"main{BOX}/new"}
    body["m2m:cin"]["rn"] = "newer"
    both = (await fleet.post(f"{BOX}?rcn=3", 4, body, headers=SHORT)).json()["m2m:rce"]
    assert (both["uri"], both["m2m:cin"]["con"]) == (f"main{BOX}/newer", "x")
    assert (await fleet.put("/dev0?rcn=2", {"m2m:nod": {"lbl": []}})).status_code == 400


async def test_a_deletion_may_show_what_it_deletes(fleet):
    body = (await fleet.delete("/dev2?rcn=8", headers=SHORT)).json()
    assert body["m2m:nod"].keys() == {"m2m:crds", "m2m:dvi"}
    assert (await fleet.get("/dev2")).status_code == 404
    assert (await fleet.delete("/dev3?fu=1")).status_code == 400


@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_operations_of_conditions(met):
    tests = tuple((lambda is_met: lambda _: is_met)(one) for one in met)
    assert Conditions(tests, Operation.AND).accept({}) == all(met)
    assert Conditions(tests, Operation.OR).accept({}) == any(met)
    assert Conditions(tests, Operation.XOR).accept({}) == (sum(met) % 2 == 1)
