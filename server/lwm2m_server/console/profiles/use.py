"""The tab 'Device use' of a profile: groups, rules, the default, and the devices that follow from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Backend, Refusal
from lwm2m_server.console.forms import Form, form_of
from lwm2m_server.console.pages import page, see_other
from lwm2m_server.console.profiles.opening import frame, opened
from lwm2m_server.console.profiles.values import number

PAGE: Final = 50
"""Devices a page."""
PATTERNS: Final = ("endpoint", "manufacturer", "model")
MAX_RULES: Final = 100
GROUPS: Final = 100
"""Up to so many are offered to be checked; of more, names are typed."""


class UsePages:
    """What is said here is no part of the document, and is in force when it is said."""

    def routes(self) -> list[Route]:
        return [
            Route("/profiles/{name}/use", self.show, methods=["GET"]),
            Route("/profiles/{name}/use", self.appoint, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        one = await opened(request)
        assignment = await one.viewer.api.get(f"{one.api_path}/assignment")
        return await self._shown(request, assignment, None)

    async def appoint(self, request: Request) -> Response:
        """In place of what was said before."""
        form, one = await form_of(request), await opened(request, to_edit=True)
        document = _assignment(form)
        try:
            await one.viewer.api.send("PUT", f"{one.api_path}/assignment", document)
        except Refusal as error:
            if error.status not in (400, 409):
                raise
            return await self._shown(request, document, error.detail)
        return see_other(request, f"{one.path}/use", "The profile is for these devices now.")

    async def _shown(self, request: Request, assignment: dict[str, Any], refused: str | None) -> Response:
        one = await opened(request, to_edit=refused is not None)
        query = {"limit": PAGE, "after": request.query_params.get("after")}
        found = await one.viewer.api.get(f"{one.api_path}/devices", **query)
        context = await frame(one, one.draft(), "use")
        context["groups"] = await _groups(one.viewer.api, assignment) if one.editing else []
        context |= {
            "assignment": assignment,
            "found": found,
            "refused": refused,
            "patterns": PATTERNS,
            "next": one.at("use", after=found["next"]) if "next" in found else None,
            "is_first": query["after"] is None,
        }
        return await page(request, "profiles/use.html", status=422 if refused else 200, **context)


async def _groups(api: Backend, assignment: Mapping[str, Any]) -> list[str] | None:
    """Names to choose from; ``None`` if there are too many of them."""
    known = await api.get("/groups", limit=GROUPS)
    if known["total"] > GROUPS:
        return None
    return sorted({*assignment["groups"], *(group["name"] for group in known["groups"])})


def _assignment(form: Form) -> dict[str, Any]:
    typed = (name.strip() for name in form.text("groups").splitlines())
    return {
        "groups": [*form.all("group"), *filter(None, typed)],
        "rules": list(_rules(form)),
        "default": form.flag("default"),
    }


def _rules(form: Form) -> Iterator[dict[str, Any]]:
    """Lines in which a pattern is typed."""
    for index in range(MAX_RULES + 1):
        patterns = {name: form.text(f"{index}:{name}") or None for name in PATTERNS}
        if any(patterns.values()):
            yield {"priority": number(form.text(f"{index}:priority") or "10"), **patterns}
