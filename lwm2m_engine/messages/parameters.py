"""The Uri-Query options of what clients say at ``/rd`` and ``/bs``, each to be taken once."""

from __future__ import annotations

import attrs

from lwm2m_engine.coap import Code
from lwm2m_engine.errors import RequestError

MAX_NAME_BYTES = 255
"""Longest Endpoint Client Name; a Uri-Query option is no longer either (RFC 7252, 5.10)."""
MAX_PARAMETERS = 32


@attrs.define(slots=True)
class Parameters:
    """Raises ``RequestError`` (4.00) for what cannot be taken."""

    query: tuple[str, ...]
    _left: dict[str, str | None] = attrs.field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        if len(self.query) > MAX_PARAMETERS:
            raise bad(f"more than {MAX_PARAMETERS} query parameters")
        for option in self.query:
            name, equals, value = option.partition("=")
            if name in self._left:
                raise bad(f"{name} is given more than once")
            self._left[name] = value if equals else None

    def take(self, name: str) -> str | None:
        """Its value; ``None`` if it is not there. One without a value is refused."""
        if name not in self._left:
            return None
        value = self._left.pop(name)
        if value is None:
            raise bad(f"{name} has no value")
        return value

    def take_flag(self, name: str) -> bool:
        """True if it is there; one with a value is refused."""
        if name not in self._left:
            return False
        if self._left.pop(name) is not None:
            raise bad(f"{name} takes no value")
        return True

    def drop(self, name: str) -> bool:
        """Take it, whatever its value; True if it was there."""
        there = name in self._left
        self._left.pop(name, None)
        return there

    def rest(self) -> dict[str, str]:
        """What nobody took; a parameter without a value is an empty text."""
        return {name: value or "" for name, value in self._left.items() if name}


def endpoint_name(text: str | None) -> str:
    """What ``ep`` says, empty if it is not there; raises ``RequestError``."""
    name = text or ""
    if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        raise bad(f"ep is longer than {MAX_NAME_BYTES} bytes")
    if not name.isprintable():
        raise bad("ep holds characters that cannot be printed")
    return name


def bad(reason: str) -> RequestError:
    """4.00."""
    return RequestError(Code.BAD_REQUEST, reason)
