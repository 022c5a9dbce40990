"""``Places``: paths and values as they are typed, understood with what is known about a device."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path as File
from typing import Any, NamedTuple

from lwm2m_engine.errors import UnknownResource, ValueRejected
from lwm2m_engine.model.names import attribute_names
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ResourceType
from lwm2m_server.cli.definitions import Definitions

STANDARD_INPUT = "-"
_PREFIX = re.compile(r"/?([A-Za-z][^/]*)(/.*)")
_NAMED = re.compile(r"/?(\d{1,5})/(\d{1,5})/([A-Za-z]\w*)(/\d{1,5})?/?")


class Place(NamedTuple):
    """A path; with the prefix of an end device behind a LwM2M Gateway, or an empty one."""

    prefix: str
    path: Path

    def __str__(self) -> str:
        return f"/{self.prefix}{self.path}" if self.prefix else str(self.path)


class Places:
    """A device's Resources by name: those it announced, else those of the definitions on this machine."""

    def __init__(self, device: Mapping[str, Any]) -> None:
        self._announced = {spec["id"]: spec["resources"] for spec in device["objects"]}

    @cached_property
    def _models(self) -> Definitions:
        return Definitions()

    def place(self, text: str) -> Place:
        """From ``/3/0/9``, ``/3/0/battery_level`` or ``/dev0/3303/0``.

        Raises ``PathError``, ``UnknownResource``.
        """
        prefixed = _PREFIX.fullmatch(text)
        prefix, rest = (prefixed[1], prefixed[2]) if prefixed is not None else ("", text)
        named = _NAMED.fullmatch(rest)
        if named is None:
            return Place(prefix, Path(rest))
        object_id, instance, name, below = int(named[1]), named[2], named[3], named[4] or ""
        announced = self._announced.get(object_id, ()) if not prefix else ()
        return Place(
            prefix, Path(f"/{object_id}/{instance}/{self._resource(object_id, name, announced)}{below}")
        )

    def _resource(self, object_id: int, name: str, announced: Sequence[Mapping[str, Any]]) -> int:
        names = attribute_names((resource["id"], resource["name"]) for resource in announced)
        for number, known in names.items():
            if known == name:
                return number
        spec = self._models.object(object_id)
        if spec is None:
            raise UnknownResource(object_id, name)
        return spec[name].id

    def value(self, text: str, place: Place) -> str:
        """What is to be written: the text, or for ``@FILE`` what the file holds; ``@@`` stands for one @.

        Of a Resource of type Opaque base64, as messages have it. Raises ``ValueRejected``.
        """
        if text.startswith("@@") or not text.startswith("@"):
            return text.removeprefix("@")
        data = _contents(text[1:])
        kind = self._kind(place) if len(place.path) > 2 else ResourceType.STRING
        if kind is ResourceType.OPAQUE:
            return base64.b64encode(data).decode("ascii")
        if kind is None:
            raise ValueRejected("no definition tells its type, so a file cannot be written to it", path=place)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueRejected(f"{text[1:]} is not text, as {kind.value} is: {error}", path=place) from None

    def _kind(self, place: Place) -> ResourceType | None:
        for resource in self._announced.get(place.path[0], ()) if not place.prefix else ():
            if resource["id"] == place.path[2]:
                return ResourceType(resource["type"])
        return self._models.types(place.path)


def _contents(name: str) -> bytes:
    if name == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    try:
        return File(name).read_bytes()
    except OSError as error:
        raise ValueRejected(f"@{name}: {error.strerror}") from error
