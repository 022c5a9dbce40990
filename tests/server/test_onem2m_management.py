"""credentials and device-info: creation, secrets, identities."""

import attrs
import pytest

from lwm2m_engine import Entry, Mapping, Path, Rule
from lwm2m_engine.mapping.table import MappingTable
from lwm2m_engine.messages import Write
from lwm2m_server.settings import Settings
from lwm2m_server.store.records import Resource


async def refused(answer, status, rsc, *words):
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (status, str(rsc)), answer.text
    for word in words:
        assert word in answer.json()["m2m:dbg"]


def identity_of(api, name):
    device = api.ledger.reader.device_named("main", name)
    row = api.ledger.reader.credential(device.node, "management")
    return row.identity if row is not None else None


INFO = {"dlb": ["label"], "man": "ACME", "mod": "M1", "dty": "sensor"}


async def test_credentials_are_deleted_and_made_anew(api):
    node = await api.add_device("dev")
    assert (await api.delete("/dev/credentials")).status_code == 200
    assert api.devices.forgotten == ["dev"]
    body = {"m2m:crds": {"dc": "cred", "mgd": 1029, "rn": "credentials", "crid": "id1", "crse": "dGVzdA=="}}
    answer = await api.post("/dev", 13, body)
    assert answer.status_code == 201
    credentials = answer.json()["credentials"]
    assert credentials["credentialID"] == "id1"
    assert credentials["credentialSecret"] == "***"
    assert credentials["parentID"] == node["resourceID"]
    assert identity_of(api, "dev") == b"id1"
    await refused(await api.post("/dev", 13, body), 409, 4105, "credentials")


async def test_the_standard_key_of_credentials_is_understood(api):
    await api.add_device("dev")
    answer = await api.put("/dev/credentials", {"dcfg:crds": {"crid": "x"}}, headers={"fullName": "false"})
    assert answer.json()["m2m:crds"]["crid"] == "x"


async def test_secrets_are_masked_kept_and_removed(start, readable_secrets):
    api = await start(attrs.evolve(readable_secrets))
    masked = await start(attrs.evolve(readable_secrets, credentials=Settings().credentials))
    await api.add_device("dev")

    async def change(**attributes):
        return await api.put("/dev/credentials", {"m2m:crds": attributes})

    async def seen(api):
        credentials = (await api.get("/dev/credentials")).json()["credentials"]
        return credentials["credentialID"], credentials["credentialSecret"]

    assert await seen(api) == await seen(masked) == ("UNDEFINED", "UNDEFINED")
    await refused(await change(crse="***"), 400, 4000, "none is stored")
    await change(crid="id1", crse="c2VjcmV0")
    assert await seen(api) == ("id1", "c2VjcmV0")
    assert await seen(masked) == ("id1", "***")
    await change(crid="id2", crse="***")
    assert await seen(api) == ("id2", "c2VjcmV0")
    await change(crid="UNDEFINED", crse=None)
    assert await seen(api) == ("UNDEFINED", "UNDEFINED")
    assert identity_of(api, "dev") is None
    assert api.devices.ended == ["dev"] * 4


async def test_a_secret_is_in_no_listing_and_no_filter(api):
    await api.add_device("dev")
    await api.put("/dev/credentials", {"m2m:crds": {"crid": "id1", "crse": "c2VjcmV0"}})
    for path in ("/dev?rcn=4", "/dev?rcn=8&ty=13", "/dev?rcn=5", "?rcn=4&lvl=3", "/dev/credentials"):
        assert "c2VjcmV0" not in (await api.get(path)).text
    assert (await api.get("/dev?rcn=8&crse=c2VjcmV0")).json() == {"node": {}}


async def test_an_identity_belongs_to_one_device(api):
    await api.add_device("one")
    await api.add_device("two")
    body = {"m2m:crds": {"crid": "id1", "crse": "x"}}
    assert (await api.put("/one/credentials", body)).status_code == 200
    await refused(await api.put("/two/credentials", body), 409, 4105)
    assert (await api.get("/two/credentials")).json()["credentials"]["credentialID"] == "UNDEFINED"


async def test_device_info_is_deleted_and_made_anew(api):
    await api.add_device("dev")
    assert (await api.delete("/dev/device-info")).status_code == 200
    body = {"m2m:dvi": {"rn": "device-info", "mgd": 1007, **INFO}}
    info = (await api.post("/dev", 13, body)).json()["deviceInfo"]
    assert (info["deviceLabel"], info["manufacturer"], info["mgmtDefinition"]) == (["label"], "ACME", 1007)
    answer = await api.put("/dev/device-info", {"deviceInfo": {"location": "geo:1,2"}})
    assert answer.json()["deviceInfo"]["location"] == "geo:1,2"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"m2m:dvi": {"dlb": "x"}}, ["man (manufacturer)", "mod (model)", "dty (deviceType)"]),
        ({"m2m:dvi": {**INFO, "mgd": 1006}}, ["1007", "1006"]),
        ({"m2m:dvi": {**INFO, "rn": "my-info"}}, ["device-info", "my-info"]),
        ({"m2m:dvi": {**INFO, "deviceLabel": "y"}}, ["dlb (deviceLabel)", "twice"]),
        ({"m2m:dvi": {**INFO, "deviceNam": "y"}}, ["deviceNam", "deviceName"]),
        ({"m2m:dvi": {**INFO, "man": 1}}, ["man (manufacturer)", "string"]),
        ({"m2m:nod": {"ni": "x"}}, ["ty=13", "node"]),
    ],
)
async def test_device_info_of_a_client_is_checked(api, body, words):
    await api.add_device("dev")
    await api.delete("/dev/device-info")
    await refused(await api.post("/dev", 13, body), 400, 4000, *words)


VALVE = Mapping(
    "acme:valve",
    name="valve",
    rules=[
        Rule("/3311/0/dimmer", "opening", write=True),
        Rule("/3311/0/on_time", "lag", write=lambda text: int(text)),
        Rule("/3311/0/colour", "paint", write=True),
        Rule("/3311/0/cumulative_active_power", "used"),
    ],
)
BATTERY = Mapping("m2m:battery", name="battery", rules=[Rule("/3/0/battery_level", "batteryLevel")])
CLOCK = Mapping(
    "m2m:deviceInfo",
    name="device-info",
    rules=[Rule("/3/0/current_time", "systemTime", convert=str, write=int), Rule("/3/0/0", "deviceName")],
)


async def managed(api, catalog):
    """Management objects that mappings made of device ``dev``."""
    await api.add_device("dev")
    mappings = [("valves", VALVE), ("batteries", BATTERY), ("clocks", CLOCK)]
    api.devices.table = MappingTable.compile(mappings, catalog)
    node = api.ledger.reader.device_named("main", "dev").node
    id = node + 100_000
    made = Resource(id, "main", node, "battery", 13, "m2m:bat", {"mgd": 1006, "btl": 72}, id)
    own = Resource(id + 1, "main", node, "valve", 13, "acme:valve", {"mgd": 0, "opening": 3}, id)

    def store(write):
        write.put(made)
        write.put(own)

    await api.ledger.commit(store)


async def waiting(api):
    answer = await api.get("/device-communication/dev/outgoing-msg?rcn=4")
    return answer.json()["container"].get("contentInstance", [])


async def test_what_a_client_writes_to_a_management_object_becomes_a_message(api, catalog):
    await managed(api, catalog)
    answer = await api.put("/dev/valve", {"acme:valve": {"opening": 40, "lbl": ["a"]}})
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (200, "2004")
    valve = answer.json()["acme:valve"]
    assert (valve["opening"], valve["labels"]) == (3, ["a"])
    (message,) = await waiting(api)
    assert message["content"] == {"method": "PUT", "path": "/3311/0/5851", "value": 40}
    assert (message["contentInfo"], message["creator"]) == ("application/json:0", "CTestApp")
    assert message["labels"] == ["mgmtObj:valve"]
    ((request, _),) = api.devices.queues["dev"].values()
    assert request == Write(Path("/3311/0/5851"), (Entry(Path("/3311/0/5851"), 40),))


async def test_several_values_are_one_message(api, catalog):
    await managed(api, catalog)
    answer = await api.put("/dev/valve", {"acme:valve": {"opening": 40, "lag": "7", "paint": "red"}})
    assert answer.status_code == 200
    (message,) = await waiting(api)
    value = {"5851": 40, "5852": 7, "5706": "red"}
    assert message["content"] == {"method": "POST", "path": "/3311/0", "value": value}


@pytest.mark.parametrize(
    ("changes", "status", "rsc", "words"),
    [
        (
            {"used": 1},
            405,
            4005,
            "used of valve cannot be written: it is what the device tells in /3311/0/5805",
        ),
        ({"colour": 1}, 405, 4005, "colour of valve cannot be written"),
        ({"opening": "wide"}, 400, 4000, "opening: 'wide' is not an Integer of 64 bits"),
        ({"opening": True}, 400, 4000, "opening: True is not an Integer of 64 bits"),
        ({"lag": "soon"}, 400, 4000, "lag: 'soon' cannot be written: invalid literal for int()"),
        ({"opening": None}, 400, 4000, "opening of valve cannot be removed"),
        ({"paint": {"a": 1}}, 400, 4000, "paint: {'a': 1} is not a String"),
        ({"resourceID": "x"}, 400, 4000, "ri (resourceID)"),
        ({"obis": ["x"]}, 400, 4000, "obis (objectIDs)"),
        ({"lbl": 5}, 400, 4000, "lbl (labels)"),
    ],
)
async def test_what_cannot_be_written_is_refused_and_nothing_half_done(
    api, catalog, changes, status, rsc, words
):
    await managed(api, catalog)
    before = (await api.get("/dev/valve")).json()
    body = {"acme:valve": {"lbl": ["b"], **changes, "paint": changes.get("paint", "blue")}}
    await refused(await api.put("/dev/valve", body), status, rsc, words)
    assert await waiting(api) == []
    assert (await api.get("/dev/valve")).json() == before


async def test_other_bodies_are_refused(api, catalog):
    await managed(api, catalog)
    for body in ({"acme:pump": {"opening": 1}}, {"acme:valve": 5}, {"acme:valve": {}, "m2m:bat": {}}, []):
        assert (await api.put("/dev/valve", body)).status_code == 400
    assert await waiting(api) == []


async def test_of_a_mapping_without_write_labels_can_be_written_and_no_more(api, catalog):
    await managed(api, catalog)
    words = "batteryLevel of battery cannot be written: it is what the device tells in /3/0/9"
    await refused(await api.put("/dev/battery", {"m2m:bat": {"btl": 1}}), 405, 4005, words)
    answer = await api.put("/dev/battery", {"m2m:bat": {"lbl": ["a"]}})
    assert (answer.json()["battery"]["labels"], answer.json()["battery"]["batteryLevel"]) == (["a"], 72)
    api.devices.table = MappingTable()
    await refused(await api.put("/dev/battery", {"m2m:bat": {"btl": 1}}), 405, 4005, "cannot be written")
    assert (await api.delete("/dev/valve")).status_code == 200


async def test_device_info_is_the_clients_but_for_what_the_device_can_change(api, catalog):
    await managed(api, catalog)
    body = {"m2m:dvi": {"syst": "1752761133", "dvnm": "Mine", "loc": "geo:1,2"}}
    info = (await api.put("/dev/device-info", body)).json()["deviceInfo"]
    assert (info["deviceName"], info["location"], "systemTime" in info) == ("Mine", "geo:1,2", False)
    (message,) = await waiting(api)
    assert message["content"] == {"method": "PUT", "path": "/3/0/13", "value": 1752761133000}


async def test_a_management_object_that_a_client_made_is_its_own(api, catalog):
    await managed(api, catalog)
    body = {"m2m:mem": {"rn": "memory", "mma": 1, "mmt": 2}}
    assert (await api.post("/dev", 13, body)).status_code == 201
    answer = await api.put("/dev/memory", {"m2m:mem": {"mma": 5}})
    assert answer.json()["memory"]["memAvailable"] == 5
    assert await waiting(api) == []


async def test_where_no_message_may_wait_any_more_nothing_is_changed(start, settings, catalog):
    api = await start(attrs.evolve(settings, messages=attrs.evolve(settings.messages, outgoing_mni=1)))
    await managed(api, catalog)
    assert (await api.put("/dev/valve", {"acme:valve": {"opening": 1}})).status_code == 200
    await refused(await api.put("/dev/valve", {"acme:valve": {"opening": 2, "lbl": ["x"]}}), 406, 5207)
    assert len(await waiting(api)) == 1
    assert "labels" not in (await api.get("/dev/valve")).json()["acme:valve"]
