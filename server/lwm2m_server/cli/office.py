"""Where clients and tenants are managed: the running server's API, or its folder if no server runs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

from lwm2m_engine.errors import SettingsError
from lwm2m_server.access.clients import BadClient, Clients, shown
from lwm2m_server.access.keys import FILE, SigningKeys
from lwm2m_server.access.tokens import LIFETIME
from lwm2m_server.cli.client import Client, ServerError, segment
from lwm2m_server.configuration import load
from lwm2m_server.settings import Settings
from lwm2m_server.store.errors import Conflict
from lwm2m_server.store.ids import SECOND, Ids
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.lock import DataDirectory, InUse
from lwm2m_server.store.records import AuditEntry, Tenant
from lwm2m_server.tenants import BadTenant, check_name

LOCAL = "local"
"""Who changes things in the folder itself, in the audit log."""

Names = Literal["long", "short"]


class Office(Protocol):
    """Raises ``ServerError`` for what is refused."""

    def clients(self) -> Sequence[Mapping[str, Any]]: ...
    def add_client(
        self, id: str, role: str, tenant: str | None, origins: Sequence[str] | None
    ) -> Mapping[str, Any]:
        """With its secret."""
        ...

    def revoke_client(self, id: str) -> None: ...
    def rotate_key(self, *, at_once: bool) -> None: ...
    def tenants(self) -> Sequence[Mapping[str, Any]]: ...
    def add_tenant(self, name: str, names: Names | None) -> None: ...
    def remove_tenant(self, name: str) -> None: ...


@contextmanager
def open_office(
    url: str | None, token_file: Path | None, data: Path | None, config: Path | None
) -> Iterator[Office]:
    """The server at ``url``; without one, the folder of the settings, unless a server has it."""
    if url is not None:
        yield Counter(Client.of(url, None, token_file))
        return
    flags = {"data": data} if data is not None else {}
    settings = load(config, environ=os.environ, flags=flags).settings
    try:
        directory = DataDirectory(settings.data)
    except InUse:
        scheme = "http" if settings.http_cert is None else "https"
        yield Counter(Client.of(f"{scheme}://{settings.http}", None, token_file))
        return
    with directory, Desk(directory, settings) as desk:
        yield desk


class Counter:
    """Of a running server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def clients(self) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = self._client.get("/api/v1/clients")["clients"]
        return found

    def add_client(
        self, id: str, role: str, tenant: str | None, origins: Sequence[str] | None
    ) -> Mapping[str, Any]:
        draft = {"id": id, "role": role, "tenant": tenant, "origins": origins}
        added: Mapping[str, Any] = self._client.call("POST", "/api/v1/clients", draft)
        return added

    def revoke_client(self, id: str) -> None:
        self._client.delete(f"/api/v1/clients/{segment(id)}")

    def rotate_key(self, *, at_once: bool) -> None:
        self._client.call("POST", f"/api/v1/signing-key?atOnce={'true' if at_once else 'false'}")

    def tenants(self) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = self._client.get("/api/v1/tenants")["tenants"]
        return found

    def add_tenant(self, name: str, names: Names | None) -> None:
        self._client.call("POST", "/api/v1/tenants", {"name": name, "names": names})

    def remove_tenant(self, name: str) -> None:
        self._client.delete(f"/api/v1/tenants/{segment(name)}")


class Desk:
    """Of a folder that no server has open. What is done here is in the audit log, too."""

    def __init__(self, directory: DataDirectory, settings: Settings) -> None:
        self._settings = settings
        self._ledger = SqliteLedger(directory.ledger)
        self._inventory = TinyInventory(directory.inventory)
        self._ids = Ids(floor=max(self._ledger.highest_id, self._inventory.highest_id))
        self._clients = Clients(self._inventory)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Desk:
        # As the server makes it at its first start.
        if self._inventory.tenant(self._settings.tenant) is None:
            self._runner.run(self._inventory.add_tenant(Tenant(self._ids.next(), self._settings.tenant)))
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.close()
        self._clients.close()
        self._ledger.close()

    def clients(self) -> Sequence[Mapping[str, Any]]:
        return [shown(client) for client in self._clients.all()]

    def add_client(
        self, id: str, role: str, tenant: str | None, origins: Sequence[str] | None
    ) -> Mapping[str, Any]:
        if tenant is None and role != "system":
            tenant = self._settings.tenant
        try:
            client, secret = self._runner.run(self._clients.add(id, tenant, role, origins))
        except (BadClient, Conflict) as error:
            raise _refused(error) from error
        self._note("create", f"/api/v1/clients/{id}", tenant, 201)
        return {**shown(client), "secret": secret}

    def revoke_client(self, id: str) -> None:
        client = self._clients.get(id)
        if client is None:
            raise ServerError(404, f"there is no client {id!r}")
        self._runner.run(self._clients.revoke(id))
        self._note("delete", f"/api/v1/clients/{id}", client.tenant, 204)

    def rotate_key(self, *, at_once: bool) -> None:
        SigningKeys(self._settings.data / FILE, LIFETIME).rotate(at_once=at_once)
        self._note("create", "/api/v1/signing-key", None, 200)

    def tenants(self) -> Sequence[Mapping[str, Any]]:
        return [{"name": one.name, "names": one.names} for one in self._inventory.tenants()]

    def add_tenant(self, name: str, names: Names | None) -> None:
        try:
            check_name(name)
            self._runner.run(self._inventory.add_tenant(Tenant(self._ids.next(), name, names)))
        except (BadTenant, Conflict) as error:
            raise _refused(error) from error
        self._note("create", f"/api/v1/tenants/{name}", name, 201)

    def remove_tenant(self, name: str) -> None:
        raise SettingsError(f"start the server to remove {name!r}: more goes with a tenant than its name")

    def _note(self, action: str, target: str, tenant: str | None, result: int) -> None:
        entry = AuditEntry(int(time.time() * SECOND), tenant, LOCAL, None, action, target, result)
        self._ledger.run(lambda transaction: transaction.add_audit([entry]))


def _refused(error: Exception) -> ServerError:
    return ServerError(409 if isinstance(error, Conflict) else 400, str(error))
