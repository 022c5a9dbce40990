"""JSON bodies from strangers: bounded in size and depth, and every refusal says where."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Generator
from time import perf_counter
from typing import Any, Final, NoReturn

import orjson

from lwm2m_server.onem2m.errors import BadRequest

MAX_BODY: Final = 2_000_000
"""Bytes."""
MAX_ONBOARDING: Final = 16_000_000
"""Bytes of an onboarding request, which may be about thousands of devices."""
MAX_DEPTH: Final = 32
"""Objects and lists inside one another."""
MANY: Final = 500
"""Objects in a body that is parsed in turns."""
PATIENCE: Final = 0.003
"""Seconds of parsing after which others may run."""
_LEVELS: Final = 3
"""From the outside in, whose members are parsed one by one: the devices of an onboarding request."""
_BLANK: Final = re.compile(r"[ \t\n\r]*")


async def read_body(payload: bytes) -> Any:
    """As ``parse_body``; a long list does not keep others waiting."""
    if payload.count(b"{") < MANY:
        return parse_body(payload)
    try:
        reading = _Reading(payload.decode()).value(_LEVELS)
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not UTF-8: {error}") from error
    while True:
        end = perf_counter() + PATIENCE
        try:
            next(reading)
            while perf_counter() < end:
                next(reading)
        except StopIteration as stop:
            return stop.value
        except RecursionError:
            raise _too_deep() from None
        except ValueError as error:
            raise BadRequest(f"the body is not JSON: {error}") from error
        await asyncio.sleep(0)


def parse_body(payload: bytes) -> Any:
    """Raises ``BadRequest``, naming line and column of a syntax error."""
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if payload.count(b"{") + payload.count(b"[") > MAX_DEPTH:
        _check_depth(document)
    return document


def _check_depth(document: Any) -> None:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _members(parent) if isinstance(child, (dict, list))]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> BadRequest:
    return BadRequest(f"the body is nested more than {MAX_DEPTH} levels deep")


def _members(parent: Any) -> Any:
    if isinstance(parent, dict):
        return parent.values()
    return parent if isinstance(parent, list) else ()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


class _Reading:
    """A position in a text; ``value`` yields after each member of the outer levels."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def value(self, levels: int) -> Generator[None, None, Any]:
        """The value that is the whole text. Raises ``ValueError``."""
        found = yield from self._value(levels)
        if self._next():
            raise json.JSONDecodeError("unexpected content after document", self._text, self._at)
        return found

    def _value(self, levels: int) -> Generator[None, None, Any]:
        opening = self._next()
        if levels and opening == "{":
            return (yield from self._object(levels - 1))
        if levels and opening == "[":
            return (yield from self._list(levels - 1))
        found, self._at = _DECODER.raw_decode(self._text, self._at)
        _check_depth(found)
        return found

    def _object(self, levels: int) -> Generator[None, None, dict[str, Any]]:
        found: dict[str, Any] = {}
        self._at += 1
        closed = self._closes("}")
        while not closed:
            if self._next() != '"':
                raise self._expected("a name in double quotes")
            name, self._at = _DECODER.raw_decode(self._text, self._at)
            self._take(":")
            found[name] = yield from self._value(levels)
            yield
            closed = self._ends("}")
        return found

    def _list(self, levels: int) -> Generator[None, None, list[Any]]:
        found: list[Any] = []
        self._at += 1
        closed = self._closes("]")
        while not closed:
            found.append((yield from self._value(levels)))
            yield
            closed = self._ends("]")
        return found

    def _next(self) -> str:
        """The character that is not blank, or nothing."""
        blank = _BLANK.match(self._text, self._at)
        self._at = blank.end() if blank is not None else self._at
        return self._text[self._at : self._at + 1]

    def _closes(self, bracket: str) -> bool:
        is_there = self._next() == bracket
        self._at += is_there
        return is_there

    def _ends(self, bracket: str) -> bool:
        """After a member: whether it was the last."""
        if self._closes(bracket):
            return True
        self._take(",")
        return False

    def _take(self, sign: str) -> None:
        if not self._closes(sign):
            raise self._expected(repr(sign))

    def _expected(self, what: str) -> json.JSONDecodeError:
        return json.JSONDecodeError(f"expecting {what}", self._text, self._at)
