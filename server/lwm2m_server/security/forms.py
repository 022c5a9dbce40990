"""Credentials as JSON: secrets go in, and only whether they are there comes out."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from lwm2m_server.security.credentials import (
    X509,
    BadCredentials,
    Credential,
    NoSec,
    Oscore,
    Psk,
    Rpk,
    Side,
    check,
)
from lwm2m_server.security.store import UNLESS_SAID
from lwm2m_server.store.records import SealedCredential

T = TypeVar("T")

_MEMBERS: Final[Mapping[str, Collection[str]]] = {
    "nosec": (),
    "psk": ("identity", "key"),
    "rpk": ("publicKey",),
    "x509": ("certificate",),
    "oscore": ("recipientId", "senderId", "masterSecret", "masterSalt", "idContext"),
}


def from_json(document: object) -> tuple[Credential, str | None]:
    """``{"mode": …, …}`` and the ``endpoint`` they are for, if it says so. Raises ``BadCredentials``."""
    mode = document.get("mode") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(mode, str) or mode not in _MEMBERS:
        raise BadCredentials(f"mode: one of {', '.join(_MEMBERS)} is needed")
    known = ("mode", "endpoint", *_MEMBERS[mode])
    for name in document:
        if name not in known:
            raise BadCredentials(f"{name[:40]!r} is none of {', '.join(known)}")
    endpoint = _text(document, "endpoint", needed=False)
    return check(_READ[mode](document)), endpoint


def to_json(row: SealedCredential | None, side: Side) -> dict[str, Any]:
    """What may be known of them."""
    if row is None:
        return {"mode": UNLESS_SAID[side].mode}
    shown: dict[str, Any] = {"mode": row.mode, "endpoint": row.endpoint, **row.public}
    if row.mode == "psk":
        shown["keySet"] = row.sealed is not None
    elif row.mode == "oscore":
        shown["masterSecretSet"] = row.sealed is not None
    return shown


def _psk(document: Mapping[str, Any]) -> Psk:
    identity, key = _text(document, "identity"), _read(document, "key", _base64)
    return Psk(identity, base64.b64encode(key).decode("ascii"))


def _oscore(document: Mapping[str, Any]) -> Oscore:
    return Oscore(
        _read(document, "recipientId", bytes.fromhex),
        _read(document, "senderId", bytes.fromhex),
        _read(document, "masterSecret", bytes.fromhex),
        _read(document, "masterSalt", bytes.fromhex) if document.get("masterSalt") is not None else b"",
        _read(document, "idContext", bytes.fromhex) if document.get("idContext") is not None else None,
    )


def _x509(document: Mapping[str, Any]) -> X509:
    if document.get("certificate") is None:
        return X509()
    return X509(_read(document, "certificate", certificate_der))


_READ: Final[Mapping[str, Callable[[Mapping[str, Any]], Credential]]] = {
    "nosec": lambda document: NoSec(),
    "psk": _psk,
    "rpk": lambda document: Rpk(_read(document, "publicKey", public_key_der)),
    "x509": _x509,
    "oscore": _oscore,
}


def certificate_der(text: str) -> bytes:
    """Of PEM, or of base64 of DER; raises ``ValueError``."""
    if "-----BEGIN" in text:
        return x509.load_pem_x509_certificate(text.encode()).public_bytes(Encoding.DER)
    return _base64("".join(text.split()))


def public_key_der(text: str) -> bytes:
    """Of PEM, or of base64 of DER; raises ``ValueError``."""
    if "-----BEGIN" in text:
        key = load_pem_public_key(text.encode())
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _base64("".join(text.split()))


def _base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _text(document: Mapping[str, Any], name: str, *, needed: bool = True) -> str | None:
    value = document.get(name)
    if value is None and not needed:
        return None
    if not isinstance(value, str) or not value or "\0" in value:
        raise BadCredentials(f"{name}: a text is needed")
    return value


_FORMS: Final = {"key": "base64", "publicKey": "PEM or base64 of DER", "certificate": "PEM or base64 of DER"}


def _read(document: Mapping[str, Any], name: str, read: Callable[[str], T]) -> T:
    """The value is in no message: it may be the secret."""
    value = document.get(name)
    problem = BadCredentials(f"{name}: {_FORMS.get(name, 'hexadecimal digits')} is needed")
    if not isinstance(value, str):
        raise problem
    try:
        return read(value)
    except ValueError:
        raise problem from None
