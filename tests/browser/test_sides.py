"""Tabs of a device that keep up with it by themselves: the trace, the queue, the mapping."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs playwright (PyPI)")

from playwright.async_api import expect

DEVICES = "/console/devices"


async def ask(rest: Any, name: str, method: str, path: str, way: str = "twoway", **more: Any) -> None:
    document = {"method": method, "params": {"id": path, **more}}
    answer = await rest.post(f"/devices/{name}/rpc/{way}", json=document)
    assert answer.status_code < 300, answer.text


async def test_the_trace_appears_while_it_happens(
    page: Any, signed_in: Any, simulate: Any, rest: Any
) -> None:
    await simulate("sides-meter", version="1.1")
    await signed_in(page, "operate")
    await page.goto(f"{DEVICES}/sides-meter/exchanges")
    await page.get_by_role("button", name="Follow").click()
    trace = page.get_by_role("log")
    await expect(page.get_by_text("Nothing was said since")).to_be_visible()
    await ask(rest, "sides-meter", "Read", "/3/0/9")
    await expect(trace.locator("article.exchange")).to_have_count(2)
    newest = trace.locator("article.exchange").first
    await expect(newest).to_contain_text("2.05 Content")
    await expect(newest.locator(".decoded")).to_contain_text("Battery Level /3/0/9")
    await expect(newest.locator(".raw pre")).to_be_visible()
    await ask(rest, "sides-meter", "Execute", "/3/0/12")
    await expect(trace.locator("article.exchange")).to_have_count(4)
    await expect(page.get_by_text("Nothing was said since")).to_be_hidden()
    await page.get_by_role("button", name="Stop").click()
    await page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    await expect(page.get_by_role("button", name="Follow")).to_be_visible()


async def test_what_waits_appears_and_is_taken_back(
    page: Any, signed_in: Any, simulate: Any, rest: Any, eventually: Any
) -> None:
    await simulate("sides-sleeper", version="1.1", queue_mode=True, awake=0.0, lifetime=3600, sleep=3000)
    await rest.put("/devices/sides-sleeper/power-saving", json={"awakeWindow": 0.05})

    async def is_asleep() -> bool:
        return (await rest.get("/devices/sides-sleeper/queue")).json()["awake"] is False

    await eventually(is_asleep)
    await signed_in(page, "operate")
    await page.goto(f"{DEVICES}/sides-sleeper/queue")
    await expect(page.get_by_text("Nothing waits")).to_be_visible()
    await ask(rest, "sides-sleeper", "Read", "/3/0/9", "oneway")
    row = page.get_by_role("row", name="GET /3/0/9")
    await expect(row).to_contain_text("RPC Read")
    await row.get_by_role("button", name="Take back").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Take back GET /3/0/9?")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(row).to_be_visible()
    await row.get_by_role("button", name="Take back").click()
    await dialog.get_by_role("button", name="Take back").click()
    await expect(page.get_by_text("The message was taken back.")).to_be_visible()
    await expect(page.get_by_text("Nothing waits")).to_be_visible()
    assert (await rest.get("/devices/sides-sleeper/queue")).json()["queue"] == []


async def test_both_sides_of_a_mapping_fit_a_phone_and_keep_up(
    open_page: Any, signed_in: Any, simulate: Any, rest: Any
) -> None:
    device = await simulate("sides-phone", version="1.1")
    page = await signed_in(await open_page(viewport={"width": 360, "height": 800}), "read")
    await page.goto(f"{DEVICES}/sides-phone/mappings")
    row = page.get_by_role("row").filter(has_text="fwVersion")
    await expect(row).to_contain_text("as it is")
    absent = page.locator("details#absent")
    await absent.locator("summary").click()
    device.set("/3/0/3", "9.8.7")
    await ask(rest, "sides-phone", "Read", "/3/0/3")
    for cell in (row.locator("td").first, row.locator("td").last):
        await expect(cell).to_contain_text("9.8.7")
    await expect(absent.get_by_text("software-{instance}")).to_be_visible()
    left, right = await row.locator("td").first.bounding_box(), await row.locator("td").last.bounding_box()
    assert right["y"] > left["y"] + left["height"], "one below the other"
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
