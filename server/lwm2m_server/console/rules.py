"""Enrolment rules: made, changed, removed, and given keys. An administrator's."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Backend, Refusal, segment
from lwm2m_server.console.devices import group_names, profile_names
from lwm2m_server.console.enrolment import ENROLMENT
from lwm2m_server.console.forms import Form, form_of
from lwm2m_server.console.key_table import BadTable, read_keys
from lwm2m_server.console.pages import page, see_other
from lwm2m_server.console.viewer import administrator_of, viewer_of

PROOFS: Final = (
    ("certificate", "a certificate of an authority"),
    ("keys", "a pre-shared key of a batch"),
    ("masterKey", "a pre-shared key derived from one master key"),
    ("endpoint", "nothing: its name is believed (NoSec)"),
)
APPROVALS: Final = (("queue", "waits for somebody's word"), ("auto", "is let in at once"))
BATCH: Final = 1000
"""Keys in one request."""
TOLD: Final = 10
"""Keys that an error names."""
_LISTS: Final = ("endpoints", "labels", "groups", "rejected")
_TEXTS: Final = ("name", "by", "issuer", "subject", "identity", "profile", "approval", *_LISTS)
_NEW: Final = {
    **dict.fromkeys(_TEXTS, ""),
    "by": "certificate",
    "approval": "queue",
    "subject": "*",
    "identity": "{endpoint}",
    "pinned": False,
    "noSec": False,
}
_NO_NAMES: Final = (".", "..", "pending")
"""They mean something else in an address, of the API or any."""
_WRONG: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT)
_ONE: Final = "/enrolment/rules/{name}"


class RulePages:
    """``/console/new-enrolment-rule`` and ``/console/enrolment/rules/{name}``."""

    def routes(self) -> list[Route]:
        return [
            Route("/new-enrolment-rule", self.show_new, methods=["GET"]),
            Route("/new-enrolment-rule", self.create, methods=["POST"]),
            Route(_ONE, self.show, methods=["GET"]),
            Route(_ONE, self.change, methods=["POST"]),
            Route(f"{_ONE}/keys", self.add_keys, methods=["POST"]),
            Route(f"{_ONE}/delete", self.delete, methods=["POST"]),
        ]

    async def show_new(self, request: Request) -> Response:
        administrator_of(request)
        return await self._form(request, _NEW, None)

    async def create(self, request: Request) -> Response:
        form, api = await form_of(request), administrator_of(request).api
        name = form.text("name")
        wrong = await _wrong_name(api, name)
        if wrong is not None:
            return await self._form(request, _given(form), None, {"name": wrong}, status=400)
        try:
            await api.send("PUT", _path(name), _document(form))
        except Refusal as refusal:
            return await self._refused(request, form, None, refusal)
        return see_other(request, _address(name), f"The rule {name} is there.")

    # --- one -----------------------------------------------------------------------------------------

    async def show(self, request: Request) -> Response:
        rule = await _rule(administrator_of(request).api, request)
        return await self._form(request, _of_rule(rule), rule)

    async def change(self, request: Request) -> Response:
        form, api = await form_of(request), administrator_of(request).api
        rule = await _rule(api, request)
        try:
            await api.send("PUT", _path(rule["name"]), _document(form))
        except Refusal as refusal:
            return await self._refused(request, form, rule, refusal)
        notice = "The changes were saved. Devices that wait by this rule have to come again."
        return see_other(request, _address(rule["name"]), notice)

    async def add_keys(self, request: Request) -> Response:
        """A table, typed or from a file; what was typed is not shown again."""
        form, api = await form_of(request), administrator_of(request).api
        rule, file = await _rule(api, request), form.file("file")
        text = form.raw("keys") or ""
        try:
            rows = read_keys(f"{text}\n", await file.read() if file is not None else b"")
            stored = await _send_keys(api, rule["name"], rows)
        except BadTable as error:
            rule = await _rule(api, request)
            return await self._form(request, _of_rule(rule), rule, bad_keys=str(error), status=400)
        notice = f"Keys stored: {len(rows)}. Waiting for their devices: {stored}."
        return see_other(request, _address(rule["name"]), notice)

    async def delete(self, request: Request) -> Response:
        await form_of(request)
        name = request.path_params["name"]
        await viewer_of(request).api.send("DELETE", _path(name))
        return see_other(request, ENROLMENT, f"The rule {name} is removed.")

    # --- inner ---------------------------------------------------------------------------------------

    async def _refused(
        self, request: Request, form: Form, rule: Mapping[str, Any] | None, refusal: Refusal
    ) -> Response:
        if refusal.status not in _WRONG:
            raise refusal
        faults = refusal.members.get("faults") or {"": refusal.detail}
        wrong = {place.rpartition(".")[2]: reason for place, reason in faults.items()}
        return await self._form(request, _given(form), rule, wrong, status=refusal.status)

    async def _form(
        self,
        request: Request,
        given: Mapping[str, Any],
        rule: Mapping[str, Any] | None,
        wrong: Mapping[str, str] | None = None,
        *,
        bad_keys: str | None = None,
        status: int = HTTPStatus.OK,
    ) -> Response:
        api, wrong = viewer_of(request).api, wrong or {}
        known = {*_TEXTS, "masterKey", "noSec"}
        return await page(
            request,
            "enrolment/rule.html",
            status=status,
            given=given,
            rule=rule,
            base=_address(rule["name"]) if rule is not None else None,
            wrong=wrong,
            others=[reason for place, reason in wrong.items() if place not in known],
            bad_keys=bad_keys,
            proofs=PROOFS,
            approvals=APPROVALS,
            profiles=await profile_names(api),
            groups=await group_names(api),
        )


async def _rule(api: Backend, request: Request) -> dict[str, Any]:
    found: dict[str, Any] = await api.get(_path(request.path_params["name"]))
    return found


async def _wrong_name(api: Backend, name: str) -> str | None:
    """To put a rule that is there would be to make it anew."""
    if not name:
        return "A name is due."
    if "/" in name or name in _NO_NAMES:
        return "This is no name for a rule: it has to stand in an address."
    names = [one["name"] for one in (await api.get("/enrolments"))["enrolments"]]
    return "There is a rule of this name already." if name in names else None


async def _send_keys(api: Backend, name: str, rows: list[tuple[int, dict[str, str]]]) -> int:
    """How many wait then. Raises ``BadTable``, with the lines."""
    waiting = 0
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        body = {"keys": [row for _, row in part]}
        try:
            waiting = (await api.send("POST", f"{_path(name)}/keys", body))["keysWaiting"]
        except Refusal as refusal:
            if refusal.status not in _WRONG:
                raise
            before = f" Keys before line {part[0][0]} are stored." if start else ""
            raise BadTable(_reasons(refusal, part) + before) from refusal
    return waiting


def _reasons(refusal: Refusal, rows: list[tuple[int, dict[str, str]]]) -> str:
    """``keys[3].key: …`` as the line that it was."""
    told = []
    for place, reason in refusal.members.get("faults", {}).items():
        number, _, member = place.removeprefix("keys[").partition("]")
        line = f"Line {rows[int(number)][0]}" if number.isdigit() and int(number) < len(rows) else place
        told.append(f"{line}: {member.lstrip('.')}{': ' if member else ''}{reason}.")
    return " ".join(told[:TOLD]) or f"{refusal.detail}."


def _document(form: Form) -> dict[str, Any]:
    """With what a rule of its kind has; a secret that is not said stays."""
    by, text = form.text("by"), form.text
    document: dict[str, Any] = {name: _lines(form, name) for name in _LISTS}
    document |= {"by": by, "profile": text("profile") or None, "approval": text("approval")}
    if by == "certificate":
        names = {name: text(name) or None for name in ("issuer", "subject")}
        document["certificate"] = names | {"pinned": form.flag("pinned")}
    elif by == "endpoint":
        document["noSec"] = form.flag("noSec")
    elif by == "masterKey":
        document["identity"] = text("identity") or None
        if text("masterKey"):
            document["masterKey"] = "".join(text("masterKey").split())
    return document


def _given(form: Form) -> dict[str, Any]:
    """As it was typed, but for the secret."""
    texts = {name: form.raw(name) or "" for name in _TEXTS}
    return {**texts, "pinned": form.flag("pinned"), "noSec": form.flag("noSec")}


def _of_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    certificate = rule.get("certificate", {})
    lists = {name: "\n".join(rule.get(name, ())) for name in _LISTS}
    return {
        **_NEW,
        **lists,
        **{name: rule[name] for name in ("name", "by", "approval")},
        "issuer": certificate.get("issuer", ""),
        "subject": certificate.get("subject", "*"),
        "pinned": certificate.get("pinned", False),
        "noSec": rule.get("noSec", False),
        "identity": rule.get("identity", "{endpoint}"),
        "profile": rule.get("profile") or "",
    }


def _lines(form: Form, name: str) -> list[str]:
    return [line.strip() for line in (form.raw(name) or "").splitlines() if line.strip()]


def _path(name: str) -> str:
    """Of the API."""
    return f"/enrolments/{segment(name)}"


def _address(name: str) -> str:
    return f"{ENROLMENT}/rules/{segment(name)}"
