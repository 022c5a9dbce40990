"""Messages to a device as people write them: ``GET /3/0/9``, ``PUT /3/0/14 +02:00``.

One function a method. Whatever is wrong raises ``RequestError`` (4.00) with a sentence that says what and
where. Which operations a Resource allows, and which Instances exist, is left to the device.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import attrs

from lwm2m_engine.attributes import ATTRIBUTES, Attributes, check_attributes, parse_attributes
from lwm2m_engine.coap import Code
from lwm2m_engine.errors import DecodeError, PathError, RequestError, ValueRejected
from lwm2m_engine.links import parse_links
from lwm2m_engine.messages.arguments import parse_arguments
from lwm2m_engine.messages.bodies import (
    MAX_PATH,
    Models,
    check_path,
    composite_entries,
    created_entries,
    instance_entries,
    object_entries,
    resource_entries,
)
from lwm2m_engine.messages.lines import Line, bad, read_document, read_text
from lwm2m_engine.messages.requests import (
    VIRTUAL_OBSERVE_NOTIFY,
    Cancel,
    CancelComposite,
    CancelLinks,
    Create,
    Delete,
    Discover,
    Execute,
    Observe,
    ObserveComposite,
    ObserveLinks,
    Read,
    ReadAll,
    ReadComposite,
    Request,
    Write,
    WriteAttributes,
    WriteComposite,
    WriteObject,
)
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path

KEPT = 256
"""Messages of which it is kept what they mean, by the models they were read with: a fleet is often asked
in the same words, and requests never change."""
LONGEST_KEPT = 256
"""Characters of the longest of them."""
_known: WeakKeyDictionary[ModelView, dict[str, Request]] = WeakKeyDictionary()

LINKS_EXAMPLE = "PUT /22 </3/0/9>;pmin=10,</3303/0/5700>;gt=30"
IPATCH_EXAMPLE = """IPATCH / {"/3/0/14": "+02:00", "/1/0/2": 100}"""


def parse(text: str, models: Models = None) -> Request:
    """The request that a message means; raises ``RequestError``.

    Values are checked against ``models`` where these know the Resource; what they do not know is taken
    as it is typed in JSON, or as a String.
    """
    if models is None or len(text) > LONGEST_KEPT:
        return _request(lambda: read_text(text), models)
    known = _known.get(models)
    if known is None:
        known = _known[models] = {}
    request = known.get(text)
    if request is None:
        request = _request(lambda: read_text(text), models)
        if len(known) >= KEPT:
            known.clear()
        known[text] = request
    return request


def parse_json(document: Mapping[str, Any], models: Models = None) -> Request:
    """As ``parse``, from ``{"method": "PUT", "path": "/3/0/14", "value": "+02:00"}``."""
    return _request(lambda: read_document(document), models)


def _request(read: Callable[[], Line], models: Models) -> Request:
    try:
        line = read()
        prefix, line = _split_prefix(line)
        request = _METHODS[line.method](line, models)
    except (ValueRejected, PathError) as error:
        raise bad(str(error)) from error
    _check_headers(line, request)
    return _behind(request, prefix, line) if prefix else request


# --- end devices behind a LwM2M Gateway ------------------------------------------------------------

_PREFIX = re.compile(r"/([A-Za-z][A-Za-z0-9._~-]{0,63})(?=/)")


def _split_prefix(line: Line) -> tuple[str, Line]:
    """``/dev0/3303/0`` is ``/3303/0`` of the end device ``dev0``; a composite stays with one device.

    The paths of an IPATCH stand in its body, so its target is the prefix alone.
    """
    target = f"{line.target}/" if line.method == "IPATCH" else line.target
    found = [_PREFIX.match(path) for path in target.split(",")]
    prefixes = [match[1] if match is not None else "" for match in found]
    if not any(prefixes):
        return "", line
    if len(set(prefixes)) > 1:
        raise RequestError(
            Code.METHOD_NOT_ALLOWED, f"{line.method} {target[:60]}: one request cannot reach several devices"
        )
    rest = (path[len(prefixes[0]) + 1 :] for path in target.split(","))
    return prefixes[0], attrs.evolve(line, target=",".join(rest))


def _behind(request: Request, prefix: str, line: Line) -> Request:
    if isinstance(request, WriteObject):
        writes = (attrs.evolve(write, prefix=prefix) for write in request.instances)
        return attrs.evolve(request, instances=tuple(writes))
    if isinstance(request, (ReadAll, ObserveLinks, CancelLinks)):
        raise bad(f"{line.method} {line.target[:40]} cannot be asked of an end device such as {prefix}")
    return attrs.evolve(request, prefix=prefix)


def _check_headers(line: Line, request: Request) -> None:
    """A header that the request cannot honour is refused, not ignored."""
    if line.accept is not None and not hasattr(request, "accept"):
        raise bad(f"{line.method} {line.target} takes no Accept")
    if line.content_format is not None and not hasattr(request, "content_format"):
        raise bad(f"{line.method} {line.target} takes no Content-Format")


# --- one function a method -------------------------------------------------------------------------


def _get(line: Line, models: Models) -> Request:
    path = _path(line, models)
    _no_query(line)
    return Read(path, line.accept) if path else ReadAll()


def _put(line: Line, models: Models) -> Request:
    path = _path(line, models)
    if path == VIRTUAL_OBSERVE_NOTIFY:
        return _observe_links(line, models)
    if line.value is None:
        return _write_attributes(line, path, models)
    _no_query(line)
    if len(path) > 2:
        entries = resource_entries(path, line.value, models, line.content_format)
        return Write(path, entries, content_format=line.content_format)
    if len(path) == 2:
        entries = instance_entries(path, line.value, models, line.content_format)
        return Write(path, entries, content_format=line.content_format)
    if not path:
        raise bad("PUT needs a path such as /3/0/14")
    writes = (Write(at, entries) for at, entries in object_entries(path, line.value, models))
    return WriteObject(path, tuple(writes))


def _write_attributes(line: Line, path: Path, models: Models) -> Request:
    if not line.query:
        raise bad(
            f"PUT {line.target} has no value; 'PUT /3/0/14 +02:00' writes one,"
            " 'PUT /3/0/9?pmin=10' writes attributes"
        )
    return WriteAttributes(path, _attributes(line.query, path, models))


def _observe_links(line: Line, models: Models) -> Request:
    """``PUT /22``: observe what CoRE links name."""
    _no_query(line)
    if not isinstance(line.value, str) or not line.value.strip():
        raise bad(f"PUT /22 needs links to observe, as in '{LINKS_EXAMPLE}'")
    try:
        links, _ = parse_links(line.value)
    except DecodeError as error:
        raise bad(f"{error}; an example: '{LINKS_EXAMPLE}'") from None
    wanted: dict[Path, Attributes] = {}
    for link in links:
        path = Path(link.target[:MAX_PATH])
        if not path:
            raise bad(f"the root cannot be observed; an example: '{LINKS_EXAMPLE}'")
        if path in wanted:
            raise bad(f"{path} is named twice")
        _check_attributes(link.attributes, path, models)
        wanted[path] = link.attributes
    return ObserveLinks(tuple(wanted.items()))


def _post(line: Line, models: Models) -> Request:
    path = _path(line, models)
    if len(path) == 3:
        return _post_resource(line, path, models)
    _no_query(line)
    if len(path) not in (1, 2):
        raise bad(
            f"POST {line.target}: an Object (Create), an Instance (Write) or a Resource (Execute) is expected"
        )
    if line.value in (None, ""):
        raise bad(f'POST {line.target} needs a body such as {{"0": 5}}')
    if len(path) == 1:
        place, entries = created_entries(path, line.value, models, line.content_format)
        return Create(place, entries, line.content_format)
    entries = instance_entries(path, line.value, models, line.content_format)
    return Write(path, entries, replace=False, content_format=line.content_format)


def _post_resource(line: Line, path: Path, models: Models) -> Request:
    """Execute; with a value, and unless the model says executable, a partial update of its Instances."""
    spec = models.resource(path) if models is not None else None
    executable = spec is not None and "E" in spec.operations
    if line.value in (None, "") or executable:
        return _execute(line, path)
    _no_query(line)
    if spec is not None and not spec.multiple:
        raise bad(
            f"{path} {spec.name} is a single value, which PUT writes;"
            " POST executes, or adds Resource Instances"
        )
    entries = resource_entries(path, line.value, models, line.content_format)
    if spec is None and any(entry.path == path for entry in entries):
        raise bad(f"POST {path}: arguments stand behind a question mark, as in 'POST {path}?0=\\'now\\''")
    return Write(path, entries, replace=False, content_format=line.content_format)


def _execute(line: Line, path: Path) -> Request:
    if line.value and line.query:
        raise bad(f"POST {path} has arguments behind the question mark and others behind the blank")
    arguments = line.query or line.value or ""
    if not isinstance(arguments, str):
        raise bad(f"POST {path}: arguments are a text such as 0='now',1")
    parse_arguments(arguments)
    return Execute(path, arguments)


def _delete(line: Line, models: Models) -> Request:
    path = _path(line, models)
    _no_query(line)
    if path.object == VIRTUAL_OBSERVE_NOTIFY.object and len(path) < 3:
        return CancelLinks(path.instance)
    if len(path) not in (2, 4):
        raise bad(f"DELETE {line.target}: an Object Instance or a Resource Instance is expected")
    return Delete(path)


def _discover(line: Line, models: Models) -> Request:
    path = _path(line, models)
    if len(path) not in (1, 2, 3):
        raise bad(f"DISCOVER {line.target}: an Object, an Object Instance or a Resource is expected")
    if not line.query:
        return Discover(path)
    name, _, depth = line.query.partition("=")
    if name != "depth" or depth not in ("0", "1", "2", "3"):
        raise bad(f"DISCOVER takes depth=0 to depth=3, not {line.query[:40]!r}")
    return Discover(path, int(depth))


def _observe(line: Line, models: Models) -> Request:
    paths = _paths(line, models)
    if len(paths) > 1:
        return ObserveComposite(paths, accept=line.accept, attributes=_relation_attributes(line))
    if not paths[0]:
        raise bad("OBSERVE needs a path such as /3/0/9, or several with commas between them")
    return Observe(paths[0], _attributes(line.query or "", paths[0], models), line.accept)


def _relation_attributes(line: Line) -> Attributes:
    """Attributes of a composite: of the relation, not of one of its Resources."""
    attributes = parse_attributes(line.query or "")
    check_attributes(attributes)
    for name, _ in attributes:
        if not ATTRIBUTES[name].writable or "object" not in ATTRIBUTES[name].levels:
            raise bad(f"{name} belongs to one Resource, and OBSERVE {line.target[:60]} names several")
    return attributes


def _cancel(line: Line, models: Models) -> Request:
    paths = _paths(line, models)
    if line.query not in (None, "", "passive"):
        raise bad(f"CANCEL takes nothing but ?passive, found {line.query[:40]!r}")
    passive = line.query == "passive"
    if len(paths) > 1:
        return CancelComposite(paths, passive=passive)
    if not paths[0]:
        raise bad("CANCEL needs the path that is observed, such as /3/0/9")
    return Cancel(paths[0], passive)


def _fetch(line: Line, models: Models) -> Request:
    paths = _paths(line, models)
    _no_query(line)
    return ReadComposite(paths, accept=line.accept)


def _ipatch(line: Line, models: Models) -> Request:
    _no_query(line)
    if line.target not in ("", "/"):
        raise bad(f"IPATCH {line.target[:40]}: the paths stand in the body, as in {IPATCH_EXAMPLE}")
    if line.value in (None, ""):
        raise bad(f"IPATCH needs a body, as in {IPATCH_EXAMPLE}")
    return WriteComposite(
        composite_entries(line.value, models, line.content_format), content_format=line.content_format
    )


_METHODS: dict[str, Callable[[Line, Models], Request]] = {
    "GET": _get,
    "PUT": _put,
    "POST": _post,
    "DELETE": _delete,
    "DISCOVER": _discover,
    "OBSERVE": _observe,
    "CANCEL": _cancel,
    "FETCH": _fetch,
    "IPATCH": _ipatch,
}


# --- paths and queries -----------------------------------------------------------------------------


def _path(line: Line, models: Models) -> Path:
    return _one_path(line.method, line.target, models)


def _one_path(method: str, text: str, models: Models) -> Path:
    if not text.startswith("/"):
        raise bad(f"{method} needs a path that begins with a slash, such as /3/0/9, not {text[:40]!r}")
    path = Path(text[:MAX_PATH])
    check_path(path, models)
    return path


def _paths(line: Line, models: Models) -> tuple[Path, ...]:
    paths = tuple(_one_path(line.method, text, models) for text in line.target.split(","))
    if len(set(paths)) < len(paths):
        raise bad(f"{line.method} {line.target[:60]} names a path twice")
    return paths


def _attributes(query: str, path: Path, models: Models) -> Attributes:
    attributes = parse_attributes(query)
    _check_attributes(attributes, path, models)
    return attributes


def _check_attributes(attributes: Attributes, path: Path, models: Models) -> None:
    check_attributes(attributes, path, kind=models.types(path) if models is not None else None)


def _no_query(line: Line) -> None:
    if line.query:
        raise bad(
            f"{line.method} {line.target[:40]} takes nothing behind a question mark,"
            f" found {line.query[:40]!r}"
        )
