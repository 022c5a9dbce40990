"""AEs: registration with one's own origin, defaults, update, removal."""

import pytest

ORIGIN = {"X-M2M-Origin": "CTestApp", "fullName": "false"}


async def create(api, body, origin="CTestApp"):
    return await api.post("", 2, {"m2m:ae": body}, headers={"X-M2M-Origin": origin, "fullName": "false"})


async def test_the_documents_application(api):
    body = {"rn": "TestApp", "api": "NTestApp", "lbl": ["type:d2c"], "poa": ["http://x/y"], "poah": ["a:b"]}
    answer = await create(api, body)
    assert answer.status_code == 201
    made = answer.json()["m2m:ae"]
    assert made.keys() == body.keys() | {"aei", "rr", "srv", "ty", "ri", "pi", "ct", "lt"}
    assert {name: made[name] for name in body} == body
    assert (made["ty"], made["aei"], made["pi"], made["rr"], made["srv"]) == (
        2,
        "CTestApp",
        "main",
        True,
        ["4"],
    )
    assert (await api.get("/TestApp", headers={"fullName": "false"})).json() == {"m2m:ae": made}


async def test_an_application_without_a_name_or_origin_gets_them(api):
    made = (await create(api, {"api": "Nx"}, origin="C")).json()["m2m:ae"]
    assert made["aei"].startswith("C")
    assert len(made["aei"]) > 5
    assert made["rn"] == made["aei"][1:]
    assert (await create(api, {"api": "Nx"}, origin="CNamed")).json()["m2m:ae"]["rn"] == "Named"


async def test_an_origin_registers_once(api):
    assert (await create(api, {"rn": "a", "api": "Nx"})).status_code == 201
    answer = await create(api, {"rn": "b", "api": "Nx"})
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (403, "4117")
    for platform in ("CAdmin", "CDevice-Provisioning"):
        assert (await create(api, {"rn": "b", "api": "Nx"}, platform)).headers["x-m2m-rsc"] == "4117"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"rn": "x"}, "api (App-ID)"),
        ({"rn": "x", "api": "test"}, "App-ID"),
        ({"rn": "x", "api": "N"}, "App-ID"),
        ({"rn": "x", "api": "Nx", "aei": "CMe"}, "aei (AE-ID)"),
        ({"rn": "x", "api": "Nx", "poa": "http://x"}, "poa (pointOfAccess)"),
        ({"rn": "x", "api": "Nx", "ri": "1"}, "ri (resourceID)"),
        ({"rn": "device-group", "api": "Nx"}, "device-group"),
    ],
)
async def test_what_is_wrong_with_an_application(api, body, word):
    answer = await create(api, body)
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (400, "4000")
    assert word in answer.json()["m2m:dbg"]
    assert api.inventory.applications("main") == []


async def test_null_creator_asks_for_what_is_always_told(api):
    assert (await create(api, {"rn": "x", "api": "Nx", "cr": None})).status_code == 201


async def test_an_application_is_changed_and_removed(api):
    await create(api, {"rn": "app", "api": "Nx", "poa": ["http://x"]})
    answer = await api.put("/app", {"m2m:ae": {"poa": None, "lbl": ["a:b"]}}, headers=ORIGIN)
    changed = answer.json()["m2m:ae"]
    assert "poa" not in changed
    assert changed["lbl"] == ["a:b"]
    assert changed["lt"] > changed["ct"]
    modified = (await api.put("/app?rcn=9", {"AE": {"labels": []}}, headers=ORIGIN)).json()["m2m:ae"]
    assert modified.keys() == {"lt"}
    answer = await api.put("/app", {"m2m:ae": {"api": "Ny"}}, headers=ORIGIN)
    assert (answer.status_code, "api (App-ID)" in answer.json()["m2m:dbg"]) == (400, True)
    answer = await api.delete("/app?rcn=1", headers=ORIGIN)
    assert (answer.headers["x-m2m-rsc"], answer.json()["m2m:ae"]["rn"]) == ("2002", "app")
    assert (await api.get("/app")).status_code == 404
    assert (await create(api, {"rn": "app", "api": "Nx"})).status_code == 201


async def test_null_is_nothing_when_an_application_is_created(api):
    """As the operator's own client does."""
    given = {"api": "Napp", "rn": "app", "poa": None, "lbl": ["type:d2c"]}
    answer = await api.post("", 2, {"m2m:ae": given}, headers={"X-M2M-Origin": "Capp"})
    assert answer.status_code == 201
    assert "pointOfAccess" not in api.inventory.application("main", "app").attributes
