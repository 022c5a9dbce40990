"""The operator's own command-line client, dtiot-d2c, drives a server with authentication on."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

import httpx
import pytest

FOLDER = Path(os.environ.get("INTEROP_D2C") or Path(tempfile.gettempdir(), "lwm2m-dtiot-d2c"))
D2C = FOLDER / "bin" / "d2c"

pytestmark = [
    pytest.mark.skipif(not D2C.exists(), reason="needs dtiot-d2c: tests/interop/install_d2c.sh"),
    pytest.mark.native_stack("nothing of it is about CoAP"),
]


class Client:
    """``d2c`` with a profile of its own."""

    def __init__(self, folder: Path, profile: dict[str, str]) -> None:
        folder.mkdir()
        (folder / "test.profile").write_text(json.dumps(profile))
        config = {"activeProfileFile": "test.profile", "profilesDir": str(folder)}
        self._config = folder / "config.json"
        self._config.write_text(json.dumps(config))

    def run(self, *words: str, code: int = 0) -> str:
        environment = {**os.environ, "D2CCLI_CONFIGFILE": str(self._config), "D2CCLI_TEST": "true"}
        environment.pop("PYTHONPATH", None)
        done = subprocess.run(
            [D2C, *words], capture_output=True, text=True, timeout=60, env=environment, check=False
        )
        assert done.returncode == code, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def get(self, *words: str):
        return json.loads(self.run(*words))


@pytest.fixture
def server(serve):
    return serve("--names", "short")


@pytest.fixture
def client(server, tmp_path):
    """Of role operate: it may do all that a customer does."""
    with httpx.Client(base_url=server.http, timeout=20) as http:
        boss = http.post("/api/v1/clients", json={"id": "boss", "role": "admin", "tenant": "main"}).json()
        grant = {"grant_type": "client_credentials"}
        token = http.post("/auth/token", data=grant, auth=("boss", boss["secret"])).json()["access_token"]
        draft = {"id": "customer", "role": "operate", "tenant": "main"}
        headers = {"Authorization": f"Bearer {token}"}
        added = http.post("/api/v1/clients", json=draft, headers=headers).json()
    profile = {
        "profileName": "test",
        "apiUrl": server.base,
        "getTokenUrl": f"{server.http}/auth/token",
        "clientId": "customer",
        "clientSecret": added["secret"],
        "noAuthUrl": "",
    }
    return Client(tmp_path / "d2c", profile)


def test_a_customers_life(client):
    client.run("add-d2ccli-application")
    made = client.get(
        "add-application",
        "--name",
        "app1",
        "--urls",
        "http://127.0.0.1:9/hook",
        "--connection-properties",
        '{"x-key": "abc"}',
    )
    assert (made["name"], made["urls"], made["connectionProperties"]) == (
        "app1",
        ["http://127.0.0.1:9/hook"],
        {"x-key": "abc"},
    )

    device = client.get(
        "add-device",
        "--profile",
        "SCS-LwM2M",
        "--name",
        "dev1",
        "--manufacturer",
        "ACME",
        "--iccid",
        "89882280000004492060",
        "--credentials-id",
        "dev1",
        "--credentials-secret",
        "Q3hhc21FTUw3NFNiUlIzUw==",
        "--uplink-properties",
        '{"room": "2035"}',
    )
    assert (device["name"], device["manufacturer"], device["iccid"], device["credentialsId"]) == (
        "dev1",
        "ACME",
        89882280000004492060,
        "dev1",
    )
    assert device["uplinkProperties"] == {"room": 2035}
    assert [one["name"] for one in client.get("get-devices")] == ["dev1"]
    by_id = client.get("get-devices", "--id", device["id"])
    assert by_id["name"] == "dev1"

    changed = client.get(
        "update-device", "--name", "dev1", "--model", "M5", "--device-properties", '{"floor": "2"}'
    )
    assert (changed["model"], changed["manufacturer"]) == ("M5", "ACME")
    assert changed["deviceProperties"]["floor"] == 2

    sent = client.get("inject-downlink-message", "--name", "dev1", "--content", "GET /3")
    waiting = client.get("get-device-messages", "--name", "dev1", "--message-store", "downlink-inbound")
    assert [one["id"] for one in waiting] == [sent["id"]]

    group = client.get("add-device-group", "--name", "group1", "--devices", "dev1", "--applications", "app1")
    assert (group["devices"], group["applications"]) == (["dev1"], ["app1"])
    (subscription,) = client.get(
        "get-resources", "--resource-name", "device-communication/dev1/received-msg"
    )["m2m:sub"]
    assert subscription["rn"] == f"{group['id']}-{made['id']}"
    client.run(
        "inject-uplink-message",
        "--name",
        "dev1",
        "--content",
        '{"correlation_id": "1"}',
        "--content-type",
        "application/json",
    )
    (received,) = client.get("get-device-messages", "--name", "dev1", "--message-store", "uplink-inbound")
    assert received["content"] == {"correlation_id": "1"}
    assert [one["name"] for one in client.get("get-device-groups")] == ["group1"]
    described = client.get("update-device-group", "--name", "group1", "--description", "mine")
    assert (described["description"], described["devices"]) == ("mine", ["dev1"])
    client.run("delete-device-group", "--name", "group1")
    client.run("delete-device", "--name", "dev1")
    assert client.run("get-devices").strip() == ""
    client.run("delete-application", "--name", "app1")
