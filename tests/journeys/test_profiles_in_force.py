"""What device profiles do to devices: a real server, simulated devices, and what these are asked."""

from __future__ import annotations

import asyncio

import pytest

from lwm2m_engine.coap import CoapReply, Code
from lwm2m_engine.codecs import decode_paths
from lwm2m_engine.values import ResourceType
from lwm2m_server.simulator.objects import default_objects
from lwm2m_server.simulator.tree import Resource, SimulatedObject

pytestmark = pytest.mark.native_stack("what is below CoAP/UDP makes no difference here")

BOTH = ["/3/0/9", "/3/0/13"]
VERBS = {Code.GET: "read", Code.PUT: "write", Code.FETCH: "fetch", Code.POST: "post"}


def profile(name, *, strategy="SINGLE", after=1, observe=(*BOTH, "/3303/0/5700"), attribute=(), **more):
    """As it is exported elsewhere."""
    telemetry = more.pop("telemetry", list(observe))
    return {
        "name": name,
        "transportType": "LWM2M",
        "profileData": {
            "transportConfiguration": {
                "type": "LWM2M",
                "observeAttr": {
                    "keyName": {},
                    "observe": list(observe),
                    "attribute": list(attribute),
                    "telemetry": telemetry,
                    "attributeLwm2m": more.pop("attributes", {}),
                    "observeStrategy": strategy,
                    "initAttrTelAsObsStrategy": False,
                },
                "bootstrap": [],
                "clientLwM2mSettings": {"clientOnlyObserveAfterConnect": after, **more},
            }
        },
    }


class Asked(list):
    """What a device is asked, in words."""

    def __init__(self, device):
        super().__init__()
        answer = device.serve

        def serve(request, token):
            self.append(words(request))
            return answer(request, token)

        device.serve = serve

    def since_registration(self):
        """Without what the server reads of every device."""
        return [said for said in self if said not in ("read /3/0", "read /6/0")]


def words(request):
    path = "/" + "/".join(request.path)
    if request.code == Code.FETCH:
        path = " ".join(map(str, decode_paths(request.payload, request.content_format)))
    verb = VERBS[request.code]
    if request.observe is not None:
        verb = "cancel" if request.observe else "observe"
    return " ".join([verb, path, *request.query])


class Profiles:
    """``/api/v1/profiles`` of one server."""

    def __init__(self, api):
        self.client, self.base = api.client, f"{api.server.http}/api/v1"

    async def put(self, document, **assignment):
        name = document["name"]
        answer = await self.client.put(f"{self.base}/profiles/{name}", json=document)
        assert answer.status_code in (200, 201), answer.text
        if assignment:
            answer = await self.client.put(f"{self.base}/profiles/{name}/assignment", json=assignment)
            assert answer.status_code == 200, answer.text

    async def remove(self, name):
        answer = await self.client.delete(f"{self.base}/profiles/{name}?force=true")
        assert answer.status_code == 204, answer.text


@pytest.fixture
def meet(device):
    """A device with a thermometer, and what it is asked."""

    async def meet(server, endpoint="dev", *, version="1.1", **options):
        thermometer = SimulatedObject(3303, {0: {5700: Resource(ResourceType.FLOAT, 20.5)}})
        objects = [*default_objects(300, "U"), thermometer]
        one = await device(server, endpoint, live=False, version=version, objects=objects, **options)
        return one, Asked(one)

    return meet


@pytest.fixture
def profiles(api):
    return Profiles(api)


def for_one(endpoint):
    return {"rules": [{"priority": 1, "endpoint": endpoint}]}


async def enough(asked, count, eventually):
    """Wait until a device was asked so much; what that was."""

    async def look():
        return len(asked.since_registration()) >= count

    await eventually(look)
    return asked.since_registration()


OBSERVED = {
    "SINGLE": ["observe /3/0/9", "observe /3/0/13", "observe /3303/0/5700"],
    "COMPOSITE_ALL": ["observe /3/0/9 /3/0/13 /3303/0/5700"],
    "COMPOSITE_BY_OBJECT": ["observe /3/0/9 /3/0/13", "observe /3303/0/5700"],
}


async def test_three_strategies_of_observing_and_of_reading(server, api, meet, profiles, eventually):
    kinds = [(strategy, after) for strategy in OBSERVED for after in (1, 2, 3)]
    for strategy, after in kinds:
        name = f"{strategy}-{after}"
        document = profile(name, strategy=strategy, after=after, attribute=["/1/0/1"])
        await profiles.put(document, **for_one(name))
    devices = {}
    for strategy, after in kinds:
        name = f"{strategy}-{after}"
        one, devices[strategy, after] = await meet(server, name)
        await one.register()
    for (strategy, after), asked in devices.items():
        observed = OBSERVED[strategy]
        if after == 1:
            expected = [*observed, "read /1/0/1"]
            assert await enough(asked, len(expected), eventually) == expected
        elif after == 3:
            expected = ["fetch /1/0/1 /3/0/9 /3/0/13 /3303/0/5700", *observed]
            assert await enough(asked, len(expected), eventually) == expected
        else:

            async def observed_last(asked=asked, observed=observed):
                return asked[-len(observed) :] == observed

            await eventually(observed_last)
            reads = asked[: -len(observed)]
            assert {"read /1/0", "read /3303/0"} <= set(reads)
            # Once because the profile says so, once because the server wants to know every Device Object.
            assert reads.count("read /3/0") == 2
            assert not any(said.startswith(("read /0", "observe")) for said in reads)


async def test_attributes_come_first_and_changes_are_differences(server, api, meet, profiles, eventually):
    attributes = {"/3": {"pmin": 1}, "/3/0/9": {"pmax": 60, "gt": 80.5}}
    await profiles.put(profile("meter", observe=BOTH, attributes=attributes), default=True)
    one, asked = await meet(server)
    await one.register()
    first = ["write /3 pmin=1", "write /3/0/9 pmax=60 gt=80.5", "observe /3/0/9", "observe /3/0/13"]
    assert await enough(asked, 4, eventually) == first
    asked.clear()
    attributes = {"/3/0/9": {"pmax": 60, "gt": 81}}
    await profiles.put(
        profile("meter", observe=["/3/0/9", "/3303/0/5700"], attributes=attributes, attribute=["/3/0/0"])
    )
    assert sorted(await enough(asked, 5, eventually)) == [
        "cancel /3/0/13",
        "observe /3303/0/5700",
        "read /3/0/0",
        "write /3 pmin",
        "write /3/0/9 gt=81",
    ]
    asked.clear()
    await profiles.remove("meter")
    gone = ["cancel /3/0/9", "cancel /3303/0/5700", "write /3/0/9 pmax gt"]
    assert sorted(await enough(asked, 3, eventually)) == gone
    # Nothing else comes.
    await api.ask("dev", "GET /3/0/1")
    assert asked.since_registration()[3:] == ["read /3/0/1"]


async def test_a_device_without_composites_is_observed_all_the_same(server, meet, profiles, eventually):
    await profiles.put(profile("all", strategy="COMPOSITE_ALL"), default=True)
    old, asked_old = await meet(server, "old", version="1.0")
    poor, asked_poor = await meet(server, "poor")
    able = poor.serve
    poor.serve = lambda request, token: (
        CoapReply(Code.METHOD_NOT_ALLOWED) if request.code == Code.FETCH else able(request, token)
    )
    for one in (old, poor):
        await one.register()
    for asked in (asked_old, asked_poor):
        assert await enough(asked, 3, eventually) == OBSERVED["SINGLE"]


async def test_a_sleeper_learns_of_a_change_when_it_wakes(serve, connect, meet, eventually):
    server = serve("--unknown-devices", "create", LWM2M_DEVICES_AWAKE_WINDOW="0.3")
    profiles = Profiles(connect(server))
    await profiles.put(profile("meter", observe=["/3/0/9"]), default=True)
    one, asked = await meet(server, queue_mode=True)
    await one.register()
    await enough(asked, 1, eventually)

    async def asleep():
        shown = await connect(server).client.get(f"{server.http}/api/v1/events?limit=100")
        return "sleeping" in shown.text

    await eventually(asleep)
    await profiles.put(profile("meter", observe=BOTH))
    assert asked.since_registration() == ["observe /3/0/9"]
    await one.update()
    assert await enough(asked, 2, eventually) == ["observe /3/0/9", "observe /3/0/13"]


async def test_a_server_that_is_killed_goes_on_where_it_was(server, api, meet, profiles, eventually):
    many = [f"/3/0/{number}" for number in (0, 1, 2, 3, 9, 10, 13, 14, 15, 16, 17, 18, 19, 20, 21)]
    attributes = {"/3/0/9": {"pmin": 1}}
    await profiles.put(profile("meter", observe=many, attributes=attributes), default=True)
    one, asked = await meet(server)
    answer, sixth = one.serve, asyncio.Event()

    def fall_silent(request, token):
        if len(asked.since_registration()) >= 6 and not sixth.is_set():
            one.deaf = True
            sixth.set()
        return answer(request, token)

    one.serve = fall_silent
    await one.register()
    await sixth.wait()
    server.kill()
    one.deaf = False
    server.restart()

    async def all_of_them():
        return f"observe {many[-1]}" in asked

    await eventually(all_of_them)
    said = asked.since_registration()
    observed = [words for words in said if words.startswith("observe")]
    # One was under way; whether its answer was kept nobody knows.
    assert list(dict.fromkeys(observed)) == [f"observe {path}" for path in many]
    assert len(observed) <= len(many) + 1
    assert said.count("write /3/0/9 pmin=1") == 1
    # An answer to a later message shows that the last one is kept.
    await api.ask("dev", "GET /3/0/1")
    server.kill()
    server.restart()
    asked.clear()
    await one.update()
    await profiles.put(profile("meter", observe=many[1:], attributes=attributes))
    assert await enough(asked, 1, eventually) == ["cancel /3/0/0"]


async def test_neither_another_version_nor_a_rule_keeps_a_device_waiting(
    server, api, meet, profiles, eventually
):
    """The rule applies as soon as the device has told what it is."""
    rule = {"rules": [{"priority": 1, "manufacturer": "My Demo*", "model": "Model 5*"}]}
    await profiles.put(profile("demo", observe=["/3_1.9/0/9", "/3320/0/5700"]), **rule)
    one, asked = await meet(server)
    await one.register()
    assert await enough(asked, 1, eventually) == ["observe /3/0/9"]
    lines = str(await api.messages("dev", "logs"))
    assert "the device profile is made for 1.9 and used all the same" in lines
    assert "names what is not announced: /3320/0/5700" in lines
