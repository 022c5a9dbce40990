"""The requests of the D2C documents, literally: key sets, types and constants of the answers."""

import re

import attrs
import pytest

from lwm2m_engine.coap import Peer
from lwm2m_engine.engine.records import Liveness, Registration
from lwm2m_server.store.ids import NodeIds
from lwm2m_server.store.records import Message

TIME = re.compile(r"\d{8}T\d{6},\d{6}")
RI = re.compile(r"[0-9a-f]{24}")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
MESSAGE_KEYS = {
    "content",
    "resourceType",
    "contentSize",
    "stateTag",
    "creator",
    "resourceName",
    "resourceID",
    "parentID",
    "creationTime",
    "lastModifiedTime",
}
OUTGOING = "/device-communication/device001/outgoing-msg"


def check_message(instance, keys):
    assert instance.keys() == keys
    assert instance["resourceType"] == 4
    assert UUID.fullmatch(instance["resourceName"])
    assert RI.fullmatch(instance["resourceID"])
    assert RI.fullmatch(instance["parentID"])
    assert instance["resourceID"] != instance["parentID"]
    assert TIME.fullmatch(instance["creationTime"])
    assert instance["lastModifiedTime"] == instance["creationTime"]
    assert type(instance["stateTag"]) is int
    assert type(instance["contentSize"]) is int


async def test_a_message_to_the_device(api):
    await api.add_device()
    answer = await api.post(
        OUTGOING,
        4,
        {"m2m:cin": {"con": "GET /3\n"}},
        headers={"Accept": "application/json", "Authorization": "Bearer token"},
    )
    assert answer.status_code == 201
    assert answer.json().keys() == {"contentInstance"}
    instance = answer.json()["contentInstance"]
    check_message(instance, MESSAGE_KEYS)
    assert instance["content"] == "GET /3\n"
    assert instance["contentSize"] == 7
    assert instance["creator"] == "CTestApp"
    assert instance["stateTag"] == 1


async def test_the_last_message_sent(api):
    await api.add_device()
    posted = (await api.post(OUTGOING, 4, {"m2m:cin": {"con": "GET /3\n"}})).json()["contentInstance"]
    device = api.ledger.reader.device_named("main", "device001")
    ids = NodeIds(device.node)
    (waiting,) = api.ledger.reader.messages(ids.outgoing)
    await api.ledger.commit(
        lambda write: write.move_message(waiting.id, ids.outgoing, ids.sent, waiting.id + 5)
    )
    answer = await api.get("/device-communication/device001/sent-msg/la")
    assert answer.status_code == 200
    sent = answer.json()["contentInstance"]
    check_message(sent, MESSAGE_KEYS)
    assert (sent["content"], sent["creator"]) == ("GET /3\n", "CTestApp")
    assert sent["resourceID"] != posted["resourceID"]
    assert sent["parentID"] != posted["parentID"]


async def test_the_last_message_received(api):
    await api.add_device()
    device = api.ledger.reader.device_named("main", "device001")
    content = '{"time":1752761134124,"dataValue":{"3/0/9":72,"big":18446744073709551615}}'
    id = device.node + 1_000_000
    message = Message(
        id=id,
        container=NodeIds(device.node).received,
        own_name=None,
        creator="CDevice-Provisioning",
        state_tag=0,
        content=content,
        content_info="application/json:0",
        size=len(content),
    )
    await api.ledger.commit(lambda write: write.add_message(message))
    instance = (await api.get("/device-communication/device001/received-msg/la")).json()["contentInstance"]
    check_message(instance, MESSAGE_KEYS | {"contentInfo"})
    assert instance["contentInfo"] == "application/json:0"
    assert instance["creator"] == "CDevice-Provisioning"
    assert instance["contentSize"] == len(content)
    assert instance["content"]["dataValue"] == {"3/0/9": 72, "big": 2**64 - 1}


MGMT_KEYS = {
    "mgmtDefinition",
    "resourceName",
    "resourceType",
    "resourceID",
    "parentID",
    "creationTime",
    "lastModifiedTime",
}


async def test_management_objects_of_a_node(start, readable_secrets):
    api = await start(readable_secrets)
    node = await api.add_device()
    await api.put("/device001/credentials", {"m2m:crds": {"crid": "test@test.com", "crse": "test123"}})
    device = api.ledger.reader.device_named("main", "device001")
    attributes = {
        "mgd": 1007,
        "dlb": "device001",
        "dvnm": "My Demo Device",
        "fwv": "1.0.0",
        "syst": "1752761133000",
    }
    ids = NodeIds(device.node)
    await api.ledger.commit(lambda write: write.change(ids.device_info, attributes, device.node + 9))
    answer = await api.get(
        "/device001?ty=13&rcn=8", headers={"X-M2M-Origin": "CAdmin", "Accept": "application/json"}
    )
    assert answer.status_code == 200
    body = answer.json()
    assert body.keys() == {"node"}
    assert body["node"].keys() == {"credentials", "deviceInfo"}
    (credentials,), (info,) = body["node"]["credentials"], body["node"]["deviceInfo"]
    assert credentials.keys() == MGMT_KEYS | {"description", "credentialID", "credentialSecret"}
    assert credentials["description"] == "cred"
    assert credentials["mgmtDefinition"] == 1029
    assert credentials["resourceName"] == "credentials"
    assert (credentials["credentialID"], credentials["credentialSecret"]) == ("test@test.com", "test123")
    assert info.keys() == MGMT_KEYS | {"deviceLabel", "deviceName", "fwVersion", "systemTime"}
    assert info["resourceName"] == "device-info"
    assert info["mgmtDefinition"] == 1007
    assert info["systemTime"] == "1752761133000"
    for one in (credentials, info):
        assert one["resourceType"] == 13
        assert one["parentID"] == node["resourceID"]
        assert RI.fullmatch(one["resourceID"])
        assert TIME.fullmatch(one["creationTime"])
        assert TIME.fullmatch(one["lastModifiedTime"])


def registration(endpoint="device001"):
    return Registration(
        id="r1",
        endpoint=endpoint,
        version="1.1",
        lifetime=300,
        binding="U",
        queue_mode=False,
        root="/",
        objects={3: "1.1"},
        instances=(),
        links=(),
        formats=(),
        sms=None,
        attributes={},
        registered_at=1733389745.807,
    )


LIVENESS = Liveness(Peer("127.0.0.1", 5000), 1733389745.807, None)


async def test_a_node_with_its_labels(api):
    labels = ["UplinkProperty_Address:Kuckhoff street", "profile:SCS-lwM2M", "ICCID:89882280000004492060"]
    await api.add_device(ni="urn:gsma:imei:3519345467882060", lbl=labels)
    device = api.ledger.reader.device_named("main", "device001")

    def register(write):
        write.put_registration(device.node, registration(), LIVENESS, 1733389745.807)
        write.touch(device.node, attrs.evolve(LIVENESS, seen_at=1738537906.296), 1738537906.296)

    await api.ledger.commit(register)
    answer = await api.get(
        "/device001",
        headers={"fullName": "true", "X-M2M-Origin": "CDevice-Provisioning", "Authorization": "Bearer x"},
    )
    assert answer.status_code == 200
    node = answer.json()["node"]
    assert node.keys() == {
        "nodeID",
        "labels",
        "resourceName",
        "resourceType",
        "resourceID",
        "parentID",
        "creationTime",
        "lastModifiedTime",
    }
    assert node["nodeID"] == "urn:gsma:imei:3519345467882060"
    assert node["resourceType"] == 14
    assert node["parentID"] == "main"
    assert node["labels"] == [
        *labels,
        "updates_timestamp: 1738537906296",
        "registrations_timestamp: 1733389745807",
    ]


@pytest.mark.parametrize(("unit", "text"), [("ms", "1733389745807"), ("s", "1733389745")])
async def test_the_end_of_a_registration_leaves_labels(start, settings, unit, text):
    api = await start(attrs.evolve(settings, timestamp_unit=unit))
    for name, expired in (("gone", True), ("left", False)):
        await api.add_device(name)
        node = api.ledger.reader.device_named("main", name).node

        def end(write, node=node, name=name, expired=expired):
            write.put_registration(node, registration(name), LIVENESS, 1733389745.807)
            write.end_registration(node, 1733389745.807, expired=expired)

        await api.ledger.commit(end)
    found = [(await api.get(f"/{name}")).json()["node"]["labels"] for name in ("gone", "left")]
    assert found == [
        [f"registrations_timestamp: {text}", f"expirations_timestamp: {text}"],
        [f"registrations_timestamp: {text}", f"deregistrations_timestamp: {text}"],
    ]
