"""A campaign in a browser, from the file of its package to its end; problems that come while one looks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lwm2m_engine.coap import CoapReply, Code
from lwm2m_server.simulator.faults import Faults
from lwm2m_server.simulator.images import make_image
from lwm2m_server.simulator.updating import UpdateFaults, UpdateOptions

playwright = pytest.importorskip("playwright.async_api", reason="needs playwright (PyPI)")

QUICK = UpdateOptions(install=0.01, reboot=0.05)
IMAGE = make_image("firmware", "2.0", bytes(4096))
DEVICES = 6


async def test_a_campaign_is_made_watched_and_steered(page: Any, signed_in: Any, simulate: Any) -> None:
    expect = playwright.expect
    # The last one fails for good.
    faults = [None] * (DEVICES - 1) + [UpdateFaults(result=8)]
    await asyncio.gather(
        *(
            simulate(f"tank-{number}", version="1.1", updating=QUICK, update_faults=fault)
            for number, fault in enumerate(faults)
        )
    )
    await signed_in(page)
    await page.goto("/console/new-package")
    image = {
        "name": "tank.bin",
        "mimeType": "application/octet-stream",
        "buffer": make_image("firmware", "2.0", bytes(4096)),
    }
    await page.locator("input[type=file]").set_input_files(image)
    await page.get_by_label("Title").fill("firmware")
    await page.locator("#version").fill("2.0")
    await page.locator("#name").fill("tank-2.0")
    await page.get_by_role("button", name="Add").click()
    await expect(page.get_by_role("heading", name="tank-2.0")).to_be_visible()
    await page.get_by_role("link", name="Start a campaign").click()
    await page.locator("#name").fill("tanks")
    await page.get_by_label("Endpoint name").fill("tank-?")
    await page.get_by_label("Waves").fill("2")
    await page.get_by_label("Approval before anything is installed").select_option("wave")
    await page.get_by_role("button", name="Preview").click()
    await expect(page.locator("#preview")).to_contain_text(f"{DEVICES} devices")
    await expect(page.locator("#preview")).to_contain_text("Wave 2: 4 devices")
    await page.get_by_role("button", name="Save as a draft").click()
    await page.get_by_role("button", name="Start").click()
    # From here on nobody reloads the page.
    await page.get_by_role("button", name="Approve wave 1").click()
    waves = page.get_by_role("region", name="Waves")
    await expect(waves.get_by_role("row").nth(1)).to_contain_text("approved")
    await page.get_by_role("button", name="Approve all").click()
    await expect(page.locator("main")).to_contain_text(f"100 % of {DEVICES} devices have ended")
    await expect(page.locator(".head .badge")).to_contain_text("finished")
    await expect(page.locator("main")).to_contain_text("Why devices failed")
    await page.get_by_role("link", name="Failed", exact=True).click()
    devices = page.get_by_role("region", name="Devices of the campaign")
    await expect(devices.get_by_role("row")).to_have_count(2)
    await expect(devices).to_contain_text(f"tank-{DEVICES - 1}")
    await expect(page.get_by_role("button", name="Retry the failed")).to_be_visible()


async def test_problems_come_by_themselves_and_leave_open_what_is_open(
    page: Any, signed_in: Any, simulate: Any
) -> None:
    expect = playwright.expect
    await signed_in(page)

    async def nonsense(name: str) -> None:
        faults = Faults(reply=lambda request: CoapReply(Code.CONTENT, b"\xff" * 9, 11542))
        await simulate(name, faults=faults)

    await nonsense("noisy-1")
    await page.goto("/console/problems?kind=undecodable&q=noisy-")
    first = page.locator("details", has_text="noisy-1").first
    await first.locator("summary").click()
    await expect(first).to_contain_text("ff ff ff")
    await first.locator("summary").focus()
    await nonsense("noisy-2")
    await expect(page.locator("details", has_text="noisy-2").first).to_be_visible()
    await expect(first).to_have_attribute("open", "")
    await expect(first.locator("summary")).to_be_focused()
    await first.get_by_role("button", name="Dismiss").click()
    await expect(page.get_by_text("The problem is dismissed.")).to_be_visible()
