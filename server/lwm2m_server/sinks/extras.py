"""Client libraries that come with an extra of the package, for those who need them."""

from __future__ import annotations

import asyncio
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import attrs

from lwm2m_server.sinks.kinds import KAFKA, MQTT
from lwm2m_server.sinks.protocols import Retry


@attrs.frozen(slots=True)
class Extra:
    """What delivers to an ``EndpointType`` of applications."""

    kind: str
    package: str
    """Of the client library, as it is imported and as it is on PyPI."""
    name: str
    """Of the extra."""

    @property
    def hint(self) -> str:
        return f"EndpointType:{self.kind} needs pip install 'lwm2m-engine[{self.name}]'"

    @property
    def version(self) -> str | None:
        """``None`` if it is not installed."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None

    async def load(self, module: str) -> Any:
        """A module that needs it; the first time that takes a while. Raises ``Retry``: notices wait."""
        try:
            return await asyncio.to_thread(import_module, module)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0].startswith("lwm2m_"):
                raise
            raise Retry(self.hint) from error


FOR_MQTT: Final = Extra(MQTT, "aiomqtt", "mqtt")
FOR_KAFKA: Final = Extra(KAFKA, "aiokafka", "kafka")
