"""One device in a browser: what changes by itself, and what buttons do on the spot."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from lwm2m_engine.values import ResourceType
from lwm2m_server.simulator.objects import default_objects
from lwm2m_server.simulator.tree import Resource, SimulatedObject

expect = pytest.importorskip("playwright.async_api", reason="needs playwright (PyPI)").expect

HOSTILE = "<img src=x onerror=alert(1)>"
SENSORS = 40


def objects() -> list[SimulatedObject]:
    def light() -> dict[int, Resource]:
        on = Resource(ResourceType.BOOLEAN, False, "RW")
        return {5850: on, 5851: Resource(ResourceType.INTEGER, 10, "RW")}

    dimmer = SimulatedObject(3311, {0: light()}, template=light)
    sensors = {id: {5700: Resource(ResourceType.FLOAT, 0.0)} for id in range(SENSORS)}
    return [*default_objects(300, "U"), dimmer, SimulatedObject(3300, sensors)]


@pytest.fixture
async def observe(rest: Any) -> Any:
    async def observe(device: str, path: str) -> None:
        call = {"method": "Observe", "params": {"id": path}}
        answer = await rest.post(f"/devices/{device}/rpc", json=call)
        assert answer.json()["state"] == "SUCCESSFUL", answer.text

    return observe


async def test_a_value_changes_while_one_looks(page, signed_in, simulate, observe) -> None:
    device = await simulate("live-cell", version="1.1")
    await observe("live-cell", "/3/0/15")
    await signed_in(page, "read")
    await page.goto("/console/devices/live-cell")
    cell = page.locator("#v-3-0-15")
    await expect(cell).to_contain_text("Europe/Berlin")
    device.set("/3/0/15", HOSTILE)
    await expect(cell).to_contain_text(HOSTILE)
    await expect(cell).to_contain_text("Notify")
    await expect(page.locator("#device-state")).to_contain_text("registered")
    await device.stop(deregister=True)
    await expect(page.locator("#device-state")).to_contain_text("not registered")


async def test_buttons_tell_the_code_on_the_spot(page, signed_in, simulate, rest) -> None:
    device = await simulate("on-the-spot", version="1.1", objects=objects())
    await signed_in(page, "operate")
    await page.goto("/console/devices/on-the-spot/objects?q=/3/0/")
    device.set("/3/0/9", 31)
    await page.get_by_text("How to ask").click()
    await page.get_by_label("Content format").select_option("tlv")
    row = page.locator("#r-3-0-9")
    await row.get_by_role("button", name="Read").click()
    await expect(row.locator(".outcome")).to_contain_text("2.05 Content")
    await expect(page.locator("#v-3-0-9")).to_contain_text("31 %")
    asked = (await rest.get("/devices/on-the-spot/rpc")).json()["rpcs"][0]
    assert asked["params"] == {"id": "/3/0/9", "contentFormat": 11542}
    await row.get_by_role("button", name="Observe").click()
    await expect(row.locator(".mark")).to_contain_text("observed")
    await row.get_by_role("button", name="Cancel").click()
    await expect(row.get_by_role("button", name="Observe")).to_be_visible()
    # What cannot be undone is asked first.
    await page.locator("#r-3-0-12").get_by_role("button", name="Execute").click()
    await expect(page.get_by_role("dialog")).to_contain_text("Reset Error Code")
    assert not device.executed
    await page.get_by_role("dialog").get_by_role("button", name="Execute").click()
    await expect(page.locator("#r-3-0-12 .outcome")).to_contain_text("2.04 Changed")
    assert [str(path) for path, _ in device.executed] == ["/3/0/12"]


async def test_the_form_to_write_fits_the_type_and_says_what_is_wrong(page, signed_in, simulate) -> None:
    device = await simulate("write-form", version="1.1", objects=objects())
    await signed_in(page, "operate")
    await page.goto("/console/devices/write-form/objects?q=light")
    row = page.locator("#r-3311-0-5851")
    await row.get_by_role("link", name="Write").click()
    field = row.get_by_label("Value of Dimmer")
    await expect(field).to_be_focused()
    await field.fill("150")
    await expect(row.locator(".checked")).to_contain_text("150 is not in 0..100")
    write = row.get_by_role("button", name="Write", exact=True)
    await write.click()
    assert await field.evaluate("field => field.validity.rangeOverflow")
    await field.fill("50")
    await expect(row.locator(".checked")).to_contain_text("can be asked this")
    await write.click()
    await expect(row.locator(".outcome")).to_contain_text("2.04 Changed")
    assert device.get("/3311/0/5851").content == 50
    await row.get_by_role("button", name="Close").click()
    await expect(field).to_have_count(0)


async def test_an_instance_that_comes_to_be_is_told(page, signed_in, simulate) -> None:
    await simulate("growing-tree", version="1.1", objects=objects())
    await signed_in(page, "operate")
    await page.goto("/console/devices/growing-tree/objects?q=light")
    await page.get_by_role("link", name="Create").click()
    await page.get_by_label("Instance ID").fill("7")
    await page.get_by_role("spinbutton", name="Dimmer").fill("70")
    create = page.get_by_role("button", name="Create")
    await create.click()
    switch = page.get_by_role("combobox", name="On/Off")
    assert await switch.evaluate("field => field.validity.valueMissing")
    await switch.select_option("true")
    await create.click()
    await expect(page.locator("#o-3311")).to_contain_text("2.01 Created")
    await page.get_by_role("link", name="Show them").click()
    await expect(page.locator("#r-3311-7-5851")).to_contain_text("Dimmer")


async def test_times_are_entered_in_the_zone_of_the_viewer(open_page, signed_in, simulate) -> None:
    device = await simulate("time-field", version="1.1")
    page = await signed_in(await open_page(timezone_id="Asia/Tokyo"), "operate")
    await page.goto("/console/devices/time-field/objects/3/0/13")
    await expect(page.locator("zoned-time").first).to_contain_text("Asia/Tokyo")
    await page.get_by_label("Value of Current Time").fill("2026-01-02T09:00:00")
    await page.get_by_role("button", name="Write", exact=True).click()
    await expect(page.locator(".outcome")).to_contain_text("2.04 Changed")
    assert device.get("/3/0/13").content == 1_767_312_000


async def test_what_a_sleeper_is_asked_waits_and_is_answered_by_itself(
    page, signed_in, simulate, rest, eventually
) -> None:
    device = await simulate(
        "late-riser", version="1.1", queue_mode=True, awake=1.0, lifetime=3600, sleep=3000
    )
    await rest.put("/devices/late-riser/power-saving", json={"awakeWindow": 0.5})

    async def is_asleep() -> bool:
        return (await rest.get("/devices/late-riser")).json()["awake"] is False

    await eventually(is_asleep)
    await signed_in(page, "operate")
    await page.goto("/console/devices/late-riser/objects?q=battery level")
    await expect(page.locator("#device-state")).to_contain_text("asleep")
    device.set("/3/0/9", 13)
    row = page.locator("#r-3-0-9")
    await row.get_by_role("button", name="Read").click()
    outcome = row.locator(".outcome")
    await expect(outcome).to_contain_text("waits until the device wakes")
    await expect(outcome.get_by_role("link", name="The queue")).to_be_visible()
    await expect(page.locator("#device-state")).to_contain_text("1 waiting")
    device.wake()
    await expect(outcome).to_contain_text("2.05 Content")
    await expect(page.locator("#v-3-0-9")).to_contain_text("13 %")
    await eventually(is_asleep)
    await row.get_by_role("button", name="Read").click()
    await outcome.get_by_role("button", name="Take it back").click()
    await expect(outcome).to_contain_text("taken back")


async def test_the_chart_grows(page, signed_in, simulate, observe) -> None:
    device = await simulate("growing", version="1.1")
    await observe("growing", "/3/0/9")
    await signed_in(page, "read")
    await page.goto("/console/devices/growing/history?path=/3/0/9&range=1h")
    chart = page.locator("live-plot")
    await expect(chart.locator("canvas")).to_be_visible()
    device.set("/3/0/9", 41)
    # A stream that ends is asked for again, and tells what was missed; later each time it ends.
    await expect(page.locator("#v-3-0-9")).to_contain_text("41 %", timeout=30_000)
    before = int(await chart.get_attribute("data-points") or 0)
    device.set("/3/0/9", 42)
    await expect(chart).to_have_attribute("data-points", str(before + 1))
    assert await chart.evaluate("chart => chart.data.at(-1).at(-1)") == 42


async def test_the_tree_is_searched_while_one_types_and_several_are_chosen(page, signed_in, simulate) -> None:
    await simulate("searched", version="1.1", objects=objects())
    await signed_in(page, "operate")
    await page.goto("/console/devices/searched/objects")
    await page.get_by_label("Find in the tree").fill("battery le")
    await expect(page.locator("#r-3-0-9")).to_be_visible()
    await expect(page.locator("#r-3-0-10")).to_be_hidden()
    await expect(page.locator("[data-found]")).to_have_text("1 found")
    await page.get_by_label("Find in the tree").fill("")
    await expect(page.locator("#r-3-0-22")).to_be_visible()
    await page.get_by_label("Only known values").check()
    await expect(page.locator("#r-3-0-22")).to_be_hidden()
    await expect(page.locator("#r-3-0-9")).to_be_visible()
    await page.get_by_label("Only known values").uncheck()
    bar = page.locator("#picked")
    await expect(bar).to_be_hidden()
    await page.get_by_label("Choose /3/0/9").check()
    await page.get_by_label("Find in the tree").fill("lifetime")
    await page.get_by_label("Choose /1/0/1 Lifetime").check()
    await expect(bar).to_contain_text("2 chosen")
    await bar.get_by_role("button", name="together").click()
    await page.get_by_role("button", name="Read-Composite").click()
    await expect(page.locator(".outcome")).to_contain_text("2.05 Content")


async def test_two_hundred_changes_a_second_are_kept_up_with(page, signed_in, simulate, rest) -> None:
    """Each of 40 values five times a second: what is seen is never much older than what there is."""
    device = await simulate("chatty", version="1.1", objects=objects())
    paths = [f"/3300/{id}/5700" for id in range(SENSORS)]
    await signed_in(page, "read")
    await page.goto("/console/devices/chatty/objects?q=/3300/")
    cells = page.locator("[id^=v-3300-]")
    await expect(page.locator("#v-3300-39-5700")).to_be_visible()
    began, rounds = time.monotonic(), 15
    for round in range(1, rounds + 1):
        for path in paths:
            device.set(path, float(round))
        await device.send(*paths)
        await asyncio.sleep(max(began + round * 0.2 - time.monotonic(), 0))
    await expect(cells.filter(has_text=f"{rounds}.0")).to_have_count(SENSORS, timeout=3000)
