"""``/api/v1/applications``, ``/groups`` and ``/subscriptions``: the oneM2M tree for operators."""

from __future__ import annotations

import asyncio

import pytest

from lwm2m_server.store.definitions import DeviceProfile
from lwm2m_server.store.records import Lane

API = "/api/v1"
DEFINITION = "com.telekom.iot.orchestrator.deviceGroup"


@pytest.fixture
async def tree(start, open_to_loopback):
    """Three devices; what is on this machine may be told."""
    api = await start(open_to_loopback)
    for name in ("dev1", "dev2", "lamp"):
        await api.add_device(name)
    return api


@pytest.fixture
def call(tree):
    async def call(method, path, document=None, *, status=200):
        answer = await tree.client.request(method, API + path, json=document)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    return call


async def add(call, name, **more):
    return await call("POST", "/applications", {"name": name, **more}, status=201)


# --- applications --------------------------------------------------------------------------------------


async def test_an_application_is_an_ae_and_shows_no_secrets(call, tree):
    made = await add(
        call,
        "Hook",
        pointsOfAccess=["http://user:hidden@127.0.0.1:9/x", "http://127.0.0.1:9/"],
        headers=["Authorization: Bearer 2f8a", "Site:north"],
        labels=["room:1"],
    )
    shown = {
        name: made[name]
        for name in ("name", "aeId", "appId", "kind", "headers", "labels", "paused", "groups")
    }
    assert shown == {
        "name": "Hook",
        "aeId": made["aeId"],
        "appId": "NHook",
        "kind": "WebHook",
        "headers": ["Authorization", "Site"],
        "labels": ["room:1"],
        "paused": False,
        "groups": [],
    }
    assert made["pointsOfAccess"] == ["http://user:***@127.0.0.1:9/x", "http://127.0.0.1:9/"]
    stored = tree.inventory.application("main", "Hook")
    assert stored.attributes["poa"][0] == "http://user:hidden@127.0.0.1:9/x"
    assert stored.attributes["poah"] == ["Authorization: Bearer 2f8a", "Site:north"]
    assert (await call("GET", "/applications/Hook"))["id"] == made["id"]


async def test_applications_are_searched_and_paged(call):
    for name in ("Beta", "Alpha", "Gamma"):
        await add(call, name, aeId=f"C{name}App")
    page = await call("GET", "/applications?limit=2")
    assert ([one["name"] for one in page["applications"]], page["total"], page["nextOffset"]) == (
        ["Alpha", "Beta"],
        3,
        2,
    )
    rest = await call("GET", "/applications?limit=2&offset=2")
    assert [one["name"] for one in rest["applications"]] == ["Gamma"]
    assert "nextOffset" not in rest
    found = await call("GET", "/applications?q=cgamma")
    assert [one["name"] for one in found["applications"]] == ["Gamma"]


async def test_what_is_not_mentioned_stays(call, tree):
    secret = "mqtt://me:hidden@127.0.0.1/t"
    await add(call, "App", kind="MQTT", pointsOfAccess=[secret], headers=["password: x"], labels=["a"])
    changed = await call(
        "PATCH", "/applications/App", {"pointsOfAccess": ["mqtt://me:***@127.0.0.1/t", "mqtt://b/t"]}
    )
    assert (changed["kind"], changed["labels"], changed["headers"]) == ("MQTT", ["a"], ["password"])
    assert tree.inventory.application("main", "App").attributes["poa"] == [secret, "mqtt://b/t"]
    changed = await call("PATCH", "/applications/App", {"labels": ["b"], "kind": "Kafka"})
    assert (changed["kind"], changed["labels"]) == ("Kafka", ["b"])
    changed = await call("PATCH", "/applications/App", {"headers": [], "pointsOfAccess": []})
    assert (changed["headers"], changed["pointsOfAccess"], changed["kind"]) == ([], [], "PollingChannel")


@pytest.mark.parametrize(
    ("document", "status", "reason"),
    [
        ({}, 400, "application.name"),
        ({"name": "a b"}, 400, "a b"),
        ({"name": "App", "appId": "Q"}, 400, "App-ID"),
        ({"name": "App", "colour": "red"}, 400, "application.colour"),
        ({"name": "App", "headers": ["Host: x"]}, 400, "Host"),
        ({"name": "App", "labels": ["EndpointType:MQTT"]}, 400, "members of their own"),
        ({"name": "App", "aeId": "CTaken"}, 409, "CTaken"),
        ({"name": "dev1"}, 409, "dev1"),
        ([], 400, "object"),
    ],
)
async def test_what_no_application_can_be(call, document, status, reason):
    await add(call, "Taken", aeId="CTaken")
    problem = await call("POST", "/applications", document, status=status)
    assert reason in problem["detail"]


async def test_a_paused_application_gets_nothing_until_it_goes_on(call, tree, listen):
    receiver = await listen()
    await add(call, "App", pointsOfAccess=[receiver.url])
    assert (await call("PATCH", "/applications/App", {"paused": True}))["paused"]
    await tree.ledger.commit(lambda write: write.add_notice(Lane("main", "main/App"), 5, None, "{}"))
    await until_failed(tree)
    assert receiver.requests == []
    assert not (await call("PATCH", "/applications/App", {"paused": False}))["paused"]
    assert await receiver.heard(1) == [{}]


async def until_failed(tree):
    async with asyncio.timeout(20):
        while not any(seen.failed for _, _, seen in tree.deliveries.lanes("main")):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    (seen,) = [seen for _, _, seen in tree.deliveries.lanes("main")]
    assert "paused" in seen.last_error
    assert seen.failing_since is not None


async def test_a_removed_application_leaves_its_name(call):
    await add(call, "App")
    await call("DELETE", "/applications/App", status=204)
    await call("GET", "/applications/App", status=404)
    await call("DELETE", "/applications/device-group", status=404)
    await add(call, "App")


# --- groups --------------------------------------------------------------------------------------------


async def group(call, name="meters", **more):
    return await call("POST", "/groups", {"name": name, **more}, status=201)


async def test_a_group_connects_devices_with_applications(call, tree):
    await add(call, "App")
    made = await group(call, devices=["dev1", "dev2"], applications=["App"], labels=["floor:2"])
    assert (made["devices"], made["applications"], made["labels"], made["profiles"]) == (
        2,
        ["App"],
        ["floor:2"],
        [],
    )
    assert (await call("GET", "/applications/App"))["groups"] == ["meters"]
    received = await tree.get("/device-communication/dev1/received-msg?rcn=6&ty=23")
    assert received.json()


async def test_members_join_and_leave_together_with_what_others_change(call):
    await group(call, devices=["dev1"])
    wishes = ({"addDevices": ["dev2"]}, {"addDevices": ["lamp", "dev2"]}, {"removeDevices": ["dev1"]})
    await asyncio.gather(*(call("PATCH", "/groups/meters", wish) for wish in wishes))
    members = await call("GET", "/groups/meters/devices")
    assert {one["name"] for one in members["devices"]} == {"dev2", "lamp"}
    assert members["total"] == 2
    refused = await call("PATCH", "/groups/meters", {"addDevices": ["ghost"]}, status=400)
    assert "ghost" in refused["detail"]
    labelled = await call("PATCH", "/groups/meters", {"labels": ["a", "b"]})
    assert (labelled["labels"], labelled["devices"]) == (["a", "b"], 2)


async def test_members_are_searched_paged_and_tell_who_is_gone(call):
    await group(call, devices=["dev1", "dev2", "lamp"])
    await call("DELETE", "/devices/dev2", status=204)
    page = await call("GET", "/groups/meters/devices?limit=2")
    assert page["devices"] == [{"member": "dev1", "name": "dev1"}, {"member": "dev2", "name": None}]
    assert (page["total"], page["nextOffset"]) == (3, 2)
    found = await call("GET", "/groups/meters/devices?q=LAM")
    assert [one["member"] for one in found["devices"]] == ["lamp"]


async def test_groups_tell_which_profiles_are_for_them(call, tree):
    await group(call)
    await group(call, "lamps", labels=["meters-too"])
    await tree.inventory.profiles.put(DeviceProfile("main", "nosec", {}, ("meters",)))
    assert (await call("GET", "/groups/meters"))["profiles"] == ["nosec"]
    listed = await call("GET", "/groups?q=METERS")
    assert [one["name"] for one in listed["groups"]] == ["lamps", "meters"]
    await call("DELETE", "/groups/meters", status=204)
    assert (await call("GET", "/groups"))["total"] == 1
    await call("GET", "/groups/meters", status=404)


# --- subscriptions -------------------------------------------------------------------------------------

RECEIVED = "device-communication/dev1/received-msg"


async def subscribe(call, status=201, **more):
    document = {"resource": RECEIVED, "targets": ["App"], **more}
    return await call("POST", "/subscriptions", document, status=status)


async def test_subscriptions_tell_what_they_are_about(call):
    await add(call, "App", aeId="CApp")
    await group(call, devices=["dev1"], applications=["App"])
    made = await subscribe(
        call,
        events=["childCreated", "childDeleted"],
        content="reference",
        batch={"count": 10, "seconds": 2.5},
    )
    (one,) = (await call("GET", "/subscriptions"))["subscriptions"]
    assert one["id"] == made["id"]
    assert one == one | {
        "resource": RECEIVED,
        "device": "dev1",
        "targets": ["App"],
        "events": ["childCreated", "childDeleted"],
        "conditional": False,
        "content": "reference",
        "batch": {"count": 10, "seconds": 2.5},
        "latestOnly": False,
        "creator": "CAdmin",
    }
    await call("DELETE", f"/subscriptions/{one['id']}", status=204)
    await call("DELETE", f"/subscriptions/{one['id']}", status=404)
    assert (await call("GET", "/subscriptions"))["subscriptions"] == []


async def test_a_password_in_a_target_is_not_shown(call, listen):
    receiver = await listen()
    made = await subscribe(call, targets=[receiver.url.replace("://", "://me:hidden@")])
    (one,) = (await call("GET", "/subscriptions"))["subscriptions"]
    assert made["targets"] == one["targets"] == [receiver.url.replace("://", "://me:***@")]


async def test_subscriptions_are_found_by_target_and_device(call):
    await add(call, "App", aeId="CApp")
    await add(call, "Other")
    names = ("App", "CApp", "main/App", "/main/CApp")
    for number, target in enumerate(names):
        await subscribe(call, name=f"s{number}", targets=[target], latestOnly=True)
    await subscribe(call, name="else", targets=["Other"], resource="lamp", events=["updated"])
    found = await call("GET", "/subscriptions?target=App")
    assert [one["name"] for one in found["subscriptions"]] == ["s0", "s1", "s2", "s3"]
    found = await call("GET", "/subscriptions?device=lamp")
    assert [(one["name"], one["latestOnly"]) for one in found["subscriptions"]] == [("else", False)]
    page = await call("GET", "/subscriptions?limit=3")
    rest = await call("GET", f"/subscriptions?limit=3&after={page['next']}")
    assert [one["name"] for one in rest["subscriptions"]] == ["s3", "else"]
    assert "next" not in rest


@pytest.mark.parametrize(
    ("more", "status", "reason"),
    [
        ({"targets": []}, 400, "subscription.targets"),
        ({"targets": ["Nobody"]}, 409, "no application Nobody"),
        ({"targets": ["http://127.0.0.1:9/"]}, 409, "127.0.0.1"),
        ({"targets": ["http://me:hidden@127.0.0.1:9/"]}, 409, "http://me:***@127.0.0.1:9/"),
        ({"resource": "ghost"}, 404, "ghost"),
        ({"resource": ""}, 400, "subscription.resource"),
        ({"content": "some"}, 400, "subscription.content"),
        ({"content": "modified"}, 400, "nct"),
        ({"events": ["moved"]}, 400, "subscription.events"),
        ({"batch": {"count": 0}}, 400, "subscription.batch.count"),
        ({"batch": {"seconds": "1"}}, 400, "subscription.batch.seconds"),
    ],
)
async def test_what_cannot_be_subscribed_to(call, more, status, reason):
    await add(call, "App")
    problem = await subscribe(call, status, **more)
    assert reason in problem["detail"]


# --- roles ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "looks", "changes"), [("eye", 200, 403), ("app", 200, 201), ("stranger", 403, 403)]
)
async def test_who_may_look_and_who_may_change(guarded, who, looks, changes):
    for number, path in enumerate(("applications", "groups")):
        answer = await guarded.call("GET", f"{API}/{path}?tenant=main", who)
        assert answer.status_code == looks
        body = {"name": f"X{number}"}
        answer = await guarded.call("POST", f"{API}/{path}?tenant=main", who, json=body)
        assert answer.status_code == changes, answer.text
    answer = await guarded.call("GET", f"{API}/subscriptions?tenant=main", who)
    assert answer.status_code == looks


async def test_nobody_reaches_another_tenants_subscription(guarded):
    body = {"resource": "device-communication", "targets": ["X"], "events": ["childCreated"]}
    await guarded.call("POST", f"{API}/applications", "app", json={"name": "X"})
    made = await guarded.call("POST", f"{API}/subscriptions", "app", json=body)
    assert made.status_code == 201, made.text
    id = made.json()["id"]
    assert (await guarded.call("DELETE", f"{API}/subscriptions/{id}", "stranger")).status_code == 404
    assert (await guarded.call("DELETE", f"{API}/subscriptions/{id}", "app")).status_code == 204


@pytest.fixture
async def governed(guarded):
    """An application and a group that only ``COwner`` may look at or change, and a client kept to it."""
    privileges = {"acr": [{"acor": ["COwner"], "acop": 63}]}
    policy = {"m2m:acp": {"rn": "owners", "pv": privileges, "pvs": privileges}}
    assert (await guarded.call("POST", "main", "boss", ty=1, json=policy)).status_code == 201
    owner = {"m2m:ae": {"api": "NOwner", "rn": "Owner"}}
    assert (await guarded.call("POST", "main", "boss", origin="COwner", ty=2, json=owner)).status_code == 201
    theirs = {"m2m:ae": {"api": "NTheirs", "rn": "Theirs", "acpi": ["main/owners"]}}
    answer = await guarded.call("POST", "main", "boss", origin="CTheirs", ty=2, json=theirs)
    assert answer.status_code == 201, answer.text
    meters = {"dtiot:devGr": {"rn": "meters", "acpi": ["main/owners"], "cnd": DEFINITION}}
    answer = await guarded.call("POST", "main/device-group", "boss", ty=28, json=meters)
    assert answer.status_code == 201, answer.text
    await guarded.add("kept", "main", "operate", origins=["COwner"])
    await guarded.add("astray", "main", "operate", origins=["CNobody"])
    return guarded


PATHS = ("applications/Theirs", "groups/meters")


@pytest.mark.parametrize(
    ("who", "looks", "changes"),
    [("boss", 200, 200), ("kept", 200, 200), ("app", 403, 403), ("eye", 403, 403), ("astray", 403, 403)],
)
async def test_policies_say_who_may_do_what(governed, who, looks, changes):
    for path in PATHS:
        assert (await governed.call("GET", f"{API}/{path}", who)).status_code == looks
        kind, name = path.split("/")
        listed = (await governed.call("GET", f"{API}/{kind}", who)).json()[kind]
        assert (name in [one["name"] for one in listed]) == (looks == 200)
        answer = await governed.call("PATCH", f"{API}/{path}", who, json={"labels": ["a"]})
        assert answer.status_code == changes, answer.text
        answer = await governed.call("DELETE", f"{API}/{path}", who)
        assert answer.status_code == (204 if changes == 200 else 403)


async def test_members_are_governed_as_well(governed):
    await governed.call("POST", f"{API}/applications", "app", json={"name": "Mine"})
    wish = {"addApplications": ["Mine"]}
    assert (await governed.call("PATCH", f"{API}/groups/meters", "app", json=wish)).status_code == 403
    assert (await governed.call("GET", f"{API}/groups/meters/devices", "app")).status_code == 403
    answer = await governed.call("PATCH", f"{API}/groups/meters", "kept", json=wish)
    assert answer.json()["applications"] == ["Mine"]


async def test_who_is_kept_to_an_ae_registers_no_other(governed):
    for ae_id, status in ((None, 403), ("COther", 403)):
        body = {"name": "Other", **({"aeId": ae_id} if ae_id else {})}
        answer = await governed.call("POST", f"{API}/applications", "kept", json=body)
        assert answer.status_code == status, answer.text
    wish = {"resource": "Owner", "targets": ["Owner"], "events": ["updated"]}
    made = await governed.call("POST", f"{API}/subscriptions", "kept", json=wish)
    assert made.status_code == 201, made.text
    (one,) = (await governed.call("GET", f"{API}/subscriptions", "eye")).json()["subscriptions"]
    assert one["creator"] == "COwner"
