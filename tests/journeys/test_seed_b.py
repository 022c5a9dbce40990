"""Each picture of the device API's reference page (``seed_b.toml``) over HTTP, in the order of the page."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lwm2m_engine import Path as LwM2MPath
from lwm2m_server.simulator.device import SimulatedDevice

pytestmark = pytest.mark.native_stack("applications only: nothing here depends on the CoAP stack")

ROOT = Path(__file__).parents[2]
PICTURES = tomllib.loads(Path(__file__).with_name("seed_b.toml").read_text(encoding="utf-8"))["picture"]
DEVICE_XML = (ROOT / "models/xml/3_1_2.xml").read_bytes()
BATTERY = "/3_1.2/0/9"


class Platform:
    """A server, and what an operator asks it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.addresses = json.loads(process.stdout.readline())
        host, _, port = self.addresses["coap"].rpartition(":")
        self.coap = host, int(port)
        self.client = httpx.Client(base_url=f"{self.addresses['http']}/api/v1", timeout=30)

    def get(self, path: str, **query: str) -> Any:
        return self._told(self.client.get(path, params=query))

    def post(self, path: str, body: Any, **query: str) -> Any:
        return self._told(self.client.post(path, json=body, params=query))

    def put(self, path: str, body: Any) -> Any:
        return self._told(self.client.put(path, json=body))

    def upload(self, *, level: str, name: str = "3_1_2.xml", data: bytes = DEVICE_XML) -> httpx.Response:
        return self.client.post(
            "/models",
            params={"level": level, "replace": "true"},
            files={"file": (name, data, "application/xml")},
        )

    @staticmethod
    def _told(answer: httpx.Response) -> Any:
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("seed_b")
    command = [sys.executable, "-m", "lwm2m_server.launcher", "serve", "--data", str(folder / "data")]
    command += ["--coap", "127.0.0.1:0", "--http", "127.0.0.1:0", "--unknown-devices", "create"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder)
    platform = Platform(process)
    yield platform
    platform.client.close()
    process.terminate()
    process.communicate(timeout=20)


def fresh(stem: str) -> str:
    return f"{stem}{uuid.uuid4().hex[:8]}"


# --- the list ----------------------------------------------------------------------------------------


def test_every_picture_is_there_once_and_has_its_test_or_its_page() -> None:
    tests = {name for name in globals() if re.fullmatch(r"test_\w+_\d", name)}
    explained = [one for one in PICTURES if one["key"] == "started"]
    shown = {f"test_{one['key']}_{one['number']}" for one in PICTURES if one["key"] != "started"}
    assert len(PICTURES) == 43
    assert shown == tests
    assert len(shown) == 38
    assert all((ROOT / one["page"]).is_file() for one in explained)


# --- object models, for all tenants and for one ------------------------------------------------------


def begin_an_import(platform: Platform, level: str) -> None:
    """Before it, what there is at this level is shown, and what may be sent is described."""
    listed = platform.get("/models", level=level)
    assert {"models", "total"} <= listed.keys()
    described = platform.client.get(f"{platform.addresses['http']}/openapi.json").json()
    takes = described["paths"]["/api/v1/models"]["post"]["requestBody"]["content"]
    assert {"multipart/form-data", "application/xml"} <= takes.keys()


def choose_a_file(platform: Platform, level: str) -> None:
    """Its name is kept as it was; without a file there is nothing to do."""
    answer = platform.upload(level=level, name="My Device (final).xml")
    assert answer.status_code in (200, 201), answer.text
    assert platform.get("/models/3/1.2", level=level)["fileName"] == "My Device (final).xml"
    empty = platform.client.post("/models", params={"level": level}, files={"file": ("3.xml", b"")})
    assert empty.status_code == 400


def it_is_xml(platform: Platform, level: str) -> None:
    answer = platform.upload(level=level, name="3_1_2.json", data=b'{"ObjectID": 3}')
    assert answer.status_code == 400
    assert answer.json()["files"][0]["fileName"] == "3_1_2.json"
    assert answer.json()["files"][0]["problems"][0]["severity"] == "error"
    assert platform.upload(level=level).status_code in (200, 201)


def its_type_is_lwm2m_model(platform: Platform, level: str) -> None:
    assert platform.upload(level=level).status_code in (200, 201)
    (model,) = platform.get("/models", level=level, object="3")["models"]
    assert model["resourceType"] == "LWM2M_MODEL"
    assert model["level"] == level


def check_what_is_shown(platform: Platform, level: str) -> None:
    assert platform.upload(level=level).status_code in (200, 201)
    model = platform.get("/models/3/1.2", level=level)
    shown = [model[member] for member in ("name", "objectId", "objectVersion", "fileName")]
    assert shown == ["Device", 3, "1.2", "3_1_2.xml"]
    path = "/models/3/1.2/file"
    assert platform.client.get(path, params={"level": level}).content == DEVICE_XML


def test_addResourcesModel_common_0(platform: Platform) -> None:
    begin_an_import(platform, "system")


def test_addResourcesModel_common_1(platform: Platform) -> None:
    choose_a_file(platform, "system")


def test_addResourcesModel_common_2(platform: Platform) -> None:
    it_is_xml(platform, "system")


def test_addResourcesModel_common_3(platform: Platform) -> None:
    its_type_is_lwm2m_model(platform, "system")


def test_addResourcesModel_common_4(platform: Platform) -> None:
    check_what_is_shown(platform, "system")


def test_addResourcesModel_tenant_0(platform: Platform) -> None:
    begin_an_import(platform, "tenant")


def test_addResourcesModel_tenant_1(platform: Platform) -> None:
    choose_a_file(platform, "tenant")


def test_addResourcesModel_tenant_2(platform: Platform) -> None:
    it_is_xml(platform, "tenant")


def test_addResourcesModel_tenant_3(platform: Platform) -> None:
    its_type_is_lwm2m_model(platform, "tenant")


def test_addResourcesModel_tenant_4(platform: Platform) -> None:
    check_what_is_shown(platform, "tenant")


# --- a device profile --------------------------------------------------------------------------------


def blank(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "transportType": "LWM2M",
        "profileData": {"transportConfiguration": {"type": "LWM2M"}},
    }


@pytest.fixture
def profile(platform: Platform) -> str:
    """One that was just created."""
    name = fresh("lwm2mProfileNoSec")
    platform.post("/profiles", blank(name))
    return name


def edit(platform: Platform, name: str, change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Open it, change its transport configuration, save it; returns that as it is shown then."""
    document = platform.get(f"/profiles/{name}")
    change(document["profileData"]["transportConfiguration"])
    platform.put(f"/profiles/{name}", document)
    return configuration(platform, name)


def configuration(platform: Platform, name: str) -> dict[str, Any]:
    shown: dict[str, Any] = platform.get(f"/profiles/{name}")["profileData"]["transportConfiguration"]
    return shown


def test_profileNoSec_create_0(platform: Platform) -> None:
    """What a profile looks like is told to whoever is about to make one."""
    schema = platform.get("/profiles/schema")
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert platform.get("/profiles")["total"] >= 0


def test_profileNoSec_create_1(platform: Platform) -> None:
    name = fresh("lwm2mProfileNoSec")
    platform.post("/profiles", blank(name))
    assert platform.get(f"/profiles/{name}")["name"] == name
    again = platform.client.post("/profiles", json=blank(name))
    assert again.status_code == 409


def test_profileNoSec_create_2(platform: Platform) -> None:
    name = fresh("lwm2mProfileNoSec")
    wrong = platform.client.post("/profiles", json=blank(name) | {"transportType": "MQTT"})
    assert wrong.status_code == 400
    assert "transportType" in wrong.text
    platform.post("/profiles", blank(name))
    assert platform.get(f"/profiles/{name}")["transportType"] == "LWM2M"


def test_profileNoSec_create_3(platform: Platform, profile: str) -> None:
    shown = configuration(platform, profile)
    assert shown["type"] == "LWM2M"
    assert shown["observeAttr"]["observeStrategy"] == "SINGLE"
    assert shown["clientLwM2mSettings"]["clientOnlyObserveAfterConnect"] == 1


def test_profileNoSec_edit_1(platform: Platform, profile: str) -> None:
    found = platform.get("/profiles", name=profile[:-2])["profiles"]
    assert [one["name"] for one in found] == [profile]


def test_profileNoSec_edit_2(platform: Platform, profile: str) -> None:
    before = platform.get(f"/profiles/{profile}")
    after = edit(platform, profile, lambda it: it["clientLwM2mSettings"].update(powerMode="PSM"))
    assert after["clientLwM2mSettings"]["powerMode"] == "PSM"
    changed = copy.deepcopy(before)
    changed["profileData"]["transportConfiguration"] = after
    assert platform.get(f"/profiles/{profile}") == changed


def choose_strategy(platform: Platform, profile: str, number: int) -> None:
    after = edit(
        platform, profile, lambda it: it["clientLwM2mSettings"].update(clientOnlyObserveAfterConnect=number)
    )
    assert after["clientLwM2mSettings"]["clientOnlyObserveAfterConnect"] == number


def test_profileNoSec_edit_typeAfterConnect_1(platform: Platform, profile: str) -> None:
    choose_strategy(platform, profile, 1)
    read, observed = asyncio.run(asyncio.wait_for(connect(platform, profile), 30))
    assert observed == {"/3/0/9"}
    assert "/1/0/1" not in read


def test_profileNoSec_edit_typeAfterConnect_2(platform: Platform, profile: str) -> None:
    choose_strategy(platform, profile, 2)
    read, observed = asyncio.run(asyncio.wait_for(connect(platform, profile), 30))
    assert observed == {"/3/0/9"}
    assert "/1/0/1" in read


async def connect(platform: Platform, profile: str) -> tuple[set[str], set[str]]:
    """What is known of a device that registered with a profile that has its battery observed: paths that
    were read, and paths that are observed."""
    edit(
        platform,
        profile,
        lambda it: it["observeAttr"].update(
            observe=[BATTERY], telemetry=[BATTERY], keyName={BATTERY: "batteryLevel"}
        ),
    )
    name = fresh("LwNoSec")
    device = await connected(platform, name, profile)
    try:
        while True:
            shown = platform.get(f"/devices/{name}")
            values = platform.get(f"/devices/{name}/values")["values"]
            observed = {path for one in shown["observations"] if one["active"] for path in one["paths"]}
            strategy = configuration(platform, profile)["clientLwM2mSettings"]
            read = {one["path"] for one in values if one["source"] == "read"}
            settled = strategy["clientOnlyObserveAfterConnect"] == 1 or "/1/0/1" in read
            if observed and settled:
                return read, observed
            await asyncio.sleep(0.05)
    finally:
        device.close()


async def connected(platform: Platform, name: str, profile: str) -> SimulatedDevice:
    """A new device of this profile, registered."""
    platform.post("/devices", {"name": name, "transportType": "LWM2M", "profile": profile})
    device = SimulatedDevice(name, platform.coap, version="1.1")
    await device.open()
    await device.register()
    return device


# Objects to choose from.


def test_profileNoSec_edit_add_object_1(platform: Platform, profile: str) -> None:
    """A list to choose from, with the Resources that can be read and what they are called."""
    page = platform.get("/models", limit="1000")
    assert page["total"] > 200
    chosen = next(one for one in page["models"] if one["objectId"] == 3 and one["objectVersion"] == "1.2")
    add_object(platform, profile, chosen)


def test_profileNoSec_edit_add_object_2(platform: Platform, profile: str) -> None:
    found = platform.get("/models", object="3303")["models"]
    assert {one["name"] for one in found} == {"Temperature"}
    add_object(platform, profile, found[-1], resource=5700)


def test_profileNoSec_edit_add_object_3(platform: Platform, profile: str) -> None:
    found = platform.get("/models", name="connectivity mon")["models"]
    assert {one["objectId"] for one in found} == {4}
    add_object(platform, profile, found[-1], resource=2)


def add_object(platform: Platform, profile: str, model: dict[str, Any], resource: int = 9) -> None:
    id, version = model["objectId"], model["objectVersion"]
    details = platform.get(f"/models/{id}/{version}")
    key = next(one["keyName"] for one in details["resources"] if one["id"] == resource)
    path = f"/{id}_{version}/0/{resource}"
    after = edit(
        platform,
        profile,
        lambda it: it["observeAttr"].update(
            observe=[path], telemetry=[path], attribute=[], keyName={path: key}
        ),
    )
    assert after["observeAttr"]["keyName"] == {path: key}


def test_profileNoSec_edit_add_instance_1(platform: Platform) -> None:
    assert platform.get("/models/3303/1.1")["multiple"] is True
    assert platform.get("/models/3/1.2")["multiple"] is False


def instances(*numbers: int) -> dict[str, Any]:
    paths = [f"/3303_1.1/{number}/5700" for number in numbers]
    names = {path: f"temperature{number or ''}" for path, number in zip(paths, numbers, strict=True)}
    return {"observe": paths, "telemetry": paths, "attribute": [], "keyName": names}


def with_instances(platform: Platform, profile: str, *numbers: int) -> dict[str, Any]:
    after = edit(platform, profile, lambda it: it["observeAttr"].update(instances(*numbers)))
    return dict(after["observeAttr"])


def test_profileNoSec_edit_add_instance_2(platform: Platform, profile: str) -> None:
    """An Object begins with Instance 0."""
    assert with_instances(platform, profile, 0)["observe"] == ["/3303_1.1/0/5700"]


def test_profileNoSec_edit_add_instance_3(platform: Platform, profile: str) -> None:
    shown = with_instances(platform, profile, 0, 7)
    assert shown["keyName"] == {"/3303_1.1/0/5700": "temperature", "/3303_1.1/7/5700": "temperature7"}
    wrong = platform.get(f"/profiles/{profile}")
    wrong["profileData"]["transportConfiguration"]["observeAttr"].update(instances(65536))
    answer = platform.client.put(f"/profiles/{profile}", json=wrong)
    assert answer.status_code == 400
    assert "65536" in answer.text


def test_profileNoSec_edit_add_instance_4(platform: Platform, profile: str) -> None:
    with_instances(platform, profile, 0, 7, 8)
    assert with_instances(platform, profile, 0, 8)["observe"] == ["/3303_1.1/0/5700", "/3303_1.1/8/5700"]


# --- the four cases of what is done with a Resource --------------------------------------------------

CASES = {
    1: ({"attribute"}, None),
    2: ({"telemetry"}, None),
    3: ({"attribute", "telemetry"}, None),
    4: ({"attribute", "telemetry"}, "charge"),
}
"""What is ticked beside *observe*, and the key name if it is changed."""


def observe_as(platform: Platform, profile: str, number: int) -> None:
    kinds, name = CASES[number]
    key = name or "batteryLevel"
    # Who does not change a name need not give one.
    given = {"keyName": {BATTERY: name}} if name else {}
    wanted = {kind: [BATTERY] if kind in kinds else [] for kind in ("attribute", "telemetry")}
    shown = edit(
        platform, profile, lambda it: it["observeAttr"].update({"observe": [BATTERY], **wanted, **given})
    )["observeAttr"]
    assert {kind for kind in wanted if shown[kind]} == kinds
    known = asyncio.run(asyncio.wait_for(known_by_key(platform, profile, key), 30))
    assert set(known["kinds"]) == kinds
    assert isinstance(known["value"], int)


async def known_by_key(platform: Platform, profile: str, key: str) -> dict[str, Any]:
    """What is told of a new device under this name; it is among its attributes if it is one."""
    name = fresh("LwNoSec")
    device = await connected(platform, name, profile)
    try:
        while True:
            series = {one["key"]: one for one in platform.get(f"/devices/{name}/telemetry")["series"]}
            if key in series:
                break
            await asyncio.sleep(0.05)
    finally:
        device.close()
    attributes = {one["key"] for one in platform.get(f"/devices/{name}/attributes")["attributes"]}
    assert (key in attributes) == ("attribute" in series[key]["kinds"])
    return dict(series[key])


def test_profileNoSec_edit_observe_1(platform: Platform, profile: str) -> None:
    observe_as(platform, profile, 1)


def test_profileNoSec_edit_observe_2(platform: Platform, profile: str) -> None:
    observe_as(platform, profile, 2)


def test_profileNoSec_edit_observe_3(platform: Platform, profile: str) -> None:
    observe_as(platform, profile, 3)


def test_profileNoSec_edit_observe_4(platform: Platform, profile: str) -> None:
    observe_as(platform, profile, 4)


# --- what bootstrap writes ---------------------------------------------------------------------------

ACCOUNT = {
    "shortServerId": None,
    "bootstrapServerIs": True,
    "host": "bootstrap.example",
    "port": 5783,
    "clientHoldOffTime": 3,
    "bootstrapServerAccountTimeout": 90,
    "securityMode": "NO_SEC",
}
SERVER = {
    "shortServerId": 321,
    "bootstrapServerIs": False,
    "host": "devices.example",
    "port": 15683,
    "clientHoldOffTime": 5,
    "bootstrapServerAccountTimeout": 0,
    "lifetime": 600,
    "defaultMinPeriod": 2,
    "notifIfDisabled": False,
    "securityMode": "NO_SEC",
}


def written(platform: Platform, profile: str, *entries: dict[str, Any]) -> dict[str, dict[int, Any]]:
    """Resources that a client would get, by Object Instance."""
    edit(
        platform,
        profile,
        lambda it: it.update(bootstrapServerUpdateEnable=True, bootstrap=copy.deepcopy(list(entries))),
    )
    preview = platform.get(f"/profiles/{profile}/bootstrap-preview")
    found: dict[str, dict[int, Any]] = {}
    for step in preview["steps"]:
        if step["operation"] == "write":
            for one in step["values"]:
                path = LwM2MPath(one["path"])
                found.setdefault(str(LwM2MPath(path[:2])), {})[path[2]] = one["value"]
    return found


def test_profileNoSec_edit_bootstrap_1(platform: Platform, profile: str) -> None:
    """Object 1: short id, lifetime, minimum period, storing, and U as long as nothing else is said."""
    server = written(platform, profile, SERVER)["/1/0"]
    assert [server[id] for id in (0, 1, 2, 6, 7)] == [321, 600, 2, False, "U"]


def test_profileNoSec_edit_bootstrap_2(platform: Platform, profile: str) -> None:
    """Object 0 of the bootstrap server; a short id is for LwM2M servers only, and not written."""
    account = written(platform, profile, ACCOUNT, SERVER)["/0/0"]
    shown = [account[id] for id in (0, 1, 2, 11, 12)]
    assert shown == ["coap://bootstrap.example:5783", True, 3, 3, 90]
    assert 10 not in account


def test_profileNoSec_edit_bootstrap_3(platform: Platform, profile: str) -> None:
    managing = written(platform, profile, SERVER)["/0/1"]
    shown = [managing[id] for id in (0, 1, 2, 10, 11)]
    assert shown == ["coap://devices.example:15683", False, 3, 321, 5]


# --- a device with its credentials -------------------------------------------------------------------


def security(endpoint: str, **client: str) -> dict[str, Any]:
    none = {"securityMode": "NO_SEC"}
    return {
        "client": {"endpoint": endpoint, "securityConfigClientMode": "NO_SEC", **client},
        "bootstrap": {"bootstrapServer": none, "lwm2mServer": none},
    }


def new_device(name: str, profile: str, key: str = "", value: Any = None) -> dict[str, Any]:
    return {
        "name": name,
        "transportType": "LWM2M",
        "profile": profile,
        "credentials": {
            "credentialsType": "LWM2M_CREDENTIALS",
            "credentialsId": key or name,
            "credentialsValue": value if value is not None else security(name),
        },
    }


def test_deviceNoSec_create_0(platform: Platform, profile: str) -> None:
    name = fresh("LwNoSec")
    platform.post("/devices", {"name": name, "transportType": "LWM2M", "profile": profile})
    assert platform.get(f"/devices/{name}")["name"] == name
    assert platform.get(f"/devices/{name}/profile")["profile"] == profile
    unknown = platform.client.post("/devices", json={"name": fresh("LwNoSec"), "profile": "no such profile"})
    assert unknown.status_code == 400
    assert "no such profile" in unknown.text


def test_deviceNoSec_create_1(platform: Platform, profile: str) -> None:
    """The key is the endpoint; of a client with a pre-shared key it is the identity."""
    name = fresh("LwNoSec")
    created = platform.post("/devices", new_device(name, profile, value=security("")))
    assert created["credentials"]["credentialsId"] == name
    assert created["credentials"]["credentialsValue"]["client"]["endpoint"] == name
    name, key = fresh("LwPsk"), "00112233445566778899aabbccddeeff"
    secured = security(name, securityConfigClientMode="PSK", key=key)
    created = platform.post("/devices", new_device(name, profile, key=f"{name}-identity", value=secured))
    assert created["credentials"]["credentialsValue"]["client"]["identity"] == f"{name}-identity"
    assert key not in json.dumps(created)


def test_deviceNoSec_create_security_config_0(platform: Platform, profile: str) -> None:
    name = fresh("LwNoSec")
    platform.post("/devices", new_device(name, profile))
    value = security(name, securityConfigClientMode="PSK", identity=f"{name}-id", key="00" * 16)
    changed = new_device(name, profile, key=f"{name}-id", value=value)
    answer = platform.client.patch(f"/devices/{name}", json={"credentials": changed["credentials"]})
    assert answer.status_code == 200, answer.text
    client = answer.json()["credentials"]["credentialsValue"]["client"]
    assert (client["securityConfigClientMode"], client["keySet"]) == ("PSK", True)


def give_section(platform: Platform, profile: str, which: str) -> None:
    """What bootstrap gives towards a server of one kind, by text as other platforms keep it."""
    name = fresh("LwPsk")
    value = security(name, securityConfigClientMode="PSK", identity=f"{name}-id", key="11" * 16)
    secret = "22" * 16
    value["bootstrap"][which] = {
        "securityMode": "PSK",
        "clientPublicKeyOrId": f"{name}-{which}",
        "clientSecretKey": secret,
    }
    platform.post("/devices", new_device(name, profile, key=f"{name}-id", value=json.dumps(value)))
    shown = platform.get(f"/devices/{name}/credentials", form="lwm2m")
    section = shown["credentialsValue"]["bootstrap"][which]
    assert section["securityMode"] == "PSK"
    assert section["clientPublicKeyOrId"] == f"{name}-{which}"
    assert secret not in json.dumps(shown)


def test_deviceNoSec_create_security_config_1(platform: Platform, profile: str) -> None:
    give_section(platform, profile, "bootstrapServer")


def test_deviceNoSec_create_security_config_2(platform: Platform, profile: str) -> None:
    give_section(platform, profile, "lwm2mServer")


def test_deviceNoSec_create_save_0(platform: Platform, profile: str) -> None:
    """All of it or nothing; and then the device is let in."""
    name = fresh("LwNoSec")
    wrong = new_device(name, profile)
    wrong["credentials"]["credentialsValue"]["client"]["securityConfigClientMode"] = "OPEN"
    assert platform.client.post("/devices", json=wrong).status_code == 400
    assert platform.client.get(f"/devices/{name}").status_code == 404
    platform.post("/devices", new_device(name, profile))

    async def register() -> None:
        device = SimulatedDevice(name, platform.coap, version="1.1")
        await device.open()
        await device.register()
        device.close()

    asyncio.run(register())
    assert platform.get(f"/devices/{name}")["registered"] is True
