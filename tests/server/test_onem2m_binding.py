"""The HTTP side: headers, media types, names, malformed requests."""

import re
import string

import attrs
import pytest
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as hypothesis_settings

BOX = "/device-management-orchestrator/v3/main/device-communication/dev/received-msg"
CIN = '{"m2m:cin": {"con": "x"}}'


async def post(api, content, media_type="application/json;ty=4", **headers):
    return await api.client.post(BOX, content=content, headers={"Content-Type": media_type, **headers})


async def refused(answer, status, rsc, *words):
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (status, str(rsc)), answer.text
    assert answer.headers["content-type"] == "application/json"
    for word in words:
        assert word in answer.json()["m2m:dbg"]


async def test_headers_of_an_answer(api):
    answer = await api.get("", headers={"X-M2M-RI": "my-id"})
    assert answer.headers["x-m2m-ri"] == "my-id"
    assert answer.headers["x-m2m-rsc"] == "2000"
    assert answer.headers["x-m2m-rvi"] == "4"
    assert re.fullmatch(r"\d{8}T\d{6},\d{6}", answer.headers["x-m2m-ot"])
    assert answer.headers["content-type"] == "application/json"
    assert "no-store" in answer.headers["cache-control"]
    assert "content-location" not in answer.headers


async def test_a_request_id_is_made_up(api):
    first = await api.client.get("/main")
    second = await api.client.get("/main")
    assert first.headers["x-m2m-ri"] != second.headers["x-m2m-ri"]


async def test_the_location_of_what_was_created(api):
    for base in ("/device-management-orchestrator/v3/main", "/main"):
        answer = await api.post("", 14, {"m2m:nod": {"ni": f"urn:{len(base)}"}}, base=base)
        location = answer.headers["content-location"]
        assert location.startswith(base.removesuffix("/main") + "/~/main/")
        found = await api.get(location, base="")
        assert found.json() == answer.json()


async def test_a_request_without_headers_is_the_administrators(api):
    await api.add_device("dev")
    answer = await post(api, CIN)
    assert answer.json()["contentInstance"]["creator"] == "CAdmin"


async def test_an_origin_begins_with_c(api):
    for method in ("GET", "DELETE", "PUT"):
        answer = await api.call(method, "", body={}, headers={"X-M2M-Origin": "admin"})
        await refused(answer, 403, 4103, "admin")
    answer = await api.post("", 2, {"m2m:ae": {"api": "Nx"}}, headers={"X-M2M-Origin": "SApp"})
    await refused(answer, 403, 4103, "SApp")


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, "CSEBase"),
        ({"fullName": "true"}, "CSEBase"),
        ({"fullName": "false"}, "m2m:cb"),
        ({"fullName": "perhaps"}, "CSEBase"),
        ({"X-M2M-RVI": "3"}, "m2m:cb"),
        ({"X-M2M-RVI": "3", "fullName": "TRUE"}, "CSEBase"),
        ({"Accept": "application/vnd.onem2m-res+json"}, "m2m:cb"),
        ({"Content-Type": "application/vnd.onem2m-res+json"}, "m2m:cb"),
    ],
)
async def test_long_or_short_names(api, headers, key):
    assert (await api.get("", headers=headers)).json().keys() == {key}


async def test_names_are_a_setting_of_the_server(start, settings):
    api = await start(attrs.evolve(settings, names="short"))
    assert (await api.get("")).json().keys() == {"m2m:cb"}


async def test_names_are_a_setting_of_the_tenant(api):
    await api.inventory.add_tenant(
        attrs.evolve(api.inventory.tenant("main"), id=1, name="eos", names="short")
    )
    await api.platform.prepare()
    await api.platform.prepare()
    answer = await api.get("/eos", base="/device-management-orchestrator/v3")
    assert answer.json()["m2m:cb"]["rn"] == "eos"
    boxes = await api.get("/eos?rcn=8", base="/device-management-orchestrator/v3")
    assert [box["rn"] for box in boxes.json()["m2m:cb"]["m2m:cnt"]] == ["device-communication"]


async def test_media_types(api):
    await api.add_device("dev")
    for media_type in (
        "application/json;ty=4",
        "application/json ; ty = 4 ; charset=utf-8",
        "Application/JSON;TY=4",
        "application/vnd.onem2m-res+json;ty=4",
        ";ty=4",
    ):
        assert (await post(api, CIN, media_type)).status_code == 201
    accept = "application/vnd.onem2m-res+json"
    assert (await post(api, CIN, Accept=accept)).headers["content-type"] == accept
    assert (await post(api, CIN, Accept="text/html, */*;q=0.1")).status_code == 201
    await refused(await post(api, "<x/>", "application/xml;ty=4"), 415, 4015, "application/xml")
    await refused(await post(api, CIN, Accept="application/xml"), 406, 5207, "application/xml")


@pytest.mark.parametrize(
    ("media_type", "word"),
    [
        ("application/json", "ty=4"),
        ("application/json;ty=x", "ty=x"),
        ("application/json;ty=-4", "ty=-4"),
        ("application/json;ty=99", "ty=99"),
        ("application/json;ty=5", "ty=5"),
        ("application/json;ty=9999999", "ty="),
    ],
)
async def test_what_to_create_must_be_said(api, media_type, word):
    await api.add_device("dev")
    await refused(await post(api, CIN, media_type), 400, 4000, word)


async def test_ty_belongs_to_a_create(api):
    for method in ("GET", "PUT", "DELETE"):
        await refused(await api.call(method, "", 4, {}), 400, 4000, "ty=4")


async def test_releases(api):
    for release in ("2a", "3", "4"):
        assert (await api.get("", headers={"X-M2M-RVI": release})).status_code == 200
    for release in ("1", "5", "x"):
        await refused(await api.get("", headers={"X-M2M-RVI": release}), 501, 4001, release)


async def test_a_strict_server_wants_all_mandatory_headers(start, settings):
    api = await start(attrs.evolve(settings, strict=True))
    complete = {"X-M2M-RI": "1", "X-M2M-Origin": "CAdmin", "X-M2M-RVI": "3"}
    assert (await api.client.get("/main", headers=complete)).status_code == 200
    for missing, rsc in (("X-M2M-RI", 4000), ("X-M2M-Origin", 4000), ("X-M2M-RVI", 4001)):
        headers = {name: value for name, value in complete.items() if name != missing}
        answer = await api.client.get("/main", headers=headers)
        assert (answer.headers["x-m2m-rsc"], missing in answer.json()["m2m:dbg"]) == (str(rsc), True)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ('{"m2m:cin": {"con": "x",}}', "line 1 column"),
        ('{\n "m2m:cin": nope}', "line 2 column"),
        (b"\xff\xfe", "not JSON"),
        (b'{"m2m:cin": {"con": "\xff"}}', "not JSON"),
        ('{"m2m:cin": {"con": "\\ud800"}}', "not JSON"),
        ('{"m2m:cin": {"con": NaN}}', "not JSON"),
        ("[" * 40 + "]" * 40, "32 levels"),
        ("[" * 100_000 + "]" * 100_000, ""),
        ('{"m2m:cin": {"con": ' + "[" * 31 + "]" * 31 + "}}", "32 levels"),
        ('{"m2m:cin": {"con": "' + "x" * 2_000_000 + '"}}', "2000000 bytes"),
    ],
)
async def test_bodies_that_are_wrong(api, content, word):
    await api.add_device("dev")
    await refused(await post(api, content), 400, 4000, word)


async def test_a_body_of_legal_depth_and_size(api):
    await api.add_device("dev")
    answer = await post(api, '{"m2m:cin": {"con": ' + "[" * 30 + "]" * 30 + "}}")
    assert answer.status_code == 201
    assert (await post(api, '{"m2m:cin": {"con": "' + "x" * 900_000 + '"}}')).status_code == 201


async def test_a_streamed_body_without_a_length_is_bounded(api):
    await api.add_device("dev")
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 100_000
            yield b" " * 100_000

    await refused(await post(api, endless()), 400, 4000, "larger")
    assert sent <= 2_200_000


async def test_other_methods_are_no_operations(api):
    for method in ("PATCH", "OPTIONS", "FROB"):
        await refused(await api.call(method, ""), 405, 4005, method)


async def test_head_is_a_retrieval_without_its_body(api):
    answer = await api.call("HEAD", "")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 100


async def test_rcn_0_and_9_of_a_creation(api):
    await api.add_device("dev")
    url = "/device-communication/dev/outgoing-msg"
    body = {"m2m:cin": {"con": "GET /3"}}
    answer = await api.post(f"{url}?rcn=0", 4, body)
    assert (answer.status_code, answer.content) == (201, b"")
    modified = (await api.post(f"{url}?rcn=9", 4, body)).json()["contentInstance"]
    assert "content" not in modified
    assert modified["stateTag"] == 2
    await refused(await api.post(f"{url}?rcn=4", 4, body), 400, 4000, "rcn=4")


TEXT = strategies.text(string.printable, max_size=20)
JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers(-(2**63), 2**64 - 1) | TEXT,
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
SOME_NAMES = strategies.sampled_from(
    [
        "m2m:cin",
        "m2m:nod",
        "m2m:dvi",
        "m2m:crds",
        "con",
        "cnf",
        "lbl",
        "et",
        "rn",
        "ni",
        "content",
        "crse",
        "cr",
    ]
)
BODIES = strategies.dictionaries(
    SOME_NAMES, strategies.dictionaries(SOME_NAMES, JSON, max_size=4) | JSON, max_size=2
)


@given(
    method=strategies.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    path=strategies.sampled_from(
        ["", "/dev", "/dev/credentials", "/device-communication/dev/outgoing-msg", "/x"]
    ),
    ty=strategies.sampled_from([None, 2, 4, 13, 14, 99]),
    query=strategies.sampled_from(["", "rcn=8", "rcn=4&lvl=3", "ty=x", "lbl="]),
    body=BODIES,
)
@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_no_request_is_the_servers_fault(api, method, path, ty, query, body):
    if api.ledger.reader.device_named("main", "dev") is None:
        await api.add_device("dev")
    answer = await api.call(method, f"{path}?{query}", ty, body)
    assert answer.status_code < 500 or answer.status_code == 501
    assert answer.headers["x-m2m-rsc"]
