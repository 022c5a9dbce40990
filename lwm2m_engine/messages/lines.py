"""The outer form of a message to a device: request line, headers, body; or the same as a JSON object."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

import attrs

from lwm2m_engine.coap import Code
from lwm2m_engine.errors import RequestError, UnsupportedFormat
from lwm2m_engine.formats import ContentFormat

METHODS = ("GET", "PUT", "POST", "DELETE", "DISCOVER", "OBSERVE", "CANCEL", "FETCH", "IPATCH")
WITH_VALUE = frozenset({"PUT", "POST", "IPATCH"})
"""Methods that take a value or body."""

EXAMPLE = "a message looks like 'GET /3/0/9' or 'PUT /3/0/14 +02:00'"


@attrs.frozen(slots=True)
class Line:
    """A message, taken apart but not yet understood."""

    method: str
    target: str
    """Path, or paths separated by commas."""
    query: str | None = None
    """What stands behind the question mark; ``None`` without one."""
    value: Any = None
    """The value: text as it was written, or what a JSON object held; ``None`` if there is none."""
    accept: int | None = None
    content_format: int | None = None


def read_text(text: str) -> Line:
    """From ``METHOD /path[?query][ value]``, headers and body; raises ``RequestError``."""
    # One line feed ends the message and is not part of a value.
    first, newline, rest = text.lstrip(" ").removesuffix("\n").partition("\n")
    method, _, tail = first.removesuffix("\r").partition(" ")
    _check_method(method)
    tail = tail.lstrip(" ")
    # The paths of an IPATCH stand in its body; the slash before it may be missing.
    if method == "IPATCH" and not tail.startswith("/"):
        tail = f"/ {tail}" if tail else "/"
    target, blank, inline = tail.partition(" ")
    headers, body = _headers(rest, method) if newline else ({}, None)
    value = _one_value(method, inline if blank else None, body)
    path, question, query = target.partition("?")
    return Line(
        method,
        path,
        query if question else None,
        value,
        accept=_format("Accept", headers.get("accept")),
        content_format=_format("Content-Format", headers.get("content-format")),
    )


_KEYS = ("method", "path", "value", "accept", "contentFormat")


def read_document(document: Mapping[str, Any]) -> Line:
    """From ``{"method", "path", "value", "accept", "contentFormat"}``; raises ``RequestError``."""
    for key in document:
        if key not in _KEYS:
            raise bad(f"unknown key {_show(key)}{_nearest(str(key), _KEYS)}")
    method, target = document.get("method"), document.get("path", "")
    if not isinstance(method, str) or not isinstance(target, str):
        raise bad("a message needs the texts 'method' and 'path'")
    _check_method(method)
    path, question, query = target.partition("?")
    return Line(
        method,
        path,
        query if question else None,
        _one_value(method, document.get("value"), None),
        accept=_format("accept", document.get("accept")),
        content_format=_format("contentFormat", document.get("contentFormat")),
    )


def bad(reason: str) -> RequestError:
    """A refusal: 4.00 with the reason."""
    return RequestError(Code.BAD_REQUEST, reason)


def _check_method(method: str) -> None:
    if method in METHODS:
        return
    if not method:
        raise bad(f"the message is empty; {EXAMPLE}")
    raise bad(f"unknown method {_show(method)}{_nearest(method.upper(), METHODS)}")


def _one_value(method: str, inline: Any, body: str | None) -> Any:
    """The value, which stands on the line or below it."""
    if inline not in (None, "") and body:
        raise bad("there is a value on the request line and another one below it")
    value = body if inline in (None, "") and body is not None else inline
    if method in WITH_VALUE or value in (None, ""):
        return value if method in WITH_VALUE else None
    raise bad(f"{method} takes no value, but {_show(value)} follows the path")


_HEADER = re.compile(r"([A-Za-z][A-Za-z-]{0,40}):(.*)")
_HEADERS = {"accept": "Accept", "content-format": "Content-Format"}


def _headers(rest: str, method: str) -> tuple[dict[str, str], str | None]:
    """Headers and body of what follows the request line; a body without headers may look like anything."""
    block, closed, body = _block(rest)
    found = [_HEADER.fullmatch(line) for line in block]
    if not block or (not closed and method in WITH_VALUE):
        return {}, rest
    matches = [match for match in found if match is not None]
    if len(matches) < len(found) or not any(_is_header(match[1]) for match in matches):
        return {}, rest
    headers: dict[str, str] = {}
    for match in matches:
        name = match[1].lower()
        if name not in _HEADERS:
            raise bad(f"unknown header {_show(match[1])}{_nearest(match[1].title(), _HEADERS.values())}")
        if name in headers:
            raise bad(f"the header {match[1]} stands there twice")
        headers[name] = match[2].strip()
    return headers, body


def _block(rest: str) -> tuple[list[str], bool, str | None]:
    """Lines up to the first empty one, whether there is one, and what follows it."""
    lines = rest.split("\n")
    for number, line in enumerate(lines):
        if line in ("", "\r"):
            below = lines[number + 1 :]
            return (
                [line.removesuffix("\r") for line in lines[:number]],
                True,
                "\n".join(below) if below else None,
            )
    return [line.removesuffix("\r") for line in lines], False, None


def _is_header(name: str) -> bool:
    return bool(difflib.get_close_matches(name.lower(), _HEADERS, n=1, cutoff=0.8))


def _format(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise bad(f"{name}: {_show(value)} is no content format")
    try:
        return int(ContentFormat.named(value))
    except UnsupportedFormat as error:
        raise bad(f"{name}: {error}") from None


def _nearest(word: str, known: Any) -> str:
    matches = difflib.get_close_matches(word[:40], list(known), n=1)
    return f"; did you mean {matches[0]}?" if matches else f"; known: {', '.join(known)}"


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
