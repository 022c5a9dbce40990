"""credentials and device-info: creation, secrets, identities."""

import attrs
import pytest

from lwm2m_server.settings import Settings
from lwm2m_server.store.protocols import Resource


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


async def test_of_what_a_mapping_made_labels_can_be_written_and_no_more(api):
    await api.add_device("dev")
    node = api.ledger.reader.device_named("main", "dev").node
    id = node + 100_000
    made = Resource(id, "main", node, "battery", 13, "m2m:bat", {"mgd": 1006, "btl": 72}, id)
    own = Resource(id + 1, "main", node, "valve", 13, "acme:valve", {"mgd": 0, "opening": 3}, id)

    def store(write):
        write.put(made)
        write.put(own)

    await api.ledger.commit(store)
    await refused(await api.put("/dev/battery", {"m2m:bat": {"btl": 1}}), 501, 5001, "battery")
    answer = await api.put("/dev/battery", {"m2m:bat": {"lbl": ["a"]}})
    assert (answer.json()["battery"]["labels"], answer.json()["battery"]["batteryLevel"]) == (["a"], 72)
    assert (await api.get("/dev/valve")).json()["acme:valve"]["opening"] == 3
    await refused(await api.put("/dev/valve", {"acme:valve": {"lbl": ["a"]}}), 405, 4005, "acme:valve")
    assert (await api.delete("/dev/valve")).status_code == 200
