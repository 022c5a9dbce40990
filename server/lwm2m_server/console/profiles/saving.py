"""From a draft to what is saved: what it would change, for which devices, and who was first."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import JSON, Refusal, segment
from lwm2m_server.console.forms import form_of
from lwm2m_server.console.pages import page, see_other
from lwm2m_server.console.profiles.draft import LISTS, TABLES
from lwm2m_server.console.profiles.opening import MOST, frame, opened

EXAMPLES: Final = 10
"""Devices that the page before saving names."""
LINES: Final = 2_000
"""Of a document; what is longer is told as lists only."""
SHOWN: Final = 200
"""Changes that the page lists."""
WORDS: Final = {
    "observe": "Observe",
    "attribute": "Attribute",
    "telemetry": "Telemetry",
    "keyName": "Key name",
    "attributeLwm2m": "Notification attributes",
}


class SavingPages:
    """Nothing of a draft is in force before it is saved here."""

    def routes(self) -> list[Route]:
        return [
            Route("/profiles/{name}/review", self.review, methods=["GET"]),
            Route("/profiles/{name}/draft/save", self.save, methods=["POST"]),
            Route("/profiles/{name}/draft/discard", self.discard, methods=["POST"]),
        ]

    async def review(self, request: Request) -> Response:
        """What saving would change, and which devices it touches."""
        one = await opened(request, to_edit=True)
        draft = one.draft()
        if not draft.is_changed:
            return see_other(request, one.at("transport"), "There is nothing to save.")
        context = await frame(one, draft, "review")
        if context["faults"]:
            return await page(request, "profiles/review.html", preview=None, changes=(), lines=(), **context)
        query = {"limit": EXAMPLES}
        preview = await one.viewer.api.send("POST", f"{one.api_path}/preview", draft.document(), query)
        changes = _changes(preview["changes"])
        if draft.name != one.name:
            changes.insert(0, ("Name", "", one.name, draft.name))
        lines = await difference(one.document, draft.document())
        return await page(
            request, "profiles/review.html", preview=preview, changes=changes, lines=lines, **context
        )

    async def save(self, request: Request) -> Response:
        """``over`` saves it although somebody else has saved another one meanwhile."""
        form, one = await form_of(request), await opened(request, to_edit=True)
        draft = one.draft()
        tag = one.tag if form.flag("over") else draft.tag
        headers = {"content-type": JSON, "if-match": tag}
        body = orjson.dumps(draft.document())
        if len(body) > MOST:
            raise Refusal(413, f"a profile has at most {MOST} bytes", {})
        try:
            answer = await one.viewer.api.call("PUT", one.api_path, headers=headers, body=body)
        except Refusal as error:
            if error.status in (400, 412):
                return see_other(request, f"{one.path}/review")
            raise
        one.discard()
        saved = answer.json()["name"]
        return see_other(request, f"/console/profiles/{segment(saved)}/transport", f"{saved} is saved.")

    async def discard(self, request: Request) -> Response:
        await form_of(request)
        one = await opened(request, to_edit=True)
        one.discard()
        return see_other(request, f"{one.path}/transport", "The changes are discarded.")


def _changes(found: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """What, of which path, from and to; empty stands for nothing."""
    rows: list[tuple[str, str, str, str]] = []
    for member in LISTS:
        rows += [(WORDS[member], path, "", "yes") for path in found[member]["added"]]
        rows += [(WORDS[member], path, "yes", "") for path in found[member]["removed"]]
    for member in TABLES:
        table = found[member]
        rows += [(WORDS[member], path, "", _told(value)) for path, value in table["added"].items()]
        rows += [(WORDS[member], path, _told(value), "") for path, value in table["removed"].items()]
        rows += [
            (WORDS[member], path, _told(value["from"]), _told(value["to"]))
            for path, value in table["changed"].items()
        ]
    rows += [
        (name, "", _told(value["from"]), _told(value["to"])) for name, value in found["settings"].items()
    ]
    if found["bootstrap"]:
        rows.append(("Servers of the bootstrap", "", "", "others, at the next bootstrap of a device"))
    return rows


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return " · ".join(f"{name} {one}" for name, one in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def pretty(document: Mapping[str, Any]) -> str:
    """JSON for people."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


async def difference(former: Mapping[str, Any], document: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """Lines of both documents where they differ, each with ``-``, ``+``, ``@`` or a space before it."""
    was, is_ = pretty(former).splitlines(), pretty(document).splitlines()
    if max(len(was), len(is_)) > LINES:
        return ()
    found = await asyncio.to_thread(lambda: list(difflib.unified_diff(was, is_, n=2, lineterm="")))
    return [(line[0], line[1:]) for line in found[2:] if line]
