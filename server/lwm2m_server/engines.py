"""``Engines``: one a tenant, with its models; all with the same codecs and plugins."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count

from lwm2m_engine.codecs import Codecs
from lwm2m_engine.engine import Engine, EngineSettings
from lwm2m_engine.plugins.manager import PluginManager
from lwm2m_server.library.models import Edition, Models
from lwm2m_server.settings import Settings


class Engines:
    """Unknown devices are let in by the default tenant only."""

    def __init__(
        self,
        settings: Settings,
        plugins: PluginManager,
        models: Models,
        unannounced: Callable[[str, str], str | None],
    ) -> None:
        """``unannounced`` gives, for a tenant and an endpoint name, the version of Objects that a device
        announces without one, if that is not LwM2M's to say."""
        self._unannounced = unannounced
        self._settings, self._plugins, self._models = settings, plugins, models
        self.codecs = Codecs().extended(plugins.codecs())
        self._exchanges = count(1)
        self._engines: dict[str, Engine] = {}
        self._used: dict[str, Edition] = {}

    def start(self, tenant: str) -> Engine:
        models = self._models.of(tenant)
        engine = self._engines[tenant] = Engine(
            models.catalog,
            self._plugins,
            table=models.table,
            codecs=self.codecs,
            settings=self._engine_settings(tenant),
            exchanges=self._exchanges,
            unannounced=partial(self._unannounced, tenant),
        )
        self._used[tenant] = models
        return engine

    def stop(self, tenant: str) -> None:
        self._engines.pop(tenant, None)
        self._used.pop(tenant, None)
        self._models.forget(tenant)

    def swap(self) -> None:
        """Other models are in force."""
        for tenant, engine in self._engines.items():
            models = self._models.of(tenant)
            if self._used.get(tenant) is not models:
                engine.swap(models.catalog, models.table)
                self._used[tenant] = models

    def _engine_settings(self, tenant: str) -> EngineSettings:
        settings = self._settings
        return EngineSettings(
            awake_window=settings.devices.awake_window,
            grace=settings.devices.registration_grace,
            assumed_version="1.0" if settings.devices.missing_version == "1.0" else None,
            read_pacing=settings.devices.read_pacing,
            composite_timeout=settings.transmission.composite_timeout,
            admit_unknown=settings.devices.unknown == "create" and tenant == settings.tenant,
            # Nodes have several names: ``Admission`` compares.
            identity_is_endpoint=False,
            strict=settings.strict,
        )
