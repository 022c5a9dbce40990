"""Access control policies: who may do what to resources that name some, and what others see of them."""

SHORT = {"fullName": "false"}
ALL = 63


async def refused(answer, status, rsc, *words):
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (status, str(rsc)), answer.text
    for word in words:
        assert word in answer.json()["m2m:dbg"]


async def call(api, method, path, ty=None, body=None, origin="CAdmin"):
    return await api.call(method, path, ty, body, headers={**SHORT, "X-M2M-Origin": origin})


async def made(api, path, ty, body, origin="CAdmin"):
    answer = await call(api, "POST", path, ty, body, origin)
    assert answer.status_code == 201, answer.text
    return next(iter(answer.json().values()))


def rules(*pairs):
    return {"acr": [{"acor": list(originators), "acop": operations} for originators, operations in pairs]}


async def policy(api, name, *pairs, path=""):
    body = {"rn": name, "pv": rules(*pairs), "pvs": rules((["CAdmin", "COwner"], ALL))}
    return await made(api, path, 1, {"m2m:acp": body})


async def test_a_policy_says_who_may_do_what(api):
    await policy(api, "acp", (["CReader", "CR*x"], 2), (["CWriter"], 1 | 4 | 8))
    await made(api, "", 3, {"m2m:cnt": {"rn": "box", "acpi": ["main/acp"]}})
    for origin, allowed in {
        "CReader": "GET",
        "CRabx": "GET",
        "CWriter": "POST PUT DELETE",
        "CRab": "",
    }.items():
        answers = {
            "GET": await call(api, "GET", "/box", origin=origin),
            "POST": await call(api, "POST", "/box", 4, {"m2m:cin": {"con": "x"}}, origin),
            "PUT": await call(api, "PUT", "/box", None, {"m2m:cnt": {"lbl": [origin]}}, origin),
            "DELETE": await call(api, "DELETE", "/box/la", origin=origin) if "DELETE" in allowed else None,
        }
        for method, answer in answers.items():
            if method in allowed.split():
                assert answer.status_code in (200, 201), (origin, method, answer.text)
            elif answer is not None:
                await refused(answer, 403, 4103, "box", origin)
    # Nobody locks out the administrator; without policies all is as before.
    assert (await call(api, "GET", "/box")).status_code == 200
    await made(api, "", 3, {"m2m:cnt": {"rn": "open"}}, "CRab")
    assert (await call(api, "DELETE", "/open", origin="CReader")).status_code == 200


async def test_what_lies_below_is_governed_by_the_nearest_above(api):
    await policy(api, "closed", (["CFriend"], ALL))
    await policy(api, "open", (["all"], 2))
    await made(api, "", 3, {"m2m:cnt": {"rn": "outer", "acpi": ["main/closed"]}})
    inner = await made(api, "/outer", 3, {"m2m:cnt": {"rn": "inner"}})
    await made(api, "/outer/inner", 4, {"m2m:cin": {"con": "x"}})
    await made(api, "/outer", 3, {"m2m:cnt": {"rn": "shown", "acpi": ["-/open"]}})
    for path in ("/outer", "/outer/inner", "/outer/inner/la", f"/../~/main/{inner['ri']}/ol"):
        await refused(await call(api, "GET", path, origin="CStranger"), 403, 4103)
        assert (await call(api, "GET", path, origin="CFriend")).status_code == 200
    assert (await call(api, "GET", "/outer/shown", origin="CStranger")).status_code == 200
    await refused(await call(api, "DELETE", "/outer/shown", origin="CStranger"), 403, 4103)
    await refused(await call(api, "DELETE", "/outer/shown", origin="CFriend"), 403, 4103)


async def test_what_one_may_not_see_is_in_no_listing_and_no_discovery(api):
    await policy(api, "acp", (["CFriend"], 2 | 32))
    await made(api, "", 3, {"m2m:cnt": {"rn": "secret", "acpi": ["main/acp"]}})
    await made(api, "/secret", 3, {"m2m:cnt": {"rn": "below"}})
    await made(api, "", 3, {"m2m:cnt": {"rn": "plain"}})
    for query in ("?rcn=4&ty=3&lvl=3", "?rcn=5&ty=3", "?rcn=6&ty=3", "?rcn=8&ty=3", "?fu=1&ty=3"):
        friends = (await call(api, "GET", query, origin="CFriend")).text
        others = (await call(api, "GET", query, origin="CStranger")).text
        assert "plain" in others
        assert "secret" in friends
        assert "secret" not in others
        assert "below" not in others
    assert "acp" not in (await call(api, "GET", "?rcn=6&ty=1", origin="CStranger")).json()["m2m:rrl"]["rrf"]
    await policy(api, "readers", (["all"], 2))
    await made(api, "", 3, {"m2m:cnt": {"rn": "unlisted", "acpi": ["main/readers"]}})
    assert "unlisted" not in (await call(api, "GET", "?fu=1&ty=3", origin="CStranger")).text
    assert "unlisted" in (await call(api, "GET", "?rcn=4&ty=3", origin="CStranger")).text


async def test_a_policy_is_governed_by_its_own_privileges(api):
    acp = await policy(api, "acp", (["all"], ALL))
    assert acp["pv"] == rules((["all"], ALL))
    await refused(await call(api, "GET", "/acp", origin="CStranger"), 403, 4103)
    body = {
        "accessControlPolicy": {
            "privileges": {
                "accessControlRules": [{"accessControlOriginators": ["CX"], "accessControlOperations": 2}]
            }
        }
    }
    await refused(await call(api, "PUT", "/acp", None, body, "CStranger"), 403, 4103)
    answer = await call(api, "PUT", "/acp", None, body, "COwner")
    assert answer.json()["m2m:acp"]["pv"] == rules((["CX"], 2))
    assert (await call(api, "DELETE", "/acp", origin="COwner")).status_code == 200


async def test_who_may_link_policies(api):
    await policy(api, "one", (["CFriend"], ALL))
    await policy(api, "two", (["CFriend"], 2))
    await made(api, "", 3, {"m2m:cnt": {"rn": "box", "acpi": ["main/one"]}})
    link = {"m2m:cnt": {"acpi": ["main/two"]}}
    # All privileges but those of the policy itself.
    await refused(await call(api, "PUT", "/box", None, link, "CFriend"), 403, 4103)
    assert (await call(api, "PUT", "/box", None, link, "COwner")).json()["m2m:cnt"]["acpi"] == ["main/two"]
    await refused(await call(api, "PUT", "/box", None, {"m2m:cnt": {"lbl": ["x"]}}, "CFriend"), 403, 4103)
    answer = await call(api, "PUT", "/box", None, {"m2m:cnt": {"acpi": None}}, "COwner")
    assert "acpi" not in answer.json()["m2m:cnt"]
    assert (await call(api, "PUT", "/box", None, link, "CFriend")).status_code == 200
    both = {"m2m:cnt": {"acpi": ["main/one"], "lbl": []}}
    await refused(await call(api, "PUT", "/box", None, both), 400, 4000, "alone")


async def test_policies_that_are_gone_permit_nothing(api):
    await policy(api, "acp", (["all"], ALL))
    await made(api, "", 3, {"m2m:cnt": {"rn": "box", "acpi": ["main/acp"]}})
    assert (await call(api, "GET", "/box", origin="CX")).status_code == 200
    await call(api, "DELETE", "/acp")
    await refused(await call(api, "GET", "/box", origin="CX"), 403, 4103)
    assert (await call(api, "PUT", "/box", None, {"m2m:cnt": {"acpi": None}})).status_code == 200
    assert (await call(api, "GET", "/box", origin="CX")).status_code == 200


async def test_applications_nodes_and_groups_are_governed_too(api):
    await policy(api, "acp", (["CFriend"], ALL))
    await made(api, "", 2, {"m2m:ae": {"rn": "app", "api": "N1", "acpi": ["main/acp"]}}, "Capp")
    await made(api, "/app", 3, {"m2m:cnt": {"rn": "box"}}, "CFriend")
    await made(api, "", 14, {"m2m:nod": {"rn": "dev", "ni": "urn:dev", "acpi": ["main/acp"]}})
    await made(api, "", 9, {"m2m:grp": {"rn": "g", "mnm": 2, "mid": ["main/app"], "acpi": ["main/acp"]}})
    for path in ("/app", "/app/box", "/dev", "/dev/credentials", "/g", "/g/fopt"):
        await refused(await call(api, "GET", path, origin="CStranger"), 403, 4103)
        assert (await call(api, "GET", path, origin="CFriend")).status_code == 200


async def test_who_subscribes_must_be_allowed_to_retrieve(api):
    await policy(api, "acp", (["CWriter", "CBoth"], 1), (["CBoth"], 2))
    await made(api, "", 3, {"m2m:cnt": {"rn": "box", "acpi": ["main/acp"]}})
    for name in ("Writer", "Both"):
        await made(api, "", 2, {"m2m:ae": {"rn": name, "api": "N1", "rr": False}}, f"C{name}")
        await made(api, f"/{name}", 15, {"m2m:pch": {}}, f"C{name}")
    for name, status in (("Writer", 403), ("Both", 201)):
        body = {"m2m:sub": {"nu": [f"main/{name}"]}}
        answer = await call(api, "POST", "/box", 23, body, f"C{name}")
        assert answer.status_code == status, answer.text


async def test_a_fan_out_asks_each_member_for_itself(api):
    await policy(api, "acp", (["CFriend"], ALL))
    await made(api, "", 3, {"m2m:cnt": {"rn": "open"}})
    await made(api, "", 3, {"m2m:cnt": {"rn": "closed", "acpi": ["main/acp"]}})
    await made(api, "", 9, {"m2m:grp": {"rn": "g", "mnm": 2, "mid": ["main/open", "main/closed"]}})
    answer = await call(api, "GET", "/g/fopt", origin="CStranger")
    assert [one["rsc"] for one in answer.json()["m2m:agr"]["m2m:rsp"]] == [2000, 4103]


async def test_what_is_no_policy(api):
    good = rules((["CX"], 2))
    own = {"acor": ["CX"], "acop": 2}
    wrong = [
        {}, {"acr": {}}, {"acr": [3]}, {"acr": [{"acor": ["CX"]}]}, {"acr": [{**own, "acop": 0}]},
        {"acr": [{**own, "acop": 64}]}, {"acr": [{**own, "acop": True}]}, {"acr": [{**own, "acor": []}]},
        {"acr": [{**own, "acor": "CX"}]}, {"acr": [{**own, "acor": [""]}]}, {"acr": [{**own, "more": 1}]},
        {"acr": [{**own, "acor": ["a*b*c*d*e"]}]}, {"acr": [own] * 101}, {"acr": [own], "x": 1}, [], None,
    ]  # fmt: skip
    for privileges in wrong:
        await refused(
            await call(api, "POST", "", 1, {"m2m:acp": {"pv": privileges, "pvs": good}}), 400, 4000, "pv"
        )
    for body in (
        {"pv": good},
        {"pvs": good},
        {"pv": good, "pvs": {"acr": []}},
        {"pv": good, "pvs": good, "acpi": ["x"]},
    ):
        await refused(await call(api, "POST", "", 1, {"m2m:acp": body}), 400, 4000)
    for name in ("acco", "acod", "aca", "acaf", "accessControlContexts"):
        body = {"m2m:acp": {"pv": {"acr": [{**own, name: []}]}, "pvs": good}}
        await refused(await call(api, "POST", "", 1, body), 501, 5001)
    for links in ([], ["main/none"], ["main"], ["main//x"], "main/acp", [3], None):
        await refused(await call(api, "POST", "", 3, {"m2m:cnt": {"acpi": links}}), 400, 4000, "acpi")


async def test_retrieval_of_instances_can_be_disabled(api):
    await made(api, "", 3, {"m2m:cnt": {"rn": "box", "disr": True}})
    instance = await made(api, "/box", 4, {"m2m:cin": {"rn": "one", "con": "x"}})
    for path in ("/box/la", "/box/ol", "/box/one", f"/../~/main/{instance['ri']}"):
        await refused(await call(api, "GET", path), 405, 4005, "disr")
        await refused(await call(api, "DELETE", path), 405, 4005, "disr")
    assert "m2m:cin" not in (await call(api, "GET", "/box?rcn=4")).json()["m2m:cnt"]
    assert "one" not in (await call(api, "GET", "?fu=1&ty=4")).text
    await call(api, "PUT", "/box", None, {"m2m:cnt": {"disr": False}})
    assert (await call(api, "GET", "/box/la")).status_code == 200
