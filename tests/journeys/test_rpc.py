"""RPCs over real sockets: what is asked by HTTP reaches a device, and what it says comes back typed."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time

import httpx
import pytest
from click.testing import CliRunner

from lwm2m_engine.coap import CoapReply, Code
from lwm2m_engine.values import ObjLink, ResourceType
from lwm2m_server.cli.main import lwm2m
from lwm2m_server.rpc.methods import METHODS
from lwm2m_server.simulator.objects import default_objects
from lwm2m_server.simulator.tree import Resource, SimulatedObject

pytestmark = pytest.mark.native_stack("what is below CoAP/UDP makes no difference here")

TEST_OBJECT = 3442
TYPES = {
    110: ResourceType.STRING,
    120: ResourceType.INTEGER,
    125: ResourceType.UNSIGNED_INTEGER,
    130: ResourceType.FLOAT,
    140: ResourceType.BOOLEAN,
    150: ResourceType.OPAQUE,
    160: ResourceType.TIME,
    170: ResourceType.OBJLNK,
    180: ResourceType.CORELNK,
}


def objects():
    """The usual ones and the LwM2M Test Object, of which more instances can be made."""

    def instance():
        found = {id: Resource(type, None, "RW") for id, type in TYPES.items()}
        found[3] = Resource(ResourceType.NONE, operations="E")
        found[1120] = Resource(ResourceType.INTEGER, {0: 7}, "RW")
        return found

    return [*default_objects(300, "U"), SimulatedObject(TEST_OBJECT, {0: instance()}, template=instance)]


class Caller:
    """Calls RPCs of one device."""

    def __init__(self, api, name):
        self.api, self.name = api, name
        self.base = f"{api.server.http}/api/v1"

    async def __call__(self, method, params=None, *, way="", **more):
        body = {"method": method, "params": params or {}, **more}
        return await self.api.client.post(f"{self.base}/devices/{self.name}/rpc{way}", json=body)

    async def result(self, method, params=None, **more):
        answer = await self(method, params, **more)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert found["state"] == "SUCCESSFUL", found
        return found

    async def value(self, method, params=None, **more):
        return (await self.result(method, params, **more))["value"]

    async def queued(self, method, params=None, **more):
        answer = await self(method, params, **more)
        assert answer.status_code == 202, answer.text
        return answer.json()

    async def show(self, id):
        answer = await self.api.get(f"/api/v1/rpc/{id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ended(self, id, eventually):
        async def look():
            found = await self.show(id)
            return found if found["state"] not in ("QUEUED", "SENT", "DELIVERED") else None

        return await eventually(look)


@pytest.fixture
def name(request):
    """Of the device of a test: no other has it."""
    return re.sub(r"\W+", "_", request.node.name)


@pytest.fixture
def rpc(lasting, connect, name):
    return Caller(connect(lasting), name)


@pytest.fixture
async def meter(lasting, device, name):
    return await device(lasting, name, version="1.1", objects=objects())


@pytest.fixture
async def absent(rpc, name):
    """A device that never registered."""
    await rpc.api.post("", 14, {"m2m:nod": {"rn": name, "ni": f"urn:dev:{name}"}})


BATTERY, LIFETIME = "/3/0/9", "/1/0/1"
BOTH = {BATTERY: 72, LIFETIME: 300}
OFFSET = {"path": "/3/0/14", "name": "UTC Offset", "attributes": {}}
ANNOUNCED = {
    "/1/0": "LwM2M Server",
    "/3/0": "Device",
    "/6/0": "Location",
    "/3442/0": "LwM2M v1.1 Test Object",
}
ALL = [{"path": path, "name": name, "attributes": {}} for path, name in ANNOUNCED.items()]
NAMES = ["batteryLevel", "lifetime"]
CALLS = [
    ("Read", {"id": BATTERY}, "2.05", 72),
    ("Read", {"key": "batteryLevel"}, "2.05", 72),
    ("ReadComposite", {"ids": [BATTERY, LIFETIME]}, "2.05", BOTH),
    ("ReadComposite", {"keys": NAMES}, "2.05", BOTH),
    ("Discover", {"id": "/3/0/14"}, "2.05", [OFFSET]),
    ("Discover", {"key": "utcOffset"}, "2.05", [OFFSET]),
    ("DiscoverAll", {}, "2.05", ALL),
    ("WriteAttributes", {"id": BATTERY, "attributes": {"pmin": 1, "gt": 50.5}}, "2.04", None),
    ("WriteAttributes", {"key": "batteryLevel", "attributes": {"pmin": None, "gt": None}}, "2.04", None),
    ("Observe", {"id": BATTERY}, "2.05", 72),
    ("ObserveCancel", {"id": BATTERY}, "2.05", 1),
    ("Observe", {"key": "batteryLevel"}, "2.05", 72),
    ("ObserveCancel", {"key": "batteryLevel"}, "2.05", 1),
    ("ObserveComposite", {"ids": [BATTERY, LIFETIME]}, "2.05", BOTH),
    ("ObserveCompositeCancel", {"keys": NAMES[::-1]}, "2.05", 1),
    ("ObserveComposite", {"keys": NAMES}, "2.05", BOTH),
    ("ObserveCompositeCancel", {"ids": [BATTERY, LIFETIME]}, "2.05", 1),
    ("ObserveReadAll", {}, "2.05", []),
    ("ObserveCancelAll", {}, "2.05", 0),
    ("Execute", {"id": "3/0/4"}, "2.04", None),
    ("Execute", {"key": "reboot", "value": "0='now',1"}, "2.04", None),
    ("WriteReplace", {"id": "/3/0/14", "value": "+05:00"}, "2.04", None),
    ("WriteReplace", {"key": "utcOffset", "value": "+06:00"}, "2.04", None),
    ("WriteUpdate", {"id": "/3/0", "value": {"14": "+07:00"}}, "2.04", None),
    ("WriteUpdate", {"key": "multipleIntegerValue", "value": {"1": 5}}, "2.04", None),
    ("WriteComposite", {"nodes": {"/3/0/14": "+08:00", "/1/0": {"2": 100}}}, "2.04", None),
    ("WriteComposite", {"nodes": {"utcOffset": "+04", "/3_1.2/0/15": "Kyiv"}}, "2.04", None),
    ("Create", {"id": "/3442/12", "value": {"120": -5}}, "2.01", "/3442/12"),
    ("Create", {"id": "/3442", "nodes": {"13": {"string_value": "x"}}}, "2.01", "/3442/13"),
    ("Create", {"id": "/3442_1.0", "value": {"integerValue": 8}}, "2.01", "/3442/1"),
    ("Delete", {"id": "/3442/12"}, "2.02", None),
]


async def test_the_17_methods_by_id_and_by_key(rpc, meter):
    assert {method for method, *_ in CALLS} == set(METHODS)
    assert len(METHODS) == 17
    for method, params, code, value in CALLS:
        found = await rpc.result(method, params)
        assert (found["code"], found.get("value")) == (code, value), found
    assert meter.get("/3/0/14").content == "+04"
    assert meter.get("/3/0/15").content == "Kyiv"
    assert meter.get("/1/0/2").content == 100
    assert meter.get("/3442/0/1120").content == {0: 7, 1: 5}
    assert meter.get("/3442/13/110").content == "x"
    assert [arguments for _, arguments in meter.executed] == ["", "0='now',1"]


async def test_what_lies_below_a_path_is_named(rpc, meter):
    found = await rpc.result("Read", {"id": "/3/0"})
    assert (found["value"]["9"], found["value"]["11"]) == (72, {"0": 0})
    assert {"path": BATTERY, "name": "Battery Level", "value": 72, "units": "%"} in found["entries"]
    assert (await rpc.value("Read", {"id": "/6"})) == {"0": {"0": 52.5, "1": 13.4}}
    assert (await rpc.value("Read", {"id": "/3/0/11"})) == {"0": 0}
    assert (await rpc.value("Read", {"id": "/3/0/11/0"})) == 0


async def test_observing_what_is_observed_gives_the_present_value(rpc, meter):
    for level in (72, 60):
        meter.get(BATTERY).content = level
        assert (await rpc.result("Observe", {"id": BATTERY}))["observing"] is True
    # Exact paths: /3/0/1 is not a part of /3/0/11.
    await rpc.result("ObserveComposite", {"ids": ["/3/0/11", LIFETIME]})
    assert (await rpc.result("Observe", {"id": "/3/0/1"}))["value"] == "Model 500"
    listed = await rpc.value("ObserveReadAll")
    assert sorted(one["paths"] for one in listed) == [["/3/0/1"], ["/3/0/11", LIFETIME], [BATTERY]]
    assert all(one["active"] and one["since"] <= time.time() * 1000 for one in listed)
    assert await rpc.value("ObserveCancelAll") == 3
    assert await rpc.value("ObserveReadAll") == []


async def test_an_observe_with_attributes_is_over_with_the_observe(rpc, meter):
    meter.get(BATTERY).content = 60
    found = await rpc.result("Observe", {"id": BATTERY, "attributes": {"pmin": 1}})
    assert (found["code"], found["value"], found["observing"]) == ("2.05", 60, True)
    assert found["notes"] == []
    (one,) = await rpc.value("ObserveReadAll")
    assert one["paths"] == [BATTERY]


async def test_attributes_that_are_refused_are_told_with_what_became_of_the_observe(rpc, meter):
    def reply(request):
        is_written = request.code == Code.PUT
        return CoapReply(Code.METHOD_NOT_ALLOWED, payload=b"none here") if is_written else None

    meter.faults.reply = reply
    found = await rpc.result("Observe", {"id": BATTERY, "attributes": {"pmin": 1}})
    assert (found["code"], found["observing"]) == ("2.05", True)
    said = "the device answered 4.05 METHOD_NOT_ALLOWED: none here"
    assert found["notes"] == [f"write-attributes {BATTERY}: {said}"]


async def test_a_format_that_the_device_has_is_used(rpc, lasting, device, name):
    links = '</>;rt="oma.lwm2m";ct="110 112",</1/0>,</3/0>'
    one = await device(lasting, name, live=False, version="1.1")
    one._links = links.encode
    await one.register()
    # What the server reads of itself comes first.
    await rpc.result("Read", {"id": BATTERY})
    seen = []
    one.faults.reply = lambda request: seen.append((request.accept, request.content_format))
    await rpc.result("Read", {"id": "/3/0", "contentFormat": "senml-json"})
    await rpc.result("WriteReplace", {"id": "/3/0/14", "value": "+01", "contentFormat": 110})
    assert seen == [(110, None), (None, 110)]
    answer = await rpc("Read", {"id": "/3/0", "contentFormat": "TLV"})
    assert answer.status_code == 415
    assert answer.json()["detail"] == "contentFormat: the device announced senml-json, senml-cbor, not tlv"


# --- what is refused, and by whom ----------------------------------------------------------------------

REFUSED = [
    ("Raed", {}, "there is no method 'Raed'; did you mean Read?"),
    ("read", {}, "there is no method 'read'; did you mean Read?"),
    ("Read", {}, '"id" with a path such as /3/0/9 is expected, or "key" with a name'),
    ("Read", {"Id": "/3"}, "'Id' is no member of the params of Read; did you mean id?"),
    ("Read", {"id": "/3/x"}, "id: '/3/x' is not an LwM2M path"),
    ("Read", {"id": "/"}, "name an Object, or ask DiscoverAll"),
    ("Read", {"id": 3}, "id: a path such as /3/0/9 is expected, not a number"),
    ("Read", {"id": "/5"}, " has no object 5; it has /1 /3 /6 /3442"),
    ("Read", {"id": "/3/0/99"}, "object 3 Device has no resource 99"),
    ("Read", {"id": "/3/0/4"}, "Reboot cannot be read, only executed"),
    ("Read", {"key": "colour"}, "no Resource of this device goes by 'colour'"),
    ("Read", {"id": "/3", "contentFormat": "yaml"}, "unknown content format 'yaml'"),
    ("ReadComposite", {"ids": []}, 'params: "ids" with a list'),
    ("Discover", {"id": "/3/0/11/0"}, "/3/0/11/0 is a Resource Instance; an Object or"),
    ("ObserveCancel", {"id": BATTERY}, "nothing observes /3/0/9; nothing is observed"),
    ("Execute", {"id": BATTERY}, "/3/0/9: Battery Level cannot be executed, only read"),
    ("Execute", {"id": "/3/0/4", "value": "now"}, "is no argument such as 0='now' or 1"),
    ("WriteReplace", {"id": "/3/0/14"}, "value: what to write is expected"),
    ("WriteReplace", {"id": "/3/0/9", "value": 5}, "Battery Level cannot be written, only read"),
    ("WriteReplace", {"id": "/3/0/14", "value": {"0": 1}}, "one value is expected"),
    ("WriteReplace", {"id": "/3442/0/150", "value": {"hex": "00a"}}, "'00a' is not hexadecimal"),
    ("WriteReplace", {"id": "/1/0/1", "value": "soon"}, "/1/0/1"),
    ("WriteUpdate", {"id": "/3/0/14", "value": "+1"}, "is a single value, which WriteReplace writes"),
    ("WriteUpdate", {"id": "/3/0", "value": {"utc_ofset": 1}}, "did you mean utc_offset?"),
    ("WriteComposite", {"nodes": {}}, "nodes: an object such as"),
    ("WriteComposite", {"nodes": {"/3/0/14": "+1", "utcOffset": "+1"}}, "nodes: /3/0/14 stands there twice"),
    ("WriteAttributes", {"id": BATTERY, "attributes": {"pmim": 1}}, "pmim"),
    ("WriteAttributes", {"id": BATTERY, "attributes": {"pmin": 60, "pmax": 10}}, "pm"),
    ("Delete", {"id": "/3/0/9"}, "/3/0/9 is a Resource; an Object Instance or"),
]


async def test_a_refusal_says_what_is_wrong(rpc, meter):
    # What the server reads of itself comes first.
    await rpc.result("Read", {"id": BATTERY})
    heard = meter.faults.heard
    answers = [(await rpc(method, params), sentence) for method, params, sentence in REFUSED]
    said = [
        (answer.status_code, answer.json().get("detail", answer.text), sentence)
        for answer, sentence in answers
    ]
    assert [one for one in said if one[0] != 400 or one[2] not in one[1]] == []
    assert meter.faults.heard == heard


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"retrys": 1}, "'retrys' is no member of an RPC; did you mean retries?"),
        ({"timeout": 10}, "timeout: a number from 1000 to 120000 is expected"),
        ({"retries": 1}, 'retries: only an RPC with "persistent": true is sent again'),
        ({"persistent": True, "retries": 9}, "retries: a number from 0 to 5 is expected"),
        ({"expirationTime": 5}, "expirationTime: it is "),
        ({"params": "{"}, "params: the text is not JSON"),
        ({"oneway": "yes"}, "oneway: true or false is expected"),
        ({"oneway": False, "way": "/oneway"}, "oneway: the address says true, the body false"),
    ],
)
async def test_a_call_that_makes_no_sense(rpc, meter, more, sentence):
    answer = await rpc("Read", **{"params": {"id": "/3"}, **more})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(sentence)


async def test_what_a_device_refuses_is_passed_on(rpc, meter):
    meter.faults.reply = lambda request: CoapReply(Code.NOT_FOUND, payload=b"sold out")
    answer = await rpc("Read", {"id": BATTERY})
    found = answer.json()
    assert (answer.status_code, found["state"], found["result"], found["code"]) == (
        200,
        "FAILED",
        "NOT_FOUND",
        "4.04",
    )
    assert found["error"] == "the device answered 4.04 NOT_FOUND: sold out"
    meter.faults.reply = lambda request: CoapReply(Code.CONTENT, payload=b"\xff\xff", content_format=112)
    found = (await rpc("Read", {"id": "/3/0"})).json()
    assert (found["state"], found["code"]) == ("FAILED", "2.05")
    assert base64.b64decode(found["rawPayload"]) == b"\xff\xff"


async def test_a_check_says_what_would_be_sent_and_sends_nothing(rpc, meter):
    found = await rpc("WriteReplace", {"id": "/3_1.9/0/14", "value": "+02:00"}, way="/check")
    assert found.status_code == 200, found.text
    assert found.json()["messages"] == [{"method": "PUT", "path": "/3/0/14", "value": "+02:00"}]
    assert "1.9" in found.json()["notes"][0]
    refused = await rpc("WriteReplace", {"id": LIFETIME, "value": "soon"}, way="/check")
    assert (refused.status_code, "/1/0/1" in refused.json()["detail"]) == (400, True)
    assert (await rpc.api.get(f"/api/v1/devices/{rpc.name}/rpc")).json()["rpcs"] == []


async def test_params_may_be_a_text(rpc, meter):
    body = {"method": "Read", "params": '{"id": "/3/0/9"}'}
    answer = await rpc.api.client.post(f"{rpc.base}/devices/{rpc.name}/rpc/twoway", json=body)
    assert answer.json()["value"] == 72


# --- waiting ----------------------------------------------------------------------------------------------


async def test_one_way_does_not_wait(rpc, meter, eventually):
    found = await rpc.queued("Read", {"id": BATTERY}, way="/oneway", additionalInfo={"ticket": 7})
    ended = await rpc.ended(found["rpcId"], eventually)
    assert (ended["state"], ended["value"], ended["oneway"]) == ("SUCCESSFUL", 72, True)
    assert ended["additionalInfo"] == {"ticket": 7}


async def test_two_ways_end_when_their_time_is_over(rpc, meter, name):
    await rpc.result("Read", {"id": BATTERY})
    meter.faults.delay = 30
    began = time.monotonic()
    answer = await rpc("Read", {"id": BATTERY}, timeout=1000)
    assert 0.9 < time.monotonic() - began < 5
    assert answer.status_code == 504
    found = answer.json()
    assert (found["state"], found["detail"]) == ("TIMEOUT", "the device did not answer in time")
    assert (await rpc.show(found["id"]))["state"] == "TIMEOUT"
    assert await rpc.api.messages(name, "outgoing-msg") == []


async def test_who_is_not_registered_is_asked_only_if_that_may_wait(
    rpc, absent, lasting, device, name, eventually
):
    answer = await rpc("Read", {"id": BATTERY})
    assert answer.status_code == 504
    assert "is not registered" in answer.json()["detail"]
    found = await rpc.queued("Read", {"id": BATTERY}, persistent=True)
    assert (found["state"], found["rpcId"]) == ("QUEUED", found["id"])
    await device(lasting, name, version="1.1")
    assert (await rpc.ended(found["id"], eventually))["value"] == 72


async def test_a_persistent_call_is_sent_again_when_the_device_is_heard(
    rpc, lasting, device, name, eventually
):
    one = await device(lasting, name, live=False, version="1.1")
    await one.register()
    await rpc.result("Read", {"id": BATTERY})
    one.faults.silent = True
    found = await rpc.queued("Read", {"id": BATTERY}, persistent=True, retries=2)

    async def waits_again():
        shown = await rpc.show(found["id"])
        return shown["retryAt"] and shown

    waiting = await eventually(waits_again)
    assert (waiting["state"], waiting["retries"], waiting["attempts"]) == ("QUEUED", 1, 1)
    one.faults.silent = False
    await one.update()
    ended = await rpc.ended(found["id"], eventually)
    assert (ended["state"], ended["value"], ended["attempts"]) == ("SUCCESSFUL", 72, 2)


async def test_taking_back_and_forgetting(rpc, absent, name):
    api = rpc.api
    first = await rpc.queued("Read", {"id": BATTERY}, persistent=True)
    second = await rpc.queued("Read", {"id": "/3/0"}, persistent=True)
    page = (await api.get(f"/api/v1/devices/{name}/rpc?limit=1")).json()
    assert [one["id"] for one in page["rpcs"]] == [second["id"]]
    page = (await api.get(f"/api/v1/devices/{name}/rpc?limit=1&after={page['next']}")).json()
    assert ([one["id"] for one in page["rpcs"]], "next" in page) == ([first["id"]], False)
    gone = await api.delete(f"/api/v1/rpc/{first['id']}")
    assert (gone.status_code, gone.json()["state"]) == (200, "CANCELLED")
    # Whoever removes the message has taken the RPC back, too.
    listed = (await api.get(f"device-communication/{name}/outgoing-msg?rcn=8")).json()
    (message,) = listed["container"]["contentInstance"]
    assert message["labels"] == [f"rpc:{second['id']}"]
    await api.delete(f"/{message['resourceID']}")
    assert (await rpc.show(second["id"]))["state"] == "CANCELLED"
    assert (await api.delete(f"/api/v1/rpc/{first['id']}")).status_code == 204
    assert (await api.get(f"/api/v1/rpc/{first['id']}")).status_code == 404
    page = (await api.get(f"/api/v1/devices/{name}/rpc?state=CANCELLED")).json()
    assert [one["id"] for one in page["rpcs"]] == [second["id"]]


async def test_the_queue_says_what_waits_and_on_whose_behalf(rpc, absent, name):
    api = rpc.api
    asked = await rpc.queued("WriteReplace", {"id": "/3/0/14", "value": "+01"}, persistent=True)
    wish = await api.wish(name, "GET /3")
    queue = (await api.get(f"/api/v1/devices/{name}/queue")).json()
    assert (queue["device"], queue["registered"], queue["awake"]) == (name, False, None)
    first, second = queue["queue"]
    assert first["by"] == {"kind": "rpc", "id": asked["id"], "method": "WriteReplace"}
    assert (first["state"], first["until"], first["transferred"]) == ("waiting", asked["expiresAt"], None)
    assert first["since"] >= asked["createdAt"]
    assert second["by"] == {"kind": "application", "origin": "CTestApp"}
    assert (second["id"], second["content"]) == (wish["resourceID"], "GET /3")
    for one in (first, second):
        assert (await api.delete(f"/api/v1/devices/{name}/queue/{one['id']}")).status_code == 204
        assert (await api.delete(f"/api/v1/devices/{name}/queue/{one['id']}")).status_code == 404
    assert (await api.get(f"/api/v1/devices/{name}/queue")).json()["queue"] == []
    assert (await rpc.show(asked["id"]))["state"] == "CANCELLED"
    assert await api.messages(name, "outgoing-msg") == []


# --- what users of others complained of ---------------------------------------------------------------------


async def test_complaint_03_unversioned_paths(rpc, meter):
    """The version of an Object may stand in a path, or not; another one is tolerated, and said."""
    assert (await rpc.result("Read", {"id": BATTERY}))["notes"] == []
    found = await rpc.result("Read", {"id": "3_1.9/0/9"})
    assert found["value"] == 72
    assert found["notes"] == ["/3_1.9: the device has version 1.1 of this Object"]


async def test_complaint_04_objects_of_any_version(rpc, lasting, device, name):
    """Values of an Object whose version is not 1.0 are read as those of any other."""
    await device(
        lasting,
        name,
        version="1.1",
        objects=[
            *default_objects(300, "U"),
            SimulatedObject(3303, {0: {5700: Resource(ResourceType.FLOAT, 21.5)}}, version="1.1"),
        ],
    )
    assert await rpc.value("Read", {"id": "/3303/0/5700"}) == 21.5
    assert await rpc.value("Read", {"key": "sensorValue"}) == 21.5


async def test_complaint_07_a_sleeper_is_asked_when_it_wakes(rpc, absent, lasting, device, name, eventually):
    """Nobody has to say that an RPC is to wait: it does, where the device sleeps."""
    one = await device(lasting, name, live=False, queue_mode=True, version="1.1")
    await rpc.api.put(f"/api/v1/devices/{name}/power-saving", {"awakeWindow": 0.2})
    await one.register()

    async def sleeps():
        return (await rpc.api.get(f"/api/v1/devices/{name}/queue")).json()["awake"] is False

    await eventually(sleeps)
    found = await rpc.queued("WriteReplace", {"id": "/3/0/14", "value": "+09:00"})
    assert (found["state"], found["queuedUntil"]) == ("QUEUED", found["expiresAt"])
    await one.update()
    assert (await rpc.ended(found["id"], eventually))["state"] == "SUCCESSFUL"
    assert one.get("/3/0/14").content == "+09:00"


BIG = 2**63 - 1
VALUES = [
    (120, -100, -100),
    (120, -BIG - 1, -BIG - 1),
    (120, BIG, BIG),
    (125, 4_294_967_196, 4_294_967_196),
    (125, 2**64 - 1, 2**64 - 1),
    (130, -0.5, -0.5),
    (140, True, True),
    (150, "AKz/", b"\x00\xac\xff"),
    (150, {"hex": "00acff"}, b"\x00\xac\xff"),
    (160, 1_733_389_745_000, 1_733_389_745),
    (170, "3:0", ObjLink(3, 0)),
    (180, "</3/0>", "</3/0>"),
    (110, "", ""),
]


async def test_complaint_24_integers_of_the_whole_range(rpc, meter):
    """Negative, unsigned and 64 bits, and every other type: there and back as they are."""
    for resource, written, held in VALUES:
        path = f"/3442/0/{resource}"
        await rpc.result("WriteReplace", {"id": path, "value": written})
        assert meter.get(path).content == held
        found = await rpc.value("Read", {"id": path})
        assert found == (base64.b64encode(held).decode() if resource == 150 else written)
    for resource, wrong in ((120, 2**63), (125, -1), (125, 2**64), (120, 1.5), (140, "perhaps"), (150, 5)):
        answer = await rpc("WriteReplace", {"id": f"/3442/0/{resource}", "value": wrong})
        assert answer.status_code == 400
        assert f"/3442/0/{resource}" in answer.json()["detail"]


async def test_complaint_33_no_call_is_stuck_after_a_crash(serve, connect, device, eventually):
    """Whatever is under way when the server dies comes to a true end afterwards."""
    server = serve("--unknown-devices", "create")
    api = connect(server)
    one = await device(server, "meter", live=False, version="1.1")
    await one.register()
    other = await device(server, "late", live=False, version="1.1")
    await other.register()
    rpc, absent, late = (Caller(api, name) for name in ("meter", "absent", "late"))
    await late.result("Read", {"id": BATTERY})
    await api.post("", 14, {"m2m:nod": {"rn": "absent", "ni": "urn:dev:absent"}})
    await rpc.result("Read", {"id": BATTERY})
    done = await rpc.queued("Read", {"id": "/3/0/0"}, persistent=True)
    await rpc.ended(done["id"], eventually)
    other.faults.silent = True
    again = await late.queued("Read", {"id": BATTERY}, persistent=True, retries=1)

    async def is_to_be_sent_again():
        return (await late.show(again["id"]))["retryAt"]

    await eventually(is_to_be_sent_again)
    one.faults.silent = True
    under_way = await rpc.queued("Execute", {"id": "/3/0/4"}, persistent=True)
    behind = await rpc.queued("Read", {"id": BATTERY}, persistent=True)
    waiting = await absent.queued("Read", {"id": BATTERY}, persistent=True)
    expiring = await absent.queued(
        "Read", {"id": BATTERY}, persistent=True, expirationTime=int(time.time() * 1000) + 1000
    )
    light = asyncio.create_task(rpc("Read", {"id": "/3/0/1"}, timeout=2000))
    await asyncio.sleep(0.1)
    server.kill()
    with pytest.raises(httpx.HTTPError):
        await light
    one.faults.silent = other.faults.silent = False
    server.restart()
    rpc = Caller(connect(server), "meter")
    assert (await rpc.show(done["id"]))["state"] == "SUCCESSFUL"
    ended = await rpc.ended(under_way["id"], eventually)
    assert (ended["state"], "may have done it" in ended["error"]) == ("FAILED", True)
    assert (await rpc.ended(behind["id"], eventually))["value"] == 72
    assert (await rpc.ended(expiring["id"], eventually))["state"] == "EXPIRED"
    assert (await rpc.show(waiting["id"]))["state"] == "QUEUED"

    async def nobody_waits():
        listed = (await rpc.api.get("/api/v1/devices/meter/rpc")).json()["rpcs"]
        return len(listed) == 5 and all(row["finishedAt"] for row in listed)

    await eventually(nobody_waits)
    assert not one.executed
    assert (await rpc.show(again["id"]))["state"] == "QUEUED"
    await other.update()
    assert (await rpc.ended(again["id"], eventually))["value"] == 72


# --- from the command line --------------------------------------------------------------------------------


@pytest.fixture
def lwm2m_rpc(lasting):
    """Runs ``lwm2m rpc``; in a thread, so that devices go on."""

    async def run(*words):
        return await asyncio.to_thread(CliRunner().invoke, lwm2m, ["rpc", *words, "--url", lasting.http])

    return run


async def test_the_command_line_calls_and_shows(lwm2m_rpc, rpc, meter, name):
    shown = await lwm2m_rpc(name, "Read", "/3/0/9")
    assert (shown.exit_code, shown.stdout.splitlines()[1].split()) == (
        0,
        ["/3/0/9", "Battery", "Level", "72", "%"],
    )
    shown = await lwm2m_rpc(name, "WriteReplace", "utcOffset", "value=+03:00")
    assert (shown.exit_code, shown.stdout) == (0, "2.04 CHANGED\n")
    assert meter.get("/3/0/14").content == "+03:00"
    shown = await lwm2m_rpc(name, "ReadComposite", "ids=/3/0/9,/1/0/1", "--json")
    assert json.loads(shown.stdout)["value"] == BOTH
    shown = await lwm2m_rpc(name, "WriteComposite", '{"nodes": {"/1/0/2": 5}}')
    assert shown.exit_code == 0
    shown = await lwm2m_rpc(name, "DiscoverAll")
    assert json.loads(shown.stdout.splitlines()[0])["path"] == "/1/0"
    shown = await lwm2m_rpc(name, "Raed", "/3")
    assert (shown.exit_code, "did you mean Read?" in shown.stderr) == (2, True)
    meter.faults.reply = lambda request: CoapReply(Code.FORBIDDEN)
    shown = await lwm2m_rpc(name, "Read", "/3/0/9")
    assert (shown.exit_code, "4.03 FORBIDDEN" in shown.stderr) == (1, True)
    listed = await lwm2m_rpc("list", name, "--state", "FAILED")
    assert len(listed.stdout.splitlines()) == 2
    id = listed.stdout.splitlines()[1].split()[0]
    shown = await lwm2m_rpc("show", id)
    assert (shown.exit_code, "4.03 FORBIDDEN" in shown.stdout) == (0, True)


async def test_the_command_line_finds_devices(rpc, meter, name, lasting):
    async def listed(*words):
        line = ["devices", "list", "--search", name, *words, "--url", lasting.http]
        shown = await asyncio.to_thread(CliRunner().invoke, lwm2m, line)
        assert shown.exit_code == 0, shown.stderr
        return [line.split()[0] for line in shown.stdout.splitlines()[1:]]

    assert await listed() == [name]
    assert await listed("--registered", "--state", "awake", "--sort", "lastSeen", "--reverse") == [name]
    assert await listed("--unregistered") == []
    await rpc.result("Read", {"id": BATTERY})
    line = ["devices", "show", name, "--url", lasting.http]
    shown = (await asyncio.to_thread(CliRunner().invoke, lwm2m, line)).stdout
    assert re.search(r"said +[-0-9: ]+ response read 3/0/9 2.05", shown)


async def test_the_command_line_takes_back(lwm2m_rpc, absent, name):
    queued = await lwm2m_rpc(name, "Read", "/3", "--persistent", "--json")
    id = json.loads(queued.stdout)["rpcId"]
    assert (await lwm2m_rpc("cancel", id)).stdout == f"{id} taken back\n"
    assert (await lwm2m_rpc("cancel", id)).stdout == f"{id} forgotten\n"
    assert "was asked nothing" in (await lwm2m_rpc("list", name)).stderr
