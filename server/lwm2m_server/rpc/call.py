"""``Call``: an RPC as a client asks for it, read from JSON."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
import orjson

from lwm2m_engine.coap import Code
from lwm2m_engine.errors import RequestError
from lwm2m_server.settings import RpcSettings

SHORTEST: Final = 1000
"""Milliseconds that an answer is waited for at least."""
_FURTHEST: Final = 366 * 24 * 3600
"""Seconds that an RPC may wait at most."""
_MEMBERS: Final = (
    "method",
    "params",
    "timeout",
    "expirationTime",
    "persistent",
    "retries",
    "additionalInfo",
    "oneway",
)


@attrs.frozen(slots=True)
class Call:
    """Times are seconds."""

    method: str
    params: Mapping[str, Any]
    timeout: float
    """How long an answer is waited for."""
    expires_at: float | None
    """Seconds since 1970-01-01 UTC; ``None`` for what is usual."""
    persistent: bool
    one_way: bool
    retries: int
    info: Any


def read_call(document: Any, settings: RpcSettings, now: float, *, one_way: bool | None = None) -> Call:
    """``one_way`` as the address has it, if it has. Raises ``RequestError`` with a sentence."""
    if not isinstance(document, Mapping):
        raise bad('an RPC is an object such as {"method": "Read", "params": {"id": "/3/0/9"}}')
    known(document, _MEMBERS, "an RPC")
    method = document.get("method")
    if not isinstance(method, str):
        raise bad("method: the name of a method such as Read is expected")
    asked = _flag(document, "oneway")
    if one_way is not None and asked is not None and asked is not one_way:
        raise bad(f"oneway: the address says {str(one_way).lower()}, the body {str(asked).lower()}")
    longest = int(settings.longest_wait * 1000)
    timeout = _number(document, "timeout", SHORTEST, longest, int(settings.timeout * 1000))
    persistent = bool(_flag(document, "persistent"))
    retries = _number(document, "retries", 0, settings.max_retries, 0)
    if retries and not persistent:
        raise bad('retries: only an RPC with "persistent": true is sent again')
    return Call(
        method,
        _params(document.get("params")),
        timeout / 1000,
        _expiry(document, now),
        persistent,
        bool(asked) if one_way is None else one_way,
        retries,
        document.get("additionalInfo"),
    )


def known(document: Mapping[str, Any], members: Iterable[str], what: str) -> None:
    """Refuse what nobody would look at. Raises ``RequestError``."""
    names = tuple(members)
    for name in document:
        if name not in names:
            spelt = [one for one in names if one.lower() == str(name).lower()]
            nearest = spelt or difflib.get_close_matches(str(name)[:40], names, n=1)
            hint = f"did you mean {nearest[0]}?" if nearest else f"it has {', '.join(names) or 'none'}"
            raise bad(f"{str(name)[:40]!r} is no member of {what}; {hint}")


def bad(reason: str) -> RequestError:
    """A refusal: 4.00 with the reason."""
    return RequestError(Code.BAD_REQUEST, reason)


def _params(value: Any) -> Mapping[str, Any]:
    """An object, or the text of one."""
    if isinstance(value, str) and value.strip():
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise bad(f"params: the text is not JSON: {error}") from None
    if value is None or value == "":
        return {}
    if not isinstance(value, Mapping):
        raise bad('params: an object such as {"id": "/3/0/9"} is expected, or its text')
    return value


def _flag(document: Mapping[str, Any], name: str) -> bool | None:
    value = document.get(name)
    if value is not None and not isinstance(value, bool):
        raise bad(f"{name}: true or false is expected")
    return value


def _number(document: Mapping[str, Any], name: str, least: int, most: int, default: int) -> int:
    value = document.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise bad(f"{name}: a number from {least} to {most} is expected")
    return value


def _expiry(document: Mapping[str, Any], now: float) -> float | None:
    value = document.get("expirationTime")
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise bad("expirationTime: milliseconds since 1970-01-01 UTC are expected")
    if not now < value / 1000 <= now + _FURTHEST:
        raise bad(
            f"expirationTime: it is {int(now * 1000)} now, in milliseconds since 1970; a time after that is"
            " expected, at most a year ahead"
        )
    return value / 1000
