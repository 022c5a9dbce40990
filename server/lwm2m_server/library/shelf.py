"""``Shelf``: what the uploaded Object models define, read from their files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from lwm2m_engine.errors import DDFError
from lwm2m_engine.model.ddf import parse
from lwm2m_engine.model.spec import ObjectSpec, Problem
from lwm2m_server.library.files import ModelFiles
from lwm2m_server.store.definitions import UploadedModel


@attrs.frozen(slots=True)
class Uploads:
    """Definitions by tenant; those under ``None`` are every tenant's."""

    objects: Mapping[str | None, tuple[ObjectSpec, ...]] = attrs.field(factory=dict)
    faults: Mapping[tuple[str, str], Problem] = attrs.field(factory=dict)
    """Of files that cannot be used any more, by digest and name."""
    faulty: tuple[tuple[str | None, tuple[str, str], Problem], ...] = ()
    """The same, by tenant."""

    def of(self, tenant: str | None) -> tuple[ObjectSpec, ...]:
        return self.objects.get(tenant, ())


class Shelf:
    """Files are parsed once. Blocks; not for two threads at a time."""

    def __init__(self, files: ModelFiles) -> None:
        self._files = files
        self._parsed: dict[tuple[str, str], tuple[ObjectSpec, ...] | Problem] = {}
        self._rows: dict[str | None, list[UploadedModel]] = {}
        self._last = Uploads()

    def read(self, rows: Iterable[UploadedModel]) -> Uploads:
        """What these define. Of tenants whose rows are the same as at the last call the same tuple."""
        by_tenant: dict[str | None, list[UploadedModel]] = {}
        for row in rows:
            by_tenant.setdefault(row.tenant, []).append(row)
        self._parse([row for found in by_tenant.values() for row in found])
        objects = {
            tenant: self._last.of(tenant) if self._rows.get(tenant) == found else self._specs(found)
            for tenant, found in by_tenant.items()
        }
        faults = {key: found for key, found in self._parsed.items() if isinstance(found, Problem)}
        faulty = tuple(
            (tenant, (row.digest, row.file_name), faults[row.digest, row.file_name])
            for tenant, found in by_tenant.items()
            for row in found
            if (row.digest, row.file_name) in faults
        )
        self._rows, self._last = by_tenant, Uploads(objects, faults, faulty)
        return self._last

    def _parse(self, rows: Sequence[UploadedModel]) -> None:
        wanted = {(row.digest, row.file_name) for row in rows}
        known = self._parsed
        self._parsed = {key: known[key] if key in known else self._definitions(*key) for key in wanted}

    def _definitions(self, digest: str, name: str) -> tuple[ObjectSpec, ...] | Problem:
        try:
            return parse(self._files.read(digest), name).objects
        except DDFError as error:
            return Problem(name, error.line, error.reason, refused=True)
        except OSError as error:
            return Problem(name, None, error.strerror or str(error), refused=True)

    def _specs(self, rows: Sequence[UploadedModel]) -> tuple[ObjectSpec, ...]:
        found = []
        for row in rows:
            definitions = self._parsed[row.digest, row.file_name]
            if not isinstance(definitions, Problem):
                found += [
                    spec for spec in definitions if (spec.id, spec.version) == (row.object, row.version)
                ]
        return tuple(found)
