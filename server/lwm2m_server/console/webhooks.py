"""Webhooks: how notifications get to their targets, who subscribed, and what could not be delivered."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Refusal, segment
from lwm2m_server.console.forms import Form, form_of
from lwm2m_server.console.pages import page, previous, see_other, url
from lwm2m_server.console.viewer import viewer_of

WEBHOOKS: Final = "/console/webhooks"
SUBSCRIPTIONS: Final = f"{WEBHOOKS}/subscriptions"
LETTERS: Final = f"{WEBHOOKS}/letters"
ROWS: Final = 50
SUGGESTED: Final = 100
"""Devices and applications to choose from; others are typed."""
SOURCES: Final = (
    ("received-msg", "what the device says: answers, notifications, Sends"),
    ("logs", "registered, updated, asleep, expired"),
    ("error-msg", "messages that got no usable answer"),
    ("sent-msg", "messages the device acknowledged"),
    ("outgoing-msg", "messages that wait for the device"),
    ("other", "another resource, by its names"),
)
EVENTS: Final = (
    ("childCreated", "something new is in it: for messages, this"),
    ("childDeleted", "something in it is removed"),
    ("updated", "it is changed"),
    ("deleted", "it is removed"),
)
CONTENTS: Final = (
    ("all", "all attributes"),
    ("modified", "the attributes that changed (events: it is changed)"),
    ("reference", "the resource id only"),
)
EMPTY: Final[Mapping[str, Any]] = {
    "target": "",
    "source": "received-msg",
    "device": "",
    "resource": "",
    "events": ("childCreated",),
    "content": "all",
    "count": "",
    "seconds": "",
    "latestOnly": False,
    "name": "",
}


class WebhookPages:
    """``/console/webhooks``."""

    def routes(self) -> list[Route]:
        return [
            Route("/webhooks", self.show, methods=["GET"]),
            Route("/webhooks/subscriptions", self.subscriptions, methods=["GET"]),
            Route("/new-webhook", self.show_new, methods=["GET"]),
            Route("/new-webhook", self.subscribe, methods=["POST"]),
            Route("/webhooks/subscriptions/{id}/delete", self.unsubscribe, methods=["POST"]),
            Route("/webhooks/letters", self.letters, methods=["GET"]),
            Route("/webhooks/letters/replay", self.replay_all, methods=["POST"]),
            Route("/webhooks/letters/drop", self.drop_all, methods=["POST"]),
            Route("/webhooks/letters/{id}", self.letter, methods=["GET"]),
            Route("/webhooks/letters/{id}/replay", self.replay, methods=["POST"]),
            Route("/webhooks/letters/{id}/drop", self.drop, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        found = await viewer_of(request).api.get("/deliveries")
        lanes = sorted(found["deliveries"], key=lambda lane: (lane["failingSince"] is None, lane["target"]))
        return await page(request, "webhooks/targets.html", lanes=lanes, dropped=found["dropped"])

    # --- subscriptions -------------------------------------------------------------------------------

    async def subscriptions(self, request: Request) -> Response:
        query = request.query_params
        asked = {name: query.get(name, "") for name in ("target", "device")}
        found = await viewer_of(request).api.get(
            "/subscriptions", **asked, after=query.get("after"), limit=ROWS
        )
        more = url(SUBSCRIPTIONS, **asked, after=found["next"]) if "next" in found else None
        first = url(SUBSCRIPTIONS, **asked) if query.get("after") else None
        return await page(
            request,
            "webhooks/subscriptions.html",
            subscriptions=found["subscriptions"],
            asked=asked,
            more=more,
            first=first,
        )

    async def show_new(self, request: Request) -> Response:
        query = request.query_params
        given = {**EMPTY, "target": query.get("target", ""), "device": query.get("device", "")}
        return await self._show_new(request, given)

    async def subscribe(self, request: Request) -> Response:
        form = await form_of(request)
        given = _given(form)
        try:
            made = await viewer_of(request).api.send("POST", "/subscriptions", _document(given))
        except Refusal as refusal:
            return await self._show_new(request, given, refusal.status, refusal.detail)
        # As it is shown: without the password of a URL, which is not looked for either.
        (target,) = made["targets"]
        asked = {"target": target} if target == given["target"] else {}
        return see_other(
            request, url(SUBSCRIPTIONS, **asked), f"{target} is told of {made['resource']} from now on."
        )

    async def unsubscribe(self, request: Request) -> Response:
        await form_of(request)
        id = request.path_params["id"]
        await viewer_of(request).api.send("DELETE", f"/subscriptions/{segment(id)}")
        return see_other(request, previous(request), "The subscription is ended.")

    async def _show_new(
        self,
        request: Request,
        given: Mapping[str, Any],
        status: int = HTTPStatus.OK,
        error: str | None = None,
    ) -> Response:
        api = viewer_of(request).api
        devices = (await api.get("/devices", limit=SUGGESTED))["devices"]
        applications = (await api.get("/applications", limit=SUGGESTED))["applications"]
        return await page(
            request,
            "webhooks/new.html",
            status=status,
            given=given,
            error=error,
            devices=[one["name"] for one in devices],
            applications=[one["name"] for one in applications],
            sources=SOURCES,
            events=EVENTS,
            contents=CONTENTS,
        )

    # --- dead letters --------------------------------------------------------------------------------

    async def letters(self, request: Request) -> Response:
        query = request.query_params
        target = query.get("target", "")
        found = await viewer_of(request).api.get(
            "/deliveries/dead-letters", target=target, after=query.get("after"), limit=ROWS
        )
        return await page(
            request,
            "webhooks/letters.html",
            letters=found["deadLetters"],
            target=target,
            more=url(LETTERS, target=target, after=found["next"]) if "next" in found else None,
            first=url(LETTERS, target=target) if query.get("after") else None,
        )

    async def letter(self, request: Request) -> Response:
        letter = await viewer_of(request).api.get(_letter(request))
        text = orjson.dumps(letter["notification"], option=orjson.OPT_INDENT_2).decode()
        return await page(request, "webhooks/letter.html", letter=letter, text=text)

    async def replay(self, request: Request) -> Response:
        form = await form_of(request)
        await viewer_of(request).api.send("POST", f"{_letter(request)}/replay")
        return see_other(request, _listed(form), "It is put behind what waits, and tried at once.")

    async def drop(self, request: Request) -> Response:
        form = await form_of(request)
        await viewer_of(request).api.send("DELETE", _letter(request))
        return see_other(request, _listed(form), "It is dropped.")

    async def replay_all(self, request: Request) -> Response:
        form = await form_of(request)
        query = {"target": form.text("target")}
        found = await viewer_of(request).api.send("POST", "/deliveries/replay", query=query)
        return see_other(request, _listed(form), f"Replayed: {found['replayed']}.")

    async def drop_all(self, request: Request) -> Response:
        form = await form_of(request)
        query = {"target": form.text("target")}
        found = await viewer_of(request).api.send("DELETE", "/deliveries/dead-letters", query=query)
        return see_other(request, _listed(form), f"Dropped: {found['dropped']}.")


def _letter(request: Request) -> str:
    """Of the API."""
    return f"/deliveries/dead-letters/{segment(request.path_params['id'])}"


def _listed(form: Form) -> str:
    """The list that a letter was chosen from."""
    return url(LETTERS, target=form.text("target"))


def _given(form: Form) -> dict[str, Any]:
    """As it was typed, to be shown again if it does not do."""
    texts = {name: form.text(name, str(value)) for name, value in EMPTY.items() if isinstance(value, str)}
    return {**texts, "events": form.all("events"), "latestOnly": form.flag("latestOnly")}


def _document(given: Mapping[str, Any]) -> dict[str, Any]:
    """Of the API; numbers that are none are for it to refuse."""
    resource = given["resource"]
    if given["source"] != "other":
        resource = f"device-communication/{given['device']}/{given['source']}"
    batch = {name: _number(given[name]) for name in ("count", "seconds") if given[name]}
    return {
        "resource": resource,
        "targets": [given["target"]] if given["target"] else [],
        "name": given["name"] or None,
        "events": given["events"],
        "content": given["content"],
        "batch": batch or None,
        "latestOnly": given["latestOnly"],
    }


def _number(text: str) -> object:
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        return text
