"""``ObjectSpec``, ``ResourceSpec``: what an object definition says. ``Problem``: what is wrong with one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from lwm2m_engine.errors import UnknownResource
from lwm2m_engine.type_lookup import ObjectTypes
from lwm2m_engine.values import ResourceType

if TYPE_CHECKING:
    from lwm2m_engine.model.ranges import Range

REUSABLE = range(2048, 26241)
"""Resource IDs of reusable Resources: they mean the same in every Object that has them."""


@attrs.frozen(slots=True)
class Problem:
    """Something a definition file does that the schema does not allow."""

    file: str
    line: int | None
    reason: str
    refused: bool = False
    """True when nothing of the file could be used; else it is loaded and this is for information."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line is not None else self.file
        return f"{place}: {self.reason}"


@attrs.frozen(slots=True)
class ResourceSpec:
    """A Resource of an Object."""

    id: int
    name: str
    """As in the definition: ``Battery Level``."""
    attribute: str
    """Generated Python name, unique in its object: ``battery_level``."""
    type: ResourceType
    operations: str
    """``R``, ``W``, ``RW``, ``E`` or empty (bootstrap only)."""
    multiple: bool
    mandatory: bool
    range: str = ""
    """RangeEnumeration as written, stripped; ``allowed`` is what it means."""
    units: str = ""

    @property
    def reusable(self) -> bool:
        """True for an id from the range of reusable Resources. The facts are those of this definition."""
        return self.id in REUSABLE

    @property
    def allowed(self) -> Range:
        """What ``range`` allows: ``spec.allowed.check(300)`` is a sentence, or ``None`` if 300 is."""
        # Imported when first asked for: most processes never are, and to start is to wait.
        from lwm2m_engine.model.ranges import parse_range

        return parse_range(self.range, self.type)


@attrs.frozen(slots=True)
class ObjectSpec:
    """An Object in one version. Look up a Resource by id or generated name: ``spec[9]``."""

    id: int
    name: str
    version: str
    lwm2m_version: str
    """Lowest enabler version that may use it."""
    urn: str
    multiple: bool
    mandatory: bool
    resources: Mapping[int, ResourceSpec] = attrs.field(hash=False)
    """By id, in order of id."""
    source: str = attrs.field(default="", eq=False)
    """The file it came from."""
    types: ObjectTypes = attrs.field(init=False, repr=False, eq=False)
    """Type of each Resource that has one, by id: what decoders ask for."""
    _by_attribute: dict[str, ResourceSpec] = attrs.field(init=False, repr=False, eq=False)

    @types.default
    def _typed(self) -> ObjectTypes:
        typed = (spec for spec in self.resources.values() if spec.type is not ResourceType.NONE)
        return ObjectTypes((spec.id, spec.type) for spec in typed)

    @_by_attribute.default
    def _index(self) -> dict[str, ResourceSpec]:
        return {resource.attribute: resource for resource in self.resources.values()}

    def __getitem__(self, key: int | str) -> ResourceSpec:
        """Raises ``UnknownResource``, naming the nearest generated name."""
        found = self.resources.get(key) if isinstance(key, int) else self._by_attribute.get(key)
        if found is not None:
            return found
        # Imported for those who make mistakes.
        import difflib

        nearest = difflib.get_close_matches(str(key), self._by_attribute, n=1)
        raise UnknownResource(self.id, key, nearest[0] if nearest else None)
