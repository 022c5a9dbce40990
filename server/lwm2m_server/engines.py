"""``Engines``: one a tenant, all with the same models, codecs and plugins."""

from __future__ import annotations

from itertools import count

from lwm2m_engine.codecs import Codecs
from lwm2m_engine.engine import Engine, EngineSettings
from lwm2m_engine.plugins.manager import PluginManager
from lwm2m_server.models import Models
from lwm2m_server.settings import Settings


class Engines:
    """Unknown devices are let in by the default tenant only."""

    def __init__(self, settings: Settings, plugins: PluginManager, models: Models) -> None:
        self._settings, self._plugins, self._models = settings, plugins, models
        self.codecs = Codecs().extended(plugins.codecs())
        self._exchanges = count(1)
        self._engines: dict[str, Engine] = {}

    def start(self, tenant: str) -> Engine:
        engine = self._engines[tenant] = Engine(
            self._models.catalog,
            self._plugins,
            table=self._models.table,
            codecs=self.codecs,
            settings=self._engine_settings(tenant),
            exchanges=self._exchanges,
        )
        return engine

    def stop(self, tenant: str) -> None:
        self._engines.pop(tenant, None)

    def swap(self) -> None:
        """The models have changed."""
        for engine in self._engines.values():
            engine.swap(self._models.catalog, self._models.table)

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
