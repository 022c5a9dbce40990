"""What goes wrong is told in one place: broken plugins and models, strangers, devices that talk nonsense."""

from __future__ import annotations

import asyncio
import json
from functools import partial

import httpx
import pytest
from click.testing import CliRunner

from lwm2m_engine.coap import CoapReply, Code
from lwm2m_engine.values import ResourceType
from lwm2m_server.cli.main import lwm2m as main
from lwm2m_server.simulator.device import RegistrationRefused
from lwm2m_server.simulator.objects import default_objects
from lwm2m_server.simulator.tree import Resource, SimulatedObject

pytestmark = pytest.mark.native_stack("what is told does not depend on the CoAP stack")

BROKEN = "def lwm2m_mappings(:\n"


def _told_by_the_command_line(server, found):
    lwm2m = partial(CliRunner().invoke, main, env={"LWM2M_URL": server.http})
    listed = lwm2m(["problems", "list", "--kind", "undecodable", "--device", "dev-1"])
    assert "the answer of /3/0/9 could not be decoded" in listed.stdout
    (row,) = json.loads(lwm2m(["problems", "list", "--json", "--text", "/3/0/13"]).stdout)
    assert row == found["message"]
    shown = lwm2m(["problems", "show", str(found["undecodable"]["id"])]).stdout
    assert "ff ff" in shown
    assert found["undecodable"]["advice"] in shown
    assert lwm2m(["problems", "list", "--text", "no such thing"]).stdout == "nothing is wrong\n"
    assert lwm2m(["problems", "dismiss", "999999"]).exit_code == 2


async def _problems(server, **query):
    async with httpx.AsyncClient(timeout=20) as client:
        answer = await client.get(f"{server.http}/api/v1/problems", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["problems"]


async def test_everything_is_in_one_place_and_survives_a_kill(serve, connect, device, eventually, tmp_path):
    plugins, models = tmp_path / "plugins", tmp_path / "models"
    for folder, name, text in ((plugins, "broken.py", BROKEN), (models, "bad.xml", "<LWM2M>\n<Object>\n")):
        folder.mkdir()
        (folder / name).write_text(text)
    server = serve("--plugins-dir", str(plugins), "--models", str(models))
    api = connect(server)
    stranger = await device(server, "stranger", live=False)
    with pytest.raises(RegistrationRefused):
        await stranger.register()
    made = await api.post("", 14, {"m2m:nod": {"rn": "dev-1", "ni": "dev-1"}})
    assert made.status_code == 201
    objects = [*default_objects(300, "U"), SimulatedObject(33333, {0: {}})]
    one = await device(server, "dev-1", objects=objects)
    one.faults.reply = lambda request: CoapReply(Code.CONTENT, b"\xff\xff", 11542)
    await api.ask("dev-1", "GET /3/0/9")
    one.faults.reply = lambda request: CoapReply(Code.METHOD_NOT_ALLOWED, b"no")
    await api.ask("dev-1", "GET /3/0/13")
    expected = {"plugin", "model", "registration", "undecodable", "message", "unknown-model"}

    async def told():
        return {found["kind"]: found for found in await _problems(server)}.keys() >= expected

    await eventually(told)
    before = {found["kind"]: found for found in await _problems(server)}
    assert before["plugin"]["facts"]["file"].endswith("broken.py")
    assert before["model"]["facts"]["file"].endswith("bad.xml")
    assert "'stranger' is not known here" in before["registration"]["text"]
    assert before["undecodable"]["device"] == "dev-1"
    assert before["undecodable"]["facts"]["payload"] == "ffff"
    assert before["undecodable"]["facts"]["format"] == "tlv"
    assert before["message"]["facts"]["code"] == "4.05"
    assert before["unknown-model"]["facts"]["object"] == 33333
    await asyncio.to_thread(_told_by_the_command_line, server, before)
    server.kill()
    server.restart()
    after = {found["kind"]: found for found in await _problems(server)}
    # What is noted of devices was stored; what is wrong with the installation is no news at the restart.
    assert {kind: after[kind] for kind in expected} == before
    async with httpx.AsyncClient(timeout=20) as client:
        assert (await client.delete(f"{server.http}/api/v1/devices/dev-1")).status_code == 204
    # With a device go its problems.
    assert await _problems(server, device="dev-1") == []
    (plugins / "broken.py").unlink()
    server.kill()
    server.restart()
    await asyncio.sleep(0)
    assert "plugin" not in {found["kind"] for found in await _problems(server)}


FAILING = """
from lwm2m_engine import Mapping, Rule, hookimpl

def convert(level):
    raise ValueError("no\\nidea")

@hookimpl
def lwm2m_mappings(catalog):
    yield Mapping("m2m:battery", name="battery", rules=[Rule("/3/0/9", "batteryLevel", convert=convert)])

@hookimpl
def lwm2m_event(event):
    raise LookupError(f"nothing\\nto do with {type(event).__name__}" + "!" * 1000)
"""


async def test_a_plugin_that_fails_while_it_runs_is_a_problem_until_it_is_another(
    serve, connect, device, eventually, tmp_path
):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "odd.py").write_text(FAILING)
    server = serve("--plugins-dir", str(plugins), "--unknown-devices", "create")
    connect(server)
    for endpoint in ("dev-1", "dev-2"):
        one = await device(server, endpoint, live=False)
        await one.register()

    async def told():
        found = await _problems(server, kind=["hook", "mapping"])
        return {one["kind"]: one for one in found} if len(found) == 3 else None

    found = await eventually(told)
    hook, rule = found["hook"], found["mapping"]
    assert hook["text"].startswith("the plugin odd failed in lwm2m_event: LookupError: nothing to do with ")
    assert len(hook["text"]) == 500
    assert (hook["facts"]["plugin"], hook["facts"]["hook"]) == ("odd", "lwm2m_event")
    assert hook["facts"]["example"] in ("dev-1", "dev-2")
    assert hook["count"] > 4
    assert "the event" in hook["advice"]
    assert "raised ValueError: no" in rule["text"]
    assert (rule["facts"]["plugin"], rule["facts"]["resource"]) == ("odd", "battery")
    server.kill()
    server.restart()
    assert [one["id"] for one in await _problems(server, kind="hook")] == [hook["id"]]
    server.kill()
    (plugins / "odd.py").write_text(FAILING.partition("@hookimpl\ndef lwm2m_event")[0])
    server.restart()
    assert await _problems(server, kind="hook") == []


async def test_an_object_without_a_model_that_only_notifications_tell_of(serve, connect, device, eventually):
    server = serve("--unknown-devices", "create")
    api = connect(server)
    own = SimulatedObject(33333, {0: {1: Resource(ResourceType.INTEGER, 5)}})
    one = await device(server, "dev-1", objects=[*default_objects(300, "U"), own])
    await api.ask("dev-1", "OBSERVE /33333/0/1?pmax=3600")

    async def told():
        return await _problems(server, kind="unknown-model")

    (found,) = await eventually(told)
    async with httpx.AsyncClient(timeout=20) as client:
        await client.delete(f"{server.http}/api/v1/problems/{found['id']}")
    server.kill()
    server.restart()
    assert await told() == []
    one.set("/33333/0/1", 6)
    (found,) = await eventually(told)
    assert found["text"] == "there is no model of the Object 33333, version 1.0"
    assert found["facts"]["example"] == "dev-1"


async def test_notifications_and_messages_that_find_no_room(serve, connect, device, eventually):
    server = serve("--unknown-devices", "create", LWM2M_DELIVERIES_WAITING="1", LWM2M_MESSAGES_MBS="400")
    api = connect(server)
    one = await device(server, "dev-1")
    async with httpx.AsyncClient(base_url=f"{server.http}/api/v1", timeout=20) as client:
        # Nobody fetches what waits for it.
        assert (await client.post("/applications", json={"name": "Program"})).status_code == 201
        wish = {"resource": "device-communication/dev-1/received-msg", "targets": ["Program"]}
        assert (await client.post("/subscriptions", json=wish)).status_code == 201
    for _ in range(3):
        await api.ask("dev-1", "GET /3/0/9")

    async def told():
        found = await _problems(server, kind="delivery")
        return next((one for one in found if one["facts"].get("reason") == "full"), None)

    found = await eventually(told)
    assert (
        "are dead letters: too much waits" in found["text"] or "is a dead letter: too much" in found["text"]
    )
    assert found["facts"]["target"].endswith("Program")
    assert "deliveries.waiting" in found["advice"]
    await api.wish("dev-1", "GET /3/0")

    async def full():
        return await _problems(server, kind="server", device="dev-1")

    (found,) = await eventually(full)
    assert found["text"].startswith("a container takes no more: ")
    assert (found["tenant"], found["device"]) == ("main", "dev-1")
    assert found["facts"]["container"] == "received-msg"
    await one.stop()


PICKY = """
from lwm2m_engine import Mapping, Rule, hookimpl

@hookimpl
def lwm2m_mappings(catalog):
    if any(spec.id == 33333 for spec in catalog):
        raise LookupError("not with greenhouses")
    yield Mapping("m2m:battery", name="battery", rules=[Rule("/3/0/9", "batteryLevel")])
"""
MODEL = """<LWM2M><Object ObjectType="MODefinition">
<Name>Greenhouse</Name><ObjectID>33333</ObjectID><ObjectURN>urn:oma:lwm2m:x:33333</ObjectURN>
<MultipleInstances>Single</MultipleInstances><Mandatory>Optional</Mandatory><Resources>
<Item ID="0"><Name>Crop</Name><Operations>RW</Operations><MultipleInstances>Single</MultipleInstances>
<Mandatory>Mandatory</Mandatory><Type>String</Type><RangeEnumeration/><Units/></Item>
</Resources></Object></LWM2M>"""


async def test_mappings_that_fail_with_the_models_of_one_tenant_are_its_problem(serve, eventually, tmp_path):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "picky.py").write_text(PICKY)
    server = serve("--plugins-dir", str(plugins))
    assert await _problems(server, kind="plugin") == []
    async with httpx.AsyncClient(base_url=f"{server.http}/api/v1", timeout=20) as client:
        upload = await client.post(
            "/models?tenant=main", content=MODEL, headers={"content-type": "application/xml"}
        )
        assert upload.status_code in (200, 201), upload.text
        (found,) = await _problems(server, kind="plugin")
        assert found["tenant"] == "main"
        assert "picky is not used: " in found["text"]
        assert "not with greenhouses" in found["text"]
        assert (await client.delete("/models/33333/1.0?tenant=main")).is_success
    assert await _problems(server, kind="plugin") == []
