"""A table of devices: looked at first, let in then, and what came of each line."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Backend, Refusal, segment
from lwm2m_server.console.forms import form_of
from lwm2m_server.console.pages import is_htmx, page, part, see_other
from lwm2m_server.console.viewer import Viewer, operator_of, viewer_of

IMPORT: Final = "/console/import-devices"
CSV: Final = "text/csv"
MOST_BYTES: Final = 16 * 1024 * 1024 + 65_536
"""Of a form with a table; the API takes 16 MiB."""
MOST_KEPT: Final = 4
"""Tables that wait for a word, of all viewers."""
ROWS: Final = 200
"""Lines shown at once, and a little more."""
OUTCOMES: Final[Mapping[str, str]] = {"created": "new", "unchanged": "there already", "refused": "refused"}
COLUMNS: Final = (
    ("name", "What it is called here; the only one that is needed"),
    ("endpoint", "What it registers as. Default: the name"),
    ("profile", "A device profile"),
    ("labels", "Several with ; between"),
    ("groups", "Device groups, several with ; between"),
    ("mode", "NO_SEC, PSK, RPK or X509. Default: that of what is there"),
    ("identity", "PSK identity"),
    ("key", "Pre-shared key in hexadecimal digits, or a raw public key in base64"),
    ("cert", "Certificate, base64 of DER"),
    ("bootstrapMode", "Security mode of the bootstrap server"),
    ("bootstrapIdentity", "PSK identity, public key or certificate for it"),
    ("bootstrapKey", "The key to that"),
)
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")


@attrs.frozen
class Kept:
    """A table that was looked at, and whose: it has keys in it, so it is nowhere but in memory."""

    csrf: str
    tenant: str | None
    table: bytes


class ImportPages:
    """``/console/import-devices``, and each import by its number."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}

    def routes(self) -> list[Route]:
        one = "/imports/{id:int}"
        return [
            Route("/import-devices", self.show_form, methods=["GET"]),
            Route("/import-devices", self.look, methods=["POST"]),
            Route("/import-devices/template.csv", self.template, methods=["GET"]),
            Route(one, self.show, methods=["GET"]),
            Route(f"{one}/confirm", self.confirm, methods=["POST"]),
            Route(f"{one}/refused.csv", self.refused, methods=["GET"]),
        ]

    async def show_form(self, request: Request) -> Response:
        operator_of(request)
        return await self._form(request, None)

    async def template(self, request: Request) -> Response:
        return _file(",".join(name for name, _ in COLUMNS) + "\n", "devices.csv")

    async def look(self, request: Request) -> Response:
        """What would come of each line; nothing is changed."""
        form, viewer = await form_of(request, MOST_BYTES), viewer_of(request)
        file = form.file("file")
        if file is None:
            return await self._form(request, "Choose the file with the table.")
        table = await file.read()
        try:
            id = await self._begin(viewer, table, dry=True)
        except Refusal as refusal:
            return await self._form(request, refusal.detail, refusal.status)
        # Whoever chooses another one does not want the one before.
        self._kept = {other: kept for other, kept in self._kept.items() if kept.csrf != viewer.csrf}
        while len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[id] = Kept(viewer.csrf, viewer.tenant, table)
        return see_other(request, f"/console/imports/{id}")

    async def confirm(self, request: Request) -> Response:
        await form_of(request)
        viewer, id = viewer_of(request), str(request.path_params["id"])
        if not self._waits(viewer, id):
            return see_other(request, IMPORT, "The table is not here any more: choose it again.")
        begun = await self._begin(viewer, self._kept[id].table, dry=False)
        del self._kept[id]
        return see_other(request, f"/console/imports/{begun}")

    async def show(self, request: Request) -> Response:
        viewer, id = viewer_of(request), request.path_params["id"]
        outcome, after = request.query_params.get("outcome", ""), request.query_params.get("after", "")
        found = await viewer.api.get(f"/imports/{id}", limit=1)
        lines, next = list[Any](), None
        if found["state"] != "running":
            chosen = outcome if outcome in (*OUTCOMES, "all") else "refused" if found["refused"] else "all"
            start = int(after) if after.isascii() and after.isdigit() and len(after) < 9 else 0
            lines, next = await _lines(viewer.api, id, chosen, start)
            outcome = chosen
        context = {
            "found": found,
            "lines": lines,
            "next": next,
            "outcome": outcome,
            "outcomes": OUTCOMES,
            "base": f"/console/imports/{id}",
            "can_confirm": found["dryRun"] and found["created"] > 0 and self._waits(viewer, str(id)),
        }
        if is_htmx(request):
            return await part(request, "importing/progress.html", **context)
        return await page(request, "importing/show.html", **context)

    async def refused(self, request: Request) -> Response:
        """As a table, to be mended."""
        id, api, rows = request.path_params["id"], viewer_of(request).api, list[Any]()
        after: int | None = 0
        while after is not None:
            more, after = await _lines(api, id, "refused", after)
            rows += more
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("line", "name", "reason"))
        writer.writerows((one["line"], _cell(one["name"] or ""), _cell(one["reason"] or "")) for one in rows)
        return _file(text.getvalue(), f"import-{id}-refused.csv")

    # --- parts -------------------------------------------------------------------------------------

    async def _begin(self, viewer: Viewer, table: bytes, *, dry: bool) -> str:
        query = {"dryRun": "true"} if dry else {}
        headers = {"content-type": CSV}
        answer = await viewer.api.call("POST", "/imports", query=query, headers=headers, body=table)
        return segment(answer.json()["id"])

    def _waits(self, viewer: Viewer, id: str) -> bool:
        """Only who has sent a table can let it in, and for the same tenant."""
        kept = self._kept.get(id)
        return kept is not None and (kept.csrf, kept.tenant) == (viewer.csrf, viewer.tenant)

    async def _form(self, request: Request, wrong: str | None, status: int | None = None) -> Response:
        if status is None:
            status = HTTPStatus.OK if wrong is None else HTTPStatus.BAD_REQUEST
        return await page(request, "importing/choose.html", status=status, wrong=wrong, columns=COLUMNS)


async def _lines(api: Backend, id: int, outcome: str, after: int) -> tuple[list[Any], int | None]:
    """Some lines of which this came (``all`` for any), and where to go on."""
    found, wanted = list[Any](), outcome if outcome in OUTCOMES else None
    start: int | None = after
    while start is not None and len(found) < ROWS:
        some = await api.get(f"/imports/{id}", after=start, limit=ROWS, outcome=wanted)
        found += some["report"]
        start = some.get("next")
    return found, start


def _cell(text: str) -> str:
    """No formula for a spreadsheet."""
    return f"'{text}" if text.startswith(_FORMULAS) else text


def _file(text: str, name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type=CSV, headers=headers)
