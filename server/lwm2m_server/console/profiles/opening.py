"""``Opened``: the profile that a request is about, as it is saved and as the session edits it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
from starlette.exceptions import HTTPException
from starlette.requests import Request

from lwm2m_server.access.callers import Role
from lwm2m_server.console.backend import Refusal, segment
from lwm2m_server.console.pages import url
from lwm2m_server.console.profiles.draft import Draft
from lwm2m_server.console.profiles.faults import Faults
from lwm2m_server.console.viewer import Viewer, viewer_of

MOST: Final = 524_288
"""Bytes of a document, as for the API."""
TABS: Final = (
    ("details", "Details"),
    ("transport", "Transport configuration"),
    ("bootstrap", "Bootstrap"),
    ("use", "Device use"),
    ("json", "JSON"),
)


@attrs.frozen
class Opened:
    """``edit=1`` shows what the session edits; nobody else sees that."""

    viewer: Viewer
    name: str
    """That it is saved by."""
    document: Mapping[str, Any]
    tag: str
    editing: bool

    @property
    def path(self) -> str:
        """Of its pages."""
        return f"/console/profiles/{segment(self.name)}"

    @property
    def api_path(self) -> str:
        return f"/profiles/{segment(self.name)}"

    @property
    def is_edited(self) -> bool:
        """Whether the session has a draft of it."""
        return self._key in self.viewer.session.drafts

    def draft(self) -> Draft:
        """As it is edited, or as it is saved."""
        found = self.viewer.session.drafts.get(self._key) if self.editing else None
        return Draft.of(self.document, self.tag) if found is None else Draft.load(found)

    def keep(self, draft: Draft) -> None:
        """Until it is saved, or the session ends. Raises ``HTTPException``."""
        data = draft.dump()
        if len(data) > 4 * MOST:
            raise HTTPException(413, f"a profile has at most {MOST} bytes")
        self.viewer.session.keep(self._key, data)

    def discard(self) -> None:
        self.viewer.session.drafts.pop(self._key, None)

    def at(self, tab: str, **query: object) -> str:
        """The address of one of its pages, in the same mode."""
        return url(f"{self.path}/{tab}", edit="1" if self.editing else None, **query)

    async def check(self, draft: Draft) -> tuple[Faults, list[dict[str, str]]]:
        """What is wrong with a draft, and what may not be as it was meant."""
        try:
            found = await self.viewer.api.send("POST", "/profiles/check", draft.document())
        except Refusal as error:
            if error.status != 400:
                raise
            told = error.members.get("faults") or [{"place": "", "reason": error.detail}]
            return Faults.of(told, draft.configuration), []
        return Faults(), found["notes"]

    @property
    def _key(self) -> str:
        return f"profile {self.viewer.tenant}/{self.name}"


async def opened(request: Request, *, to_edit: bool = False) -> Opened:
    """The one in the path. Raises ``Refusal``; ``to_edit`` for who may not edit profiles, too."""
    viewer, name = viewer_of(request), request.path_params["name"]
    may_edit = viewer.may(Role.ADMIN)
    if to_edit and not may_edit:
        raise Refusal(403, "to edit profiles takes the role admin", {})
    answer = await viewer.api.call("GET", f"/profiles/{segment(name)}")
    editing = to_edit or (may_edit and request.query_params.get("edit") == "1")
    return Opened(viewer, name, answer.json(), answer.headers["etag"], editing)


async def frame(one: Opened, draft: Draft, tab: str) -> dict[str, Any]:
    """What all its pages show around their own."""
    faults, notes = Faults(), list[dict[str, str]]()
    is_changed = one.editing and one.is_edited and draft.is_changed
    if is_changed:
        faults, notes = await one.check(draft)
    return {
        "one": one,
        "draft": draft,
        "tab": tab,
        "tabs": [(one.at(key), label, key == tab) for key, label in TABS],
        "is_changed": is_changed,
        "is_overtaken": one.editing and one.is_edited and draft.tag != one.tag,
        "faults": faults,
        "notes": notes,
    }
