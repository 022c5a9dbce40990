"""Open the bootstrap server of an installation: its templates, its keys and its sessions."""

from __future__ import annotations

from collections.abc import Callable, Collection

import attrs

from lwm2m_engine.bootstrap import Bootstrap, BootstrapSettings
from lwm2m_engine.codecs import Codecs
from lwm2m_engine.model.view import ModelView
from lwm2m_server.bootstrap.journal import Journal
from lwm2m_server.bootstrap.keys import Keys
from lwm2m_server.bootstrap.profiled import ProfiledConfigs
from lwm2m_server.bootstrap.provisioning import Change, Provisioning
from lwm2m_server.bootstrap.sealing import SealedTemplates
from lwm2m_server.bootstrap.service import BootstrapService
from lwm2m_server.bootstrap.templates import Templates
from lwm2m_server.profiles.service import Profiles
from lwm2m_server.security.material import Material
from lwm2m_server.security.store import Credentials
from lwm2m_server.settings import Settings
from lwm2m_server.store.protocols import Inventory
from lwm2m_server.store.transaction import Reader

KEY_FILE = "bootstrap.key"
"""In the data folder: what all keys that are made for devices are made from."""


@attrs.frozen
class BootstrapServer:
    """Its parts."""

    templates: Templates
    service: BootstrapService
    provisioning: Provisioning
    profiled: ProfiledConfigs

    async def close(self) -> None:
        self.service.close()
        await self.provisioning.finish()


async def open_bootstrap(
    settings: Settings,
    inventory: Inventory,
    reader: Reader,
    credentials: Credentials,
    change: Change,
    models: Callable[[str], ModelView],
    codecs: Codecs,
    profiles: Profiles,
) -> BootstrapServer:
    """``models`` gives those in force for a tenant.

    Raises ``SettingsError`` for a key file that cannot be used, ``CommitFailed`` if secrets that were in
    clear cannot be sealed.
    """

    def tenant_of(endpoint: str) -> str:
        """A device that is not known yet will be one of the server's own tenant."""
        device = reader.device_of_endpoint(endpoint)
        return settings.tenant if device is None else device.tenant

    kept = SealedTemplates(inventory, credentials.vault, models)
    await kept.seal_clear()
    material = Material(reader, credentials)
    provisioning = Provisioning(Keys(settings.data / KEY_FILE), credentials, material, reader, change)
    profiled = ProfiledConfigs(profiles, material, reader)
    templates = Templates(kept, provisioning.key, models, tenant_of, provisioning.admit, profiled)
    limits = BootstrapSettings(
        session_timeout=settings.bootstrap.session_timeout,
        retry_after=settings.bootstrap.retry_after,
        max_sessions=settings.bootstrap.sessions,
    )
    bootstrap = Bootstrap(templates, models(settings.tenant), codecs=codecs, settings=limits)
    service = BootstrapService(bootstrap, Journal(tenant_of), provision=provisioning)

    def profiles_changed(tenant: str, profile: str | None, nodes: Collection[int] | None) -> None:
        """A session that follows another one is of no use."""
        service.withdraw(lambda one: tenant_of(one) == tenant and templates.template(one) is None)

    profiles.subscribe(profiles_changed)
    return BootstrapServer(templates, service, provisioning, profiled)
