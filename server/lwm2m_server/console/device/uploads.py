"""Opaque values that are files: as if their bytes had been typed."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import attrs
from starlette.exceptions import HTTPException

from lwm2m_server.console.forms import Form

SUFFIX: Final = ".file"
LARGEST: Final = 1024 * 1024
"""Bytes of one value."""


@attrs.frozen
class Filled:
    """A form whose files are hexadecimal texts in the fields they belong to."""

    form: Form
    files: Mapping[str, str]

    def text(self, name: str, default: str = "") -> str:
        if name in self.files:
            return self.files[name]
        if name.removesuffix(".as") in self.files:
            return "hex"
        return self.form.text(name, default)

    def raw(self, name: str) -> str | None:
        return self.form.raw(name)

    def all(self, name: str) -> list[str]:
        return self.form.all(name)


async def with_files(form: Form) -> Filled:
    """Raises ``HTTPException`` for a file that is too large."""
    files: dict[str, str] = {}
    for name in form.names():
        file = form.file(name) if name.endswith(SUFFIX) else None
        if file is None:
            continue
        data = await file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {LARGEST} bytes")
        files[name.removesuffix(SUFFIX)] = data.hex()
    return Filled(form, files)
