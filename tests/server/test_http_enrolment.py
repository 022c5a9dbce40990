"""Devices with their credentials in one step, below ``/api/v1/devices``."""

import base64
import json

import pytest

from lwm2m_server.security.credentials import NoSec, Psk, Removed
from lwm2m_server.store.definitions import DeviceProfile
from lwm2m_server.store.errors import CommitFailed

KEY, OTHER, THIRD = "5e" * 16, "7a" * 32, "9b" * 16


def credentials(name="one", key=KEY, bootstrap=None, **client):
    psk = {"endpoint": name, "securityConfigClientMode": "PSK", "identity": f"id-{name}", "key": key}
    value = {"client": {**psk, **client}} | ({"bootstrap": bootstrap} if bootstrap else {})
    return {"credentialsType": "LWM2M_CREDENTIALS", "credentialsValue": value}


def psk(identity, key):
    return Psk(identity, base64.b64encode(bytes.fromhex(key)).decode())


APART = {
    "bootstrapServer": {"securityMode": "PSK", "clientPublicKeyOrId": "bs", "clientSecretKey": OTHER},
    "lwm2mServer": {"securityMode": "PSK", "clientPublicKeyOrId": "dm", "clientSecretKey": THIRD},
}


async def ask(api, method, path, body=None):
    return await api.call(method, path, body=body, base="/api/v1")


async def add_group(api, name="group1"):
    answer = await api.post("/device-group", 28, {"dtiot:devGr": {"rn": name}})
    assert answer.status_code == 201, answer.text


async def test_a_device_comes_with_all_that_it_is_to_have(api):
    await api.inventory.profiles.add(DeviceProfile("main", "meter", {}))
    await add_group(api)
    body = {"name": "one", "transportType": "LWM2M", "profile": "meter", "label": "red", "groups": ["group1"]}
    answer = await ask(api, "POST", "/devices", {**body, "credentials": credentials(bootstrap=APART)})
    section = {"securityMode": "PSK", "keySet": True}
    assert (answer.status_code, answer.json()) == (
        201,
        {
            "name": "one",
            "nodeId": "one",
            "endpoint": "one",
            "profile": "meter",
            "labels": ["red"],
            "credentials": {
                "credentialsType": "LWM2M_CREDENTIALS",
                "credentialsId": "id-one",
                "credentialsValue": {
                    "client": {
                        "endpoint": "one",
                        "securityConfigClientMode": "PSK",
                        "identity": "id-one",
                        "keySet": True,
                    },
                    "bootstrap": {
                        "bootstrapServer": {**section, "clientPublicKeyOrId": "bs", "pending": False},
                        "lwm2mServer": {**section, "clientPublicKeyOrId": "dm", "pending": True},
                    },
                },
            },
        },
    )
    shown = await ask(api, "GET", "/devices/one/credentials?form=lwm2m")
    assert shown.json() == answer.json()["credentials"]
    # The same node that the tree makes, with all that it is born with.
    node = (await api.get("/one?rcn=4")).json()["node"]
    assert {child["resourceName"] for child in node["credentials"] + node["deviceInfo"]} == {
        "credentials",
        "device-info",
    }
    assert (await api.get("/device-communication/one/outgoing-msg")).status_code == 200
    group = (await api.get("/device-group/group1")).json()
    assert "one" in json.dumps(group)
    device = api.ledger.reader.device_named("main", "one")
    assert api.credentials.find(device.node, "management") == psk("id-one", KEY)
    assert api.credentials.find(device.node, "bootstrap") == psk("bs", OTHER)
    assert api.credentials.identities("management").psk(b"id-one").key.hex() == KEY


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"name": "one"}, 409, "'one' is taken"),
        ({"name": "two", "nodeId": "urn:dev:one"}, 409, "taken"),
        ({"name": "two", "credentials": credentials("urn:dev:one")}, 409, "taken"),
        ({"name": "two", "credentials": credentials("one")}, 409, "the endpoint name is taken"),
        ({"name": "two", "credentials": credentials("two", identity="taken")}, 409, "security identity"),
        ({"name": "two", "profile": "none"}, 400, "profile: there is no device profile 'none'"),
        ({"name": "two", "groups": ["none"]}, 400, "groups: there is no group 'none'"),
        ({"name": "two words"}, 400, "name: 'two words' is no resource name"),
        ({"name": "two", "credentials": credentials("two", key="abc")}, 400, "client.key: an even number"),
        ({"name": "two", "owner": "x"}, 400, "owner: there is no such member"),
        ([], 400, "a JSON object is due"),
    ],
)
async def test_it_is_all_or_nothing_and_no_owner_is_named(api, body, status, words):
    await api.add_device("one")
    secret = {"mode": "psk", "identity": "taken", "key": base64.b64encode(b"k" * 16).decode()}
    await ask(api, "PUT", "/devices/one/credentials/management", secret)
    before = (await ask(api, "GET", "/devices")).json()["devices"]
    answer = await ask(api, "POST", "/devices", body)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
    assert (await ask(api, "GET", "/devices")).json()["devices"] == before
    assert (await ask(api, "GET", "/credentials")).json()["credentials"] == [
        {
            "device": "one",
            "side": "management",
            "mode": "psk",
            "endpoint": "one",
            "identity": "taken",
            "keySet": True,
        }
    ]


async def test_a_failure_between_the_writes_leaves_nothing(api, monkeypatch):
    write, sides = api.credentials.write, []

    def fail(transaction, device, side, *rest):
        sides.append(side)
        if side == "bootstrap":
            raise CommitFailed("the disk is full")
        write(transaction, device, side, *rest)

    monkeypatch.setattr(api.credentials, "write", fail)
    answer = await ask(api, "POST", "/devices", {"name": "one", "credentials": credentials(bootstrap=APART)})
    assert (answer.status_code, sides[:2]) == (503, ["management", "bootstrap"])
    monkeypatch.undo()
    assert (await ask(api, "GET", "/devices/one")).status_code == 404
    assert api.credentials.identities("management").psk(b"id-one") is None
    assert (
        await ask(api, "POST", "/devices", {"name": "one", "credentials": credentials()})
    ).status_code == 201


async def test_changes_and_removal(api):
    await api.inventory.profiles.add(DeviceProfile("main", "meter", {}))
    await ask(api, "POST", "/devices", {"name": "one", "labels": ["a"], "credentials": credentials()})
    answer = await ask(api, "PATCH", "/devices/one", {"profile": "meter"})
    assert (answer.json()["profile"], answer.json()["labels"]) == ("meter", ["a"])
    # Credentials that are the same end nothing.
    await ask(api, "PATCH", "/devices/one", {"credentials": credentials()})
    assert api.devices.ended == []
    answer = await ask(api, "PATCH", "/devices/one", {"credentials": credentials(key=OTHER)})
    assert (answer.status_code, api.devices.ended) == (200, ["one"])
    assert api.credentials.identities("management").psk(b"id-one").key.hex() == OTHER
    answer = await ask(api, "PUT", "/devices/one", {"name": "one", "labels": ["b"]})
    assert (answer.json()["profile"], answer.json()["labels"]) == (None, ["b"])
    assert api.credentials.identities("management").psk(b"id-one").key.hex() == OTHER
    for body, words in (
        ({"name": "two"}, "cannot be renamed"),
        ({"credentials": {"credentialsValue": {"client": {"endpoint": "x"}}}}, "keeps the endpoint name"),
        ({"profile": "none"}, "no device profile"),
        ({"nodeId": "x"}, "nodeId"),
    ):
        answer = await ask(api, "PATCH", "/devices/one", body)
        assert (answer.status_code, words in answer.text) == (400, True)
    assert (await ask(api, "DELETE", "/devices/one")).status_code == 204
    assert api.devices.forgotten == ["one"]
    assert (await ask(api, "DELETE", "/devices/one")).status_code == 404
    assert (
        await ask(api, "POST", "/devices", {"name": "one", "credentials": credentials()})
    ).status_code == 201


async def test_a_key_that_is_made_is_shown_once(api):
    made = credentials(key=None, generate=True)
    answer = await ask(api, "POST", "/devices", {"name": "one", "credentials": made})
    key = answer.json()["generatedKeys"]["client"]
    assert api.credentials.identities("management").psk(b"id-one").key.hex() == key
    path = "/devices/one/credentials"
    for shown in (path, f"{path}?form=lwm2m", "/devices/one", "/credentials"):
        assert key not in (await ask(api, "GET", shown)).text
    answer = await ask(api, "POST", f"{path}/management/generate", {})
    again = answer.json()
    assert (again["identity"], again["endpoint"], len(again["key"])) == ("id-one", "one", 32)
    assert api.credentials.identities("management").psk(b"id-one").key.hex() == again["key"] != key
    answer = await ask(api, "POST", f"{path}/bootstrap/generate", {"identity": "bs"})
    assert api.credentials.identities("bootstrap").psk(b"bs").key.hex() == answer.json()["key"]
    for body, words in (({"identity": ""}, "identity"), ({"atBootstrap": 1}, "atBootstrap"), ([], "object")):
        answer = await ask(api, "POST", f"{path}/management/generate", body)
        assert (answer.status_code, words in answer.text) == (400, True)
    answer = await ask(api, "POST", f"{path}/bootstrap/generate", {"atBootstrap": True})
    assert answer.status_code == 400


async def test_a_key_for_the_next_bootstrap_is_seen_by_nobody_and_changes_nothing_yet(api):
    await ask(api, "POST", "/devices", {"name": "one", "credentials": credentials()})
    path = "/devices/one/credentials"
    answer = await ask(api, "POST", f"{path}/management/generate", {"atBootstrap": True})
    assert answer.json() == {"mode": "psk", "endpoint": "one", "identity": "id-one"}
    assert api.credentials.identities("management").psk(b"id-one").key.hex() == KEY
    shown = (await ask(api, "GET", f"{path}?form=lwm2m")).json()["credentialsValue"]["bootstrap"]
    assert shown["lwm2mServer"]["pending"] is True
    # Other credentials end the wait.
    await ask(api, "POST", f"{path}/management/generate", {})
    shown = (await ask(api, "GET", f"{path}?form=lwm2m")).json()["credentialsValue"]
    assert "bootstrap" not in shown


async def test_without_credentials_the_name_is_believed_and_nothing_bootstraps(api):
    answer = await ask(api, "POST", "/devices", {"name": "one"})
    assert answer.json()["credentials"]["credentialsValue"] == {
        "client": {"endpoint": "one", "securityConfigClientMode": "NO_SEC"}
    }
    node = api.ledger.reader.device_named("main", "one").node
    assert api.credentials.find(node, "management") == NoSec()
    assert api.credentials.find(node, "bootstrap") == Removed()


async def test_no_secret_is_in_clear_in_answers_logs_or_files(api, tmp_path, capfd):
    bodies = [
        {"name": "one", "credentials": credentials(bootstrap=APART)},
        {"name": "one", "credentials": credentials(bootstrap=APART)},
        {"name": "two", "credentials": credentials("two", bootstrap=APART, cert="x")},
    ]
    texts = [(await ask(api, "POST", "/devices", body)).text for body in bodies]
    texts += [(await ask(api, "PATCH", "/devices/one", body)).text for body in bodies]
    for path in ("/devices/one", "/devices/one/credentials?form=lwm2m", "/credentials"):
        texts.append((await ask(api, "GET", path)).text)
    captured = capfd.readouterr()
    found = "".join([*texts, captured.out, captured.err]).encode()
    found += b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    for secret in (KEY, OTHER, THIRD):
        raw = bytes.fromhex(secret)
        for form in (secret.encode(), raw, base64.b64encode(raw)):
            assert form not in found


async def test_a_look_whether_a_device_could_come_changes_nothing(api):
    path = "/devices?dryRun=true"
    answer = await ask(api, "POST", path, {"name": "one", "credentials": credentials()})
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await ask(api, "GET", "/devices/one")).status_code == 404
    faulty = {"name": "", "groups": ["none"], "credentials": credentials(key="5e5")}
    for where in (path, "/devices"):
        answer = await ask(api, "POST", where, faulty)
        assert (answer.status_code, set(answer.json()["faults"])) == (400, {"name", "client.key"})
    await ask(api, "POST", "/devices", {"name": "one", "credentials": credentials()})
    assert (await ask(api, "POST", path, {"name": "one"})).status_code == 409
    assert (await ask(api, "POST", path, {"name": "two", "groups": ["none"]})).json()["faults"] == {
        "groups": "there is no group 'none'"
    }
    assert (await ask(api, "POST", "/devices?dryRun=perhaps", {"name": "two"})).status_code == 400
