"""Typed objects: an attrs class for each version of an Object, made from its definition when first needed."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import ClassVar, TypeAlias
from weakref import WeakValueDictionary

import attrs

from lwm2m_engine.model.spec import ObjectSpec, ResourceSpec
from lwm2m_engine.model.versions import version_key
from lwm2m_engine.values import Value

Extra: TypeAlias = Value | dict[int, Value]
"""What a Resource without an attribute has: a value, or values by Resource Instance ID."""

HOME = "lwm2m_engine.objects"
RESERVED = frozenset({"Extra", "False", "None", "ObjectInstance", "ObjLink", "True", "Value"})
"""Names that mean something else in Python or in a generated stub."""

_SEPARATORS = re.compile(r"[^A-Za-z0-9]+")


@attrs.define(kw_only=True, repr=False)
class ObjectInstance:
    """The Resources of an Object Instance as attributes: what all classes of typed objects have in common.

    An attribute has the generated name of its Resource. ``None`` means "not reported", or in what is to be
    written "leave it". A multiple Resource is a dict by Resource Instance ID. Executable Resources have no
    value and no attribute. Values are checked by ``Catalog.unstructure``, not when they are set.
    """

    __lwm2m__: ClassVar[ObjectSpec]
    """The definition the class was made from."""

    extra: dict[int, Extra] = attrs.field(factory=dict, kw_only=True)
    """By Resource ID: what a device reports beyond the definition."""

    def __repr__(self) -> str:
        """Only what is set: ``Device(manufacturer='ACME', battery_level=42)``."""
        values = {spec.attribute: getattr(self, spec.attribute) for spec in valued(type(self).__lwm2m__)}
        shown = [f"{name}={value!r}" for name, value in values.items() if value is not None]
        if self.extra:
            shown.append(f"extra={self.extra!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


_MADE: WeakValueDictionary[ObjectSpec, type[ObjectInstance]] = WeakValueDictionary()


def valued(spec: ObjectSpec) -> Iterable[ResourceSpec]:
    """The Resources of which a typed object has an attribute, in order of id."""
    return (resource for resource in spec.resources.values() if resource.operations != "E")


def object_class(spec: ObjectSpec) -> type[ObjectInstance]:
    """The class of an Object version; the same one for the same definition, whichever catalog it is in."""
    made = _MADE.get(spec)
    return _MADE.setdefault(spec, _make(spec)) if made is None else made


def _make(spec: ObjectSpec) -> type[ObjectInstance]:
    name = pascal_case(spec.name) or f"Object{spec.id}"
    body = {
        "__lwm2m__": spec,
        "__doc__": f"{spec.name}: Object {spec.id} version {spec.version} ({spec.urn}).",
        # Unlike the name it names one class only: pickle finds classes by it.
        "__qualname__": f"{name}_{spec.id}_{_suffix(spec)}",
    }
    fields = {resource.attribute: attrs.field(default=None) for resource in valued(spec)}
    made = attrs.make_class(
        name, fields, bases=(ObjectInstance,), class_body=body, slots=True, kw_only=True, repr=False
    )
    made.__module__ = HOME
    return made


class Classes(Mapping[str, type[ObjectInstance]]):
    """Classes by name, each made when it is looked up."""

    def __init__(
        self, specs: Iterable[ObjectSpec], make: Callable[[ObjectSpec], type[ObjectInstance]]
    ) -> None:
        self._specs, self._make = class_names(specs), make

    def __getitem__(self, name: str) -> type[ObjectInstance]:
        return self._make(self._specs[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)


# --- names -----------------------------------------------------------------------------------------


def class_names(specs: Iterable[ObjectSpec]) -> dict[str, ObjectSpec]:
    """A unique name for each Object, and one more for each of its versions.

    ``Device`` is the newest version, ``Device_1_0`` another. Objects of the same name get their id at the end
    and none keeps the bare name: ``Location_6``, ``Location_6_1_0``.
    """
    versions: dict[int, list[ObjectSpec]] = {}
    for spec in sorted(specs, key=lambda spec: (spec.id, version_key(spec.version))):
        versions.setdefault(spec.id, []).append(spec)
    plain = {id: pascal_case(known[-1].name) or f"Object{id}" for id, known in versions.items()}
    count = Counter(plain.values())
    names: dict[str, ObjectSpec] = {}
    for id, known in versions.items():
        name = plain[id]
        if name in RESERVED or count[name] > 1:
            name = f"{name}_{id}"
        names[name] = known[-1]
        names |= {f"{name}_{_suffix(spec)}": spec for spec in known}
    return names


def pascal_case(name: str) -> str:
    """A class name: ``Connectivity Monitoring`` -> ``ConnectivityMonitoring``, ``5GNR`` -> ``Object5GNR``.

    Capitals stay, accents are dropped, everything else that is no ASCII letter or digit separates words.
    Empty when nothing is left.
    """
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    words = "".join(word[0].upper() + word[1:] for word in _SEPARATORS.split(ascii_name) if word)
    return f"Object{words}" if words[:1].isdigit() else words


def _suffix(spec: ObjectSpec) -> str:
    return spec.version.replace(".", "_")
