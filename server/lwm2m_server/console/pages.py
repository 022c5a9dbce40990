"""From what a view has found out to what the browser gets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit, urlunsplit

import jinja2
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lwm2m_server.console.assets import asset
from lwm2m_server.console.backend import segment
from lwm2m_server.console.navigation import menu
from lwm2m_server.console.viewer import Viewer

TEMPLATES: Final = Path(__file__).parent / "templates"
HOME: Final = "/console/"
SIGN_IN: Final = "/console/sign-in"
SECURITY: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
"""On everything that the console answers."""
_HTML: Final = "text/html"
# One thread: pages of one viewer are rendered in order, and devices are served between two of its turns.
_RENDERER: Final = ThreadPoolExecutor(1, "console")


async def page(
    request: Request,
    template: str,
    /,
    *,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> Response:
    """A whole page. Templates are rendered off the event loop: ``context`` is plain data."""
    viewer: Viewer | None = request.scope.get("viewer")
    more: dict[str, Any] = {"viewer": viewer, "here": request.scope["path"], "query": request.query_params}
    if viewer is not None:
        notices = viewer.session.notices
        more |= {"menu": menu(viewer), "notices": list(notices)}
        # What a page asks again for itself shows a part of it: a notice would be lost.
        if not is_htmx(request):
            notices.clear()
    return await _answer(template, {**more, **context}, status, headers)


async def part(
    request: Request,
    template: str,
    /,
    *,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> Response:
    """A fragment for htmx to put into a page."""
    more = {
        "viewer": request.scope.get("viewer"),
        "here": request.scope["path"],
        "query": request.query_params,
    }
    return await _answer(template, {**more, **context}, status, headers)


async def rendered(template: str, context: Mapping[str, Any]) -> str:
    """The text of a template, e.g. for an event of a stream."""
    found = _environment().get_template(template)
    return await asyncio.get_running_loop().run_in_executor(_RENDERER, lambda: found.render(context))


def see_other(request: Request, url: str, notice: str | None = None) -> Response:
    """After something was done: ``notice`` is told on the page that is seen next."""
    viewer: Viewer | None = request.scope.get("viewer")
    if notice is not None and viewer is not None:
        viewer.session.notices.append(notice)
    if is_htmx(request):
        return Response(status_code=HTTPStatus.OK, headers={"hx-redirect": url})
    return RedirectResponse(url, HTTPStatus.SEE_OTHER)


def previous(request: Request) -> str:
    """The page of this console that a form was on."""
    parts = urlsplit(request.headers.get("referer", ""))
    is_ours = parts.netloc == request.headers.get("host") and parts.path.startswith("/console/")
    return urlunsplit(("", "", parts.path, parts.query, "")) if is_ours else HOME


def is_htmx(request: Request) -> bool:
    """Whether a fragment is expected."""
    return request.headers.get("hx-request") == "true"


def url(path: str, /, **query: object) -> str:
    """A path with those arguments that say something."""
    said = {key: value for key, value in query.items() if value not in (None, "", False)}
    return f"{path}?{urlencode(said, doseq=True)}" if said else path


async def _answer(
    template: str, context: Mapping[str, Any], status: int, headers: Mapping[str, str] | None
) -> Response:
    return Response(await rendered(template, context), status, headers, media_type=_HTML)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "segment": segment,
        "utc": _utc,
        "iso": _iso,
        "words": _words,
        "anchor": _anchor,
        "bytes": _bytes,
        "hexlines": _hexlines,
    }
    environment.globals |= {"asset": asset, "url": url}
    return environment


def _moment(ms: float) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _utc(ms: float) -> str:
    """For those without JavaScript."""
    try:
        return f"{_moment(ms):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, OSError, ValueError):
        return f"{ms:.0f} ms"


def _iso(ms: float) -> str:
    """As ``datetime`` of ``<time>`` wants it."""
    try:
        return f"{_moment(ms):%Y-%m-%dT%H:%M:%S}.{int(ms) % 1000:03d}Z"
    except (OverflowError, OSError, ValueError):
        return ""


def _words(name: str) -> str:
    """``lastSeen`` and ``last_seen`` as ``Last seen``."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_-]", " ", name).strip()
    return text[:1].upper() + text[1:].lower() if text else text


def _anchor(text: object) -> str:
    """As part of an ``id``: letters, digits, ``-`` and ``_``; different texts stay different."""
    return re.sub(r"[^A-Za-z0-9-]", lambda found: f"_{ord(found[0]):x}_", str(text))


def _bytes(count: float) -> str:
    """With a unit."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"


def _hexlines(digits: str) -> Markup:
    """Hexadecimal digits, sixteen bytes a line."""
    pairs = re.findall("[0-9a-fA-F]{2}", digits)
    lines = (" ".join(pairs[at : at + 16]) for at in range(0, len(pairs), 16))
    return Markup("\n".join(lines))  # noqa: S704  nothing but digits
