"""``/api/v1/deliveries``, and ``lwm2m deliveries`` on top of it."""

import asyncio
import json

import httpx
import pytest
from click.testing import CliRunner

from lwm2m_server.cli.client import Client
from lwm2m_server.cli.main import lwm2m
from lwm2m_server.http.app import create_http
from lwm2m_server.http.deliveries import DeliveryApi
from lwm2m_server.sinks.targets import Targets
from lwm2m_server.store.records import Lane, Notice, Tenant

DEAD = "/api/v1/deliveries/dead-letters"


@pytest.fixture
async def api(start, open_to_loopback):
    return await start(open_to_loopback)


@pytest.fixture
async def client(api):
    targets = Targets(api.inventory, api.ledger.installation)
    routes = DeliveryApi(api.deliveries, targets, api.ledger, "main").routes()
    transport = httpx.ASGITransport(create_http(api=routes))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


async def bury(api, count, target="https://127.0.0.9/", tenant="main"):
    """So many dead letters."""
    lane, first = Lane(tenant, target), api.platform._ids.next(count)
    letters = [
        Notice(first + number, lane, 5, "device001", f'{{"m2m:sgn":{{"n":{number}}}}}')
        for number in range(count)
    ]
    await api.ledger.commit(lambda write: write.bury_notices(letters, "nobody there"))


async def get(client, path):
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_how_it_goes_to_each_target(api, client, listen):
    receiver = await listen()
    await api.post("", 2, {"m2m:ae": {"api": "NApp", "rn": "App", "poa": [receiver.url]}})
    for target in ("main/App", "main/Nobody"):
        await api.ledger.commit(lambda write, to=target: write.add_notice(Lane("main", to), 5, None, "{}"))
    await receiver.heard(1)
    async with asyncio.timeout(20):
        lanes = {}
        while not (lanes and lanes["main/App"]["waiting"] == 0 and lanes["main/Nobody"]["failed"]):
            await asyncio.sleep(0.01)
            lanes = {row["target"]: row for row in (await get(client, "/api/v1/deliveries"))["deliveries"]}
    app, nobody = lanes["main/App"], lanes["main/Nobody"]
    assert (app["application"], app["delivered"], app["lastError"]) == ("App", 1, None)
    assert app["latency"] >= 0
    assert (nobody["application"], nobody["waiting"], nobody["delivered"]) == (None, 1, 0)
    assert nobody["lastError"] == "there is no application main/Nobody"
    assert nobody["oldestWaiting"] <= nobody["lastErrorAt"]


async def test_dead_letters_are_listed_in_pages(api, client):
    await bury(api, 5)
    await bury(api, 2, "https://127.0.0.8/")
    page = await get(client, f"{DEAD}?limit=3")
    rest = await get(client, f"{DEAD}?limit=3&after={page['next']}&target=https://127.0.0.9/")
    assert [len(page["deadLetters"]), len(rest["deadLetters"])] == [3, 2]
    assert "next" not in rest
    letter = page["deadLetters"][0]
    assert (letter["reason"], letter["device"]) == ("nobody there", "device001")
    details = await get(client, f"{DEAD}/{letter['id']}")
    assert details == {**letter, "notification": {"m2m:sgn": {"n": 0}}}


async def test_those_of_other_tenants_are_not_there(api, client):
    await api.inventory.add_tenant(Tenant(7, "other"))
    await bury(api, 1, tenant="other")
    assert (await get(client, DEAD))["deadLetters"] == []
    (letter,) = (await get(client, f"{DEAD}?tenant=other"))["deadLetters"]
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/replay")):
        answer = await client.request(method, f"{DEAD}/{letter['id']}{path}")
        assert answer.status_code == 404
    assert (await client.get(f"{DEAD}/xyz")).status_code == 400


async def test_passwords_of_targets_are_not_shown_and_what_is_shown_names_them(api, client):
    target, shown = "https://me:secret@127.0.0.9/x", "https://me:***@127.0.0.9/x"
    await bury(api, 2, target)
    await bury(api, 1)
    other = Lane("main", "https://me:secret@127.0.0.9/y")
    await api.ledger.commit(lambda write: write.add_notice(other, 5, None, "{}"))
    lanes, letters = await client.get("/api/v1/deliveries"), await client.get(DEAD, params={"target": shown})
    assert "https://me:***@127.0.0.9/y" in {row["target"] for row in lanes.json()["deliveries"]}
    assert [letter["target"] for letter in letters.json()["deadLetters"]] == [shown, shown]
    assert "secret" not in lanes.text + letters.text
    assert (await client.delete(DEAD, params={"target": shown})).json() == {"dropped": 2}
    assert shown not in {letter["target"] for letter in (await get(client, DEAD))["deadLetters"]}


async def test_one_is_replayed_and_another_dropped(api, client, listen):
    receiver = await listen()
    await bury(api, 3, receiver.url)
    first, second, third = (await get(client, DEAD))["deadLetters"]
    assert (await client.post(f"{DEAD}/{second['id']}/replay")).status_code == 204
    assert await receiver.heard(1) == [{"m2m:sgn": {"n": 1}}]
    assert (await client.delete(f"{DEAD}/{first['id']}")).status_code == 204
    assert [letter["id"] for letter in (await get(client, DEAD))["deadLetters"]] == [third["id"]]


async def test_all_of_a_target_at_once(api, client, listen):
    receiver = await listen()
    await bury(api, 700, receiver.url)
    await bury(api, 2)
    answer = await client.post("/api/v1/deliveries/replay", params={"target": receiver.url})
    assert answer.json() == {"replayed": 700}
    bodies = await receiver.heard(700)
    assert [body["m2m:sgn"]["n"] for body in bodies] == list(range(700))
    assert (await client.delete(DEAD)).json() == {"dropped": 2}
    assert (await get(client, DEAD))["deadLetters"] == []


# --- the command line --------------------------------------------------------------------------------------


LETTER = {
    "id": "abc",
    "target": "main/App",
    "subscription": "5f",
    "device": None,
    "at": 0,
    "diedAt": 0,
    "reason": "nobody there",
    "size": 2,
}
ROW = {
    "target": "main/App",
    "application": "App",
    "waiting": 3,
    "oldestWaiting": 0,
    "delivered": 7,
    "failed": 1,
    "dead": 0,
    "lastError": "answered 500",
}


def run(*arguments):
    return CliRunner().invoke(lwm2m, ["deliveries", *arguments])


def test_list(monkeypatch):
    monkeypatch.setattr(Client, "deliveries", lambda self: {"deliveries": [ROW]})
    heading, line = run("list").stdout.splitlines()
    assert heading.startswith("target    application  waiting  oldest")
    assert line.startswith("main/App  App          3")
    assert json.loads(run("list", "--json").stdout) == [ROW]
    assert run("list", "--target", "other", "--json").stdout == "[]\n"


def test_dead_letters(monkeypatch):
    monkeypatch.setattr(Client, "dead_letters", lambda self, target: iter([LETTER]))
    assert run("list", "--dead").stdout.splitlines()[1].startswith("abc  main/App  -")
    monkeypatch.setattr(Client, "dead_letter", lambda self, id: {**LETTER, "notification": {"n": 1}})
    assert '"n": 1' in run("show", "abc").stdout


def test_replay_and_drop(monkeypatch):
    done = []
    monkeypatch.setattr(Client, "replay", lambda self, id: done.append(id))
    monkeypatch.setattr(Client, "drop_all", lambda self, target: done.append(target) or 4)
    assert run("replay", "a", "b").stdout == "2 to be delivered again\n"
    assert run("drop", "--target", "main/App").stdout == "4 dropped\n"
    assert done == ["a", "b", "main/App"]
    for arguments in ((), ("a", "--all"), ("--all", "--target", "x")):
        assert run("replay", *arguments).exit_code == 2
