"""CoAP Content-Format numbers LwM2M uses (LwM2M Core 1.2, 7.4; IANA CoAP Content-Formats)."""

from __future__ import annotations

from enum import IntEnum

from lwm2m_engine.errors import UnsupportedFormat


class ContentFormat(IntEnum):
    """A Content-Format number; ``ContentFormat(11542)`` works by number, ``named("tlv")`` by name."""

    TEXT = 0
    LINK_FORMAT = 40
    OPAQUE = 42
    CBOR = 60
    SENML_JSON = 110
    SENML_CBOR = 112
    SENML_ETCH_JSON = 320
    SENML_ETCH_CBOR = 322
    TLV = 11542
    OMA_JSON = 11543
    LWM2M_CBOR = 11544

    @property
    def label(self) -> str:
        """The short name used on command lines: ``senml-cbor``, ``tlv`` …"""
        return _LABELS[self]

    @property
    def media_type(self) -> str:
        """The registered Internet media type."""
        return _MEDIA_TYPES[self]

    @property
    def since(self) -> str:
        """The LwM2M version that introduced the format."""
        return _SINCE.get(self, "1.0")

    @classmethod
    def named(cls, name: str | int) -> ContentFormat:
        """By label, media type or number (``"tlv"``, ``"11542"``); raises ``UnsupportedFormat``."""
        text = str(name).strip().lower().replace("_", "-")
        if text.isascii() and text.isdigit() and len(text) <= 5:
            number = PRE_IANA.get(int(text), int(text))
            if number in _NUMBERS:
                return cls(number)
            raise UnsupportedFormat("unknown content format", content_format=int(text))
        for member in cls:
            if text in (member.label, member.media_type):
                return member
        known = ", ".join(member.label for member in cls)
        raise UnsupportedFormat(f"unknown content format {name!r}; known: {known}")


_MEDIA_TYPES = {
    ContentFormat.TEXT: "text/plain",
    ContentFormat.LINK_FORMAT: "application/link-format",
    ContentFormat.OPAQUE: "application/octet-stream",
    ContentFormat.CBOR: "application/cbor",
    ContentFormat.SENML_JSON: "application/senml+json",
    ContentFormat.SENML_CBOR: "application/senml+cbor",
    ContentFormat.SENML_ETCH_JSON: "application/senml-etch+json",
    ContentFormat.SENML_ETCH_CBOR: "application/senml-etch+cbor",
    ContentFormat.TLV: "application/vnd.oma.lwm2m+tlv",
    ContentFormat.OMA_JSON: "application/vnd.oma.lwm2m+json",
    ContentFormat.LWM2M_CBOR: "application/vnd.oma.lwm2m+cbor",
}
_LABELS = {
    ContentFormat.TEXT: "text",
    ContentFormat.LINK_FORMAT: "link-format",
    ContentFormat.OPAQUE: "opaque",
    ContentFormat.CBOR: "cbor",
    ContentFormat.SENML_JSON: "senml-json",
    ContentFormat.SENML_CBOR: "senml-cbor",
    ContentFormat.SENML_ETCH_JSON: "senml-etch-json",
    ContentFormat.SENML_ETCH_CBOR: "senml-etch-cbor",
    ContentFormat.TLV: "tlv",
    ContentFormat.OMA_JSON: "oma-json",
    ContentFormat.LWM2M_CBOR: "lwm2m-cbor",
}
_SINCE = {
    ContentFormat.CBOR: "1.1",
    ContentFormat.SENML_JSON: "1.1",
    ContentFormat.SENML_CBOR: "1.1",
    ContentFormat.SENML_ETCH_JSON: "1.2",
    ContentFormat.SENML_ETCH_CBOR: "1.2",
    ContentFormat.LWM2M_CBOR: "1.2",
}
_NUMBERS = frozenset(int(member) for member in ContentFormat)

COMPOSITE_FORMATS = (ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON)
"""What the paths and values of a composite may be written in."""

PRE_IANA = {
    1541: ContentFormat.TEXT,
    1542: ContentFormat.TLV,
    1543: ContentFormat.OMA_JSON,
    1544: ContentFormat.OPAQUE,
}
"""Numbers used before IANA assigned the ones above; still sent by old devices, accepted on input."""
