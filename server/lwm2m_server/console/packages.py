"""Packages: firmware and software, brought, looked at, taken away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Any, Final

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from lwm2m_server.access.callers import Role
from lwm2m_server.console.backend import Refusal, segment
from lwm2m_server.console.forms import Form, form_of
from lwm2m_server.console.pages import is_htmx, page, see_other
from lwm2m_server.console.viewer import viewer_of

PACKAGES: Final = "/console/packages"
TYPES: Final = ("firmware", "software")
MOST_BYTES: Final = 1 << 33
"""Of an upload, which goes to the disk; the API may want less."""
PIECE: Final = 256 * 1024
_TEXTS: Final = ("name", "title", "version", "type", "tag", "description", "checksum")
FITS: Final = ("profile", "manufacturer", "model", "hardwareVersion")
_ONE: Final = "/packages/{name}"


class PackagePages:
    """``/console/packages``."""

    def routes(self) -> list[Route]:
        return [
            Route("/packages", self.list_all, methods=["GET"]),
            Route("/packages", self.upload, methods=["POST"]),
            Route("/new-package", self.show_upload, methods=["GET"]),
            Route(_ONE, self.show, methods=["GET"]),
            Route(f"{_ONE}/file", self.download, methods=["GET"]),
            Route(f"{_ONE}/delete", self.delete, methods=["POST"]),
        ]

    async def list_all(self, request: Request) -> Response:
        type = request.query_params.get("type")
        found = await viewer_of(request).api.get("/packages", type=type if type in TYPES else None)
        rows = sorted(found["packages"], key=lambda one: -one["createdAt"])
        return await page(request, "packages/list.html", packages=rows, types=TYPES)

    async def show(self, request: Request) -> Response:
        found = await viewer_of(request).api.get(_path(request))
        return await page(request, "packages/show.html", package=found)

    async def show_upload(self, request: Request) -> Response:
        return await self._form(request, {}, None)

    async def upload(self, request: Request) -> Response:
        """A file, or the address of one that lies elsewhere."""
        form, api = await form_of(request, MOST_BYTES), viewer_of(request).api
        file, address = form.file("file"), form.text("url")
        texts = {name: form.text(name) for name in _TEXTS if form.text(name)}
        fits = {name: form.text(name) for name in FITS if form.text(name)}
        try:
            if file is not None:
                query = {**texts, **fits, "fileName": file.filename}
                headers = {"content-type": "application/octet-stream"}
                answer = await api.call("POST", "/packages", query=query, headers=headers, body=_pieces(file))
                made = answer.json()
            elif address:
                made = await api.send("POST", "/packages", {**texts, "fits": fits, "url": address})
            else:
                raise Refusal(HTTPStatus.BAD_REQUEST, "choose a file, or say where one lies", {})
        except Refusal as refusal:
            if is_htmx(request):
                # The script shows it as text.
                return Response(refusal.detail, refusal.status, media_type="text/plain")
            return await self._form(request, _values(form), refusal.detail, refusal.status)
        return see_other(request, f"{PACKAGES}/{segment(made['name'])}", f"{made['name']} is there.")

    async def download(self, request: Request) -> Response:
        """Piece by piece."""
        api, closing = viewer_of(request).api, AsyncExitStack()
        answer = await closing.enter_async_context(api.open(f"{_path(request)}/file"))

        async def pieces() -> AsyncIterator[bytes]:
            async with closing:
                async for piece in answer.chunks:
                    yield piece

        headers = {
            "content-disposition": f'attachment; filename="{segment(request.path_params["name"])}"',
            "content-length": answer.headers["content-length"],
            "content-type": "application/octet-stream",
        }
        return StreamingResponse(pieces(), headers=headers)

    async def delete(self, request: Request) -> Response:
        await form_of(request)
        name = request.path_params["name"]
        await viewer_of(request).api.send("DELETE", _path(request))
        return see_other(request, PACKAGES, f"The package {name} is deleted.")

    async def _form(
        self, request: Request, values: dict[str, str], error: str | None, status: int = HTTPStatus.OK
    ) -> Response:
        viewer = viewer_of(request)
        profiles = (await viewer.api.get("/profiles"))["profiles"] if viewer.may(Role.READ) else []
        return await page(
            request,
            "packages/new.html",
            status=status,
            values=values,
            error=error,
            types=TYPES,
            profiles=[one["name"] for one in profiles],
        )


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    await file.seek(0)
    while piece := await file.read(PIECE):
        yield piece


def _values(form: Form) -> dict[str, str]:
    return {name: form.text(name) for name in (*_TEXTS, *FITS, "url")}


def _path(request: Request) -> str:
    """Of the API."""
    name: Any = request.path_params["name"]
    return f"/packages/{segment(name)}"
