"""Object definitions as people and programs read them: as a tree, by their differences, as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import attrs

from lwm2m_engine.model.ranges import Labels
from lwm2m_engine.model.spec import ObjectSpec, ResourceSpec

Changes: TypeAlias = dict[str, tuple[Any, Any]]
"""Field -> what it is in the old and in the new definition."""


def object_line(spec: ObjectSpec) -> str:
    """``Device: object 3 version 1.2, single, mandatory``."""
    facts = "multiple" if spec.multiple else "single", "mandatory" if spec.mandatory else "optional"
    return f"{spec.name}: object {spec.id} version {spec.version}, {', '.join(facts)}"


def tree(spec: ObjectSpec) -> Iterator[str]:
    """A branch for each Resource, below it one for each value that has a name."""
    yield f"/{spec.id} {spec.name}"
    resources = list(spec.resources.values())
    rows = [resource_cells(resource) for resource in resources]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for resource, row in zip(resources, rows, strict=True):
        last = resource is resources[-1]
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width)
        yield f"{'└' if last else '├'}─ {cells.rstrip()}"
        yield from (f"{' ' if last else '│'}  {label}" for label in _labels(resource))


def resource_cells(spec: ResourceSpec) -> tuple[str, ...]:
    """Id, name, attribute, operations, type, use, range and units."""
    kind = f"{spec.type.value}, multiple".lstrip(", ") if spec.multiple else spec.type.value
    allowed = "" if isinstance(spec.allowed, Labels) else one_line(spec.range)
    use = "mandatory" if spec.mandatory else ""
    return str(spec.id), spec.name, spec.attribute, spec.operations, kind, use, allowed, spec.units


def _labels(spec: ResourceSpec) -> Sequence[str]:
    labels = spec.allowed.labels if isinstance(spec.allowed, Labels) else {}
    lines = [f"{value}: {label}" for value, label in labels.items()]
    return [f"{'└' if line is lines[-1] else '├'}─ {line}" for line in lines]


# --- differences -----------------------------------------------------------------------------------


@attrs.frozen(slots=True)
class ResourceChange:
    """A Resource that came (no ``old``), went (no ``new``) or differs in ``fields``."""

    id: int
    old: ResourceSpec | None
    new: ResourceSpec | None
    fields: Changes

    def __str__(self) -> str:
        """Without its id: ``~ battery_level: units % -> /100``."""
        one = self.new or self.old
        assert one is not None
        if not self.fields:
            return "  ".join(filter(None, resource_cells(one)[1:]))
        texts = (f"{name} {_shown(was)} -> {_shown(now)}" for name, (was, now) in self.fields.items())
        return f"{one.attribute}: {'; '.join(texts)}"

    @property
    def sign(self) -> str:
        """``+``, ``-`` or ``~``."""
        return "+" if self.old is None else "-" if self.new is None else "~"


def object_changes(old: ObjectSpec, new: ObjectSpec) -> Changes:
    """Fields of two Objects that differ, without their Resources."""
    return _changes(object_facts(old), object_facts(new))


def resource_changes(old: ObjectSpec, new: ObjectSpec) -> Iterator[ResourceChange]:
    """In order of id. Ranges that mean the same (``0-7`` and ``0..7``) are no difference."""
    for id in sorted(old.resources.keys() | new.resources.keys()):
        was, now = old.resources.get(id), new.resources.get(id)
        fields = _changes(resource_facts(was), resource_facts(now)) if was and now else {}
        if was and now and was.allowed == now.allowed:
            fields.pop("range", None)
        if fields or was is None or now is None:
            yield ResourceChange(id, was, now, fields)


def _changes(old: dict[str, Any], new: dict[str, Any]) -> Changes:
    return {name: (old[name], new[name]) for name in old if name != "file" and old[name] != new[name]}


def _shown(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return one_line(text) or "none"


# --- facts as JSON ---------------------------------------------------------------------------------


def object_facts(spec: ObjectSpec) -> dict[str, Any]:
    """All but the Resources."""
    return {
        "id": spec.id,
        "name": spec.name,
        "version": spec.version,
        "lwm2m_version": spec.lwm2m_version,
        "urn": spec.urn,
        "multiple": spec.multiple,
        "mandatory": spec.mandatory,
        "file": spec.source,
    }


def resource_facts(spec: ResourceSpec) -> dict[str, Any]:
    """As the definition has them."""
    return {
        "id": spec.id,
        "name": spec.name,
        "attribute": spec.attribute,
        "operations": spec.operations,
        "type": spec.type.value,
        "multiple": spec.multiple,
        "mandatory": spec.mandatory,
        "range": spec.range,
        "units": spec.units,
    }


def one_line(text: str) -> str:
    """Some ranges are written on several."""
    return " ".join(text.split())
