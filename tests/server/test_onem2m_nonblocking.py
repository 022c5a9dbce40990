"""Requests that do not wait: their result later, or none."""

import asyncio

import attrs
import pytest

from lwm2m_server.onem2m import nonblocking
from lwm2m_server.onem2m.errors import BadRequest
from lwm2m_server.onem2m.moments import seconds_until
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.ids import SECOND, parse_timestamp

SHORT = {"fullName": "false"}


async def result(api, answer):
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (202, "1001"), answer.text
    (address,) = answer.json().values()
    for _ in range(500):
        found = (await api.get(f"/{address.partition('/')[2]}", headers=SHORT)).json()["m2m:req"]
        if found["rs"] != nonblocking.PENDING:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("it never ends")


async def test_the_result_lies_where_the_answer_says(api):
    await api.add_device("dev1")
    found = await result(api, await api.get("/dev1?rt=1", headers=SHORT))
    assert (found["op"], found["tg"], found["org"], found["rid"]) == (2, "main/dev1", "CTestApp", "123")
    assert (found["rs"], found["ors"]["rsc"], found["ors"]["to"]) == (1, 2000, "CTestApp")
    assert found["ors"]["pc"] == (await api.get("/dev1", headers=SHORT)).json()
    made = await result(
        api, await api.post("?rt=1", 14, {"m2m:nod": {"rn": "dev2", "ni": "x"}}, headers=SHORT)
    )
    assert (made["op"], made["ors"]["rsc"], made["ors"]["pc"]["m2m:nod"]["rn"]) == (1, 2001, "dev2")
    assert (await api.get("/dev2")).status_code == 200


async def test_what_is_refused_later_is_told_there(api):
    body = {"m2m:nod": {"ni": "x", "frob": 1}}
    found = await result(api, await api.post("?rt=1", 14, body))
    assert (found["rs"], found["ors"]["rsc"]) == (2, 4000)
    assert "frob" in found["ors"]["pc"]["m2m:dbg"]


async def test_what_is_wrong_at_once_is_told_at_once(api):
    assert (await api.get("/nothing?rt=1")).status_code == 404
    assert (await api.get("?rt=1", headers={"X-M2M-Origin": "nobody"})).status_code == 403


@pytest.mark.parametrize(
    ("query", "status"), [("rt=2", 501), ("rt=6", 400), ("rp=soon", 400), ("rp=-1", 400)]
)
async def test_arguments(api, query, status):
    assert (await api.get(f"?{query}")).status_code == status


async def test_how_long_it_is_kept(api):
    for query, seconds in (
        ("rt=1", 60),
        ("rt=1&rp=PT10M", 600),
        ("rt=1&rp=5000", 5),
        ("rt=1&rp=P9D", 86_400),
    ):
        found = await result(api, await api.get(f"?{query}"))
        assert parse_timestamp(found["et"]) - parse_timestamp(found["ct"]) == seconds * SECOND


async def test_no_response(api):
    answer = await api.post("?rt=5", 14, {"m2m:nod": {"rn": "dev1", "ni": "x"}})
    assert (answer.status_code, answer.content) == (204, b"")
    await api.platform.close()
    assert (await api.get("/dev1")).status_code == 200
    assert (await api.get("?rcn=8&ty=17")).json() == {"CSEBase": {}}


async def test_it_can_be_deleted(api):
    answer = await api.get("?rt=1")
    await result(api, answer)
    (address,) = answer.json().values()
    path = f"/{address.partition('/')[2]}"
    assert (await api.delete(path)).status_code == 200
    assert (await api.get(path)).status_code == 404


async def test_after_a_restart_it_has_failed(api):
    answer = await api.get("?rt=1")
    found = await result(api, answer)
    row = next(iter(api.ledger.reader.children(api.inventory.tenant("main").id, types={17})))
    pending = {name: value for name, value in row.attributes.items() if name != "ors"} | {"rs": 3}
    await api.ledger.commit(lambda write: write.change(row.id, pending, row.modified))
    await api.platform.resume()
    found = await result(api, answer)
    assert (found["rs"], found["ors"]["rsc"], found["rid"]) == (2, 5000, "123")


async def test_no_more_than_so_many(api, monkeypatch):
    monkeypatch.setattr(nonblocking, "MOST", 0)
    assert (await api.get("?rt=1")).status_code == 406


async def test_secrets_are_not_stored(api, monkeypatch):
    settings = api.platform.settings
    readable = attrs.evolve(settings, credentials=attrs.evolve(settings.credentials, readable=True))
    monkeypatch.setattr(api.platform, "settings", readable)
    await api.add_device("dev1")
    await api.delete("/dev1/credentials")
    secret = {"m2m:crds": {"rn": "credentials", "crid": "me", "crse": "c2VjcmV0c2VjcmV0"}}
    assert (await api.post("/dev1", 13, secret)).status_code == 201
    assert "c2VjcmV0" in (await api.get("/dev1/credentials")).text
    found = await result(api, await api.get("/dev1/credentials?rt=1", headers=SHORT))
    assert found["ors"]["pc"]["m2m:crds"]["crse"] == "***"


async def test_a_request_that_is_too_late(api):
    answer = await api.get("", headers={"X-M2M-RET": "20200101T000000"})
    assert (answer.status_code, answer.headers["x-m2m-rsc"]) == (504, "4008")
    assert (await api.get("", headers={"X-M2M-RET": "PT5S"})).status_code == 200
    assert (await api.get("", headers={"X-M2M-RET": "frob"})).status_code == 400


@pytest.mark.parametrize(
    ("text", "seconds"), [("1500", 1.5), ("PT1.5S", 1.5), ("P1DT2H3M4S", 93_784.0), ("-1", -0.001)]
)
def test_durations(text, seconds):
    assert seconds_until("rp", text) == seconds


@pytest.mark.parametrize("text", ["", "P", "PT", "T5S", "20201301T000000", "1e3"])
def test_what_is_no_time(text):
    with pytest.raises(BadRequest):
        seconds_until("rp", text)


async def test_a_store_that_fails(api, monkeypatch):
    """The request is refused when not even its resource can be kept."""

    def fail(operation):
        raise CommitFailed("the disk is full")

    monkeypatch.setattr(api.ledger, "commit", fail)
    assert (await api.get("?rt=1")).status_code == 503


async def test_a_result_is_for_who_asked(api):
    """Others, who may not see what it is about, do not see it there."""
    answer = await api.get("?rt=1")
    await result(api, answer)
    (address,) = answer.json().values()
    path = f"/{address.partition('/')[2]}"
    for stranger in ("COther", "C"):
        refused = await api.get(path, headers={"X-M2M-Origin": stranger})
        assert (refused.status_code, refused.headers["x-m2m-rsc"]) == (403, "4103")
        listed = await api.get("?rcn=8&ty=17", headers={"X-M2M-Origin": stranger})
        assert listed.json() == {"CSEBase": {}}
        assert (await api.delete(path, headers={"X-M2M-Origin": stranger})).status_code == 403
    assert (await api.get(path, headers={"X-M2M-Origin": "CAdmin"})).status_code == 200


async def test_a_result_is_gone_when_its_time_is_over(api):
    answer = await api.get("?rt=1&rp=300")
    (address,) = answer.json().values()
    path = f"/{address.partition('/')[2]}"
    for _ in range(500):
        if (await api.get(path)).status_code == 404:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it stays")
