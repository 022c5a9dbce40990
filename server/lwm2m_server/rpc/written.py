"""Values in the params of RPCs as messages to devices have them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from lwm2m_engine.paths import Path
from lwm2m_engine.values import ResourceType
from lwm2m_server.rpc.call import bad
from lwm2m_server.rpc.targets import Targets, nearest


def prepared(path: Path, value: Any, targets: Targets) -> Any:
    """A value as messages have it: Resources of an Instance by their ids, Opaque as base64."""
    if len(path) == 2 and isinstance(value, Mapping):
        found: dict[str, Any] = {}
        for key, one in value.items():
            place = path / _resource_id(path, key, targets)
            if str(place[2]) in found:
                raise bad(f"{place} stands there twice")
            found[str(place[2])] = prepared(place, one, targets)
        return found
    spec = targets.models.resource(path)
    if spec is not None and spec.type is ResourceType.OPAQUE:
        if isinstance(value, Mapping) and "hex" not in value and len(path) == 3:
            return {key: _opaque(path, one) for key, one in value.items()}
        return _opaque(path, value)
    return value


def _resource_id(path: Path, key: str, targets: Targets) -> int:
    """By id, by the name in the definition, or by a key name."""
    if key.isascii() and key.isdigit() and len(key) <= 5:
        return id_of(key)
    spec = targets.models.object(path[0])
    for resource in spec.resources.values() if spec is not None else ():
        if key in (resource.attribute, resource.name):
            return resource.id
    for found in targets.paths_of(key):
        if found[0] == path[0]:
            return found[2]
    names = tuple(one.attribute for one in spec.resources.values()) if spec is not None else ()
    raise bad(f"{path}: it has no Resource {key[:40]!r}{nearest(key, names) if names else ''}")


def id_of(key: str) -> int:
    if not (key.isascii() and key.isdigit() and len(key) <= 5 and int(key) <= 65534):
        raise bad(f"{key[:40]!r} is no id from 0 to 65534")
    return int(key)


def _opaque(path: Path, value: Any) -> Any:
    """base64, or ``{"hex": "00ad"}``."""
    if not isinstance(value, Mapping):
        return value
    digits = value.get("hex")
    if len(value) != 1 or not isinstance(digits, str):
        raise bad(f'{path}: bytes are base64 text, or {{"hex": "00ad"}}')
    try:
        return base64.b64encode(binascii.unhexlify(digits)).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise bad(f"{path}: {digits[:40]!r} is not hexadecimal: {error}") from None
