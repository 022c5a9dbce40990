"""What devices told over HTTP: from real devices over real sockets, found again by key, path and time."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
from itertools import groupby
from pathlib import Path as File

import attrs
import httpx
import pytest

from lwm2m_engine.coap import CoapRequest, Code
from lwm2m_engine.codecs import encode
from lwm2m_engine.engine.events import Received
from lwm2m_engine.entries import Entry
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ResourceType
from lwm2m_server.app import run
from lwm2m_server.bus import Bus
from lwm2m_server.settings import Address, DeviceSettings, Settings
from lwm2m_server.simulator.device import SimulatedDevice
from lwm2m_server.simulator.objects import default_objects, device_object, server_object
from lwm2m_server.simulator.tree import Resource, SimulatedObject
from lwm2m_server.store.reports import report
from lwm2m_server.telemetry import live

ANY = Address("127.0.0.1", 0)
NOW = float(int(time.time()) - 7200)
UNKNOWN = 33999


@attrs.frozen
class House:
    running: object
    client: httpx.AsyncClient

    @property
    def coap(self):
        host, _, port = self.running.addresses.devices["coap"][0].rpartition(":")
        return host.removeprefix("coap://"), int(port)

    async def get(self, path: str, status: int = 200, **params):
        answer = await self.client.get(f"/api/v1/devices/{path}", params=params)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def series(self, path="dev1/telemetry", **params):
        return {row["key"]: row for row in (await self.get(path, **params))["series"]}

    async def points(self, key, **params):
        document = await self.get("dev1/telemetry", keys=key, **params)
        return [(one["at"], one["value"]) for one in document["series"][0]["values"]]

    async def call(self, method, **params):
        body = {"method": method, "params": params}
        answer = await self.client.post("/api/v1/devices/dev1/rpc", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["state"] == "SUCCESSFUL", answer.text

    async def tell(self, *told, at=NOW):
        """As if the device had; path and value, or with a time."""
        node = self.running.core.ledger.reader.device_named("main", "dev1").node
        entries = [Entry(Path(path), value, *time) for path, value, *time in told]
        await self.running.core.ledger.commit(
            lambda transaction: transaction.add_values(node, report(at, "send", entries))
        )


@pytest.fixture
async def open_house(tmp_path: File):
    """Starts a server on the same data again and again; the one before ends."""
    open_ones = []

    async def close():
        stop, server, client = open_ones.pop()
        await client.aclose()
        stop.set()
        await server

    async def start(**more):
        if open_ones:
            await close()
        devices = DeviceSettings(unknown="create")
        settings = Settings(coap=(ANY,), http=ANY, data=tmp_path / "data", devices=devices, **more)
        started, stop = asyncio.get_running_loop().create_future(), asyncio.Event()
        server = asyncio.create_task(run(settings, ready=started.set_result, stop=stop))
        await asyncio.wait([server, started], return_when=asyncio.FIRST_COMPLETED)
        running = started.result()
        open_ones.append((stop, server, httpx.AsyncClient(base_url=running.addresses.http)))
        return House(running, open_ones[-1][2])

    yield start
    if open_ones:
        await close()


async def device_of(house: House, version="1.1", **options) -> SimulatedDevice:
    device = SimulatedDevice("dev1", house.coap, version=version, **options)
    await device.open()
    await device.register()
    return device


def unknown_object() -> SimulatedObject:
    return SimulatedObject(
        UNKNOWN, {0: {1: Resource(ResourceType.FLOAT, 21.5), 2: Resource(ResourceType.STRING, "hot")}}
    )


async def test_all_ways_a_device_tells_something_are_found_by_key(open_house, eventually):
    house = await open_house()
    device = await device_of(house)
    await house.call("Read", id="/3/0/9")
    await house.call("WriteReplace", id="/3/0/15", value="Europe/Kyiv")
    await device.send("/3/0/13")
    await house.call("Observe", id="/3/0/20")
    device.set("/3/0/20", 5)

    async def told():
        found = (await house.series(keys="batteryStatus")).get("batteryStatus")
        return found is not None and found["value"] == 5

    await eventually(told)
    rows = await house.series()
    assert (
        rows["batteryLevel"].items()
        >= {
            "path": "/3/0/9",
            "value": 72,
            "type": "Integer",
            "source": "read",
            "name": "Battery Level",
        }.items()
    )
    assert rows["timezone"].items() >= {"value": "Europe/Kyiv", "source": "write"}.items()
    assert rows["currentTime"]["source"] == "send"
    assert abs(rows["currentTime"]["value"] - time.time() * 1000) < 60_000
    assert rows["batteryStatus"]["source"] == "notify"
    history = [value for _, value in await house.points("batteryStatus", **{"from": 0})]
    assert [value for value, _ in groupby(history)] == [3, 5]
    device.close()


async def test_instances_of_a_resource_are_one_value(open_house):
    house = await open_house()
    device = await device_of(house)
    device.set("/3/0/11", {0: 1, 1: 4})
    await house.call("Read", id="/3/0")
    assert (await house.series())["errorCode"]["value"] == {"0": 1, "1": 4}
    device.set("/3/0/11", {0: 1})
    await house.call("Read", id="/3/0")
    assert (await house.series())["errorCode"]["value"] == {"0": 1}
    history = [value for _, value in await house.points("errorCode", **{"from": 0})]
    assert [value for value, _ in groupby(history)][-2:] == [{"0": 1, "1": 4}, {"0": 1}]
    exact = await house.get("dev1/telemetry", paths="/3/0/11/1", **{"from": 0})
    assert [one["value"] for one in exact["series"][0]["values"]] == [{"1": 4}]
    device.close()


async def test_an_object_nobody_knows_has_values_and_they_get_types_with_a_model(open_house, tmp_path):
    house = await open_house()
    device = await device_of(house, objects=[*default_objects(300, "U"), unknown_object()])
    payload = encode(
        [Entry(Path((UNKNOWN, 0, 1)), 21.5), Entry(Path((UNKNOWN, 0, 2)), "hot")],
        ContentFormat.SENML_CBOR,
        at=Path("/"),
    )
    await device.ask(CoapRequest(Code.POST, ("dp",), (), payload, ContentFormat.SENML_CBOR))
    rows = {row["path"]: row for row in (await house.get("dev1/values"))["values"]}
    assert rows[f"/{UNKNOWN}/0/1"].items() >= {"value": 21.5, "type": None, "key": f"/{UNKNOWN}/0/1"}.items()
    await house.call("Read", id=f"/{UNKNOWN}/0")
    rows = {row["path"]: row["value"] for row in (await house.get("dev1/values"))["values"]}
    assert rows[f"/{UNKNOWN}/0/2"] in ("hot", {"contentFormat": 11542, "raw": "aG90"})
    device.close()


async def test_a_payload_that_cannot_be_decoded_stays_readable(open_house):
    house = await open_house()
    device = await device_of(house)
    reply = await device.ask(CoapRequest(Code.POST, ("dp",), (), b"\xff\x00", ContentFormat.SENML_CBOR))
    assert reply.code == Code.BAD_REQUEST
    (row,) = (await house.get("dev1/values"))["undecoded"]
    assert row["payload"] == "/wA="
    assert row["source"] == "send"
    assert row["error"]
    device.close()


async def test_the_devices_own_times_are_kept_and_a_later_value_of_one_replaces_it(open_house):
    house = await open_house()
    device = await device_of(house)
    entries = [Entry(Path("/3303/0/5700"), 20.0 + n, NOW + 60 * n) for n in range(5)]
    for batch in (entries, [entries[2]._replace(value=99.5)]):
        payload = encode(batch, ContentFormat.SENML_JSON, at=Path("/"))
        await device.ask(CoapRequest(Code.POST, ("dp",), (), payload, ContentFormat.SENML_JSON))
    found = await house.points("/3303/0/5700", **{"from": int(NOW * 1000)})
    assert found == [(int(NOW * 1000) + 60_000 * n, 99.5 if n == 2 else 20.0 + n) for n in range(5)]
    device.close()


# --- ranges, pages, aggregates ------------------------------------------------------------------------


@pytest.fixture
async def house(open_house):
    found = await open_house()
    device = await device_of(found, objects=[server_object(300, "U")])
    yield found
    device.close()


BEGIN = int(NOW * 1000)


async def _tell_hours(house: House) -> None:
    for minute in range(100):
        await house.tell(("/3303/0/5700", float(minute)), ("/3/0/9", minute), at=NOW + 60 * minute)


async def test_a_range_in_pages_in_both_directions(house: House):
    await _tell_hours(house)
    for order, wanted in (("asc", list(range(30, 80))), ("desc", list(range(79, 29, -1)))):
        found, begin, end = [], BEGIN + 30 * 60_000, BEGIN + 80 * 60_000
        while True:
            document = await house.get(
                "dev1/telemetry", keys="batteryLevel", order=order, limit=7, **{"from": begin, "to": end}
            )
            (series,) = document["series"]
            found += [one["value"] for one in series["values"] if one["value"] not in found]
            if "next" not in series:
                break
            begin, end = (series["next"], end) if order == "asc" else (begin, series["next"])
        assert found == wanted


HOURS = {
    "min": [0.0, 60.0],
    "max": [59.0, 99.0],
    "avg": [29.5, 79.5],
    "sum": [1770.0, 3180.0],
    "count": [60, 40],
    "first": [0.0, 60.0],
    "last": [59.0, 99.0],
}


async def test_one_value_an_hour(house: House):
    await _tell_hours(house)
    for agg, wanted in HOURS.items():
        found = await house.points("sensorValue", agg=agg, interval=3_600_000, **{"from": BEGIN})
        assert found == [(BEGIN, wanted[0]), (BEGIN + 3_600_000, wanted[1])], agg
    (whole,) = await house.points("sensorValue", agg="count", **{"from": BEGIN})
    assert whole == (BEGIN, 100)


async def test_numbers_of_every_size_are_exact_and_no_number_is_text(house: House):
    huge, least = 2**64 - 1, -(2**63)
    await house.tell(
        ("/3442/0/125", huge), ("/3442/0/120", least), ("/3442/0/130", float("nan")), ("/3442/0/150", b"\xff")
    )
    rows = {row["path"]: row["value"] for row in (await house.get("dev1/telemetry"))["series"]}
    assert rows["/3442/0/125"] == huge
    assert rows["/3442/0/120"] == least
    assert rows["/3442/0/130"] == "NaN"
    assert rows["/3442/0/150"] == "/w=="
    await house.tell(("/5/0/3", 1), ("/9/0/7", 2))
    rows = {row["path"]: row["value"] for row in (await house.get("dev1/telemetry"))["series"]}
    assert rows["/5/0/3"] == 1
    assert rows["/9/0/7"] == 2


async def test_paths_with_any_instance_and_whole_objects(house: House):
    await house.tell(("/3303/0/5700", 1.0), ("/3303/7/5700", 2.0), ("/3303/7/5701", "Cel"))
    for paths, wanted in (
        ("/3303/*/5700", ["/3303/0/5700", "/3303/7/5700"]),
        ("/3303/7", ["/3303/7/5700", "/3303/7/5701"]),
        ("3303", ["/3303/0/5700", "/3303/7/5700", "/3303/7/5701"]),
    ):
        found = (await house.get("dev1/telemetry", paths=paths))["series"]
        assert [row["path"] for row in found] == wanted
    rows = await house.series(keys="sensorValue,sensorValue7,lifetime")
    assert {key: row["value"] for key, row in rows.items()} == {"sensorValue": 1.0, "sensorValue7": 2.0}


WRONG = {
    "keys=sensorValu": "no key 'sensorValu'; nearest is 'sensorValue'",
    "agg=median": "agg=median is none of min",
    "interval=5": "interval is for agg",
    "from=x": "from=x is no time in milliseconds",
    "paths=/70000/0": "70000",
    "order=up": "order=up is none of",
    "format=xml": "format=xml is none of json, csv",
}


async def test_what_cannot_be_answered_says_why(house: House):
    await house.tell(("/3303/0/5700", 1.0))
    for query, complaint in WRONG.items():
        query = f"{query}&from=0" if "from" not in query else query
        answer = await house.client.get(f"/api/v1/devices/dev1/telemetry?{query}")
        assert answer.status_code == 400, answer.text
        assert complaint in answer.json()["detail"]
    # Of the last values too, although they have no order.
    answer = await house.client.get("/api/v1/devices/dev1/telemetry?order=none")
    assert answer.status_code == 400, answer.text


async def test_csv_has_a_row_a_value(house: House):
    await _tell_hours(house)
    answer = await house.client.get(
        "/api/v1/devices/dev1/telemetry?from=0&keys=sensorValue", headers={"accept": "text/csv"}
    )
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["at", "time", "key", "path", "value", "units"]
    assert len(rows) == 101
    assert rows[1][0] == str(BEGIN)
    assert rows[1][2:5] == ["sensorValue", "/3303/0/5700", "0.0"]
    latest = await house.client.get("/api/v1/devices/dev1/telemetry?format=csv")
    assert [row[3:5] for row in csv.reader(io.StringIO(latest.text))][1:] == [
        ["/3/0/9", "99"],
        ["/3303/0/5700", "99.0"],
    ]


async def test_csv_of_many_values_comes_in_pages(house: House, monkeypatch):
    monkeypatch.setattr("lwm2m_server.http.telemetry.PAGE", 7)
    await _tell_hours(house)
    for order in ("asc", "desc"):
        answer = await house.client.get(
            f"/api/v1/devices/dev1/telemetry?from=0&keys=batteryLevel&order={order}&format=csv"
        )
        values = [int(row[4]) for row in list(csv.reader(io.StringIO(answer.text)))[1:]]
        assert values == (list(range(100)) if order == "asc" else list(range(99, -1, -1)))


async def test_what_is_forgotten_stays_so_after_a_restart(open_house):
    house = await open_house()
    device = await device_of(house, objects=[server_object(300, "U")])
    await _tell_hours(house)
    answer = await house.client.delete(
        f"/api/v1/devices/dev1/telemetry?keys=sensorValue&to={BEGIN + 60_000 * 40}"
    )
    assert answer.json() == {"deleted": 40}
    for _ in range(2):
        assert [value for _, value in await house.points("sensorValue", **{"from": 0})] == list(
            range(40, 100)
        )
        assert len(await house.points("batteryLevel", **{"from": 0})) == 100
        house = await open_house()
    answer = await house.client.delete("/api/v1/devices/dev1/telemetry")
    assert answer.json() == {"deleted": 160}
    assert await house.series() == {}
    device.close()


async def test_attributes_are_what_the_profile_says_or_all(house: House):
    profile = {
        "name": "thermo",
        "profileData": {
            "transportConfiguration": {
                "type": "LWM2M",
                "observeAttr": {
                    "observe": [],
                    "attribute": ["/3/0/0"],
                    "telemetry": ["/3303/0/5700"],
                    "keyName": {"/3303/0/5700": "warmth"},
                    "attributeLwm2m": {},
                },
                "clientLwM2mSettings": {"clientOnlyObserveAfterConnect": 1},
            }
        },
        "transportType": "LWM2M",
    }
    answer = await house.client.post("/api/v1/profiles", json=profile)
    assert answer.status_code == 201, answer.text
    answer = await house.client.put("/api/v1/devices/dev1/profile", json={"profile": "thermo"})
    assert answer.status_code in (200, 204), answer.text
    await house.tell(("/3303/0/5700", 1.0), ("/3/0/0", "ACME"), ("/3/0/9", 5))
    rows = (await house.get("dev1/attributes"))["attributes"]
    assert [(row["key"], row["value"]) for row in rows] == [("manufacturer", "ACME")]
    rows = (await house.get("dev1/attributes", all="true"))["attributes"]
    assert {row["key"] for row in rows} >= {"manufacturer", "warmth", "batteryLevel"}
    assert (await house.series(keys="warmth"))["warmth"]["value"] == 1.0


async def test_a_storm_of_notifications_is_all_there_afterwards(open_house, eventually):
    house = await open_house()
    device = await device_of(house, objects=[server_object(300, "U"), device_object()])
    heard = []

    def hear(tenant, event):
        heard.extend(entry.value for entry in event.entries if entry.path == Path("/3/0/9"))

    house.running.core.bus.subscribe(hear, Received)
    await house.call("Observe", id="/3/0/9")
    for value in range(300):
        device.set("/3/0/9", value)
        await asyncio.sleep(0)

    async def arrived():
        found = (await house.series(keys="batteryLevel"))["batteryLevel"]
        return found["value"] == 299

    await eventually(arrived)
    told = [value for _, value in await house.points("batteryLevel", **{"from": 0})]
    assert len(heard) > 100
    assert told[-len(heard) :] == heard
    house = await open_house()
    assert [value for _, value in await house.points("batteryLevel", **{"from": 0})] == told
    device.close()


MODEL = """<?xml version="1.0" encoding="UTF-8"?>
<LWM2M><Object ObjectType="MODefinition">
<Name>Greenhouse</Name><ObjectID>33999</ObjectID><ObjectURN>urn:oma:lwm2m:x:33999</ObjectURN>
<LWM2MVersion>1.0</LWM2MVersion><ObjectVersion>1.0</ObjectVersion>
<MultipleInstances>Single</MultipleInstances><Mandatory>Optional</Mandatory>
<Resources>
<Item ID="1"><Name>Warmth</Name><Operations>R</Operations><MultipleInstances>Single</MultipleInstances>
<Mandatory>Mandatory</Mandatory><Type>{warmth}</Type><RangeEnumeration/><Units>Cel</Units></Item>
</Resources></Object></LWM2M>
"""


async def _upload(house: House, warmth: str) -> None:
    answer = await house.client.post(
        "/api/v1/models?level=tenant&replace=true",
        content=MODEL.format(warmth=warmth),
        headers={"content-type": "application/xml"},
    )
    assert answer.status_code in (200, 201), answer.text


async def _send(device: SimulatedDevice, value: object, content_format: int) -> int:
    payload = encode([Entry(Path((UNKNOWN, 0, 1)), value)], content_format, at=Path("/"))
    reply = await device.ask(CoapRequest(Code.POST, ("dp",), (), payload, content_format))
    return reply.code


async def test_bytes_without_a_model_have_their_type_once_it_is_there_also_those_of_before(open_house):
    house = await open_house()
    objects = [server_object(300, "U"), unknown_object()]
    device = await device_of(house, version="1.0", objects=objects)
    place = f"/{UNKNOWN}/0/1"
    for warmth in (20.5, 21.5):
        device.set(place, warmth)
        request = {"method": "Read", "params": {"id": place}}
        answer = await house.client.post("/api/v1/devices/dev1/rpc", json=request)
        assert answer.json()["state"] == "SUCCESSFUL"
    raw = (await house.get("dev1/telemetry"))["series"][0]
    assert raw["value"]["contentFormat"] in (0, 11542)
    await _upload(house, "Float")
    history = await house.points("warmth", **{"from": 0})
    assert [value for _, value in history] == [20.5, 21.5]
    (row,) = (await house.get("dev1/telemetry"))["series"]
    assert row.items() >= {"key": "warmth", "units": "Cel", "value": 21.5}.items()
    device.close()


async def test_what_could_not_be_decoded_becomes_values_with_a_model_it_fits(open_house, eventually):
    house = await open_house()
    await _upload(house, "Integer")
    device = await device_of(house, objects=[server_object(300, "U"), unknown_object()])
    assert await _send(device, "hot", ContentFormat.SENML_JSON) == Code.BAD_REQUEST
    (raw,) = (await house.get("dev1/values"))["undecoded"]
    await _upload(house, "String")

    async def typed():
        return (await house.get("dev1/values"))["values"]

    (row,) = await eventually(typed)
    assert row.items() >= {"key": "warmth", "value": "hot", "source": "send", "at": raw["at"]}.items()
    assert (await house.get("dev1/values"))["undecoded"] == []
    device.close()


# --- as it comes --------------------------------------------------------------------------------------


class Onlooker:
    """Reads a stream until it has what it wants."""

    def __init__(self, house: House, query: str = "") -> None:
        self.house, self.query, self.frames = house, query, []
        self.begun = asyncio.Event()

    async def until(self, done) -> list:
        url, headers = f"/api/v1/devices/dev1/telemetry{self.query}", {"accept": "text/event-stream"}
        async with self.house.client.stream("GET", url, headers=headers) as answer:
            assert answer.status_code == 200
            name = ""
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    self.frames.append((name, json.loads(line[6:])))
                    self.begun.set()
                    if done(self.values):
                        return self.values
        raise AssertionError("the stream ended")

    @property
    def values(self) -> list:
        return [
            (row["key"], row["value"])
            for name, data in self.frames
            if name == "values"
            for row in data["values"]
        ]


async def test_who_looks_on_sees_the_last_values_and_then_each(open_house):
    house = await open_house()
    device = await device_of(house, objects=[server_object(300, "U"), unknown_object()])
    await house.tell(("/3/0/9", 7), ("/3303/0/5700", 1.0))
    looking = Onlooker(house, f"?keys=batteryLevel&paths=/{UNKNOWN}")
    task = asyncio.create_task(looking.until(lambda values: len(values) > 2))
    await asyncio.wait_for(looking.begun.wait(), 10)
    assert looking.values == [("batteryLevel", 7)]
    for value in (20.5, 21.5):
        assert await _send(device, value, ContentFormat.SENML_CBOR) == Code.CHANGED
    found = await asyncio.wait_for(task, 10)
    place = f"/{UNKNOWN}/0/1"
    assert found == [("batteryLevel", 7), (place, 20.5), (place, 21.5)]
    device.close()


async def test_a_reader_that_is_slow_is_told_what_it_missed(monkeypatch):
    monkeypatch.setattr(live, "KEPT", 3)
    bus = Bus()
    looking = live.Live(bus)
    batches = looking.follow("main", "dev1")
    await anext(batches)
    entries = tuple(Entry(Path("/3/0/9"), value, NOW + value) for value in range(5))
    bus.publish("main", Received("dev1", NOW, "send", Path("/"), Code.CHANGED, entries))
    bus.publish("other", Received("dev1", NOW, "send", Path("/"), Code.CHANGED, entries))
    batch = await anext(batches)
    assert [one.value for one in batch.news] == [0, 1, 2]
    assert batch.missed == 2
    looking.close()
    assert [batch async for batch in batches] in ([], [live.Batch([])])
    assert looking.followers == 0


async def test_only_administrators_may_forget(house: House):
    await house.tell(("/3/0/9", 7))
    path, tokens = "/api/v1/devices/dev1/telemetry", {}
    for role in ("admin", "operate"):
        draft = {"id": role, "role": role, "tenant": "main"}
        added = (await house.client.post("/api/v1/clients", json=draft, headers=tokens.get("admin"))).json()
        form, secret = {"grant_type": "client_credentials"}, (added["id"], added["secret"])
        granted = (await house.client.post("/auth/token", data=form, auth=secret)).json()
        tokens[role] = {"Authorization": f"Bearer {granted['access_token']}"}
    assert (await house.client.get(path)).status_code == 401
    assert (await house.client.get(path, headers=tokens["operate"])).json()["series"]
    refused = await house.client.delete(path, headers=tokens["operate"])
    assert (refused.status_code, refused.json()["detail"]) == (403, "this takes the role admin")
    assert (await house.client.delete(path, headers=tokens["admin"])).json() == {"deleted": 1}
