"""What becomes of each file of an upload, by what is there already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import attrs

from lwm2m_engine.model.spec import ObjectSpec
from lwm2m_server.library.checking import Checked
from lwm2m_server.library.usage import Key
from lwm2m_server.settings import ModelSettings
from lwm2m_server.store.definitions import UploadedModel

Outcome: TypeAlias = Literal["stored", "replaced", "unchanged", "skipped", "refused"]
TAKEN: Final = ("stored", "replaced")


@attrs.frozen(slots=True)
class Verdict:
    """What becomes of one file."""

    checked: Checked
    outcome: Outcome
    covers: tuple[str, ...] = ()
    """Levels whose definition of the same Object version counts no more."""

    @property
    def is_taken(self) -> bool:
        return self.outcome in TAKEN


class Judge:
    """Of one upload; what was judged before counts as if it were there."""

    def __init__(
        self,
        rows: Iterable[UploadedModel],
        levels: Mapping[Key, Sequence[str]],
        limits: ModelSettings,
        *,
        replace: bool,
        only: Key | None,
    ) -> None:
        """``rows`` are uploaded for the same; ``levels`` are others where an Object version is defined.

        ``only`` is what may be defined.
        """
        self._rows = {row.name: row for row in rows}
        self._sizes = {row.name: row.size for row in self._rows.values()}
        self._levels, self._limits = levels, limits
        self._replace, self._only = replace, only

    def judge(self, one: Checked) -> Verdict:
        if self._only is not None and not one.is_refused:
            one = _only(one, self._only)
        rows = [self._rows.get(key_of(spec)) for spec in one.objects]
        if one.is_refused:
            return Verdict(one, "refused")
        if not rows:
            return Verdict(one, "skipped")
        if all(row is not None and row.digest == one.digest for row in rows):
            renamed = any(row is not None and row.file_name != one.file.name for row in rows)
            if not (renamed and self._replace):
                return Verdict(one, "unchanged")
        taken = [row.name for row in rows if row is not None]
        if taken and not self._replace:
            there = f"{', '.join(taken)} is uploaded already, and is something else"
            return Verdict(one.refused(f"{there}; ?replace=true replaces it"), "refused")
        sizes = self._sizes | {key_of(spec): len(one.file.data) for spec in one.objects}
        if reason := self._no_room(sizes):
            return Verdict(one.refused(reason), "refused")
        self._sizes = sizes
        return Verdict(one, "replaced" if taken else "stored", self._covered(one))

    def _no_room(self, sizes: Mapping[str, int]) -> str:
        limits = self._limits
        if len(sizes) > limits.uploads:
            return f"there are {limits.uploads} models already (models.uploads)"
        if sum(sizes.values()) > limits.uploads_size:
            return f"with it there would be more than {limits.uploads_size} bytes (models.uploads_size)"
        return ""

    def _covered(self, one: Checked) -> tuple[str, ...]:
        levels = (self._levels.get((spec.id, spec.version), ()) for spec in one.objects)
        return tuple(dict.fromkeys(level for found in levels for level in found))


def key_of(spec: ObjectSpec) -> str:
    """The name of the row: ``3_1.2``."""
    return f"{spec.id}_{spec.version}"


def _only(one: Checked, wanted: Key) -> Checked:
    if [(spec.id, spec.version) for spec in one.objects] == [wanted]:
        return one
    found = ", ".join(f"{spec.id}/{spec.version}" for spec in one.objects) or "no object"
    return one.refused(f"it defines {found}, not {wanted[0]}/{wanted[1]}")
