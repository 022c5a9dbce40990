"""What operators define, beside tenants, clients and applications: small documents of the inventory.

Each is told by its tenant and its name. ``tenant`` is ``None`` for what is every tenant's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen(slots=True)
class ProfileRule:
    """Which devices a profile is for: those that fit all patterns it has. In a pattern ``*`` is any text."""

    priority: int
    """Rules with a lower number are asked first."""
    endpoint: str | None = None
    manufacturer: str | None = None
    model: str | None = None


@attrs.frozen(slots=True)
class DeviceProfile:
    """What is done with the devices of a kind, and what their Resources are called."""

    tenant: str | None
    name: str
    document: Mapping[str, Any]
    """Its ``profileData``, in canonical form."""
    groups: tuple[str, ...] = ()
    """Device groups that it is for."""
    rules: tuple[ProfileRule, ...] = ()
    is_default: bool = False
    """It is for devices that no other one is for."""
    former: tuple[str, ...] = ()
    """Names it had, by which it is still assigned to devices."""
    changed_at: int = 0
    """Microseconds since 1970-01-01 UTC; 0 for one that was kept before that was noted."""


@attrs.frozen(slots=True)
class UploadedModel:
    """An Object model that came over HTTP; its XML is a file named by its SHA-256."""

    tenant: str | None
    name: str
    """Object and version, ``3_1.2``."""
    object: int
    version: str
    file_name: str
    """As it was uploaded."""
    digest: str
    uploaded_at: int
    """Microseconds since 1970-01-01 UTC."""
    size: int = 0
    """Bytes of the file."""


@attrs.frozen(slots=True)
class Package:
    """Firmware or software; its bytes are a file named by its SHA-256."""

    tenant: str | None
    name: str
    version: str
    type: str
    """``firmware`` or ``software``"""
    file_name: str
    digest: str
    size: int
    """Bytes."""
    created_at: int
    """Microseconds since 1970-01-01 UTC."""
    title: str = ""
    """The name that devices have for it (PkgName)."""
    tag: str | None = None
    description: str = ""
    url: str | None = None
    """Where it lies, if not here; ``size`` is 0 then."""
    fits: Mapping[str, str] = {}
    """Which devices it is for: ``manufacturer``, ``model``, ``hardwareVersion``, ``profile``."""


@attrs.frozen(slots=True)
class Campaign:
    """Which devices get which package, and in which order."""

    tenant: str | None
    name: str
    document: Mapping[str, Any]


@attrs.frozen(slots=True)
class Enrolment:
    """Which unknown devices may come into being, and as what."""

    tenant: str | None
    name: str
    document: Mapping[str, Any]
