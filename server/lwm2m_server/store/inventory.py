"""The inventory: TinyDB over one JSON file that a person may read, and edit while the server is stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import cattrs
from cattrs.gen import make_dict_unstructure_fn, override
from tinydb import TinyDB, where
from tinydb.queries import QueryInstance
from tinydb.table import Document

from lwm2m_engine.errors import SettingsError
from lwm2m_server.store.collections import TinyCollection
from lwm2m_server.store.definitions import Campaign, DeviceProfile, Enrolment, Package, UploadedModel
from lwm2m_server.store.errors import CommitFailed, Conflict
from lwm2m_server.store.expiration import Clock, expires
from lwm2m_server.store.ids import SECOND
from lwm2m_server.store.jsonfile import Migration, Snapshot, Tables, load, replace
from lwm2m_server.store.records import ApiClient, Application, BootstrapTemplate, Model, Tenant

T = TypeVar("T")

MIGRATIONS: tuple[Migration, ...] = ()
"""``MIGRATIONS[n]`` turns tables of version n + 1 into those of version n + 2. Append, never edit."""

TENANTS, APPLICATIONS, MODELS, BOOTSTRAP = "tenants", "applications", "models", "bootstrap"
CLIENTS = "clients"
PROFILES, UPLOADS, PACKAGES = "profiles", "uploads", "packages"
CAMPAIGNS, ENROLMENTS = "campaigns", "enrolments"
_CLASSES: dict[str, type] = {
    TENANTS: Tenant,
    APPLICATIONS: Application,
    MODELS: Model,
    BOOTSTRAP: BootstrapTemplate,
    CLIENTS: ApiClient,
    PROFILES: DeviceProfile,
    UPLOADS: UploadedModel,
    PACKAGES: Package,
    CAMPAIGNS: Campaign,
    ENROLMENTS: Enrolment,
}
_WITH_ID = (Tenant, Application)

Found: TypeAlias = Sequence[tuple[TinyCollection[Any], Sequence[Any]]]
"""Collections and what is in them."""


class TinyInventory:
    """The ``Inventory`` of ``protocols``. Changes are made one after the other, on a draft that takes the
    place of what readers see when it is on disk. Raises ``SettingsError`` for an unusable file."""

    def __init__(
        self, file: Path, migrations: Sequence[Migration] = MIGRATIONS, *, clock: Clock = time.time
    ) -> None:
        self._file, self._clock = file, clock
        tables = load(file, migrations)
        _validate(file, tables)
        self._stored = Snapshot(tables)
        self._database = TinyDB(storage=lambda: self._stored)
        self._changing = asyncio.Lock()
        self.profiles = TinyCollection(PROFILES, DeviceProfile, _converter, self._change)
        self.uploads = TinyCollection(UPLOADS, UploadedModel, _converter, self._change)
        self.packages = TinyCollection(PACKAGES, Package, _converter, self._change)
        self.campaigns = TinyCollection(CAMPAIGNS, Campaign, _converter, self._change)
        self.enrolments = TinyCollection(ENROLMENTS, Enrolment, _converter, self._change)
        self._collections: tuple[TinyCollection[Any], ...] = (
            self.profiles,
            self.uploads,
            self.packages,
            self.campaigns,
            self.enrolments,
        )
        self._read([(one, one.read(self._database)) for one in self._collections])

    @property
    def highest_id(self) -> int:
        documents = [*self._database.table(TENANTS), *self._database.table(APPLICATIONS)]
        return max((document.doc_id for document in documents), default=0)

    # --- tenants -------------------------------------------------------------------------------------

    def tenants(self) -> Sequence[Tenant]:
        return list(self._tenants.values())

    def tenant(self, name: str) -> Tenant | None:
        return self._tenants.get(name)

    async def add_tenant(self, tenant: Tenant) -> None:
        def add(draft: TinyDB) -> None:
            if draft.table(TENANTS).contains(where("name") == tenant.name):
                raise Conflict(f"there is a tenant {tenant.name!r}")
            draft.table(TENANTS).insert(_document(tenant, tenant.id))

        await self._change(add)

    async def remove_tenant(self, name: str) -> None:
        def remove(draft: TinyDB) -> None:
            if draft.table(APPLICATIONS).contains(where("tenant") == name):
                raise Conflict(f"the tenant {name!r} has applications")
            draft.table(TENANTS).remove(where("name") == name)
            for table in (CLIENTS, BOOTSTRAP, *(one.table for one in self._collections)):
                draft.table(table).remove(where("tenant") == name)

        await self._change(remove)

    # --- clients -------------------------------------------------------------------------------------

    def clients(self) -> Sequence[ApiClient]:
        return list(self._clients.values())

    def client(self, id: str) -> ApiClient | None:
        return self._clients.get(id)

    async def add_client(self, client: ApiClient) -> None:
        def add(draft: TinyDB) -> None:
            if draft.table(CLIENTS).contains(where("id") == client.id):
                raise Conflict(f"there is a client {client.id!r}")
            draft.table(CLIENTS).insert(_converter.unstructure(client))

        await self._change(add)

    async def remove_client(self, id: str) -> None:
        def remove(draft: TinyDB) -> None:
            draft.table(CLIENTS).remove(where("id") == id)

        await self._change(remove)

    # --- applications --------------------------------------------------------------------------------

    def applications(self, tenant: str) -> Sequence[Application]:
        return [
            application
            for application in self._applications.values()
            if application.tenant == tenant and not self._is_over(application)
        ]

    def application(self, tenant: str, name: str) -> Application | None:
        return self._there(self._by_name.get((tenant, name)))

    def application_by_id(self, id: int) -> Application | None:
        return self._there(self._applications.get(id))

    def application_by_aei(self, tenant: str, aei: str) -> Application | None:
        return self._there(self._by_aei.get((tenant, aei)))

    def next_expiry(self) -> int | None:
        ends = (expires(application.attributes) for application in self._applications.values())
        return min((end for end in ends if end is not None), default=None)

    def expired_applications(self) -> Sequence[Application]:
        return [application for application in self._applications.values() if self._is_over(application)]

    def _there(self, application: Application | None) -> Application | None:
        return None if application is None or self._is_over(application) else application

    def _is_over(self, application: Application) -> bool:
        end = expires(application.attributes)
        return end is not None and end <= self._clock() * SECOND

    async def put_application(self, application: Application) -> None:
        taken = (where("tenant") == application.tenant) & (
            (where("name") == application.name) | (where("aei") == application.aei)
        )

        def put(draft: TinyDB) -> None:
            table = draft.table(APPLICATIONS)
            if any(other.doc_id != application.id for other in table.search(taken)):
                raise Conflict(f"the name {application.name!r} or AE-ID {application.aei!r} is taken")
            if table.contains(doc_id=application.id):
                table.remove(doc_ids=[application.id])
            table.insert(_document(application, application.id))

        await self._change(put)

    async def remove_application(self, id: int) -> None:
        def remove(draft: TinyDB) -> None:
            table = draft.table(APPLICATIONS)
            if table.contains(doc_id=id):
                table.remove(doc_ids=[id])

        await self._change(remove)

    # --- bootstrap templates -------------------------------------------------------------------------

    def bootstrap_templates(self) -> Sequence[BootstrapTemplate]:
        return self._templates

    async def put_bootstrap_template(self, template: BootstrapTemplate) -> None:
        def put(draft: TinyDB) -> None:
            draft.table(BOOTSTRAP).remove(_template(template.tenant, template.name))
            draft.table(BOOTSTRAP).insert(_converter.unstructure(template))

        await self._change(put)

    async def remove_bootstrap_template(self, tenant: str, name: str) -> None:
        def remove(draft: TinyDB) -> None:
            draft.table(BOOTSTRAP).remove(_template(tenant, name))

        await self._change(remove)

    # --- model index ---------------------------------------------------------------------------------

    def models(self) -> Sequence[Model]:
        return [_structure(document, Model) for document in self._database.table(MODELS).all()]

    async def set_models(self, models: Sequence[Model]) -> None:
        def fill(draft: TinyDB) -> None:
            draft.table(MODELS).truncate()
            draft.table(MODELS).insert_multiple(_converter.unstructure(model) for model in models)

        if list(models) != self.models():
            await self._change(fill)

    # --- the one way to change -----------------------------------------------------------------------

    async def _change(self, change: Callable[[TinyDB], None]) -> None:
        # Cancelling the caller must not leave a thread writing while the next change begins.
        await asyncio.shield(asyncio.ensure_future(self._replace(change)))

    async def _replace(self, change: Callable[[TinyDB], None]) -> None:
        async with self._changing:
            draft = Snapshot(self._stored.tables)
            found = await asyncio.to_thread(self._write, draft, change)
            self._stored.tables = draft.tables
            self._read(found)

    def _write(self, draft: Snapshot, change: Callable[[TinyDB], None]) -> Found:
        """Collections may be long: on a thread. Returns those that are others."""
        former, database = self._stored.tables, TinyDB(storage=lambda: draft)
        change(database)
        if draft.tables is former:
            return ()
        try:
            replace(self._file, draft.tables)
        except OSError as error:
            raise CommitFailed(f"{self._file}: {error.strerror}") from error
        changed = [
            one for one in self._collections if draft.tables.get(one.table) is not former.get(one.table)
        ]
        return [(one, one.read(database)) for one in changed]

    def _read(self, changed: Found) -> None:
        """Others are in the file."""
        for collection, documents in changed:
            collection.show(documents)
        # Few, and asked for by every request and for every new device.
        tables = self._database.table
        tenants = (_structure(document, Tenant) for document in tables(TENANTS).all())
        self._tenants = {tenant.name: tenant for tenant in tenants}
        found = [_structure(document, Application) for document in tables(APPLICATIONS).all()]
        self._applications = {application.id: application for application in found}
        self._by_name = {(application.tenant, application.name): application for application in found}
        clients = (_structure(document, ApiClient) for document in tables(CLIENTS).all())
        self._clients = {client.id: client for client in clients}
        templates = tables(BOOTSTRAP).all()
        self._templates = [_structure(document, BootstrapTemplate) for document in templates]
        self._by_aei = {(application.tenant, application.aei): application for application in found}


def _validate(file: Path, tables: Tables) -> None:
    """Somebody may have edited it."""
    for name, kind in _CLASSES.items():
        for id, document in tables.get(name, {}).items():
            try:
                _structure(Document(document, int(id)), kind)
            except cattrs.BaseValidationError as error:
                reasons = "; ".join(cattrs.transform_error(error))
                raise SettingsError(f"{file}: table {name!r}, document {id}: {reasons}") from error


def _template(tenant: str, name: str) -> QueryInstance:
    wanted: QueryInstance = (where("tenant") == tenant) & (where("name") == name)
    return wanted


def _document(record: Tenant | Application, id: int) -> Document:
    return Document(_converter.unstructure(record), id)


def _structure(document: Document, kind: type[T]) -> T:
    if kind in _WITH_ID:
        return _converter.structure({"id": document.doc_id, **document}, kind)
    return _converter.structure(document, kind)


def _make_converter() -> cattrs.Converter:
    """The id of a document is its key in the file, not a member; a misspelt member is an error."""
    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind in (Tenant, Application):
        hook: Any = make_dict_unstructure_fn(kind, converter, id=override(omit=True))
        converter.register_unstructure_hook(kind, hook)
    return converter


_converter = _make_converter()
