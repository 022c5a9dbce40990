"""``Library``: Object models that are uploaded and taken away while devices talk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import attrs
import structlog

from lwm2m_engine.errors import PluginError
from lwm2m_engine.model.spec import ObjectSpec
from lwm2m_server.library.archives import File, Limits
from lwm2m_server.library.checking import Checked, check
from lwm2m_server.library.files import ModelFiles
from lwm2m_server.library.models import Draft, Models, level_of
from lwm2m_server.library.usage import SHOWN, Key, Usage, Users
from lwm2m_server.library.verdicts import Judge, Verdict, key_of
from lwm2m_server.settings import ModelSettings
from lwm2m_server.store.definitions import UploadedModel
from lwm2m_server.store.errors import CommitFailed, Gone
from lwm2m_server.store.ids import SECOND
from lwm2m_server.store.protocols import Inventory

T = TypeVar("T")

SYSTEM: Final = "system"
TENANT: Final = "tenant"

_log = structlog.get_logger(__name__)


class MappingsRefuse(Exception):
    """A plugin cannot map with these models, and that is not tolerated: nothing was changed."""


class InUse(Exception):
    """The model would be missed."""

    def __init__(self, users: Sequence[Users]) -> None:
        super().__init__(users)
        self.users = users

    def __str__(self) -> str:
        profiles = sum(len(one.profiles) for one in self.users)
        devices = sum(one.devices for one in self.users)
        return f"it is used by {_count(profiles, 'device profile')} and {_count(devices, 'device')}"


@attrs.frozen(slots=True)
class Report:
    """What became of an upload."""

    files: tuple[Verdict, ...]
    mappings: tuple[str, ...] = ()
    """Why plugins map less with it than without."""


@attrs.frozen(slots=True)
class Placed:
    """A definition, and where it comes from."""

    object: int
    version: str
    level: str
    spec: ObjectSpec | None
    """``None`` if its file cannot be used any more."""
    row: UploadedModel | None = None
    in_force: bool = False
    fault: str | None = None


class Library:
    """What is uploaded for ``None`` is every tenant's."""

    def __init__(
        self, inventory: Inventory, models: Models, files: ModelFiles, usage: Usage, limits: ModelSettings
    ) -> None:
        self._inventory, self._models, self._files = inventory, models, files
        self._kept = inventory.uploads
        self._usage, self._limits = usage, limits

    # --- looking -------------------------------------------------------------------------------------

    def all(self, tenant: str | None) -> list[Placed]:
        """What a tenant has, of all levels, the later counting; with ``None`` what those without uploads of
        their own have."""
        force = self._models.force
        found = [Placed(spec.id, spec.version, level_of(spec), spec) for spec in force.definitions.objects]
        found += self._uploaded(None, SYSTEM)
        if tenant is not None:
            found += self._uploaded(tenant, TENANT)
        last = {(one.object, one.version): place for place, one in enumerate(found) if one.spec is not None}
        for place in last.values():
            found[place] = attrs.evolve(found[place], in_force=True)
        return found

    def _uploaded(self, tenant: str | None, level: str) -> Iterator[Placed]:
        uploads = self._models.force.uploads
        specs = {key_of(spec): spec for spec in uploads.of(tenant)}
        for row in self._kept.of(tenant):
            problem = uploads.faults.get((row.digest, row.file_name))
            fault = problem.reason if problem is not None else None
            yield Placed(row.object, row.version, level, specs.get(row.name), row, fault=fault)

    async def counts(self, tenant: str | None) -> Mapping[Key, tuple[int, int]]:
        """How many profiles and devices use each definition that ``all`` says is in force."""
        force = self._models.force
        if tenant is not None:
            return await self._usage.counts(tenant, force.of(tenant).catalog)
        sums: dict[Key, tuple[int, int]] = {}
        for one in self._inventory.tenants():
            counts = await self._usage.counts(one.name, force.of(one.name).catalog)
            for key, (profiles, devices) in counts.items():
                if not self._has_own(one.name, key):
                    known = sums.get(key, (0, 0))
                    sums[key] = known[0] + profiles, known[1] + devices
        return sums

    async def users(self, tenant: str | None, one: Placed) -> Sequence[Users]:
        """Who uses a definition, in a tenant or in all of them."""
        key, force = (one.object, one.version), self._models.force
        if not one.in_force:
            return ()
        if tenant is not None:
            names = [tenant]
        else:
            names = [each.name for each in self._inventory.tenants() if not self._has_own(each.name, key)]
        found = [await self._usage.bereft(name, key, force.of(name).catalog) for name in names]
        return [users for users in found if users]

    def _has_own(self, tenant: str, key: Key) -> bool:
        return self._kept.get(tenant, f"{key[0]}_{key[1]}") is not None

    async def xml(self, one: Placed) -> bytes:
        """As it was uploaded, or as it lies in its folder. Raises ``OSError``."""
        if one.row is not None:
            return await asyncio.to_thread(self._files.read, one.row.digest)
        assert one.spec is not None
        return await asyncio.to_thread(_content, one.spec.source)

    # --- changing ------------------------------------------------------------------------------------

    async def upload(
        self,
        tenant: str | None,
        parts: Sequence[File],
        *,
        replace: bool = False,
        only: Key | None = None,
    ) -> Report:
        """Keep each file as a whole or not at all; those that are kept are in force when it returns.

        ``replace`` takes the place of what is uploaded for the same; ``only`` is what may be defined. Raises
        ``BadUpload``, ``MappingsRefuse``, ``CommitFailed``, ``Gone`` if the tenant is.
        """
        limits = Limits(self._limits.upload_files, self._limits.unpacked_size)
        checked = await asyncio.to_thread(check, parts, limits)
        return await _whole(self._keep(tenant, checked, replace, only))

    async def remove(self, tenant: str | None, key: Key, *, force: bool = False) -> Placed | None:
        """Take an uploaded definition away; what is in force in its place, if anything is.

        Raises ``Gone`` if it is not there, ``InUse`` unless forced, ``MappingsRefuse``, ``CommitFailed``.
        """
        await _whole(self._take_away(tenant, key, force))
        return next(
            (one for one in self.all(tenant) if one.in_force and (one.object, one.version) == key), None
        )

    # --- inner ---------------------------------------------------------------------------------------

    async def _keep(
        self, tenant: str | None, checked: Sequence[Checked], replace: bool, only: Key | None
    ) -> Report:
        async with self._models.changing:
            if tenant is not None and self._inventory.tenant(tenant) is None:
                raise Gone(f"there is no tenant {tenant!r} any more")
            verdicts = await asyncio.to_thread(self._judge, tenant, checked, replace, only)
            taken = [one.checked for one in verdicts if one.is_taken]
            rows = _rows(tenant, taken)
            if not rows:
                return Report(tuple(verdicts))
            draft = await self._store(rows, {one.digest: one.file.data for one in taken})
            new = _new_reasons(self._models.force, draft, tenant)
            await self._models.put_in_force(draft)
            await self._sweep()
        _log.info(
            "models uploaded", tenant=tenant, count=len(rows), models=[row.name for row in rows[:SHOWN]]
        )
        return Report(tuple(verdicts), new)

    async def _take_away(self, tenant: str | None, key: Key, force: bool) -> None:
        async with self._models.changing:
            row = self._kept.get(tenant, f"{key[0]}_{key[1]}")
            if row is None:
                raise Gone(f"no model {key[0]}/{key[1]} is uploaded for {_whose(tenant)}")
            draft = await self._drafted([one for one in self._kept.all() if one is not row])
            users = () if force else await self._bereft(tenant, key, draft)
            if users:
                raise InUse(users)
            await self._kept.remove(tenant, row.name)
            await self._models.put_in_force(draft)
            await self._sweep()
        _log.info("model removed", file=row.file_name, tenant=tenant, object=row.name)

    def _judge(
        self, tenant: str | None, checked: Sequence[Checked], replace: bool, only: Key | None
    ) -> list[Verdict]:
        own, levels = SYSTEM if tenant is None else TENANT, dict[Key, list[str]]()
        for placed in self.all(tenant):
            if placed.level != own:
                levels.setdefault((placed.object, placed.version), []).append(placed.level)
        judge = Judge(self._kept.of(tenant), levels, self._limits, replace=replace, only=only)
        return [judge.judge(one) for one in checked]

    async def _store(self, rows: Sequence[UploadedModel], data: Mapping[str, bytes]) -> Draft:
        """Files first: the index names nothing that is not there."""
        try:
            await asyncio.to_thread(self._files.write, list(data.values()))
        except OSError as error:
            raise CommitFailed(f"{self._files.folder}: {error.strerror}") from error
        changed = {(row.tenant, row.name) for row in rows}
        rest = [one for one in self._kept.all() if (one.tenant, one.name) not in changed]
        try:
            draft = await self._drafted([*rest, *rows])
            await self._kept.put_all(rows)
        except (MappingsRefuse, CommitFailed):
            await self._sweep()
            raise
        return draft

    async def _drafted(self, rows: Sequence[UploadedModel]) -> Draft:
        try:
            return await asyncio.to_thread(self._models.draft, rows)
        except PluginError as error:
            raise MappingsRefuse(str(error)) from error

    async def _bereft(self, tenant: str | None, key: Key, draft: Draft) -> Sequence[Users]:
        """Who would miss it."""
        force = self._models.force
        names = [tenant] if tenant is not None else [one.name for one in self._inventory.tenants()]
        found = [
            await self._usage.bereft(name, key, force.of(name).catalog, draft.of(name).catalog)
            for name in names
        ]
        return [users for users in found if users]

    async def _sweep(self) -> None:
        """What no row names is of no use; what stays is swept away at the next start."""
        wanted = {row.digest for row in self._kept.all()}
        try:
            await asyncio.to_thread(self._files.sweep, wanted)
        except OSError as error:
            _log.warning("files of models are left", folder=str(self._files.folder), reason=error.strerror)


async def _whole(change: Coroutine[Any, Any, T]) -> T:
    """Cancelling the caller must not leave files, index and what is in force at odds."""
    return await asyncio.shield(asyncio.ensure_future(change))


def _whose(tenant: str | None) -> str:
    return "every tenant" if tenant is None else f"tenant {tenant}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _rows(tenant: str | None, taken: Sequence[Checked]) -> list[UploadedModel]:
    now = int(time.time() * SECOND)
    rows = (
        UploadedModel(
            tenant,
            key_of(spec),
            spec.id,
            spec.version,
            one.file.name,
            one.digest,
            now,
            len(one.file.data),
        )
        for one in taken
        for spec in one.objects
    )
    return list({row.name: row for row in rows}.values())


def _new_reasons(force: Draft, draft: Draft, tenant: str | None) -> tuple[str, ...]:
    before, after = (force.common, draft.common) if tenant is None else (force.of(tenant), draft.of(tenant))
    return tuple(reason for reason in after.compiled.reasons if reason not in before.compiled.reasons)


def _content(file: str) -> bytes:
    with open(file, "rb") as opened:
        return opened.read()
