"""A device is created as the reference page's pictures show, each by its key there."""

from __future__ import annotations

import pytest
import pytest_asyncio

playwright = pytest.importorskip("playwright.async_api", reason="needs playwright (PyPI)")
PROFILE = "lwm2mProfileNoSec"


@pytest_asyncio.fixture(loop_scope="session")
async def form(page, signed_in, rest):
    """The form, as one comes to it: by the button above the list."""
    profile = {"name": PROFILE, "transportType": "LWM2M", "profileData": {"transportConfiguration": {}}}
    assert (await rest.post("/profiles", json=profile)).status_code in (201, 409)
    await signed_in(page, "operate")
    await page.goto("/console/devices")
    await page.get_by_role("link", name="Add device").first.click()
    return page


async def fill_device(form, name):
    await form.get_by_label("Name", exact=False).first.fill(name)
    await form.get_by_label("Transport type").select_option(label="LwM2M")
    await form.get_by_label("Device profile").select_option(PROFILE)


async def test_name_transport_type_and_profile(form):
    """deviceNoSec_create 0"""
    await fill_device(form, "LwNoSec00000000")
    await playwright.expect(form.get_by_label("Device profile")).to_have_value(PROFILE)
    await playwright.expect(form.get_by_label("Transport type")).to_have_value("LWM2M")


async def test_add_credential(form):
    """deviceNoSec_create 1"""
    key = form.get_by_label("LwM2M Security config key")
    await playwright.expect(key).to_be_hidden()
    await form.get_by_label("Add credential").check()
    await form.get_by_label("Credentials type").select_option(label="LwM2M Credentials")
    await key.fill("LwNoSec00000000")
    await playwright.expect(form.get_by_text("Client Security Config")).to_be_visible()


async def test_client_security_config(form):
    """deviceNoSec_create_security_config 0"""
    await form.get_by_label("Add credential").check()
    mode = form.get_by_label("Security config mode")
    await playwright.expect(mode).to_have_value("NO_SEC")
    await playwright.expect(form.get_by_label("Client Key")).to_be_hidden()
    await mode.select_option("PSK")
    await playwright.expect(form.get_by_label("Client Key")).to_be_visible()
    await mode.select_option("X509")
    await playwright.expect(form.get_by_label("Client Certificate")).to_be_visible()
    await playwright.expect(form.get_by_label("Client Key")).to_be_hidden()


async def test_bootstrap_server_of_the_client(form):
    """deviceNoSec_create_security_config 1"""
    await form.get_by_label("Add credential").check()
    await form.get_by_role("radio", name="Bootstrap Client").check()
    await playwright.expect(form.get_by_label("Security config mode")).to_be_hidden()
    await playwright.expect(form.get_by_role("radio", name="BOOTSTRAP SERVER")).to_be_checked()
    await form.get_by_label("Security mode of the bootstrap server").select_option("PSK")
    await form.get_by_label("Client Public Key or Id").locator("visible=true").fill("bs-1")


async def test_lwm2m_server_of_the_client_then_save(form, rest):
    """deviceNoSec_create_security_config 2"""
    await fill_device(form, "LwNoSec00000001")
    await form.get_by_label("Add credential").check()
    await form.get_by_label("LwM2M Security config key").fill("LwNoSec00000001")
    await form.get_by_role("radio", name="Bootstrap Client").check()
    await form.get_by_role("radio", name="LWM2M SERVER").check()
    mode = form.get_by_label("Security mode of the LwM2M server")
    await mode.select_option("PSK")
    await form.get_by_role("button", name="Save").click()
    told = form.locator("#checked")
    await playwright.expect(told).to_contain_text("the PSK identity is due")
    await mode.select_option("NO_SEC")
    await form.get_by_role("button", name="Save").click()
    await playwright.expect(told).to_contain_text("The security config is good")
    assert (await rest.get("/devices/LwNoSec00000001")).status_code == 404


async def test_add(form, rest, simulate):
    """deviceNoSec_create_save: with the keyboard alone, and the device registers as it was told."""
    await fill_device(form, "LwNoSec00000002")
    await form.get_by_label("Add credential").press("Space")
    await form.get_by_label("LwM2M Security config key").fill("LwNoSec00000002")
    add = form.get_by_role("button", name="Add", exact=True)
    await add.press("Enter")
    await playwright.expect(form.get_by_role("heading", level=1)).to_have_text("LwNoSec00000002")
    await playwright.expect(form.locator("#notices")).to_contain_text("was added")
    await simulate("LwNoSec00000002")
    await form.goto("/console/devices?q=LwNoSec00000002")
    await playwright.expect(form.get_by_role("row").nth(1)).to_contain_text("registered")
    device = (await rest.get("/devices/LwNoSec00000002")).json()
    assert (device["profile"], device["security"]) == (PROFILE, "nosec")
