"""What only a browser shows of the list of devices and of an import."""

from __future__ import annotations

import re

import pytest

playwright = pytest.importorskip("playwright.async_api", reason="needs playwright (PyPI)")


async def test_the_list_follows_what_is_typed_and_can_be_gone_back_to(page, signed_in, rest):
    for name in ("live-one", "live-two", "other-live"):
        assert (await rest.post("/devices", json={"name": name})).status_code == 201
    await signed_in(page, "read")
    await page.goto("/console/devices")
    search, count = page.locator("#q"), page.get_by_role("status")
    await search.press_sequentially("live-")
    await playwright.expect(count).to_have_text("2 devices")
    await playwright.expect(search).to_be_focused()
    await playwright.expect(page).to_have_url(re.compile(r"/console/devices\?q=live-$"))
    await page.get_by_label("State").select_option("registered")
    await playwright.expect(page.get_by_text("No device is like that")).to_be_visible()
    await page.go_back()
    await playwright.expect(count).to_have_text("2 devices")
    await playwright.expect(page.get_by_label("State")).to_have_value("")
    await page.get_by_role("link", name="Device", exact=True).click()
    await playwright.expect(page).to_have_url(re.compile(r"q=live-&sort=name$"))
    await playwright.expect(page.locator("tbody th a")).to_have_text(["live-one", "live-two"])


async def test_devices_are_chosen_with_the_keyboard(page, signed_in, rest):
    for name in ("key-1", "key-2", "key-3"):
        assert (await rest.post("/devices", json={"name": name})).status_code == 201
    await signed_in(page, "operate")
    await page.goto("/console/devices?q=key-&sort=name")
    everyone, count = page.get_by_label("All on this page"), page.locator("#chosen-count")
    await playwright.expect(count).to_be_hidden()
    await everyone.focus()
    await page.keyboard.press("Space")
    await playwright.expect(count).to_have_text("3 devices chosen")
    await page.keyboard.press("Space")
    await playwright.expect(count).to_be_hidden()
    second = page.get_by_label("Choose key-2")
    while not await second.evaluate("one => one === document.activeElement"):
        await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    await playwright.expect(count).to_have_text("1 device chosen")
    assert await everyone.evaluate("one => one.indeterminate")
    # The list brings itself up to date: the choice stays, and is nobody else's.
    assert (await rest.delete("/devices/key-1")).status_code == 204
    assert (await rest.post("/devices", json={"name": "key-0"})).status_code == 201
    async with page.expect_response("**/console/devices?q=key-&sort=name", timeout=15_000):
        pass
    await playwright.expect(page.locator("tbody th a")).to_have_text(["key-0", "key-2", "key-3"])
    assert await page.locator("[name=device]:checked").evaluate_all("all => all.map(one => one.value)") == [
        "key-2"
    ]
    await page.get_by_label("Group", exact=True).last.fill("keys")
    await page.get_by_label("a new one").check()
    await page.get_by_role("button", name="Add to group").press("Enter")
    await playwright.expect(page.get_by_text("In the group keys now: 1 device.")).to_be_visible()
    await playwright.expect(
        page.get_by_role("row", name="key-2").get_by_role("link", name="keys")
    ).to_be_visible()


async def test_a_table_is_looked_at_and_let_in(page, signed_in, rest):
    await signed_in(page, "operate")
    await page.goto("/console/import-devices")
    table = (
        "name,endpoint\n" + "".join(f"tab-{number},urn:tab-{number}\n" for number in range(300)) + "tab-1,\n"
    )
    file = {"name": "devices.csv", "mimeType": "text/csv", "buffer": table.encode()}
    await page.get_by_label("Choose the table").set_input_files(file)
    await page.get_by_role("button", name="Preview").click()
    await playwright.expect(page.get_by_role("row").nth(1)).to_contain_text("line 3 has the same name")
    await page.get_by_role("button", name="Import 300 devices").click()
    await playwright.expect(page.get_by_text("300 devices were added.")).to_be_visible()
    assert (await rest.get("/devices", params={"q": "urn:tab-", "limit": 1})).json()["total"] == 300
