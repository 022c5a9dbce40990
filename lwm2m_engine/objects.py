"""Typed classes of the bundled OMA registry: ``from lwm2m_engine.objects import Device, Device_1_0``.

A class is made when its name is first used, from the one definition file it needs (PEP 562). ``objects.pyi``
says the same to type checkers. For definitions of your own: ``Catalog.classes`` and ``lwm2m models stubs``.
"""

from __future__ import annotations

from lwm2m_engine.model.bundle import read_bundled
from lwm2m_engine.model.bundled import OBJECTS
from lwm2m_engine.model.classes import ObjectInstance, object_class


def __getattr__(name: str) -> type[ObjectInstance]:
    found = _named(name) or _pickled(name)
    if found is not None:
        made = object_class(read_bundled(*found))
        if found == _named(name) or made.__qualname__ == name:
            globals()[name] = made
            return made
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _named(name: str) -> tuple[int, str] | None:
    """Object ID and version of ``Device`` or ``Device_1_0``."""
    if name in OBJECTS:
        object_id, versions = OBJECTS[name]
        return object_id, versions[-1]
    base, *numbers = name.rsplit("_", 2)
    object_id, versions = OBJECTS.get(base, (0, ()))
    version = ".".join(numbers)
    return (object_id, version) if version in versions else None


def _pickled(name: str) -> tuple[int, str] | None:
    """The same of ``Device_3_1_0``, by which pickle finds a class."""
    *_, object_id, major, minor = ("", "", *name.rsplit("_", 3))
    version = f"{major}.{minor}"
    ids = (id for id, versions in OBJECTS.values() if str(id) == object_id and version in versions)
    return next(((id, version) for id in ids), None)


def __dir__() -> list[str]:
    versions = (
        f"{name}_{version.replace('.', '_')}" for name, (_, known) in OBJECTS.items() for version in known
    )
    return sorted({*globals(), *OBJECTS, *versions})
