"""The operator's view of devices, health, and problem details."""

import attrs
import httpx
import pytest

from lwm2m_engine.coap import Peer
from lwm2m_engine.engine.records import Liveness, Observation, PowerSaving, Registration
from lwm2m_engine.paths import Path
from lwm2m_server.http.app import create_http
from lwm2m_server.http.health import health_routes
from lwm2m_server.store.ids import NodeIds
from lwm2m_server.store.records import Message

REGISTRATION = Registration(
    id="r1",
    endpoint="dev1",
    version="1.1",
    lifetime=300,
    binding="UQ",
    queue_mode=True,
    root="/",
    objects={3: "1.1", 3303: "1.0", 40000: "1.0"},
    instances=(Path("/3/0"), Path("/3303/0"), Path("/3303/7")),
    links=(),
    formats=(112, 11542),
    sms=None,
    attributes={"x": "y"},
    registered_at=1000.5,
    warnings=("odd",),
)
LIVENESS = Liveness(Peer("127.0.0.1", 5000), 1001.5, 1301.5)


async def show(api, path):
    return (await api.get(path, base="")).json()


async def test_devices_are_listed_in_pages(api):
    for number in range(3):
        await api.add_device(f"dev{number}")
    first = await show(api, "/api/v1/devices?limit=2")
    assert (first["tenant"], [row["name"] for row in first["devices"]]) == ("main", ["dev0", "dev1"])
    rest = await show(api, f"/api/v1/devices?limit=2&offset={first['nextOffset']}")
    assert [row["name"] for row in rest["devices"]] == ["dev2"]
    assert "nextOffset" not in rest
    row = rest["devices"][0]
    assert (row["nodeId"], row["registered"], row["endpoint"], row["version"]) == (
        "urn:dev:dev2",
        False,
        None,
        None,
    )


async def test_a_device_that_never_registered(api):
    await api.add_device("dev", lbl=["a:b"])
    device = await show(api, "/api/v1/devices/dev")
    assert (device["labels"], device["registered"], device["objects"]) == (["a:b"], False, [])
    assert (device["lastSeen"], device["lastError"], device["messages"]) == (None, None, [])


async def test_what_a_device_supports(api):
    await api.add_device("dev1")
    node = api.ledger.reader.device_named("main", "dev1").node
    error = '{"messageType":"error","reason":"timeout"}'
    id = node + 500_000
    failure = Message(
        id=id,
        container=NodeIds(node).errors,
        own_name=None,
        creator="CDevice-Provisioning",
        state_tag=0,
        content=error,
        content_info="application/json:0",
        size=len(error),
    )

    def store(write):
        write.put_registration(node, REGISTRATION, LIVENESS, 1000.5)
        write.add_message(failure)

    await api.ledger.commit(store)
    await api.post("/device-communication/dev1/outgoing-msg", 4, {"m2m:cin": {"con": "GET /3"}})
    device = await show(api, "/api/v1/devices/dev1")
    assert (device["registered"], device["version"], device["lifetime"], device["binding"]) == (
        True,
        "1.1",
        300,
        "UQ",
    )
    assert (device["lastSeen"], device["registeredAt"], device["expiresAt"]) == (1001500, 1000500, 1301500)
    assert device["address"] == "coap://127.0.0.1:5000"
    assert device["registration"]["contentFormats"] == [112, 11542]
    assert device["registration"]["warnings"] == ["odd"]
    assert (device["waiting"], [one["content"] for one in device["messages"]]) == (1, ["GET /3"])
    assert device["lastError"]["reason"] == "timeout"
    assert device["exchanges"] == [{"kind": "error", "reason": "timeout"}]
    objects = {one["id"]: one for one in device["objects"]}
    assert {id: (one["name"], one["instances"]) for id, one in objects.items()} == {
        3: ("Device", [0]),
        3303: ("Temperature", [0, 7]),
        40000: (None, []),
    }
    resources = {one["id"]: one for one in objects[3]["resources"]}
    assert (resources[14]["name"], resources[14]["operations"], resources[14]["type"]) == (
        "UTC Offset",
        "RW",
        "String",
    )
    assert resources[4]["operations"] == "E"
    assert objects[40000]["resources"] == []


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/api/v1/devices/nobody", 404, "nobody"),
        ("/api/v1/devices?tenant=nobody", 404, "nobody"),
        ("/api/v1/devices?limit=x", 400, "limit"),
    ],
)
async def test_problems_are_problem_details(api, path, status, word):
    answer = await api.get(path, base="")
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status)
    assert word in problem["detail"]
    assert problem.keys() == {"type", "title", "status", "detail"}


async def test_a_wrong_method_is_a_problem_too(api):
    answer = await api.call("PUT", "/api/v1/devices", base="")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert (answer.status_code, answer.json()["title"]) == (405, "Method Not Allowed")


async def test_health():
    reasons = {"ledger": None, "coap": "not bound"}
    transport = httpx.ASGITransport(create_http(health_routes(lambda: reasons)))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        assert (await client.get("/healthz")).status_code == 200
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["reasons"]) == (503, {"coap": "not bound"})
        reasons["coap"] = None
        assert (await client.get("/readyz")).json() == {"status": "ready"}


async def test_observations_that_are_and_that_are_wanted(api):
    await api.add_device("dev1")
    node = api.ledger.reader.device_named("main", "dev1").node
    live = Observation(b"t1", "dev1", REGISTRATION.id, (Path("/3/0/9"),), False, None, 1000.5)
    wanted = attrs.evolve(live, token=b"t2", registration="", paths=(Path("/3/0/10"), Path("/3/0/13")))

    def store(write):
        write.put_registration(node, REGISTRATION, LIVENESS, 1000.5)
        write.put_observation(node, live)
        write.put_observation(node, wanted)

    await api.ledger.commit(store)
    found = (await show(api, "/api/v1/devices/dev1"))["observations"]
    assert {(tuple(one["paths"]), one["active"]) for one in found} == {
        (("/3/0/9",), True),
        (("/3/0/10", "/3/0/13"), False),
    }


POWER = "/api/v1/devices/dev1/power-saving"


@pytest.mark.parametrize(
    ("body", "power"),
    [
        ({"awakeWindow": 20}, PowerSaving(20.0)),
        ({"psm": {}}, PowerSaving(psm=True)),
        ({"psm": {"activeTimer": 20, "tau": 86400}}, PowerSaving(20.0, psm=True, tau=86400.0)),
        ({"edrx": {"cycle": 20.48}, "awakeWindow": 5.5}, PowerSaving(5.5, edrx_cycle=20.48)),
        (
            {"edrx": {"cycle": 5.12, "pagingTimeWindow": 1.28}, "psm": None},
            PowerSaving(edrx_cycle=5.12, paging_window=1.28),
        ),
        ({"awakeWindow": None, "psm": None, "edrx": None}, None),
        ({}, None),
    ],
)
async def test_when_a_device_listens_can_be_set(api, body, power):
    await api.add_device("dev1")
    answer = await api.call("PUT", POWER, body=body, base="")
    assert answer.status_code == 200
    assert api.ledger.reader.device_named("main", "dev1").power == power
    shown = await show(api, POWER)
    assert shown == answer.json() == (await show(api, "/api/v1/devices/dev1"))["powerSaving"]
    # What is shown can be sent.
    assert (await api.call("PUT", POWER, body=shown or {}, base="")).json() == shown
    assert (await api.call("DELETE", POWER, base="")).status_code == 204
    assert await show(api, POWER) is None


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"awakeWindow": "20"}, "awakeWindow: is not a number of seconds"),
        ({"awakeWindow": True}, "awakeWindow: is not a number of seconds"),
        ({"awakeWindow": 0}, "awakeWindow: is not between 0 and 35712000 seconds"),
        ({"psm": {"tau": 1e300}}, "psm.tau: is not between 0 and 35712000 seconds"),
        ({"psm": True}, "psm: is no object with activeTimer, tau"),
        ({"psm": {"t3324": 2}}, "psm: 't3324' is none of activeTimer, tau"),
        ({"psm": {"activeTimer": 20, "tau": 20}}, "psm.tau: 20 s is not longer than psm.activeTimer"),
        ({"psm": {}, "awakeWindow": 5}, "awakeWindow: with psm it is psm.activeTimer that says so"),
        ({"psm": {}, "edrx": {"cycle": 20}}, "edrx: a device has psm or edrx, not both"),
        ({"edrx": {}}, "edrx.cycle: is missing"),
        ({"edrx": {"cycle": 5.12}}, "edrx.pagingTimeWindow: 10 s is longer than edrx.cycle"),
        ({"sleepy": 1}, "the body: 'sleepy' is none of awakeWindow, psm, edrx"),
        ([], "the body: is no object with awakeWindow, psm, edrx"),
        ("x" * 70_000, "the body is larger than 65536 bytes"),
    ],
)
async def test_times_that_cannot_be_are_refused_by_name(api, body, sentence):
    await api.add_device("dev1")
    answer = await api.call("PUT", POWER, body=body, base="")
    assert (answer.status_code in (400, 413), answer.json()["detail"]) == (True, sentence)
    assert api.ledger.reader.device_named("main", "dev1").power is None


async def test_a_body_that_is_no_json_is_refused(api):
    await api.add_device("dev1")
    answer = await api.client.put(POWER, content=b"{'awakeWindow': 5}")
    assert (answer.status_code, answer.json()["detail"][:24]) == (400, "the body is not JSON: un")
