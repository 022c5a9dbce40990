"""contentInstances: wishes to devices, injected messages, limits, time to live, removal."""

import time

import attrs
import pytest

from lwm2m_engine.messages import Read, Write
from lwm2m_engine.paths import Path
from lwm2m_server.settings import MessageSettings
from lwm2m_server.store.ids import timestamp

BOX = "/device-communication/dev"
OUTGOING = f"{BOX}/outgoing-msg"


async def refused(answer, status, rsc, *words):
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (status, str(rsc)), answer.text
    for word in words:
        assert word in answer.json()["m2m:dbg"]


def cin(con, **more):
    return {"m2m:cin": {"con": con, **more}}


def the_request(api):
    ((request, expires_at),) = api.devices.queues["dev"].values()
    return request, expires_at


async def test_text_becomes_a_request(api):
    await api.add_device("dev")
    await api.post(OUTGOING, 4, cin("GET /3/0/9\n"))
    assert the_request(api)[0] == Read(Path("/3/0/9"))


async def test_an_object_becomes_the_same_request(api):
    await api.add_device("dev")
    con = {"method": "PUT", "path": "/3/0/14", "value": "+02:00"}
    answer = await api.post(OUTGOING, 4, cin(con, cnf="application/json:0"))
    assert answer.json()["contentInstance"]["content"] == con
    assert answer.json()["contentInstance"]["contentInfo"] == "application/json:0"
    request, _ = the_request(api)
    assert isinstance(request, Write)
    assert request.entries[0].value == "+02:00"


async def test_json_in_a_string_is_json(api):
    await api.add_device("dev")
    con = '{"method": "GET", "path": "/3"}'
    answer = await api.post(OUTGOING, 4, cin(con, cnf="application/json:0"))
    assert answer.json()["contentInstance"]["content"] == con
    assert the_request(api)[0] == Read(Path("/3"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (cin("FROB /3"), ["FROB"]),
        (cin("GET /3/x"), ["/3/x"]),
        (cin("PUT /3/0/13 abc"), ["3/0/13"]),
        (cin("PUT /22"), ["PUT /22 <"]),
        (cin(""), []),
        (cin(7), ["object"]),
        (cin({"a": 1}, cnf="text/plain:0"), ["cnf (contentInfo)"]),
        (cin("GET /3", cnf="json"), ["cnf (contentInfo)"]),
        (cin("GET /3", cnf="text/xml:0"), ["text/xml:0"]),
        (cin("nope", cnf="application/json:0"), ["JSON"]),
        (cin("GET /3", et="20200101T000000"), ["et (expirationTime)"]),
        (cin("GET /3", et="soon"), ["et (expirationTime)"]),
        (cin("GET /3", lbl=["ttl:soon"]), ["ttl:soon"]),
        (cin("GET /3", lbl="x"), ["lbl (labels)"]),
        (cin("GET /3", st=1), ["st (stateTag)"]),
        (cin("GET /3", cr="CMe"), ["cr (creator)"]),
        ({"m2m:cin": {}}, ["con (content)"]),
        ({"m2m:cin": {"con": None}}, ["con (content)"]),
        ({"m2m:cin": {"con": "GET /3", "content": "GET /3"}}, ["twice"]),
        ({"m2m:cin": []}, ["object"]),
        ({"m2m:foo": {}}, ["m2m:foo"]),
        ({}, ["one member"]),
        ([], ["one member"]),
    ],
)
async def test_what_no_device_could_do_is_refused_and_not_stored(api, body, words):
    await api.add_device("dev")
    await refused(await api.post(OUTGOING, 4, body), 400, 4000, *words)
    assert (await api.get(OUTGOING)).json()["container"]["currentNrOfInstances"] == 0
    assert api.devices.queues == {}


async def test_an_unknown_device_has_no_container(api):
    await refused(
        await api.post("/device-communication/nobody/outgoing-msg", 4, cin("GET /3")), 404, 4004, "nobody"
    )


async def test_the_state_tag_counts_and_never_falls(api):
    await api.add_device("dev")
    posted = [(await api.post(OUTGOING, 4, cin("GET /3"))).json()["contentInstance"] for _ in range(3)]
    assert [one["stateTag"] for one in posted] == [1, 2, 3]
    for one in posted:
        assert (await api.delete(f"{OUTGOING}/{one['resourceName']}")).status_code == 200
    assert api.devices.queues["dev"] == {}
    assert (await api.post(OUTGOING, 4, cin("GET /3"))).json()["contentInstance"]["stateTag"] == 4


async def test_a_full_queue_says_so(start, settings):
    api = await start(attrs.evolve(settings, messages=MessageSettings(outgoing_mni=2)))
    await api.add_device("dev")
    for _ in range(2):
        assert (await api.post(OUTGOING, 4, cin("GET /3"))).status_code == 201
    await refused(await api.post(OUTGOING, 4, cin("GET /3")), 406, 5207, "2 messages")
    assert len(api.devices.queues["dev"]) == 2


async def test_other_containers_evict_the_oldest(start, settings):
    api = await start(attrs.evolve(settings, messages=MessageSettings(mni=2)))
    await api.add_device("dev")
    for number in range(4):
        await api.post(f"{BOX}/received-msg", 4, cin({"n": number}))
    box = (await api.get(f"{BOX}/received-msg?rcn=4")).json()["container"]
    assert [one["content"]["n"] for one in box["contentInstance"]] == [2, 3]
    assert (box["currentNrOfInstances"], box["stateTag"]) == (2, 4)
    oldest = (await api.get(f"{BOX}/received-msg/ol")).json()["contentInstance"]
    latest = (await api.get(f"{BOX}/received-msg/la")).json()["contentInstance"]
    assert (oldest["content"], latest["content"]) == ({"n": 2}, {"n": 3})


async def test_an_injected_message_is_stored_as_it_is(api):
    await api.add_device("dev")
    text = (await api.post(f"{BOX}/received-msg", 4, cin("GET nothing", lbl=["a"]))).json()["contentInstance"]
    assert (text["content"], text["labels"], text["contentSize"]) == ("GET nothing", ["a"], 11)
    assert "contentInfo" not in text
    document = (await api.post(f"{BOX}/received-msg", 4, cin({"ü": [1, None]}))).json()["contentInstance"]
    assert (document["content"], document["contentSize"]) == ({"ü": [1, None]}, 15)
    assert document["contentInfo"] == "application/json:0"
    assert api.devices.queues == {}


async def test_the_time_to_live_is_the_clients_or_the_settings(api):
    await api.add_device("dev")
    expiry = timestamp(int(time.time() + 60) * 1_000_000)
    before = time.time()
    for more in ({"et": expiry, "lbl": ["ttl:5"]}, {"lbl": ["ttl: 120"]}, {}):
        answer = (await api.post(OUTGOING, 4, cin("GET /3", **more))).json()["contentInstance"]
        assert answer.get("expirationTime") == more.get("et")
    waits = [expires_at - before for _, expires_at in api.devices.queues["dev"].values()]
    assert waits == [pytest.approx(60, abs=2), pytest.approx(120, abs=2), pytest.approx(7 * 86400, abs=2)]


async def test_a_client_may_choose_the_name(api):
    await api.add_device("dev")
    name = "0b3c9a44-98b7-4f0c-9f3a-1d2f7f0f9c11"
    assert (await api.post(OUTGOING, 4, cin("GET /3", rn=name))).json()["contentInstance"][
        "resourceName"
    ] == name
    assert (await api.get(f"{OUTGOING}/{name}")).status_code == 200
    await refused(await api.post(OUTGOING, 4, cin("GET /3", rn=name)), 409, 4105, name)
    await refused(await api.post(OUTGOING, 4, cin("GET /3", rn="la")), 400, 4000)


async def test_messages_lie_in_the_containers_of_devices_only(api):
    await api.add_device("dev")
    for path in ("/device-communication", BOX):
        await refused(await api.post(path, 4, cin("x")), 403, 4108)
    await refused(await api.post("", 4, cin("x")), 403, 4108)
    await refused(await api.post("/dev", 4, cin("x")), 403, 4108)


async def test_an_empty_container_has_no_latest(api):
    await api.add_device("dev")
    await refused(await api.get(f"{OUTGOING}/la"), 404, 4004, "outgoing-msg is empty")
    await refused(await api.get(f"{OUTGOING}/ol"), 404, 4004)


async def test_messages_are_not_updated_and_have_no_children(api):
    await api.add_device("dev")
    name = (await api.post(OUTGOING, 4, cin("GET /3"))).json()["contentInstance"]["resourceName"]
    await refused(await api.put(f"{OUTGOING}/{name}", cin("GET /4")), 405, 4005)
    await refused(await api.post(f"{OUTGOING}/{name}", 4, cin("GET /4")), 403, 4108)
    await refused(await api.get(f"{OUTGOING}/{name}/la"), 404, 4004)
