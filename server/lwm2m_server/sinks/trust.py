"""Whom the server trusts when it delivers over TLS."""

from __future__ import annotations

import asyncio
import ssl

from lwm2m_engine.errors import SettingsError
from lwm2m_server.settings import DeliverySettings


class Trust:
    """The authorities of the system, and those in ``deliveries.ca_file``. Raises ``SettingsError``."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._file = settings.ca_file
        self._context: ssl.SSLContext | None = None
        if self._file is not None:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(self._file)
            except OSError as error:
                raise SettingsError(f"deliveries.ca_file: {self._file}: {error}") from error

    async def context(self) -> ssl.SSLContext:
        """One for all; the first time it takes a while."""
        if self._context is None:
            self._context = await asyncio.to_thread(self._make)
        return self._context

    def _make(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._file is not None:
            context.load_verify_locations(self._file)
        return context
