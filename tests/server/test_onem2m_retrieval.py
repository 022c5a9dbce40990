"""RETRIEVE: result content, filters, paging, depth."""

import pytest

from lwm2m_server.onem2m import retrieval

CIN = {"m2m:cin": {"con": "x"}}


@pytest.fixture
async def fleet(api):
    for number in range(5):
        labels = [f"room:{number % 2}", "kind:a b"]
        await api.add_device(f"dev{number}", lbl=labels)
    await api.post("", 2, {"m2m:ae": {"rn": "app", "api": "Nx"}}, headers={"X-M2M-Origin": "CApp"})
    return api


async def names(api, path, key="node"):
    (body,) = (await api.get(path)).json().values()
    return [one["resourceName"] for one in body.get(key, ())]


async def test_rcn_0_and_1(fleet):
    answer = await fleet.get("/dev0?rcn=0")
    assert (answer.status_code, answer.content, answer.headers["x-m2m-rsc"]) == (200, b"", "2000")
    assert "content-type" not in answer.headers
    assert (await fleet.get("/dev0?rcn=1")).json() == (await fleet.get("/dev0")).json()


async def test_the_cse_base(fleet):
    base = (await fleet.get("")).json()["CSEBase"]
    assert (base["resourceName"], base["resourceID"], base["parentID"]) == ("main", "main", "")
    assert base["CSE-ID"] == "/main"
    assert (await fleet.get("", headers={"fullName": "false"})).json()["m2m:cb"]["srv"] == ["2a", "3", "4"]


async def test_rcn_4_has_attributes_and_children_and_rcn_8_children_only(fleet):
    both = (await fleet.get("?rcn=4")).json()["CSEBase"]
    assert both["resourceName"] == "main"
    children = (await fleet.get("?rcn=8")).json()["CSEBase"]
    assert children.keys() == {"AE", "node", "container"}
    assert {key: both[key] for key in children} == children
    assert [node["resourceName"] for node in children["node"]] == [f"dev{number}" for number in range(5)]
    assert (await fleet.get("/dev0?rcn=8&ty=4")).json() == {"node": {}}


async def test_short_names_group_by_short_keys(fleet):
    answer = (await fleet.get("/dev0?rcn=8", headers={"fullName": "false"})).json()
    assert answer.keys() == {"m2m:nod"}
    assert answer["m2m:nod"].keys() == {"m2m:crds", "m2m:dvi"}


async def test_rcn_5_and_6_are_references(fleet):
    nodes = (await fleet.get("/dev0?rcn=8")).json()["node"]
    listed = (await fleet.get("/dev0?rcn=5", headers={"fullName": "false"})).json()["m2m:nod"]
    assert listed["rn"] == "dev0"
    assert listed["ch"] == [
        {"nm": "credentials", "typ": 13, "val": "/main/main/dev0/credentials", "spid": 1029},
        {"nm": "device-info", "typ": 13, "val": "/main/main/dev0/device-info", "spid": 1007},
    ]
    references = (await fleet.get("/dev0?rcn=6&drt=2")).json()
    assert [one["value"] for one in references["resourceRefList"]["resourceRef"]] == [
        f"/main/{nodes['credentials'][0]['resourceID']}",
        f"/main/{nodes['deviceInfo'][0]['resourceID']}",
    ]
    short = (await fleet.get("/device-communication/dev0?rcn=6", headers={"fullName": "false"})).json()
    values = [one["val"] for one in short["m2m:rrl"]["rrf"]]
    assert "/main/main/device-communication/dev0/logs" in values


async def test_references_lead_somewhere(fleet):
    body = (await fleet.get("?rcn=6", headers={"fullName": "false"})).json()
    for reference in body["m2m:rrl"]["rrf"]:
        answer = await fleet.get(f"/~{reference['val']}", base="")
        (found,) = answer.json().values()
        assert found["resourceName"] == reference["nm"]


async def test_types_are_filtered(fleet):
    for path in ("?rcn=8&ty=14+2", "?rcn=8&ty=14&ty=2"):
        assert (await fleet.get(path)).json()["CSEBase"].keys() == {"node", "AE"}
    assert (await fleet.get("?rcn=4&ty=2")).json()["CSEBase"]["AE"][0]["resourceName"] == "app"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("lbl=room:1", ["dev1", "dev3"]),
        ("lbl=room:1+room:0", ["dev0", "dev1", "dev2", "dev3", "dev4"]),
        ("lbl=kind:a+b", ["dev0", "dev1", "dev2", "dev3", "dev4"]),
        ("lbl=room:1&rn=dev3", ["dev3"]),
        ("resourceName=dev2", ["dev2"]),
        ("rn=dev2&rn=dev4", ["dev2", "dev4"]),
        ("ni=nothing", []),
        ("lbl=room:0&limit=1&offset=1", ["dev2"]),
    ],
)
async def test_filters(fleet, query, found):
    assert await names(fleet, f"?rcn=8&ty=14&{query}") == found


@pytest.mark.parametrize(
    ("query", "found", "next"),
    [
        ("limit=2", ["dev0", "dev1"], "3"),
        ("limit=2&offset=2", ["dev2", "dev3"], "5"),
        ("lim=2&ofst=3", ["dev2", "dev3"], "5"),
        ("limit=2&offset=4", ["dev4"], None),
        ("limit=5", ["dev0", "dev1", "dev2", "dev3", "dev4"], None),
        ("limit=2&offset=9", [], None),
        ("limit=1000000000", ["dev0", "dev1", "dev2", "dev3", "dev4"], None),
    ],
)
async def test_paging(fleet, query, found, next):
    answer = await fleet.get(f"?rcn=4&ty=14&{query}")
    assert [node["resourceName"] for node in answer.json()["CSEBase"].get("node", ())] == found
    assert answer.headers.get("x-m2m-cto") == next
    assert answer.headers.get("x-m2m-cts") == ("1" if next else None)


async def test_pages_of_everything_are_everything_once(fleet):
    box = "/device-communication/dev0/received-msg"
    for _ in range(7):
        await fleet.post(box, 4, CIN)
    for path, total in (("", 9), ("/device-communication", 5), ("/device-communication/dev0", 5), (box, 7)):
        seen = []
        for offset in range(0, 11, 2):
            body = (await fleet.get(f"{path}?rcn=6&drt=2&limit=2&offset={offset}")).json()
            seen += [one["value"] for one in body["resourceRefList"]["resourceRef"]]
        assert len(seen) == len(set(seen)) == total


async def test_more_than_a_page_is_read(fleet):
    box = "/device-communication/dev0/received-msg"
    for number in range(60):
        await fleet.post(box, 4, {"m2m:cin": {"con": str(number)}})
    body = (await fleet.get(f"{box}?rcn=8")).json()["container"]["contentInstance"]
    assert [one["content"] for one in body] == [str(number) for number in range(60)]


async def test_the_level_is_how_deep_it_goes(fleet):
    flat = (await fleet.get("/device-communication?rcn=8")).json()["container"]["container"]
    assert all("container" not in folder for folder in flat)
    deep = (await fleet.get("/device-communication?rcn=8&lvl=2")).json()["container"]["container"]
    assert [len(folder["container"]) for folder in deep] == [5] * 5


@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        ("rcn=x", 400, "rcn"),
        ("rcn=13", 400, "rcn"),
        ("rcn=9", 400, "rcn"),
        ("rcn=10", 501, "rcn"),
        ("rcn=2", 400, "rcn"),
        ("rcn=11", 400, "fu=1"),
        ("fu=1&rcn=4", 400, "fu=1"),
        ("fu=1&rcn=1", 400, "fu=1"),
        ("fu=5", 400, "fu"),
        ("fu=3", 501, "fu"),
        ("fo=4", 400, "fo"),
        ("rcn=4&atrl=rn", 400, "atrl"),
        ("atrl=frob", 400, "frob"),
        ("crb=yesterday", 400, "crb"),
        ("stb=x", 400, "stb"),
        ("arp=la", 501, "arp"),
        ("frob=1", 400, "frob"),
        ("ofst=0", 400, "ofst"),
        ("limit=-1", 400, "limit"),
        ("drt=3", 400, "drt"),
        ("ty=", 400, "ty"),
    ],
)
async def test_arguments_that_are_wrong(api, query, status, word):
    answer = await api.get(f"?{query}")
    assert answer.status_code == status
    assert word in answer.json()["m2m:dbg"]


async def test_an_answer_has_an_end(fleet, monkeypatch):
    monkeypatch.setattr(retrieval, "MAX_TOTAL", 20)
    assert (await fleet.get("/device-communication?rcn=8&lvl=2&limit=3")).status_code == 200
    answer = await fleet.get("/device-communication?rcn=8&lvl=2")
    assert (answer.status_code, "lvl" in answer.json()["m2m:dbg"]) == (400, True)
