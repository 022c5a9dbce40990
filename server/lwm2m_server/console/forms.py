"""``Form``: what a browser posts, bounded, and only from pages of this console."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from lwm2m_server.console.sessions import Session

MAX_FORM: Final = 4 * 1024 * 1024
MAX_FIELDS: Final = 40_000
MAX_FILES: Final = 500
FIELD: Final = "csrf"
HEADER: Final = "x-csrf-token"
_URLENCODED, _MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"


class Form:
    """Fields in their order; texts without space around them."""

    def __init__(self, data: FormData) -> None:
        self._data = data

    def text(self, name: str, default: str = "") -> str:
        """The last value of that name."""
        value = self._data.get(name)
        return value.strip() if isinstance(value, str) else default

    def raw(self, name: str) -> str | None:
        """As it was typed; ``None`` if there is no such field."""
        value = self._data.get(name)
        return value if isinstance(value, str) else None

    def all(self, name: str) -> list[str]:
        return [one.strip() for one in self._data.getlist(name) if isinstance(one, str)]

    def flag(self, name: str) -> bool:
        """Whether a check box is checked."""
        return self.text(name) not in ("", "false", "off", "0")

    def file(self, name: str) -> UploadFile | None:
        """One that was chosen; it is spooled to disk, and gone after the request."""
        found = self.files(name)
        return found[0] if found else None

    def files(self, name: str) -> list[UploadFile]:
        return [one for one in self._data.getlist(name) if isinstance(one, UploadFile) and one.filename]

    def names(self) -> Iterator[str]:
        """Of all fields."""
        return iter(dict.fromkeys(name for name, _ in self._data.multi_items()))


async def form_of(request: Request, most: int = MAX_FORM) -> Form:
    """Of at most ``most`` bytes, with all files. Raises ``HTTPException``: 400, 403, 413."""
    session: Session = request.scope["viewer"].session
    form = await read_form(request, most)
    token = request.headers.get(HEADER) or form.raw(FIELD) or ""
    if not hmac.compare_digest(token.encode("utf-8", "replace"), session.csrf.encode()):
        raise HTTPException(
            HTTPStatus.FORBIDDEN, "this form is of another session; go back, reload the page and try again"
        )
    return form


async def read_form(request: Request, most: int = MAX_FORM) -> Form:
    """Without a session to compare with. Raises ``HTTPException``."""
    check_origin(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # Nothing at all is an empty form.
    if kind in (_URLENCODED, ""):
        return Form(await _urlencoded(request, most))
    if kind == _MULTIPART:
        return Form(await _multipart(request, most))
    raise HTTPException(HTTPStatus.BAD_REQUEST, "this is no form")


def check_origin(request: Request) -> None:
    """Refuse what another site makes a browser send (Fetch Metadata; RFC 6454). Raises ``HTTPException``."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        is_own = site in ("same-origin", "none")
    elif origin is not None:
        is_own = urlsplit(origin).netloc == request.headers.get("host")
    else:
        is_own = True
    if not is_own:
        raise HTTPException(HTTPStatus.FORBIDDEN, "this came from another site")


async def _urlencoded(request: Request, most: int) -> FormData:
    body = bytearray()
    async for chunk in _bounded(request, most):
        body += chunk
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "this is no form") from error
    return FormData(list[tuple[str, str | UploadFile]](pairs))


async def _multipart(request: Request, most: int) -> FormData:
    headers = Headers(scope=request.scope)
    parser = MultiPartParser(
        headers,
        _bounded(request, most),
        max_files=MAX_FILES,
        max_fields=MAX_FIELDS,
        max_part_size=min(most, MAX_FORM),
    )
    try:
        data = await parser.parse()
    except (MultiPartException, KeyError) as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"this is no form: {error}") from error
    closing: AsyncExitStack = request.scope["closing"]
    closing.push_async_callback(data.close)
    return data


async def _bounded(request: Request, most: int) -> Any:
    seen = 0
    async for chunk in request.stream():
        seen += len(chunk)
        if seen > most:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {most} bytes")
        yield chunk
