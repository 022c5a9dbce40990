"""The three ways data takes, over real sockets: register, a wish to a sleeper, a notification."""

from __future__ import annotations

import asyncio

import pytest

from lwm2m_engine.formats import ContentFormat

NO_DEVICE = pytest.mark.native_stack("nothing is said to a device")


async def test_register_stamps_reads_and_maps(server, api, device, eventually):
    one = await device(server, "urn:imei:123", live=False, version="1.1")
    await one.register()

    async def mapped():
        node = (await api.get("urn:imei:123?ty=13&rcn=8")).json()["node"]
        return node["deviceInfo"][0].get("location")

    assert await eventually(mapped) == "geo:52.5,13.4"
    node = (await api.get("urn:imei:123?rcn=4")).json()["node"]
    assert node["nodeID"] == "urn:imei:123"
    assert {key for key in node if isinstance(node[key], list)} >= {"credentials", "deviceInfo", "labels"}
    logs = await api.get("device-communication/urn:imei:123/logs?rcn=8")
    assert "registered" in logs.text


async def test_a_wish_to_a_sleeper_waits_for_its_update(serve, connect, device, eventually):
    server = serve("--unknown-devices", "create", LWM2M_DEVICES_AWAKE_WINDOW="0.4")
    api = connect(server)
    one = await device(server, "sleepy", live=False, version="1.1", queue_mode=True, lifetime=300)
    await one.register()

    async def asleep():
        row = (await api.get("/api/v1/devices/sleepy")).json()
        return row["awake"] is False

    await eventually(asleep)
    first = await api.wish("sleepy", "GET /3/0/9")
    second = await api.wish("sleepy", "PUT /3/0/14 +05:00")
    await asyncio.sleep(0.3)
    assert (await api.latest("sleepy", "outgoing-msg"))["resourceID"] == second["resourceID"]
    assert one.get("/3/0/14").content == "+02"
    await one.update()
    assert (await api.answer_to("sleepy", first))["dataValue"] == {"3/0/9": 72}
    assert (await api.answer_to("sleepy", second))["responseCode"] == "2.04"
    assert one.get("/3/0/14").content == "+05:00"
    assert await api.latest("sleepy", "outgoing-msg") is None
    sent = await api.messages("sleepy", "sent-msg")
    assert sent == ["GET /3/0/9", "PUT /3/0/14 +05:00"]


async def test_a_notification_is_recorded_typed_and_mapped(server, api, device, eventually):
    one = await device(server, "device001", live=False, version="1.1")
    await one.register()
    answer = await api.ask("device001", "OBSERVE /3")
    assert answer["operation"] == "observe"
    one.set("/3/0/3", "2.0.0")

    async def mapped():
        node = (await api.get("device001?ty=13&rcn=8")).json()["node"]
        return node["deviceInfo"][0]["fwVersion"] == "2.0.0"

    await eventually(mapped)
    notification = (await api.messages("device001"))[-1]
    assert notification["messageType"] == "notification"
    assert notification["dataValue"]["3/0/3"] == "2.0.0"


async def test_send_is_recorded(server, api, device, eventually):
    one = await device(server, "device001", live=False, version="1.1")
    await one.register()
    await one.send("/3/0/9", content_format=ContentFormat.SENML_JSON)

    async def recorded():
        return [one for one in await api.messages("device001") if one["messageType"] == "send"]

    (content,) = await eventually(recorded)
    assert content["dataValue"] == {"3/0/9": 72}


@NO_DEVICE
@pytest.mark.parametrize(
    ("con", "sentence"),
    [
        ("GET /50", "object"),
        ("GET /3/0/4711", "resource"),
        ("FETSCH /3", "FETSCH"),
        ("PUT /3/0/13 noon", "noon"),
        ("PUT /22\n", "</"),
        ("GET", "path"),
    ],
)
async def test_a_malformed_wish_fails_now_and_stores_nothing(server, api, device, con, sentence):
    one = await device(server, "device001", live=False)
    await one.register()
    answer = await api.post("device-communication/device001/outgoing-msg", 4, {"m2m:cin": {"con": con}})
    assert answer.status_code == 400
    assert answer.headers["x-m2m-rsc"] == "4000"
    assert sentence in answer.json()["m2m:dbg"]
    assert await api.latest("device001", "outgoing-msg") is None


@NO_DEVICE
async def test_a_wish_to_nobody_is_404(api):
    path = "device-communication/nobody/outgoing-msg"
    answer = await api.post(path, 4, {"m2m:cin": {"con": "GET /3"}})
    assert answer.status_code == 404


async def test_a_device_that_does_not_answer_ends_in_error_msg(server, api, device):
    one = await device(server, "device001", live=False)
    await one.register()
    await api.ask("device001", "GET /3/0/9")
    await one.stop()
    content = await api.ask("device001", "GET /3/0/9")
    assert (content["messageType"], content["reason"]) == ("error", "timeout")
    assert await api.latest("device001", "outgoing-msg") is None


@NO_DEVICE
async def test_ttl_and_deletion_end_waiting_messages(api, eventually):
    body = {"m2m:nod": {"rn": "shelf", "ni": "urn:dev:shelf"}}
    assert (await api.post("", 14, body)).status_code == 201
    expiring = await api.wish("shelf", "GET /3", lbl=["ttl:1"])
    deleted = await api.wish("shelf", "GET /3")
    path = f"device-communication/shelf/outgoing-msg/{deleted['resourceName']}"
    assert (await api.delete(path)).status_code == 200
    assert (await api.answer_to("shelf", deleted))["reason"] == "cancelled"
    assert (await api.answer_to("shelf", expiring))["reason"] == "expired"


@NO_DEVICE
async def test_outgoing_msg_never_evicts(serve, connect):
    server = serve(LWM2M_MESSAGES_OUTGOING_MNI="3")
    api = connect(server)
    await api.post("", 14, {"m2m:nod": {"rn": "shelf", "ni": "urn:dev:shelf"}})
    for _ in range(3):
        await api.wish("shelf", "GET /3")
    path = "device-communication/shelf/outgoing-msg"
    answer = await api.post(path, 4, {"m2m:cin": {"con": "GET /3"}})
    assert answer.headers["x-m2m-rsc"] == "5207"
    container = (await api.get(path)).json()["container"]
    assert container["currentNrOfInstances"] == 3


async def test_a_provisioned_node_is_found_by_its_node_id(server, serve, connect, device):
    server = serve()
    api = connect(server)
    await api.post("", 14, {"m2m:nod": {"rn": "tracker", "ni": "urn:gsma:imei:3519"}})
    wish = await api.wish("tracker", "GET /3/0/9")
    one = await device(server, "urn:imei:3519", live=False)
    await one.register()
    assert (await api.answer_to("tracker", wish))["dataValue"] == {"3/0/9": 72}
    await one.deregister()
    again = await api.wish("tracker", "GET /3/0/9")
    await one.register()
    assert (await api.answer_to("tracker", again))["dataValue"] == {"3/0/9": 72}


async def test_strangers_are_rejected_by_default(serve, device):
    from lwm2m_server.simulator.device import RegistrationRefused

    server = serve()
    one = await device(server, "stranger", live=False)
    with pytest.raises(RegistrationRefused) as refused:
        await one.register()
    assert refused.value.code == 0x83
    assert "--unknown-devices create" in server.errors() or "devices.unknown" in server.errors()


async def test_a_deleted_node_ends_the_registration(server, api, device):
    one = await device(server, "device001", live=False)
    await one.register()
    await api.wish("device001", "GET /3/0/9")
    assert (await api.delete("device001")).status_code == 200
    assert (await api.get("device001")).status_code == 404
    assert (await api.get("device-communication/device001")).status_code == 404
    assert (await one.update()).code == 0x84
