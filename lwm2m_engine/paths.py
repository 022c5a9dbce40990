"""``Path``: where something is in an LwM2M Client's tree (LwM2M Core 1.2, 7.1)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from lwm2m_engine.errors import PathError

MAX_ID = 65535
"""Highest 16-bit id. As an Object Instance ID it is reserved (LwM2M Core 1.2, 7.1: "MAX_ID")."""

LEVELS = ("root", "object", "instance", "resource", "resource instance")


class Path(tuple[int, ...]):
    """Zero to four ids: root, Object, Object Instance, Resource, Resource Instance.

    A tuple of integers, so it hashes, compares and sorts numerically (``/2`` before ``/10``, a parent
    before its children). Made from text or from ids::

        Path("/3/0/9") == Path((3, 0, 9))
        str(Path((3, 0, 9))) == "/3/0/9"

    Raises ``PathError`` for anything that is not a path.
    """

    __slots__ = ()

    def __new__(cls, source: str | Iterable[int] = ()) -> Path:
        if type(source) is cls:
            return source
        if isinstance(source, str):
            return _parse(source)
        ids = tuple(source)
        _check(ids, "/" + "/".join(map(str, ids)))
        return tuple.__new__(cls, ids)

    # A tuple of at most four elements: reading one that is not there is an everyday question.
    @property
    def object(self) -> int | None:
        return self[0] if self else None

    @property
    def instance(self) -> int | None:
        return self[1] if len(self) > 1 else None

    @property
    def resource(self) -> int | None:
        return self[2] if len(self) > 2 else None

    @property
    def resource_instance(self) -> int | None:
        return self[3] if len(self) > 3 else None

    @property
    def level(self) -> str:
        """``root``, ``object``, ``instance``, ``resource`` or ``resource instance``."""
        return LEVELS[len(self)]

    @property
    def parent(self) -> Path:
        """One level up; the root is its own parent."""
        return tuple.__new__(Path, self[:-1])

    @property
    def key(self) -> str:
        """The path without its leading slash, as JSON interfaces write it: ``3/0/9``."""
        return "/".join(map(str, self))

    def startswith(self, prefix: tuple[int, ...]) -> bool:
        """True if ``prefix`` is this path or one of its ancestors."""
        return self[: len(prefix)] == prefix

    def __truediv__(self, child: int) -> Path:
        return Path((*self, child))

    def __str__(self) -> str:
        return "/" + "/".join(map(str, self))

    def __repr__(self) -> str:
        return f"Path({str(self)!r})"

    def __reduce__(self) -> tuple[type[Path], tuple[tuple[int, ...]]]:
        return Path, (tuple(self),)


def _check(ids: tuple[int, ...], text: str) -> None:
    if len(ids) > 4:
        raise PathError(text, "more than four ids")
    for value in ids:
        # bool is an int to Python and a mistake here.
        if type(value) is not int or not 0 <= value <= MAX_ID:
            raise PathError(text, f"{value!r} is not an id from 0 to {MAX_ID}")
    if len(ids) > 1 and ids[1] == MAX_ID:
        raise PathError(text, f"{MAX_ID} is reserved and names no Object Instance")


@lru_cache(maxsize=4096)
def _parse(text: str) -> Path:
    """A leading slash and one trailing slash may be missing or present."""
    stripped = text[1:] if text.startswith("/") else text
    if stripped.endswith("/"):
        stripped = stripped[:-1]
    if not stripped:
        if text in ("", "/"):
            return ROOT
        raise PathError(text, "empty element")
    ids = []
    for element in stripped.split("/"):
        if not (element.isascii() and element.isdigit()) or len(element) > 5:
            reason = "empty element" if not element else f"{element!r} is not an id from 0 to {MAX_ID}"
            raise PathError(text, reason)
        ids.append(int(element))
    _check(tuple(ids), text)
    return tuple.__new__(Path, ids)


ROOT: Path = tuple.__new__(Path, ())
"""The path ``/``."""
