"""``Codecs``: from a Content-Format number to the codec of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from lwm2m_engine.codecs import (
    cbor,
    link_format,
    lwm2m_cbor,
    oma_json,
    opaque,
    senml_cbor,
    senml_etch,
    senml_json,
    text,
    tlv,
)
from lwm2m_engine.codecs.codec import Codec, Scope, Types, untyped
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import CodecError, EncodeError, UnsupportedFormat
from lwm2m_engine.formats import PRE_IANA
from lwm2m_engine.paths import ROOT, Path

BUNDLED = (
    text.CODEC,
    link_format.CODEC,
    opaque.CODEC,
    cbor.CODEC,
    senml_json.CODEC,
    senml_cbor.CODEC,
    tlv.CODEC,
    oma_json.CODEC,
    senml_etch.JSON,
    senml_etch.CBOR,
    lwm2m_cbor.CODEC,
)


class Codecs:
    """The codecs by Content-Format number; of several for one number the last counts.

    Immutable: ``extended`` makes a new one. The numbers used before IANA assigned the present ones
    (1541-1544) find the same codecs.
    """

    __slots__ = ("_by_number",)

    def __init__(self, codecs: Iterable[Codec] = BUNDLED) -> None:
        self._by_number = {int(codec.content_format): codec for codec in codecs}

    def extended(self, codecs: Iterable[Codec]) -> Codecs:
        """With more codecs, which replace those of the same number."""
        return Codecs((*self._by_number.values(), *codecs))

    def __getitem__(self, content_format: int | None) -> Codec:
        """Raises ``UnsupportedFormat``; ``None`` stands for a message that does not name its format."""
        codec = self._by_number.get(content_format)  # type: ignore[arg-type]
        if codec is None:
            codec = self._by_number.get(PRE_IANA.get(content_format))  # type: ignore[arg-type]
        if codec is None:
            reason = "no content format is given" if content_format is None else "unknown content format"
            raise UnsupportedFormat(reason, content_format=content_format)
        return codec

    def __contains__(self, content_format: object) -> bool:
        return content_format in self._by_number or content_format in PRE_IANA

    def __iter__(self) -> Iterator[int]:
        return iter(self._by_number)

    def decode(
        self,
        payload: bytes,
        content_format: int | None,
        *,
        at: Path = ROOT,
        types: Types | None = None,
        strict: bool = False,
        now: float | None = None,
        root: str = "/",
        multiple: Callable[[Path], bool | None] | None = None,
    ) -> list[Entry]:
        """The values of a payload that came for the path ``at``, in its order.

        ``types`` gives the type of a Resource (or Resource Instance) path; where it knows none, values
        stay as the format has them (TLV: ``bytes``). ``now`` (seconds since 1970 UTC) is what relative
        SenML times count from. ``root`` is the alternate path under which the names of SenML and LwM2M
        CBOR lie, or the prefix of an end device (``/dev0``), or one after the other; where no name has it, it
        is taken for forgotten. ``multiple`` says which Resources may have instances, so that an empty payload
        can be refused for the others. ``strict`` refuses what devices do against the specification.

        Raises ``DecodeError`` or ``UnsupportedFormat``, whatever the bytes.
        """
        codec = self._by_number.get(content_format) or self[content_format]  # type: ignore[arg-type]
        fields = (at, types or untyped, strict, now, "" if root == "/" else _root(root), multiple)
        scope = tuple.__new__(Scope, fields)
        try:
            return codec.decode(payload, scope)
        except CodecError as error:
            raise _named(error, codec) from error.__cause__

    def decode_each(
        self,
        payload: bytes,
        content_format: int | None,
        *,
        types: Callable[[str], Types | None] | None = None,
        strict: bool = False,
        now: float | None = None,
    ) -> dict[str, list[Entry]]:
        """The values of a gateway and of end devices behind it, by what their names begin with.

        ``/dev1`` has those of one end device, ``/`` those of the gateway. ``types`` gives the types of each;
        ``strict`` and ``now`` are as for ``decode``, and so is what it raises.
        """
        codec = self[content_format]
        if codec.decode_each is None:
            raise UnsupportedFormat("no prefixes in this format", content_format=content_format)

        def scope(root: str) -> Scope:
            known = None if types is None else types(root or "/")
            return Scope(types=known or untyped, strict=strict, now=now, root=root)

        try:
            return {root or "/": found for root, found in codec.decode_each(payload, scope).items()}
        except CodecError as error:
            raise _named(error, codec) from error.__cause__

    def encode(
        self,
        entries: Iterable[Entry],
        content_format: int,
        *,
        at: Path = ROOT,
        types: Types | None = None,
        root: str = "/",
    ) -> bytes:
        """A payload for the path ``at``; entries have absolute paths at or below it.

        Values are written as ``types`` wants them. Raises ``EncodeError`` for what the format cannot
        express (a time in TLV, two values in text/plain), ``UnsupportedFormat`` for an unknown number.
        """
        codec = self._by_number.get(content_format) or self[content_format]
        scope = Scope(at, types or untyped, root="" if root == "/" else _root(root))
        try:
            return codec.encode(tuple(entries), scope)
        except CodecError as error:
            raise _named(error, codec) from error.__cause__
        except UnicodeEncodeError as error:
            reason = f"half a surrogate pair, {error.object[error.start]!r}, is no character"
            raise EncodeError(reason, content_format=int(codec.content_format)) from None

    def decode_paths(self, payload: bytes, content_format: int | None, *, root: str = "/") -> list[Path]:
        """The paths a composite read asks for; raises as ``decode``."""
        codec = self[content_format]
        if codec.decode_paths is None:
            raise UnsupportedFormat("no list of paths in this format", content_format=content_format)
        try:
            return codec.decode_paths(payload, Scope(root=_root(root)))
        except CodecError as error:
            raise _named(error, codec) from error.__cause__

    def encode_paths(self, paths: Iterable[Path], content_format: int, *, root: str = "/") -> bytes:
        """The payload of a composite read; raises as ``encode``."""
        codec = self[content_format]
        if codec.encode_paths is None:
            raise UnsupportedFormat("no list of paths in this format", content_format=content_format)
        try:
            return codec.encode_paths(tuple(paths), Scope(root=_root(root)))
        except CodecError as error:
            raise _named(error, codec) from error.__cause__


def _root(text: str) -> str:
    stripped = text.strip("/")
    return f"/{stripped}" if stripped else ""


def _named(error: CodecError, codec: Codec) -> CodecError:
    """The error with the number of the format: codecs know their bytes, not under which number."""
    if error.content_format is not None:
        return error
    return type(error)(
        error.reason, content_format=int(codec.content_format), offset=error.offset, path=error.path
    )
