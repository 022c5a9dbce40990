"""LwM2M 1.0, 1.1 and 1.2: object models, content formats and a sans-I/O server engine.

The names below are imported when first used (PEP 562), so that importing the package stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lwm2m_engine.codecs import decode as decode
    from lwm2m_engine.codecs import encode as encode
    from lwm2m_engine.engine import Engine as Engine
    from lwm2m_engine.engine import EngineSettings as EngineSettings
    from lwm2m_engine.engine import Step as Step
    from lwm2m_engine.engine import Verdict as Verdict
    from lwm2m_engine.entries import Entry as Entry
    from lwm2m_engine.errors import LwM2MError as LwM2MError
    from lwm2m_engine.formats import ContentFormat as ContentFormat
    from lwm2m_engine.mapping.rules import ENDPOINT as ENDPOINT
    from lwm2m_engine.mapping.rules import Action as Action
    from lwm2m_engine.mapping.rules import Mapping as Mapping
    from lwm2m_engine.mapping.rules import Rule as Rule
    from lwm2m_engine.mapping.rules import When as When
    from lwm2m_engine.model.catalog import Catalog as Catalog
    from lwm2m_engine.model.spec import ObjectSpec as ObjectSpec
    from lwm2m_engine.model.spec import ResourceSpec as ResourceSpec
    from lwm2m_engine.paths import Path as Path
    from lwm2m_engine.plugins.hookspecs import hookimpl as hookimpl
    from lwm2m_engine.plugins.manager import PluginManager as PluginManager
    from lwm2m_engine.values import ObjLink as ObjLink
    from lwm2m_engine.values import ResourceType as ResourceType

__version__ = "0.1.0"

_HOMES = {
    "Action": "lwm2m_engine.mapping.rules",
    "Catalog": "lwm2m_engine.model.catalog",
    "ContentFormat": "lwm2m_engine.formats",
    "ENDPOINT": "lwm2m_engine.mapping.rules",
    "Engine": "lwm2m_engine.engine",
    "EngineSettings": "lwm2m_engine.engine",
    "Entry": "lwm2m_engine.entries",
    "LwM2MError": "lwm2m_engine.errors",
    "Mapping": "lwm2m_engine.mapping.rules",
    "ObjLink": "lwm2m_engine.values",
    "ObjectSpec": "lwm2m_engine.model.spec",
    "Path": "lwm2m_engine.paths",
    "PluginManager": "lwm2m_engine.plugins.manager",
    "ResourceSpec": "lwm2m_engine.model.spec",
    "ResourceType": "lwm2m_engine.values",
    "Rule": "lwm2m_engine.mapping.rules",
    "Step": "lwm2m_engine.engine",
    "Verdict": "lwm2m_engine.engine",
    "When": "lwm2m_engine.mapping.rules",
    "decode": "lwm2m_engine.codecs",
    "encode": "lwm2m_engine.codecs",
    "hookimpl": "lwm2m_engine.plugins.hookspecs",
}
"""Public name -> the module that owns it."""

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
