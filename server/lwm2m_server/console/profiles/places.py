"""``Place``: a path of a device profile, ``/3_1.2/0/9``, as a page shows and edits it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import attrs

ANY: Final = "*"
"""In place of an instance: every one that a device has."""
MAX_INSTANCE: Final = 65534

_PLACE: Final = re.compile(
    r"/?(\d{1,5})(?:_(\d{1,5}\.\d{1,5}))?(?:/(\d{1,5}|\*)(?:/(\d{1,5}))?)?", flags=re.ASCII
)
_OBJECT: Final = re.compile(r"(\d{1,5})(?:_(\d{1,5}\.\d{1,5}))?", flags=re.ASCII)


@attrs.frozen(slots=True)
class Place:
    """An Object, its instances or a Resource of them. As for the server, the version does not make another
    one of it."""

    object: int
    instance: str | None = None
    """A number, or ``ANY``."""
    resource: int | None = None
    version: str | None = attrs.field(default=None, eq=False)

    @classmethod
    def parse(cls, text: str) -> Place | None:
        """``None`` for what is no path; such a one stays as it is in the document."""
        return _parse(text)

    def __str__(self) -> str:
        below = (part for part in (self.instance, self.resource) if part is not None)
        version = "" if self.version is None else f"_{self.version}"
        return "/" + "/".join((f"{self.object}{version}", *map(str, below)))


@lru_cache(maxsize=8192)
def _parse(text: str) -> Place | None:
    found = _PLACE.fullmatch(text)
    if found is None:
        return None
    object, version, instance, resource = found.groups()
    number = instance if instance in (None, ANY) else str(int(instance))
    return Place(int(object), number, None if resource is None else int(resource), version)


def object_of(text: str) -> tuple[int, str | None] | None:
    """``3`` or ``3_1.2``: an Object and perhaps its version."""
    found = _OBJECT.fullmatch(text)
    return None if found is None else (int(found[1]), found[2])


def instance_of(text: str) -> str | None:
    """The id of an Object Instance, or ``ANY``; ``None`` for neither."""
    text = text.strip()
    if text == ANY:
        return ANY
    is_number = text.isascii() and text.isdigit() and len(text) <= 5
    return str(int(text)) if is_number and int(text) <= MAX_INSTANCE else None
