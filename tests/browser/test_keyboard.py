"""A round through the console without a mouse, and one without JavaScript."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs playwright (PyPI)")

from playwright.async_api import expect

IS_MARKED = """element => {
  const style = getComputedStyle(element)
  return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== 'none'
}"""


async def focus(page: Any, wanted: str, most: int = 80) -> None:
    """Press Tab until this has the focus, by role and name; who looks can see that it has."""
    passed: list[str] = []
    for _ in range(most):
        await page.keyboard.press("Tab")
        focused = page.locator("*:focus")
        if await focused.count() == 0:
            continue
        passed.append((await focused.aria_snapshot()).partition("\n")[0])
        if wanted in passed[-1]:
            assert await focused.evaluate(IS_MARKED), f"nobody sees that {wanted} has the focus"
            return
    pytest.fail(f"Tab does not lead to {wanted} on {page.url}, only to {passed}")


async def test_the_keyboard_is_enough(page: Any, console: Any, simulate: Any) -> None:
    await simulate("keyboard-1", version="1.1")
    keys = page.keyboard
    await page.goto("/console/devices")
    await expect(page.get_by_label("Client id")).to_be_focused()
    await keys.press("Tab")
    await keys.type(console.key("admin"))
    await keys.press("Enter")
    # Not the page to sign in, whose address ends alike.
    await page.wait_for_url(f"{console.url}/devices")
    await expect(page.get_by_role("heading", name="Devices", level=1)).to_be_visible()
    await focus(page, 'link "Skip to the content"')
    await keys.press("Enter")
    await expect(page.get_by_role("main")).to_be_focused()
    await keys.press("/")
    await keys.type("keyboard-1")
    await keys.press("Enter")
    await page.wait_for_url("**/console/devices?*q=keyboard-1*")
    await focus(page, 'link "keyboard-1"')
    await keys.press("Enter")
    await page.wait_for_url("**/console/devices/keyboard-1")
    await focus(page, 'link "Objects"')
    await keys.press("Enter")
    await page.wait_for_url("**/console/devices/keyboard-1/objects")
    await focus(page, 'button "Read"')
    await keys.press("Space")
    await expect(page.locator(".outcome").first).to_contain_text("2.05")

    await keys.press("/")
    await focus(page, "key:admin")
    await keys.press("Enter")
    await focus(page, 'button "Sign out"')
    await keys.press("Space")
    await page.wait_for_url("**/console/sign-in")
    await page.goto("/console/devices")
    await page.wait_for_url("**/console/sign-in?next=**")


async def test_javascript_is_a_help_and_no_need(open_page: Any, console: Any, simulate: Any) -> None:
    device = await simulate("plain-1", version="1.1")
    page = await open_page(java_script_enabled=False)
    await page.goto("/console/devices/plain-1")
    await page.get_by_label("Secret").fill(console.key("operate"))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("plain-1")
    await expect(page.locator("time").first).to_contain_text("UTC")

    await page.get_by_role("link", name="Objects").first.click()
    row = page.locator("li.resource", has_text="/3/0/9")
    await row.get_by_role("button", name="Read").click()
    await expect(page.locator("main")).to_contain_text("2.05")
    await expect(page.locator("main")).to_contain_text("72")

    await page.get_by_role("searchbox", name="Find a device").fill("plain-1")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name="plain-1")).to_be_visible()
    await page.locator("summary", has_text="key:operate").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("LwM2M")
    assert device.executed == []
