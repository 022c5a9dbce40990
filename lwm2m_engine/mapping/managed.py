"""Managed resources: what mappings make of a device's values. The core knows no more of oneM2M."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeAlias

import attrs

from lwm2m_engine.paths import Path
from lwm2m_engine.values import Value

AttributeValue: TypeAlias = "Value | list[AttributeValue] | dict[str, AttributeValue]"
"""What an attribute holds: a value of a Resource, or what a rule builds of several."""


@attrs.frozen(slots=True)
class ManagedChange:
    """``changed`` attributes of one managed resource, and all its ``attributes`` after the change."""

    kind: str
    """What it is in the target system, e.g. ``m2m:deviceInfo``."""
    name: str
    """Its name below the device, e.g. ``device-info``."""
    changed: Mapping[str, AttributeValue]
    attributes: Mapping[str, AttributeValue]
    places: tuple[tuple[str, Path], ...] = ()
    """URN and path of each Object Instance it is made from."""


@attrs.frozen(slots=True)
class ManagedCommand:
    """A wish: an application changes attributes of one managed resource of a device."""

    endpoint: str
    kind: str
    name: str
    changes: Mapping[str, object]
    """By attribute, under the names the mapping has; JSON values."""


class Outcome(Enum):
    """How it goes with the Execute behind an attribute."""

    PENDING = "pending"
    DONE = "done"
    """The device accepted it; what comes of it, its values tell."""
    FAILED = "failed"
    """It refused, or did not answer."""
    CANCELLED = "cancelled"
    """It was taken back before the device had it."""
