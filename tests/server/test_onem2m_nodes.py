"""Nodes: what each is born with, names, labels, update and removal."""

from contextlib import closing

import pytest

from lwm2m_server.onem2m.behaviours.nodes import node_name, provision_node, put_node
from lwm2m_server.settings import MessageSettings
from lwm2m_server.store.ids import NodeIds
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Tenant

BOXES = {"outgoing-msg", "sent-msg", "received-msg", "error-msg", "logs"}


async def refused(answer, status, rsc, *words):
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (status, str(rsc)), answer.text
    assert answer.json().keys() == {"m2m:dbg"}
    for word in words:
        assert word in answer.json()["m2m:dbg"]


async def test_a_node_has_credentials_device_info_and_five_containers(api):
    await api.add_device()
    children = (await api.get("/device001?rcn=8")).json()["node"]
    assert {key: [child["resourceName"] for child in group] for key, group in children.items()} == {
        "credentials": ["credentials"],
        "deviceInfo": ["device-info"],
    }
    assert children["credentials"][0]["credentialID"] == "UNDEFINED"
    assert children["credentials"][0]["credentialSecret"] == "UNDEFINED"
    boxes = (await api.get("/device-communication/device001?rcn=8")).json()["container"]["container"]
    assert {box["resourceName"] for box in boxes} == BOXES
    for box in boxes:
        holds_requests = box["resourceName"] in ("outgoing-msg", "sent-msg")
        most = 4_000_000 if holds_requests else 1_000_000
        assert (box["maxNrOfInstances"], box["maxByteSize"]) == (100, most)
        assert (box["currentNrOfInstances"], box["currentByteSize"], box["stateTag"]) == (0, 0, 0)
        assert box["creator"] == "CDevice-Provisioning"


def test_the_nine_resources_are_made_from_their_ids(tmp_path):
    ids = NodeIds(1_000_000)
    made = provision_node(ids, Tenant(1, "main"), 2, "dev", "urn:x", ["a:b"], MessageSettings(outgoing_mni=7))
    assert made.node.attributes == {"ni": "urn:x", "lbl": ["a:b"]}
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        ledger.run(lambda transaction: put_node(transaction, made))
        found = [ledger.reader.resource(1_000_000 + offset) for offset in range(NodeIds.COUNT)]
        assert found[:1] == [made.node]
        assert list(ledger.reader.children(ids.node)) == found[1:3]
        assert found[3] == made.communication
        assert list(ledger.reader.children(ids.communication)) == found[4:]
        assert {box.name for box in found[4:]} == BOXES
        outgoing = ledger.reader.child(ids.communication, "outgoing-msg")
    assert (outgoing.id, outgoing.parent, outgoing.attributes["mni"]) == (ids.outgoing, ids.communication, 7)


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("urn:imei:123", "urn:imei:123"),
        ("a b/ü", "a_b__"),
        ("taken", "taken-2"),
        ("la", "la-2"),
        ("device-communication", "device-communication-2"),
        ("~", "_-2"),
        ("..", "..-2"),
        ("", "_-2"),
    ],
)
def test_a_node_is_named_after_its_endpoint(endpoint, name):
    assert node_name(endpoint, {"taken", "taken-1"}.__contains__) == name


async def test_names_that_are_no_names_and_names_of_the_platform(api):
    for name in (
        "device-communication",
        "device-group",
        "device-provisioning",
        "la",
        "ol",
        "-",
        "_",
        "~",
        "..",
    ):
        answer = await api.post("", 14, {"m2m:nod": {"rn": name, "ni": "urn:x"}})
        await refused(answer, 400, 4000, name)
    for name in ("", "a/b", "a b", "ü", "x" * 256, "a\n"):
        answer = await api.post("", 14, {"m2m:nod": {"rn": name, "ni": "urn:x"}})
        await refused(answer, 400, 4000, "resource name")


async def test_a_taken_name_or_node_id_is_a_conflict(api):
    await api.add_device("dev", ni="urn:imei:490154203237518")
    await refused(await api.post("", 14, {"m2m:nod": {"rn": "dev", "ni": "urn:y"}}), 409, 4105, "dev")
    same = {"m2m:nod": {"rn": "other", "ni": "urn:gsma:imei:490154203237518"}}
    await refused(await api.post("", 14, same), 409, 4105)
    assert (await api.get("/other")).status_code == 404
    assert (await api.get("/device-communication/other")).status_code == 404


async def test_applications_and_nodes_share_their_names(api):
    await api.add_device("one")
    origin = {"X-M2M-Origin": "CApp"}
    await refused(await api.post("", 2, {"m2m:ae": {"rn": "one", "api": "Nx"}}, headers=origin), 409, 4105)
    assert (await api.post("", 2, {"m2m:ae": {"rn": "two", "api": "Nx"}}, headers=origin)).status_code == 201
    await refused(await api.post("", 14, {"m2m:nod": {"rn": "two", "ni": "urn:x"}}), 409, 4105)


async def test_an_unnamed_node_is_named_after_its_id(api):
    answer = await api.post("", 14, {"node": {"nodeID": "urn:imei:1"}})
    assert answer.json()["node"]["resourceName"] == "urn:imei:1"
    assert (await api.get("/urn:imei:1")).status_code == 200


async def test_labels_are_replaced_and_lifecycle_labels_never_stored(api):
    await api.add_device("dev", lbl=["a:1"])
    labels = ["b:2", "updates_timestamp: 1738537906296", "registrations_timestamp:1"]
    answer = await api.put("/dev?rcn=1", {"m2m:nod": {"lbl": labels}})
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (200, "2004")
    assert answer.json()["node"]["labels"] == ["b:2"]
    assert answer.json()["node"]["lastModifiedTime"] > answer.json()["node"]["creationTime"]
    answer = await api.put("/dev", {"node": {"labels": None}})
    assert "labels" not in answer.json()["node"]
    assert answer.json()["node"]["nodeID"] == "urn:dev:dev"


async def test_the_node_id_can_be_changed_not_removed(api):
    await api.add_device("dev")
    await api.add_device("other")
    assert (await api.put("/dev", {"m2m:nod": {"ni": "urn:new"}})).json()["node"]["nodeID"] == "urn:new"
    assert api.ledger.reader.device_of_endpoint("urn:new").name == "dev"
    await refused(await api.put("/dev", {"m2m:nod": {"ni": None}}), 400, 4000, "ni (nodeID)")
    await refused(await api.put("/dev", {"m2m:nod": {"ni": "urn:dev:other"}}), 409, 4105)
    await refused(await api.put("/dev", {"m2m:nod": {"rn": "x"}}), 400, 4000, "rn (resourceName)")


async def test_a_removed_node_takes_all_with_it_and_its_name_is_free(api):
    node = await api.add_device("dev")
    outgoing = "/device-communication/dev/outgoing-msg"
    await api.post(outgoing, 4, {"m2m:cin": {"con": "GET /3"}})
    answer = await api.delete("/dev")
    assert (answer.status_code, answer.headers["x-m2m-rsc"], answer.content) == (200, "2002", b"")
    assert api.devices.forgotten == ["dev"]
    for path in ("/dev", "/dev/credentials", "/device-communication/dev", outgoing, f"{outgoing}/la"):
        await refused(await api.get(path), 404, 4004)
    await refused(await api.post(outgoing, 4, {"m2m:cin": {"con": "GET /3"}}), 404, 4004)
    assert api.ledger.reader.device_named("main", "dev") is None
    assert (await api.add_device("dev"))["resourceID"] != node["resourceID"]
    assert (await api.get(outgoing)).json()["container"]["currentNrOfInstances"] == 0
    assert (await api.post(outgoing, 4, {"m2m:cin": {"con": "GET /3"}})).status_code == 201


async def test_the_platform_keeps_what_is_its_own(api):
    await api.add_device("dev")
    for path in ("", "/device-communication", "/device-communication/dev", "/device-communication/dev/logs"):
        await refused(await api.delete(path), 405, 4005)
        await refused(await api.put(path, {"m2m:cnt": {"lbl": ["x"]}}), 405, 4005)
