"""Rules for devices that are not known yet, below ``/api/v1/enrolments``."""

import pytest

from lwm2m_engine.coap import Peer
from lwm2m_engine.errors import RequestError
from lwm2m_server.enrolment.pending import BURST, MAX_PENDING, Pending, PendingDevices, Sources
from lwm2m_server.security.credentials import NoSec
from lwm2m_server.store.definitions import DeviceProfile

KEY, MASTER = "5e" * 16, "7a" * 32
BY_KEYS = {"by": "keys", "endpoints": ["m-*"], "approval": "auto"}


async def ask(api, method, path, body=None):
    return await api.call(method, path, body=body, base="/api/v1")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({}, "by: one of certificate, keys, masterKey, endpoint is due"),
        ([], "rule: a JSON object is due"),
        ({"by": "keys", "size": 1}, "rule.size"),
        ({"by": "keys", "masterKey": MASTER}, "masterKey: a rule by keys has none"),
        ({"by": "keys", "approval": "never"}, "approval: one of auto, queue"),
        ({"by": "keys", "endpoints": [1]}, "endpoints"),
        ({"by": "keys", "profile": "none"}, "no device profile 'none'"),
        ({"by": "keys", "groups": ["none"]}, "no group 'none'"),
        ({"by": "keys", "name": "other"}, "name: it is not the one in the address"),
        ({"by": "endpoint", "endpoints": ["x"]}, "noSec: true is due"),
        ({"by": "endpoint", "noSec": True}, "endpoints: a name alone proves nothing"),
        ({"by": "certificate"}, "certificate.issuer"),
        ({"by": "certificate", "certificate": {"issuer": "x", "ca": 1}}, "certificate.ca"),
        ({"by": "certificate", "certificate": {"issuer": "x", "pinned": 1}}, "certificate.pinned"),
        ({"by": "masterKey"}, "masterKey: 16 to 64 bytes"),
        ({"by": "masterKey", "masterKey": MASTER[:-1]}, "masterKey: 16 to 64 bytes"),
        ({"by": "masterKey", "masterKey": "00" * 15}, "masterKey: 16 to 64 bytes"),
        ({"by": "masterKey", "masterKey": MASTER, "identity": "x"}, "identity: a text with one {endpoint}"),
    ],
)
async def test_what_is_no_rule(api, rule, words):
    answer = await ask(api, "PUT", "/enrolments/one", rule)
    assert (answer.status_code, words in answer.json()["detail"]) == (400, True), answer.text
    assert MASTER[:-1] not in answer.text
    assert (await ask(api, "GET", "/enrolments/one")).status_code == 404


async def test_rules_are_kept_shown_and_removed(api, tmp_path):
    await api.inventory.profiles.add(DeviceProfile("main", "meter", {}))
    rule = {"by": "masterKey", "masterKey": MASTER, "profile": "meter", "endpoints": ["m-*"]}
    shown = (await ask(api, "PUT", "/enrolments/one", rule)).json()
    assert shown == {
        "name": "one",
        "by": "masterKey",
        "endpoints": ["m-*"],
        "profile": "meter",
        "labels": [],
        "groups": [],
        "approval": "queue",
        "rejected": [],
        "identity": "{endpoint}",
        "masterKeySet": True,
    }
    # What was shown can be sent back: the secret stays.
    assert (await ask(api, "PUT", "/enrolments/one", shown)).json() == shown
    assert (await ask(api, "GET", "/enrolments")).json()["enrolments"] == [shown]
    assert (await ask(api, "PUT", "/enrolments/pending", BY_KEYS)).status_code == 405
    stored = (tmp_path / "inventory.json").read_text()
    assert MASTER not in stored
    assert (await ask(api, "DELETE", "/enrolments/one")).status_code == 204
    assert (await ask(api, "DELETE", "/enrolments/one")).status_code == 404


async def test_keys_of_a_batch_are_one_rules_only(api):
    for name in ("one", "two"):
        await ask(api, "PUT", f"/enrolments/{name}", BY_KEYS)
    keys = {"keys": [{"identity": "m-1", "key": KEY}, {"identity": "m-2", "key": KEY, "endpoint": "m-9"}]}
    answer = await ask(api, "POST", "/enrolments/one/keys", keys)
    assert answer.json() == {"stored": 2, "keysWaiting": 2}
    # Again is no error, and no more.
    assert (await ask(api, "POST", "/enrolments/one/keys", keys)).json()["keysWaiting"] == 2
    for clash in ({"identity": "m-1"}, {"identity": "m-7", "endpoint": "m-9"}):
        body = {"keys": [{"identity": "m-3", "key": KEY}, {**clash, "key": KEY}]}
        answer = await ask(api, "POST", "/enrolments/two/keys", body)
        assert (answer.status_code, "is taken" in answer.text, "one" in answer.text) == (409, True, False)
    assert (await ask(api, "GET", "/enrolments/two")).json()["keysWaiting"] == 0
    await ask(api, "DELETE", "/enrolments/one")
    assert (await ask(api, "POST", "/enrolments/two/keys", keys)).status_code == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "keys: a list of 1 to 1000"),
        ({"keys": []}, "keys: a list of 1 to 1000"),
        ({"keys": [7]}, "keys[0]: a JSON object is due"),
        ({"keys": [{"identity": "a", "key": KEY}, {"key": KEY}]}, "keys[1].identity"),
        ({"keys": [{"identity": "a", "key": KEY[:-1]}]}, "keys[0].key: an even number"),
        ({"keys": [{"identity": "a", "key": 7}]}, "keys[0].key"),
        ({"keys": [{"identity": "a" * 200, "key": KEY}]}, "keys[0]: a PSK identity has 1 to 128 bytes"),
        ({"keys": [{"identity": "a", "key": KEY, "x": 1}]}, "keys[0].x"),
    ],
)
async def test_keys_that_cannot_be_used(api, body, words):
    await ask(api, "PUT", "/enrolments/one", BY_KEYS)
    answer = await ask(api, "POST", "/enrolments/one/keys", body)
    assert (answer.status_code, words in answer.json()["detail"]) == (400, True), answer.text
    assert KEY[:-1] not in answer.text


async def test_keys_are_for_rules_by_keys(api):
    await ask(api, "PUT", "/enrolments/one", {"by": "endpoint", "noSec": True, "endpoints": ["x"]})
    answer = await ask(api, "POST", "/enrolments/one/keys", {"keys": [{"identity": "a", "key": KEY}]})
    assert (answer.status_code, "rule by endpoint" in answer.text) == (400, True)


async def test_rules_take_an_admin_and_stay_in_their_tenant(guarded):
    one = "/api/v1/enrolments/one"
    for who, status in (("eye", 403), ("app", 403), ("stranger", 200), ("boss", 200)):
        assert (await guarded.call("PUT", one, who, json=BY_KEYS)).status_code == status
    assert (await guarded.call("DELETE", one, "app")).status_code == 403
    assert (await guarded.call("GET", one, "eye")).status_code == 200
    approve = "/api/v1/enrolments/pending/x/approve"
    assert (await guarded.call("POST", approve, "eye")).status_code == 403
    assert (await guarded.call("POST", approve, "app")).status_code == 404
    assert (await guarded.call("GET", f"{one}?tenant=other", "boss")).status_code == 403
    # Keys of a tenant, too, are nobody else's to see; that they are there shows when they clash.
    keys = {"keys": [{"identity": "m-1", "key": KEY}]}
    assert (await guarded.call("POST", f"{one}/keys", "boss", json=keys)).status_code == 200
    answer = await guarded.call("POST", f"{one}/keys", "stranger", json=keys)
    assert (answer.status_code, "main" in answer.text) == (409, False)
    for method, path in (("POST", "/devices"), ("DELETE", "/devices/x"), ("POST", "/imports")):
        assert (await guarded.call(method, f"/api/v1{path}", "eye", json={})).status_code == 403


async def test_a_rule_that_cannot_be_kept_to_lets_nobody_in(api):
    """Its profile was removed since."""
    await api.inventory.profiles.add(DeviceProfile("main", "meter", {}))
    rule = {"by": "endpoint", "noSec": True, "endpoints": ["x-*"], "profile": "meter", "approval": "queue"}
    await ask(api, "PUT", "/enrolments/one", rule)
    stage = api.enrolment.newcomers.side("management")
    with pytest.raises(RequestError, match="waits for approval"):
        stage.meet("x-1", Peer("192.0.2.1", 5683))
    await api.inventory.profiles.remove("main", "meter")
    answer = await ask(api, "POST", "/enrolments/pending/x-1/approve")
    assert (answer.status_code, "no device profile" in answer.text) == (400, True)
    assert (await ask(api, "GET", "/devices")).json()["devices"] == []
    # Written anew, who waits has to come again.
    await ask(api, "PUT", "/enrolments/one", {**rule, "profile": None})
    assert (await ask(api, "GET", "/enrolments/pending")).json()["pending"] == []
    with pytest.raises(RequestError, match="waits for approval"):
        stage.meet("x-1", Peer("192.0.2.1", 5683))
    assert (await ask(api, "POST", "/enrolments/pending/x-1/approve")).json()["device"] == "x-1"
    # It is there: no rule is for it any more.
    stage.meet("x-1", Peer("192.0.2.1", 5683))


def pending(number, rule="one"):
    return Pending("main", rule, f"d{number}", "management", NoSec(), "192.0.2.1", number, number)


def test_who_waits_is_bounded_and_nobody_is_pushed_out():
    found = PendingDevices()
    assert all(found.note(pending(number)) for number in range(MAX_PENDING))
    assert not found.note(pending(MAX_PENDING))
    assert found.note(pending(0))
    assert found.get("main", "d0").attempts == 2
    assert found.of("other") == []
    found.forget("main", "one")
    assert found.of("main") == []


def test_an_address_brings_so_many_and_no_more():
    sources = Sources()
    taken = [sources.take("a", 100.0) for _ in range(int(BURST) + 5)]
    assert taken.count(True) == BURST
    assert sources.take("b", 100.0)
    assert not sources.take("a", 100.5)
    assert sources.take("a", 101.6)
