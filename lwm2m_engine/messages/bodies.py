"""Values in messages to a device: text and JSON made into typed entries, by the models where there are any.

Interfaces for people count Time in milliseconds or write it as ISO 8601; entries count it in seconds.
Opaque is base64. A SenML body is a wire format, so its Time is in seconds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from lwm2m_engine.codecs import decode
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import CodecError, PathError, UnknownResource, ValueRejected
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.model.spec import ResourceSpec
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import ROOT, Path
from lwm2m_engine.values import INTEGER_RANGE, UNSIGNED_RANGE, ResourceType, Value, coerce, from_text

Models = ModelView | None

MAX_PATH = 40
"""No path is as long in characters; what is longer is wrong and need not be quoted whole."""


def check_path(path: Path, models: Models) -> None:
    """Raise ``ValueRejected`` if a loaded definition says that there is no such Resource."""
    spec = models.object(path[0]) if models is not None and path else None
    if spec is None or len(path) < 3:
        return
    resource = spec.resources.get(path[2])
    if resource is None:
        raise ValueRejected(f"object {spec.id} {spec.name} has no resource {path[2]}", path=path)
    if len(path) == 4 and not resource.multiple:
        raise ValueRejected(f"{resource.name} is a single value without instances", path=path)


# --- one Resource ----------------------------------------------------------------------------------


def resource_entries(path: Path, value: Any, models: Models, content_format: int | None) -> tuple[Entry, ...]:
    """What ``value`` writes to a Resource or Resource Instance."""
    if _is_wire_json(value, content_format):
        return _wire_entries(path, value, models, content_format)
    check_path(path, models)
    spec = models.resource(path) if models is not None else None
    if len(path) == 3 and (spec.multiple if spec is not None else _looks_multiple(value)):
        return _multiple(path, _object(value, path, '{"0": …, "1": …}'), spec)
    return (Entry(path, _scalar(path, value, spec)),)


def _looks_multiple(value: Any) -> bool:
    """Without a model: a JSON object whose keys can only be Resource Instance ids."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = _load(value)
        except ValueRejected:
            return False
    return isinstance(value, Mapping) and bool(value) and all(_is_id(key) for key in value)


def _multiple(path: Path, members: Mapping[str, Any], spec: ResourceSpec | None) -> tuple[Entry, ...]:
    entries = []
    for key, member in members.items():
        if not _is_id(key):
            raise ValueRejected(f"{key[:20]!r} is no Resource Instance id", path=path)
        place = path / int(key)
        entries.append(Entry(place, _scalar(place, member, spec)))
    return _unique(entries)


def _scalar(path: Path, value: Any, spec: ResourceSpec | None) -> Value:
    kind = spec.type if spec is not None else None
    try:
        return _typed(value, kind)
    except ValueRejected as error:
        name = f" ({spec.name})" if spec is not None else ""
        raise ValueRejected(f"{error.reason}{name}", path=path, value=value) from None


def _typed(value: Any, kind: ResourceType | None) -> Value:
    if isinstance(value, (Mapping, list)) or value is None:
        raise ValueRejected("one value is expected, not a JSON object, list or null")
    if kind is ResourceType.NONE:
        raise ValueRejected("it can be executed and holds no value")
    if kind is ResourceType.TIME:
        return _time(value)
    if isinstance(value, str):
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ValueRejected("half of a surrogate pair is no Unicode text")
        return from_text(value, kind)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueRejected("the number is too large")
    if kind is None and isinstance(value, int) and not INTEGER_RANGE[0] <= value <= UNSIGNED_RANGE[1]:
        raise ValueRejected("the number does not fit 64 bits")
    if kind is ResourceType.OPAQUE:
        raise ValueRejected("Opaque is written as base64 text")
    return coerce(value, kind)


def _time(value: Any) -> Value:
    """Seconds from milliseconds or ISO 8601; a time without zone is UTC.

    LwM2M counts Time in whole seconds (Core 1.2, Appendix C), so what is finer is cut off: clocks of
    computers give milliseconds, and nobody should have to round them first.
    """
    if not isinstance(value, str):
        return _seconds(coerce(value, ResourceType.TIME))
    try:
        return _seconds(from_text(value, ResourceType.TIME))
    except ValueRejected:
        pass
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        raise ValueRejected(f"{value[:40]!r} is no time in milliseconds or ISO 8601") from None
    return math.floor((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp())


def _seconds(milliseconds: Value) -> int:
    return math.floor(milliseconds / 1000) if isinstance(milliseconds, float) else int(milliseconds) // 1000  # type: ignore[arg-type]


# --- Object Instances and Objects ------------------------------------------------------------------


def instance_entries(path: Path, body: Any, models: Models, content_format: int | None) -> tuple[Entry, ...]:
    """What a JSON object by id or generated name, or a SenML JSON list, writes to an Object Instance."""
    body = _json(body, path)
    if isinstance(body, list) or _is_wire_json(body, content_format):
        return _wire_entries(path, body, models, content_format)
    entries: list[Entry] = []
    for key, value in _object(body, path, '{"14": "+02:00"} or {"utc_offset": "+02:00"}').items():
        place = path / _resource_id(path, key, models)
        if isinstance(value, str):
            # Only at the top of a message may a text hold JSON.
            entries.append(_text_entry(place, value, models))
        else:
            entries.extend(resource_entries(place, value, models, None))
    return _unique(entries)


def _text_entry(path: Path, text: str, models: Models) -> Entry:
    check_path(path, models)
    spec = models.resource(path) if models is not None else None
    if spec is not None and spec.multiple:
        raise ValueRejected(f'{spec.name} has instances: {{"0": …, "1": …}}', path=path)
    return Entry(path, _scalar(path, text, spec))


def _resource_id(path: Path, key: str, models: Models) -> int:
    if _is_id(key):
        return int(key)
    spec = models.object(path[0]) if models is not None else None
    if spec is None:
        raise ValueRejected(
            f"no model of object {path[0]} is loaded, so {key[:40]!r} must be a resource id", path=path
        )
    try:
        return spec[key[:80]].id
    except UnknownResource as error:
        raise ValueRejected(str(error), path=path) from None


def created_entries(
    path: Path, body: Any, models: Models, content_format: int | None
) -> tuple[Path, tuple[Entry, ...]]:
    """Path and entries of a Create: the Instance when the body names one, else the Object.

    Names are those of SenML records, or keys with a slash: ``{"/3442/7": {…}, "/3442/8": {…}}``.
    """
    body = _json(body, path)
    if isinstance(body, list) or _is_wire_json(body, content_format):
        entries = _wire_entries(path, body, models, content_format)
    elif isinstance(body, Mapping) and any(key.startswith("/") for key in body):
        entries = _named_instances(path, body, models)
    else:
        return path, instance_entries(path / 0, body, models, None)
    instances = {Path(entry.path[:2]) for entry in entries}
    return (instances.pop() if len(instances) == 1 else path), entries


def _named_instances(path: Path, body: Mapping[str, Any], models: Models) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    for key, member in body.items():
        instance = _path(key)
        if len(instance) != 2 or not instance.startswith(path):
            raise ValueRejected(f"{key[:40]!r} is no Instance of this Object", path=path)
        written = instance_entries(instance, _no_text(member, instance), models, None)
        if not written:
            raise ValueRejected("an Instance whose id is chosen needs a value", path=instance)
        entries.extend(written)
    return _unique(entries)


def object_entries(path: Path, body: Any, models: Models) -> list[tuple[Path, tuple[Entry, ...]]]:
    """What ``{"0": {…}, "1": {…}}`` writes to the Instances of an Object, in order."""
    members = _object(body, path, '{"0": {…}, "1": {…}}')
    found = []
    for key, member in members.items():
        if not _is_id(key):
            raise ValueRejected(f"{key[:20]!r} is no Object Instance id", path=path)
        instance = path / int(key)
        found.append((instance, instance_entries(instance, _no_text(member, instance), models, None)))
    if not found:
        raise ValueRejected("the object names no Instance to write", path=path)
    return found


def composite_entries(body: Any, models: Models, content_format: int | None) -> tuple[Entry, ...]:
    """What ``{"/3/0/14": "+02:00", …}`` or a SenML JSON list writes; null deletes a Resource Instance."""
    body = _json(body, ROOT)
    if isinstance(body, list):
        return _wire_entries(ROOT, body, models, content_format)
    entries: list[Entry] = []
    for key, value in _object(body, ROOT, '{"/3/0/14": "+02:00", "/1/0/2": 100}').items():
        path = _path(key)
        if len(path) < 2:
            raise ValueRejected("a composite writes Resources, Resource Instances or Instances", path=path)
        if value is None and len(path) == 4:
            check_path(path, models)
            entries.append(Entry(path, None))
        elif len(path) == 2:
            entries.extend(instance_entries(path, _no_text(value, path), models, None))
        elif isinstance(value, str) and len(path) == 3:
            entries.append(_text_entry(path, value, models))
        else:
            entries.extend(resource_entries(path, value, models, None))
    if not entries:
        raise ValueRejected("there is nothing to write")
    return _unique(entries)


# --- wire formats that are text --------------------------------------------------------------------


def _is_wire_json(value: Any, content_format: int | None) -> bool:
    """True for SenML JSON and LwM2M JSON; plain JSON may be sent in these formats without being in them."""
    text = value.lstrip() if isinstance(value, str) else value
    if content_format in (ContentFormat.SENML_JSON, ContentFormat.SENML_ETCH_JSON):
        return isinstance(text, list) or (isinstance(text, str) and text.startswith("["))
    if content_format == ContentFormat.OMA_JSON:
        return (isinstance(text, Mapping) and "e" in text) or (isinstance(text, str) and '"e"' in text)
    return False


def _wire_entries(path: Path, body: Any, models: Models, content_format: int | None) -> tuple[Entry, ...]:
    number = content_format if content_format == ContentFormat.OMA_JSON else ContentFormat.SENML_JSON
    payload = (body if isinstance(body, str) else json.dumps(body)).encode("utf-8", "surrogatepass")
    types: Callable[[Path], ResourceType | None] | None = models.types if models is not None else None
    try:
        entries = decode(payload, number, at=path, types=types)
    except (CodecError, ValueRejected, PathError) as error:
        raise ValueRejected(str(error), path=path or None) from None
    for entry in entries:
        if not entry.path.startswith(path) or len(entry.path) < 3:
            raise ValueRejected(f"{entry.path} is not a Resource below it", path=path)
        if entry.value is None and path != ROOT:
            raise ValueRejected("there is no value", path=entry.path)
        check_path(entry.path, models)
    return _unique(entries)


# --- JSON ------------------------------------------------------------------------------------------


def _json(body: Any, path: Path) -> Any:
    """JSON text parsed; anything else as it is."""
    if not isinstance(body, str):
        return body
    try:
        return _load(body)
    except ValueRejected as error:
        raise ValueRejected(error.reason, path=path or None) from None


def _load(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ValueRejected(f"not JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise ValueRejected("not usable JSON: nested too deeply") from None
    except ValueRejected:
        raise
    except ValueError:
        raise ValueRejected("not usable JSON: a number has too many digits") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueRejected(f"the key {twice[:40]!r} stands there twice")
    return found


def _no_constant(word: str) -> Any:
    raise ValueRejected(f"{word} is no JSON number")


def _object(body: Any, path: Path, example: str) -> Mapping[str, Any]:
    body = _json(body, path)
    if not isinstance(body, Mapping):
        raise ValueRejected(f"a JSON object such as {example} is expected", path=path or None)
    return body


def _no_text(value: Any, path: Path) -> Any:
    if isinstance(value, str):
        raise ValueRejected("a JSON object is expected, not a text", path=path)
    return value


def _is_id(key: str) -> bool:
    return isinstance(key, str) and key.isascii() and key.isdigit() and len(key) <= 5


def _path(key: str) -> Path:
    try:
        return Path(key[:MAX_PATH])
    except PathError as error:
        raise ValueRejected(str(error)) from None


def _unique(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    found = tuple(entries)
    seen: set[Path] = set()
    for entry in found:
        if entry.path in seen:
            raise ValueRejected("written twice in one message", path=entry.path)
        seen.add(entry.path)
    return found
