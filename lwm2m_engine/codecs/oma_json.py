"""application/vnd.oma.lwm2m+json (11543), the JSON of LwM2M 1.0 (TS-LightweightM2M 1.0.2, 6.4.4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lwm2m_engine.codecs import senml, senml_json
from lwm2m_engine.codecs.codec import Codec, Scope, nothing, outgoing
from lwm2m_engine.codecs.senml_json import number, quoted
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import DecodeError, ValueRejected
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.values import ObjLink, to_text


def _no_data(field: object, strict: bool) -> bytes:
    raise ValueRejected("no data field in this format", value=field)


# Opaque values are base64 in "sv": there is no label for data.
LABELS = senml.Labels("bn", "bt", "n", "t", "v", "sv", "bv", None, "ov", _no_data, null=False)


def decode(payload: bytes, scope: Scope) -> list[Entry]:
    if not payload:
        return nothing(scope)
    scope = scope._replace(root="")
    match senml_json.load(payload, strict=scope.strict):
        case {"e": list(records), **header}:
            base, base_time = header.pop("bn", ""), header.pop("bt", None)
        case _:
            raise DecodeError('an LwM2M JSON payload is an object with an array "e"', offset=0)
    if not isinstance(base, str):
        raise DecodeError("the base name is not a text", path=scope.at)
    try:
        started = None if base_time is None else senml.seconds(base_time)
    except ValueRejected as error:
        raise DecodeError(error.reason, path=scope.at) from None
    return senml.resolve(records, LABELS, scope, base, started) or nothing(scope)


def encode(entries: Sequence[Entry], scope: Scope) -> bytes:
    at = scope.at
    checked = outgoing(entries, scope)
    # A single Resource is all base name; everything else is named from the request path on.
    single = bool(checked) and all(path == at for path, _, _ in checked)
    base = str(at) if single or not at else f"{at}/"
    parts, opening = [f'{{"bn":"{base}","e":['], "{"
    for path, value, time in checked:
        name = "" if single else f'"n":"{senml.relative(path, len(at))}",'
        moment = "" if time is None else f',"t":{number(time)}'
        parts.append(f"{opening}{name}{_FIELDS[value.__class__](value)}{moment}}}")
        opening = ",{"
    parts.append("]}")
    return senml_json.assemble(parts)


_FIELDS: dict[type, Callable[[Any], str]] = {
    str: lambda value: f'"sv":{quoted(value)}',
    bool: lambda value: '"bv":true' if value else '"bv":false',
    int: lambda value: f'"v":{value}',
    float: lambda value: f'"v":{number(value)}',
    bytes: lambda value: f'"sv":"{to_text(value)}"',
    ObjLink: lambda value: f'"ov":"{value}"',
}


CODEC = Codec(ContentFormat.OMA_JSON, decode, encode)
