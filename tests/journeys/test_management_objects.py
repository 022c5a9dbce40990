"""Management objects both ways: what a device says shows in them, what a client writes reaches the device."""

from __future__ import annotations

from typing import Any

import pytest

from lwm2m_engine.paths import Path
from lwm2m_engine.values import ResourceType
from lwm2m_server.simulator.objects import default_objects
from lwm2m_server.simulator.tree import Resource, SimulatedObject

pytestmark = pytest.mark.native_stack("management objects are far from CoAP")

OFF_BY_DEFAULT = "onem2m_battery,onem2m_memory,onem2m_reboot,ipso_sensors"
URL = "http://example.com/2.2.bin"


def firmware_object() -> SimulatedObject:
    return SimulatedObject(
        5,
        {
            0: {
                1: Resource(ResourceType.STRING, "", "RW"),
                2: Resource(ResourceType.NONE, operations="E"),
                3: Resource(ResourceType.INTEGER, 0),
                5: Resource(ResourceType.INTEGER, 0),
                6: Resource(ResourceType.STRING, "modem"),
                7: Resource(ResourceType.STRING, "2.1"),
            }
        },
    )


def temperature_object() -> SimulatedObject:
    return SimulatedObject(
        3303,
        {
            0: {
                5700: Resource(ResourceType.FLOAT, 21.5),
                5701: Resource(ResourceType.STRING, "Cel"),
                5750: Resource(ResourceType.STRING, "hall", "RW"),
                5605: Resource(ResourceType.NONE, operations="E"),
            }
        },
        version="1.1",
    )


class Node:
    """A device and its management objects, as a client of the API sees them."""

    def __init__(self, api: Any, device: Any, eventually: Any) -> None:
        self.api, self.device, self.eventually = api, device, eventually

    async def managed(self, name: str) -> dict[str, Any]:
        answer = await self.api.get(f"device001/{name}", headers={"fullName": "true"})
        if answer.status_code == 404:
            return {}
        (found,) = answer.json().values()
        return found

    async def until(self, name: str, **attributes: Any) -> dict[str, Any]:
        """Wait until the management object has these attributes."""

        async def look() -> dict[str, Any] | None:
            found = await self.managed(name)
            return found if found and attributes.items() <= found.items() else None

        return await self.eventually(look)

    async def put(self, name: str, key: str, **attributes: Any) -> dict[str, Any]:
        answer = await self.api.put(f"device001/{name}", {key: attributes}, headers={"fullName": "true"})
        assert answer.status_code == 200, answer.text
        (found,) = answer.json().values()
        return found

    async def executed(self, *paths: str) -> None:
        """Wait until exactly these Resources were executed."""

        async def look() -> bool:
            return [path for path, _ in self.device.executed] == [Path(path) for path in paths]

        await self.eventually(look)

    async def errors(self) -> list[dict[str, Any]]:
        return await self.eventually(lambda: self.api.messages("device001", "error-msg"))


@pytest.fixture
async def node(serve: Any, connect: Any, device: Any, eventually: Any) -> Node:
    server = serve("--unknown-devices", "create", LWM2M_PLUGINS_ENABLED=OFF_BY_DEFAULT)
    objects = [*default_objects(300, "U"), firmware_object(), temperature_object()]
    one = await device(server, version="1.1", objects=objects)
    found = Node(connect(server), one, eventually)
    await found.until("device-info", fwVersion="1.0.0")
    return found


async def test_a_device_shows_and_does_what_its_management_objects_say(node: Node) -> None:
    await reboot_and_factory_reset(node)
    await battery_by_observation(node)
    await clock_through_device_info(node)
    await temperature_sensor(node)


async def reboot_and_factory_reset(node: Node) -> None:
    found = await node.until("reboot", reboot=False, factoryReset=False)
    assert (found["objectIDs"], found["objectPaths"]) == (["urn:oma:lwm2m:oma:3"], ["/3/0"])
    answer = await node.api.put("device001/reboot", {"m2m:rbo": {"rbo": True, "far": True}})
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (400, "4000")
    assert "only one of reboot and factoryReset" in answer.json()["m2m:dbg"]
    shown = await node.put("reboot", "m2m:rbo", rbo=True)
    assert shown["reboot"] is False
    await node.executed("/3/0/4")
    await node.put("reboot", "m2m:reboot", factoryReset=True, labels=["done by hand"])
    await node.executed("/3/0/4", "/3/0/5")
    found = await node.managed("reboot")
    assert (found["factoryReset"], found["labels"]) == (False, ["done by hand"])

    async def sent() -> Any:
        found = await node.api.latest("device001", "sent-msg")
        return found if found and found["content"] == "POST /3/0/5" else None

    found = await node.eventually(sent)
    assert (found["creator"], found["labels"]) == ("CTestApp", ["mgmtObj:reboot"])


async def battery_by_observation(node: Node) -> None:
    found = await node.until("battery", batteryLevel=72, batteryStatus=4)
    assert found["objectPaths"] == ["/3/0"]
    await node.until("memory", memAvailable=75108, memTotal=129024)
    await node.api.ask("device001", "OBSERVE /3/0/9")
    node.device.set("/3/0/9", 41)
    await node.until("battery", batteryLevel=41)
    answer = await node.api.put("device001/battery", {"m2m:bat": {"btl": 100}})
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (405, "4005")
    assert "batteryLevel of battery cannot be written: it is what the device tells in /3/0/9" in answer.text


async def clock_through_device_info(node: Node) -> None:
    node.device.get("/3/0/13").content = 1000
    await node.put("device-info", "m2m:dvi", syst="1752761133000")
    await node.until("device-info", systemTime="1752761133000")
    assert node.device.get("/3/0/13").content == 1752761133
    answer = await node.api.put("device001/device-info", {"m2m:dvi": {"syst": "noon", "dvnm": "x"}})
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (400, "4000")
    assert (await node.managed("device-info"))["deviceName"] == "My Demo Device"


async def temperature_sensor(node: Node) -> None:
    await node.until("temperature-0", resetMinAndMaxMeasuredValues=False)
    await node.api.ask("device001", "OBSERVE /3303/0")
    found = await node.until("temperature-0", sensorValue=21.5, sensorUnits="Cel")
    assert (found["objectIDs"], found["mgmtDefinition"]) == (["urn:oma:lwm2m:ext:3303"], 0)
    node.device.set("/3303/0/5700", 22.5)
    await node.until("temperature-0", sensorValue=22.5)
    await node.put(
        "temperature-0", "ipso:temperature", applicationType="cellar", resetMinAndMaxMeasuredValues=True
    )
    await node.until("temperature-0", applicationType="cellar")
    assert node.device.get("/3303/0/5750").content == "cellar"
    await node.executed("/3/0/4", "/3/0/5", "/3303/0/5605")


async def test_firmware_is_updated_when_it_is_downloaded(node: Node) -> None:
    await node.until("firmware", update=False)
    shown = await node.put("firmware", "m2m:fwr", url=URL, ud=True)
    assert "URL" not in shown
    assert (shown["update"], shown["updateStatus"]) == (False, {"acn": "update", "sus": 3})
    await node.until("firmware", URL=URL)
    node.device.set("/5/0/3", 1)
    waiting = await waiting_update(node)
    assert waiting["labels"] == ["mgmtObj:firmware", "when:ready"]
    # Others need not wait for it.
    await node.api.ask("device001", "GET /3/0/9")
    assert node.device.executed == []
    node.device.set("/5/0/3", 2)
    await node.executed("/5/0/2")
    node.device.set("/5/0/3", 3)
    node.device.set("/5/0/3", 0)
    node.device.set("/5/0/5", 1)
    await node.until("firmware", updateStatus={"acn": "update", "sus": 1})
    await node.api.ask("device001", "GET /5/0")
    await node.until("firmware", version="2.1", firmwareName="modem", objectPaths=["/5/0"])

    # A download that fails ends the next one.
    await node.put("firmware", "m2m:fwr", ud=True)
    node.device.set("/5/0/5", 0)
    node.device.set("/5/0/3", 1)
    await waiting_update(node)
    node.device.set("/5/0/3", 0)
    node.device.set("/5/0/5", 7)
    await node.until("firmware", updateStatus={"acn": "update", "sus": 2})
    (problem,) = await node.errors()
    assert (problem["reason"], problem["operation"], problem["resourcePath"]) == (
        "refused",
        "execute",
        "5/0/2",
    )
    await node.executed("/5/0/2")

    # One that waits is cancelled with its message.
    node.device.set("/5/0/5", 0)
    await node.put("firmware", "m2m:fwr", ud=True)
    waiting = await waiting_update(node)
    path = f"device-communication/device001/outgoing-msg/{waiting['resourceName']}"
    assert (await node.api.delete(path)).status_code == 200
    await node.until("firmware", updateStatus={"acn": "update", "sus": 0})
    node.device.set("/5/0/3", 2)
    await node.until("firmware", updateStatus={"acn": "update", "sus": 3})
    await node.api.ask("device001", "GET /3/0/9")
    await node.executed("/5/0/2")


async def waiting_update(node: Node) -> dict[str, Any]:
    """Wait until nothing but the update waits."""

    async def look() -> Any:
        answer = await node.api.get("device-communication/device001/outgoing-msg?rcn=4")
        found = answer.json()["container"].get("contentInstance", [])
        return found if [one["content"] for one in found] == ["POST /5/0/2"] else None

    (found,) = await node.eventually(look)
    return found


async def test_an_update_that_waits_survives_a_restart(node: Node) -> None:
    await node.put("firmware", "m2m:fwr", ud=True)
    await waiting_update(node)
    node.api.server.kill()
    node.api.server.restart()
    node.device.set("/5/0/3", 2)
    await node.executed("/5/0/2")


async def test_what_the_device_refuses_is_told(node: Node) -> None:
    node.device.get("/5/0/1").operations = "R"
    before = await node.managed("firmware")
    await node.put("firmware", "m2m:fwr", url=URL)
    (problem,) = await node.errors()
    assert (problem["reason"], problem["detail"]) == ("refused", "the device answered 4.05")
    assert problem["resourcePath"] == "5/0/1"
    node.device.get("/5/0/2").operations = "R"
    node.device.set("/5/0/3", 2)
    await node.put("firmware", "m2m:fwr", ud=True)
    found = await node.until("firmware", updateStatus={"acn": "update", "sus": 2})
    assert found.get("URL") == before.get("URL")
    assert len(await node.errors()) == 2
