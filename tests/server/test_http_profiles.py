"""``/api/v1/profiles``: documents in and out, and which device has which."""

import time

import attrs
import pytest

from lwm2m_engine.paths import Path
from lwm2m_server.http.profiles import RESERVED
from lwm2m_server.profiles.fleet import Fleet

DOCUMENT = {
    "name": "meter",
    "transportType": "LWM2M",
    "profileData": {
        "transportConfiguration": {
            "observeAttr": {
                "keyName": {"/3_1.2/0/9": "batteryLevel"},
                "observe": ["/3_1.2/0/9"],
                "telemetry": ["/3_1.2/0/9"],
            }
        }
    },
}
RULE = {"priority": 5, "endpoint": "one*", "manufacturer": None, "model": None}


def named(name):
    return {**DOCUMENT, "name": name}


async def ask(api, method, path, body=None):
    return await api.call(method, path, body=body, base="/api/v1")


async def made(api, *names):
    for name in names:
        answer = await ask(api, "POST", "/profiles", named(name))
        assert answer.status_code == 201, answer.text


async def grouped(api, *devices):
    """A device group ``floor``."""
    group = {"rn": "floor", "cnd": "com.telekom.iot.orchestrator.deviceGroup", "nds": list(devices)}
    answer = await api.post("/device-group", 28, {"dtiot:devGr": group})
    assert answer.status_code == 201, answer.text


async def moved(api, name):
    """All devices go by the name that a profile has."""
    return not api.inventory.profiles.get("main", name).former


async def profile_of(api, device):
    found = (await ask(api, "GET", f"/devices/{device}/profile")).json()
    return None if found is None else (found["profile"], found["by"])


# --- documents -------------------------------------------------------------------------------------


async def test_what_is_exported_can_be_imported(api):
    answer = await ask(api, "POST", "/profiles", {**DOCUMENT, "createdTime": 1})
    created = answer.json()
    assert created.pop("notes") == [{"place": "createdTime", "reason": "is not used here and was left out"}]
    assert answer.headers["content-location"] == "/api/v1/profiles/meter"
    exported = (await ask(api, "GET", "/profiles/meter")).json()
    assert exported == created
    assert list(exported) == ["name", "transportType", "profileData"]
    assert (await ask(api, "DELETE", "/profiles/meter")).status_code == 204
    assert (await ask(api, "GET", "/profiles/meter")).status_code == 404
    again = await ask(api, "POST", "/profiles", exported)
    assert again.json() == {**exported, "notes": []}


async def test_the_devices_of_all_are_counted_if_somebody_asks(api):
    await made(api, "a", "b", "c")
    for name in ("one", "two", "three"):
        await api.add_device(name)
    await ask(api, "PUT", "/devices/one/profile", {"profile": "a"})
    await ask(api, "PUT", "/profiles/b/assignment", {"default": True})
    found = (await ask(api, "GET", "/profiles?devices=true")).json()["profiles"]
    assert {one["name"]: one["devices"] for one in found} == {"a": 1, "b": 2, "c": 0}
    assert "devices" not in (await ask(api, "GET", "/profiles")).json()["profiles"][0]
    await ask(api, "PUT", "/profiles/c/assignment", {"default": True})
    found = (await ask(api, "GET", "/profiles?devices=true")).json()["profiles"]
    assert {one["name"]: one["devices"] for one in found} == {"a": 1, "b": 0, "c": 2}


async def test_devices_are_counted_anew_after_some_seconds(api):
    looks, now = 0, 0.0

    class Counting(Fleet):
        async def everyone(self, tenant, *, after=-1):
            nonlocal looks
            looks += 1
            async for page in super().everyone(tenant, after=after):
                yield page

    server = api.profiles
    fleet = Counting(api.ledger, server.profiles, server.memberships, clock=lambda: now)
    await made(api, "a")
    await fleet.counts("main")
    await fleet.counts("main")
    assert looks == 1
    now = 11.0
    await fleet.counts("main")
    assert looks == 2


async def test_of_two_who_change_a_profile_the_second_is_told(api):
    await made(api, "meter")

    async def put(document, tag):
        path, headers = "/profiles/meter", {"If-Match": tag}
        return await api.call("PUT", path, body=document, headers=headers, base="/api/v1")

    tag = (await ask(api, "GET", "/profiles/meter")).headers["etag"]
    first = {"bootstrap": [], "observeAttr": {"telemetry": ["/3/0/9"]}}
    assert (await put(first, tag)).status_code == 200
    late = await put(named("meter"), tag)
    assert (late.status_code, late.json()["title"]) == (412, "Precondition Failed")
    kept = await ask(api, "GET", "/profiles/meter")
    assert kept.json()["profileData"]["transportConfiguration"]["observeAttr"]["telemetry"] == ["/3/0/9"]
    assert (await put(named("meter"), kept.headers["etag"])).status_code == 200
    assert (await put(named("meter"), "*")).status_code == 200
    assert (await ask(api, "DELETE", "/profiles/meter")).status_code == 204
    assert (await put(named("meter"), tag)).status_code == 412


async def test_a_document_is_checked_and_not_kept(api):
    answer = await ask(api, "POST", "/profiles/check", {**DOCUMENT, "createdTime": 1})
    assert answer.status_code == 200
    found = answer.json()
    assert found["notes"] == [{"place": "createdTime", "reason": "is not used here and was left out"}]
    observed = found["profileData"]["transportConfiguration"]["observeAttr"]
    assert (found["name"], observed["observeStrategy"]) == ("meter", "SINGLE")
    answer = await ask(api, "POST", "/profiles/check", {"observeAttr": {"observe": ["/3/0/9"]}})
    assert answer.status_code == 400
    assert answer.json()["faults"][0]["place"] == "observeAttr.observe[0]"
    assert (await ask(api, "GET", "/profiles")).json()["total"] == 0


async def test_a_transport_configuration_alone_takes_a_name(api):
    configuration = DOCUMENT["profileData"]["transportConfiguration"]
    answer = await ask(api, "POST", "/profiles", configuration)
    assert (answer.status_code, answer.json()["detail"]) == (
        400,
        "name: the profile has none; give it one, or ?name=",
    )
    assert (await ask(api, "POST", "/profiles?name=alone", configuration)).json()["name"] == "alone"


async def test_profiles_are_listed_by_parts_of_their_names_in_pages(api):
    await made(api, "meter b", "Meter a", "valve")
    found = (await ask(api, "GET", "/profiles?name=meter&limit=1")).json()
    changed = found["profiles"][0].pop("changedAt")
    assert abs(changed / 1000 - time.time()) < 60
    row = {"name": "Meter a", "groups": [], "rules": 0, "default": False}
    row |= {"objects": [3], "observeStrategy": "SINGLE"}
    assert found == {"tenant": "main", "total": 2, "profiles": [row], "nextOffset": 1}
    found = (await ask(api, "GET", "/profiles?name=meter&limit=1&offset=1")).json()
    assert [one["name"] for one in found["profiles"]] == ["meter b"]
    assert "nextOffset" not in found


async def test_faults_are_told_in_a_sentence_and_in_a_list(api):
    document = {"observeAttr": {"observ": []}, "bootstrap": [{"port": 0, "host": "a"}]}
    answer = await ask(api, "POST", "/profiles?name=a", document)
    problem = answer.json()
    assert answer.status_code == 400
    assert problem["detail"] == "; ".join(f"{one['place']}: {one['reason']}" for one in problem["faults"])
    assert problem["faults"][0] == {
        "place": "observeAttr.observ",
        "reason": "there is no such member; did you mean 'observe'?",
    }


async def test_put_creates_replaces_and_renames(api, eventually):
    assert (await ask(api, "PUT", "/profiles/meter", DOCUMENT)).status_code == 201
    await api.add_device("one")
    await ask(api, "PUT", "/devices/one/profile", {"profile": "meter"})
    changed = {"name": "counter", "profileData": {"transportConfiguration": {}}}
    answer = await ask(api, "PUT", "/profiles/meter", changed)
    assert (answer.status_code, answer.json()["name"]) == (200, "counter")
    assert (await ask(api, "GET", "/profiles/meter")).status_code == 404
    assert await profile_of(api, "one") == ("counter", "device")
    # The rows follow, and then the name is free.
    await eventually(lambda: moved(api, "counter"))
    assert api.ledger.reader.device_named("main", "one").profile == "counter"
    await made(api, "meter")
    assert await profile_of(api, "one") == ("counter", "device")


async def test_a_name_is_taken_once(api):
    await made(api, "a", "b")
    assert (await ask(api, "POST", "/profiles", named("a"))).status_code == 409
    assert (await ask(api, "PUT", "/profiles/a", named("b"))).status_code == 409
    assert (await ask(api, "PUT", "/profiles/a", named("a"))).status_code == 200


async def test_a_profile_in_use_stays_unless_forced(api):
    await made(api, "meter")
    await api.add_device("one")
    await ask(api, "PUT", "/devices/one/profile", {"profile": "meter"})
    await ask(api, "PUT", "/profiles/meter/assignment", {"rules": [RULE], "default": True})
    answer = await ask(api, "DELETE", "/profiles/meter")
    assert answer.status_code == 409
    assert "the devices one; 1 rules; all devices without another one" in answer.json()["detail"]
    assert (await ask(api, "DELETE", "/profiles/meter?force=yes")).status_code == 400
    assert (await ask(api, "DELETE", "/profiles/meter?force=true")).status_code == 204
    assert await profile_of(api, "one") is None
    assert api.ledger.reader.device_named("main", "one").profile is None


async def test_rules_of_enrolment_follow_a_profile(api):
    async def profile_of_rule():
        return (await ask(api, "GET", "/enrolments/meters")).json()["profile"]

    await made(api, "meter")
    rule = {"by": "endpoint", "endpoints": ["meter-*"], "profile": "meter", "noSec": True}
    assert (await ask(api, "PUT", "/enrolments/meters", rule)).status_code == 200
    assert (await ask(api, "PUT", "/profiles/meter", named("counter"))).status_code == 200
    assert await profile_of_rule() == "counter"
    answer = await ask(api, "DELETE", "/profiles/counter")
    assert "the enrolment rules meters" in answer.json()["detail"]
    assert (await ask(api, "DELETE", "/profiles/counter?force=true")).status_code == 204
    assert await profile_of_rule() is None


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/profiles/none", None, 404),
        ("DELETE", "/profiles/none", None, 404),
        ("GET", "/profiles/none/assignment", None, 404),
        ("GET", "/profiles/none/devices", None, 404),
        ("POST", "/profiles/none/preview", DOCUMENT, 404),
        *(("POST", "/profiles", named(word), 400) for word in sorted(RESERVED)),
        *(("PUT", f"/profiles/{word}", DOCUMENT, 405) for word in sorted(RESERVED)),
        ("POST", "/profiles", named("x" * 256), 400),
        ("PUT", "/profiles/%20", {"bootstrap": []}, 400),
        ("GET", "/profiles?limit=x", None, 400),
        ("GET", "/profiles?tenant=none", None, 404),
        ("PUT", "/devices/none/profile", {"profile": "meter"}, 404),
        ("PUT", "/devices/one/profile", {"profile": "none"}, 404),
        ("PUT", "/devices/one/profile", {"profile": 3}, 400),
        ("PUT", "/devices/one/profile", {"profil": "meter"}, 400),
        ("GET", "/profiles/meter/devices?after=x", None, 400),
    ],
)
async def test_what_is_refused(api, method, path, body, status):
    await made(api, "meter")
    await api.add_device("one")
    assert (await ask(api, method, path, body)).status_code == status


async def test_the_schema_and_this_server_for_editors(api):
    found = await ask(api, "GET", "/profiles/schema")
    assert found.headers["content-type"] == "application/schema+json"
    assert found.json()["title"] == "Device profile"
    (entry,) = (await ask(api, "GET", "/profiles/defaults")).json()["bootstrap"]
    assert (entry["host"], entry["port"], entry["securityMode"]) == ("server", 5683, "NO_SEC")
    answer = await ask(api, "POST", "/profiles?name=own", {"bootstrap": [entry]})
    assert (answer.status_code, answer.json()["notes"]) == (201, [])


async def test_a_preview_says_what_would_change_and_for_how_many(api):
    await made(api, "meter")
    await api.add_device("one")
    await api.add_device("two")
    await ask(api, "PUT", "/profiles/meter/assignment", {"rules": [RULE]})
    document = {"observeAttr": {"telemetry": ["/3/0/9", "/3/0/7"]}}
    found = (await ask(api, "POST", "/profiles/meter/preview", document)).json()
    assert (found["name"], found["devices"], found["registered"]) == ("meter", 1, 0)
    assert (found["touched"], found["examples"], found["complete"]) == (0, [], True)
    assert found["changes"]["observe"] == {"added": [], "removed": ["/3_1.2/0/9"]}
    assert found["changes"]["telemetry"] == {"added": ["/3/0/7"], "removed": []}
    kept = (await ask(api, "GET", "/profiles/meter")).json()["profileData"]["transportConfiguration"]
    assert kept["observeAttr"]["observe"] == ["/3_1.2/0/9"]


# --- assignment ------------------------------------------------------------------------------------


async def test_device_before_group_before_rule_before_default(api):
    await made(api, "own", "grouped", "ruled", "any")
    await api.add_device("one")
    await api.add_device("two")
    await grouped(api, "one")
    assert await profile_of(api, "one") is None
    await ask(api, "PUT", "/profiles/any/assignment", {"default": True})
    assert await profile_of(api, "one") == ("any", "default")
    answer = await ask(api, "PUT", "/profiles/ruled/assignment", {"rules": [RULE]})
    assert answer.json() == {"groups": [], "rules": [RULE], "default": False}
    assert await profile_of(api, "one") == ("ruled", "rule")
    await ask(api, "PUT", "/profiles/grouped/assignment", {"groups": ["floor"]})
    assert await profile_of(api, "one") == ("grouped", "group")
    answer = await ask(api, "PUT", "/devices/one/profile", {"profile": "own"})
    assert answer.json() == {"profile": "own", "by": "device", "group": None, "rule": None}
    assert await profile_of(api, "one") == ("own", "device")
    assert await profile_of(api, "two") == ("any", "default")
    assert (await ask(api, "DELETE", "/devices/one/profile")).status_code == 204
    assert await profile_of(api, "one") == ("grouped", "group")
    assert (await ask(api, "DELETE", "/profiles/grouped/assignment")).status_code == 204
    assert await profile_of(api, "one") == ("ruled", "rule")


async def test_who_comes_and_goes_in_a_group_changes_profile(api):
    heard = []
    api.profiles.profiles.subscribe(lambda *what: heard.append(what))
    await made(api, "grouped")
    await api.add_device("one")
    await api.add_device("two")
    nodes = {name: api.ledger.reader.device_named("main", name).node for name in ("one", "two")}
    await grouped(api, "one")
    await ask(api, "PUT", "/profiles/grouped/assignment", {"groups": ["floor"]})
    assert await profile_of(api, "one") == ("grouped", "group")
    heard.clear()
    assert (await api.put("/device-group/floor", {"dtiot:devGr": {"nds": ["two"]}})).status_code == 200
    assert await profile_of(api, "one") is None
    assert await profile_of(api, "two") == ("grouped", "group")
    (_, _, told), *_ = heard
    assert set(told) == set(nodes.values())
    await api.delete("/device-group/floor")
    assert await profile_of(api, "two") is None


async def test_one_profile_is_the_default_and_a_group_has_one(api):
    await made(api, "a", "b")
    await grouped(api)
    await ask(api, "PUT", "/profiles/a/assignment", {"default": True, "groups": ["floor"]})
    await ask(api, "PUT", "/profiles/b/assignment", {"default": True})
    found = (await ask(api, "GET", "/profiles")).json()["profiles"]
    assert [one["default"] for one in found] == [False, True]
    answer = await ask(api, "PUT", "/profiles/b/assignment", {"groups": ["floor"]})
    assert (answer.status_code, answer.json()["detail"]) == (409, "the profile 'a' is for the group 'floor'")


async def test_a_rule_by_manufacturer(api):
    await made(api, "meter")
    await api.add_device("one")
    rule = {"priority": 1, "manufacturer": "ACME*"}
    await ask(api, "PUT", "/profiles/meter/assignment", {"rules": [rule]})
    assert await profile_of(api, "one") is None
    node = api.ledger.reader.device_named("main", "one").node
    await api.ledger.commit(lambda tx: tx.set_inputs(node, {Path("/3/0/0"): "ACME Ltd"}))
    assert await profile_of(api, "one") == ("meter", "rule")


async def test_devices_of_a_profile_in_pages(api):
    await made(api, "meter", "other")
    for number in range(5):
        await api.add_device(f"one{number}")
    await ask(api, "PUT", "/devices/one0/profile", {"profile": "meter"})
    await ask(api, "PUT", "/devices/one3/profile", {"profile": "other"})
    await ask(api, "PUT", "/profiles/meter/assignment", {"rules": [RULE]})
    first = (await ask(api, "GET", "/profiles/meter/devices?limit=2")).json()
    assert [(one["name"], one["by"]) for one in first["devices"]] == [("one0", "device"), ("one1", "rule")]
    assert first["devices"][1]["rule"] == RULE
    rest = (await ask(api, "GET", f"/profiles/meter/devices?limit=2&after={first['next']}")).json()
    assert [one["name"] for one in rest["devices"]] == ["one2", "one4"]
    assert "next" not in rest


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "an object with groups, rules, default is due"),
        ({"group": []}, "'group' is none of groups, rules, default"),
        ({"groups": "floor"}, "groups: a list of names"),
        ({"groups": ["cellar"]}, "there is no device group 'cellar'"),
        ({"rules": {}}, "rules: a list is due"),
        ({"rules": [{"priority": 1}]}, "rules[0]: one of endpoint, manufacturer, model is due"),
        ({"rules": [{"endpoint": "a"}]}, "rules[0].priority: a number from 0"),
        ({"rules": [{"priority": True, "endpoint": "a"}]}, "rules[0].priority: a number from 0"),
        ({"rules": [{"priority": 1, "endpoint": 5}]}, "rules[0].endpoint: a pattern of 1 to 255"),
        ({"rules": [{"priority": 1, "endpont": "a"}]}, "rules[0]: 'endpont' is none of priority"),
        ({"rules": [RULE] * 101}, "rules: more than 100"),
        ({"default": 1}, "default: true or false"),
    ],
)
async def test_what_no_assignment_is(api, body, words):
    await made(api, "meter")
    answer = await ask(api, "PUT", "/profiles/meter/assignment", body)
    assert answer.status_code == 400
    assert words in answer.json()["detail"]


async def test_assignments_outlive_a_restart(start, settings):
    api = await start(settings)
    await made(api, "own", "any")
    await api.add_device("one")
    await api.add_device("two")
    await ask(api, "PUT", "/devices/one/profile", {"profile": "own"})
    await ask(api, "PUT", "/profiles/any/assignment", {"default": True, "rules": [RULE]})
    api.ledger.close()
    again = await start(settings)
    assert await profile_of(again, "one") == ("own", "device")
    assert await profile_of(again, "two") == ("any", "default")


async def test_renaming_that_was_cut_short_is_finished(start, settings, eventually):
    api = await start(settings)
    await made(api, "old")
    await api.add_device("one")
    await ask(api, "PUT", "/devices/one/profile", {"profile": "old"})
    kept = api.inventory.profiles.get("main", "old")
    await api.inventory.profiles.put(attrs.evolve(kept, name="new", former=("old",)))
    api.ledger.close()
    again = await start(settings)
    assert await profile_of(again, "one") == ("new", "device")
    await eventually(lambda: moved(again, "new"))
    assert again.inventory.profiles.get("main", "old") is None
    assert again.ledger.reader.device_named("main", "one").profile == "new"


# --- who may -----------------------------------------------------------------------------------------


async def test_definitions_are_for_administrators_assignment_is_an_operation(guarded, settings):
    async def status(method, path, who, **more):
        return (await guarded.call(method, f"/api/v1{path}", who, **more)).status_code

    assert await status("POST", "/profiles", "app", json=DOCUMENT) == 403
    assert await status("POST", "/profiles", "boss", json=DOCUMENT) == 201
    for who in ("eye", "app", "boss"):
        assert await status("GET", "/profiles/meter", who) == 200
    for method, path in (
        ("PUT", "/profiles/meter"),
        ("PUT", "/profiles/meter/assignment"),
        ("DELETE", "/profiles/meter/assignment"),
        ("DELETE", "/profiles/meter"),
    ):
        body = {} if method == "DELETE" else {"json": {}}
        assert await status(method, path, "app", **body) == 403
        assert await status(method, path, "eye", **body) == 403
    assert await status("POST", "/profiles/meter/preview", "app", json=DOCUMENT) == 200
    assert await status("PUT", "/devices/none/profile", "eye", json={"profile": "meter"}) == 403
    assert await status("PUT", "/devices/none/profile", "app", json={"profile": "meter"}) == 404


async def test_tenants_do_not_see_each_others_profiles(guarded):
    async def ask(method, path, who, **more):
        return await guarded.call(method, f"/api/v1{path}", who, **more)

    assert (await ask("POST", "/profiles", "boss", json=DOCUMENT)).status_code == 201
    assert (await ask("GET", "/profiles", "stranger")).json()["profiles"] == []
    assert (await ask("GET", "/profiles/meter", "stranger")).status_code == 404
    assert (await ask("GET", "/profiles/meter?tenant=main", "stranger")).status_code == 403
    assert (await ask("POST", "/profiles?tenant=main", "stranger", json=named("x"))).status_code == 403
    assert (await ask("POST", "/profiles", "stranger", json=DOCUMENT)).status_code == 201
    assert (await ask("DELETE", "/profiles/meter", "stranger")).status_code == 204
    assert (await ask("GET", "/profiles/meter", "boss")).status_code == 200
