"""Object models: those in force, what they define and who uses them; uploading, replacing, taking away."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.access.callers import Role
from lwm2m_server.console.backend import Answer, Backend, Refusal, segment
from lwm2m_server.console.forms import form_of
from lwm2m_server.console.model_versions import differences
from lwm2m_server.console.multipart import as_multipart
from lwm2m_server.console.pages import page, see_other, url
from lwm2m_server.console.paging import offset_of, page_of
from lwm2m_server.console.viewer import Viewer, viewer_of

MODELS: Final = "/console/models"
ROWS: Final = 50
MOST_BYTES: Final = 64 * 1024 * 1024
"""Of an upload; the API may want less."""
MOST_VERSIONS: Final = 100
LEVELS: Final[Mapping[str, str]] = {
    "bundled": "Bundled",
    "folder": "Folder",
    "system": "System",
    "tenant": "Tenant",
}
"""The later counts where several define the same version."""
_ONE: Final = "/models/{object}/{version}"


class ModelPages:
    """``/console/models``."""

    def routes(self) -> list[Route]:
        return [
            Route("/models", self.list_all, methods=["GET"]),
            Route("/models/upload", self.show_upload, methods=["GET"]),
            Route("/models/upload", self.upload, methods=["POST"]),
            Route("/models/uploads/{id}", self.show_report, methods=["GET"]),
            Route(_ONE, self.show, methods=["GET"]),
            Route(f"{_ONE}/file", self.download, methods=["GET"]),
            Route(f"{_ONE}/replace", self.replace, methods=["POST"]),
            Route(f"{_ONE}/delete", self.delete, methods=["POST"]),
        ]

    async def list_all(self, request: Request) -> Response:
        viewer, query = viewer_of(request), request.query_params
        level = query.get("level", "")
        found = await viewer.api.get(
            "/models",
            q=query.get("q"),
            level=level if level in LEVELS else None,
            limit=ROWS,
            offset=offset_of(request),
        )
        rows = found["models"]
        return await page(
            request,
            "models/list.html",
            models=rows,
            levels=LEVELS,
            pages=page_of(request, rows, found["total"], ROWS),
            owned=_owned(viewer),
        )

    # --- one -----------------------------------------------------------------------------------------

    async def show(self, request: Request) -> Response:
        """``compare`` is another version to tell the differences from."""
        viewer = viewer_of(request)
        path, level = _path(request), _level(request.query_params.get("level"))
        model = await viewer.api.get(path, level=level)
        others = (await viewer.api.get("/models", object=model["objectId"], limit=MOST_VERSIONS))["models"]
        return await page(
            request,
            "models/show.html",
            model=model,
            level=level,
            others=others,
            compared=await self._compared(viewer.api, model, request.query_params.get("compare", "")),
            levels=LEVELS,
            owned=_owned(viewer),
        )

    async def _compared(self, api: Backend, model: Mapping[str, Any], place: str) -> dict[str, Any] | None:
        """``place`` is ``<level>:<version>``."""
        level, _, version = place.partition(":")
        if not version:
            return None
        other = await api.get(f"/models/{segment(model['objectId'])}/{segment(version)}", level=_level(level))
        return {"version": other["objectVersion"], "level": other["level"], "rows": differences(other, model)}

    async def download(self, request: Request) -> Response:
        level = _level(request.query_params.get("level"))
        answer = await viewer_of(request).api.call("GET", f"{_path(request)}/file", query={"level": level})
        names = ("content-type", "content-disposition", "cache-control")
        return Response(answer.body, headers={name: answer.headers[name] for name in names})

    async def replace(self, request: Request) -> Response:
        """The same version, from another file."""
        form, viewer = await form_of(request, MOST_BYTES), viewer_of(request)
        file, level = form.file("file"), form.text("level")
        if file is None:
            return see_other(request, _address(request, level), "Choose the file to put in its place.")
        report = await _send(viewer.api, "PUT", _path(request), [file], {"level": level})
        return _told(request, viewer, report, level)

    async def delete(self, request: Request) -> Response:
        """Asks once more, and tells who uses it, if somebody would miss it."""
        form, viewer = await form_of(request), viewer_of(request)
        level, path = form.text("level"), _path(request)
        query = {"level": level, "force": form.flag("force")}
        try:
            found = await viewer.api.send("DELETE", path, query=query)
        except Refusal as refusal:
            if refusal.status != HTTPStatus.CONFLICT or "users" not in refusal.members:
                raise
            model = await viewer.api.get(path, level=level)
            users = refusal.members["users"]
            return await page(
                request,
                "models/used.html",
                status=HTTPStatus.CONFLICT,
                model=model,
                users=users,
                detail=refusal.detail,
            )
        below = found["inForce"]
        name = f"{request.path_params['object']}/{request.path_params['version']}"
        notice = f"Model {name} is deleted."
        if below is not None:
            notice += f" That of the level {below['level']} is in force now."
        return see_other(request, MODELS, notice)

    # --- uploading -----------------------------------------------------------------------------------

    async def show_upload(self, request: Request) -> Response:
        return await page(request, "models/upload.html", owned=_owned(viewer_of(request)), error=None)

    async def upload(self, request: Request) -> Response:
        form, viewer = await form_of(request, MOST_BYTES), viewer_of(request)
        files, level = form.files("file"), form.text("level")
        if not files:
            return await page(
                request,
                "models/upload.html",
                status=HTTPStatus.BAD_REQUEST,
                owned=_owned(viewer),
                error="Choose one file at least.",
            )
        query = {"level": level, "replace": form.flag("replace")}
        return _told(request, viewer, await _send(viewer.api, "POST", "/models", files, query), level)

    async def show_report(self, request: Request) -> Response:
        report = viewer_of(request).session.drafts.get(_draft(request.path_params["id"]))
        if report is None:
            return see_other(request, MODELS)
        return await page(request, "models/report.html", report=report, levels=LEVELS)


async def _send(
    api: Backend, method: str, path: str, files: Sequence[UploadFile], query: Mapping[str, object]
) -> Mapping[str, Any]:
    """The report, also of an upload of which nothing is kept. Raises ``Refusal`` for what has none."""
    headers, body = as_multipart(files)
    try:
        answer: Answer = await api.call(method, path, query=query, headers=headers, body=body)
    except Refusal as refusal:
        if "files" not in refusal.members:
            raise
        return refusal.members
    report: Mapping[str, Any] = answer.json()
    return report


def _told(request: Request, viewer: Viewer, report: Mapping[str, Any], level: str) -> Response:
    """To the page that tells what became of an upload."""
    id = secrets.token_hex(8)
    viewer.session.keep(
        _draft(id), {"files": report["files"], "mappings": report["mappings"], "level": level}
    )
    return see_other(request, f"{MODELS}/uploads/{id}")


def _draft(id: str) -> str:
    return f"upload of models {id}"


def _owned(viewer: Viewer) -> Sequence[tuple[str, str]]:
    """The levels that a viewer may change, to choose from."""
    found = [("tenant", f"Tenant {viewer.tenant}")] if viewer.may(Role.ADMIN) else []
    return [*found, *([("system", "System: every tenant")] if viewer.is_system else [])]


def _path(request: Request) -> str:
    """Of the API."""
    object, version = (segment(request.path_params[name]) for name in ("object", "version"))
    return f"/models/{object}/{version}"


def _address(request: Request, level: str) -> str:
    object, version = (segment(request.path_params[name]) for name in ("object", "version"))
    return url(f"{MODELS}/{object}/{version}", level=level)


def _level(text: str | None) -> str | None:
    return text if text in LEVELS else None
