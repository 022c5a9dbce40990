"""The page "send and receive IoT data": each of its requests, as printed, gets what it prints."""

from __future__ import annotations

import re

import pytest

CIN = ["content", "resourceType", "contentSize", "stateTag", "creator", "resourceName", "resourceID"]
CIN += ["parentID", "creationTime", "lastModifiedTime"]
TIME = re.compile(r"\d{8}T\d{6},\d{6}")
RI = re.compile(r"[0-9a-f]{24}")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
VALUES = {
    "3/0/0": "My Demo Device",
    "3/0/1": "Model 500",
    "3/0/2": "LT-500-000-0001",
    "3/0/3": "1.0.0",
    "3/0/9": 72,
    "3/0/10": 75108,
    "3/0/11/0": 0,
    "3/0/13": None,
    "3/0/14": "+02",
    "3/0/15": "Europe/Berlin",
    "3/0/16": "U",
    "3/0/17": "Demo",
    "3/0/18": "1.0.1",
    "3/0/19": "1.0.2",
    "3/0/20": 3,
    "3/0/21": 129024,
}
BEARER = {"Authorization": "Bearer any-token"}


def check_universal(resource):
    assert RI.fullmatch(resource["resourceID"])
    assert TIME.fullmatch(resource["creationTime"])
    assert TIME.fullmatch(resource["lastModifiedTime"])


@pytest.mark.parametrize(
    ("protocol", "protected"), [("HTTP/1.1", False), ("HTTP/2", False), ("HTTP/1.1", True)]
)
async def test_the_five_requests_of_the_page(
    serve, connect, device, eventually, protect, protocol, protected
):
    server = serve("--unknown-devices", "create", LWM2M_CREDENTIALS_READABLE="true")
    bearer = await protect(server) if protected else BEARER
    api = connect(server, http1=protocol == "HTTP/1.1", http2=protocol == "HTTP/2", headers=bearer)
    await device(server, "device001")
    path = "device-communication/device001"

    async def read_at_register():
        contents = await api.messages("device001")
        return {content["resourcePath"] for content in contents} == {"3/0", "6/0"}

    await eventually(read_at_register)

    # 1. Send message to IoT device
    body = {"m2m:cin": {"con": "GET /3\n"}}
    answer = await api.post(f"{path}/outgoing-msg", 4, body, headers=bearer)
    assert answer.http_version == protocol
    assert answer.status_code == 201
    assert answer.headers["x-m2m-rsc"] == "2001"
    assert answer.headers["x-m2m-ri"] == "123"
    assert answer.headers["content-type"].startswith("application/json")
    posted = answer.json()["contentInstance"]
    assert list(answer.json()) == ["contentInstance"]
    assert list(posted) == CIN
    assert posted["content"] == "GET /3\n"
    assert (posted["resourceType"], posted["contentSize"]) == (4, 7)
    assert posted["creator"] == "CTestApp"
    assert isinstance(posted["stateTag"], int)
    assert UUID.fullmatch(posted["resourceName"])
    check_universal(posted)

    # 2. the last message sent
    async def sent():
        found = await api.latest("device001", "sent-msg")
        return found if found and found["content"] == "GET /3\n" else None

    moved = await eventually(sent)
    assert list(moved) == CIN
    assert moved["creator"] == "CTestApp"
    assert moved["resourceID"] != posted["resourceID"]
    assert moved["resourceName"] != posted["resourceName"]
    assert moved["parentID"] != posted["parentID"]

    # 3. the last message received
    content = await api.answer_to("device001", posted)
    answer = await api.get(f"{path}/received-msg/la", headers=bearer)
    received = answer.json()["contentInstance"]
    assert set(received) == {*CIN, "contentInfo"}
    assert received["content"] == content
    assert received["contentInfo"] == "application/json:0"
    assert received["creator"] == "CDevice-Provisioning"
    assert content["nodeResourceName"] == "device001"
    assert content["messageType"] == "response"
    assert content["resourcePath"] == "3"
    assert isinstance(content["time"], int)
    assert content["time"] > 1_600_000_000_000
    values = content["dataValue"]
    assert list(values) == list(VALUES)
    assert {key: value for key, value in values.items() if VALUES[key] is not None} == {
        key: value for key, value in VALUES.items() if value is not None
    }
    assert values["3/0/13"] > 1_600_000_000_000
    assert values["3/0/13"] % 1000 == 0

    # 4. the management objects of the node
    created = await api.delete("device001/credentials")
    assert created.status_code == 200
    secret = {"m2m:crds": {"dc": "cred", "mgd": 1029, "rn": "credentials", "crid": "a@b", "crse": "dGVzdA=="}}
    assert (await api.post("device001", 13, secret)).status_code == 201
    headers = {"X-M2M-Origin": "CAdmin", **bearer}
    answer = await api.get("device001?ty=13&rcn=8", headers=headers)
    assert answer.status_code == 200
    assert list(answer.json()) == ["node"]
    node = answer.json()["node"]
    assert set(node) == {"credentials", "deviceInfo"}
    (credentials,) = node["credentials"]
    assert set(credentials) == {
        "description",
        "mgmtDefinition",
        "resourceName",
        "resourceType",
        "resourceID",
        "parentID",
        "creationTime",
        "lastModifiedTime",
        "credentialID",
        "credentialSecret",
    }
    assert credentials["description"] == "cred"
    assert (credentials["mgmtDefinition"], credentials["resourceType"]) == (1029, 13)
    assert (credentials["credentialID"], credentials["credentialSecret"]) == ("a@b", "dGVzdA==")
    check_universal(credentials)
    (info,) = node["deviceInfo"]
    assert set(info) == {
        "resourceName",
        "mgmtDefinition",
        "deviceLabel",
        "resourceType",
        "resourceID",
        "parentID",
        "creationTime",
        "lastModifiedTime",
        "deviceName",
        "fwVersion",
        "systemTime",
        "location",
    }
    assert (info["resourceName"], info["mgmtDefinition"], info["resourceType"]) == ("device-info", 1007, 13)
    assert (info["deviceLabel"], info["deviceName"]) == ("device001", "My Demo Device")
    assert info["fwVersion"] == "1.0.0"
    assert re.fullmatch(r"\d{10}000", info["systemTime"])
    assert info["location"] == "geo:52.5,13.4"
    check_universal(info)

    # 5. the labels of the node
    await api.put("device001", {"m2m:nod": {"lbl": ["profile:SCS-lwM2M", "ICCID:898"]}})
    headers = {"fullName": "true", "X-M2M-Origin": "CDevice-Provisioning", **bearer}
    answer = await api.get("device001", headers=headers)
    node = answer.json()["node"]
    assert set(node) == {
        "nodeID",
        "labels",
        "resourceName",
        "resourceType",
        "resourceID",
        "parentID",
        "creationTime",
        "lastModifiedTime",
    }
    assert (node["resourceName"], node["resourceType"], node["parentID"]) == ("device001", 14, server.tenant)
    assert {"profile:SCS-lwM2M", "ICCID:898"} < set(node["labels"])
    assert any(re.fullmatch(r"registrations_timestamp: \d{13}", label) for label in node["labels"])
    check_universal(node)


async def test_device_info_has_no_location_without_object_6(server, api, device, eventually):
    from lwm2m_server.simulator.objects import device_object, server_object

    await device(server, "plain", objects=[server_object(300, "U"), device_object()])

    async def info():
        node = (await api.get("plain?ty=13&rcn=8")).json()["node"]
        return node["deviceInfo"][0] if "deviceName" in node["deviceInfo"][0] else None

    assert len(await eventually(info)) == 11


@pytest.mark.parametrize(
    ("resource", "attribute", "expected"),
    [
        ("endpoint name", "deviceLabel", "device001"),
        ("/3/0/0", "deviceName", "Another Maker"),
        ("/3/0/3", "fwVersion", "7.8.9"),
        ("/3/0/13", "systemTime", "1752761133000"),
        ("/6/0/0", "location", "geo:-49.0,109.25"),
        ("/6/0/1", "location", "geo:-49.0,109.25"),
    ],
)
async def test_each_row_of_the_mapping_table(server, api, device, eventually, resource, attribute, expected):
    one = await device(server, "device001", live=False)
    for path, value in {
        "/3/0/0": "Another Maker",
        "/3/0/3": "7.8.9",
        "/3/0/13": 1752761133,
        "/6/0/0": -49.0,
        "/6/0/1": 109.25,
    }.items():
        one.set(path, value)
    await one.register()

    async def mapped():
        node = (await api.get("device001?ty=13&rcn=8")).json()["node"]
        return node["deviceInfo"][0].get(attribute)

    if attribute == "location":
        expected = ("geo:-49.0,109.25", "geo:-49,109.25")
    found = await eventually(mapped)
    assert found == expected or found in expected


@pytest.mark.parametrize(
    ("con", "wire", "code"),
    [
        ("GET /3/0/9\n", ("GET", "3/0/9"), "2.05"),
        ("PUT /3/0/14 +03:00\n", ("PUT", "3/0/14"), "2.04"),
        ('PUT /1/0\n{"1": 400, "7": "U"}', ("PUT", "1/0"), "2.04"),
        ('PUT /1\n{"0": {"1": 500}}', ("PUT", "1/0"), "2.04"),
        ("POST /3/0/4\n", ("POST", "3/0/4"), "2.04"),
        ("POST /3/0/4?0='now',1\n", ("POST", "3/0/4"), "2.04"),
        ("PUT /22\n</3/0/9>", ("GET", "3/0/9"), "2.05"),
        ("DELETE /22\n", None, "2.05"),
    ],
)
async def test_each_row_of_the_operation_table(server, api, device, con, wire, code):
    from lwm2m_engine.coap import Code

    seen = []
    one = await device(server, "device001", live=False)
    await one.register()
    await api.ask("device001", "GET /3/0/0")
    original = one.serve
    one.serve = lambda request, token: (seen.append(request), original(request, token))[1]
    content = await api.ask("device001", con)
    assert content["responseCode"] == code
    if wire is not None:
        assert (Code(seen[0].code).name, "/".join(seen[0].path)) == wire
    else:
        assert not seen


async def test_observe_by_put_22_and_cancel_by_delete_22(server, api, device, eventually):
    one = await device(server, "device001", live=False)
    await one.register()
    await api.ask("device001", "PUT /22\n</3/0/9>")
    one.set("/3/0/9", 55)

    async def notified():
        contents = await api.messages("device001")
        return [
            content["dataValue"]
            for content in contents
            if content["messageType"] == "notification" and content["dataValue"].get("3/0/9") == 55
        ]

    await eventually(notified)
    await api.ask("device001", "DELETE /22")
    one.set("/3/0/9", 44)
    answer = await api.ask("device001", "GET /3/0/9")
    assert answer["dataValue"] == {"3/0/9": 44}
    assert not [
        content
        for content in await api.messages("device001")
        if content["messageType"] == "notification" and content["dataValue"].get("3/0/9") == 44
    ]


async def test_each_of_the_four_lifecycle_labels(server, api, device, eventually):
    one = await device(server, "device001", live=False, lifetime=2, version="1.1")

    def label_is_there(name):
        async def look():
            labels = (await api.get("device001")).json()["node"].get("labels", [])
            found = [label for label in labels if re.fullmatch(rf"{name}: \d{{13}}", label)]
            assert len(found) <= 1
            return found

        return look

    await one.register()
    await eventually(label_is_there("registrations_timestamp"))
    await one.update()
    await eventually(label_is_there("updates_timestamp"))
    await eventually(label_is_there("expirations_timestamp"))
    await one.register()
    await one.deregister()
    await eventually(label_is_there("deregistrations_timestamp"))
