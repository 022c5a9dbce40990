"""``lwm2m bootstrap`` against a server: keep, preview, look, remove; and what the API refuses."""

from __future__ import annotations

import json
import subprocess
import sys

import httpx
import pytest

PROFILE = {
    "bootstrap": [
        {"bootstrapServerIs": True, "host": "bs.example.com", "port": 5687, "shortServerId": 111},
        {"host": "dm.example.com", "port": 5685, "shortServerId": 123, "securityMode": "NO_SEC"},
    ]
}
CONFIG = {
    "noSec": True,
    "write": {
        "/0/1": {
            "0": "coaps://dm",
            "1": False,
            "2": 0,
            "3": {"text": "{endpoint}"},
            "5": {"hex": "00" * 16},
            "10": 1,
        },
        "/1/0": {"0": 1, "1": 300, "6": True, "7": "U"},
    },
}


@pytest.fixture
def server(serve):
    return serve(LWM2M_BOOTSTRAP_COAP="127.0.0.1:0")


@pytest.fixture
def lwm2m(server, tmp_path):
    def run(*arguments, given=None):
        command = [
            sys.executable,
            "-m",
            "lwm2m_server.launcher",
            "bootstrap",
            *arguments,
            "--url",
            server.http,
        ]
        text = json.dumps(given) if given is not None else ""
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd=tmp_path)

    return run


def test_from_beginning_to_end(lwm2m):
    kept = lwm2m("put", "sensors", "-", "--for", "sensor-*", given=CONFIG)
    assert (kept.returncode, kept.stdout) == (0, "sensors kept, for sensor-*\n")
    assert lwm2m("list").stdout.splitlines()[1].split() == ["sensors", "sensor-*"]
    shown = json.loads(lwm2m("show", "sensors").stdout)
    assert shown["write"]["/0/1"]["5"] == "***"
    assert shown["write"]["/0/1"]["3"] == {"text": "{endpoint}"}
    assert lwm2m("put", "sensors", "-", given=shown).returncode == 0
    preview = lwm2m("preview", "sensors", "--device", "sensor-7").stdout
    assert "Public Key or Identity" in preview
    assert "Server Public Key" in preview, "empty, as it is not named"
    assert '"sensor-7"' in preview
    assert '"***"' in preview
    assert "finish" in preview
    assert lwm2m("log").returncode == 0
    assert lwm2m("log", "sensor-7").returncode == 2
    assert lwm2m("remove", "sensors").stdout == "sensors removed\n"
    assert lwm2m("show", "sensors").returncode == 2


def test_a_device_profile(lwm2m):
    preview = lwm2m("preview", "dev1", "-", given=PROFILE).stdout
    assert "note: the short identifier 111 of the bootstrap server is not written" in preview
    assert "Secret Key" in preview
    assert "***" not in preview, "nothing is hidden where nothing is"
    assert lwm2m("put", "dev1", "-", given=PROFILE).stdout == "dev1 kept, for dev1\n"
    assert json.loads(lwm2m("show", "dev1").stdout)["noSec"] is True


def test_what_is_wrong_is_said(lwm2m):
    wrong = {"write": {"/1/0": {"0": 1, "1": 300, "6": True, "7": "U"}, "/0/1": {"0": "", "1": False}}}
    refused = lwm2m("put", "dev1", "-", given=wrong)
    assert refused.returncode == 2
    assert "/0/1/0: the URI of the server is empty" in refused.stderr
    assert "no JSON" in lwm2m("put", "dev1", "-").stderr
    assert (
        "goes with a device profile" in lwm2m("put", "dev1", "-", "--credentials", "-", given=CONFIG).stderr
    )


def test_the_api_refuses(server):
    configs = f"{server.http}/api/v1/bootstrap/configs"
    with httpx.Client() as client:
        assert client.put(f"{configs}/a", json=CONFIG | {"endpoints": ["x"]}).status_code == 201
        assert client.put(f"{configs}/a", json=CONFIG | {"endpoints": ["x"]}).status_code == 200
        assert client.put(f"{configs}/b", json=CONFIG | {"endpoints": ["x"]}).status_code == 409
        for body in ("[]", "{", json.dumps({"endpoints": "x"}), json.dumps({"profile": 1}), "{}"):
            assert client.put(f"{configs}/c", content=body).status_code == 400, body
        assert client.put(f"{configs}/a?tenant=nobody", json=CONFIG).status_code == 404
        assert client.put(f"{configs}/c", content=b"x" * 100_000).status_code == 413
        assert client.delete(f"{configs}/c").status_code == 404
        assert client.get(f"{configs}/c/preview").status_code == 404
        assert client.post(f"{configs}/c/preview", json={"write": {}}).status_code == 400
        assert client.get(f"{configs}/a/preview").json()["endpoint"] == "x"
        assert client.get(f"{server.http}/api/v1/bootstrap/sessions/nobody").status_code == 404
        assert "000000" not in client.get(f"{configs}/a").text
