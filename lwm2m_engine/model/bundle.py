"""The files of the bundled registry: all in one form (``normalized``), and read without an XML parser."""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from typing import Any

from lwm2m_engine.errors import DDFError
from lwm2m_engine.model.form import (
    HEAD,
    MANDATORY,
    MULTIPLE,
    OPERATIONS,
    SCHEMA_1_0,
    SCHEMA_1_1,
    SINCE_1_1,
    TYPES,
    escaped,
)
from lwm2m_engine.model.names import attribute_names
from lwm2m_engine.model.spec import ObjectSpec, ResourceSpec
from lwm2m_engine.values import ResourceType

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_PACKAGED = os.path.join(_PACKAGE, "_models")
DIRECTORY = (
    _PACKAGED if os.path.isdir(_PACKAGED) else os.path.join(os.path.dirname(_PACKAGE), "models", "xml")
)
"""Package data of a wheel, ``models/xml`` in a checkout."""


def read_bundled(object_id: int, version: str) -> ObjectSpec:
    """One definition of the bundled registry, without the rest of it.

    Raises ``DDFError`` if its file is not there, is not in the form, or defines something else.
    """
    file = os.path.join(DIRECTORY, f"{object_id}_{version.replace('.', '_')}.xml")
    try:
        with open(file, "rb") as opened:
            data = opened.read()
    except OSError as error:
        raise DDFError(error.strerror or str(error), file=file) from None
    spec = read(data, file, odd=True)
    if spec is None or (spec.id, spec.version) != (object_id, version):
        raise DDFError(f"does not define object {object_id} {version} in the form of the registry", file=file)
    return spec


def read(data: bytes, file: str, *, odd: bool = False) -> ObjectSpec | None:
    """What ``ddf.parse`` finds in a file without oddities, in the form in which ``normalized.write`` writes.

    ``None`` for all other files; with ``odd``, those of the form that ``ddf`` has problems to note of are
    read as well.
    """
    try:
        return _Reader(data.decode("utf-8"), odd).read(file)
    except (_OtherFormError, KeyError, ValueError):
        return None


class _OtherFormError(Exception):
    """The file is to be read by ``ddf``."""


class _Reader:
    """Takes what must come next, from the beginning to the end."""

    def __init__(self, text: str, odd: bool) -> None:
        if "\r" in text:
            raise _OtherFormError
        self.text, self.odd = text, odd
        self.position = 0

    def read(self, file: str) -> ObjectSpec:
        self.take(HEAD)
        old = self.comes(SCHEMA_1_0)
        self.take(SCHEMA_1_0 if old else SCHEMA_1_1)
        self.take('">\n\t<Object ObjectType="MODefinition">\n')
        name = _words(self.field("\t\t", "Name"))
        self.take("\t\t<Description1/>\n")
        id_, urn, lwm2m, version = (self.field("\t\t", tag) for tag in _IDENTITY)
        multiple, mandatory = self.flags("\t\t")
        self.take("\t\t<Resources>\n")
        items: dict[int, Sequence[Any]] = {}
        while self.comes(_ITEM):
            resource_id, *rest = self.item()
            if items and resource_id <= max(items):
                raise _OtherFormError
            items[resource_id] = rest
        self.take("\t\t</Resources>\n\t\t<Description2/>\n\t</Object>\n</LWM2M>\n")
        resources = _resources(items)
        if not self.odd and any(_is_odd(spec, old) for spec in resources.values()):
            raise _OtherFormError
        whole = self.position == len(self.text)
        if not whole or not name or not urn.startswith("urn:oma:lwm2m:") or not _is_of(urn, id_, version):
            raise _OtherFormError
        return ObjectSpec(
            id=int(id_),
            name=name,
            version=version,
            lwm2m_version=lwm2m,
            urn=urn,
            multiple=multiple,
            mandatory=mandatory,
            resources=resources,
            source=file,
        )

    def item(self) -> tuple[Any, ...]:
        """Id, name, operations, whether multiple and mandatory, type, range and units of a Resource."""
        self.take(_ITEM)
        end = self.text.find('">\n', self.position)
        id_ = int(self.text[self.position : end])
        self.position = end + 3
        name, operations = _words(self.field(_INSIDE, "Name")), self.field(_INSIDE, "Operations")
        multiple, mandatory = self.flags(_INSIDE)
        kind, range_, units = (self.field(_INSIDE, tag) for tag in ("Type", "RangeEnumeration", "Units"))
        self.take("\t\t\t\t<Description/>\n\t\t\t</Item>\n")
        return id_, name, operations, multiple, mandatory, TYPES[kind], range_.strip(), _words(units)

    def comes(self, text: str) -> bool:
        return self.text.startswith(text, self.position)

    def take(self, text: str) -> None:
        if not self.comes(text):
            raise _OtherFormError
        self.position += len(text)

    def field(self, indent: str, tag: str) -> str:
        if self.comes(f"{indent}<{tag}/>\n"):
            self.position += len(indent) + len(tag) + 4
            return ""
        self.take(f"{indent}<{tag}>")
        end = self.text.find(f"</{tag}>\n", self.position)
        text = self.text[self.position : end]
        if end < 0 or "<" in text:
            raise _OtherFormError
        self.position = end + len(tag) + 4
        return text if "&" not in text else _unescaped(text)

    def flags(self, indent: str) -> tuple[bool, bool]:
        multiple = self.field(indent, "MultipleInstances")
        return MULTIPLE[multiple], MANDATORY[self.field(indent, "Mandatory")]


_IDENTITY = ("ObjectID", "ObjectURN", "LWM2MVersion", "ObjectVersion")
_ITEM = '\t\t\t<Item ID="'
_INSIDE = "\t\t\t\t"


def _resources(items: Mapping[int, Sequence[Any]]) -> dict[int, ResourceSpec]:
    attributes = attribute_names((id_, name) for id_, (name, *_) in items.items())
    resources = {
        id_: ResourceSpec(id_, name, attributes[id_], kind, operations, multiple, mandatory, range_, units)
        for id_, (name, operations, multiple, mandatory, kind, range_, units) in items.items()
    }
    if not resources or not all(spec.name and spec.operations in OPERATIONS for spec in resources.values()):
        raise _OtherFormError
    return resources


def _is_odd(spec: ResourceSpec, old_schema: bool) -> bool:
    """What ``ddf`` notes with its line."""
    if old_schema and spec.type in SINCE_1_1:
        return True
    if spec.operations == "E":
        return spec.multiple or spec.type is not ResourceType.NONE
    return spec.type is ResourceType.NONE and spec.operations != ""


def _is_of(urn: str, id_: str, version: str) -> bool:
    return urn.endswith(f":{id_}:{version}") or (version == "1.0" and urn.endswith(f":{id_}"))


def _words(text: str) -> str:
    return " ".join(text.split())


def _unescaped(text: str) -> str:
    plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    if escaped(plain) != text:
        raise _OtherFormError
    return plain
