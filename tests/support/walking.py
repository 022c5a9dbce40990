"""All pages of a console, found as a person finds them: by following links."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Collection
from urllib.parse import parse_qsl, unquote, urldefrag, urljoin, urlsplit

import attrs
import httpx
import lxml.html

START = "/console/"
ENOUGH = 2
"""Pages of one kind that are looked at."""
_IDENTIFIER = re.compile(r"\d+(\.\d+)*|[0-9a-f-]{12,}")


@attrs.frozen
class Seen:
    """A page, and its kind: the address without what is the name of something."""

    url: str
    kind: str
    answer: httpx.Response
    root: lxml.html.HtmlElement

    @property
    def path_kind(self) -> str:
        return self.kind.partition("?")[0]


async def walk(client: httpx.AsyncClient, names: Collection[str] = ()) -> list[Seen]:
    """From the first page on, for as long as there are links to new kinds of pages. ``names`` are those of
    devices and so on: two pages that differ in them alone are of one kind."""
    found: list[Seen] = []
    known, kinds = {START}, Counter[str]()
    waiting = deque([START])
    while waiting:
        url = waiting.popleft()
        kind = kind_of(url, names)
        if kinds[kind] >= ENOUGH:
            continue
        kinds[kind] += 1
        answer = await client.get(url)
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        root = lxml.html.document_fromstring(answer.text)
        found.append(Seen(url, kind, answer, root))
        for link in links(root, url):
            if link not in known:
                known.add(link)
                waiting.append(link)
    return found


def links(root: lxml.html.HtmlElement, url: str) -> list[str]:
    """Those that lead to other pages of the console."""
    targets = (urldefrag(urljoin(url, href))[0] for href in root.xpath("//a[not(@download)]/@href"))
    return [target for target in targets if target.startswith(START)]


def kind_of(url: str, names: Collection[str]) -> str:
    """``/console/devices/{}?tab``: arguments by name only."""
    parts = urlsplit(url)
    segments = (unquote(one) for one in parts.path.split("/"))
    path = "/".join("{}" if (one and one in names) or _IDENTIFIER.fullmatch(one) else one for one in segments)
    arguments = sorted({key for key, _ in parse_qsl(parts.query, keep_blank_values=True)})
    return f"{path}?{'&'.join(arguments)}" if arguments else path
