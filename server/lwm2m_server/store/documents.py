"""Engine records as JSON text and back. A field added with a default reads old documents."""

from __future__ import annotations

import base64
import math
import sys
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import attrs
import orjson

from lwm2m_engine.engine.records import NOT_ARRANGED, Arranged, Observation, PowerSaving, Registration
from lwm2m_engine.links import Link
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ObjLink, Value

ANNOUNCED = ("root", "objects", "instances", "links", "formats")
Announcement: TypeAlias = Mapping[str, Any]
"""The members ``ANNOUNCED`` of a ``Registration``."""
Document: TypeAlias = Registration | Arranged | Observation | PowerSaving


def dumps(document: object) -> str:
    """Compact JSON; raises ``TypeError`` for what JSON or UTF-8 cannot hold."""
    return orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS).decode()


def loads(text: str) -> Any:
    return orjson.loads(text)


def announcement_to_json(registration: Registration) -> str:
    """What a device says of itself, and devices of one type alike."""
    links = [(link.target, link.attributes) for link in registration.links]
    return _dumps({**{name: getattr(registration, name) for name in ANNOUNCED}, "links": links})


def announcement_from_json(text: str) -> Announcement:
    return _announcement(orjson.loads(text))


def registration_to_json(registration: Registration) -> str:
    """Without what ``announcement_to_json`` has."""
    document = _document(registration, _REGISTRATION)
    if registration.arranged != NOT_ARRANGED:
        document["arranged"] = _document(registration.arranged, _ARRANGED)
    return _dumps(document)


def registration_from_json(text: str, announcement: Announcement | None) -> Registration:
    """Documents of version 1 hold the announcement as well: ``None``."""
    document = orjson.loads(text)
    if announcement is None:
        announcement = _announcement({name: document.pop(name) for name in ANNOUNCED})
    for name in ("version", "binding"):
        document[name] = sys.intern(document[name])
    if "unread" in document:
        document["unread"] = _paths(tuple(document["unread"]))
    if "warnings" in document:
        document["warnings"] = tuple(document["warnings"])
    if "arranged" in document:
        document["arranged"] = _arranged(orjson.dumps(document["arranged"]))
    return Registration(**document, **announcement)


def observation_to_json(observation: Observation) -> str:
    """Without its token."""
    return _dumps(_document(observation, _OBSERVATION))


def observation_from_json(token: bytes, text: str) -> Observation:
    document = orjson.loads(text)
    document["token"] = token
    document["paths"] = _paths(tuple(document["paths"]))
    if "attributes" in document:
        document["attributes"] = tuple(map(tuple, document["attributes"]))
    return Observation(**document)


def power_to_json(power: PowerSaving) -> str:
    return _dumps(_document(power, _POWER))


def power_from_json(text: str) -> PowerSaving:
    return PowerSaving(**orjson.loads(text))


def inputs_to_json(inputs: Mapping[Path, Value]) -> str:
    return dumps({str(path): _tagged(value) for path, value in inputs.items()})


def inputs_from_json(text: str) -> dict[Path, Value]:
    return {Path(path): _untagged(value) for path, value in orjson.loads(text).items()}


def _tagged(value: Value) -> object:
    """JSON's own types stand for themselves, the others are one-member objects."""
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, ObjLink):
        return {"link": str(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


def _untagged(value: Any) -> Value:
    if isinstance(value, dict):
        (tag, text), *_ = value.items()
        return _UNTAG[tag](text)
    result: Value = value
    return result


_UNTAG: dict[str, Callable[[str], Value]] = {"bytes": base64.b64decode, "link": ObjLink.parse, "float": float}


def _document(record: Document, members: Mapping[str, Any]) -> dict[str, Any]:
    """The members that are not what they are by default."""
    return {name: value for name, default in members.items() if (value := getattr(record, name)) != default}


def _members(record: type[Document], without: Collection[str] = ()) -> dict[str, Any]:
    return {field.name: field.default for field in attrs.fields(record) if field.name not in without}


_REGISTRATION = _members(Registration, (*ANNOUNCED, "arranged"))
_ARRANGED = _members(Arranged)
_OBSERVATION = _members(Observation, ("token",))
_POWER = _members(PowerSaving)


def _dumps(document: Mapping[str, Any]) -> str:
    # A Path is a tuple, and what JSON has no word for.
    return orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS, default=str).decode()


def _announcement(document: Mapping[str, Any]) -> Announcement:
    return {
        "root": document["root"],
        "objects": {int(id): version for id, version in document["objects"].items()},
        "instances": _paths(tuple(document["instances"])),
        "links": tuple(Link(target, tuple(map(tuple, found))) for target, found in document["links"]),
        "formats": tuple(document["formats"]),
    }


@lru_cache(maxsize=4096)
def _arranged(text: bytes) -> Arranged:
    """Thousands of devices are set up alike."""
    document = orjson.loads(text)
    attributes = document.pop("attributes", ())
    return Arranged(
        **document,
        attributes=tuple((Path(path), tuple(map(tuple, pairs))) for path, pairs in attributes),
    )


@lru_cache(maxsize=4096)
def _paths(texts: tuple[str, ...]) -> tuple[Path, ...]:
    """Thousands of devices have the same few."""
    return tuple(map(Path, texts))
