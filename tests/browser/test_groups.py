"""Device groups: what only a browser shows of them."""

from __future__ import annotations

from typing import Any

import pytest

playwright = pytest.importorskip("playwright.async_api", reason="needs playwright (PyPI)")


async def test_devices_are_found_while_one_types(page: Any, signed_in: Any, rest: Any) -> None:
    for name in ("browsed-1", "browsed-2"):
        assert (await rest.post("/devices", json={"name": name})).status_code == 201
    assert (await rest.post("/groups", json={"name": "browsed", "devices": ["browsed-1"]})).status_code == 201
    await signed_in(page)
    await page.goto("/console/groups/browsed")
    await page.get_by_label("Name, endpoint or node id").press_sequentially("browsed-")
    await playwright.expect(page.get_by_role("checkbox", name="browsed-1 in it")).to_be_disabled()
    await page.get_by_role("checkbox", name="browsed-2").check()
    await page.get_by_role("button", name="Add the chosen").click()
    await playwright.expect(page.get_by_role("row", name="browsed-2")).to_be_visible()
    await page.get_by_role("checkbox", name="Choose browsed-1").check()
    await page.get_by_role("button", name="Remove the chosen").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove the chosen").click()
    await playwright.expect(page.get_by_role("row", name="browsed-1")).to_have_count(0)
    members = (await rest.get("/groups/browsed/devices")).json()["devices"]
    assert [one["name"] for one in members] == ["browsed-2"]


async def test_a_button_that_posts_says_so(page: Any, signed_in: Any) -> None:
    await signed_in(page)
    await page.goto("/console/new-group")
    await page.get_by_label("Name").fill("browsed-busy")
    await page.evaluate("document.addEventListener('submit', (event) => event.preventDefault())")
    button = page.get_by_role("button", name="Make it")
    await button.click()
    await playwright.expect(button).to_have_attribute("aria-busy", "true")
    await page.evaluate("dispatchEvent(new Event('pageshow'))")
    await playwright.expect(button).not_to_have_attribute("aria-busy", "true")
