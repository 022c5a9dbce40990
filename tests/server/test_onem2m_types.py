"""Resources of the generic types: what clients make of containers, flexContainers, groups and the rest."""

import json

BASE = "/device-management-orchestrator/v3/main"
SHORT = {"fullName": "false"}
ALL = {
    "m2m:bat": {"btl": 50, "bts": 1},
    "m2m:mem": {"mma": 1, "mmt": 2},
    "m2m:fwr": {"vr": "1", "fwn": "f", "url": "http://x", "ud": False},
    "m2m:swr": {"vr": "1", "swn": "s", "url": "http://x"},
    "m2m:ani": {"ant": "x"},
    "m2m:andi": {"dvd": "1", "dvt": "t", "awi": "a"},
    "m2m:dvc": {"can": "c", "att": True, "cas": {"acn": "ena", "sus": 1}, "cus": True},
    "m2m:rbo": {},
    "m2m:evl": {"lgt": 1, "lgd": "x", "lgst": 1},
    "dcfg:wific": {"ssid": "x", "scan": False},
    "dcfg:sim": {"icid": "89"},
    "dcfg:mnwk": {"cnb": 1},
}


async def refused(answer, status, rsc, *words):
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (status, str(rsc)), answer.text
    assert answer.json().keys() == {"m2m:dbg"}
    for word in words:
        assert word in answer.json()["m2m:dbg"]


async def made(api, path, ty, body, origin="CTestApp", **headers):
    answer = await api.post(path, ty, body, headers={**SHORT, "X-M2M-Origin": origin, **headers})
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (201, "2001"), answer.text
    return next(iter(answer.json().values()))


async def read(api, path):
    answer = await api.get(path, headers=SHORT)
    assert answer.status_code == 200, answer.text
    return next(iter(answer.json().values()))


async def application(api, name="app"):
    return await made(api, "", 2, {"m2m:ae": {"rn": name, "api": "N1"}}, f"C{name}")


# --- containers and contentInstances ---------------------------------------------------------------------


async def test_containers_lie_in_applications_and_in_one_another(api):
    app = await application(api)
    outer = await made(api, "/app", 3, {"m2m:cnt": {"rn": "outer", "mni": 3, "lbl": ["a"], "cr": None}})
    assert outer.items() >= {"pi": app["ri"], "mni": 3, "lbl": ["a"], "cr": "CTestApp"}.items()
    assert (outer["st"], outer["cni"], outer["cbs"], outer["ty"]) == (0, 0, 0, 3)
    inner = await made(api, "/app/outer", 3, {"container": {"resourceName": "inner"}})
    assert inner["pi"] == outer["ri"]
    assert await read(api, f"/../~/main/{inner['ri']}") == inner == await read(api, "/app/outer/inner")
    assert (await read(api, f"/../~/main/{app['ri']}/outer"))["ri"] == outer["ri"]
    unnamed = await made(api, "/app/outer/inner", 3, {"m2m:cnt": {}})
    assert await read(api, f"/app/outer/inner/{unnamed['rn']}") == unnamed


async def test_instances_come_into_any_container_and_the_oldest_leave_it(api):
    await made(api, "", 3, {"m2m:cnt": {"rn": "box", "mni": 2}})
    for number in range(3):
        await made(api, "/box", 4, {"m2m:cin": {"con": f"c{number}", "cnf": "text/plain:0"}})
    box = await read(api, "/box")
    assert (box["cni"], box["cbs"], box["st"]) == (2, 4, 3)
    assert [(await read(api, f"/box/{end}"))["con"] for end in ("ol", "la")] == ["c1", "c2"]
    listed = (await read(api, "/box?rcn=4"))["m2m:cin"]
    assert [(one["con"], one["st"], one["pi"]) for one in listed] == [
        ("c1", 2, box["ri"]),
        ("c2", 3, box["ri"]),
    ]
    assert (await api.delete("/box/la")).headers["x-m2m-rsc"] == "2002"
    assert (await read(api, "/box/la"))["con"] == "c1"
    assert (await api.delete("/box/ol")).status_code == 200
    await refused(await api.get("/box/la"), 404, 4004, "empty")
    assert (await read(api, "/box"))["st"] == 3


async def test_a_container_that_is_changed_counts_and_evicts(api):
    await made(api, "", 3, {"m2m:cnt": {"rn": "box"}})
    for number in range(4):
        await made(api, "/box", 4, {"m2m:cin": {"con": str(number)}})
    answer = await api.put("/box", {"m2m:cnt": {"mni": 1, "lbl": ["x"]}}, headers=SHORT)
    changed = answer.json()["m2m:cnt"]
    assert (changed["mni"], changed["cni"], changed["st"], changed["lbl"]) == (1, 1, 5, ["x"])
    assert (await made(api, "/box", 4, {"m2m:cin": {"con": "4"}}))["st"] == 6
    answer = await api.put("/box", {"m2m:cnt": {"mni": None, "lbl": None}}, headers=SHORT)
    changed = answer.json()["m2m:cnt"]
    assert changed["mni"] > 1
    assert "lbl" not in changed


async def test_what_is_too_large_for_its_container_is_not_acceptable(api):
    await made(api, "", 3, {"m2m:cnt": {"rn": "box", "mbs": 3}})
    await refused(await api.post("/box", 4, {"m2m:cin": {"con": "four"}}), 406, 5207, "4 bytes")
    await made(api, "/box", 4, {"m2m:cin": {"con": "abc"}})


async def test_containers_of_the_platform_are_nobody_elses(api):
    await api.add_device("dev")
    for path in ("/device-communication", "/device-communication/dev", "/device-communication/dev/logs"):
        await refused(await api.post(path, 3, {"m2m:cnt": {"rn": "x"}}), 403, 4108, "platform")
        await refused(await api.put(path, {"m2m:cnt": {"mni": 1}}), 405, 4005, "platform")
        await refused(await api.delete(path), 405, 4005, "platform")
    await refused(await api.post("/device-communication/dev", 4, {"m2m:cin": {"con": "x"}}), 403, 4108)
    await refused(
        await api.post("/device-communication", 28, {"acme:x": {"cnd": "a.b"}}), 403, 4108, "platform"
    )


async def test_an_application_goes_with_all_below_it(api):
    await application(api)
    await made(api, "/app", 3, {"m2m:cnt": {"rn": "box"}})
    inner = await made(api, "/app/box", 3, {"m2m:cnt": {"rn": "inner"}})
    instance = await made(api, "/app/box/inner", 4, {"m2m:cin": {"con": "x"}})
    assert (await api.delete("/app")).headers["x-m2m-rsc"] == "2002"
    for path in ("/app/box", f"/../~/main/{inner['ri']}", f"/../~/main/{instance['ri']}"):
        assert (await api.get(path)).status_code == 404
    await application(api)
    assert "m2m:cnt" not in await read(api, "/app?rcn=4")


async def test_names_directly_below_the_tenant_are_unique_over_both_stores(api):
    await application(api, "one")
    await made(api, "", 3, {"m2m:cnt": {"rn": "two"}})
    await refused(await api.post("", 3, {"m2m:cnt": {"rn": "one"}}), 409, 4105)
    answer = await api.post("", 2, {"m2m:ae": {"rn": "two", "api": "N1"}}, headers={"X-M2M-Origin": "Ctwo"})
    await refused(answer, 409, 4105)
    await refused(await api.post("", 14, {"m2m:nod": {"rn": "two", "ni": "urn:x"}}), 409, 4105)


# --- flexContainers -----------------------------------------------------------------------------------


async def test_a_flex_container_has_what_its_provider_defines(api):
    body = {"acme:valve": {"rn": "v", "cnd": "com.acme.valve", "opening": 3, "act": True, "more": {"a": [1]}}}
    valve = await made(api, "", 28, body)
    own = {"cnd": "com.acme.valve", "opening": 3, "act": True, "more": {"a": [1]}}
    assert valve.items() >= {**own, "st": 0, "ty": 28, "cr": "CTestApp", "pi": "main"}.items()
    assert valve["cs"] == len('{"opening":3,"act":true,"more":{"a":[1]}}')
    answer = await api.put("/v", {"acme:valve": {"opening": 5, "more": None, "new": "x"}}, headers=SHORT)
    changed = answer.json()["acme:valve"]
    assert (changed["opening"], changed["new"], changed["st"]) == (5, "x", 1)
    assert "more" not in changed
    assert changed["cs"] == len('{"opening":5,"act":true,"new":"x"}')
    nested = await made(api, "/v", 28, {"acme:part": {"cnd": "com.acme.part"}})
    assert nested["pi"] == valve["ri"]
    assert (await api.delete("/v")).status_code == 200
    assert (await api.get(f"/{nested['rn']}")).status_code == 404


async def test_long_names_of_a_flex_container_are_those_of_its_type_alone(api):
    body = {
        "acme:valve": {"resourceName": "v", "containerDefinition": "com.acme.valve", "act": True, "con": 1}
    }
    answer = await api.post("", 28, body)
    valve = answer.json()["acme:valve"]
    assert valve.items() >= {"act": True, "con": 1, "containerDefinition": "com.acme.valve"}.items()
    read = (await api.get("/v")).json()
    assert read == {"flexContainer": valve}
    answer = await api.put("/v", {"flexContainer": {"labels": ["x"], "act": False}})
    assert answer.json()["flexContainer"].items() >= {"act": False, "labels": ["x"], "stateTag": 1}.items()
    assert (await api.get("?rcn=4&ty=28")).json()["CSEBase"]["flexContainer"][0]["act"] is False
    found = (await api.get("?rcn=4&ty=28", headers=SHORT)).json()["m2m:cb"]
    assert found["acme:valve"][0]["act"] is False


NO_FLEX_CONTAINERS = [
    ({"acme:valve": {"rn": "v"}}, "cnd (containerDefinition)"),
    ({"acme:valve": {"cnd": 3}}, "cnd (containerDefinition)"),
    ({"acme:valve": {"cnd": "a", "b c": 1}}, "b c"),
    ({"acme:valve": {"cnd": "a", "": 1}}, "no name of an attribute"),
    ({"acme:valve": {"cnd": "a", "x": None}}, "x of"),
    ({"acme:valve": {"cnd": "a", "st": 3}}, "st (stateTag)"),
    ({"acme:valve": {"cnd": "a", "containerDefinition": "b"}}, "twice"),
    ({"m2m:valve": {"cnd": "a"}}, "m2m:valve"),
    ({"valve": {"cnd": "a"}}, "valve"),
    ({"a b:valve": {"cnd": "a"}}, "a b:valve"),
    ({"m2m:cnt": {}}, "ty=28"),
]


async def test_what_is_no_flex_container(api):
    for body, word in NO_FLEX_CONTAINERS:
        await refused(await api.post("", 28, body), 400, 4000, word)


async def test_an_update_does_not_change_what_a_flex_container_is(api):
    await made(api, "", 28, {"acme:valve": {"rn": "v", "cnd": "a"}})
    await refused(await api.put("/v", {"acme:valve": {"cnd": "b"}}), 400, 4000, "cnd")
    await refused(await api.put("/v", {"acme:tap": {"x": 1}}), 400, 4000)


# --- groups and polling channels ------------------------------------------------------------------------


async def test_a_group_has_each_member_once(api):
    await made(api, "", 3, {"m2m:cnt": {"rn": "one"}})
    two = await made(api, "", 3, {"m2m:cnt": {"rn": "two"}})
    forms = ["main/one", "-/one", "/main/main/one", two["ri"], f"/main/{two['ri']}", "//sp/main/-/two"]
    group = await made(api, "", 9, {"m2m:grp": {"rn": "g", "mnm": 5, "mid": forms}})
    assert (group["mid"], group["cnm"], group["mtv"], group["mt"]) == (["main/one", two["ri"]], 2, True, 0)
    answer = await api.put("/g", {"m2m:grp": {"mid": ["main/two"], "gn": "name"}}, headers=SHORT)
    assert answer.json()["m2m:grp"].items() >= {"mid": ["main/two"], "cnm": 1, "gn": "name"}.items()
    await refused(await api.put("/g", {"m2m:grp": {"mnm": 0}}), 400, 6010)


async def test_members_of_another_type_are_left_out_or_refused_or_change_the_group(api):
    await application(api)
    await made(api, "", 3, {"m2m:cnt": {"rn": "box"}})
    body = {"mnm": 5, "mid": ["main/box", "main/app"], "mt": 3}
    assert (await made(api, "", 9, {"m2m:grp": body}))["mid"] == ["main/box"]
    await refused(await api.post("", 9, {"m2m:grp": {**body, "csy": 2}}), 400, 4110, "main/app")
    mixed = await made(api, "", 9, {"m2m:grp": {**body, "csy": 3}})
    assert (mixed["mid"], mixed["mt"]) == (["main/box", "main/app"], 0)


async def test_members_must_be_there_and_not_too_many(api):
    await made(api, "", 3, {"m2m:cnt": {"rn": "box"}})
    group = {"mnm": 1, "mid": ["main/box", "main"]}
    await refused(await api.post("", 9, {"m2m:grp": group}), 400, 6010, "1 members")
    await refused(await api.post("", 9, {"m2m:grp": {"mnm": 1, "mid": ["main/no"]}}), 404, 4004, "no")
    await refused(await api.post("", 9, {"m2m:grp": {"mnm": 1, "mid": ["main//x"]}}), 400, 4000)
    await refused(await api.post("", 9, {"m2m:grp": {**group, "csy": 4}}), 400, 4000, "csy")
    await refused(await api.post("", 9, {"m2m:grp": {"mid": []}}), 400, 4000, "mnm")


async def test_a_polling_channel_is_its_applications_and_one_alone(api):
    app = await application(api)
    body = {"m2m:pch": {"rn": "pch"}}
    await refused(await api.post("/app", 15, body), 403, 4103, "Capp")
    channel = await made(api, "/app", 15, body, "Capp")
    assert (channel["pi"], channel["ty"]) == (app["ri"], 15)
    own = {"X-M2M-Origin": "Capp"}
    await refused(
        await api.post("/app", 15, {"m2m:pch": {}}, headers=own), 409, 4105, "has a polling channel"
    )
    await refused(await api.put("/app/pch", {"m2m:pch": {"lbl": []}}), 405, 4005)
    await refused(await api.post("", 15, body), 403, 4108)
    assert (await api.delete("/app/pch")).status_code == 200
    await made(api, "/app", 15, body, "Capp")


# --- management objects ---------------------------------------------------------------------------------


async def test_clients_make_management_objects_of_all_kinds(api):
    await api.add_device("dev")
    for key, attributes in ALL.items():
        name = key.partition(":")[2]
        created = await made(api, "/dev", 13, {key: {"rn": name, **attributes}})
        assert created.items() >= {**attributes, "rn": name, "ty": 13, "cr": "CTestApp"}.items()
        assert created["mgd"] > 1000
        answer = await api.put(f"/dev/{name}", {key: {"dc": "text"}}, headers=SHORT)
        assert answer.json()[key]["dc"] == "text"
        assert (await api.delete(f"/dev/{name}")).status_code == 200
        assert (await api.get(f"/dev/{name}")).status_code == 404


async def test_several_of_one_kind_have_names_of_their_own(api):
    await api.add_device("dev")
    for name in ("left", "right"):
        await made(api, "/dev", 13, {"m2m:bat": {"rn": name, **ALL["m2m:bat"]}})
    assert [one["rn"] for one in (await read(api, "/dev?rcn=8&mgd=1006"))["m2m:bat"]] == ["left", "right"]
    await refused(await api.post("/dev", 13, {"m2m:bat": {"btl": 1}}), 400, 4000, "bts (batteryStatus)")
    await refused(await api.post("/dev", 13, {"m2m:bat": {**ALL["m2m:bat"], "mgd": 1}}), 400, 4000, "1006")


# --- faults ---------------------------------------------------------------------------------------------

FAULTS = [
    # where, ty, body, status, rsc, word
    ("", 3, {"m2m:cnt": {"rn": "a/b"}}, 400, 4000, "no resource name"),
    ("", 3, {"m2m:cnt": {"rn": "la"}}, 400, 4000, "the platform's own"),
    ("", 3, {"m2m:cnt": {"rn": ""}}, 400, 4000, "no resource name"),
    ("", 3, {"m2m:cnt": {"rn": "x" * 256}}, 400, 4000, "no resource name"),
    ("", 3, {"m2m:cnt": {"rn": "x", "resourceName": "y"}}, 400, 4000, "twice"),
    ("", 3, {"m2m:cnt": {"lbl": ["a\nb"]}}, 400, 4000, "control characters"),
    ("", 3, {"m2m:cnt": {"lbl": ["\u0085"]}}, 400, 4000, "control characters"),
    ("", 3, {"m2m:cnt": {"lbl": "a"}}, 400, 4000, "lbl (labels)"),
    ("", 3, {"m2m:cnt": {"mni": -1}}, 400, 4000, "mni (maxNrOfInstances)"),
    ("", 3, {"m2m:cnt": {"mni": True}}, 400, 4000, "mni (maxNrOfInstances)"),
    ("", 3, {"m2m:cnt": {"mni": 2**63}}, 400, 4000, "mni (maxNrOfInstances)"),
    ("", 3, {"m2m:cnt": {"mbs": "1"}}, 400, 4000, "mbs (maxByteSize)"),
    ("", 3, {"m2m:cnt": {"mbs": None}}, 400, 4000, "mbs (maxByteSize)"),
    ("", 3, {"m2m:cnt": {"con": "x"}}, 400, 4000, "no attribute of container"),
    ("", 3, {"m2m:cnt": {"ri": "x"}}, 400, 4000, "ri (resourceID)"),
    ("", 3, {"m2m:cnt": {"st": 1}}, 400, 4000, "st (stateTag)"),
    ("", 3, {"m2m:cnt": {"cr": "CX"}}, 400, 4000, "cr (creator)"),
    ("", 3, {"m2m:cnt": {"at": ["x"]}}, 501, 5001, "at (announceTo)"),
    ("", 3, {"m2m:cnt": {}, "m2m:cin": {}}, 400, 4000, "one member"),
    ("", 3, {"m2m:cnt": []}, 400, 4000, "object"),
    ("", 3, [], 400, 4000, "one member"),
    ("", 3, {"m2m:cin": {"con": "x"}}, 400, 4000, "ty=3"),
    ("", 4, {"m2m:cin": {"con": "x"}}, 403, 4108, "CSEBase"),
    ("", 13, {"m2m:bat": {}}, 403, 4108, "CSEBase"),
    ("", 5, {"m2m:cb": {}}, 400, 4000, "ty=5"),
    ("", 99, {"m2m:x": {}}, 400, 4000, "ty=99"),
    ("", 29, {"m2m:ts": {}}, 501, 5001, "timeSeries"),
    ("", 16, {"m2m:csr": {}}, 501, 5001, "remoteCSE"),
    ("/box", 2, {"m2m:ae": {"api": "N1"}}, 403, 4108, "container"),
    ("/box", 14, {"m2m:nod": {"ni": "x"}}, 403, 4108, "container"),
    ("/box", 4, {"m2m:cin": {}}, 400, 4000, "con (content)"),
    ("/box", 4, {"m2m:cin": {"con": "x", "acpi": ["y"]}}, 400, 4000, "acpi"),
    ("/box", 4, {"m2m:cin": {"con": "x", "cnf": "text"}}, 400, 4000, "cnf (contentInfo)"),
    ("/box", 4, {"m2m:cin": {"con": {"a": 1}, "cnf": "text/plain:0"}}, 400, 4000, "JSON"),
    ("/box", 4, {"m2m:cin": {"con": "x", "rn": "taken"}}, 409, 4105, "taken"),
    ("/box", 4, {"m2m:cin": {"con": "x", "dcnt": 1}}, 501, 5001, "dcnt (deletionCnt)"),
    ("/box/taken", 4, {"m2m:cin": {"con": "x"}}, 403, 4108, "contentInstance"),
    ("/box/la", 4, {"m2m:cin": {"con": "x"}}, 405, 4005, "la"),
    ("/empty/ol", 3, {"m2m:cnt": {}}, 405, 4005, "ol"),
    ("/no/where", 3, {"m2m:cnt": {}}, 404, 4004, "no"),
    ("", 3, {"m2m:cnt": {"rn": "box"}}, 409, 4105, "taken"),
]


async def test_a_create_that_is_wrong_says_what_is(api):
    await made(api, "", 3, {"m2m:cnt": {"rn": "box"}})
    await made(api, "", 3, {"m2m:cnt": {"rn": "empty"}})
    await made(api, "/box", 4, {"m2m:cin": {"rn": "taken", "con": "x"}})
    for path, ty, body, status, rsc, word in FAULTS:
        await refused(await api.post(path, ty, body), status, rsc, word)


FAULTY_UPDATES = [
    *(("/box", {"m2m:cnt": {name: "x"}}, 400, 4000) for name in ("rn", "ri", "pi", "ct", "lt", "cr")),
    *(("/box", {"m2m:cnt": {name: 1}}, 400, 4000) for name in ("ty", "st", "cni", "cbs")),
    ("/box", {"m2m:cnt": {"resourceName": "x"}}, 400, 4000),
    ("/box", {"m2m:ae": {}}, 400, 4000),
    ("/box", {"m2m:cnt": {"mni": "1"}}, 400, 4000),
    ("/box/la", {"m2m:cin": {"lbl": ["x"]}}, 405, 4005),
    ("/box/none", {"m2m:cin": {"lbl": ["x"]}}, 404, 4004),
    ("/box/taken", {"m2m:cin": {"con": "y"}}, 405, 4005),
    ("", {"m2m:cb": {"lbl": ["x"]}}, 405, 4005),
]


async def test_an_update_that_is_wrong_changes_nothing(api):
    await made(api, "", 3, {"m2m:cnt": {"rn": "box"}})
    await made(api, "/box", 4, {"m2m:cin": {"rn": "taken", "con": "x"}})
    before = await read(api, "?rcn=4&lvl=3")
    for path, body, status, rsc in FAULTY_UPDATES:
        await refused(await api.put(path, body), status, rsc)
    assert await read(api, "?rcn=4&lvl=3") == before


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return {"acme:x": {"cnd": "a", "value": value}}


async def test_bodies_that_are_too_large_too_deep_or_no_json_are_refused(api):
    async def post(content):
        headers = {"Content-Type": "application/json;ty=28", "X-M2M-Origin": "CTestApp"}
        return await api.client.post(BASE, headers=headers, content=content)

    assert (await api.post("", 28, nested(30))).status_code == 201
    await refused(await api.post("", 28, nested(31)), 400, 4000, "levels")
    await refused(await post("[" * 50_000 + "]" * 50_000), 400, 4000)
    large = json.dumps({"acme:x": {"cnd": "a", "value": "x" * 2_000_000}})
    await refused(await post(large), 400, 4000, "larger")
    for text in ("", "{", '{"acme:x": {"cnd": "\\ud800"}}', '{"acme:x": {"cnd": NaN}}', "\x00", "null", "3"):
        await refused(await post(text), 400, 4000)


async def test_the_tenant_itself_cannot_be_deleted(api):
    await refused(await api.delete(""), 405, 4005)
