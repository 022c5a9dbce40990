"""kill -9 at any moment: every acknowledged fact is there afterwards, and no file needs repair."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import subprocess
import sys

import pytest
from tinydb import TinyDB

from lwm2m_engine.coap import Code
from lwm2m_server.simulator.datagram import ResetReceived

pytestmark = pytest.mark.slow


@pytest.mark.native_stack("aiocoap forgets the tokens of its observations with the process")
async def test_everything_is_back_after_kill(server, api, device, eventually):
    one = await device(server, "device001", live=False, version="1.1")
    await one.register()
    await api.ask("device001", "OBSERVE /3/0/9")
    await api.post("", 14, {"m2m:nod": {"rn": "shelf", "ni": "urn:dev:shelf", "lbl": ["room:7"]}})
    await api.post("", 2, {"m2m:ae": {"rn": "App", "api": "NApp"}}, headers={"X-M2M-Origin": "CApp"})
    waiting = await api.wish("shelf", "GET /3")
    before = (await api.get("device001?rcn=4")).json()
    seen = await api.messages("device001")
    server.kill()
    server.restart()

    assert (await api.get("device001?rcn=4")).json() == before
    assert await api.messages("device001") == seen
    assert (await api.get("shelf")).json()["node"]["labels"] == ["room:7"]
    assert (await api.get("App")).json()["AE"]["AE-ID"] == "CApp"
    assert (await api.latest("shelf", "outgoing-msg"))["resourceID"] == waiting["resourceID"]
    # The registration lives, and the next notification is decoded as if nothing had happened.
    assert (await one.update()).code == Code.CHANGED
    one.set("/3/0/9", 41)

    async def notified():
        contents = await api.messages("device001")
        return [one for one in contents if one["messageType"] == "notification"]

    (content,) = await eventually(notified)
    assert content["dataValue"] == {"3/0/9": 41}


async def test_a_message_in_flight_is_sent_again_but_execute_is_not(server, api, device):
    one = await device(server, "device001", live=False)
    await one.register()
    await api.ask("device001", "GET /3/0/0")
    one.faults.silent = True
    execute = await api.wish("device001", "POST /3/0/4")
    read = await api.wish("device001", "GET /3/0/9")
    await asyncio.sleep(0.2)
    server.kill()
    one.faults.silent = False
    server.restart()
    assert (await api.answer_to("device001", execute))["messageType"] == "error"
    assert (await api.answer_to("device001", read))["dataValue"] == {"3/0/9": 72}
    assert not one.executed


async def test_kill_at_random_moments_loses_no_acknowledged_message(server, connect, device):
    rng = random.Random(4711)
    acknowledged = []
    api = connect(server)
    await api.post("", 14, {"m2m:nod": {"rn": "shelf", "ni": "urn:dev:shelf"}})
    for _ in range(3):
        writer = asyncio.create_task(write_until_killed(api, acknowledged))
        await asyncio.sleep(rng.uniform(0.05, 0.3))
        server.kill()
        await writer
        server.restart()
        api = connect(server)
        answer = await api.get("device-communication/shelf/received-msg?rcn=8&limit=1000")
        kept = [one["content"] for one in answer.json()["container"]["contentInstance"]]
        expected = acknowledged[-100:]
        # One more may have been committed whose acknowledgement was cut off.
        assert kept[-len(expected) :] == expected or kept[-len(expected) - 1 : -1] == expected
        acknowledged[:] = kept
    server.kill()
    with sqlite3.connect(server.data / "ledger.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


async def write_until_killed(api, acknowledged):
    import httpx

    try:
        while True:
            text = f"message {len(acknowledged)} {random.random()}"
            path = "device-communication/shelf/received-msg"
            answer = await api.post(path, 4, {"m2m:cin": {"con": text}})
            if answer.status_code == 201:
                acknowledged.append(text)
    except httpx.HTTPError:
        return


async def test_stock_tinydb_opens_the_inventory_and_edits_are_there_after_start(server, api):
    await api.post("", 2, {"m2m:ae": {"rn": "App", "api": "NApp"}}, headers={"X-M2M-Origin": "CApp"})
    server.stop()
    file = server.data / "inventory.json"
    assert json.loads(file.read_text())
    with TinyDB(file) as database:
        assert [one["name"] for one in database.table("tenants")] == ["main"]
        models = {(one["object"], one["version"]): one for one in database.table("models")}
        assert len(models) == 424
        assert (models[3, "1.2"]["file"], models[3, "1.2"]["level"]) == ("3_1_2.xml", "bundled")
        (application,) = database.table("applications").all()
        assert application["name"] == "App"
        database.table("applications").update({"name": "Renamed"})
    server.restart()
    assert (await api.get("Renamed")).json()["AE"]["AE-ID"] == "CApp"
    assert (await api.get("App")).status_code == 404


def test_a_second_server_on_the_same_data_is_refused(server):
    command = [sys.executable, "-m", "lwm2m_server.launcher", "serve"]
    command += ["--coap", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", server.data]
    second = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=server.cwd)
    assert second.returncode == 1
    assert str(server.data) in second.stderr


async def test_sigterm_ends_it_cleanly(server, device):
    await device(server, "device001")
    assert server.stop() == 0
    assert "Traceback" not in server.errors()


async def test_what_lives_with_the_registration_expires_during_the_stop(server, api, device, eventually):
    one = await device(server, "device001", live=False, lifetime=2, version="1.1")
    await one.register()
    server.kill()
    await asyncio.sleep(2.2)
    server.restart()

    async def expired():
        labels = (await api.get("device001")).json()["node"]["labels"]
        return any(label.startswith("expirations_timestamp") for label in labels)

    await eventually(expired)
    try:
        assert (await one.update()).code == Code.NOT_FOUND
    except ResetReceived:
        raise AssertionError("an Update is answered, not reset") from None


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE device SET registration = '{' WHERE name = 'device001'",
        "UPDATE device SET registration = '{\"unread\": 7}' WHERE name = 'device001'",
        "UPDATE device SET announcement = x'00' WHERE name = 'device001'",
        "UPDATE observation SET document = '[]' WHERE node = (SELECT min(node) FROM device)",
        'UPDATE inputs SET document = \'{"/3/0/0": {"odd": 1}}\'',
    ],
)
async def test_what_is_wrong_with_one_device_stops_no_other(server, api, device, damage):
    one, other = [await device(server, name, live=False) for name in ("device001", "device002")]
    for each in (one, other):
        await each.register()
        await api.ask(each.endpoint, "OBSERVE /3/0/9")
    server.kill()
    with sqlite3.connect(server.data / "ledger.db") as ledger:
        assert ledger.execute(damage).rowcount > 0
    ledger.close()
    server.restart()
    assert (await other.update()).code == Code.CHANGED
    if "SET registration" in damage or "announcement" in damage:
        assert (await one.update()).code == Code.NOT_FOUND
    await one.register()
    assert await api.ask("device001", "GET /3/0/9")
    assert "cannot be read" in server.errors()
