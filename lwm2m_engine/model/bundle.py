"""The files of the bundled registry: all in one form (``normalized``), and read without an XML parser."""

from __future__ import annotations

import os.path
from collections.abc import Iterator, Sequence

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
        return _object(data.decode("utf-8"), file, odd)
    except (_OtherFormError, KeyError, StopIteration, ValueError):
        return None


class _OtherFormError(Exception):
    """The file is to be read by ``ddf``."""


def _object(text: str, file: str, odd: bool) -> ObjectSpec:
    old = text.startswith(_START_1_0)
    start = _START_1_0 if old else _START_1_1
    if not text.startswith(start) or "\r" in text:
        raise _OtherFormError
    # What is between the angle brackets that open: a tag, and the text or the indent behind it.
    tokens = iter(text[len(start) :].split("<"))
    _take(tokens, "", 'Object ObjectType="MODefinition">\n\t\t')
    name = _words(_field(tokens, _OBJECT["Name"]))
    _take(tokens, "Description1/>\n\t\t")
    id_, urn, lwm2m, version, multiple, mandatory = [_field(tokens, _OBJECT[tag]) for tag in _FACTS]
    _take(tokens, "Resources>\n\t\t\t")
    items = _items(tokens)
    _take(tokens, "Description2/>\n\t", "/Object>\n", "/LWM2M>\n")
    resources = _resources(items)
    if not odd and any(_is_odd(spec, old) for spec in resources.values()):
        raise _OtherFormError
    whole = next(tokens, None) is None
    if not whole or not name or not urn.startswith("urn:oma:lwm2m:") or not _is_of(urn, id_, version):
        raise _OtherFormError
    return ObjectSpec(
        id=int(id_),
        name=name,
        version=version,
        lwm2m_version=lwm2m,
        urn=urn,
        multiple=MULTIPLE[multiple],
        mandatory=MANDATORY[mandatory],
        resources=resources,
        source=file,
    )


def _items(tokens: Iterator[str]) -> list[list[str]]:
    """The id and the fields of each Resource."""
    items = []
    while True:
        begin = next(tokens)
        if not (begin.startswith(_ITEM) and begin.endswith(_ITEM_END)):
            raise _OtherFormError
        fields = [_field(tokens, marks) for marks in _RESOURCE]
        items.append([begin[len(_ITEM) : -len(_ITEM_END)], *fields])
        _take(tokens, "Description/>\n\t\t\t")
        end = next(tokens)
        if end == "/Item>\n\t\t":
            _take(tokens, "/Resources>\n\t\t")
            return items
        if end != "/Item>\n\t\t\t":
            raise _OtherFormError


def _take(tokens: Iterator[str], *expected: str) -> None:
    for token in expected:
        if next(tokens) != token:
            raise _OtherFormError


def _field(tokens: Iterator[str], marks: tuple[str, str, str]) -> str:
    empty, begin, end = marks
    token = next(tokens)
    if token == empty:
        return ""
    if not token.startswith(begin) or next(tokens) != end:
        raise _OtherFormError
    text = token[len(begin) :]
    return text if "&" not in text else _unescaped(text)


def _marks(tag: str, indent: str) -> tuple[str, str, str]:
    """An element without content; or what is before the content, and after it."""
    return f"{tag}/>\n{indent}", f"{tag}>", f"/{tag}>\n{indent}"


_START_1_0, _START_1_1 = (f'{HEAD}{schema}">\n\t' for schema in (SCHEMA_1_0, SCHEMA_1_1))
_FACTS = ("ObjectID", "ObjectURN", "LWM2MVersion", "ObjectVersion", "MultipleInstances", "Mandatory")
_OBJECT = {tag: _marks(tag, "\t\t") for tag in ("Name", *_FACTS)}
_ITEM, _ITEM_END = 'Item ID="', '">\n\t\t\t\t'
_RESOURCE = [
    _marks(tag, "\t\t\t\t")
    for tag in ("Name", "Operations", "MultipleInstances", "Mandatory", "Type", "RangeEnumeration", "Units")
]


def _resources(items: Sequence[Sequence[str]]) -> dict[int, ResourceSpec]:
    names = {int(id_): _words(name) for id_, name, *_ in items}
    if len(names) != len(items) or list(names) != sorted(names):
        raise _OtherFormError
    attributes = attribute_names(names.items())
    resources = {}
    for number, _, operations, multiple, mandatory, kind, range_, units in items:
        id_ = int(number)
        if not names[id_] or operations not in OPERATIONS:
            raise _OtherFormError
        resources[id_] = ResourceSpec(
            id_,
            names[id_],
            attributes[id_],
            TYPES[kind],
            operations,
            MULTIPLE[multiple],
            MANDATORY[mandatory],
            range_.strip(),
            _words(units),
        )
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
