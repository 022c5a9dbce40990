"""What stands in the bodies of ``/api/v1``, as JSON Schema. Components are referred to by name."""

from __future__ import annotations

from typing import Final

from lwm2m_server.http.describing import Schema
from lwm2m_server.http.schemas import (
    applications,
    devices,
    models,
    plugins,
    profiles,
    security,
    system,
    telemetry,
    updates,
)

COMPONENTS: Final[dict[str, Schema]] = {
    **system.COMPONENTS,
    **devices.COMPONENTS,
    **applications.COMPONENTS,
    **telemetry.COMPONENTS,
    **security.COMPONENTS,
    **models.COMPONENTS,
    **plugins.COMPONENTS,
    **profiles.COMPONENTS,
    **updates.COMPONENTS,
}
