"""Files that pages need: style, scripts, pictures. Their addresses change with their content."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Final

import attrs
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

STATIC: Final = Path(__file__).parent / "static"
PREFIX: Final = "/console/static/"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".csv": "text/csv; charset=utf-8",
}
_FOR_A_YEAR: Final = "public, max-age=31536000, immutable"


@attrs.frozen
class Asset:
    """One file, as it is sent."""

    plain: bytes
    packed: bytes
    media_type: str
    digest: str


@cache
def _all() -> dict[str, Asset]:
    """Read once, all at the first request for any: they are few and small."""
    files = (file for file in sorted(STATIC.rglob("*")) if file.suffix in _TYPES)
    return {file.relative_to(STATIC).as_posix(): _read(file) for file in files}


def _read(file: Path) -> Asset:
    plain = file.read_bytes()
    packed = gzip.compress(plain, 9, mtime=0)
    return Asset(plain, packed, _TYPES[file.suffix], hashlib.sha256(plain).hexdigest()[:16])


def asset(name: str) -> str:
    """The address of a file. Raises ``KeyError``."""
    return f"{PREFIX}{name}?{_all()[name].digest}"


async def send_asset(request: Request) -> Response:
    """For everybody, signed in or not."""
    found = _all().get(request.path_params["name"])
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such file")
    is_current = request.url.query == found.digest
    headers = {"cache-control": _FOR_A_YEAR if is_current else "no-cache", "vary": "accept-encoding"}
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(found.plain, headers=headers, media_type=found.media_type)
    headers["content-encoding"] = "gzip"
    return Response(found.packed, headers=headers, media_type=found.media_type)
