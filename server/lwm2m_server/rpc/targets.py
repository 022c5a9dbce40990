"""What an RPC is about: paths, with or without the version of their Object, and key names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from lwm2m_engine.coap import Code
from lwm2m_engine.errors import PathError, RequestError, UnsupportedFormat
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import LEVELS, Path
from lwm2m_server.rpc.call import bad

MOST: Final = 256
"""Paths that one RPC may name."""
_VERSIONED: Final = re.compile(r"/?([0-9]{1,5})_([0-9]{1,3}(?:\.[0-9]{1,3})?)((?:/.*)?)")
_FORMATS: Final = frozenset(map(int, ContentFormat))
_LONGEST: Final = 80
"""Characters of a path that are looked at; a longer one is wrong."""


class Naming(Protocol):
    """Which Resources a key name stands for."""

    def paths(self, key: str) -> Sequence[Path]: ...


class Targets:
    """Of one device. ``notes`` are what was tolerated."""

    def __init__(self, models: ModelView, naming: Naming) -> None:
        self.models, self._naming = models, naming
        self.notes: list[str] = []

    def one(self, params: Mapping[str, Any], levels: Sequence[int]) -> Path:
        """``key``, or ``id``; its length is one of ``levels``. Raises ``RequestError``."""
        if params.get("key") is not None:
            found = self._of_key(params["key"], "key")
            if len(found) > 1:
                listed = ", ".join(map(str, found))
                raise bad(f"key: {params['key']!r} stands for {listed}; name one of them by its id")
            path = found[0]
        elif params.get("id") is not None:
            path = self.path(params["id"], "id")
        else:
            raise bad('params: "id" with a path such as /3/0/9 is expected, or "key" with a name')
        return _at_level(path, levels)

    def several(self, params: Mapping[str, Any], levels: Sequence[int]) -> tuple[Path, ...]:
        """``keys``, or ``ids``. Raises ``RequestError``."""
        name = "keys" if params.get("keys") is not None else "ids"
        given = params.get(name)
        if not isinstance(given, list) or not given:
            raise bad(f'params: "{name}" with a list such as {_EXAMPLES[name]} is expected')
        if len(given) > MOST:
            raise bad(f"{name}: at most {MOST} at a time")
        found: dict[Path, None] = {}
        for number, one in enumerate(given):
            place = f"{name}[{number}]"
            for path in self._of_key(one, place) if name == "keys" else (self.path(one, place),):
                found[_at_level(path, levels)] = None
        return tuple(found)

    def node(self, text: str) -> Path:
        """A member of ``nodes``: a path, or a key name. Raises ``RequestError``."""
        place = f"nodes[{text[:40]!r}]"
        if "/" in text or text[:1].isdigit():
            return self.path(text, place)
        found = self._of_key(text, place)
        if len(found) > 1:
            raise bad(f"{place}: it stands for {', '.join(map(str, found))}; name one by its path")
        return found[0]

    def path(self, value: Any, place: str) -> Path:
        """``/3_1.2/0/9`` as well as ``3/0/9``. Raises ``RequestError``."""
        if not isinstance(value, str):
            raise bad(f"{place}: a path such as /3/0/9 is expected, not {_kind(value)}")
        text, version = value.strip()[:_LONGEST], None
        found = _VERSIONED.fullmatch(text)
        if found is not None:
            version, text = found[2], f"/{found[1]}{found[3]}"
        try:
            path = Path(text)
        except PathError as error:
            raise bad(f"{place}: {error}") from None
        if not path:
            raise bad(f"{place}: {text!r} is everything the device has; name an Object, or ask DiscoverAll")
        if version is not None:
            self._compare(path, version)
        return path

    def paths_of(self, key: str) -> Sequence[Path]:
        """Of a key name; none for one that is not known."""
        return self._naming.paths(key)

    def _compare(self, path: Path, version: str) -> None:
        """A version that is not the device's is no reason to refuse: what counts is what it announced."""
        announced = self.models.version(path[0])
        if version not in (announced, announced.removesuffix(".0")):
            note = f"/{path[0]}_{version}: the device has version {announced} of this Object"
            if note not in self.notes:
                self.notes.append(note)

    def _of_key(self, value: Any, place: str) -> Sequence[Path]:
        if not isinstance(value, str):
            raise bad(f"{place}: a key name such as batteryLevel is expected, not {_kind(value)}")
        found = self._naming.paths(value)
        if not found:
            raise bad(
                f"{place}: no Resource of this device goes by {value[:60]!r}; names are those of its profile,"
                " else of the Object's definition in camelCase"
            )
        return found


_EXAMPLES: Final = {"ids": '["/3/0/9", "/1/0/1"]', "keys": '["batteryLevel", "lifetime"]'}


def need_format(value: Any, announced: Sequence[int]) -> int | None:
    """``contentFormat`` by number or name; raises ``RequestError`` for one that the device has not."""
    if value is None:
        return None
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise bad(f"contentFormat: a name such as senml-cbor or a number is expected, not {_kind(value)}")
    try:
        chosen = ContentFormat.named(value)
    except UnsupportedFormat as error:
        raise bad(f"contentFormat: {error}") from None
    if announced and chosen not in announced:
        has = ", ".join(ContentFormat(one).label if one in _FORMATS else str(one) for one in announced)
        raise RequestError(
            Code.UNSUPPORTED_CONTENT_FORMAT, f"contentFormat: the device announced {has}, not {chosen.label}"
        )
    return int(chosen)


def nearest(word: str, among: Sequence[str]) -> str:
    """A hint at the end of a sentence."""
    found = difflib.get_close_matches(word[:40], among, n=1)
    return f"; did you mean {found[0]}?" if found else f"; there are {', '.join(among)}"


def _at_level(path: Path, levels: Sequence[int]) -> Path:
    if len(path) not in levels:
        wanted = " or ".join(_article(LEVELS[level]) for level in levels)
        raise bad(f"{path} is {_article(path.level)}; {wanted} is expected")
    return path


def _article(level: str) -> str:
    words = " ".join(
        word.capitalize() for word in ({"instance": "object instance"}.get(level, level)).split()
    )
    return f"{'an' if words[0] == 'O' else 'a'} {words}"


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", bool: "a truth value", type(None): "null", str: "a text"}
    return names.get(type(value), "a number")
