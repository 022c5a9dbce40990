"""expirationTime, and removal of much: what is over or gone is not seen; its rows go a share at a time."""

import asyncio
import sqlite3
import time

from lwm2m_server.store.ids import SECOND, parse_timestamp, timestamp
from lwm2m_server.store.records import Message, Resource

SHORT = {"fullName": "false"}


def moment(seconds):
    return timestamp(int((time.time() + seconds) * SECOND))


async def refused(answer, status, rsc, *words):
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (status, str(rsc)), answer.text
    for word in words:
        assert word in answer.json()["m2m:dbg"]


async def made(api, path, ty, body, origin="CTestApp"):
    answer = await api.post(path, ty, body, headers={**SHORT, "X-M2M-Origin": origin})
    assert answer.status_code == 201, answer.text
    return next(iter(answer.json().values()))


async def changed(api, path, body):
    answer = await api.put(path, body, headers=SHORT)
    assert answer.status_code == 200, answer.text
    return next(iter(answer.json().values()))


async def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def rows(api, tmp_path):
    """Of resources of clients, messages, and what is left of removed ones."""
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        count = """SELECT (SELECT count(*) FROM resource WHERE name NOT LIKE 'device-%'
            AND name NOT IN ('request', 'response')),
            (SELECT count(*) FROM message), (SELECT count(*) FROM entry), (SELECT count(*) FROM doomed)"""
        return connection.execute(count).fetchone()


async def test_nothing_outlives_what_it_lies_in(api):
    end, later = moment(1000), moment(2000)
    outer = await made(api, "", 3, {"m2m:cnt": {"rn": "outer", "et": end.partition(",")[0]}})
    assert parse_timestamp(outer["et"]) // SECOND == parse_timestamp(end) // SECOND
    inner = await made(api, "/outer", 3, {"m2m:cnt": {"rn": "inner", "et": later}})
    assert inner["et"] == outer["et"]
    assert (await made(api, "/outer/inner", 4, {"m2m:cin": {"con": "x"}}))["et"] == outer["et"]
    sooner = moment(500)
    assert (await changed(api, "/outer/inner", {"m2m:cnt": {"et": sooner}}))["et"] == sooner
    assert (await changed(api, "/outer/inner", {"m2m:cnt": {"et": None}}))["et"] == outer["et"]
    assert "et" not in await changed(api, "/outer", {"m2m:cnt": {"et": None}})


async def test_what_is_over_or_no_time_is_refused(api):
    await made(api, "", 3, {"m2m:cnt": {"rn": "box"}})
    for text in (moment(-1), "19700101T000000", "tomorrow", "", 5, None, "20251332T000000"):
        body = {"m2m:cin": {"con": "x", "et": text}}
        await refused(await api.post("/box", 4, body), 400, 4000, "et (expirationTime)")
        await refused(await api.post("", 3, {"m2m:cnt": {"et": text}}), 400, 4000, "et (expirationTime)")
    await refused(await api.put("/box", {"m2m:cnt": {"et": moment(-1)}}), 400, 4000, "is over")


async def test_instances_live_as_long_as_their_container_lets_them(api):
    await made(api, "", 3, {"m2m:cnt": {"rn": "box", "mia": 100}})
    kept = await made(api, "/box", 4, {"m2m:cin": {"con": "x", "et": moment(1000)}})
    age = parse_timestamp(kept["et"]) - parse_timestamp(kept["ct"])
    assert 99 * SECOND < age < 101 * SECOND
    sooner = moment(50)
    assert (await made(api, "/box", 4, {"m2m:cin": {"con": "x", "et": sooner}}))["et"] == sooner


async def test_what_is_over_is_gone_with_all_below_it(api, tmp_path):
    await made(api, "", 3, {"m2m:cnt": {"rn": "stays", "mia": 1}})
    await made(api, "/stays", 4, {"m2m:cin": {"con": "old"}})
    end = moment(1)
    await made(api, "", 3, {"m2m:cnt": {"rn": "outer", "et": end}})
    inner = await made(api, "/outer", 3, {"m2m:cnt": {"rn": "inner"}})
    instance = await made(api, "/outer/inner", 4, {"m2m:cin": {"con": "x"}})
    app = await made(api, "", 2, {"m2m:ae": {"rn": "app", "api": "N1", "et": end}}, "Capp")
    await made(api, "/app", 28, {"acme:v": {"rn": "v", "cnd": "a"}})
    await api.add_device("dev", et=end)
    for path in ("/outer/inner/la", "/app/v", "/dev", "/stays/la"):
        assert (await api.get(path)).status_code == 200
    await asyncio.sleep(max(0, parse_timestamp(end) / SECOND - time.time()))
    for ri in (inner["ri"], instance["ri"], app["ri"]):
        assert (await api.get(f"/../~/main/{ri}")).status_code == 404
    for path in ("/outer", "/outer/inner", "/app", "/app/v", "/dev"):
        assert (await api.get(path)).status_code == 404
    await until(lambda: rows(api, tmp_path) == (1, 0, 0, 0))
    assert api.devices.forgotten == ["dev"]
    assert api.inventory.expired_applications() == []
    await refused(await api.get("/stays/la"), 404, 4004, "empty")
    # The names are free.
    await made(api, "", 3, {"m2m:cnt": {"rn": "outer"}})
    await made(api, "", 2, {"m2m:ae": {"rn": "app", "api": "N1"}}, "Capp")


async def test_a_message_that_waits_for_its_device_does_not_vanish(api):
    await api.add_device("dev")
    end = moment(0.5)
    path = "/device-communication/dev/outgoing-msg"
    await made(api, path, 4, {"m2m:cin": {"con": "GET /3", "et": end}})
    await asyncio.sleep(max(0, parse_timestamp(end) / SECOND - time.time()))
    # It is the engine that gives it up, and says so in error-msg.
    assert (await api.get(f"{path}/la")).status_code == 200


async def test_much_goes_without_keeping_others_waiting(api, tmp_path):
    await made(api, "", 2, {"m2m:ae": {"rn": "app", "api": "N1"}}, "Capp")
    box = await made(api, "/app", 3, {"m2m:cnt": {"rn": "box", "mni": 20_000}})
    id = api.ledger.reader.child(api.inventory.application("main", "app").id, "box").id

    def fill(write, first):
        for number in range(first, first + 1000):
            write.put(Resource(id + number, "main", id, f"c{number}", 28, "a:b", {"cnd": "x"}, id))
            write.add_message(Message(id + 100_000 + number, id, None, "C", 0, "x", None, 1))

    for first in range(1, 5_000, 1000):
        await api.ledger.commit(lambda write, first=first: fill(write, first))
    longest = 0.0

    async def watch():
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    watching = asyncio.create_task(watch())
    assert (await api.delete("/app")).status_code == 200
    for path in ("/app", "/app/box", f"/../~/main/{box['ri']}"):
        assert (await api.get(path)).status_code == 404
    await until(lambda: rows(api, tmp_path) == (0, 0, 0, 0))
    watching.cancel()
    # In one go it takes several times as long.
    assert longest < 0.03


async def test_a_removal_that_a_crash_interrupted_is_undone_or_finished(start, settings, tmp_path):
    api = await start(settings)
    for name in ("kept", "gone"):
        await made(api, "", 2, {"m2m:ae": {"rn": name, "api": "N1"}}, f"C{name}")
        await made(api, f"/{name}", 3, {"m2m:cnt": {"rn": "box"}})
        id = api.inventory.application("main", name).id
        await api.ledger.commit(lambda write, id=id: write.doom(id))
    await api.inventory.remove_application(api.inventory.application("main", "gone").id)
    await api.platform.close()
    api.ledger.close()
    again = await start(settings)
    await again.platform.resume()
    await until(lambda: rows(again, tmp_path) == (1, 0, 0, 0))
    assert (await again.get("/kept/box")).status_code == 200
