"""A server with something to see on every page of its console, by names that are nice or nasty."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

import attrs
import httpx

from lwm2m_engine.coap import CoapRequest, Code
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.values import ResourceType
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.simulator.images import make_image
from lwm2m_server.simulator.objects import default_objects
from lwm2m_server.simulator.tree import Resource, SimulatedObject
from lwm2m_server.simulator.updating import UpdateOptions

TREE = "/device-management-orchestrator/v3/main"
MODEL = """<?xml version="1.0" encoding="UTF-8"?>
<LWM2M><Object ObjectType="MODefinition"><Name>{model}</Name><Description1>{text}</Description1>
<ObjectID>{id}</ObjectID><ObjectURN>urn:oma:lwm2m:x:{id}</ObjectURN><LWM2MVersion>1.0</LWM2MVersion>
<ObjectVersion>1.0</ObjectVersion><MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</Mandatory>
<Resources>
<Item ID="0"><Name>{resource}</Name><Operations>R</Operations><MultipleInstances>Single</MultipleInstances>
<Mandatory>Mandatory</Mandatory><Type>Float</Type><RangeEnumeration>0..100</RangeEnumeration>
<Units>{unit}</Units><Description>{text}</Description></Item>
<Item ID="1"><Name>{resource} Note</Name><Operations>RW</Operations>
<MultipleInstances>Single</MultipleInstances><Mandatory>Optional</Mandatory><Type>String</Type><RangeEnumeration/><Units/>
<Description>{text}</Description></Item>
<Item ID="2"><Name>Drain</Name><Operations>E</Operations><MultipleInstances>Single</MultipleInstances>
<Mandatory>Optional</Mandatory><Type/><RangeEnumeration/><Units/><Description>{text}</Description></Item>
</Resources><Description2/></Object></LWM2M>
"""
MODEL_ID = 33_700


Document = Mapping[str, Any]


@attrs.frozen
class Words:
    """What things are called, and what devices say."""

    device: str = "pump-1"
    sleeper: str = "meter-7"
    absent: str = "lamp-3"
    label: str = "cellar"
    group: str = "Basement"
    profile: str = "pumps"
    application: str = "Dashboard"
    package: str = "pump-2.0"
    campaign: str = "spring"
    rule: str = "factory"
    bootstrap: str = "spare"
    model: str = "Tank"
    resource: str = "Fill Level"
    key: str = "fillLevel"
    unit: str = "%"
    text: str = "How full the tank is, and what was said about it."
    value: str = "refilled on Monday"
    manufacturer: str = "Pumps & Sons"
    title: str = "firmware"
    file: str = "33700.xml"
    address: str = "http://127.0.0.1:9/"
    endpoints: str = ""
    """What stands behind the name of a device in the endpoint name it registers with."""

    def devices(self) -> tuple[str, ...]:
        return self.device, self.sleeper, self.absent


class Furnishing:
    """``api`` may do everything below the server's root; ``coap`` is where devices are heard. What the API
    does not let in stands in ``refused``, with the reason."""

    def __init__(self, api: httpx.AsyncClient, coap: tuple[str, int], words: Words) -> None:
        self.api, self.coap, self.words = api, coap, words
        self.refused: list[str] = []
        self.devices: dict[str, SimulatedDevice] = {}

    async def furnish(self) -> None:
        """Everything, in an order in which it finds what it needs."""
        await self.bring_models()
        await self.bring_profile()
        await self.bring_devices()
        await self.bring_applications()
        await self.ask_devices()
        await self.tell_nonsense()
        await self.bring_packages()
        await self.bring_rules()

    async def leave(self) -> None:
        for one in self.devices.values():
            await one.stop()

    async def bring_models(self) -> None:
        words = self.words
        escaped = {name: escape(text) for name, text in attrs.asdict(words).items()}
        xml = MODEL.format(id=MODEL_ID, **escaped).encode()
        await self.ask("POST", "/api/v1/models", files={"file": (words.file, xml, "application/xml")})

    async def bring_profile(self) -> None:
        observed = ["/3/0/9", f"/{MODEL_ID}/0/0"]
        attributes = ["/3/0/0", f"/{MODEL_ID}/0/1"]
        configuration = {
            "type": "LWM2M",
            "observeAttr": {
                "observe": [*observed, f"/{MODEL_ID}/0/1"],
                "attribute": attributes,
                "telemetry": observed,
                "keyName": {f"/{MODEL_ID}/0/0": self.words.key},
            },
        }
        draft = {"name": self.words.profile, "description": self.words.text, "transportType": "LWM2M"}
        await self.say("/profiles", {**draft, "profileData": {"transportConfiguration": configuration}})

    async def bring_devices(self) -> None:
        """One that listens, one that sleeps, one that was never there."""
        words = self.words
        for name in words.devices():
            client = {"endpoint": name + words.endpoints, "securityConfigClientMode": "NO_SEC"}
            credentials = {"credentialsType": "LWM2M_CREDENTIALS", "credentialsValue": {"client": client}}
            draft = {"name": name, "profile": words.profile, "labels": [words.label]}
            await self.say("/devices", {**draft, "credentials": credentials})
        await self.say(f"/devices/{segment(words.device)}/trace", {}, "PUT")
        await self.say(f"/devices/{segment(words.sleeper)}/power-saving", {"awakeWindow": 1}, "PUT")
        await self.start(words.device, version="1.1", updating=UpdateOptions())
        await self.start(words.sleeper, version="1.1", queue_mode=True, awake=0.3, sleep=3600)

    async def start(self, name: str, **options: Any) -> None:
        """A simulated device, with an Object of our own."""
        objects = default_objects(300, "U")
        device = next(one for one in objects if one.id == 3)
        device.instances[0][0] = Resource(ResourceType.STRING, self.words.manufacturer)
        tank = {
            0: Resource(ResourceType.FLOAT, 42.5),
            1: Resource(ResourceType.STRING, self.words.value, "RW"),
            2: Resource(ResourceType.NONE, operations="E"),
        }
        objects.append(SimulatedObject(MODEL_ID, {0: tank}))
        endpoint = name + self.words.endpoints
        one = self.devices[name] = SimulatedDevice(endpoint, self.coap, objects=objects, **options)
        await one.start()
        await asyncio.wait_for(one.registered(), 15)

    async def bring_applications(self) -> None:
        """One that is told what a group's devices say, where nobody listens."""
        words = self.words
        ae = {
            "rn": words.application,
            "api": "NDash",
            "lbl": ["EndpointType:WebHook"],
            "poa": [words.address],
        }
        await self.ask("POST", TREE, json={"m2m:ae": ae}, headers=onem2m(2))
        group = {"rn": words.group, "nds": list(words.devices()), "aes": [words.application]}
        await self.ask("POST", f"{TREE}/device-group", json={"dtiot:devGr": group}, headers=onem2m(28))

    async def ask_devices(self) -> None:
        """What was answered, refused, and what waits."""
        device, sleeper = segment(self.words.device), segment(self.words.sleeper)
        write = {"id": f"/{MODEL_ID}/0/1", "value": self.words.value}
        for method, params in (
            ("Read", {"id": "/3/0"}),
            ("Read", {"id": f"/{MODEL_ID}/0"}),
            ("WriteReplace", write),
            ("Execute", {"id": f"/{MODEL_ID}/0/2"}),
            ("WriteReplace", {"id": "/3/0/14", "value": "+02:00"}),
        ):
            await self.say(f"/devices/{device}/rpc", {"method": method, "params": params})
        await self.asleep(sleeper)
        for params in ({"id": "/3/0"}, {"id": "/3/0/13"}):
            await self.say(f"/devices/{sleeper}/rpc/oneway", {"method": "Read", "params": params})
        await self.say(f"/devices/{sleeper}/rpc/oneway", {"method": "WriteReplace", "params": write})
        await self.say(f"/devices/{device}/desired", {"/3/0/15": "Europe/Kyiv"}, "PATCH")

    async def asleep(self, name: str) -> None:
        is_awake = True
        while is_awake:
            await asyncio.sleep(0.1)
            is_awake = (await self.api.get(f"/api/v1/devices/{name}")).json()["awake"]

    async def tell_nonsense(self) -> None:
        """A value of another type than the model has, and bytes that mean nothing."""
        device = self.devices[self.words.device]
        record = [{"n": f"/{MODEL_ID}/0/0", "vs": self.words.value}]
        for payload, content_format in (
            (json.dumps(record).encode(), ContentFormat.SENML_JSON),
            (b"\xff\x00", ContentFormat.SENML_CBOR),
        ):
            await device.ask(CoapRequest(Code.POST, ("dp",), (), payload, content_format))

    async def bring_packages(self) -> None:
        """A package, an update that waits for a word, and a campaign."""
        words = self.words
        query = {"name": words.package, "title": words.title, "version": "2.0", "type": "firmware"}
        more = {"description": words.text, "fileName": words.file, "tag": words.label}
        image = make_image(words.title, "2.0", bytes(2048))
        binary = {"content-type": "application/octet-stream"}
        await self.ask("POST", "/api/v1/packages", params={**query, **more}, content=image, headers=binary)
        update = {"package": words.package, "approval": True}
        await self.say(f"/devices/{segment(words.device)}/updates", update)
        campaign = {"package": words.package, "target": {"endpoint": "*"}, "approval": "wave"}
        draft = {"name": words.campaign, "description": words.text, "waves": [{"count": 1}, {}]}
        await self.say("/campaigns", {**draft, **campaign})

    async def bring_rules(self) -> None:
        """Who may come of their own, and what is written to those that bootstrap."""
        words = self.words
        rule = {"by": "endpoint", "noSec": True, "endpoints": [f"{words.absent}-*"], "labels": [words.label]}
        await self.say(f"/enrolments/{segment(words.rule)}", {**rule, "approval": "queue"}, "PUT")
        keys = {"by": "keys", "endpoints": [f"{words.sleeper}-*"], "groups": [words.group]}
        await self.say(f"/enrolments/{segment(words.rule)}-keys", keys, "PUT")
        account = {"lwm2m_server_uri": "coap://127.0.0.1:5683", "bootstrap_server": False}
        server = {"short_server_id": 123, "lifetime": 300, "binding": "U"}
        server["notification_storing_when_disabled_or_offline"] = True
        write = {"/0/1": {**account, "security_mode": 3, "short_server_id": 123}, "/1/0": server}
        draft = {"noSec": True, "write": write, "endpoints": [f"{words.absent}-*"]}
        await self.say(f"/bootstrap/configs/{segment(words.bootstrap)}", draft, "PUT")

    async def say(self, path: str, document: Document, method: str = "POST") -> None:
        await self.ask(method, f"/api/v1{path}", json=document)

    async def ask(self, method: str, path: str, **request: Any) -> None:
        answer = await self.api.request(method, path, **request)
        if not answer.is_success:
            self.refused.append(f"{method} {path}: {answer.status_code} {answer.text}")


@asynccontextmanager
async def visiting(console: Any, words: Words) -> AsyncIterator[tuple[httpx.AsyncClient, Furnishing]]:
    """A client that has signed in at a console with all this behind it."""
    base = {"base_url": console.server.http, "timeout": 30.0}
    async with httpx.AsyncClient(**base) as client, httpx.AsyncClient(**base) as api:
        api.headers.update(console.bearer())
        furnishing = Furnishing(api, console.server.coap, words)
        try:
            await furnishing.furnish()
            form = {"client": "", "secret": console.key("admin")}
            answer = await client.post("/console/sign-in", data=form)
            assert answer.status_code == 303, answer.text
            yield client, furnishing
        finally:
            await furnishing.leave()


def onem2m(ty: int) -> dict[str, str]:
    """The headers of a request that creates."""
    return {"X-M2M-RI": "1", "Content-Type": f"application/json;ty={ty}", "Accept": "application/json"}


def segment(name: str) -> str:
    return quote(name, safe="")
