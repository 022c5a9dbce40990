"""Messages for people to look at: what is longer than anybody reads is cut, and ends with an ellipsis."""

from __future__ import annotations

from typing import Any, Final

import orjson

MORE: Final = "…"
MEMBERS: Final = 1000
"""Of an object or a list."""


def brief(text: str, most: int) -> str | dict[str, Any]:
    """A JSON object as such, with at most so many characters in each text and so many members in each object;
    what is none, as a text."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if isinstance(found, dict):
        return {key: _cut(value, most) for key, value in found.items()}
    return _text(text, most)


def brief_text(text: str, most: int) -> str:
    """The same, where a text is due."""
    if len(text) <= most:
        return text
    found = brief(text, most)
    return found if isinstance(found, str) else orjson.dumps(found).decode("utf-8")


def _cut(value: Any, most: int) -> Any:
    match value:
        case str():
            return _text(value, most)
        case dict():
            return {key: _cut(one, most) for key, one in list(value.items())[:MEMBERS]}
        case list():
            return [_cut(one, most) for one in value[:MEMBERS]]
        case _:
            return value


def _text(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + MORE
