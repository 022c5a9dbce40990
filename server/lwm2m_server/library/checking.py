"""What is in uploaded files: object definitions, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from lwm2m_engine.errors import DDFError
from lwm2m_engine.model.ddf import parse
from lwm2m_engine.model.spec import ObjectSpec, Problem
from lwm2m_server.library.archives import File, Limits, unpack
from lwm2m_server.library.files import digest_of


@attrs.frozen(slots=True)
class Checked:
    """One file. It is refused if one of its problems is; without objects, there is nothing to store."""

    file: File
    digest: str = ""
    objects: tuple[ObjectSpec, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def is_refused(self) -> bool:
        return any(problem.refused for problem in self.problems)

    def refused(self, reason: str) -> Checked:
        problem = Problem(self.file.name, None, reason, refused=True)
        return attrs.evolve(self, problems=(*self.problems, problem))


def check(parts: Iterable[File], limits: Limits) -> Sequence[Checked]:
    """Each file of an upload by itself, then against those before it: nothing in one upload is later than
    another, so two definitions of an Object version that differ are a fault of the second.

    Raises ``BadUpload``. Blocks: for a thread.
    """
    first: dict[tuple[int, str], ObjectSpec] = {}
    rows = []
    for file in unpack(parts, limits):
        row = _checked(file)
        for spec in row.objects:
            other = first.get((spec.id, spec.version))
            if other is not None and other != spec:
                row = row.refused(
                    f"object {spec.id} version {spec.version} differs from that in {other.source}"
                )
        if not row.is_refused:
            first |= {(spec.id, spec.version): spec for spec in row.objects}
        rows.append(row)
    return rows


def _checked(file: File) -> Checked:
    if file.fault:
        return Checked(file).refused(file.fault)
    if file.aside:
        return Checked(file, problems=(Problem(file.name, None, f"{file.aside}: skipped"),))
    try:
        found = parse(file.data, file.name)
    except DDFError as error:
        return Checked(file, problems=(Problem(file.name, error.line, error.reason, refused=True),))
    checked = Checked(file, digest_of(file.data), found.objects, found.problems)
    keys = [(spec.id, spec.version) for spec in found.objects]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        return checked.refused(f"object {twice[0]} version {twice[1]} is defined twice")
    return checked
