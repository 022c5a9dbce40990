"""What holds of every page there is, whatever it is about: found by following links through a console with
something to see everywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import attrs
import httpx
import lxml.html
import pytest
import pytest_asyncio

from furnishing import Words, visiting
from walking import Seen, walk

URLS = ("href", "src", "action", "formaction", "poster", "data")
REQUESTS = ("hx-get", "hx-post", "hx-put", "hx-patch", "hx-delete", "hx-sse:connect")


@pytest.fixture(scope="module")
def console(own_console: Any) -> Any:
    return own_console


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def seen(console: Any) -> AsyncIterator[list[Seen]]:
    """All kinds of pages that an administrator sees."""
    words = Words()
    async with visiting(console, words) as (client, furnishing):
        assert furnishing.refused == []
        yield await walk(client, attrs.astuple(words))


async def test_every_link_leads_somewhere(seen: list[Seen]) -> None:
    assert {one.url: one.answer.status_code for one in seen if one.answer.status_code != 200} == {}


async def test_everything_comes_with_a_strict_policy(seen: list[Seen]) -> None:
    for one in seen:
        headers = one.answer.headers
        policy = dict(
            part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == "'none'", one.url
        assert policy["script-src"] == policy["style-src"] == "'self'", one.url
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'", one.url
        assert policy["form-action"] == "'self'", one.url
        assert "unsafe" not in headers["content-security-policy"], one.url
        assert headers["x-content-type-options"] == "nosniff", one.url
        assert headers["cache-control"] == "no-store", one.url


async def test_no_page_has_scripts_or_styles_of_its_own(seen: list[Seen]) -> None:
    for one in seen:
        found = one.root.xpath(
            "//script[not(@src or @type='application/json')] | //style | //base | //iframe"
        )
        assert found + one.root.xpath("//*[@style]") == [], one.url
        attributes = {name for element in one.root.iter() for name in element.attrib}
        wrong = {name for name in attributes if name.startswith(("on", "hx-on"))}
        assert not wrong, one.url


async def test_every_address_is_this_servers(seen: list[Seen]) -> None:
    for one in seen:
        for element in one.root.iter():
            for name, value in element.attrib.items():
                if name in URLS and urlsplit(value).scheme not in ("", "https"):
                    pytest.fail(f"{one.url}: {name}={value}")
                if name in REQUESTS and not value.startswith("/console/"):
                    pytest.fail(f"{one.url}: {name}={value}")
        assert one.root.xpath("//script/@src[not(starts-with(., '/console/static/'))]") == [], one.url
        assert one.root.xpath("//link/@href[not(starts-with(., '/console/static/'))]") == [], one.url


async def test_every_page_can_be_told_from_others_and_has_one_heading(seen: list[Seen]) -> None:
    for one in seen:
        assert one.root.get("lang") == "en", one.url
        assert (one.root.findtext(".//title") or "").strip(" ·"), one.url
        assert len(one.root.xpath("//h1")) == 1, one.url
        assert len(one.root.xpath("//main")) == 1, one.url
        ids = Counter(one.root.xpath("//*/@id"))
        assert [id for id, count in ids.items() if count > 1] == [], one.url


async def test_every_form_works_without_javascript(seen: list[Seen]) -> None:
    for one in seen:
        for form in one.root.xpath("//form"):
            action = form.get("action") or one.url
            place = f"{one.url}: {action}"
            assert action.startswith(("/console/", "?")), place
            if form.get("method", "get").lower() == "post":
                assert form.xpath(".//input[@name='csrf'][@type='hidden']"), place
            if form.xpath(".//input[not(@type='hidden')] | .//select | .//textarea"):
                assert sends(form), place


def sends(form: lxml.html.HtmlElement) -> bool:
    """Whether something in it, or elsewhere in the page for it, sends it: a button, or Enter in its only
    field (HTML Standard, implicit submission)."""
    within = form.xpath(SUBMITS)
    elsewhere = form.xpath("//button[@form=$id]", id=form.get("id", "none"))
    fields = form.xpath(".//input[not(@type='hidden')] | .//select | .//textarea")
    return bool(within or elsewhere) or len(fields) == 1


OF_THE_VIEWER = {"/console/theme", "/console/sign-out"}
SUBMITS = ".//button[not(@type) or @type='submit'] | .//input[@type='submit']"


async def test_who_may_only_read_is_shown_nothing_to_change(seen: list[Seen], console: Any) -> None:
    async with httpx.AsyncClient(base_url=console.server.http, timeout=30) as client:
        form = {"client": "", "secret": console.key("read")}
        assert (await client.post("/console/sign-in", data=form)).status_code == 303
        found = await walk(client, attrs.astuple(Words()))
    assert len(found) > len(seen) / 2
    for one in found:
        assert one.answer.status_code == 200, one.url
        for form in one.root.xpath("//form[@method='post']"):
            if form.xpath(SUBMITS):
                assert form.get("action") in OF_THE_VIEWER, one.url


NARROW = {"width": 360, "height": 740}
WIDER = ({"width": 768, "height": 1024}, {"width": 1280, "height": 800}, {"width": 1920, "height": 1080})
IS_TOO_WIDE = """async () => {
  for (let turn = 0; turn < 20; turn++) {
    if (document.documentElement.scrollWidth <= innerWidth) return false
    await new Promise(done => setTimeout(done, 50))
  }
  return true
}"""
"""A chart follows its place a moment later."""
SHORTEN = """() => {
  const alike = 'tbody > tr:nth-child(n+5), ul > li:nth-child(n+6), details.object ~ details.object'
  for (const one of document.querySelectorAll(alike)) one.remove()
}"""
"""What looks as its neighbours need not be looked at again."""
RULES = {"resultTypes": ["violations"], "preload": False}
CONTRAST = {**RULES, "runOnly": {"type": "rule", "values": ["color-contrast"]}}
PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
async def test_pages_are_for_everybody_on_every_screen(
    seen: list[Seen], open_page: Any, signed_in: Any, part: int
) -> None:
    """axe-core finds nothing serious, in light and in dark; nothing has to be scrolled sideways."""
    axe = pytest.importorskip("axe_playwright_python.async_playwright").Axe()
    page = await signed_in(await open_page(viewport=NARROW, reduced_motion="reduce"))
    problems: list[str] = []
    for url in [*{one.path_kind: one.url for one in reversed(seen)}.values()][part::PARTS]:
        await page.emulate_media(color_scheme="light")
        await page.goto(url)
        too_wide = []
        for size in (*WIDER, NARROW):
            await page.set_viewport_size(size)
            if await page.evaluate(IS_TOO_WIDE):
                too_wide.append(f"is wider than {size['width']} pixels")
        await page.evaluate(SHORTEN)
        found = serious(await axe.run(page, options=RULES))
        await page.emulate_media(color_scheme="dark")
        found += serious(await axe.run(page, options=CONTRAST))
        problems += [f"{url}: {one}" for one in found + too_wide]
    assert not problems, "\n".join(problems)


async def test_what_is_done_to_chosen_devices_is_for_everybody_too(
    seen: list[Seen], open_page: Any, signed_in: Any
) -> None:
    """Pages that no link leads to."""
    axe = pytest.importorskip("axe_playwright_python.async_playwright").Axe()
    page = await signed_in(await open_page(viewport=NARROW, reduced_motion="reduce"))
    problems: list[str] = []

    async def look(what: str) -> None:
        await page.emulate_media(color_scheme="light")
        found = serious(await axe.run(page, options=RULES))
        await page.emulate_media(color_scheme="dark")
        found += serious(await axe.run(page, options=CONTRAST))
        if await page.evaluate(IS_TOO_WIDE):
            found.append("is too wide")
        problems.extend(f"{what}: {one}" for one in found)

    await page.goto("/console/devices")
    await page.get_by_label("All on this page").check()
    await look("devices chosen")
    await page.get_by_role("button", name="Assign").click()
    await page.get_by_role("heading", name="Not done").wait_for()
    await look("refused")
    await page.get_by_role("link", name="Back to the list").click()
    await page.get_by_label("All on this page").check()
    await page.get_by_role("button", name="Remove devices").click()
    await page.get_by_role("heading", name="Remove these").wait_for()
    await look("remove?")
    assert not problems, "\n".join(problems)


def serious(results: Any) -> list[str]:
    return [
        f"{one['id']}: {node['target']} {node['html'][:200]} {node['failureSummary']}"
        for one in results.response["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
