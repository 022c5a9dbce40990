"""The list of devices: searched, filtered, sorted, in pages; the objects of one of them."""

from __future__ import annotations

import attrs
import pytest

from lwm2m_engine.coap import Peer
from lwm2m_engine.engine.records import Liveness, Registration
from lwm2m_engine.links import Link
from lwm2m_engine.paths import Path

REGISTRATION = Registration(
    id="r",
    endpoint="e",
    version="1.1",
    lifetime=300,
    binding="U",
    queue_mode=False,
    root="/lwm2m",
    objects={3: "1.1", 40000: "1.0"},
    instances=(Path("/3/0"),),
    links=(
        Link("/lwm2m", (("rt", "oma.lwm2m"), ("ct", "110 112"))),
        Link("/lwm2m/3", (("ver", "1.1"),)),
        Link("/lwm2m/3/0", (("x", None),)),
        Link("/foreign"),
    ),
    formats=(110, 112, 65000),
    sms=None,
    attributes={},
    registered_at=1000.0,
)
SEEN = {"meter-a": 3000.0, "meter_b": 1000.0, "Lamp": 2000.0}


@pytest.fixture
async def fleet(api):
    """Three that registered and were seen at different times, and one that never did."""
    for name in (*SEEN, "shelf"):
        await api.add_device(name, ni=f"urn:dev:{name}{'%' if name == 'Lamp' else ''}")
    for name, seen in SEEN.items():
        node = api.ledger.reader.device_named("main", name).node
        registration = attrs.evolve(REGISTRATION, id=name, endpoint=f"urn:{name}", registered_at=5000 - seen)
        liveness = Liveness(Peer("127.0.0.1", 5000), 500.0, None)
        await api.ledger.commit(
            lambda write, node=node, one=registration, beat=liveness, seen=seen: write.put_registration(
                node, one, beat, 5000 - seen
            )
        )
        # What an Update changes is told by the journal, not by the row.
        await api.ledger.commit(lambda write, node=node, seen=seen: write.renew(node, seen, None))
    return api


async def names(api, query=""):
    answer = await api.get(f"/api/v1/devices{query}", base="")
    assert answer.status_code == 200, answer.text
    return [row["name"] for row in answer.json()["devices"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["meter-a", "meter_b", "Lamp", "shelf"]),
        ("?order=desc", ["shelf", "Lamp", "meter_b", "meter-a"]),
        ("?sort=name", ["Lamp", "meter-a", "meter_b", "shelf"]),
        ("?sort=lastSeen&order=desc", ["meter-a", "Lamp", "meter_b", "shelf"]),
        ("?sort=lastSeen", ["shelf", "meter_b", "Lamp", "meter-a"]),
        ("?sort=registeredAt&registered=true", ["meter-a", "Lamp", "meter_b"]),
        ("?sort=registeredAt&order=desc", ["meter_b", "Lamp", "meter-a", "shelf"]),
        ("?sort=registeredAt&registered=false", ["shelf"]),
        ("?sort=endpoint&registered=true", ["Lamp", "meter-a", "meter_b"]),
        ("?q=METER", ["meter-a", "meter_b"]),
        ("?q=meter_", ["meter_b"]),
        ("?q=%25", ["Lamp"]),
        ("?q=urn:dev:sh", ["shelf"]),
        ("?registered=false", ["shelf"]),
        ("?state=unregistered", ["shelf"]),
        ("?state=awake&q=meter", ["meter-a", "meter_b"]),
        ("?state=awake&limit=1&offset=1", ["meter_b"]),
        ("?state=asleep", []),
        ("?sort=name&limit=2&offset=1", ["meter-a", "meter_b"]),
    ],
)
async def test_devices_are_found(fleet, query, expected):
    assert await names(fleet, query) == expected


async def test_sleepers_are_found_by_what_the_engine_says(fleet):
    for name in ("Lamp", "meter_b"):
        node = fleet.ledger.reader.device_named("main", name).node
        sleeper = attrs.evolve(REGISTRATION, id=f"s{name}", endpoint=f"urn:{name}", queue_mode=True)
        await fleet.ledger.commit(lambda write, one=node, now=sleeper: write.change_registration(one, now))
    assert await names(fleet, "?state=asleep&sort=name") == ["Lamp", "meter_b"]
    assert await names(fleet, "?state=asleep&sort=endpoint&order=desc") == ["meter_b", "Lamp"]
    assert await names(fleet, "?state=asleep&sort=lastSeen") == ["meter_b", "Lamp"]
    assert await names(fleet, "?state=asleep&q=meter") == ["meter_b"]
    assert await names(fleet, "?state=awake") == ["meter-a"]


async def test_pages_say_how_much_there_is(fleet):
    page = (await fleet.get("/api/v1/devices?q=meter&sort=name&limit=1", base="")).json()
    assert (page["total"], page["nextOffset"], len(page["devices"])) == (2, 1, 1)
    page = (await fleet.get("/api/v1/devices?state=awake&limit=1", base="")).json()
    assert (page["total"], page["nextOffset"]) == (3, 1)
    page = (await fleet.get("/api/v1/devices?sort=lastSeen&order=desc&offset=2", base="")).json()
    assert ([row["name"] for row in page["devices"]], page["total"]) == (["meter_b", "shelf"], 4)
    page = (await fleet.get("/api/v1/devices?sort=lastSeen&limit=2", base="")).json()
    assert ([row["name"] for row in page["devices"]], page["nextOffset"]) == (["shelf", "meter_b"], 2)


async def test_members_of_a_group_and_devices_of_a_profile(fleet):
    lamp = (await fleet.get("/Lamp")).json()["node"]["resourceID"]
    group = {"dtiot:devGr": {"rn": "Night", "nds": ["meter-a", lamp], "aes": []}}
    answer = await fleet.post("/device-group", 28, group)
    assert answer.status_code == 201, answer.text
    assert await names(fleet, "?group=Night") == ["meter-a", "Lamp"]
    assert await names(fleet, "?group=Night&q=lamp") == ["Lamp"]
    profile = {"name": "meters", "transportType": "LWM2M", "profileData": {"transportConfiguration": {}}}
    answer = await fleet.call("POST", "/api/v1/profiles", None, profile, base="")
    assert answer.status_code == 201, answer.text
    for name in ("meter_b", "Lamp"):
        answer = await fleet.call(
            "PUT", f"/api/v1/devices/{name}/profile", None, {"profile": "meters"}, base=""
        )
        assert answer.status_code == 200, answer.text
    assert await names(fleet, "?profile=meters") == ["meter_b", "Lamp"]
    assert await names(fleet, "?profile=meters&group=Night") == ["Lamp"]
    shown = (await fleet.get("/api/v1/devices/meter_b", base="")).json()
    assert shown["profile"] == "meters"


@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        ("sort=colour", 400, "one of created, name"),
        ("order=up", 400, "one of asc, desc"),
        ("registered=yes", 400, "one of true, false"),
        ("state=awake&registered=false", 400, "leave nothing"),
        ("profile=none", 404, "no profile 'none'"),
        ("group=none", 404, "no device group 'none'"),
        ("q=" + 201 * "x", 400, "at most 200"),
    ],
)
async def test_what_cannot_be_asked_for(fleet, query, status, word):
    answer = await fleet.get(f"/api/v1/devices?{query}", base="")
    assert answer.status_code == status
    assert word in answer.json()["detail"]


async def test_objects_as_they_were_announced(fleet):
    found = (await fleet.get("/api/v1/devices/meter-a/objects", base="")).json()
    assert (found["device"], found["root"]) == ("meter-a", "/lwm2m")
    assert [(one["id"], one["name"]) for one in found["contentFormats"]] == [
        (110, "senml-json"),
        (112, "senml-cbor"),
        (65000, None),
    ]
    device, unknown = found["objects"]
    assert (device["id"], device["name"], device["version"], device["attributes"]) == (
        3,
        "Device",
        "1.1",
        {"ver": "1.1"},
    )
    assert device["instances"] == [{"id": 0, "path": "/3/0", "attributes": {"x": None}}]
    assert {"id": 9, "name": "Battery Level"}.items() <= device["resources"][9].items()
    assert (unknown["id"], unknown["name"], unknown["resources"]) == (40000, None, [])
    assert [one["target"] for one in found["links"]] == ["/lwm2m", "/lwm2m/3", "/lwm2m/3/0", "/foreign"]
    missing = await fleet.get("/api/v1/devices/shelf/objects", base="")
    assert (missing.status_code, "is not registered" in missing.json()["detail"]) == (409, True)
