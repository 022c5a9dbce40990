"""Subscriptions: what clients may ask for, and what their targets get."""

import json
import time
from types import SimpleNamespace

import attrs
import pytest

from lwm2m_server.store.ids import SECOND, timestamp

RECEIVED = "/device-communication/device001/received-msg"


@pytest.fixture
async def api(start, open_to_loopback):
    return await start(open_to_loopback)


@pytest.fixture
async def receiver(listen):
    return await listen()


async def application(api, receiver, name="App", **more):
    body = {"m2m:ae": {"api": "NApp", "rn": name, "poa": [receiver.url], **more}}
    answer = await api.post("", 2, body, headers={"X-M2M-Origin": f"C{name}"})
    assert answer.status_code == 201, answer.text


async def subscribe(api, where=RECEIVED, **attributes):
    attributes = {"nu": ["main/App"], "enc": {"net": [3]}, **attributes}
    return await api.post(where, 23, {"m2m:sub": attributes}, headers={"X-M2M-RVI": "4"})


async def say(api, text="hello", where=RECEIVED, **more):
    answer = await api.post(where, 4, {"m2m:cin": {"con": text, **more}}, headers={"X-M2M-RVI": "4"})
    assert answer.status_code == 201, answer.text
    return answer.json()["m2m:cin"]


async def test_a_message_reaches_the_application_that_subscribed(api, receiver):
    await api.add_device()
    await application(api, receiver, poah=["Authorization:Bearer xyz"])
    made = await subscribe(api)
    assert made.status_code == 201, made.text
    subscription = made.json()["m2m:sub"]
    assert subscription["cr"] == "CTestApp"
    message = await say(api, {"temperature": 21})
    ((lines, body),) = [*(await receiver.heard(1) and receiver.requests)]
    expected = {"nev": {"rep": {"m2m:cin": message}, "net": 3}, "sur": f"/main/{subscription['ri']}"}
    assert body == {"m2m:sgn": expected}
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert headers["X-M2M-Origin"] == "/main"
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Bearer xyz"
    assert headers["X-M2M-RI"]


async def events(receiver, count):
    """Event type and representation of each notification."""
    bodies = await receiver.heard(count)
    found = [body["m2m:sgn"]["nev"] for body in bodies if "nev" in body["m2m:sgn"]]
    return [(event["net"], event["rep"]) for event in found]


# --- what is told ----------------------------------------------------------------------------------------


async def test_a_resource_is_updated_and_deleted(api, receiver):
    node = await api.add_device(lbl=["a:1"])
    await application(api, receiver)
    made = await subscribe(api, "/device001", enc={"net": [1, 2]})
    assert made.status_code == 201, made.text
    await api.put("/device001", {"m2m:nod": {"lbl": ["a:2"]}})
    await api.delete("/device001")
    (first, updated), (second, deleted) = await events(receiver, 2)
    assert (first, second) == (1, 2)
    assert updated["m2m:nod"]["lbl"] == deleted["m2m:nod"]["lbl"] == ["a:2"]
    assert updated["m2m:nod"]["ri"] == node["resourceID"]


async def test_children_come_and_go(api, receiver):
    await api.add_device()
    await application(api, receiver)
    await subscribe(api, enc={"net": [3, 4]})
    message = await say(api)
    await api.delete(f"{RECEIVED}/{message['rn']}")
    assert await events(receiver, 2) == [(3, {"m2m:cin": message}), (4, {"m2m:cin": message})]


async def test_what_is_below_a_node_is_deleted_with_it(api, receiver):
    await api.add_device()
    await application(api, receiver)
    await subscribe(api, enc={"net": [2]}, su="CApp")
    await subscribe(api, "/device001/device-info", enc={"net": [2]})
    await api.delete("/device001")
    bodies = await receiver.heard(3)
    gone = {next(iter(body["m2m:sgn"]["nev"]["rep"])) for body in bodies if "nev" in body["m2m:sgn"]}
    assert gone == {"m2m:cnt", "m2m:dvi"}
    assert [body["m2m:sgn"]["sud"] for body in bodies if "sud" in body["m2m:sgn"]] == [True]
    assert api.ledger.watched == {}


async def test_modified_attributes_only(api, receiver):
    await api.add_device(lbl=["a:1"])
    await application(api, receiver)
    await subscribe(api, "/device001", nct=2, enc={"net": [1]})
    await api.put("/device001", {"m2m:nod": {"lbl": ["a:2"]}})
    await api.put("/device001", {"m2m:nod": {"lbl": None}})
    (_, changed), (_, removed) = await events(receiver, 2)
    assert changed["m2m:nod"]["lbl"] == ["a:2"]
    assert changed["m2m:nod"].keys() == {"lbl", "lt"}
    assert removed["m2m:nod"]["lbl"] is None


async def test_nothing_but_the_id(api, receiver):
    await api.add_device()
    await application(api, receiver)
    await subscribe(api, nct=3)
    message = await say(api)
    assert await events(receiver, 1) == [(3, {"m2m:uri": f"/main/{message['ri']}"})]


async def test_long_names_where_the_tenant_has_them(api, receiver):
    tenant = api.inventory.tenant("main")
    await api.add_device()
    await application(api, receiver)
    await subscribe(api)
    api.inventory._tenants["main"] = attrs.evolve(tenant, names="long")
    await say(api)
    ((_, content),) = await events(receiver, 1)
    assert content["contentInstance"]["content"] == "hello"
    assert content["contentInstance"]["resourceType"] == 4


@pytest.mark.parametrize("prefix", ["d2c-uplink-property_", "UplinkProperty_"])
async def test_uplink_properties_of_the_node_are_in_what_is_forwarded(api, receiver, prefix):
    await api.add_device(lbl=[f"{prefix}site:hall 4", "other:x"])
    await application(api, receiver)
    await subscribe(api)
    kept = await say(api, {"value": 1})
    await say(api, "text")
    (_, first), (_, second) = await events(receiver, 2)
    forwarded = first["m2m:cin"]
    assert forwarded["con"] == {"value": 1, "uplinkProperties": {"site": "hall 4"}}
    assert forwarded["cs"] == len(json.dumps(forwarded["con"], separators=(",", ":")))
    assert {**forwarded, "con": kept["con"], "cs": kept["cs"]} == kept
    assert second["m2m:cin"]["con"] == "text"
    assert second["m2m:cin"]["uplinkProperties"] == {"site": "hall 4"}


CRITERIA = [
    ({"net": [3], "chty": [4]}, True),
    ({"net": [3], "chty": [3]}, False),
    ({"net": [3], "crb": "20200101T000000"}, False),
    ({"net": [3], "cra": "20200101T000000"}, True),
    ({"net": [3], "ms": "20200101T000000"}, True),
    ({"net": [3], "us": "20200101T000000"}, False),
    ({"net": [3], "stb": 0}, True),
    ({"net": [3], "sts": 1}, False),
    ({"net": [3], "sza": 5}, True),
    ({"net": [3], "szb": 5}, False),
    ({"net": [3], "lbl": ["x:1", "y:2"]}, True),
    ({"net": [3], "lbl": ["z:3"]}, False),
    ({"net": [3], "szb": 5, "stb": 0}, False),
    ({"net": [3], "szb": 5, "stb": 0, "fo": 2}, True),
    ({"net": [3], "sza": 5, "stb": 0, "fo": 3}, False),
    ({"notificationEventType": [3], "sizeAbove": 5}, True),
    ({"net": [1, 2, 4]}, False),
]


async def test_conditions(api, receiver):
    await api.add_device()
    await application(api, receiver)
    wanted = set()
    for criteria, is_told in CRITERIA:
        made = await subscribe(api, enc=criteria)
        assert made.status_code == 201, made.text
        if is_told:
            wanted.add(f"/main/{made.json()['m2m:sub']['ri']}")
    await say(api, "hello", lbl=["x:1"])
    bodies = await receiver.heard(len(wanted))
    await api.deliveries.close()
    assert {body["m2m:sgn"]["sur"] for body in bodies} == wanted
    assert len(receiver.bodies) == len(wanted)


async def test_attributes_that_matter(api, receiver):
    await api.add_device()
    await application(api, receiver)
    await subscribe(api, "/device001", nct=3, enc={"net": [1], "atr": ["hcl"]})
    await subscribe(api, "/device001", nct=3, enc={"net": [1], "atr": ["labels"]})
    await api.put("/device001", {"m2m:nod": {"lbl": ["a:1"]}})
    await receiver.heard(1)
    await api.deliveries.close()
    assert len(receiver.bodies) == 1


# --- how it ends -----------------------------------------------------------------------------------------


async def test_after_so_many_notices_it_is_gone(api, receiver):
    await api.add_device()
    await application(api, receiver)
    made = (await subscribe(api, exc=2, su="main/App")).json()["m2m:sub"]
    for text in ("1", "2", "3"):
        await say(api, text)
    bodies = await receiver.heard(3)
    assert [content["m2m:cin"]["con"] for _, content in await events(receiver, 3)] == ["1", "2"]
    # To the same target, but another subscription may be quicker.
    assert {"m2m:sgn": {"sud": True, "sur": f"/main/{made['ri']}"}} in bodies
    assert (await api.get(f"{RECEIVED}/{made['rn']}")).status_code == 404


async def test_its_end_is_told_to_whom_it_may_concern(api, receiver):
    await api.add_device()
    await application(api, receiver)
    made = (await subscribe(api, su=receiver.url)).json()["m2m:sub"]
    await api.delete(f"{RECEIVED}/{made['rn']}")
    assert await receiver.heard(1) == [{"m2m:sgn": {"sud": True, "sur": f"/main/{made['ri']}"}}]


async def test_a_changed_subscription(api, receiver):
    await api.add_device()
    await application(api, receiver)
    made = (await subscribe(api, rn="mine", enc={"net": [4]})).json()["m2m:sub"]
    await say(api, "before")
    changed = await api.put(f"{RECEIVED}/mine", {"m2m:sub": {"enc": {"net": [3]}, "exc": 9}})
    assert changed.status_code == 200, changed.text
    await say(api, "after")
    ((_, content),) = await events(receiver, 1)
    assert content["m2m:cin"]["con"] == "after"
    kept = (await api.get(f"{RECEIVED}/mine", headers={"X-M2M-RVI": "4"})).json()["m2m:sub"]
    assert (kept["nu"], kept["exc"], kept["ri"]) == (["main/App"], 8, made["ri"])


# --- targets ---------------------------------------------------------------------------------------------


async def test_a_url_is_asked_whether_it_wants_to_be_told(api, receiver):
    await api.add_device()
    made = (await subscribe(api, nu=receiver.url)).json()["m2m:sub"]
    assert made["nu"] == [receiver.url]
    assert receiver.bodies == [{"m2m:sgn": {"vrq": True, "cr": "CTestApp", "sur": f"/main/{made['ri']}"}}]


async def test_one_that_does_not_is_no_target(api, receiver):
    await api.add_device()
    receiver.answer = lambda body: b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"
    refused = await subscribe(api, nu=[receiver.url])
    assert (refused.status_code, refused.headers["X-M2M-RSC"]) == (500, "5204")
    assert "403" in refused.json()["m2m:dbg"]
    assert api.ledger.watched == {}


async def test_an_application_need_not_be_asked_for_its_own_address(api, receiver):
    await api.add_device()
    await application(api, receiver, "TestApp")
    assert (await subscribe(api, nu=[receiver.url])).status_code == 201
    assert receiver.bodies == []
    await say(api)
    assert len(await events(receiver, 1)) == 1


FORMS = ("main/App", "/main/App", "App", "CApp", "main/CApp", "{ri}", "/main/{ri}", "~/main/{ri}")


async def test_names_of_an_application(api, receiver):
    await api.add_device()
    await application(api, receiver)
    ri = (await api.get("/App", headers={"X-M2M-RVI": "4"})).json()["m2m:ae"]["ri"]
    for form in FORMS:
        made = await subscribe(api, nu=[form.format(ri=ri)])
        assert made.status_code == 201, made.text
    await say(api)
    assert len({body["m2m:sgn"]["sur"] for body in await receiver.heard(len(FORMS))}) == len(FORMS)


async def test_no_target(api, receiver):
    await api.add_device()
    await application(api, receiver)
    for target in ("main/Nobody", "other/App", "main/App/below", "https://127.0.0.2/", "/"):
        refused = await subscribe(api, nu=[target])
        assert refused.headers["X-M2M-RSC"] == "5204", target


# --- what cannot be asked ---------------------------------------------------------------------------------


REFUSED = [
    ({"nu": []}, "4000"),
    ({"nu": ["ftp://x/"]}, "4000"),
    ({"nu": ["http://a b/"]}, "4000"),
    ({"nu": [f"main/App{n}" for n in range(17)]}, "4000"),
    ({"nu": None}, "4000"),
    ({"enc": {"net": [0]}}, "4000"),
    ({"enc": {"net": []}}, "4000"),
    ({"enc": {"net": ["3"]}}, "4000"),
    ({"enc": {"net": [7]}}, "5001"),
    ({"enc": {"om": []}}, "5001"),
    ({"enc": {"nonsense": 1}}, "4000"),
    ({"enc": {"net": [3], "crb": "yesterday"}}, "4000"),
    ({"enc": {"net": [3], "sza": "much"}}, "4000"),
    ({"enc": {"net": [3], "sza": [1]}}, "4000"),
    ({"enc": {"net": [3], "fo": 4}}, "4000"),
    ({"enc": {"net": [3], "chty": [13]}}, "4000"),
    ({"enc": {"net": [3], "atr": ["lbl"]}}, "4000"),
    ({"enc": {"net": [1], "atr": ["nonsense"]}}, "4000"),
    ({"enc": [3]}, "4000"),
    ({"nct": 2}, "4000"),
    ({"nct": 4}, "5001"),
    ({"nct": 9}, "4000"),
    ({"exc": 0}, "4000"),
    ({"bn": {}}, "4000"),
    ({"bn": {"num": 0}}, "4000"),
    ({"bn": {"dur": "soon"}}, "4000"),
    ({"bn": {"dur": "PT"}}, "4000"),
    ({"ln": True}, "4000"),
    ({"pn": 3}, "4000"),
    ({"psn": 1}, "5001"),
    ({"rl": {"mnn": 1}}, "5001"),
    ({"nfu": "main/App"}, "5001"),
]


async def test_what_is_refused(api, receiver):
    await api.add_device()
    await application(api, receiver)
    for attributes, rsc in REFUSED:
        refused = await subscribe(api, **attributes)
        assert refused.headers["X-M2M-RSC"] == rsc, f"{attributes}: {refused.text}"
    assert api.ledger.watched == {}


async def test_notices_together(api, receiver):
    await api.add_device()
    await application(api, receiver)
    made = await subscribe(api, bn={"num": 2, "duration": "PT1M"})
    assert made.json()["m2m:sub"]["bn"] == {"num": 2, "dur": "PT1M"}
    await say(api, "1")
    await say(api, "2")
    (body,) = await receiver.heard(1)
    contents = [one["nev"]["rep"]["m2m:cin"]["con"] for one in body["m2m:agn"]["m2m:sgn"]]
    assert contents == ["1", "2"]


async def test_long_names_in_and_out(api, receiver):
    await api.add_device()
    await application(api, receiver)
    criteria = {"notificationEventType": [3], "labels": ["a:1"]}
    asked = {
        "notificationURI": ["main/App"],
        "eventNotificationCriteria": criteria,
        "batchNotify": {"number": 5},
    }
    made = await api.post(RECEIVED, 23, {"subscription": asked}, headers={"fullName": "true"})
    assert made.status_code == 201, made.text
    answer = made.json()["subscription"]
    assert {name: answer[name] for name in asked} == asked
    assert api.ledger.reader.children(next(iter(api.ledger.watched)))[0].attributes["enc"]["net"] == [3]


async def test_headers_that_no_webhook_can_be_sent(api, receiver):
    await application(api, receiver, "Other")
    for line in ("Host: x", "X: a\r\nY: b", "nothing"):
        body = {"m2m:ae": {"api": "NApp", "rn": "App", "poa": [receiver.url], "poah": [line]}}
        refused = await api.post("", 2, body, headers={"X-M2M-Origin": "CApp"})
        assert (refused.status_code, refused.headers["X-M2M-RSC"]) == (400, "4000")
        assert (await api.put("/Other", {"m2m:ae": {"poah": [line]}})).status_code == 400


async def test_a_sink_in_trouble_loses_nothing(api, listen):
    """It answers 500, breaks connections, hangs, is gone, and comes back."""
    receiver = await listen()
    await api.add_device()
    await application(api, receiver)
    await subscribe(api)
    good, taken = receiver.answer, []
    troubles = [b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"] * 20 + [None] * 5 + [b"HTTP/1.1 200 OK\r\n"]

    def answer(body):
        if troubles:
            return troubles.pop()
        taken.append(body["m2m:sgn"]["nev"]["rep"]["m2m:cin"]["con"])
        return good(body)

    receiver.answer = answer
    for number in range(10):
        await say(api, str(number))
    await receiver.until(lambda: not troubles)
    receiver.close()
    for number in range(10, 20):
        await say(api, str(number))
    port = int(receiver.url.split(":")[2].split("/")[0])
    again = await listen(port)
    again.answer = answer
    await again.until(lambda: len(taken) >= 20)
    assert list(dict.fromkeys(taken)) == [str(number) for number in range(20)]


async def test_one_that_has_expired_is_told_of_nothing(api, receiver, monkeypatch):
    await api.add_device()
    await application(api, receiver)
    made = await subscribe(api, et=timestamp(int((time.time() + 3600) * SECOND)))
    assert made.status_code == 201, made.text
    await subscribe(api)
    await say(api, "1")
    await receiver.heard(2)
    later = SimpleNamespace(time=lambda: time.time() + 7200)
    monkeypatch.setattr("lwm2m_server.onem2m.notify.notices.time", later)
    await say(api, "2")
    await receiver.heard(3)
    await api.deliveries.close()
    assert len(receiver.bodies) == 3
