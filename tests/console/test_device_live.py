"""What is told to a page that stays open: in time, together, and never more than fits."""

from __future__ import annotations

import asyncio
import re

import httpx
import orjson
import pytest

from lwm2m_server.console.backend import ServerEvent
from lwm2m_server.console.device.live import MOST, Changes
from lwm2m_server.simulator.device import SimulatedDevice

CELL = re.compile(r'id="v-(\S+)" hx-swap-oob.*?class="(?:number|text)-value">(.*?)<', re.S)


def row(path="/3/0/9", value=1, received=1000):
    return {"path": path, "value": value, "received": received, "at": received}


def values(*rows):
    return ServerEvent("values", orjson.dumps({"values": rows}).decode(), None)


def test_the_last_of_many_values_of_a_place_is_what_is_shown():
    changes = Changes("values", [], 0)
    for number in range(100):
        changes.tell(values(row(value=number), row("/3/0/10", -number)))
    assert {path: one["value"] for path, one in changes.rows.items()} == {"/3/0/9": 99, "/3/0/10": -99}
    assert changes.news.is_set()


def test_what_the_page_has_already_is_not_told_again():
    changes = Changes("values", [], 500)
    changes.tell(values(row(received=499), row("/3/0/10", received=501)))
    assert list(changes.rows) == ["/3/0/10"]
    changes.tell(values(row(received=1)))
    assert list(changes.rows) == ["/3/0/10", "/3/0/9"]


def test_an_instance_that_is_told_alone_does_not_hide_the_others():
    changes = Changes("values", [], 2000)
    changes.tell(values(row(value={"0": 1, "1": 2})))
    assert not changes.rows
    changes.tell(values(row(value={"1": 3})))
    assert changes.rows["/3/0/9"]["value"] == {"0": 1, "1": 3}


def test_what_waits_for_a_browser_is_bounded_and_it_is_told():
    changes = Changes("points", [], 0)
    changes.tell(values(*(row(f"/3300/{number}/5700") for number in range(MOST + 10))))
    assert (len(changes.rows), len(changes.points), changes.missed) == (MOST, MOST, True)


class Stream:
    """What comes, as text, and whether it is over."""

    def __init__(self, client, path):
        self.text, self.over = "", False
        self._task = asyncio.create_task(self._read(client, path))

    async def _read(self, client, path):
        async with client.stream("GET", path) as answer:
            assert answer.status_code == 200
            async for chunk in answer.aiter_text():
                self.text += chunk
        self.over = True

    def last(self):
        """The values shown last, by place."""
        return dict(CELL.findall(self.text))

    async def close(self):
        self._task.cancel()
        await asyncio.wait([self._task])


@pytest.fixture
async def client(console):
    form = {"client": "", "secret": console.key("operate")}
    async with httpx.AsyncClient(base_url=console.server.http, timeout=15.0) as client:
        assert (await client.post("/console/sign-in", data=form)).status_code == 303
        yield client


@pytest.fixture
async def meter(console):
    device = SimulatedDevice("meter-that-is-watched", console.server.coap, version="1.1")
    await device.start()
    await device.registered()
    yield device
    await device.stop()


HERE = "/console/devices/meter-that-is-watched"


async def test_a_page_hears_of_values_and_ends_with_its_session(client, console, meter, eventually):
    stream = Stream(client, f"{HERE}/live?of=values&since=0")

    async def shows(value):
        async def look():
            return stream.last().get("3-0-9") == value

        await eventually(look)

    await shows("72")
    # Sent ten times within one look: it is seen once.
    for level in range(10, 20):
        meter.set("/3/0/9", level)
        await meter.send("/3/0/9")
    await shows("19")
    assert len(re.findall('id="v-3-0-9"', stream.text)) <= 1 + 10
    token = re.search(r'name="csrf" value="(.*?)"', (await client.get("/console/")).text)[1]
    await client.post("/console/sign-out", data={"csrf": token})
    meter.set("/3/0/9", 5)
    await meter.send("/3/0/9")

    async def is_over():
        return stream.over

    await eventually(is_over)
    assert stream.text.rstrip().endswith("event: over\ndata: 1")


async def test_a_chart_gets_each_value_of_its_place_and_no_other(client, meter, eventually):
    stream = Stream(client, f"{HERE}/live?of=points&path=/3/0/9&since={10**14}")

    async def is_there():
        return stream.text

    await eventually(is_there)
    for level in (31, 32, 33):
        meter.set("/3/0/9", level)
        await meter.send("/3/0/9", "/3/0/10")

    def points():
        found = re.findall(r"event: points\ndata: (.*)\n", stream.text)
        return [(path, value) for line in found for path, _, value in orjson.loads(line)]

    async def came():
        return len(points()) >= 3

    await eventually(came)
    assert points() == [("/3/0/9", 31), ("/3/0/9", 32), ("/3/0/9", 33)]
    await stream.close()
