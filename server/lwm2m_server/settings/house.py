"""What a server is made of, and where it puts what."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs
from attrs.validators import gt


@attrs.frozen
class ModelSettings:
    """Where object definitions come from, besides the bundled registry."""

    dirs: tuple[Path, ...] = (Path("models/xml"),)
    """Watched folders of object XML; relative to the settings file, else to the working directory."""
    upload_size: int = attrs.field(default=16_000_000, validator=gt(0))
    """Bytes of one upload over HTTP."""
    upload_files: int = attrs.field(default=1000, validator=gt(0))
    """Files of one upload, those in archives included."""
    unpacked_size: int = attrs.field(default=50_000_000, validator=gt(0))
    """Bytes that an archive may become; also not more than 200 times its own size."""
    uploads: int = attrs.field(default=2000, validator=gt(0))
    """Models that may be uploaded for each tenant, and for all of them at the system level."""
    uploads_size: int = attrs.field(default=20_000_000, validator=gt(0))
    """Bytes that these may have."""


@attrs.frozen
class PluginSettings:
    """Where plugins come from, besides installed ones."""

    dirs: tuple[Path, ...] = ()
    """Folders of plugin files. With a settings file, ``plugins`` beside it unless given."""
    enabled: tuple[str, ...] = ()
    """Names of plugins to load that are off by default."""


@attrs.frozen
class LedgerSettings:
    """The SQLite store."""

    power_safe: bool = False
    """Commits survive loss of power, not only of the process (``synchronous=FULL``)."""


@attrs.frozen
class LogSettings:
    """What goes to standard error."""

    format: Literal["console", "json"] = "console"
    """For people or for machines."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe records that are written."""
