"""What a device told, what is made of it, and by which plugin: one look at both sides."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from lwm2m_engine.values import ResourceType
from lwm2m_server.simulator.objects import default_objects
from lwm2m_server.simulator.tree import Resource, SimulatedObject

pytestmark = pytest.mark.native_stack("mappings are far from CoAP")

RIVAL = '''\
"""Writes what another plugin writes already."""
from lwm2m_engine import Mapping, Rule, hookimpl

__version__ = "0.3"

@hookimpl
def lwm2m_mappings(catalog):
    rules = [Rule("/3/0/model_number", "deviceName")]
    yield Mapping("m2m:deviceInfo", name="device-info", rules=rules)
'''
PICKY = '''\
"""Makes nothing of what it reads, and starts what it cannot start yet."""
from lwm2m_engine import Action, Mapping, Rule, When, hookimpl

def never(level):
    return None

def full(level):
    return level == 100

@hookimpl
def lwm2m_mappings(catalog):
    yield Mapping(
        "test:tank",
        name="tank",
        rules=[Rule("/3/0/battery_level", "level", convert=never), Rule("/4/0/ip_addresses/*", "addresses")],
        actions=[Action("/3/0/reboot", "restart", when=When("/3/0/battery_level", full))],
    )
'''


def sensor() -> SimulatedObject:
    value = {5700: Resource(ResourceType.FLOAT, 21.5), 5701: Resource(ResourceType.STRING, "Cel")}
    return SimulatedObject(3303, {7: value}, version="1.1")


@pytest.fixture
async def running(serve: Any, connect: Any, device: Any, tmp_path: Path) -> Any:
    folder = tmp_path / "own"
    folder.mkdir()
    for name, text in {"rival": RIVAL, "picky": PICKY, "broken": "import nothing_of_this_name"}.items():
        (folder / f"{name}.py").write_text(text)
    flags = ("--unknown-devices", "create", "--plugins-dir", str(folder))
    api = connect(serve(*flags, LWM2M_PLUGINS_ENABLED="ipso_sensors"))
    await device(api.server, "device001", version="1.1", objects=[*default_objects(300, "U"), sensor()])
    return api


async def test_plugins_and_what_they_make_of_a_device(running: Any, eventually: Any) -> None:
    await plugins_and_why_one_is_not_used(running)
    await both_sides_of_each_rule(running, eventually)
    await what_is_not_mapped_is_said(running)
    await a_device_that_never_registered(running)
    await the_command_shows_columns(running)
    await what_was_said_lately(running)
    await what_bootstrap_would_write(running)


async def plugins_and_why_one_is_not_used(running: Any) -> None:
    document = (await running.get("/api/v1/plugins")).json()
    plugins = {one["name"]: one for one in document["plugins"]}
    assert document["tenant"] == "main"
    assert plugins["broken"]["status"] == "failed"
    assert "nothing_of_this_name" in plugins["broken"]["reason"]
    rival = plugins["rival"]
    assert (rival["status"], rival["version"], rival["source"]) == ("failed", "0.3", "folder")
    assert (rival["hooks"], rival["mappings"]) == (["lwm2m_mappings"], [])
    ((hook, reason),) = [(one["hook"], one["reason"]) for one in rival["conflicts"]]
    assert hook == "lwm2m_mappings"
    assert {"onem2m_device", "rival"} <= set(reason.replace(":", " ").split())
    own = plugins["onem2m_device"]
    assert (own["source"], own["status"], bool(own["version"])) == ("bundled", "loaded", True)
    (mapping,) = own["mappings"]
    assert (mapping["name"], mapping["kind"]) == ("device-info", "m2m:deviceInfo")
    assert "location <- /6/0/latitude /6/0/longitude" in mapping["rules"]
    assert plugins["onem2m_battery"]["status"] == "off"


async def both_sides_of_each_rule(running: Any, eventually: Any) -> None:
    await running.ask("device001", "GET /3303/7")

    async def look() -> Any:
        document = (await running.get("/api/v1/devices/device001/mappings")).json()
        managed = {one["name"]: one for one in document["managed"]}
        found = {name: {row["attribute"]: row for row in one["attributes"]} for name, one in managed.items()}
        return found["device-info"]["location"]["value"] and (document, managed, found)

    document, managed, found = await eventually(look)
    assert document["registered"] is True
    place = found["device-info"]["location"]
    assert (place["state"], place["plugin"], place["convert"]) == ("mapped", "onem2m_device", "geo")
    assert [(one["path"], one["name"], one["value"]) for one in place["sources"]] == [
        ("/6/0/0", "Latitude", 52.5),
        ("/6/0/1", "Longitude", 13.4),
    ]
    assert all(one["at"] > 0 and one["by"] == "read" for one in place["sources"])
    assert managed["device-info"]["modifiedAt"] >= managed["device-info"]["createdAt"] > 0
    clock = found["device-info"]["systemTime"]
    assert (clock["writable"], clock["convert"], clock["write"]) == (True, "milliseconds", "seconds")
    label = found["device-info"]["deviceLabel"]["sources"]
    assert [(one["path"], one["value"]) for one in label] == [(None, "device001")]
    # One a Object Instance that is there, and no other.
    assert found["temperature-7"]["sensorValue"]["value"] == 21.5
    assert managed["temperature-7"]["kind"] == "ipso:temperature"
    silent = found["temperature-7"]["minMeasuredValue"]
    assert (silent["state"], silent["sources"][0]["state"]) == ("no value", "no value")


async def what_is_not_mapped_is_said(running: Any) -> None:
    document = (await running.get("/api/v1/devices/device001/mappings")).json()
    (tank,) = [one for one in document["managed"] if one["name"] == "tank"]
    rows = {row["attribute"]: row for row in tank["attributes"]}
    assert (rows["addresses"]["state"], rows["addresses"]["sources"][0]["path"]) == (
        "not announced",
        "/4/0/4/*",
    )
    assert rows["level"]["state"] == "nothing made"
    restart = rows["restart"]
    assert (restart["kind"], restart["condition"], restart["executes"]["path"]) == (
        "action",
        "full",
        "/3/0/4",
    )
    absent = {one["name"]: one["objects"] for one in document["unmapped"]["managed"]}
    assert absent["software-{instance}"] == [9]
    assert {"id": 1, "name": "LwM2M Server", "instances": [0]} in document["unmapped"]["objects"]


async def a_device_that_never_registered(running: Any) -> None:
    answer = await running.post("", 14, {"m2m:nod": {"rn": "later", "ni": "urn:dev:later"}})
    assert answer.status_code == 201
    document = (await running.get("/api/v1/devices/later/mappings")).json()
    assert (document["registered"], document["unmapped"]["objects"]) == (False, [])
    rows = [row for one in document["managed"] for row in one["attributes"] if row["kind"] == "rule"]
    assert {row["attribute"] for row in rows if row["state"] == "mapped"} <= {"deviceLabel"}
    assert (await running.get("/api/v1/devices/nobody/mappings")).status_code == 404


async def the_command_shows_columns(running: Any) -> None:
    out = await command(running.server, "devices", "mappings", "device001")
    (line,) = [line.split() for line in out.splitlines() if "geo:52.5" in line]
    assert line[:4] == ["/6/0/0", "Latitude", "52.5", "°"]
    assert line[-3:] == ["geo", "location", "geo:52.5,13.4"]
    assert "nothing is made of /1 LwM2M Server" in out


async def command(server: Any, *words: str) -> str:
    arguments = (sys.executable, "-m", "lwm2m_server.launcher", *words, "--url", server.http)
    process = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


async def what_was_said_lately(running: Any) -> None:
    """Whatever container it lies in, the newest first; what a client put there by hand, too."""
    wish = await running.wish("device001", "GET /6/0/6")
    await running.answer_to("device001", wish)
    await running.ask("device001", "GET /3/0/9")
    messages = (await running.get("/api/v1/devices/device001/messages?limit=6")).json()["messages"]
    assert [one["at"] for one in messages] == sorted((one["at"] for one in messages), reverse=True)
    assert len(messages) <= 6
    contents = [one["content"] for one in messages if one["container"] == "received-msg"]
    assert contents[0]["dataValue"] == {"3/0/9": 72}
    refused = next(one for one in contents if one.get("requestID") == wish["resourceID"])
    assert refused["responseCode"] == "4.04"
    sent = [one["content"] for one in messages if one["container"] == "sent-msg"]
    assert sent[0] == "GET /3/0/9"
    assert (await running.get("/api/v1/devices/device001/messages?limit=x")).status_code == 400


async def what_bootstrap_would_write(running: Any) -> None:
    path = "/api/v1/devices/device001/bootstrap-preview"
    nothing = {"endpoint": "device001", "by": None, "name": None, "preview": None}
    assert (await running.get(path)).json() == nothing
    security = {"0": "coap://192.0.2.1", "1": False, "2": 3, "10": 101}
    account = {"0": 101, "1": 60, "6": True, "7": "U"}
    draft = {"endpoints": ["device*"], "noSec": True, "write": {"/0/1": security, "/1/0": account}}
    kept = await running.client.put(f"{running.server.http}/api/v1/bootstrap/configs/all", json=draft)
    assert kept.status_code == 201, kept.text
    found = (await running.get(path)).json()
    assert (found["by"], found["name"]) == ("configuration", "all")
    written = {one["path"]: one for step in found["preview"]["steps"] for one in step.get("values", ())}
    assert written["/1/0/1"]["value"] == 60
