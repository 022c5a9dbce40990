"""``/api/v1/events``: lists, streams, filters; readers that are slow, late, or gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import orjson
import pytest

from lwm2m_engine.engine.events import Warned
from lwm2m_server.bus import Bus
from lwm2m_server.http import feed as feeds
from lwm2m_server.http.app import create_http
from lwm2m_server.http.devices import DeviceFinder
from lwm2m_server.http.events import EventApi
from lwm2m_server.http.feed import CHUNK, RECENT, Feed
from lwm2m_server.onem2m.happenings import KINDS, record
from lwm2m_server.store.records import DeviceRef, Tenant

PATIENCE = 20.0


class Events:
    """The API over a ledger that tests write to."""

    def __init__(self, api, settings):
        self.ledger, self.bus = api.ledger, Bus()
        self.feed = Feed(api.ledger, self.bus)
        finder = DeviceFinder(api.inventory, api.ledger.reader, settings)
        self.app = create_http(api=EventApi(finder, api.ledger.reader, self.feed).routes())

    async def happen(self, *kinds, device="dev", tenant="main", node=1, **message):
        ref = DeviceRef(node, tenant, device, f"urn:{device}")
        body = orjson.dumps({"nodeResourceName": device, **message}).decode()
        lines = [record(ref, kind, body) for kind in kinds]
        await self.ledger.commit(lambda write: [write.note_event(line) for line in lines])
        self.bus.publish(tenant, Warned(ref.endpoint, 0.0, ""))

    async def get(self, query="", **headers):
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server/api/v1") as client:
            return await client.get(f"/events{query}", headers=headers)

    async def ids(self, query=""):
        return [event["id"] for event in (await self.get(query)).json()["events"]]

    @asynccontextmanager
    async def stream(self, query="", **headers) -> AsyncIterator[Stream]:
        stream = Stream()
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/v1/events",
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(b"accept", b"text/event-stream")]
            + [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        }
        task = stream.task = asyncio.create_task(self.app(scope, stream.receive, stream.send))
        async with asyncio.timeout(PATIENCE):
            await stream.begun.wait()
            yield stream
            stream.gone.set()
            await task


class Stream:
    """A client of a stream; takes nothing while it is ``stuck``."""

    def __init__(self):
        self.begun, self.gone, self.open = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.open.set()
        self.frames: list[dict[str, str]] = []
        self.status = 0
        self._news = asyncio.Event()

    async def receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.begun.set()
            return
        await self.open.wait()
        for frame in message["body"].decode().split("\n\n"):
            if frame:
                self.frames.append(dict(line.split(": ", 1) for line in frame.split("\n") if ": " in line))
        self._news.set()

    async def events(self, count):
        """So many events that have data, as soon as they are there."""
        while len(found := [frame for frame in self.frames if "data" in frame]) < count:
            self._news.clear()
            await self._news.wait()
        return found

    async def lines(self, count):
        while len(self.frames) < count:
            self._news.clear()
            await self._news.wait()

    async def reached(self, number):
        """Its last event id."""
        while not self.frames or self.frames[-1].get("id") != str(number):
            self._news.clear()
            await self._news.wait()


@pytest.fixture
async def events(api, settings):
    return Events(api, settings)


async def test_a_list_by_what_is_asked_for(api, events):
    named = await api.add_device("labelled", lbl=["hall:3"])
    assert named
    node = api.ledger.reader.device_named("main", "labelled").node
    await events.happen("registered")
    await events.happen("notification", resourcePath="3303/0", dataValue={"3303/0/5700": 21.5})
    await events.happen("notification", device="labelled", node=node, resourcePath="", dataValue={"3/0/9": 7})
    await events.happen("response", resourcePath="33030/1", resourcePaths=["5/0"])
    shown = (await events.get()).json()
    assert shown["tenant"] == "main"
    assert shown["next"] == 4
    assert shown["events"][1] == {
        "id": 2,
        "kind": "notification",
        "endpoint": "urn:dev",
        "message": {
            "nodeResourceName": "dev",
            "resourcePath": "3303/0",
            "dataValue": {"3303/0/5700": 21.5},
        },
    }
    assert await events.ids("?kind=registered&kind=response") == [1, 4]
    assert await events.ids("?device=labelled") == [3]
    assert await events.ids("?device=urn:dev&kind=notification") == [2]
    assert await events.ids("?path=/3303/0/5700") == [2]
    assert await events.ids("?path=3303") == [2]
    assert await events.ids("?path=/3&path=/5/0") == [3, 4]
    assert await events.ids("?label=hall:3") == [3]
    assert await events.ids("?label=other") == []
    assert await events.ids("?after=1&limit=2") == [2, 3]
    assert await events.ids("?limit=1") == [4]
    assert (await events.get("?after=99")).json()["next"] == 4


async def test_tenants_do_not_hear_of_each_other(api, events):
    await api.inventory.add_tenant(Tenant(1, "other"))
    await events.happen("registered")
    await events.happen("registered", tenant="other")
    assert await events.ids() == [1]
    assert await events.ids("?tenant=other") == [2]
    async with events.stream("tenant=other", last_event_id="0") as stream:
        (found,) = await stream.events(1)
        assert found["id"] == "2"


@pytest.mark.parametrize("query", ["?kind=nonsense", "?after=x", "?limit=-1"])
async def test_what_is_wrong_is_a_problem(events, query):
    answer = await events.get(query)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_wrong_event_id_is_a_problem(events):
    answer = await events.get(accept="text/event-stream", **{"last-event-id": "nonsense"})
    assert answer.status_code == 400
    assert (await events.get("?tenant=nobody", accept="text/event-stream")).status_code == 404


async def test_a_stream_goes_on_with_what_comes(events):
    await events.happen("registered")
    async with events.stream() as stream:
        assert stream.status == 200
        await stream.reached(1)
        await events.happen("awake", "sleeping")
        found = await stream.events(2)
        assert [(one["id"], one["event"]) for one in found] == [("2", "awake"), ("3", "sleeping")]
        assert orjson.loads(found[0]["data"]) == {"nodeResourceName": "dev"}
    assert events.feed.followers == 0


async def test_who_comes_back_misses_nothing(events):
    await events.happen("registered", "awake", "sleeping")
    async with events.stream(last_event_id="1") as stream:
        assert [one["id"] for one in await stream.events(2)] == ["2", "3"]


async def test_what_is_not_wanted_moves_the_place_to_go_on_from(events):
    async with events.stream("kind=send", last_event_id="0") as stream:
        await events.happen("registered", "awake")
        await stream.reached(2)
        await events.happen("send")
        (found,) = await stream.events(1)
        assert found["id"] == "3"


async def test_a_gap_is_told(events):
    await events.happen("registered", "awake")
    await events.happen("sleeping")
    await events.ledger.commit(lambda write: write._execute("DELETE FROM event WHERE last = 2"))
    async with events.stream(last_event_id="0") as stream:
        gap, event = await stream.events(2)
        assert (gap["event"], gap["id"], orjson.loads(gap["data"])) == ("gap", "2", {"from": 1, "to": 2})
        assert event["id"] == "3"


async def test_an_id_from_another_ledger_is_a_gap(events):
    await events.happen("registered")
    async with events.stream(last_event_id="7") as stream:
        (gap,) = await stream.events(1)
        assert (gap["event"], gap["id"], orjson.loads(gap["data"])) == ("gap", "1", {"from": 2, "to": 7})
        await events.happen("awake")
        assert (await stream.events(2))[1]["id"] == "2"


async def test_a_slow_reader_reads_from_the_ledger_and_holds_nobody_up(events):
    many = RECENT + 3 * CHUNK
    async with events.stream() as slow, events.stream() as quick:
        slow.open.clear()
        for _ in range(many // CHUNK):
            await events.happen(*["notification"] * CHUNK)
        assert len(await quick.events(many)) == many
        assert len(events.feed._recent) == RECENT
        assert len(slow.frames) <= CHUNK + 1
        slow.open.set()
        found = await slow.events(many)
        assert [int(one["id"]) for one in found] == list(range(1, many + 1))


async def test_silence_is_broken(events, monkeypatch):
    monkeypatch.setattr(feeds, "HEARTBEAT", 0.01)
    async with events.stream() as stream:
        await stream.lines(3)
        assert stream.frames[1:3] == [{}, {}]


async def test_when_the_server_stops_streams_end(events):
    async with events.stream() as stream:
        await stream.reached(0)
        events.feed.close()
        await stream.task


def test_every_kind_is_explained():
    page = (Path(__file__).parents[2] / "docs/how-to/events.md").read_text(encoding="utf-8")
    assert [kind for kind in (*KINDS, "gap") if f"`{kind}`" not in page] == []
