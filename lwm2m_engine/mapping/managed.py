"""Managed resources: what mappings make of a device's values. The core knows no more of oneM2M."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from lwm2m_engine.values import Value


@attrs.frozen(slots=True)
class ManagedChange:
    """``changed`` attributes of one managed resource, and all its ``attributes`` after the change."""

    kind: str
    """What it is in the target system, e.g. ``m2m:deviceInfo``."""
    name: str
    """Its name below the device, e.g. ``device-info``."""
    changed: Mapping[str, Value]
    attributes: Mapping[str, Value]
