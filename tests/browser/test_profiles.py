"""Device profiles in the browser: the reference page's pictures of them, and what only JavaScript does."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest

pytest.importorskip("playwright", reason="needs playwright (PyPI)")

BATTERY = "/3_1.2/0/9"
CASES = {
    1: ({"Observe", "Attribute"}, None),
    2: ({"Observe", "Telemetry"}, None),
    3: ({"Observe", "Attribute", "Telemetry"}, None),
    4: ({"Observe", "Attribute", "Telemetry"}, "charge"),
}
"""What is checked, and the key name if it is changed."""
Making: TypeAlias = Callable[..., Awaitable[str]]


def expect(what: Any) -> Any:
    from playwright.async_api import expect

    return expect(what)


@pytest.fixture
def make(rest: Any) -> Making:
    """``await make(observeAttr={…})``: the name of a new profile of that."""

    async def make(**configuration: Any) -> str:
        name = f"lwm2mProfileNoSec{uuid.uuid4().hex[:8]}"
        body = {"observeAttr": {}, **configuration}
        answer = await rest.post("/profiles", params={"name": name}, json=body)
        assert answer.status_code == 201, answer.text
        return name

    return make


@pytest.fixture
def saved(rest: Any) -> Callable[[str], Awaitable[Any]]:
    """The transport configuration, as the API has it."""

    async def saved(name: str) -> Any:
        return (await rest.get(f"/profiles/{name}")).json()["profileData"]["transportConfiguration"]

    return saved


async def edited(page: Any, name: str) -> None:
    """Its transport configuration, to be edited."""
    await page.goto(f"/console/profiles/{name}/transport?edit=1")


async def save(page: Any) -> None:
    """By the page that says what would change."""
    await page.get_by_role("link", name="Review and save").click()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator("#notices")).to_contain_text("is saved")


async def is_kept(page: Any) -> None:
    """The server has the draft."""
    await expect(page.locator("#draft")).to_contain_text("Unsaved changes")


# --- a new one --------------------------------------------------------------------------------------


async def test_create(page: Any, signed_in: Any, saved: Any) -> None:
    name = f"lwm2mProfileNoSec{uuid.uuid4().hex[:8]}"
    await signed_in(page)
    await page.goto("/console/profiles")
    await page.get_by_role("link", name="Add device profile").first.click()
    await page.get_by_label("Name").fill(name)
    await page.get_by_role("button", name="2. Transport configuration").click()
    await page.get_by_label("Transport type").select_option("LWM2M")
    await page.get_by_role("button", name="Add", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(name)
    assert (await saved(name))["type"] == "LWM2M"


# --- opened and edited ------------------------------------------------------------------------------


async def test_it_opens_read_only_and_toggles_to_editing(page: Any, signed_in: Any, make: Making) -> None:
    name = await make(observeAttr={"telemetry": [BATTERY]})
    await signed_in(page)
    await page.goto(f"/console/profiles?q={name}")
    await page.get_by_role("link", name=name, exact=True).click()
    current = page.get_by_role("navigation", name="Parts of the profile").locator("[aria-current]")
    await expect(current).to_have_text("Transport configuration")
    toggle = page.get_by_role("button", name="Toggle edit mode")
    await expect(toggle).to_have_attribute("aria-pressed", "false")
    await expect(page.get_by_role("main").get_by_role("checkbox")).to_have_count(0)
    await toggle.click()
    await expect(toggle).to_have_attribute("aria-pressed", "true")
    await expect(page.get_by_label("Telemetry Battery Level")).to_be_checked()


async def test_strategies_after_connect(page: Any, signed_in: Any, make: Making, saved: Any) -> None:
    name = await make(clientLwM2mSettings={"clientOnlyObserveAfterConnect": 3})
    await signed_in(page)
    for number in (1, 2):
        await edited(page, name)
        strategies = page.get_by_role("group", name="Strategy after connect")
        await strategies.get_by_role("radio").nth(number - 1).check()
        await is_kept(page)
        await save(page)
        assert (await saved(name))["clientLwM2mSettings"]["clientOnlyObserveAfterConnect"] == number


async def test_add_objects_from_the_list_by_id_and_by_name(page: Any, signed_in: Any, make: Making) -> None:
    name = await make()
    await signed_in(page)
    await edited(page, name)
    offered = page.get_by_role("list", name="Objects to choose from").get_by_role("listitem")
    chosen = {
        None: ("Device", 3),
        "3303": ("Temperature", 3303),
        "connectivity mon": ("Connectivity Monitoring", 4),
    }
    for count, (typed, (found, id)) in enumerate(chosen.items(), 1):
        if typed is None:
            await expect(offered.nth(20)).to_be_attached()
        else:
            await page.get_by_label("By id, or by a part of its name").press_sequentially(typed)
            await expect(offered).to_have_count(1)
        one = offered.filter(has_text=f"{found} {id}").first
        await one.get_by_role("button").first.click()
        await expect(page.get_by_role("region", name=f"{found} {id}", exact=True)).to_be_visible()
        await expect(page.locator(".picked li")).to_have_count(count)


async def test_add_and_delete_instances(page: Any, signed_in: Any, make: Making, saved: Any) -> None:
    name = await make(observeAttr={"telemetry": ["/3303_1.1/0/5700"]})
    await signed_in(page)
    await edited(page, name)
    object = page.locator("#object")
    await expect(object).to_contain_text("may have several instances")
    await object.get_by_label("Id of a new instance").fill("7")
    await object.get_by_role("button", name="Add instance").click()
    instances = object.get_by_role("navigation", name="Object Instances").get_by_role("link")
    await expect(instances).to_have_text(["Instance 0", "Instance 7"])
    await page.get_by_label("Telemetry Sensor Value").check()
    await is_kept(page)
    await save(page)
    assert (await saved(name))["observeAttr"]["telemetry"] == ["/3303_1.1/0/5700", "/3303_1.1/7/5700"]
    await edited(page, name)
    await instances.filter(has_text="7").click()
    await object.get_by_role("button", name="Delete instance 7").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete instance 7").click()
    await expect(instances).to_have_text(["Instance 0"])
    await save(page)
    assert (await saved(name))["observeAttr"]["telemetry"] == ["/3303_1.1/0/5700"]


async def test_observe_a_resource(page: Any, signed_in: Any, make: Making, saved: Any) -> None:
    name = await make(observeAttr={"telemetry": ["/3_1.2/0/13"]})
    await signed_in(page)
    lists = {"Observe": "observe", "Attribute": "attribute", "Telemetry": "telemetry"}
    for checked, key in CASES.values():
        await edited(page, name)
        for what in ("Attribute", "Telemetry", "Observe"):
            await page.get_by_label(f"{what} Battery Level").set_checked(what in checked)
        named = page.get_by_label("Key name of Battery Level")
        await expect(named).to_have_attribute("placeholder", "batteryLevel")
        if key is not None:
            await named.fill(key)
            await named.blur()
        attributes, telemetry = int("Attribute" in checked), 1 + ("Telemetry" in checked)
        word = "attribute" if attributes else "attributes"
        told = f"1 observed · {attributes} {word} · {telemetry} telemetry"
        await expect(page.locator("#counts-3")).to_have_text(told)
        await is_kept(page)
        await save(page)
        kept = (await saved(name))["observeAttr"]
        assert {what for what, member in lists.items() if BATTERY in kept[member]} == checked
        assert kept["keyName"] == ({BATTERY: key} if key is not None else {})


# --- servers ----------------------------------------------------------------------------------------


async def test_bootstrap_and_lwm2m_servers(page: Any, signed_in: Any, make: Making, saved: Any) -> None:
    name = await make()
    await signed_in(page)
    await edited(page, name)
    await page.get_by_role("link", name="Bootstrap", exact=True).click()
    await page.get_by_role("button", name="Add LwM2M server").click()
    await page.get_by_role("button", name="Add Bootstrap server").click()
    first = page.get_by_role("group", name="LwM2M server 123")
    for label, value in (("Short identifier", "321"), ("Minimum period (s)", "5"), ("Lifetime (s)", "600")):
        await first.get_by_label(label).fill(value)
    await expect(first.get_by_label("Binding")).to_have_value("U")
    await first.get_by_label("Store notifications").uncheck()
    second = page.get_by_role("group", name="Bootstrap server", exact=True)
    for server, host, port in ((first, "lwm2m.example.com", "5683"), (second, "bs.example.com", "5685")):
        await server.get_by_label("Security mode").select_option("NoSec")
        await server.get_by_label("Host").fill(host)
        await server.get_by_label("Port").fill(port)
        await server.get_by_label("Hold off time (s)").fill("2")
        await server.get_by_label("Account after timeout (s)").fill("60")
    await second.get_by_label("Port").blur()
    await expect(page.locator("#draft .faults")).to_have_count(0)
    await expect(second).to_contain_text("only LwM2M servers have one")
    await page.get_by_role("button", name="Preview").click()
    await expect(page.locator("#preview")).to_contain_text("coap://bs.example.com:5685")
    await save(page)
    kept = {one["bootstrapServerIs"]: one for one in (await saved(name))["bootstrap"]}
    common = {"securityMode": "NO_SEC", "clientHoldOffTime": 2, "bootstrapServerAccountTimeout": 60}
    lwm2m = {"host": "lwm2m.example.com", "port": 5683, "shortServerId": 321, "lifetime": 600}
    lwm2m |= {"defaultMinPeriod": 5, "binding": "U", "notifIfDisabled": False}
    assert common.items() | lwm2m.items() <= kept[False].items()
    assert (common | {"host": "bs.example.com", "port": 5685}).items() <= kept[True].items()


# --- what only JavaScript does ----------------------------------------------------------------------


async def test_faults_appear_at_the_row_and_go(page: Any, signed_in: Any, make: Making) -> None:
    name = await make(observeAttr={"telemetry": ["/3_1.2/0/13"]})
    await signed_in(page)
    await edited(page, name)
    row = page.get_by_role("row").filter(has=page.get_by_label("Observe Battery Level"))
    await page.get_by_label("Observe Battery Level").check()
    await expect(row).to_contain_text("neither an attribute nor telemetry")
    await expect(page.locator("#draft")).to_contain_text("1 problem")
    await page.get_by_label("Telemetry Battery Level").check()
    await expect(row).not_to_contain_text("neither an attribute nor telemetry")
    await is_kept(page)


async def test_quick_changes_are_all_kept(page: Any, signed_in: Any, make: Making) -> None:
    """On a slow line, too."""
    name = await make(observeAttr={"telemetry": ["/3_1.2/0/13"]})
    await signed_in(page)
    await edited(page, name)
    slow = asyncio.Event()

    async def delay(route: Any) -> None:
        await slow.wait()
        await route.continue_()

    await page.route("**/draft/resources", delay)
    for what in ("Telemetry", "Attribute", "Observe"):
        await page.get_by_label(f"{what} Battery Level").check()
    slow.set()
    await expect(page.locator("#counts-3")).to_have_text("1 observed · 1 attribute · 2 telemetry")


async def test_leaving_with_unsaved_changes_warns(page: Any, signed_in: Any, make: Making) -> None:
    name = await make(observeAttr={"telemetry": ["/3_1.2/0/13"]})
    await signed_in(page)
    await edited(page, name)
    asked: list[str] = []

    async def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        await dialog.dismiss()

    page.on("dialog", stay)
    await page.get_by_label("Telemetry Battery Level").check()
    await is_kept(page)
    await page.get_by_role("link", name="JSON", exact=True).click()
    assert BATTERY in await page.get_by_label("The draft as a document").input_value()
    assert asked == []
    menu = page.get_by_role("navigation", name="Main")
    await menu.get_by_role("link", name="Profiles").click()
    await expect(page.get_by_label("The draft as a document")).to_be_visible()
    assert asked == ["beforeunload"]
    page.remove_listener("dialog", stay)
    page.on("dialog", lambda dialog: dialog.accept())
    await menu.get_by_role("link", name="Profiles").click()
    await expect(page.get_by_role("row").filter(has_text=name)).to_contain_text("unsaved changes")
