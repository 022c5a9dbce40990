"""Object definition files (LwM2M DDF, OMA XML): bytes in, ``ObjectSpec`` and problems out.

Both published schemas (LWM2M.xsd 1.0 and 1.1) are read by one tolerant reader: elements are found by name,
not by place. What a file does against its schema without harm is a ``Problem``; what leaves its meaning open
raises ``DDFError``. Files come from anyone, so DOCTYPE, entities, network access, great size and depth are
refused.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar, cast

import attrs

from lwm2m_engine.errors import DDFError
from lwm2m_engine.model.form import MANDATORY, MULTIPLE, OPERATIONS, SINCE_1_1, TYPES
from lwm2m_engine.model.names import attribute_names
from lwm2m_engine.model.spec import ObjectSpec, Problem, ResourceSpec
from lwm2m_engine.values import ResourceType

if TYPE_CHECKING:
    from lxml import etree

T = TypeVar("T")

MAX_BYTES = 2_000_000
"""The largest file of the OMA registry has 62 kB."""
MAX_ITEMS = 10_000
MAX_DEPTH = 8
"""A DDF is five elements deep."""

OBJECT_ORDER = (
    "Name",
    "Description1",
    "ObjectID",
    "ObjectURN",
    "LWM2MVersion",
    "ObjectVersion",
    "MultipleInstances",
    "Mandatory",
    "Resources",
    "Description2",
)
ITEM_ORDER = (
    "Name",
    "Operations",
    "MultipleInstances",
    "Mandatory",
    "Type",
    "RangeEnumeration",
    "Units",
    "Description",
)
OPTIONAL = frozenset({"LWM2MVersion", "ObjectVersion", "Description1", "Description2", "Description"})


COMPANIONS = {"DDFList": "an index of object definitions", "units": "a list of units"}
"""Root elements of registry files that define no object."""


_VERSION = re.compile(r"(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})")
_ID = re.compile(r"[0-9]{1,5}")
_URN = re.compile(r"urn:oma:lwm2m:[a-z]+:([0-9]{1,5})(?::([0-9.]+))?")
_SCHEMA = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"


@attrs.frozen(slots=True)
class Definitions:
    """What one or several files define."""

    objects: tuple[ObjectSpec, ...] = ()
    problems: tuple[Problem, ...] = ()


def parse(data: bytes, file: str = "") -> Definitions:
    """Read one definition file; ``file`` is its name in problems and errors.

    Raises ``DDFError`` with the line when the file cannot be used.
    """
    root = _root(data, file)
    return _Reader(file, root.get(_SCHEMA, "")).read(root)


def check_size(size: int, file: str) -> None:
    """Raises ``DDFError`` for more bytes than a definition file may have."""
    if size > MAX_BYTES:
        raise DDFError(f"{size} bytes, more than {MAX_BYTES}", file=file)


def _root(data: bytes, file: str) -> etree._Element:
    # The bundled registry is read without it (see ``bundle``).
    from lxml import etree

    check_size(len(data), file)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise DDFError(error.msg or "not well-formed XML", file=file, line=error.lineno or None) from None
    if root.getroottree().docinfo.doctype:  # type: ignore[union-attr]
        raise DDFError("a DOCTYPE is not allowed", file=file)
    if root.xpath(f"boolean({'/*' * (MAX_DEPTH + 1)})"):
        raise DDFError(f"elements are nested deeper than {MAX_DEPTH}", file=file)
    return root


class _Reader:
    """Reads one file and notes its oddities: each reason once, with its first line and how often."""

    def __init__(self, file: str, schema: str) -> None:
        self.file = file
        self.old_schema = schema.endswith("/LWM2M.xsd")
        self.notes: dict[str, tuple[int | None, int]] = {}
        self.items = 0

    def read(self, root: etree._Element) -> Definitions:
        if root.tag != "LWM2M":
            if root.tag in COMPANIONS:
                return self._companion(COMPANIONS[root.tag])
            raise self._fault(root, f"the root element is <{str(root.tag)[:60]}>, not <LWM2M>")
        elements = root.findall("Object")
        if any(element.get("ObjectType") == "CommonResources" for element in elements):
            return self._companion("a list of reusable resources")
        if not elements:
            raise self._fault(root, "there is no <Object>")
        objects = tuple(self._object(element) for element in elements)
        return Definitions(objects, self._problems())

    def _companion(self, what: str) -> Definitions:
        return Definitions(problems=(Problem(self.file, None, f"{what}, not an object definition: skipped"),))

    def _problems(self) -> tuple[Problem, ...]:
        return tuple(
            Problem(self.file, line, reason if count == 1 else f"{reason} ({count} places)")
            for reason, (line, count) in self.notes.items()
        )

    def _note(self, element: etree._Element, reason: str) -> None:
        line, count = self.notes.get(reason, (_line(element), 0))
        self.notes[reason] = line, count + 1

    def _fault(self, element: etree._Element, reason: str, tag: str = "") -> DDFError:
        """A fault in an element, or in its child ``tag`` if it has one."""
        child = element.find(tag) if tag else None
        return DDFError(reason, file=self.file, line=_line(element if child is None else child))

    # --- objects and resources ---------------------------------------------------------------------

    def _object(self, element: etree._Element) -> ObjectSpec:
        texts = self._texts(element, OBJECT_ORDER)
        object_id = self._id(element, texts.get("ObjectID"), "ObjectID")
        version = self._version(element, texts, "ObjectVersion")
        return ObjectSpec(
            id=object_id,
            name=self._name(element, texts, "object", object_id),
            version=version,
            lwm2m_version=self._version(element, texts, "LWM2MVersion"),
            urn=self._urn(element, texts, object_id, version),
            multiple=self._word(element, texts, "MultipleInstances", MULTIPLE, "Single"),
            mandatory=self._word(element, texts, "Mandatory", MANDATORY, "Optional"),
            resources=self._resources(element),
            source=self.file,
        )

    def _resources(self, element: etree._Element) -> Mapping[int, ResourceSpec]:
        resources = element.find("Resources")
        items = [] if resources is None else list(resources.iterchildren("Item"))
        self.items += len(items)
        if self.items > MAX_ITEMS:
            raise self._fault(element, f"more than {MAX_ITEMS} resources")
        if not items:
            self._note(element, "the object has no resources")
        texts: dict[int, tuple[etree._Element, dict[str, str]]] = {}
        for item in items:
            resource_id = self._id(item, item.get("ID"), "ID")
            if resource_id in texts:
                raise self._fault(item, f"resource {resource_id} is defined twice")
            texts[resource_id] = item, self._texts(item, ITEM_ORDER)
        names = {id: self._name(item, fields, "resource", id) for id, (item, fields) in texts.items()}
        attributes = attribute_names(names.items())
        return {id: self._resource(*texts[id], id, names[id], attributes[id]) for id in sorted(texts)}

    def _resource(
        self, item: etree._Element, texts: dict[str, str], resource_id: int, name: str, attribute: str
    ) -> ResourceSpec:
        spec = ResourceSpec(
            id=resource_id,
            name=name,
            attribute=attribute,
            type=self._word(item, texts, "Type", TYPES, ""),
            operations=self._word(item, texts, "Operations", OPERATIONS, ""),
            multiple=self._word(item, texts, "MultipleInstances", MULTIPLE, "Single"),
            mandatory=self._word(item, texts, "Mandatory", MANDATORY, "Optional"),
            range=texts.get("RangeEnumeration", ""),
            units=" ".join(texts.get("Units", "").split()),
        )
        self._check(item, spec)
        return spec

    def _check(self, item: etree._Element, spec: ResourceSpec) -> None:
        if spec.operations == "E":
            if spec.type is not ResourceType.NONE:
                self._note(item, "an executable resource has a type")
            if spec.multiple:
                self._note(item, "an executable resource has multiple instances")
        elif spec.type is ResourceType.NONE and spec.operations:
            self._note(item, "a resource has no type")
        if self.old_schema and spec.type in SINCE_1_1:
            self._note(item, "the schema it names is too old for its types")

    # --- fields ------------------------------------------------------------------------------------

    def _texts(self, element: etree._Element, order: tuple[str, ...]) -> dict[str, str]:
        """Text of each child, white space (of any kind: some files have no-break spaces) stripped."""
        texts = {child.tag: text.strip() if (text := child.text) else "" for child in element}
        if len(texts) != len(element):
            raise self._fault(element, "an element stands there twice")
        if tuple(texts) != order:
            self._compare(element, texts, order)
        return texts

    def _compare(self, element: etree._Element, texts: Iterable[str], order: tuple[str, ...]) -> None:
        known = [tag for tag in texts if tag in order]
        if known != sorted(known, key=order.index):
            self._note(element, f"elements of <{element.tag}> are not in the order of the schema")
        for tag in order:
            if tag not in known and tag not in OPTIONAL:
                self._note(element, f"<{element.tag}> without <{tag}>")

    def _id(self, element: etree._Element, text: str | None, what: str) -> int:
        if not text:
            raise self._fault(element, f"there is no {what}")
        if not _ID.fullmatch(text) or int(text) > 65534:
            raise self._fault(element, f"{what} {text[:20]!r} is not a number from 0 to 65534", what)
        return int(text)

    def _name(self, element: etree._Element, texts: dict[str, str], what: str, number: int) -> str:
        name = " ".join(texts.get("Name", "").split())
        if not name:
            raise self._fault(element, f"{what} {number} has no name", "Name")
        return name

    def _version(self, element: etree._Element, texts: dict[str, str], tag: str) -> str:
        """Absent means 1.0 by the schema; empty is taken for the same."""
        text = texts.get(tag)
        if not text:
            if text is not None:
                self._note(element, f"<{tag}> is empty; 1.0 is assumed")
            return "1.0"
        if not _VERSION.fullmatch(text):
            raise self._fault(element, f"{tag} {text[:20]!r} is not a version such as 1.0", tag)
        return text

    def _urn(self, element: etree._Element, texts: dict[str, str], object_id: int, version: str) -> str:
        text = texts.get("ObjectURN", "")
        if not text:
            suffix = "" if version == "1.0" else f":{version}"
            return f"urn:oma:lwm2m:{_family(object_id)}:{object_id}{suffix}"
        found = _URN.fullmatch(text)
        if found is None or (int(found[1]), found[2] or "1.0") != (object_id, version):
            self._note(
                element, f"ObjectURN {text[:80]!r} is not that of object {object_id} version {version}"
            )
        return text

    def _word(
        self, element: etree._Element, texts: dict[str, str], tag: str, words: Mapping[str, T], default: str
    ) -> T:
        text = texts.get(tag, default)
        if text in words:
            return words[text]
        if not text:
            self._note(element, f"<{tag}> is empty; {default} is assumed")
            return words[default]
        nearest = difflib.get_close_matches(text, words, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise self._fault(element, f"unknown {tag} {text[:20]!r}{hint}", tag)


def _line(element: etree._Element) -> int | None:
    return cast("int | None", element.sourceline)  # the stubs leave its type open


def _family(object_id: int) -> str:
    """Who registers an Object ID: OMA, another organisation (``ext``), a vendor (``x``)."""
    if object_id < 1024:
        return "oma"
    return "ext" if object_id <= 10240 else "x"
