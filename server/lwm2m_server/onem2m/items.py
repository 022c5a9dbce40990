"""Items of an onboarding request: one device each, in short or long names, mixed as clients do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from lwm2m_server.onem2m.checks import check_name, read_creation
from lwm2m_server.onem2m.errors import BadRequest
from lwm2m_server.onem2m.names import COMMON, LONG, short_name, type_of_key
from lwm2m_server.onem2m.rendering import MASK, MGMT_OBJ, NODE

_NAMES: Final = ("ni", "noRNe", "ICCID", "profe", "lbl", "nCr", "nDGr", "ndvi")
_OLDER: Final = {"nodeDvi": "ndvi"}
_IDENTITY, _KEY = "psk-id:", "psk:"
PROFILES: Final = frozenset({"scs-lwm2m"})
"""In lower case: both spellings are in use."""
_ICCID: Final = re.compile(r"[0-9A-Za-z]{1,32}")


@attrs.frozen(slots=True)
class Item:
    """A device to be created."""

    name: str
    node_id: str
    labels: tuple[str, ...] = ()
    identity: str | None = None
    """Of its pre-shared key."""
    has_key: bool = False
    groups: tuple[str, ...] = ()
    info: Mapping[str, Any] = {}
    """Attributes of its deviceInfo."""


@attrs.frozen(slots=True)
class Given:
    """An item as a client sent it, without its secret: once in short, once in long names."""

    short: Any
    long: Any
    key: str | None
    """The pre-shared key."""


def take(given: object) -> Given:
    """What is kept of an item, right or wrong."""
    if not isinstance(given, dict):
        return Given(given, given, None)
    short = _renamed(given, _NAMES, _OLDER)
    key = None
    if "nCr" in short:
        short["nCr"], key = _masked(short["nCr"])
    info = short.get("ndvi")
    if isinstance(info, dict):
        short["ndvi"] = _renamed(info, _INFO, {})
    long = {LONG.get(name, name): value for name, value in short.items()}
    if isinstance(info, dict):
        long["ndvi"] = {LONG.get(name, name): value for name, value in short["ndvi"].items()}
    return Given(short, long, key)


def read_item(short: Any) -> Item:
    """What is to be created. Raises ``BadRequest``."""
    _check_members(short)
    name = check_name(_text(short, "noRNe"))
    labels = [*_texts(short, "lbl"), *_made_labels(short)]
    node = {"ni": _text(short, "ni"), "lbl": list(dict.fromkeys(labels))}
    checked = read_creation({"m2m:nod": node}, NODE).attributes
    identity, has_key = _credentials(_texts(short, "nCr"))
    return Item(
        name,
        checked["ni"],
        tuple(checked["lbl"]),
        identity,
        has_key,
        tuple(dict.fromkeys(_texts(short, "nDGr"))),
        _device_info(short),
    )


def read_name(short: Any) -> tuple[str | None, str | None]:
    """Name and node id, at least one of them, of a device to be removed. Raises ``BadRequest``."""
    _check_members(short)
    name = _text(short, "noRNe") if "noRNe" in short else None
    node_id = _text(short, "ni") if "ni" in short else None
    if name is None and node_id is None:
        raise BadRequest("noRNe (nodeResourceName) or ni (nodeID) is missing")
    return name, node_id


def title(short: Any) -> str:
    """What an item is called in an answer."""
    for name in ("noRNe", "ni"):
        if isinstance(short, dict) and isinstance(short.get(name), str):
            return str(short[name])[:80]
    return "without a name"


_INFO: Final = (*(type_of_key("m2m:dvi").attributes), *COMMON)  # type: ignore[union-attr]


def _renamed(given: Mapping[str, Any], legal: tuple[str, ...], older: Mapping[str, str]) -> dict[str, Any]:
    """With short names, but for what is there under both or has none."""
    renamed: dict[str, Any] = {}
    for name, value in given.items():
        short = older.get(name) or short_name(name, legal) or name
        renamed[name if short in renamed or (short != name and short in given) else short] = value
    return renamed


def _masked(credentials: Any) -> tuple[Any, str | None]:
    if not isinstance(credentials, list):
        return MASK, None
    key = None
    shown = []
    for one in credentials:
        is_text = isinstance(one, str)
        if is_text and one.startswith(_KEY):
            key = one.removeprefix(_KEY)
            shown.append(f"{_KEY}{MASK}")
        else:
            shown.append(one if is_text and one.startswith(_IDENTITY) else MASK)
    return shown, key


def _check_members(short: Any) -> None:
    if not isinstance(short, dict):
        raise BadRequest("it must be an object")
    for name in short:
        if name not in _NAMES:
            twin = _OLDER.get(name) or short_name(name, _NAMES)
            reason = f"is there as {twin}, too" if twin else f"is none of {', '.join(_NAMES)}"
            raise BadRequest(f"{name[:40]!r} {reason}")


def _text(short: Mapping[str, Any], name: str) -> str:
    value = short.get(name)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{name} ({LONG[name]}) must be a text")
    return value


def _texts(short: Mapping[str, Any], name: str) -> list[str]:
    value = short.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadRequest(f"{name} ({LONG[name]}) must be a list of texts")
    return value


def _made_labels(short: Mapping[str, Any]) -> list[str]:
    profile = _text(short, "profe") if "profe" in short else "SCS-LwM2M"
    if profile.lower() not in PROFILES:
        raise BadRequest(f"profe (profile) {profile[:40]!r} is not supported; SCS-LwM2M is")
    labels = [f"profile:{profile}"]
    if "ICCID" in short:
        if not _ICCID.fullmatch(_text(short, "ICCID")):
            raise BadRequest("ICCID must be up to 32 letters and digits")
        labels.append(f"ICCID:{short['ICCID']}")
    return labels


def _credentials(given: list[str]) -> tuple[str | None, bool]:
    """``psk:`` stands for the key, which lies elsewhere."""
    identities = [one.removeprefix(_IDENTITY) for one in given if one.startswith(_IDENTITY)]
    keys = [one for one in given if one.startswith(_KEY)]
    if len(identities) + len(keys) < len(given) or len(identities) > 1 or len(keys) > 1:
        raise BadRequest("nCr (nodeCredentials) has one psk-id:<identity>, one psk:<key>, and nothing else")
    if len(identities) != len(keys):
        raise BadRequest("nCr (nodeCredentials): psk-id:<identity> and psk:<key> belong together")
    return (identities[0] if identities else None), bool(keys)


def _device_info(short: Mapping[str, Any]) -> dict[str, Any]:
    """The name of it is the platform's to give, whatever the client calls it."""
    if "ndvi" not in short:
        return {}
    info = read_creation({"m2m:dvi": short["ndvi"]}, MGMT_OBJ).attributes
    info.pop("rn", None)
    return {name: value for name, value in info.items() if value is not None}
