"""Files in bodies of requests: one as it is, or several in parts (RFC 7578). Bounded, and in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from http import HTTPStatus

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from lwm2m_server.http.describing import MULTIPART
from lwm2m_server.http.problems import Problem


async def read_files(
    request: Request, *, size: int, files: int, types: Collection[str]
) -> list[tuple[str | None, bytes]]:
    """Names, where the parts have them, and contents; of a body of one of ``types`` the only one.

    Raises ``Problem``, also for more than ``size`` bytes of body or more than ``files`` parts.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == MULTIPART:
        return await _parts(request, size, files)
    if media_type not in types:
        known = ", ".join([MULTIPART, *types])
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"{media_type[:80]!r} is none of {known}")
    return [(None, b"".join([chunk async for chunk in _bounded(request, size)]))]


async def _parts(request: Request, size: int, files: int) -> list[tuple[str | None, bytes]]:
    parser = MultiPartParser(request.headers, _bounded(request, size), max_files=files, max_fields=0)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        reason = getattr(error, "message", "its boundary is missing")
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body is no multipart/form-data: {reason}") from error
    try:
        return [
            (part.filename, await part.read())
            for _, part in form.multi_items()
            if isinstance(part, UploadFile)
        ]
    finally:
        await form.close()


async def _bounded(request: Request, size: int) -> AsyncGenerator[bytes, None]:
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > size:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {size} bytes")
        yield chunk
