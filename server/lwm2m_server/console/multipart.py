"""Files of a form as the body of another request (RFC 7578), piece by piece."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Final

from starlette.datastructures import UploadFile

PIECE: Final = 65_536
_FIELD: Final = "file"
_ESCAPED: Final = {'"': "%22", "\r": "%0D", "\n": "%0A"}


def as_multipart(files: Sequence[UploadFile]) -> tuple[dict[str, str], AsyncIterator[bytes]]:
    """Headers, and the body."""
    boundary = secrets.token_hex(16)
    return {"content-type": f"multipart/form-data; boundary={boundary}"}, _body(files, boundary)


async def _body(files: Sequence[UploadFile], boundary: str) -> AsyncIterator[bytes]:
    for file in files:
        name = "".join(_ESCAPED.get(letter, letter) for letter in file.filename or "")
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_FIELD}"; filename="{name}"\r\n\r\n'
        yield head.encode("utf-8", "replace")
        await file.seek(0)
        while piece := await file.read(PIECE):
            yield piece
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()
