"""Devices chosen in the list: what is done to all of them at once, each as it is done to one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Backend, Refusal, segment
from lwm2m_server.console.devices import DEVICES
from lwm2m_server.console.forms import Form, form_of
from lwm2m_server.console.pages import page, see_other
from lwm2m_server.console.viewer import operator_of

MOST: Final = 1000
"""Devices at once: more than a page of the list has."""
ACTIONS: Final = ("join", "leave", "assign", "unassign", "remove", "forget")
"""``remove`` asks whether to; ``forget`` is the answer."""


@attrs.define
class Outcome:
    """What came of it."""

    done: int = 0
    refused: list[tuple[str, str]] = attrs.field(factory=list)
    """Names of devices, and why."""

    async def each(self, names: Sequence[str], do: Callable[[str], Awaitable[object]]) -> None:
        for name in names:
            try:
                await do(name)
                self.done += 1
            except Refusal as refusal:
                self.refused.append((name, refusal.detail))

    def refuse(self, names: Sequence[str], reason: str) -> None:
        self.refused += [(name, reason) for name in names]


class ChoicePages:
    """``/console/chosen-devices``: one form has all that can be done, its buttons say what is."""

    def routes(self) -> list[Route]:
        return [Route("/chosen-devices", self.act, methods=["POST"])]

    async def act(self, request: Request) -> Response:
        """All is tried, also behind one that is refused."""
        form, api = await form_of(request), operator_of(request).api
        names, action, back = _chosen(form), form.text("action"), _back(form)
        if not names:
            return see_other(request, back, "No device was chosen.")
        wrong = _wrong(form, action)
        if wrong is not None:
            return await self._told(request, Outcome(refused=[(name, wrong) for name in names]), "", back)
        if action == "remove":
            return await page(request, "devices/remove.html", names=names, back=back)
        outcome, told = await _done(api, form, action, names)
        if outcome.refused:
            return await self._told(request, outcome, told, back)
        return see_other(request, back, told)

    async def _told(self, request: Request, outcome: Outcome, told: str, back: str) -> Response:
        status = HTTPStatus.OK if outcome.done else HTTPStatus.BAD_REQUEST
        return await page(
            request, "devices/outcome.html", status=status, outcome=outcome, told=told, back=back
        )


def _chosen(form: Form) -> list[str]:
    """Without a script, ``all`` are those that the page has."""
    names = form.all("shown") if form.flag("all") and not form.flag("scripted") else form.all("device")
    return list(dict.fromkeys(name for name in names if name))[:MOST]


def _back(form: Form) -> str:
    """The list that they were chosen from."""
    address = form.text("back")
    return address if address == DEVICES or address.startswith(f"{DEVICES}?") else DEVICES


def _wrong(form: Form, action: str) -> str | None:
    """What is missing."""
    if action not in ACTIONS:
        return "Choose what is to be done."
    if action in ("join", "leave") and not form.text("to-group"):
        return "Say which group."
    if action == "assign" and not form.text("to-profile"):
        return "Choose a profile."
    return None


async def _done(api: Backend, form: Form, action: str, names: Sequence[str]) -> tuple[Outcome, str]:
    """And what is told of those it was done to."""
    group, profile, outcome = form.text("to-group"), form.text("to-profile"), Outcome()
    if action in ("join", "leave"):
        await _regroup(api, outcome, action, names, group, is_new=form.flag("new-group"))
        told = "In the group" if action == "join" else "Not in the group"
        return outcome, f"{told} {group} now: {_count(outcome.done)}."
    if action == "assign":
        body = {"profile": profile}
        await outcome.each(names, lambda name: api.send("PUT", f"{_path(name)}/profile", body))
        return outcome, f"Assigned the profile {profile}: {_count(outcome.done)}."
    if action == "unassign":
        await outcome.each(names, lambda name: api.send("DELETE", f"{_path(name)}/profile"))
        return outcome, f"No profile of their own any more: {_count(outcome.done)}."
    await outcome.each(names, lambda name: api.send("DELETE", _path(name)))
    return outcome, f"Removed: {_count(outcome.done)}."


async def _regroup(
    api: Backend, outcome: Outcome, action: str, names: Sequence[str], group: str, *, is_new: bool
) -> None:
    """All in one request; one by one if it is refused, to find out who is to blame."""
    member, path = "addDevices" if action == "join" else "removeDevices", f"/groups/{segment(group)}"
    try:
        if is_new and action == "join":
            await api.send("POST", "/groups", {"name": group})
        await api.send("PATCH", path, {member: list(names)})
        outcome.done = len(names)
    except Refusal as refusal:
        if refusal.status != HTTPStatus.BAD_REQUEST or len(names) == 1:
            outcome.refuse(names, refusal.detail)
        else:
            await outcome.each(names, lambda name: api.send("PATCH", path, {member: [name]}))


def _count(number: int) -> str:
    return "1 device" if number == 1 else f"{number} devices"


def _path(name: str) -> str:
    return f"/devices/{segment(name)}"
