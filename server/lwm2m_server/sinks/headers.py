"""Headers an application wants in what it is sent (``poah``): ``Name:value``, checked so that no value
becomes a header of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
"""A token (RFC 9110, 5.6.2)."""
_VALUE: Final = re.compile(r"[\t -~\x80-\xff]{0,4096}")
_OURS: Final = frozenset(
    (
        *("connection", "content-encoding", "content-length", "content-type", "expect", "host", "keep-alive"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
        *("x-m2m-origin", "x-m2m-ri", "x-m2m-rvi"),
    )
)
"""What the message itself needs."""
MOST: Final = 50


class BadHeader(ValueError):
    """The text says which, and why."""


def read_headers(lines: Iterable[str]) -> dict[str, str]:
    """Raises ``BadHeader``."""
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        value = value.strip(" \t")
        if not colon or not _NAME.fullmatch(name):
            raise BadHeader(f"{line[:60]!r} is not NAME:VALUE with a header's name")
        if not _VALUE.fullmatch(value):
            raise BadHeader(f"the value of {name} has characters that no header has, or too many")
        if name.lower() in _OURS:
            raise BadHeader(f"the header {name} is the server's own")
        headers[name] = value
    if len(headers) > MOST:
        raise BadHeader(f"{len(headers)} headers; up to {MOST} are sent")
    return headers
