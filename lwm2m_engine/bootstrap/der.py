"""Whether bytes look like what ASN.1 wants at the top: enough to tell a key from a certificate, or from PEM.

Only the outermost SEQUENCE and the tags of its members are read; what is in them is for the client to judge.
"""

from __future__ import annotations

INTEGER, BIT_STRING, OCTET_STRING, SEQUENCE = 0x02, 0x03, 0x04, 0x30

CERTIFICATE = "an X.509 certificate (RFC 5280)"
PRIVATE_KEY = "a private key in PKCS#8 (RFC 5958)"
PUBLIC_KEY = "a public key, SubjectPublicKeyInfo (RFC 7250)"
_SHAPES = {
    CERTIFICATE: (SEQUENCE, SEQUENCE, BIT_STRING),
    PRIVATE_KEY: (INTEGER, SEQUENCE, OCTET_STRING),
    PUBLIC_KEY: (SEQUENCE, BIT_STRING),
}


def mismatch(data: bytes, what: str) -> str:
    """Why ``data`` is not ``what`` in DER; empty if it may well be."""
    if data.lstrip().startswith(b"-----BEGIN"):
        return f"this is PEM; {what} is due in DER"
    shape = _SHAPES[what]
    tags = _members(data)
    # Attributes may follow a private key.
    if tags is None or tags[: len(shape)] != shape or (what != PRIVATE_KEY and len(tags) > len(shape)):
        return f"this is not {what} in DER"
    return ""


def _members(data: bytes) -> tuple[int, ...] | None:
    """The tags in the outermost SEQUENCE, which must be all there is."""
    whole = _element(data, 0)
    if whole is None or data[0] != SEQUENCE or whole[1] != len(data):
        return None
    at, tags = whole[0], []
    while at < len(data):
        found = _element(data, at)
        if found is None:
            return None
        tags.append(data[at])
        at = found[1]
    return tuple(tags)


def _element(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the content of an element begins and ends."""
    if at + 2 > len(data):
        return None
    length, start = data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 3 or start + count > len(data):
            return None
        length, start = int.from_bytes(data[start : start + count], "big"), start + count
    return (start, start + length) if start + length <= len(data) else None
