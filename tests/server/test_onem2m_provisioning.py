"""Onboarding requests: both sets of names, what becomes of each device, the answer, restarts."""

import asyncio
import time

import pytest

from lwm2m_server.store.ids import ResourceIds
from lwm2m_server.store.records import OnboardingItem

REQUESTS, RESPONSES = "/device-provisioning/request", "/device-provisioning/response"
CND = "com.telekom.iot.orchestrator.nodeProvisioningRequest"
SHORT = {
    "ni": "urn:gsma:imei:351934546788001",
    "noRNe": "device001",
    "ICCID": "89882280000004492060",
    "profe": "SCS-LwM2M",
    "lbl": ["d2c:1.0", "UplinkProperty_Room:2035"],
    "nCr": ["psk-id:test@test.com", "psk:dGVzdDEyMw=="],
    "ndvi": {"rn": "device-info", "mgd": 1007, "man": "evel-corp", "dty": "wd", "mod": "WD-15", "dlb": "a:b"},
}
LONG = {
    "nodeID": "urn:gsma:imei:351934546788002",
    "nodeResourceName": "device002",
    "ICCID": "89882280000004492061",
    "profile": "SCS-lwM2M",
    "labels": ["d2c:1.0"],
    "nodeCredentials": ["psk-id:device002", "psk:dGVzdDEyNA=="],
    "ndvi": {"resourceName": "deviceInfo2055", "manufacturer": "evel-corp", "deviceLabel": ["some:label"]},
}


def request(*items, operation=1, **more):
    return {"dtiot:noPRt": {"cnd": CND, "opern": operation, "reqLt": list(items), **more}}


async def post(api, *items, **more):
    """Post a request; its id."""
    answer = await api.post(REQUESTS, 28, request(*items, **more), headers={"fullName": "false"})
    assert answer.status_code == 201, answer.text
    return answer.json()["dtiot:noPRt"]["ri"]


async def answered(api, ri):
    """The response, when it is there."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        answer = await api.get(f"{RESPONSES}/responseToRequest-{ri}", headers={"fullName": "false"})
        if answer.status_code == 200:
            assert list(answer.json()) == ["flexContainer"]
            return answer.json()["flexContainer"]
        await asyncio.sleep(0.01)
    raise AssertionError("the request was not answered")


async def onboard(api, *items, **more):
    return await answered(api, await post(api, *items, **more))


async def test_short_and_long_names_mixed(api):
    done = await onboard(api, SHORT, LONG)
    assert (done["resSs"], done["inEMs"]) == (1, [])
    assert done["geEMe"] == "Total to be provisioned: 2; Successfully processed: 2; Errors: 0"
    node = (await api.get("/device001?rcn=4")).json()["node"]
    assert node["nodeID"] == SHORT["ni"]
    assert node["labels"] == [*SHORT["lbl"], "profile:SCS-LwM2M", "ICCID:89882280000004492060"]
    (credentials,), (info,) = node["credentials"], node["deviceInfo"]
    assert (credentials["credentialID"], credentials["credentialSecret"]) == ("test@test.com", "***")
    assert (info["manufacturer"], info["deviceLabel"], info["resourceName"]) == (
        "evel-corp",
        "a:b",
        "device-info",
    )
    node = (await api.get("/device002?rcn=4")).json()["node"]
    assert node["labels"] == ["d2c:1.0", "profile:SCS-lwM2M", "ICCID:89882280000004492061"]
    assert node["deviceInfo"][0]["deviceLabel"] == ["some:label"]
    boxes = (await api.get("/device-communication/device002?rcn=8")).json()["container"]["container"]
    assert len(boxes) == 5


async def test_the_secret_is_in_no_answer_and_works(api):
    answer = await api.post(REQUESTS, 28, request(SHORT, rn="first"), headers={"fullName": "false"})
    echoed = answer.json()["dtiot:noPRt"]
    assert echoed["reqLt"][0]["nCr"] == ["psk-id:test@test.com", "psk:***"]
    await answered(api, echoed["ri"])
    for path in (f"{REQUESTS}/first", f"{REQUESTS}?rcn=4", "/device001?rcn=4"):
        assert "dGVzdDEyMw" not in (await api.get(path)).text
    assert api.credentials.identities("management").of_endpoint("device001").identity == b"test@test.com"
    node = api.ledger.reader.device_named("main", "device001").node
    assert api.credentials.find(node, "management").key == b"test123"


async def test_the_answer_has_the_names_that_were_asked_for(api):
    answer = await api.post(
        REQUESTS, 28, request({**SHORT, "nodeDeviceGroups": ["g"]}), headers={"fullName": "false"}
    )
    short = answer.json()["dtiot:noPRt"]
    assert short.keys() == {"cnd", "opern", "reqLt", "cr", "st", "rn", "ty", "ri", "pi", "ct", "lt"}
    assert (short["ty"], short["cr"], short["st"], short["opern"]) == (28, "CTestApp", 0, 1)
    assert short["reqLt"][0]["nDGr"] == ["g"]
    answer = await api.post(REQUESTS, 28, request(SHORT), headers={"fullName": "true"})
    long = answer.json()["dtiot:noPRt"]
    assert {"resourceID", "operation", "requestList", "creator"} <= long.keys()
    assert {"nodeID", "nodeResourceName", "profile", "labels", "nodeCredentials"} <= long["requestList"][
        0
    ].keys()
    assert long["requestList"][0]["ndvi"]["manufacturer"] == "evel-corp"
    listed = (await api.get(f"{REQUESTS}?rcn=4", headers={"fullName": "false"})).json()
    assert len(listed["m2m:cnt"]["dtiot:noPRt"]) == 2


async def test_the_older_body(api):
    body = {
        "dtiot:noPRt": {
            "cnd": CND,
            "rn": "device_provisioning_request_20250320",
            "operation": 1,
            "requestList": [LONG],
        }
    }
    answer = await api.post(REQUESTS, 28, body, headers={"fullName": "true"})
    made = answer.json()["dtiot:noPRt"]
    assert made["resourceName"] == "device_provisioning_request_20250320"
    assert (await answered(api, made["resourceID"]))["resSs"] == 1


async def test_the_general_root_key(api):
    answer = await api.post(
        REQUESTS, 28, {"flexContainer": request(SHORT)["dtiot:noPRt"]}, headers={"fullName": "false"}
    )
    assert answer.status_code == 201
    assert (await answered(api, answer.json()["dtiot:noPRt"]["ri"]))["resSs"] == 1


async def test_responses_are_found_by_their_request(api):
    first = await post(api, SHORT)
    second = await post(api, LONG)
    await answered(api, first)
    await answered(api, second)
    found = (await api.get(f"{RESPONSES}?rcn=4&reqRD={second}", headers={"fullName": "false"})).json()
    (response,) = found["m2m:cnt"]["flexContainer"]
    assert response["rn"] == f"responseToRequest-{second}"


WRONG = [
    ("device", "it must be an object"),
    ({**SHORT, "nodeID": "x"}, "'nodeID' is there as ni, too"),
    ({**SHORT, "colour": "red"}, "'colour' is none of"),
    ({**SHORT, "ni": 5}, "ni (nodeID) must be a text"),
    ({k: v for k, v in SHORT.items() if k != "noRNe"}, "noRNe (nodeResourceName) must be a text"),
    ({**SHORT, "noRNe": "a/b"}, "no resource name"),
    ({**SHORT, "noRNe": "device-group"}, "platform's own"),
    ({**SHORT, "profe": "SCS-UDP"}, "'SCS-UDP' is not supported; SCS-LwM2M is"),
    ({**SHORT, "ICCID": "a b"}, "ICCID"),
    ({**SHORT, "lbl": ["a\x00b"]}, "lbl (labels)"),
    ({**SHORT, "lbl": "a:b"}, "must be a list of texts"),
    ({**SHORT, "nCr": ["psk-id:x"]}, "belong together"),
    ({**SHORT, "nCr": ["psk-id:x", "psk:a", "psk:b"]}, "one psk:<key>"),
    ({**SHORT, "nCr": "psk:secret"}, "must be a list of texts"),
    ({**SHORT, "nCr": ["psk-id:x", "psk:"]}, "a pre-shared key has 1 to 64 bytes"),
    ({**SHORT, "ndvi": []}, "must be an object"),
    ({**SHORT, "ndvi": {"colour": "red"}}, "'colour' is no attribute of deviceInfo"),
    ({**SHORT, "ndvi": {"mgd": 1006}}, "mgd"),
    ({**SHORT, "nDGr": ["nowhere"]}, "there is no group 'nowhere'"),
]


@pytest.mark.parametrize(("item", "why"), WRONG)
async def test_a_wrong_item_leaves_nothing_behind(api, item, why):
    done = await onboard(api, item, LONG)
    assert done["resSs"] == 2
    (message,) = done["inEMs"]
    assert why in message
    assert "secret" not in message
    assert [one.name for one in api.ledger.reader.devices()] == ["device002"]
    assert (await onboard(api, item))["resSs"] == 3


async def test_what_is_taken(api):
    await onboard(api, SHORT)
    await api.post("", 2, {"m2m:ae": {"api": "Napp", "rn": "app"}}, headers={"X-M2M-Origin": "Capp"})
    again = [
        {"ni": "urn:other:1", "noRNe": "device001"},
        {"ni": SHORT["ni"].replace("gsma:", ""), "noRNe": "other"},
        {"ni": "urn:other:2", "noRNe": "app"},
        {"ni": "urn:other:3", "noRNe": "other3", "nCr": ["psk-id:test@test.com", "psk:eA=="]},
        {"ni": "urn:other:4", "noRNe": "fine", "nCr": ["psk-id:fine", "psk:eA=="]},
    ]
    done = await onboard(api, *again)
    assert done["geEMe"] == "Total to be provisioned: 5; Successfully processed: 1; Errors: 4"
    assert [message.partition(":")[0] for message in done["inEMs"]] == ["device001", "other", "app", "other3"]
    assert "security identity is taken" in done["inEMs"][3]
    # All or nothing: neither node nor container nor key of those that failed.
    for name in ("other", "other3"):
        assert (await api.get(f"/{name}")).status_code == 404
        assert (await api.get(f"/device-communication/{name}")).status_code == 404


async def test_devices_are_removed(api):
    await onboard(api, SHORT, LONG, {"ni": "urn:dev:3", "noRNe": "device003"})
    by_name, by_id = {"noRNe": "device001"}, {"nodeID": "urn:imei:351934546788002"}
    both = {"noRNe": "device003", "ni": "urn:dev:4"}
    done = await onboard(api, by_name, by_id, both, {"ICCID": "1"}, {"noRNe": "x"}, operation=2)
    assert done["resSs"] == 2
    assert done["inEMs"] == [
        "device003: there is no device with name 'device003' and node id 'urn:dev:4'",
        "without a name: noRNe (nodeResourceName) or ni (nodeID) is missing",
        "x: there is no device with name 'x'",
    ]
    assert [one.name for one in api.ledger.reader.devices()] == ["device003"]
    assert sorted(api.devices.forgotten) == ["device001", "device002"]
    assert api.credentials.identities("management").of_endpoint("device001") is None
    assert (await onboard(api, SHORT))["resSs"] == 1


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (request(), "must be a list of devices"),
        (request(SHORT, operation=3), "1 to create devices, or 2 to remove them"),
        ({"dtiot:noPRt": {"cnd": CND, "opern": 1}}, "needs reqLt"),
        ({"dtiot:noPRt": {"cnd": CND, "opern": 1, "operation": 1, "reqLt": [SHORT]}}, "there twice"),
        ({"dtiot:noPRt": {"cnd": "other", "opern": 1, "reqLt": [SHORT]}}, CND),
        (request(SHORT, rn="a/b"), "no resource name"),
        (request(*[{}] * 10_001), "10000 go into one request"),
    ],
)
async def test_requests_that_are_none(api, body, why):
    answer = await api.post(REQUESTS, 28, body)
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (400, "4000")
    assert why in answer.json()["m2m:dbg"]
    assert not api.ledger.reader.open_onboardings()


async def test_the_place_and_the_name_of_a_request(api):
    elsewhere = await api.post("/device-provisioning/response", 28, request(SHORT))
    assert (elsewhere.status_code, elsewhere.headers["x-m2m-rsc"]) == (403, "4108")
    await post(api, SHORT, rn="same")
    again = await api.post(REQUESTS, 28, request(LONG, rn="same"))
    assert (again.status_code, again.headers["x-m2m-rsc"]) == (409, "4105")
    assert (await api.put(f"{REQUESTS}/same", request(LONG))).status_code == 405


async def test_a_request_and_its_response_can_be_deleted(api):
    ri = await post(api, SHORT, rn="one")
    await answered(api, ri)
    assert (await api.delete(f"{REQUESTS}/one")).status_code == 200
    assert (await api.delete(f"{RESPONSES}/responseToRequest-{ri}")).status_code == 200
    id, _ = ResourceIds(api.ledger.installation).parse(ri)
    assert not api.ledger.reader.onboarding_text(id, long=False)
    assert (await api.get("/device001")).status_code == 200


async def test_after_a_restart_it_goes_on_where_it_was(start, settings):
    """The server ends when some devices are there; the next one makes the others, and answers."""
    before = await start(settings)
    items = [
        {"ni": f"urn:dev:{n}", "noRNe": f"dev{n}", "nCr": [f"psk-id:{n}", "psk:eA=="]} for n in range(200)
    ]
    ri = await post(before, *items)
    made = 0
    for _ in range(10_000):
        made = made or len(list(before.ledger.reader.devices()))
        await asyncio.sleep(0)
        if made:
            break
    await before.platform.close()
    assert 0 < made < 200
    before.ledger.close()
    after = await start(settings)
    done = await answered(after, ri)
    assert done["geEMe"] == "Total to be provisioned: 200; Successfully processed: 200; Errors: 0"
    assert len(list(after.ledger.reader.devices())) == 200
    assert not after.ledger.reader.open_onboardings()


async def test_items_of_a_request_that_never_came_to_be_are_discarded(start, settings):
    before = await start(settings)
    row = OnboardingItem(5, 0, "{}", "{}", None)
    before.ledger.run(lambda write: (write.open_onboarding(5), write.put_onboarding_items([row])))
    before.ledger.close()
    after = await start(settings)
    assert not after.ledger.reader.open_onboardings()
    assert not after.ledger.reader.onboarding_items(5, limit=1)


async def test_the_platforms_own_resources(api):
    applications = (await api.get("?rcn=4&ty=2")).json()["CSEBase"]["AE"]
    assert {one["AE-ID"]: one["resourceName"] for one in applications} == {
        "CDevice-Provisioning": "device-provisioning",
        "CDevice-Group": "device-group",
    }
    for one in applications:
        by_id = f"/device-management-orchestrator/v3/~/main/{one['resourceID']}"
        assert (await api.get("", base=by_id)).json()["AE"] == one
        refused = await api.delete("", base=by_id)
        assert (refused.status_code, refused.headers["x-m2m-rsc"]) == (405, "4005")
        assert (await api.put(f"/{one['resourceName']}", {"m2m:ae": {"lbl": []}})).status_code == 405
    container = (await api.get(REQUESTS)).json()["container"]
    provisioning = next(one for one in applications if one["resourceName"] == "device-provisioning")
    assert container["parentID"] == provisioning["resourceID"]
    assert (await api.delete(REQUESTS)).status_code == 405
