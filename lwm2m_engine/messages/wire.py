"""Requests to a device as CoAP, and the requests of its registration interface from CoAP.

To the device: LwM2M Core 1.2, 6.3 and 6.4, and the mapping tables of the Transport binding 1.2, 6.4.
From the device: LwM2M Core 1.2, 6.2.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

from lwm2m_engine.attributes import Attributes
from lwm2m_engine.coap import CoapRequest, Code
from lwm2m_engine.errors import DecodeError, RequestError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.links import CACHED_BYTES, Link, announced, parse_links
from lwm2m_engine.messages.parameters import MAX_PARAMETERS, Parameters, bad, endpoint_name
from lwm2m_engine.messages.requests import (
    Cancel,
    CancelComposite,
    Create,
    Delete,
    Discover,
    Execute,
    Observe,
    ObserveComposite,
    Read,
    ReadComposite,
    Single,
    Write,
    WriteAttributes,
)
from lwm2m_engine.messages.uplink import Register, Update
from lwm2m_engine.paths import Path

# --- to a device -----------------------------------------------------------------------------------


def coap_request(
    request: Single,
    *,
    root: str = "/",
    accept: int | None = None,
    content_format: int | None = None,
    payload: bytes = b"",
) -> CoapRequest:
    """The exchange that carries ``request``.

    ``root`` is the client's alternate root path. ``payload`` is what the request writes, or the path list
    of a composite, encoded in ``content_format``. ``accept`` is the format preferred for the answer;
    one that the request itself names goes before it.
    """
    target = _uri(below(root, request.prefix), request.path)
    if isinstance(request, Read):
        return CoapRequest(Code.GET, target, accept=accept if request.accept is None else request.accept)
    if isinstance(request, Observe):
        wanted = accept if request.accept is None else request.accept
        return CoapRequest(Code.GET, target, _query(request.attributes), accept=wanted, observe=0)
    if isinstance(request, Cancel):
        return CoapRequest(Code.GET, target, accept=accept, observe=1)
    if isinstance(request, Discover):
        depth = () if request.depth is None else (f"depth={request.depth}",)
        return CoapRequest(Code.GET, target, depth, accept=ContentFormat.LINK_FORMAT)
    if isinstance(request, Delete):
        return CoapRequest(Code.DELETE, target)
    if isinstance(request, WriteAttributes):
        return CoapRequest(Code.PUT, target, _query(request.attributes))
    if isinstance(request, Execute):
        return _execute(request, target)
    return _with_payload(request, root, accept, content_format, payload)


def below(root: str, prefix: str) -> str:
    """The root of an end device behind a LwM2M Gateway: ``/dev0``, ``/lwm2m/dev0`` (object 25)."""
    return f"{root.rstrip('/')}/{prefix}" if prefix else root


def _query(attributes: Attributes) -> tuple[str, ...]:
    return tuple(name if value is None else f"{name}={value}" for name, value in attributes)


def _execute(request: Execute, target: tuple[str, ...]) -> CoapRequest:
    if not request.arguments:
        return CoapRequest(Code.POST, target)
    return CoapRequest(
        Code.POST, target, payload=request.arguments.encode("ascii"), content_format=ContentFormat.TEXT
    )


def _with_payload(
    request: Single, root: str, accept: int | None, content_format: int | None, payload: bytes
) -> CoapRequest:
    observe: int | None = None
    query: tuple[str, ...] = ()
    path, base = request.path, below(root, request.prefix)
    if isinstance(request, Write):
        code = Code.PUT if request.replace else Code.POST
    elif isinstance(request, Create):
        # The id of a chosen Instance travels in the payload.
        code, path = Code.POST, Path(request.path[:1])
    else:
        # A composite goes to the client itself; which end device it is about stands in its paths.
        code, base = Code.IPATCH, root
        if isinstance(request, (ReadComposite, ObserveComposite, CancelComposite)):
            code = Code.FETCH
            observe = {ObserveComposite: 0, CancelComposite: 1}.get(type(request))
        if isinstance(request, ObserveComposite):
            query = _query(request.attributes)
    wanted = accept if code is Code.FETCH else None
    return CoapRequest(
        code,
        _uri(base, path),
        query,
        payload=payload,
        content_format=content_format,
        accept=wanted,
        observe=observe,
    )


@lru_cache(maxsize=4096)
def _uri(root: str, path: tuple[int, ...]) -> tuple[str, ...]:
    prefix = tuple(unquote(segment) for segment in root.split("/") if segment)
    return (*prefix, *map(str, path))


# --- from a device ---------------------------------------------------------------------------------

DEFAULT_LIFETIME = 86_400
"""Seconds a registration lives when the client does not say (LwM2M Core 1.2, 6.2.1)."""
MAX_LIFETIME = 2**32 - 1
MAX_WARNINGS = 20
"""Most warnings about one object list: each is told and kept."""

BINDINGS = {"1.0": "UQS", "1.1": "UTSN", "1.2": "UTSNMH"}
"""Letters ``b`` may hold; in LwM2M 1.0 ``Q`` among them stands for queue mode."""

_VERSION = re.compile(r"([0-9]+\.[0-9]+)(\.[0-9]+)?")


def parse_register(
    request: CoapRequest, *, strict: bool = False, assumed_version: str | None = None
) -> Register:
    """``POST /rd`` (LwM2M Core 1.2, 6.2.1); ``endpoint`` is empty when the client names none.

    A client that does not name its enabler version has ``assumed_version``, or is refused without one.
    Raises ``RequestError``: 4.12 for an enabler version that is not 1.0, 1.1 or 1.2, 4.15 for a payload
    that is not link-format, 4.00 for whatever else is wrong.
    """
    if not request.confirmable:
        raise bad("a Register must be confirmable")
    query, payload = request.query, request.payload
    named = [option for option in query if option[:3] == "ep="]
    if len(named) != 1 or len(query) > MAX_PARAMETERS or len(payload) > CACHED_BYTES:
        return _read_register(query, payload, request.content_format, strict, assumed_version)
    # All but the name thousands of devices have in common.
    alike = tuple([option for option in query if option[:3] != "ep="])
    common = _read_alike(alike, payload, request.content_format, strict, assumed_version)
    return Register(
        endpoint_name(named[0][3:]),
        common.version,
        common.lifetime,
        common.binding,
        common.queue_mode,
        common.sms,
        dict(common.attributes),
        common.links,
        common.warnings,
    )


def _read_register(
    query: tuple[str, ...],
    payload: bytes,
    content_format: int | None,
    strict: bool,
    assumed_version: str | None,
) -> Register:
    parameters = Parameters(query)
    warnings: list[str] = []
    version = _version(parameters.take("lwm2m"), assumed_version, strict, warnings)
    binding, queue_mode = _binding(parameters.take("b"), version)
    lifetime = _lifetime(parameters.take("lt"), version)
    if parameters.take_flag("Q"):
        if version == "1.0":
            raise bad("the parameter Q is not part of LwM2M 1.0, where b=UQ says the same")
        queue_mode = True
    links = _object_list(payload, content_format, version, strict, warnings)
    if links is None:
        raise bad("a Register needs an object list")
    return Register(
        endpoint=endpoint_name(parameters.take("ep")),
        version=version,
        lifetime=DEFAULT_LIFETIME if lifetime is None else lifetime,
        binding=binding or "U",
        queue_mode=bool(queue_mode),
        sms=parameters.take("sms"),
        attributes=parameters.rest(),
        links=links,
        warnings=tuple(warnings),
    )


_read_alike = lru_cache(maxsize=1024)(_read_register)


def parse_update(request: CoapRequest, *, version: str = "1.1", strict: bool = False) -> Update:
    """``POST /rd/<id>`` (LwM2M Core 1.2, 6.2.2); ``version`` is that of the registration.

    Raises ``RequestError`` as ``parse_register`` does. What only a Register may say is skipped with a
    warning, with ``strict`` refused.
    """
    parameters = Parameters(request.query)
    warnings: list[str] = []
    binding, queue_mode = _binding(parameters.take("b"), version)
    for name in ("ep", "lwm2m", "Q"):
        if parameters.drop(name):
            _tolerate(f"{name} in an Update", strict, warnings)
    return Update(
        lifetime=_lifetime(parameters.take("lt"), version),
        binding=binding,
        queue_mode=queue_mode,
        sms=parameters.take("sms"),
        attributes=parameters.rest(),
        links=_object_list(request.payload, request.content_format, version, strict, warnings),
        warnings=tuple(warnings),
    )


def _version(text: str | None, assumed: str | None, strict: bool, warnings: list[str]) -> str:
    if text is None:
        if assumed is None:
            raise bad("lwm2m, the enabler version, is missing")
        warnings.append(f"lwm2m, the enabler version, is missing; taken as {assumed}")
        return assumed
    match = _VERSION.fullmatch(text)
    version = match[1] if match is not None else ""
    if version not in BINDINGS or (strict and text != version):
        known = ", ".join(BINDINGS)
        raise RequestError(
            Code.PRECONDITION_FAILED, f"LwM2M version {text[:20]!r} is not spoken here; {known} are"
        )
    if text != version:
        warnings.append(f"lwm2m={text} taken as {version}")
    return version


def _lifetime(text: str | None, version: str) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MAX_LIFETIME):
        raise bad(f"lt={text[:20]} is not a lifetime in seconds from 1 to {MAX_LIFETIME}")
    if int(text) == 0 and version in ("1.0", "1.1"):
        raise bad("lt=0 means forever in LwM2M 1.2 only")
    return int(text)


def _binding(text: str | None, version: str) -> tuple[str | None, bool | None]:
    """Binding and, where it tells, queue mode."""
    if text is None:
        return None, None
    letters = BINDINGS[version]
    known = 0 < len(set(text)) == len(text) and set(text) <= set(letters)
    if not known or text == "Q":
        raise bad(f"b={text[:20]} is no binding of LwM2M {version}, which knows {', '.join(letters)}")
    return text, ("Q" in text) if version == "1.0" else None


def _object_list(
    payload: bytes, content_format: int | None, version: str, strict: bool, warnings: list[str]
) -> tuple[Link, ...] | None:
    """The links of the payload, ``None`` if there is none.

    A missing Content-Format is common and means link-format: nothing else may stand there.
    """
    if not payload:
        return None
    if content_format not in (None, ContentFormat.LINK_FORMAT):
        raise RequestError(Code.UNSUPPORTED_CONTENT_FORMAT, "an object list is link-format (40)")
    try:
        links, tolerated = parse_links(payload, strict=strict)
        found = announced(links, version, strict)
    except DecodeError as error:
        raise bad(f"object list: {error}") from error
    if not found.objects:
        raise bad("the object list names no LwM2M Object")
    faults = (*tolerated, *found.warnings)
    warnings.extend(faults[:MAX_WARNINGS])
    if len(faults) > MAX_WARNINGS:
        warnings.append(f"and {len(faults) - MAX_WARNINGS} faults more")
    return links


def _tolerate(fault: str, strict: bool, warnings: list[str]) -> None:
    if strict:
        raise bad(fault)
    warnings.append(fault)
