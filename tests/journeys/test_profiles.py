"""Devices of a profile, from their first bootstrap on."""

from __future__ import annotations

import asyncio
import json
import pathlib

import pytest

from lwm2m_engine import Catalog, Path
from lwm2m_engine.values import ResourceType
from lwm2m_server.simulator.bootstrapping import BootstrapClient, BootstrapRefused, FactoryDevice
from lwm2m_server.simulator.objects import default_objects
from lwm2m_server.simulator.tree import Resource, SimulatedObject

pytestmark = pytest.mark.native_stack(
    "bootstrap and sleep by profile: what is below CoAP/UDP makes no difference here"
)

CATALOG = Catalog.bundled()
API = "/api/v1"
EXPORTED = pathlib.Path(__file__).with_name("exported_profile.json").read_text(encoding="utf-8")
"""As another platform writes one."""


@pytest.fixture
def server(serve):
    return serve(LWM2M_BOOTSTRAP_COAP="127.0.0.1:0")


@pytest.fixture
def place(server):
    host, _, port = server.addresses["bootstrap_coap"].rpartition(":")
    return host, int(port)


async def ask(api, method, path, body=None, status=200):
    answer = await api.client.request(method, f"{api.server.http}{API}{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def add(api, name, **more):
    await ask(api, "POST", "/devices", {"name": name, "transportType": "LWM2M", **more}, 201)


def older(server):
    """The bootstrap settings of this server in the form with one object."""
    host, port = server.coap
    return {
        "bootstrap": {
            "servers": {"shortId": 123, "lifetime": 77, "defaultMinPeriod": 2, "binding": "U"},
            "lwm2mServer": {
                "host": host,
                "port": port,
                "serverId": 123,
                "securityMode": "NO_SEC",
                "clientHoldOffTime": 5,
                "bootstrapServerAccountTimeout": 60,
            },
        }
    }


async def bootstrapped(endpoint, place):
    """What a device has been given."""
    one = BootstrapClient(endpoint, place, CATALOG.types)
    await one.open()
    try:
        await asyncio.wait_for(one.bootstrap(), 10)
    finally:
        one.close()
    return one.values


async def test_a_device_of_a_profile_bootstraps_and_registers(server, api, place):
    await ask(api, "POST", "/profiles?name=meter", older(server), 201)
    await add(api, "device001", profile="meter")
    preview = await ask(api, "GET", "/profiles/meter/bootstrap-preview?device=device001")
    same = await ask(api, "GET", "/profiles/meter")
    path = "/profiles/meter/bootstrap-preview?device=device001"
    assert await ask(api, "POST", path, same) == preview
    same["profileData"]["transportConfiguration"]["bootstrap"][0]["lifetime"] = 78
    other = await ask(api, "POST", path, same)
    values = [value for step in other["steps"] for value in step.get("values", ())]
    assert {"path": "/1/0/1", "name": "Lifetime", "value": 78} in values
    written = {value["path"]: value["value"] for step in preview["steps"] for value in step.get("values", ())}
    one = FactoryDevice("device001", place, CATALOG.types)
    await one.start()
    try:
        await asyncio.wait_for(one.registered(), 10)
        shown = await ask(api, "GET", "/devices/device001")
        assert (shown["registered"], shown["lifetime"]) == (True, 77)
    finally:
        await one.stop()
    values = await bootstrapped("device001", place)
    for path in ("/0/1/11", "/0/1/12", "/1/0/1", "/1/0/2"):
        assert values[Path(path)] == written[path]
    assert (values[Path("/0/1/11")], values[Path("/0/1/12")]) == (5, 60)


async def test_other_servers_on_any_port(server, api, place):
    servers = [
        {"shortServerId": number, "host": host, "port": port}
        for number, host, port in ((123, "dm.example.com", 61616), (124, "2001:db8::1", 5683))
    ]
    await ask(api, "POST", "/profiles?name=meter", {"bootstrap": servers}, 201)
    await ask(api, "PUT", "/profiles/meter/assignment", {"default": True})
    await add(api, "device001")
    values = await bootstrapped("device001", place)
    uris = [values[Path(f"/0/{number}/0")] for number in (1, 2)]
    assert uris == ["coap://dm.example.com:61616", "coap://[2001:db8::1]:5683"]


async def test_a_template_goes_before_a_profile_and_a_device_without_either_is_refused(server, api, place):
    await ask(api, "POST", "/profiles?name=meter", older(server), 201)
    await add(api, "device001", profile="meter")
    await add(api, "device002")
    host, port = server.coap
    account = {"0": f"coap://{host}:{port}", "1": False, "2": 3, "10": 9}
    write = {"/0/1": account, "/1/0": {"0": 9, "1": 60, "6": True, "7": "U"}}
    template = {"noSec": True, "endpoints": ["device001"], "write": write}
    await ask(api, "PUT", "/bootstrap/configs/own", template, 201)
    assert (await bootstrapped("device001", place))[Path("/1/0/0")] == 9
    await ask(api, "DELETE", "/bootstrap/configs/own", status=204)
    assert (await bootstrapped("device001", place))[Path("/1/0/0")] == 123
    with pytest.raises(BootstrapRefused):
        await bootstrapped("device002", place)


async def test_a_preview_has_the_credentials_of_the_device_without_secrets(server, api):
    key = "000102030405060708090a0b0c0d0e0f"
    client = {"endpoint": "device001", "securityConfigClientMode": "PSK", "identity": "id-1", "key": key}
    await add(api, "device001", credentials={"credentialsValue": {"client": client}})
    servers = [
        {"shortServerId": 123, "host": "dm.example.com", "port": 5684, "securityMode": "PSK"},
        {"bootstrapServerIs": True, "host": "bs.example.com", "port": 5688, "securityMode": "PSK"},
    ]
    document = {"bootstrapServerUpdateEnable": True, "bootstrap": servers}
    await ask(api, "POST", "/profiles?name=meter", document, 201)
    preview = await ask(api, "GET", "/profiles/meter/bootstrap-preview?device=device001")
    values = {value["path"]: value["value"] for step in preview["steps"] for value in step.get("values", ())}
    assert (values["/0/0/0"], values["/0/0/1"]) == ("coaps://bs.example.com:5688", True)
    assert (values["/0/1/0"], values["/0/1/3"], values["/0/1/5"]) == (
        "coaps://dm.example.com:5684",
        "id-1",
        "***",
    )
    assert key not in str(preview)
    for path, status in (("none/bootstrap-preview", 404), ("meter/bootstrap-preview?device=none", 404)):
        await ask(api, "GET", f"/profiles/{path}", status=status)


async def test_what_cannot_be_written_is_said_before(server, api, place):
    servers = [{"shortServerId": 123, "host": "0.0.0.0", "port": 5683}]
    made = await ask(api, "POST", "/profiles?name=meter", {"bootstrap": servers}, 201)
    assert "no address that a device can connect to" in made["notes"][0]["reason"]
    problem = await ask(api, "GET", "/profiles/meter/bootstrap-preview", status=400)
    assert "no address that a client can connect to" in problem["detail"]
    await add(api, "device001", profile="meter")
    with pytest.raises(BootstrapRefused):
        await bootstrapped("device001", place)


async def test_devices_listen_as_their_profile_says_unless_it_is_set_for_them(
    serve, connect, device, eventually
):
    server = serve("--unknown-devices", "create")
    api = connect(server)

    def sleeping(wanted):
        async def look():
            found = await ask(api, "GET", "/devices/device001")
            return found["registered"] and (found["awake"] is False) is wanted

        return look

    await device(server, "device001", lifetime=600)
    await eventually(sleeping(False))
    psm = {"clientLwM2mSettings": {"powerMode": "PSM", "psmActivityTimer": 100}}
    await ask(api, "POST", "/profiles?name=sleepy", psm, 201)
    # A profile comes, to one and to all; each time it goes again.
    await ask(api, "PUT", "/devices/device001/profile", {"profile": "sleepy"})
    await eventually(sleeping(True))
    await ask(api, "DELETE", "/devices/device001/profile", status=204)
    await eventually(sleeping(False))
    await ask(api, "PUT", "/profiles/sleepy/assignment", {"default": True})
    await eventually(sleeping(True))
    # What is set for the device goes before, and is gone again.
    await ask(api, "PUT", "/devices/device001/power-saving", {"awakeWindow": 60})
    await eventually(sleeping(False))
    assert (await ask(api, "GET", "/devices/device001"))["powerSaving"]["awakeWindow"] == 60
    await ask(api, "DELETE", "/devices/device001/power-saving", status=204)
    await eventually(sleeping(True))
    assert (await ask(api, "GET", "/devices/device001"))["powerSaving"] is None
    # It holds after a restart, and for who comes anew.
    server.stop()
    server.restart()
    await eventually(sleeping(True))
    await ask(api, "PUT", "/profiles/sleepy", {"clientLwM2mSettings": {"powerMode": "DRX"}})
    await eventually(sleeping(False))


async def test_a_device_that_comes_anew_listens_as_its_profile_says(server, api, device, eventually):
    psm = {"clientLwM2mSettings": {"powerMode": "PSM", "psmActivityTimer": 100}}
    await ask(api, "POST", "/profiles?name=sleepy", psm, 201)
    await add(api, "device002", profile="sleepy")
    await device(server, "device002")

    async def asleep():
        return (await ask(api, "GET", "/devices/device002"))["awake"] is False

    await eventually(asleep)


async def test_a_profile_of_another_platform_runs_unchanged(serve, connect, device, eventually):
    server = serve("--unknown-devices", "create")
    api = connect(server)
    document = json.loads(EXPORTED)
    made = await ask(api, "POST", "/profiles", document, 201)
    assert made["profileData"]["transportConfiguration"] == document["profileData"]["transportConfiguration"]
    await ask(api, "PUT", f"/profiles/{document['name']}/assignment", {"default": True})
    thermometer = SimulatedObject(3303, {0: {5700: Resource(ResourceType.FLOAT, 20.5)}})
    objects = [*default_objects(300, "U"), thermometer]
    one = await device(server, "device001", live=False, version="1.1", objects=objects)
    await one.register()

    async def observed():
        details = await ask(api, "GET", "/devices/device001")
        paths = [path for one in details["observations"] for path in one["paths"] if one["active"]]
        return sorted(paths) == ["/3/0/9", "/3303/0/5700"]

    async def told(what, *keys):
        found = await ask(api, "GET", f"/devices/device001/{what}")
        return found if all(key in json.dumps(found) for key in keys) else None

    await eventually(observed)
    telemetry = await eventually(lambda: told("telemetry", "batteryLevel", "room temperature"))
    values = {one["key"]: one["value"] for one in telemetry["series"]}
    assert (values["batteryLevel"], values["room temperature"]) == (72, 20.5)
    attributes = await eventually(lambda: told("attributes", "maker", "serialNumber"))
    assert {one["key"] for one in attributes["attributes"]} == {"maker", "serialNumber"}
    # Another key name is one of the values there are.
    document["profileData"]["transportConfiguration"]["observeAttr"]["keyName"]["/3_1.2/0/9"] = "charge"
    await ask(api, "PUT", f"/profiles/{document['name']}", document)
    (series,) = (await ask(api, "GET", "/devices/device001/telemetry?keys=charge"))["series"]
    assert (series["path"], series["value"]) == ("/3/0/9", 72)
