"""The bootstrap interface on the wire (LwM2M Core 1.2, 6.1): what a client asks, and how a server ends it.

Bootstrap-Discover, -Read, -Write and -Delete are the requests of the same names, at other paths.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import attrs

from lwm2m_engine.coap import CoapRequest, Code
from lwm2m_engine.errors import RequestError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.messages.parameters import Parameters, bad, endpoint_name
from lwm2m_engine.paths import ROOT, Path

WRITE_FORMATS = (
    ContentFormat.TLV,
    ContentFormat.SENML_CBOR,
    ContentFormat.SENML_JSON,
    ContentFormat.LWM2M_CBOR,
)
"""Formats of a Bootstrap-Write, in the order they are tried in. A client that names none speaks TLV."""
PACK_FORMATS = (ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON, ContentFormat.LWM2M_CBOR)
"""Formats of a Bootstrap-Pack, the usual one first."""


@attrs.frozen(slots=True)
class BootstrapRequest:
    """``POST /bs`` or, with ``pack``, ``GET /bspack``; ``endpoint`` is empty when the client names none."""

    endpoint: str
    preferred: int | None = None
    """The format it wants to be written in (``pct``), or its pack in (Accept)."""
    attributes: Mapping[str, str] = attrs.field(factory=dict)
    """Query parameters LwM2M does not define, kept as they came."""
    pack: bool = False


@attrs.frozen(slots=True)
class Finish:
    """Bootstrap-Finish: the client checks what it was given, and keeps it."""

    operation: ClassVar[str] = "finish"
    path: Path = ROOT


FINISH = CoapRequest(Code.POST, ("bs",))


def parse_bootstrap_request(request: CoapRequest) -> BootstrapRequest:
    """``POST /bs`` (6.1.7.1). Raises ``RequestError``: 4.15 for a ``pct`` nobody can be written in, 4.00."""
    parameters = Parameters(request.query)
    endpoint = endpoint_name(parameters.take("ep"))
    preferred = _preferred(parameters.take("pct"))
    return BootstrapRequest(endpoint, preferred, parameters.rest())


def parse_pack_request(request: CoapRequest) -> BootstrapRequest:
    """``GET /bspack`` (6.1.7.7). Raises ``RequestError``: 4.06 for a format no pack is made in, 4.00."""
    parameters = Parameters(request.query)
    endpoint = endpoint_name(parameters.take("ep"))
    if request.accept is not None and request.accept not in PACK_FORMATS:
        raise RequestError(Code.NOT_ACCEPTABLE, f"a Bootstrap-Pack cannot have format {request.accept}")
    return BootstrapRequest(endpoint, request.accept, parameters.rest(), pack=True)


def _preferred(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise bad(f"pct={text[:20]} is no Content-Format number")
    if int(text) not in WRITE_FORMATS:
        raise RequestError(Code.UNSUPPORTED_CONTENT_FORMAT, f"nothing is written in format {text}")
    return int(text)
