"""What devices, models and people say is text on every page: no script, no HTML, no template."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import attrs
import lxml.html
import pytest
import pytest_asyncio

pytest.importorskip("playwright", reason="needs playwright (PyPI)")


from playwright.async_api import expect

from furnishing import MODEL_ID, Furnishing, Words, visiting
from walking import Seen, walk

NAMED = "'\"><xss-probe onclick=probe() hx-get=x hx-trigger=load>{{7777*7}}${7777*7}{%raw%}<script>probe()"
"""Without a slash, which names may not have."""
SAID = f"{NAMED}</script><img src=x onerror=probe()>\u202e\u200fjavascript:probe()--><!--]]>"
PRODUCT = str(7777 * 7)
WORDS = Words(
    **{name: name + SAID for name in ("text", "value", "manufacturer", "unit", "model", "resource")},
    label=NAMED,
    title=NAMED,
    profile=f"pumps{NAMED}",
    key=f"level{NAMED}",
    file=f"{NAMED}.xml",
    address=f"http://127.0.0.1:9/?{quote(SAID)}",
    endpoints=f"{NAMED}</script>",
)
URLS = ("href", "src", "action", "formaction", "data", "poster", "xlink:href")
OWN = ("/console/", "#", "?", "https://")


@pytest.fixture(scope="module")
def console(own_console: Any) -> Any:
    return own_console


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def visited(console: Any) -> AsyncIterator[tuple[Any, Furnishing, list[Seen]]]:
    async with visiting(console, WORDS) as (client, furnishing):
        yield client, furnishing, await walk(client, attrs.astuple(WORDS))


async def test_all_of_it_was_let_in(visited: Any) -> None:
    assert visited[1].refused == []


async def test_what_is_said_is_text_on_every_page(visited: Any) -> None:
    _, _, seen = visited
    for one in seen:
        assert wrong(one.root) == [], one.url
    texts = [one.root.text_content() for one in seen]
    for word in (WORDS.label, WORDS.endpoints, WORDS.value, WORDS.manufacturer, WORDS.resource, WORDS.unit):
        assert any(word[:60] in text for text in texts), f"no page shows {word}"


async def test_what_an_address_says_is_text_too(visited: Any) -> None:
    """Every argument of every kind of page, with something nobody asks for."""
    client, _, seen = visited
    for url in {one.kind: one.url for one in seen}.values():
        parts = urlsplit(url)
        names = {key for key, _ in parse_qsl(parts.query, keep_blank_values=True)} | {"q", "next"}
        query = urlencode(dict(zip(names, itertools.repeat(SAID))))
        answer = await client.get(f"{parts.path}?{query}")
        assert answer.status_code < 500, answer.url
        assert wrong(lxml.html.document_fromstring(answer.text)) == [], answer.url


async def test_what_is_not_there_is_text_too(visited: Any) -> None:
    client, _, seen = visited
    for path in {urlsplit(one.url).path.rpartition("/")[0] for one in seen}:
        answer = await client.get(f"{path}/{quote(SAID, safe='')}")
        assert answer.status_code < 500, answer.url
        if answer.text:
            assert wrong(lxml.html.document_fromstring(answer.text)) == [], answer.url


def wrong(root: lxml.html.HtmlElement) -> list[str]:
    """Elements and attributes that were made of words, addresses that lead elsewhere, templates that ran."""
    found = [lxml.html.tostring(one, encoding="unicode")[:300] for one in root.xpath(MADE)]
    found += [text for text in root.xpath("//script[@type='application/json']/text()") if "<" in text]
    for element in root.iter(lxml.html.etree.Element):
        for name, value in element.attrib.items():
            if name.startswith(("on", "hx-on")) or (name in URLS and not leads_nowhere_else(value)):
                found.append(f"<{element.tag} {name}={value!r}>")
            if PRODUCT in value:
                found.append(f"<{element.tag} {name}={value!r}>: a template ran")
    return found + ["a template ran"] * (PRODUCT in root.text_content())


MADE_OF_WORDS = "xss-probe, [hx-get=x], img[src=x]"
MADE = """//xss-probe | //img[@src='x'] | //*[@hx-get='x'] | //comment()[contains(., ']]')]
    | //script[not(@src or @type='application/json')]"""


def leads_nowhere_else(url: str) -> bool:
    return url.startswith(OWN) or not urlsplit(url.strip()).scheme


async def test_nothing_of_it_runs(visited: Any, open_page: Any, signed_in: Any) -> None:
    _, furnishing, seen = visited
    page = await signed_in(await open_page())
    ran: list[str] = []
    page.on("dialog", lambda dialog: ran.append(f"dialog {dialog.message}"))
    await page.expose_function("probe", lambda: ran.append(page.url))
    for url in {one.path_kind: one.url for one in seen}.values():
        await page.goto(url)
        assert await page.locator(MADE_OF_WORDS).count() == 0, url

    # A value that comes while the page is open.
    await page.goto(f"/console/devices/{WORDS.device}/objects")
    furnishing.devices[WORDS.device].set(f"/{MODEL_ID}/0/1", f"newer {SAID}")
    await expect(page.locator("[id^=v-]", has_text="newer '\"><xss-probe")).to_have_count(1)
    assert await page.locator(MADE_OF_WORDS).count() == 0
    assert ran == []
