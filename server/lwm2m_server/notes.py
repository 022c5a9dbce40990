"""``Note``: one message between the server and a device, for a trace. What holds keys is not in it."""

from __future__ import annotations

from typing import Final

import attrs

from lwm2m_engine.coap import CoapReply, CoapRequest
from lwm2m_engine.codecs import decode, decode_paths
from lwm2m_engine.errors import LwM2MError, PathError
from lwm2m_engine.paths import ROOT, Path

SECRET: Final = frozenset({0, 21})
"""Objects that hold keys: Security and OSCORE."""
UP, DOWN = "up", "down"
"""From the device, and to it."""
_OWN = frozenset({"rd", "bs", "bspack"})
"""First segments of the server's paths that are none of LwM2M's."""


@attrs.frozen(slots=True)
class Note:
    """One message, or why there was none."""

    number: int
    """Counted from 1 in each trace."""
    at: float
    direction: str
    path: tuple[str, ...]
    """Uri-Path of the request this is or belongs to."""
    code: int | None = None
    """Method or response code; ``None`` where nothing was said, see ``remark``."""
    query: tuple[str, ...] = ()
    content_format: int | None = None
    accept: int | None = None
    observe: int | None = None
    confirmable: bool | None = None
    """Of a request: CON or NON. Of a response nobody knows at this height."""
    location: tuple[str, ...] = ()
    payload: bytes = b""
    size: int = 0
    """Bytes of the whole payload."""
    masked: bool = False
    """True when the payload held keys and was not kept."""
    exchange: int | None = None
    """What a request to a device and its response have in common."""
    duration: float | None = None
    """Seconds since the request this answers."""
    peer: str = ""
    remark: str = ""

    @property
    def is_cut(self) -> bool:
        """True if there was more of the payload than is kept."""
        return not self.masked and len(self.payload) < self.size


def asked(request: CoapRequest, direction: str, at: float) -> Note:
    """A request."""
    note = Note(
        0,
        at,
        direction,
        request.path,
        request.code,
        request.query,
        request.content_format,
        request.accept,
        request.observe,
        request.confirmable,
    )
    return _with_payload(note, request.payload)


def said(reply: CoapReply, direction: str, request: CoapRequest, at: float, began: float | None) -> Note:
    """A response to ``request``, which came at ``began``; of a notification nobody knows that."""
    note = Note(
        0,
        at,
        direction,
        request.path,
        reply.code,
        content_format=reply.content_format,
        observe=reply.observe,
        location=reply.location,
        duration=None if began is None else at - began,
    )
    return _with_payload(note, reply.payload)


def place(segments: tuple[str, ...]) -> tuple[str, Path] | None:
    """What stands before a LwM2M path in a Uri-Path, and the path; ``None`` for /rd and its like.

    Before it stands the alternate path of a client, or the prefix of an end device behind a gateway.
    """
    if segments[:1] == ("dp",):
        return "/", ROOT
    if segments and segments[0] in _OWN:
        return None
    first = len(segments)
    while first and segments[first - 1].isascii() and segments[first - 1].isdigit():
        first -= 1
    try:
        return "/" + "/".join(segments[:first]), Path("/".join(segments[first:]))
    except PathError:
        return None


def _with_payload(note: Note, payload: bytes) -> Note:
    masked = bool(payload) and _is_secret(payload, note)
    return attrs.evolve(note, payload=b"" if masked else payload, size=len(payload), masked=masked)


def _is_secret(payload: bytes, note: Note) -> bool:
    """By the path; a payload that names paths itself is looked into."""
    found = place(note.path)
    if found is None:
        return False
    root, path = found
    if path:
        return path[0] in SECRET
    if note.content_format is None:
        return False
    return any(named.object in SECRET for named in _named(payload, note.content_format, root))


def _named(payload: bytes, content_format: int, root: str) -> list[Path]:
    try:
        return [entry.path for entry in decode(payload, content_format, at=ROOT, root=root)]
    except LwM2MError:
        pass
    try:
        return decode_paths(payload, content_format, root=root)
    except LwM2MError:
        return []
