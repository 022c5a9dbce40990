"""Reading documents member by member: all that is wrong is told at once, and where."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import attrs

from lwm2m_engine.errors import LwM2MError

MAX_TOLD: Final = 10
"""Faults that one text names."""
MAX_LETTERS: Final = 1024
"""Of a text in a document."""


class Faulty(LwM2MError):
    """A document that cannot be used. Its text names the members, and has none of their values."""

    def __init__(self, told: Mapping[str, str]) -> None:
        super().__init__(told)
        self.told = dict(told)

    def __str__(self) -> str:
        words = [f"{place}: {reason}" for place, reason in self.told.items()]
        more = [f"and {len(words) - MAX_TOLD} faults more"] if len(words) > MAX_TOLD else []
        return "; ".join(words[:MAX_TOLD] + more)


class Faults:
    """What was found until now, the first at each place."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def add(self, place: str, reason: str) -> None:
        self._told.setdefault(place, reason)

    def settle(self) -> None:
        """Raises ``Faulty`` if there are any."""
        if self._told:
            raise Faulty(self._told)


@contextmanager
def reading() -> Iterator[Faults]:
    """Raises ``Faulty`` at the end if anything was added."""
    faults = Faults()
    yield faults
    faults.settle()


@attrs.frozen(slots=True)
class Members:
    """An object of a document, and which of its members are known."""

    place: str
    values: Mapping[str, Any]
    known: Collection[str]
    is_object: bool = True

    @property
    def unknown(self) -> list[str]:
        return [name for name in self.values if name not in self.known]

    def refuse_unknown(self, faults: Faults) -> None:
        if not self.is_object:
            faults.add(self.place, "a JSON object is due")
        for name in self.unknown:
            faults.add(f"{self.place}.{name[:40]}", "there is no such member")

    def get(self, name: str, default: Any = None) -> Any:
        """``null`` is as good as nothing."""
        value = self.values.get(name)
        return default if value is None else value

    def text(self, name: str, faults: Faults, most: int = MAX_LETTERS) -> str | None:
        """``None`` also for an empty one."""
        value = self.get(name, "")
        if not isinstance(value, str) or len(value) > most or not value.isprintable():
            faults.add(self._at(name), f"a text of at most {most} printable characters is due")
            return None
        return value or None

    def texts(self, name: str, faults: Faults, most: int) -> tuple[str, ...]:
        """A list of them; one alone is a list, too."""
        value = self.get(name, [])
        value = ([value] if value else []) if isinstance(value, str) else value
        is_list = isinstance(value, list) and len(value) <= most
        if not is_list or not all(isinstance(one, str) and 0 < len(one) <= 255 for one in value):
            faults.add(self._at(name), f"a list of at most {most} texts is due")
            return ()
        return tuple(dict.fromkeys(value))

    def flag(self, name: str, faults: Faults) -> bool:
        value = self.get(name, False)
        if not isinstance(value, bool):
            faults.add(self._at(name), "true or false is due")
            return False
        return value

    def _at(self, name: str) -> str:
        return f"{self.place}.{name}" if self.place else name


def read_members(given: object, place: str, known: Collection[str]) -> Members:
    """What is no object has no members, and is told by ``refuse_unknown``."""
    if isinstance(given, Mapping):
        return Members(place, given, known)
    return Members(place, {}, known, is_object=given is None)
