"""Who came by a rule and waits: let in, or rejected."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from lwm2m_server.simulator.device import SimulatedDevice

HERE = "/console/enrolment"


@pytest.fixture(scope="module")
def console(own_console):
    return own_console


@pytest.fixture
def rule(rest):
    body = {"by": "endpoint", "noSec": True, "endpoints": ["en-*"], "approval": "queue"}
    assert rest.put("/enrolments/by-hand", json=body).status_code == 200


def waiting(reader):
    return reader.page(HERE).xpath("//div[@id='waiting']//tbody/tr/th/text()")


@asynccontextmanager
async def knocking(console, reader, *names):
    """Devices that register in vain, until they wait."""
    devices = [SimulatedDevice(name, console.server.coap) for name in names]
    for one in devices:
        await one.start()
    try:
        for _ in range(400):
            if set(await asyncio.to_thread(waiting, reader)) >= set(names):
                break
            await asyncio.sleep(0.05)
        yield
    finally:
        for one in devices:
            await one.stop()


def test_nothing_yet(reader):
    shown = reader.page(HERE)
    assert [text.strip() for text in shown.xpath("//p[@class='what']/text()")] == [
        "Nobody waits",
        "No rule yet",
    ]


async def test_one_is_let_in_and_one_is_not(console, reader, rest, rule):
    async with knocking(console, reader, "en-<b>", "en-good"):
        shown = reader.page(HERE)
        assert set(waiting(reader)) == {"en-<b>", "en-good"}
        assert shown.xpath("//table//b") == [], "an endpoint name became HTML"
        assert "waits for you" in shown.xpath("string(//div[@aria-label='Rules'])")
        assert reader.done(f"{HERE}/approve", endpoint="en-good").xpath("string(//h1)") == "en-good"
        assert rest.get("/devices/en-good").status_code == 200
        shown = reader.done(f"{HERE}/reject", endpoint="en-<b>")
        assert "en-<b> is not let in." in shown.xpath("string(//div[@id='notices'])")
        assert waiting(reader) == []
        assert rest.get("/enrolments/by-hand").json()["rejected"] == ["en-<b>"]


def test_who_is_not_there_any_more(reader):
    assert reader.send(f"{HERE}/approve", endpoint="en-nobody").status_code == 404


def test_who_only_reads_decides_nothing(read_as, rule):
    someone = read_as("read")
    assert someone.page(HERE).xpath("//form[contains(@action, 'enrolment')]") == []
    assert someone.send(f"{HERE}/approve", endpoint="en-nobody").status_code == 403
